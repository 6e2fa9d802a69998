"""Crashes on a node: where they were, what was being handled and for whom, what was saved; the same in every run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from kernel.contract.address import Address, ProcessId
from kernel.contract.events import Trapped
from kernel.contract.guest import Arrival, End, Frame
from kernel.contract.limits import MAX_DEAD_LETTER_BODY, MAX_DEAD_LETTERS
from kernel.contract.message import LazyLoadBlob, Request
from nectar_node.console.crashes import crash_lines
from nectar_node.control.status import error_rows
from nectar_node.core.dead_letters import MAX_DETAILED, CrashReport, DeadLetters
from testnet.sim.programs import Programs
from tests.packages.lab import Lab

GUESTS = Path(__file__).parents[2] / "guests"
CRASHER, PROBE = "our@zig:app:sys", "our@probe:app:sys"


@pytest.fixture(scope="module")
def engine() -> Programs:
    return Programs()


def package(folder: Path) -> Path:
    """A package with a process that crashes, and one that asks it."""
    app = folder / "app"
    app.mkdir()
    for name in ("zig.wasm", "zig.wasm.debug"):
        shutil.copy(GUESTS / "crashing" / name, app)
    shutil.copy(GUESTS / "probe.wasm", app)
    entry = {"on_exit": "Restart", "request_networking": False, "request_capabilities": [], "public": True}
    entries = [{"process_name": each, "process_wasm_path": f"/{each}.wasm", **entry} for each in ("zig", "probe")]
    (app / "manifest.json").write_text(json.dumps(entries))
    (app / "metadata.json").write_text('{"package": "app", "publisher": "sys"}')
    return app


def crashes(lab: Lab) -> list[dict[str, Any]]:
    rows: Any = error_rows(lab.node.core, 0, 0.0)["errors"]
    return [row for row in rows if row["kind"] == "crash"]


def tell(lab: Lab, body: bytes) -> None:
    lab.node.begin_to_ask(CRASHER, body, 20)
    lab.simulation.rest(3.0)


def played(engine: Programs, folder: Path) -> Lab:
    """A node whose process has saved a state, and has crashed three seconds later."""
    lab = Lab(engine, (folder,))
    tell(lab, b"save")
    tell(lab, b"bounds")
    return lab


def test_the_log_has_a_line_for_each_call_and_errors_has_what_was_handled_and_saved(
    engine: Programs, tmp_path: Path
) -> None:
    lab = played(engine, package(tmp_path))
    log = [line.removeprefix("zig:app:sys: ") for line in lab.node.log if line.startswith("zig:app:sys")]
    begin = log.index("ended: wasm trap: wasm `unreachable` instruction executed in function printAndTrap")
    assert log[begin - 1] == "index out of bounds: index 6, len 6"
    assert log[begin + 4 : begin + 8] == [
        "  at element (crash.zig:26)",
        "  at lookUp (crash.zig:22)",
        "  at handle (crash.zig:16)",
        "  at init (crash.zig:9)",
    ]
    (row,) = crashes(lab)
    assert (row["target"], row["handled"], row["beginning"]) == ("one.nec@zig:app:sys", "request", "bounds")
    assert (row["restarts"], row["again"], row["ran"]) == (0, 1.0, pytest.approx(3.1, abs=0.5))
    assert (row["state"]["bytes"], row["state"]["age"]) == (4, pytest.approx(3.0, abs=0.1))
    lines = crash_lines(row)
    assert lines[0] == "index out of bounds: index 6, len 6"
    assert "  at element (crash.zig:26)" in lines
    assert "It was handling a request from one.nec@terminal:terminal:sys: bounds" in lines
    tell(lab, b"trap")
    assert [row["restarts"] for row in crashes(lab)] == [0, 1]


def test_the_same_seed_gives_the_same_frames_in_the_journal(engine: Programs, tmp_path: Path) -> None:
    folder = package(tmp_path)
    first, second = played(engine, folder), played(engine, folder)
    assert first.simulation.journal == second.simulation.journal
    assert sum("  at element (crash.zig:26)" in line for line in first.simulation.journal) == 1


def test_g26_after_a_reboot_the_debug_file_is_still_known_and_the_state_is_older_than_the_boot(
    engine: Programs, tmp_path: Path
) -> None:
    lab = Lab(engine, (package(tmp_path),))
    tell(lab, b"save")
    lab.simulation.restart("one.nec")
    lab.simulation.settle()
    tell(lab, b"bounds")
    (row,) = crashes(lab)
    assert "  at element (crash.zig:26)" in crash_lines(row)
    assert row["state"] == {"bytes": 4, "time": None, "age": None}
    assert "It has saved 4 bytes, before the node was booted." in crash_lines(row)


def test_the_requests_that_wait_for_it_are_told_up_to_the_one_that_began_it(engine: Programs, tmp_path: Path) -> None:
    lab = Lab(engine, (package(tmp_path),))
    lab.begin(PROBE, [{"Await": {"to": "one.nec@zig:app:sys", "body": "bounds", "expects": 10}}])
    lab.simulation.rest(3.0)
    (row,) = crashes(lab)
    assert (row["source"], row["beginning"]) == ("one.nec@probe:app:sys", "bounds")
    (above,) = row["lineage"]
    assert (above["source"], above["target"]) == ("one.nec@terminal:terminal:sys", "one.nec@probe:app:sys")
    assert above["beginning"].startswith('[{"Await"')


def report(body: bytes = b"") -> Trapped:
    address = Address("one.nec", ProcessId("main", "app", "sys"))
    handled = Arrival(address, Request(False, None, body), None, LazyLoadBlob(None, bytes(1000)))
    return Trapped(1.0, address, End("trap", (Frame("f"),), ("said",)), handled, (), 0.0, 0, None)


def test_what_is_kept_of_crashes_is_bounded_and_they_are_numbered_with_dead_letters() -> None:
    letters = DeadLetters()
    letters.add_crash(report(b"x" * 10 * MAX_DEAD_LETTER_BODY), None)
    (kept,) = letters.entries
    assert isinstance(kept, CrashReport)
    assert kept.crash.handled == Arrival(
        report().address, Request(False, None, b"x" * MAX_DEAD_LETTER_BODY), None, None
    )
    for _ in range(MAX_DEAD_LETTERS + 10):
        letters.add_crash(report(), None)
    assert (letters.count, len(letters.entries), letters.latest) == (MAX_DEAD_LETTERS + 11, MAX_DEAD_LETTERS, [])
    detailed = [bool(each.crash.end.frames) for each in letters.entries if isinstance(each, CrashReport)]
    assert detailed == [False] * (MAX_DEAD_LETTERS - MAX_DETAILED) + [True] * MAX_DETAILED


def test_a_crash_of_unknown_shape_is_shown_as_far_as_it_is_known() -> None:
    assert crash_lines({}) == [
        "It had not got a message yet.",
        "It ended; it does not start again.",
        "It has saved nothing.",
    ]
    row = {"said": 7, "frames": [7, {"function": "a\nb"}], "lineage": 7, "state": {"bytes": 3}, "handled": "timeout"}
    assert crash_lines(row)[0] == "  at a b"
