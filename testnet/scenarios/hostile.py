"""Hostile peers, while honest nodes go about their business: that takes no more than five times as long as before.

Honest nodes do the same round of requests again and again, first while all is quiet and then under attack. So the
reference is of the same network and the same requests, at every level.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import get_args

from nectar_node.contract.config import REGISTRAR_NAME
from testnet.faults.hostile_peer import BehaviourName, HostilePeer
from testnet.faults.schedule import Schedule, Step, ordered
from testnet.model.lab import Json, Lab, Level, NodeHolding, NodePlan, Outcome, SentRequest
from testnet.scenarios.scenario import Options, Plan, Scenario, require

CHAT = "our@chat:chat:sys"
HELLO = "hello:hello:sys"
FILES = "our@file_transfer:file_transfer:sys"
SLOWER = 5.0
"""Times, at most: how long a request takes while there are hostile peers, against the same without them (p99)."""
LEAST_SECONDS = {Level.SIMULATION: 0.1, Level.LOOPBACK: 5.0, Level.NAMESPACES: 5.0}
"""A request may take so long in any case: hostile peers and real nodes share the cores of one machine."""
JOIN_SECONDS = {Level.SIMULATION: 5.0, Level.LOOPBACK: 20.0, Level.NAMESPACES: 20.0}
"""Seconds in which a node boots, has its name and its place at its router, and is reached, in spite of attacks."""
PATIENCE = 30
"""Seconds that a user waits for an outcome."""
ROUND_SECONDS = 5.0
GONE_SECONDS = 30.0
"""Seconds after which nothing of the hostile peers is left."""
MEMORY_BYTES = 32 << 20
"""The budget of a node in a simulation; the smallest that a real one may be told is larger. One hostile peer alone
would fill it."""
LEFT_BYTES = {Level.SIMULATION: 0, Level.LOOPBACK: 200 << 20, Level.NAMESPACES: 200 << 20}
"""Bytes that a node may hold more afterwards than before."""
_LISTEN = 2
"""Nodes that are reached by themselves."""
_LOOK_SECONDS = 1.0
_SIZES = (0, 1000, 65_536, 300_000)
_NAMES = 66
"""Names that a hostile peer gets from one address within the run, and one for an honest node."""
_AFTER_NAMES: tuple[BehaviourName, ...] = ("registers_names", "takes_circuits", "takes_places")
_HONEST = ("connections", "live sessions", "places", "circuits")
"""Of these counts, honest nodes that join, and the greetings that check the healing, cause some."""
_MORE = 8
"""The most that a count may exceed the one before."""
_AT_THE_REGISTRAR: tuple[BehaviourName, ...] = ("looks_up", "registers_names")
"""Behaviours that make sense against a registrar only."""
_ANYWHERE: tuple[BehaviourName, ...] = ("floods_tiny", "half_open", "never_reads", "redials", "trickles")


@dataclass(slots=True)
class _Request:
    """A request of a user."""

    kind: str
    words: str
    right: Callable[[Outcome], bool]
    """Whether that is the outcome that it must have."""
    began: float
    sent: SentRequest
    seconds: float | None = None
    """Seconds until its outcome; None: it has none."""


@dataclass(slots=True)
class _Requests:
    """Requests of honest users, and when each had its outcome."""

    lab: Lab
    when: str
    all: list[_Request] = field(default_factory=list)
    _waiting: list[_Request] = field(default_factory=list)

    def begin(self, kind: str, node: str, target: str, body: Json, right: Callable[[Outcome], bool]) -> None:
        """Send a request in the name of a node's user."""
        sent = self.lab.begin(node, target, body, PATIENCE)
        request = _Request(kind, f"{node}'s {kind} {self.when}", right, self.lab.now, sent)
        self.all.append(request)
        self._waiting.append(request)

    def over(self) -> bool:
        """Whether all that were begun have their outcomes; while `Lab.wait` asks, each is seen when it comes."""
        for request in self._waiting:
            if request.sent.outcome is not None:
                request.seconds = self.lab.now - request.began
        self._waiting = [request for request in self._waiting if request.seconds is None]
        return not self._waiting

    def check(self) -> None:
        """Check that each has had the outcome that it must have."""
        for request in self.all:
            outcome = request.sent.outcome
            assert outcome is not None
            shown = f"{outcome.kind} {outcome.reason or str(outcome.body)[:200]}"
            require(request.right(outcome), f"{request.words} had a wrong outcome: {shown}")


