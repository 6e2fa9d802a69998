"""A peer with a name of its own attacks a node, correct in every byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from testnet.model.quantity import Count, NodeName, ProcessName
from testnet.model.rule import Attack, NodeFault, Nodes

BehaviourName: TypeAlias = Literal[
    "acknowledges_all_but_one",
    "floods_huge",
    "floods_tiny",
    "grants_everything",
    "grants_nothing",
    "half_open",
    "looks_up",
    "never_acknowledges",
    "never_reads",
    "offers_exabytes",
    "one_byte_missing",
    "redials",
    "registers_names",
    "takes_circuits",
    "takes_places",
    "trickles",
]
"""The names of the classes of `testnet.hostile.behaviours`."""


@dataclass(frozen=True, slots=True)
class HostilePeer(NodeFault):
    """A peer with a registered name speaks the protocol correctly, and chooses the worst that it allows.

    It joins, attacks `node` in the way of `behaviour`, and leaves at the end. It sends its requests to the public
    process `process` there. `seed` tells several of one kind apart: all of its choices follow from it.
    """

    node: NodeName
    behaviour: BehaviourName = "never_acknowledges"
    process: ProcessName = "hello:hello:sys"
    seed: Count = 0

    @property
    def host(self) -> str:
        """Its host and its name."""
        return f"{self.behaviour.replace('_', '-')}-{self.seed}.{self.node}"

    def begin(self, nodes: Nodes) -> None:
        nodes.attack(Attack(self.node, self.behaviour, self.process, self.seed), by=self.host)

    def end(self, nodes: Nodes) -> None:
        nodes.call_off(self.host)

    def words(self) -> str:
        return f"a hostile peer of {self.node} that {_WORDS[self.behaviour]}"


_WORDS: dict[str, str] = {
    "acknowledges_all_but_one": "acknowledges all answers but one",
    "floods_huge": "sends the largest messages",
    "floods_tiny": "sends the smallest messages",
    "grants_everything": "gives a terabyte of credit, and acknowledges late",
    "grants_nothing": "gives no credit",
    "half_open": "opens connections and says nothing",
    "looks_up": "asks and pings, and reads no answer",
    "never_acknowledges": "acknowledges no answer",
    "never_reads": "reads nothing",
    "offers_exabytes": "offers files of four exabytes",
    "one_byte_missing": "leaves out the last byte of each message",
    "redials": "dials again and again",
    "registers_names": "takes one name after the other",
    "takes_circuits": "takes the circuits through which it is reached",
    "takes_places": "takes a router's places",
    "trickles": "announces the largest messages and lets them trickle",
}
