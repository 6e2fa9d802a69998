"""Each behaviour of a hostile peer against a simulated node: it does as it is called, and breaks no rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest

from net.base.errors import GoodbyeCode
from testnet.faults.hostile_peer import BehaviourName, HostilePeer
from testnet.hostile.behaviours import BEHAVIOURS, MODEST
from testnet.model.hostile_names import is_hostile
from testnet.model.lab import NodeHolding
from testnet.sim.attacker import SimAttacker
from testnet.sim.holding import holding
from testnet.sim.names import REGISTRAR
from testnet.sim.programs import Programs
from tests.testnet.faults.network import GREETED, A, B, Network

SECONDS = 4.0
RULES = (GoodbyeCode.BAD_FRAME, GoodbyeCode.BAD_RECORD, GoodbyeCode.BAD_HANDSHAKE, GoodbyeCode.NOT_BELIEVED)
"""What a peer that breaks a rule of docs/wire.md is told."""
AT_THE_REGISTRAR = ("looks_up", "registers_names")


def attack(network: Network, behaviour: BehaviourName, node: str) -> tuple[SimAttacker, NodeHolding]:
    """Some seconds of it: the attacker, and what the node holds in the end."""
    simulation, fault = network.simulation, HostilePeer(node, behaviour)
    with simulation.apply(fault):
        simulation.rest(SECONDS)
        return simulation.attackers[fault.host], holding(simulation.nodes[node])


def test_a_fault_can_have_each_behaviour() -> None:
    assert get_args(BehaviourName) == tuple(BEHAVIOURS)


@pytest.mark.parametrize("behaviour", get_args(BehaviourName))
def test_it_breaks_no_rule_and_nobody_notices(programs: Programs, behaviour: BehaviourName) -> None:
    network = Network(programs).acquainted()
    attacker, _ = attack(network, behaviour, REGISTRAR if behaviour in AT_THE_REGISTRAR else B)
    counts = attacker.core.counts
    assert not set(RULES) & set(counts.cut), counts.words()
    assert counts.names >= 1
    assert network.greet().what == GREETED


WORST: dict[BehaviourName, Callable[[SimAttacker, NodeHolding], bool]] = {
    "floods_tiny": lambda attacker, there: attacker.core.counts.live == 1,
    "grants_nothing": lambda attacker, there: there.counts["messages for others"] > MODEST.requests // 2,
    "half_open": lambda attacker, there: there.counts["connections"] > MODEST.connections // 2,
    "never_acknowledges": lambda attacker, there: there.counts["messages for others"] > MODEST.requests // 2,
    "redials": lambda attacker, there: attacker.core.counts.live > MODEST.dials // 2,
    "takes_places": lambda attacker, there: there.counts["places"] > 1,
    "registers_names": lambda attacker, there: attacker.core.counts.names > MODEST.names // 2,
}


@pytest.mark.parametrize("behaviour", WORST)
def test_it_does_as_it_is_called(programs: Programs, behaviour: BehaviourName) -> None:
    node = REGISTRAR if behaviour in AT_THE_REGISTRAR else B
    attacker, there = attack(Network(programs), behaviour, node)
    assert WORST[behaviour](attacker, there), (attacker.core, there)


def test_when_it_has_left_there_is_no_connection_to_it(programs: Programs) -> None:
    network = Network(programs).acquainted()
    before = holding(network.b)
    attack(network, "never_acknowledges", B)
    network.simulation.rest(10.0)
    assert holding(network.b) == before


def test_all_that_it_chooses_comes_from_the_seed(programs: Programs) -> None:
    def journal(seed: int) -> list[str]:
        network = Network(programs)
        with network.simulation.apply(HostilePeer(B, "grants_everything", seed=seed)):
            network.simulation.rest(SECONDS)
        return network.simulation.journal

    first, again, other = journal(1), journal(1), journal(2)
    assert first == again
    assert first != other


def test_its_names_are_those_of_hostile_peers(programs: Programs) -> None:
    network = Network(programs)
    with network.simulation.apply(HostilePeer(B, "never_acknowledges")):
        network.simulation.rest(SECONDS)
        peers = [peer.name for peer in network.b.core.network.peers() if peer.name not in (A, REGISTRAR)]
    assert len(peers) == 1
    assert all(map(is_hostile, peers))
