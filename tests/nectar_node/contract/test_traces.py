"""Traces of whole nodes in virtual time: what the lineages look like that touch an address."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel.contract.address import Address
from kernel.contract.message import Request
from kernel.wasm.engine import Engine
from nectar_node.contract.traces import Traced, TraceStep
from testnet.sim.simulation import SimNode, Simulation

PACKAGES = Path(__file__).resolve().parents[3] / "packages"
HELLO = "hello:hello:sys"
ASK = b'{"Ask":{"node":"recv.nec","name":"you","timeout":5}}'


@pytest.fixture
def nodes(replayable: Engine) -> tuple[SimNode, SimNode]:
    simulation = Simulation(20261124, replayable)
    pair = tuple(simulation.add(name, (PACKAGES / "hello" / "pkg",)) for name in ("send.nec", "recv.nec"))
    simulation.settle()
    return pair[0], pair[1]


def follow(node: SimNode, address: str, token: object) -> None:
    node.core.trace(Address.parse(address), token)


def steps(traced: list[Traced], token: object) -> list[tuple[str, str, str]]:
    """Step, source and target, each by process name."""
    records = [each.record for each in traced if each.token is token]
    return [(each.step.value, each.source.process.process, each.target.process.process) for each in records]


def test_a_request_and_its_answer_are_one_lineage_across_nodes(nodes: tuple[SimNode, SimNode]) -> None:
    send, _ = nodes
    follow(send, f"send.nec@{HELLO}", "mine")
    send.ask(f"send.nec@{HELLO}", ASK, 10)
    assert [(each.record.step, each.record.target.node) for each in send.traced] == [
        (TraceStep.SENT, "send.nec"),
        (TraceStep.HANDED, "send.nec"),
        (TraceStep.SENT, "recv.nec"),
        (TraceStep.HANDED, "recv.nec"),
        (TraceStep.ARRIVED, "recv.nec"),
        (TraceStep.ANSWERED, "send.nec"),
        (TraceStep.ANSWERED, "send.nec"),
    ]
    asked, sent = send.traced[0].record, send.traced[2].record
    assert sent.parent == asked.id
    assert {each.record.root for each in send.traced} == {asked.id}


def test_g3_what_another_node_says_of_its_process_is_marked_as_a_claim(nodes: tuple[SimNode, SimNode]) -> None:
    send, recv = nodes
    follow(recv, f"recv.nec@{HELLO}", "mine")
    send.ask(f"send.nec@{HELLO}", ASK, 10)
    assert [(each.record.step, each.record.claimed) for each in recv.traced] == [
        (TraceStep.SENT, True),
        (TraceStep.HANDED, True),
        (TraceStep.ANSWERED, False),
    ]


def test_g16_a_message_that_fails_says_why(nodes: tuple[SimNode, SimNode]) -> None:
    send, _ = nodes
    follow(send, f"send.nec@{HELLO}", "mine")
    send.ask(f"send.nec@{HELLO}", ASK.replace(b"recv.nec", b"nobody.nec"), 10)
    failed = [each.record for each in send.traced if each.record.step is TraceStep.FAILED]
    assert [(each.target.node, each.reason) for each in failed] == [("nobody.nec", "no such name")]


def test_who_follows_gets_the_whole_lineage_of_what_touches_its_address_until_it_does_no_longer(
    nodes: tuple[SimNode, SimNode],
) -> None:
    send, _ = nodes
    follow(send, f"recv.nec@{HELLO}", "remote")
    follow(send, "send.nec@nobody:hello:sys", "nobody")
    send.ask(f"send.nec@{HELLO}", ASK, 10)
    assert len(steps(send.traced, "remote")) == 7
    assert steps(send.traced, "nobody") == []


def test_who_follows_everything_gets_each_step_once_alone_and_beside_another(nodes: tuple[SimNode, SimNode]) -> None:
    send, _ = nodes
    send.core.trace(None, "all")
    send.ask(f"send.nec@{HELLO}", ASK, 10)
    alone = steps(send.traced, "all")
    follow(send, f"send.nec@{HELLO}", "another")
    send.ask(f"send.nec@{HELLO}", ASK, 10)
    assert steps(send.traced, "all") == alone * 2
    assert steps(send.traced, "another") == alone
    send.core.untrace("another")
    send.ask(f"send.nec@{HELLO}", ASK, 10)
    assert steps(send.traced, "all") == alone * 3


def test_a_follower_who_leaves_within_a_turn_gets_what_that_turn_has_brought(nodes: tuple[SimNode, SimNode]) -> None:
    core, now = nodes[0].core, 60.0
    core.trace(None, "mine")
    core.inject(Address.parse(f"our@{HELLO}"), Request(False, 5, ASK), None, "asked", now)
    core.untrace("mine")
    traced = [each for each in core.settle(now) if isinstance(each, Traced)]
    assert [each.record.step for each in traced] == [TraceStep.SENT, TraceStep.HANDED]


def test_nothing_is_written_down_once_nobody_follows(nodes: tuple[SimNode, SimNode]) -> None:
    send, _ = nodes
    follow(send, f"send.nec@{HELLO}", "mine")
    send.core.untrace("mine")
    send.ask(f"send.nec@{HELLO}", ASK, 10)
    assert send.traced == []
    assert send.core.kernel.tracer is None
