"""What `nectar trace` prints."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel.wasm.engine import Engine
from nectar_node.cli.main import main
from nectar_node.console import output
from tests.nectar_node.cli.real_node import NODE, RealNode, real_node
from tests.nectar_node.cli.served_node import served

ROOT = Path(__file__).resolve().parents[3]
TERMINAL, HELLO, OTHER = "a.nec@terminal:terminal:sys", "a.nec@hello:hello:sys", "b.nec@hello:hello:sys"


def record(step: str, id: str, at: float, source: str, target: str, **more: Any) -> dict[str, Any]:
    value = {
        "at": at,
        "time": "2026-11-24T01:48:16.123+00:00",
        "step": step,
        "id": id,
        "parent": None,
        "root": "1",
        "inherits": False,
        "expects": False,
        "source": source,
        "target": target,
        "claim": False,
        "body_bytes": 2,
        "blob_bytes": None,
        "reason": None,
        "beginning": "hi",
        **more,
    }
    return {"event": {"record": value}}


ASKED = [
    record("sent", "1", 5.0, TERMINAL, HELLO, body_bytes=100),
    record("handed over", "1", 5.000085, TERMINAL, HELLO),
    record("sent", "2", 5.001, HELLO, OTHER, parent="1", inherits=True, blob_bytes=2048),
    record("handed over", "2", 5.001, HELLO, OTHER, parent="1"),
]
ANSWERED = [
    record("answered", "2", 5.0122, OTHER, HELLO, parent="1", claim=True, beginning="one\ntwo\x1b"),
    record("answered", "1", 6.5, HELLO, TERMINAL, beginning=""),
]
FAILED = [record("failed", "2", 5.5, HELLO, OTHER, parent="1", reason="no such name")]


def show(network: Path, events: list[dict[str, Any]], *options: str) -> tuple[list[str], list[str]]:
    """The lines on both streams."""
    ended, node = served(network, [*events, {"ok": {}}], "trace", "hello:hello:sys", *options)
    assert (ended.code, node.requests) == (0, [{"command": "trace", "address": "hello:hello:sys"}])
    return ended.out.splitlines(), ended.err.splitlines()


def test_a_lineage_is_a_tree_with_times_sizes_claims_and_answers(tmp_path: Path) -> None:
    lines, err = show(tmp_path, [*ASKED, *ANSWERED])
    assert re.fullmatch(r"\d\d:\d\d:16\.123", lines[0])
    assert lines[1:] == [
        "└── +0 µs terminal:terminal:sys → hello:hello:sys  100 B hi…, taken after 85 µs",
        "    ├── +1.0 ms hello:hello:sys → b.nec@hello:hello:sys inherits  2 B and a blob of 2.0 KiB hi",
        "    │   └── +12.2 ms ← b.nec@hello:hello:sys (claim)  2 B one two\N{REPLACEMENT CHARACTER}",
        "    └── +1.50 s ← hello:hello:sys  2 B",
    ]
    assert err == []


def test_g16_a_failure_has_its_reason(tmp_path: Path) -> None:
    assert show(tmp_path, [*ASKED, *FAILED])[0][-1] == "        └── +500.0 ms ✗ failed: no such name"


def test_how_far_a_message_has_come_is_said(tmp_path: Path) -> None:
    there = record("arrived there", "2", 5.0031, HELLO, OTHER, parent="1")
    expired = record("failed", "2", 5.5, HELLO, OTHER, parent="1", reason="expired")
    assert show(tmp_path, [*ASKED, there])[0][2].endswith("hi, there after 2.1 ms")
    assert show(tmp_path, [*ASKED, expired])[0][2].endswith("hi, not known to be there")
    assert show(tmp_path, ASKED[:1])[0][1].endswith(", not taken yet")
    sent, handed = (record(step, "1", 5.0, TERMINAL, HELLO, expects=True) for step in ("sent", "handed over"))
    assert show(tmp_path, [sent, handed])[0][1:] == ["└── +0 µs terminal:terminal:sys → hello:hello:sys  2 B hi"]


def test_json_is_a_record_a_line(tmp_path: Path) -> None:
    lines, _ = show(tmp_path, ASKED, "--json")
    assert [json.loads(line) for line in lines] == [each["event"]["record"] for each in ASKED]


def test_records_that_were_lost_and_the_beginning_are_said_on_standard_error(tmp_path: Path) -> None:
    _, err = show(tmp_path, [{"event": {"following": HELLO}}, {"event": {"lost": 9}}])
    lost = "9 records came faster than they could be shown, and are lost."
    assert err == [f"Following the messages of {HELLO}; Ctrl-C ends.", lost]


def test_no_more_lineages_than_are_wanted(tmp_path: Path) -> None:
    more = [record("sent", id, 7.0, TERMINAL, HELLO, root=id) for id in ("10", "11")]
    lines, _ = show(tmp_path, [*ASKED, *more], "--count", "2")
    assert sum("16.123" in line for line in lines) == 2


@pytest.mark.parametrize(("seconds", "text"), [(-1.0, "0 µs"), (85e-6, "85 µs"), (0.0012, "1.2 ms"), (3.1, "3.10 s")])
def test_a_short_time_is_as_exact_as_people_need(seconds: float, text: str) -> None:
    assert output.short_time(seconds) == text


def test_an_event_of_an_unknown_shape_is_one_sentence(tmp_path: Path) -> None:
    ended, _ = served(tmp_path, [{"event": {"new": 1}}], "trace", "hello:hello:sys")
    assert (ended.code, ended.err.startswith("The node sent an unknown event")) == (1, True)


# --- on a real node -------------------------------------------------------------------------------------------------


@pytest.fixture
def crashing(tmp_path: Path, engine: Engine) -> Iterator[RealNode]:
    with real_node(tmp_path, engine, "crash_isolation") as node:
        yield node


def test_g10_a_real_requests_lineage_shows_the_child_that_did_the_work(crashing: RealNode) -> None:
    where = ["--node", NODE, "--dir", str(crashing.network)]
    target = "crash_isolation:crash_isolation:sys"
    command = [sys.executable, "-P", "-m", "nectar_node", "trace", target, *where]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as viewer:
        assert viewer.stdout is not None
        assert viewer.stderr is not None
        assert viewer.stderr.readline().startswith("Following")
        assert main(["message", f"our@{target}", '{"Run":{"data":"3a2b"}}', *where]) == 0
        lines: list[str] = []
        while not (lines and lines[-1].endswith('{"Ran":{"text":"aaabb"}}')):
            lines.append(re.sub(r"\+[0-9.]+ (µs|ms|s)", "+T", viewer.stdout.readline().rstrip("\n")))
        viewer.send_signal(signal.SIGINT)
        assert viewer.wait(20) == 130
    assert lines[-1] == "    └── +T ← crash_isolation:crash_isolation:sys  24 B " + '{"Ran":{"text":"aaabb"}}'
    assert any(re.match(r"    ├── \+T crash_isolation:crash_isolation:sys → \d+:crash_isolation:sys", x) for x in lines)
    assert any(re.match(r"    │   └── \+T ← \d+:crash_isolation:sys  5 B aaabb", line) for line in lines)