class _Story:
    """Made when all is quiet."""

    def __init__(self, lab: Lab, plan: Plan) -> None:
        self._lab = lab
        self._plan = plan
        self._nodes = plan.nodes
        self._rounds = 0
        for node in self._nodes:
            outcome = lab.ask(node, CHAT, {"Join": {"members": list(self._nodes)}}, 60)
            require(outcome.body == "Joined", f"{node} did not join the chat: {outcome}")
        for hidden in self._nodes[_LISTEN:]:
            for node in self._nodes[:_LISTEN]:
                self._meet(node, hidden, lab.now + JOIN_SECONDS[lab.level])
        self._play_round("at first")  # everybody meets everybody
        self._usual = _p99([self._play_round("while all was quiet")])
        lab.rest(1.0)
        self._before = {node: lab.holding(node) for node in self._watched}
        self._over = False

    @property
    def _watched(self) -> tuple[str, ...]:
        return (REGISTRAR_NAME, *self._nodes)

    def work(self) -> None:
        """Play the same round again and again, and let a node join in between."""
        began = self._lab.now
        self._look()
        rounds: list[_Requests] = []
        for number in range(self._plan.options["courses"]):
            self._lab.rest(max(0.0, began + number * ROUND_SECONDS - self._lab.now))
            if number == self._plan.options["joins"]:
                self._join("late.nec")
            rounds.append(self._play_round("under attack"))
            self._check_times(rounds)
        self._over = True

    def _play_round(self, when: str) -> _Requests:
        """Play one round, and check that all requests had the right outcomes."""
        self._rounds += 1
        requests = _Requests(self._lab, when)
        begun = []
        for at, kind, source, target, size in self._plan.options["course"]:
            begin = self._beginning(requests, kind, source, target, size)
            self._lab.at(at, lambda begin=begin: begun.append(begin()))  # type: ignore[misc]
        requests_planned = self._plan.options["course"]
        what = f"the outcome of all that honest nodes asked for {when}"
        self._lab.wait(
            lambda: requests.over() and len(begun) == len(requests_planned), ROUND_SECONDS + PATIENCE + 15.0, what
        )
        requests.check()
        return requests

    def _beginning(self, requests: _Requests, kind: str, source: str, target: str, size: int) -> Callable[[], None]:
        match kind:
            case "greeting":
                return lambda: requests.begin(kind, source, f"{target}@{HELLO}", {"Greet": "Ada"}, _greeted)
            case "line":
                others = sorted(set(self._nodes) - {source})
                return lambda: requests.begin(kind, source, CHAT, {"Say": "hello"}, _heard_by(others))
            case _:
                return lambda: self._send_file(requests, source, target, size)

    def _send_file(self, requests: _Requests, source: str, target: str, size: int) -> None:
        name = f"{self._rounds}-{len(requests.all)}.bin"
        data = self._lab.chance("file", name).randbytes(size)
        order = {"Send": {"id": name, "path": self._lab.share(source, data, name), "name": name, "to": target}}
        lab = self._lab
        requests.begin(
            "file", source, FILES, order, lambda outcome: _done(outcome) and lab.received(target, name) == data
        )

    def _join(self, name: str) -> None:
        """Boot a node that is reached through the first one alone, and let it reach others that are."""
        began, limit = self._lab.now, JOIN_SECONDS[self._lab.level]
        self._lab.boot(NodePlan(name, ("hello",), (self._nodes[0],)))
        self._meet(self._nodes[1], name, began + limit)
        for hidden in self._nodes[_LISTEN:]:
            outcome = self._lab.ask(name, f"{hidden}@{HELLO}", {"Greet": "Ada"}, PATIENCE)
            require(_greeted(outcome), f"{name} does not reach {hidden} behind {self._nodes[0]}: {outcome.reason}")
        seconds = self._lab.now - began
        require(seconds <= limit, f"{name} was reached {seconds:.1f} s after its boot, and not within {limit:g} s")

    def _meet(self, node: str, hidden: str, limit: float) -> None:
        """Let one node greet another that has just booted behind the first one, as soon as that has its place there."""
        while not _greeted(outcome := self._lab.ask(node, f"{hidden}@{HELLO}", {"Greet": "Ada"}, PATIENCE)):
            late = self._lab.now >= limit
            require(not late, f"{hidden} boots behind {self._nodes[0]}, and is not reached: {outcome.reason}")
            self._lab.rest(0.5)

    def _look(self) -> None:
        """Measure what the nodes hold, every second."""
        for node in self._watched if not self._over else ():
            require(self._lab.running(node), f"{node} has ended")
            held = self._lab.holding(node)
            words = f"{node} holds {held.memory >> 20} MiB for others, of {held.most >> 20} that it may"
            require(held.memory <= held.most, words)
        if not self._over:
            self._lab.at(_LOOK_SECONDS, self._look)

    def _check_times(self, rounds: Sequence[_Requests]) -> None:
        for kind, seconds in _p99(rounds).items():
            usual = max(self._usual[kind], LEAST_SECONDS[self._lab.level] / SLOWER)
            words = f"a {kind} took {seconds:.3f} s (p99) under attack, and {usual:.3f} s while all was quiet"
            require(seconds <= SLOWER * usual, words)

    def check(self) -> None:
        """Check that the hostile peers are gone, and all that they made the nodes hold."""
        self._lab.rest(GONE_SECONDS)
        for node in self._watched:
            self._check_left(node, self._before[node], self._lab.holding(node))

    def _more(self, what: str) -> int:
        """Return how much more of a count there may be afterwards."""
        if what == "names":
            chosen = [step.fault.behaviour for step in self._plan.schedule if isinstance(step.fault, HostilePeer)]
            return sum(_NAMES if behaviour in _AFTER_NAMES else 2 for behaviour in chosen) + 1
        return _MORE if what in _HONEST else 0

    def _check_left(self, node: str, before: NodeHolding, after: NodeHolding) -> None:
        text = f"{GONE_SECONDS:g} s after all hostile peers had left, {node} has"
        for what, count in after.counts.items():
            usual = before.counts[what] + self._more(what)
            require(count <= usual, f"{text} {what}: {count}, and {before.counts[what]} before")
        most = before.memory + LEFT_BYTES[self._lab.level]
        require(after.memory <= most, f"{text} {after.memory >> 20} MiB in use, and {before.memory >> 20} before")


