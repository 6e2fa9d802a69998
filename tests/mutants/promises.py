"""A scenario for real nodes that puts three promises to the test, and looks at none of them itself.

Whether they are kept is for those to say who watch the nodes' traces: that no request is taken twice (G4), that none
has a second outcome (G5), and that each has one (G5).
"""

from __future__ import annotations

from dataclasses import dataclass

from testnet.faults.stall import Stall
from testnet.model.lab import NodePlan
from testnet.model.where import Where
from testnet.real.socket_lab import SocketLab
from testnet.scenarios.scenario import Plan, Scenario

A, B = "a.nec", "b.nec"
HELLO = "hello:hello:sys"
GREET = {"Greet": "Ada"}
PATIENCE = 60
"""Seconds; nothing here takes so long."""


@dataclass(slots=True)
class Story:
    """See `PROMISES`."""

    lab: SocketLab

    def work(self) -> None:
        """All of it."""
        self.is_cut_off_when_it_has_taken_a_request()
        self.answers_when_it_is_too_late()
        self.asks_a_node_that_there_is_not()

    def check(self) -> None:
        """Nothing: see above."""

    def is_cut_off_when_it_has_taken_a_request(self) -> None:
        """No acknowledgement comes back, so the request is sent again on the next connection."""
        self.lab.ask(A, f"{B}@{HELLO}", GREET, PATIENCE)
        before = self.status(B, "messages")
        with self.lab.apply(Stall(Where(B, A, both=False))):
            asked = self.lab.begin(A, f"{B}@{HELLO}", GREET, PATIENCE)
            self.lab.wait(lambda: self.status(B, "messages") > before, PATIENCE, "that the request is taken")
            self.lab.cut(B)
        self.lab.wait(lambda: asked.outcome is not None, PATIENCE, "an outcome")
        self.lab.ask(A, f"{B}@{HELLO}", GREET, PATIENCE)

    def answers_when_it_is_too_late(self) -> None:
        """The answer comes before that to the next request."""
        self.lab.pause(B)
        self.lab.ask(A, f"{B}@{HELLO}", GREET, 1)
        self.lab.resume(B)
        self.lab.ask(A, f"{B}@{HELLO}", GREET, PATIENCE)

    def asks_a_node_that_there_is_not(self) -> None:
        """Its kernel gets back what its net cannot bring there."""
        before = self.status(A, "dead_letters")
        self.lab.begin(A, f"{A}@{HELLO}", {"Ask": {"node": "nobody.nec", "name": "Ada", "timeout": PATIENCE}}, PATIENCE)
        self.lab.wait(lambda: self.status(A, "dead_letters") > before, PATIENCE, "that the request comes back")

    def status(self, node: str, figure: str) -> int:
        """Such as `messages`: how many its processes were handed."""
        return int(self.lab.nodes.status(node)[figure])


def _begin(lab: object, plan: Plan) -> Story:
    assert isinstance(lab, SocketLab), "this is for real nodes"
    return Story(lab)


PROMISES = Scenario(
    name="promises",
    about="a node is cut off, answers too late, and asks nobody",
    nodes=(A, B),
    topology=lambda names: tuple(NodePlan(name, ("hello",)) for name in names),
    options=lambda names, chance: {},
    begin=_begin,
    seconds=0.0,
)
