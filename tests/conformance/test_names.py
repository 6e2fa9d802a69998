"""G1: what names processes and nodes."""

from __future__ import annotations

import pytest

from kernel.contract.message import Reason
from tests.conformance import everywhere, spanning
from tests.conformance.lab import OUR, Lab, SimLab
from tests.conformance.steps import respond, send, spawn


@everywhere
def test_g1_our_is_this_node(lab: Lab) -> None:
    a, b = lab.probe("a", far=True), lab.probe("b", far=True)
    answer = a.ask(send("our@b:probes:sys", "", respond(), inherit=True))
    assert answer.body == "answer"
    assert [seen.source for seen in b.seen("request")][:1] == [a.address]


@spanning
def test_g1_a_node_may_name_itself_in_full(lab: SimLab) -> None:
    a, b = lab.probe("a", far=True), lab.probe("b", far=True)
    a.tell(send(f"{lab.other.name}@b:probes:sys", "hello"))
    assert b.bodies() == ["hello"]


def test_g1_a_process_spawned_without_a_name_gets_a_random_u64_in_decimal(lab: SimLab) -> None:
    a = lab.probe("a")
    a.tell(spawn(), spawn())
    names = [str(seen.body) for seen in a.seen("spawned")]
    numbers = {int(name.removesuffix(":probes:sys")) for name in names}
    assert len(numbers) == 2
    assert all(0 <= number < 2**64 for number in numbers)
    assert all(a.child(name).running for name in names)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a@b", "Upper", "x" * 64, "ä"])
def test_g1_a_child_cannot_have_a_name_that_is_none_and_the_log_says_what_is_wrong(lab: SimLab, name: str) -> None:
    a = lab.probe("a")
    a.tell(spawn(name))
    assert [seen.failure for seen in a.seen("spawned")] == ["NameTaken"]
    (line,) = a.lines()
    assert line.startswith("cannot spawn ")
    assert "process name" in line


@pytest.mark.parametrize("node", ["nolabel", "Upper.nec", "-a.nec", "a-.nec", "a..nec", "x" * 64 + ".nec", "a b.nec"])
def test_g1_a_message_to_what_is_no_node_comes_back_at_once_and_the_log_says_so(lab: SimLab, node: str) -> None:
    a = lab.probe("a")
    sent = a.tell(send(f"{node}@b:probes:sys", "lost", expects=20))
    assert [(seen.failure, seen.at, seen.body) for seen in a.seen("error")] == [("timeout", sent, "lost")]
    assert f"kernel: request from {OUR}@a:probes:sys to {node}@b:probes:sys: bad address" in lab.our.log


@pytest.mark.parametrize("process", ["UPPER:probes:sys", "b:probes", "b", "a b:probes:sys", "b:probes:sys:more"])
def test_g1_a_message_to_what_is_no_process_comes_back_at_once(lab: SimLab, process: str) -> None:
    a = lab.probe("a")
    sent = a.tell(send(f"our@{process}", "lost", expects=20))
    assert [(seen.failure, seen.at) for seen in a.seen("error")] == [("timeout", sent)]
    assert lab.dead()[-1] in (Reason.NO_SUCH_PROCESS, Reason.BAD_ADDRESS)