def _p99(rounds: Iterable[_Requests]) -> dict[str, float]:
    """Return, by kind of request, the 99th percentile of the seconds that they took."""
    taken: defaultdict[str, list[float]] = defaultdict(list)
    for request in (request for each in rounds for request in each.all):
        assert request.seconds is not None
        taken[request.kind].append(request.seconds)
    return {kind: sorted(seconds)[math.ceil(0.99 * len(seconds)) - 1] for kind, seconds in taken.items()}


def _greeted(outcome: Outcome) -> bool:
    return outcome.kind == "response" and "Greeting" in outcome.body


def _done(outcome: Outcome) -> bool:
    return outcome.kind == "response" and "Done" in outcome.body


def _heard_by(others: Sequence[str]) -> Callable[[Outcome], bool]:
    return lambda outcome: (
        outcome.kind == "response" and sorted(outcome.body.get("Said", {}).get("heard", ())) == others
    )


def _topology(names: Sequence[str]) -> tuple[NodePlan, ...]:
    """Make nodes of which those after the second are reached through the first."""
    packages = ("hello", "chat", "file_transfer")
    return tuple(
        NodePlan(name, packages, () if number < _LISTEN else (names[0],), MEMORY_BYTES)
        for number, name in enumerate(names)
    )


def _options(names: Sequence[str], chance: Random) -> Options:
    """Draw the requests of a round. The first node is attacked most, so it takes part in everything."""
    planned: list[list[object]] = []
    for kind in ("greeting",) * 10 + ("line",) * 2 + ("file",):
        pair = [names[0], chance.choice(list(names[1:]))]
        chance.shuffle(pair)
        planned.append([round(chance.uniform(0.0, ROUND_SECONDS - 1.0), 3), kind, *pair, chance.choice(_SIZES)])
    return {"course": sorted(planned), "courses": 4, "joins": chance.choice((0, 1, 2, None))}


def _attackers(nodes: Sequence[str], seconds: float, chance: Random) -> Schedule:
    """Draw one to three attackers, most of them of the first node; the longest stay as long as there are faults."""
    steps = []
    for seed in range(chance.choice((1, 1, 1, 2, 3))):
        behaviour: BehaviourName = chance.choice(get_args(BehaviourName))
        node = nodes[0] if behaviour == "takes_places" or chance.random() < 0.7 else chance.choice(nodes[:_LISTEN])
        if behaviour == "takes_circuits":
            node = nodes[-1]
        if behaviour in _AT_THE_REGISTRAR or (behaviour in _ANYWHERE and chance.random() < 0.2):
            node = REGISTRAR_NAME
        at = round(chance.uniform(0.0, 4.0), 3)
        until = round(min(seconds, at + chance.uniform(6.0, seconds)), 3)
        steps.append(Step(at, until, HostilePeer(node, behaviour, seed=seed)))
    return ordered(steps)


HOSTILE = Scenario(
    name="hostile",
    about="while hostile peers do the worst that they may, honest nodes are served, and nothing of it is left",
    nodes=("victim.nec", "friend.nec", "hidden.nec"),
    topology=_topology,
    options=_options,
    begin=_Story,
    draw=_attackers,
    seconds=20.0,
    most_nodes=32,
)
