"""A trace in a file: what is written comes back, what is damaged is refused, and a pipe that nobody reads is told."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kernel.contract.address import Address, ProcessId
from kernel.router.trace import TraceRecord, TraceStep
from nectar_node.base.errors import BadFolder
from nectar_node.driver.trace_file import (
    MAX_LINE_BYTES,
    BadTrace,
    Boots,
    Ends,
    Line,
    Runs,
    Standing,
    TraceFile,
    decode_line_untrusted,
    record_text,
)
from nectar_node.launcher.boot_options import DEFAULT_OPTIONS
from testnet.real.local import LocalTestnet
from tests.commands import nectar

HELLO = ProcessId("hello", "hello", "sys")
SENT = TraceRecord(
    at=3.5,
    step=TraceStep.SENT,
    id=(1 << 64) - 1,
    parent=None,
    root=7,
    inherits=False,
    expects=True,
    source=Address("a.nec", HELLO),
    target=Address("b.nec", HELLO),
    claimed=False,
    body_bytes=12,
    blob_bytes=None,
    reason=None,
    beginning="ä\n".encode(),
)
FAILED = SENT._replace(step=TraceStep.FAILED, parent=6, blob_bytes=0, reason="expired", at=4.0)


def lines_of(path: Path) -> list[Line]:
    return [decode_line_untrusted(line) for line in path.read_bytes().split(b"\n") if line]


def test_what_is_written_comes_back_in_order_of_its_writing(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    file = TraceFile.open(path, "a.nec", time.monotonic)
    for record in (SENT, FAILED):
        file.add(record)
    file.end(Standing("a.nec", {HELLO: Runs(HELLO, 2.0, frozenset({7, 9}))}, Ends(2, 1)))
    file.close()
    boots, sent, failed, runs, ends = lines_of(path)
    assert (boots, ends) == (Boots("a.nec"), Ends(2, 1))
    assert isinstance(sent, TraceRecord)
    assert isinstance(failed, TraceRecord)
    assert isinstance(runs, Runs)
    assert sent._replace(at=0.0) == SENT._replace(at=0.0)
    assert failed._replace(at=0.0) == FAILED._replace(at=0.0)
    assert (runs.process, runs.outstanding) == (HELLO, {7, 9})


@pytest.mark.parametrize("beginning", [b"", b'"\\\x00\x7f\n\xff', "\u00fc \u2028 \U0001f41d".encode()])
@pytest.mark.parametrize("step", TraceStep)
def test_a_record_is_the_json_that_python_writes(step: TraceStep, beginning: bytes) -> None:
    reason = None if step is TraceStep.SENT else 'what "is" missing: \u00e4'
    blob = 0 if step is TraceStep.SENT else None
    text = record_text(SENT._replace(step=step, blob_bytes=blob, reason=reason, beginning=beginning))
    value = json.loads(text)
    assert text == json.dumps(value, separators=(",", ":"))
    assert (value["step"], value["reason"], value["beginning"]) == (
        step.value,
        reason,
        beginning.decode(errors="replace"),
    )


def test_times_are_those_of_the_clock_that_all_processes_share(tmp_path: Path) -> None:
    path, ahead = tmp_path / "trace", 1e5
    before = time.monotonic()
    file = TraceFile.open(path, "a.nec", lambda: time.monotonic() + ahead)
    file.add(SENT._replace(at=time.monotonic() + ahead))
    file.end(Standing("a.nec", {HELLO: Runs(HELLO, before + ahead, frozenset())}, Ends(0, 0)))
    file.close()
    _, sent, runs, _ = lines_of(path)
    assert isinstance(sent, TraceRecord)
    assert isinstance(runs, Runs)
    tolerance = 1e-3  # of reading two clocks
    assert before - tolerance <= sent.at <= time.monotonic() + tolerance
    assert runs.started_at == pytest.approx(before, abs=tolerance)


def test_what_is_added_is_there_once_it_was_written_also_behind_a_line_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    file = TraceFile.open(path, "a.nec", time.monotonic)
    file.write()
    file.add(SENT)
    assert len(lines_of(path)) == 1
    file.write()
    assert len(lines_of(path)) == 2
    file.close()
    path = tmp_path / "trace"
    path.write_bytes(b'{"at":1.0,"st')
    file = TraceFile.open(path, "a.nec", time.monotonic)
    file.write()
    file.close()
    assert path.read_bytes().split(b"\n")[1:] == [b'{"boots":"a.nec"}', b""]


def test_a_pipe_that_nobody_reads_is_one_sentence_and_no_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "trace")
    with pytest.raises(
        BadFolder, match=r"The trace cannot be written to .*/trace: nobody reads that pipe; remove it\.$"
    ):
        TraceFile.open(tmp_path / "trace", "a.nec", time.monotonic)


VALUE: dict[str, Any] = json.loads(
    '{"at": 1.0, "step": "sent", "id": 7, "parent": null, "root": 7, "source": "a.nec@a:b:c", "target": "b.nec@a:b:c",'
    '"claimed": false, "expects": true, "inherits": false, "body": 1, "blob": null, "reason": null, "beginning": ""}'
)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"\xff",
        b'{"boots": 7}',
        b'{"ends": {"abroad": -1, "on_their_way": 0}}',
        b'{"ends": {"abroad": 1.5, "on_their_way": 0}}',
        b'{"process": "a:b:c", "started": "1", "outstanding": []}',
        b'{"process": "a:b", "started": 1, "outstanding": []}',
        b'{"process": "a:b:c", "started": 1, "outstanding": [true]}',
        b'{"boots": "' + b"a" * MAX_LINE_BYTES + b'"}',
        b"[" * 100_000,
        *(
            json.dumps(VALUE | change).encode()
            for change in (
                {"at": -1.0},
                {"at": None},
                {"step": "eaten"},
                {"id": 1.0},
                {"id": "7"},
                {"parent": -1},
                {"source": "nobody"},
                {"target": "A@a:b:c"},
                {"claimed": 1},
                {"blob": 1.0},
                {"reason": 7},
            )
        ),
        *(json.dumps({key: value for key, value in VALUE.items() if key != left}).encode() for left in VALUE),
    ],
)
def test_a_line_of_another_shape_is_one_error(line: bytes) -> None:
    with pytest.raises(BadTrace, match=r"^A line of a trace "):
        decode_line_untrusted(line)


def test_a_line_that_is_whole_is_none() -> None:
    assert isinstance(decode_line_untrusted(json.dumps(VALUE).encode()), TraceRecord)


def test_a_node_that_is_told_to_writes_what_happens_to_every_message_and_how_it_stood_at_its_end(
    network: LocalTestnet,
) -> None:
    name = "traced.nec"
    assert nectar("boot", name, "--detach", "--trace", folder=network.folder).code == 0
    assert network.message(name, "our@hello:hello:sys", '{"Greet": "you"}')["outcome"] == "response"
    network.stop(name)
    lines = lines_of(network.place(name).trace)
    assert not network.place("registrar.nec").trace.exists()
    steps = [line.step for line in lines if isinstance(line, TraceRecord) and line.source.process == HELLO]
    assert lines[0] == Boots(name)
    assert steps == [TraceStep.ANSWERED]
    assert HELLO in {line.process for line in lines if isinstance(line, Runs)}
    assert lines[-1] == Ends(0, 0)


def test_a_node_whose_trace_has_lost_its_reader_goes_on_without(network: LocalTestnet) -> None:
    name = "unread.nec"
    place = network.place(name)
    place.create()
    os.mkfifo(place.trace)
    reader = os.open(place.trace, os.O_RDONLY | os.O_NONBLOCK)
    network.add(name, replace(DEFAULT_OPTIONS, trace=True))
    os.close(reader)
    for _ in range(2):
        assert network.message(name, "our@hello:hello:sys", '{"Greet": "you"}')["outcome"] == "response"
    assert "the trace ends here, for it cannot be written: Broken pipe" in network.log(name)
    network.stop(name)
