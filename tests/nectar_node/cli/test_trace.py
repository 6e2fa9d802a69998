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
from tests.nectar_node.cli.served_node import make_network, serve_node

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


def show(
    network: Path, capsys: pytest.CaptureFixture[str], events: list[dict[str, Any]], *options: str
) -> tuple[str, str]:
    make_network(network)
    lines = b"".join(json.dumps(each).encode() + b"\n" for each in [*events, {"ok": {}}])
    with serve_node(network, NODE, lambda _: lines) as node:
        assert main(["trace", "hello:hello:sys", "--node", NODE, "--dir", str(network), *options]) == 0
        assert node.requests == [{"command": "trace", "address": "hello:hello:sys"}]
    out, err = capsys.readouterr()
    return out, err


def test_a_lineage_is_a_tree_with_times_sizes_claims_and_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = show(tmp_path, capsys, [*ASKED, *ANSWERED])
    lines = out.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:16\.123", lines[0])
    assert lines[1:] == [
        "└── +0 µs terminal:terminal:sys → hello:hello:sys  100 B hi…, taken after 85 µs",
        "    ├── +1.0 ms hello:hello:sys → b.nec@hello:hello:sys inherits  2 B and a blob of 2.0 KiB hi",
        "    │   └── +12.2 ms ← b.nec@hello:hello:sys (claim)  2 B one two\N{REPLACEMENT CHARACTER}",
        "    └── +1.50 s ← hello:hello:sys  2 B",
    ]
    assert err == ""


def test_g16_a_failure_has_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = show(tmp_path, capsys, [*ASKED, *FAILED])
    assert out.splitlines()[-1] == "        └── +500.0 ms ✗ failed: no such name"


def test_what_has_arrived_at_another_node_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = show(tmp_path, capsys, [*ASKED, record("arrived there", "2", 5.0031, HELLO, OTHER, parent="1")])
    assert out.splitlines()[2].endswith("hi, there after 2.1 ms")


def test_a_request_that_expired_says_that_it_is_not_known_to_have_arrived(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expired = record("failed", "2", 5.5, HELLO, OTHER, parent="1", reason="expired")
    out, _ = show(tmp_path, capsys, [*ASKED, expired])
    assert out.splitlines()[2].endswith("hi, not known to be there")


def test_what_nobody_has_taken_is_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = show(tmp_path, capsys, ASKED[:1])
    assert out.splitlines()[1].endswith(", not taken yet")


def test_what_was_taken_in_the_same_turn_is_not_said_to_wait(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sent, handed = (record(step, "1", 5.0, TERMINAL, HELLO, expects=True) for step in ("sent", "handed over"))
    out, _ = show(tmp_path, capsys, [sent, handed])
    assert out.splitlines()[1:] == ["└── +0 µs terminal:terminal:sys → hello:hello:sys  2 B hi"]


def test_json_is_a_record_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = show(tmp_path, capsys, ASKED, "--json")
    assert [json.loads(line) for line in out.splitlines()] == [each["event"]["record"] for each in ASKED]


def test_records_that_were_lost_and_the_beginning_are_said_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, err = show(tmp_path, capsys, [{"event": {"following": HELLO}}, {"event": {"lost": 9}}])
    assert err.splitlines() == [
        f"Following the messages of {HELLO}; Ctrl-C ends.",
        "9 records came faster than they could be shown, and are lost.",
    ]


def test_no_more_lineages_than_are_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = [record("sent", id, 7.0, TERMINAL, HELLO, root=id) for id in ("10", "11")]
    out, _ = show(tmp_path, capsys, [*ASKED, *more], "--count", "2")
    assert len(re.findall("16.123", out)) == 2


@pytest.mark.parametrize(("seconds", "text"), [(-1.0, "0 µs"), (85e-6, "85 µs"), (0.0012, "1.2 ms"), (3.1, "3.10 s")])
def test_a_short_time_is_as_exact_as_people_need(seconds: float, text: str) -> None:
    assert output.short_time(seconds) == text


def test_an_event_of_an_unknown_shape_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_network(tmp_path)
    with serve_node(tmp_path, NODE, lambda _: {"event": {"new": 1}}):
        assert main(["trace", "hello:hello:sys", "--node", NODE, "--dir", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("The node sent an unknown event")


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
