"""Traces of several nodes, put together after the event: in the order of time, with the violations of a simulation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kernel.router.trace import TraceRecord
from nectar_node.base.folder import NodeFolder
from nectar_node.driver.trace_file import record_text
from testnet.real.trace_check import TURN_SECONDS, TraceCheck, check_traces, merge_untrusted
from testnet.real.traces import TracePipes
from tests.testnet.model.records import ANSWERER, ASKER, answered, came, failed, sent

ONE, TWO = ASKER.node, ANSWERER.node


class Written:
    """Nodes that have written what a test says; the network began at 0."""

    def __init__(self, folder: Path) -> None:
        self.traces = TracePipes(folder / "traces")
        self.traces.began = 0.0
        self._folder = folder

    def write(self, host: str, *lines: str) -> None:
        place = NodeFolder(self._folder / host)
        self.traces.expect(host, place)
        place.trace.write_text("".join(f"{line}\n" for line in lines))

    def cut_off(self, host: str, text: str) -> None:
        NodeFolder(self._folder / host).trace.write_text(text)

    def look(self, *running: str) -> TraceCheck:
        return check_traces(self.traces, lambda host: host in running)


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Written]:
    nodes = Written(tmp_path)
    with closing(nodes.traces):
        yield nodes


def boots(node: str) -> str:
    return "\n" + json.dumps({"boots": node})


def step(at: float, record: TraceRecord) -> str:
    return json.dumps({"at": at, **json.loads(record_text(record))})


def runs(started: float, *outstanding: int) -> str:
    return json.dumps({"process": str(ASKER.process), "started": started, "outstanding": outstanding})


def ends(abroad: int = 0, on_their_way: int = 0) -> str:
    return json.dumps({"ends": {"abroad": abroad, "on_their_way": on_their_way}})


def found(check: TraceCheck) -> str:
    assert check.problem == ""
    return str(check.watch.found or "")


# --- order ----------------------------------------------------------------------------------------------------------


def test_a_request_is_sent_before_it_comes_whichever_node_was_the_first_to_write(nodes: Written) -> None:
    nodes.write(TWO, boots(TWO), step(1.1, came()), step(1.2, answered()))
    nodes.write(ONE, boots(ONE), step(1.0, sent()), step(1.3, answered()))
    check = nodes.look()
    assert found(check) == ""
    told = [[*line.split(" ", 3)[:2], json.loads(line.split(" ", 3)[3])["step"]] for line in check.journal]
    assert told == [
        ["1.000000000", ONE, "sent"],
        ["1.100000000", TWO, "sent"],
        ["1.200000000", TWO, "answered"],
        ["1.300000000", ONE, "answered"],
    ]


def test_g3_a_request_that_comes_before_it_is_sent_is_a_violation(nodes: Written) -> None:
    nodes.write(ONE, boots(ONE), step(1.0, sent()))
    nodes.write(TWO, boots(TWO), step(0.9, came()))
    assert found(nodes.look()).startswith("G3: two.nec took request 7 ")


def test_g4_what_is_taken_twice_is_a_violation_at_its_time_and_all_else_is_written_down(nodes: Written) -> None:
    nodes.write(ONE, boots(ONE), step(1.0, sent()), step(1.5, answered()))
    nodes.write(TWO, boots(TWO), step(1.1, came()), step(1.2, came()))
    check = nodes.look()
    assert found(check).startswith("G4: two.nec@b:probes:sys was given request 7 ")
    assert [line.split(" ", 3)[0:3] for line in check.journal][-2:] == [
        ["1.200000000", "-", "violation"],
        ["1.500000000", ONE, "message"],
    ]


def test_g4_also_in_a_later_boot_of_either_node(nodes: Written) -> None:
    nodes.write(ONE, boots(ONE), step(1.0, sent()), boots(ONE), step(2.0, sent(8)))
    nodes.write(TWO, boots(TWO), step(2.1, came(8)), boots(TWO), step(3.0, came(7)))
    assert "was given request 7" in found(nodes.look())


def test_times_count_from_when_the_network_began(tmp_path: Path) -> None:
    file = tmp_path / "one"
    file.write_text(f"{boots(ONE)}\n{step(101.5, sent())}\n")
    first, _ = merge_untrusted({ONE: file}, 100.0)
    assert (first.at, first.life) == (1.5, f"{ONE}/0")


# --- lives ----------------------------------------------------------------------------------------------------------


def test_g5_who_has_been_killed_waits_for_nothing_and_who_runs_does(nodes: Written) -> None:
    nodes.write(ONE, boots(ONE), step(1.0, sent()))
    assert nodes.look().watch.outstanding() == []
    assert len(nodes.look(ONE).watch.outstanding()) == 1
    nodes.write(ONE, boots(ONE))
    assert nodes.look(ONE).watch.outstanding() == []


def test_a_line_that_a_crash_has_cut_off_is_left_out(nodes: Written) -> None:
    nodes.write(ONE, boots(ONE), step(1.0, sent()))
    nodes.cut_off(ONE, step(1.1, sent(8))[:50])
    assert found(nodes.look()) == ""
    nodes.write(ONE, boots(ONE), step(2.0, sent(9)), step(2.1, failed(9)))
    check = nodes.look()
    assert found(check) == ""
    assert len(check.journal) == 3


def test_g5_a_request_that_never_ended_and_for_which_nobody_waits_is_a_violation(nodes: Written) -> None:
    nodes.write(ONE, boots(ONE), step(1.0, sent()), runs(0.5), ends())
    assert found(nodes.look()).startswith("G5: request 7 of one.nec@a:probes:sys to two.nec@b:probes:sys never ended")


@pytest.mark.parametrize(
    "last", [runs(0.5, 7), runs(1.0 - TURN_SECONDS / 2), ""], ids=["it waits", "it is another process", "it has ended"]
)
def test_g5_a_request_that_is_outstanding_or_whose_process_has_ended_is_none(nodes: Written, last: str) -> None:
    nodes.write(ONE, boots(ONE), step(1.0, sent()), last, ends())
    assert found(nodes.look()) == ""


def test_g24_what_a_kernel_gave_its_net_has_to_be_on_its_way_when_a_node_ends(nodes: Written) -> None:
    nodes.write(ONE, boots(ONE), ends(abroad=2, on_their_way=1))
    assert found(nodes.look()).startswith("G24: one.nec has given its net 2 messages")


# --- traces that are none -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ((boots(ONE), "{", step(1.0, sent())), "A line of a trace cannot be read"),
        ((boots(ONE), "{", "{"), "A line of a trace cannot be read"),
        ((step(1.0, sent()),), "something happens before a node boots"),
        ((boots(ONE), ends(), step(1.0, sent())), "something happens before a node boots, or after it has ended"),
        ((boots(ONE), step(2.0, sent()), step(1.0, sent(8))), "goes back in time"),
    ],
)
def test_a_damaged_trace_is_one_sentence_and_no_violation(nodes: Written, lines: Any, why: str) -> None:
    nodes.write(ONE, *lines)
    check = nodes.look()
    assert check.problem.startswith("The trace of one.nec cannot be used: ")
    assert why in check.problem
    assert check.watch.found is None


def test_a_damaged_or_too_long_trace_is_told(nodes: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes.write(ONE, boots(ONE), "{")
    assert "cannot be read" in nodes.look().problem
    monkeypatch.setattr("testnet.real.traces.MAX_BYTES", 10)
    nodes.write(ONE, boots(ONE), step(1.0, sent()))
    assert nodes.look().problem.endswith("GiB, and so they are not whole.")
