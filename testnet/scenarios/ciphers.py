"""Nodes on machines with and without instructions for AES, which they change: each two use what both records list.

A node that boots on another machine has another record, and the others have its former one. They notice when they meet
it, dial again, and lose nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from nectar_node.contract.config import REGISTRAR_NAME
from net.base.ciphers import ALWAYS, Cipher, choose, listed
from testnet.faults import draw
from testnet.model.lab import READY_SECONDS, Lab, NodePlan
from testnet.scenarios.scenario import Options, Plan, Scenario, require
from testnet.scenarios.witnesses import MOST_NODES, PACKAGE, WitnessRun, WitnessStory

_SECONDS = 15.0
_TIMEOUT = 20
_CIPHERS = tuple(cipher.value for cipher in Cipher)


class _Story(WitnessStory):
    def __init__(self, lab: Lab, plan: Plan) -> None:
        super().__init__(lab, plan)
        self._lists = {plan.name: plan.cipher for plan in _topology(plan.nodes)}
        """What the record of each node lists."""

    def work(self) -> None:
        """Let nodes move from machine to machine while all talk to all."""
        began = self._lab.now
        for number, (at, node, cipher) in enumerate(self._plan.options["moves"]):
            for author in self._nodes:
                others = tuple(name for name in self._nodes if name != author)
                self._witnesses.begin(WitnessRun(f"talk {number} of {author}", author, others, 20, 50, _TIMEOUT))
            self._lab.rest(max(0.0, began + at - self._lab.now))
            self._lab.crash(node)
            self._lab.set_cipher(node, cipher)
            self._lab.start(node)
            self._lists[node] = cipher
            self._lab.wait(lambda node=node: self._lab.ready(node), READY_SECONDS, f"the boot of {node}")  # type: ignore[misc]

    def check(self) -> None:
        """Check that all reach each other, and that each two use the right cipher."""
        runs = [WitnessRun(f"after it from {name}", name, self._nodes, 3, 0, _TIMEOUT) for name in self._nodes]
        self._check_calm(runs, self._nodes)
        for node in self._nodes:
            for peer, used in self._lab.ciphers(node).items():
                right = self._right(node, peer)
                require(used == right.title, f"{node} and {peer} use {used}, and both list {right.title}")
            silent = {*self._nodes} - {node} - {*self._lab.ciphers(node)}
            require(not silent, f"{node} has talked to all, and has no session with {', '.join(sorted(silent))}")

    def _right(self, node: str, peer: str) -> Cipher:
        if peer == REGISTRAR_NAME:
            return ALWAYS  # its record is fixed from the start
        return choose(*(listed(self._lists[name]) for name in (node, peer)))


def _topology(names: Sequence[str]) -> tuple[NodePlan, ...]:
    """Every second node lists AES-GCM."""
    return tuple(NodePlan(name, (PACKAGE,), cipher=_CIPHERS[index % 2]) for index, name in enumerate(names))


def _options(names: Sequence[str], chance: Random) -> Options:
    times = sorted(round(chance.uniform(0.0, _SECONDS), 3) for _ in range(chance.randint(1, 6)))
    return {"moves": [[at, chance.choice(names), chance.choice(_CIPHERS)] for at in times]}


CIPHERS = Scenario(
    name="ciphers",
    about="nodes that change their machines use the cipher that is fast on both, and lose nothing when that changes",
    nodes=("a.nec", "b.nec", "c.nec", "d.nec"),
    topology=_topology,
    options=_options,
    begin=_Story,
    drawers=draw.LINKS,
    most_nodes=MOST_NODES,
)
