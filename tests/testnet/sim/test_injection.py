"""An exception at a random call inside the net or a system process never ends more than what it happened in.

Whole nodes in virtual time, with real guests. One run without any says which calls there are, and each seed draws one
of them; `tests.injections` says how to play one again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from kernel.contract.guest import Arrival, Failure
from testnet.sim.injection import Injection, Probe
from testnet.sim.programs import Programs
from testnet.sim.simulation import LinkBehaviour, NodeSpec, SimNode, Simulation
from tests.injections import play_seeds

SEEDS = range(12)
"""In every run of the tests; tests/net/peering/test_containment.py has the others."""
LONG_SEEDS = range(1_000, 3_000)
"""In `make soak`."""
PACKAGES = Path(__file__).resolve().parents[3] / "packages"
A, B = "a.nec", "b.nec"
LIMIT = 20
"""Seconds that a request gives its answer."""
NET, SYSTEM = "net", "nectar_node/system"
_GUARDS = ("SystemProcesses.", "Saver.", "Network.new_connection", "Network.statistics", "Timers.when")
"""What catches exceptions, or is asked by the lab alone, or by the core itself, too."""
_OWN = "terminal:terminal:sys"
_FILE = "/terminal:sys/notes/a"


class SentRequest(NamedTuple):
    """A request in the user's name."""

    node: str
    target: str
    body: object
    blob: bytes | None = None

    @property
    def abroad(self) -> bool:
        """Whether its outcome depends on another node."""
        return "hello" in self.target or "@" in self.target.removeprefix("our@")


def greeting(node: str, other: str) -> SentRequest:
    """A guest asks one on another node."""
    return SentRequest(node, "our@hello:hello:sys", {"Ask": {"node": other, "name": node, "timeout": LIMIT}})


def questions(node: str, other: str) -> list[list[SentRequest]]:
    """One for every system process, in rounds; the later ones use what the earlier ones have made."""
    vfs, state, kernel = "our@vfs:distro:sys", "our@state:distro:sys", "our@kernel:distro:sys"
    echo = (PACKAGES / "echo" / "pkg" / "echo.wasm").read_bytes()
    made = {"id": "probe:probes:sys", "on_exit": "None", "initial_capabilities": [], "public": True}
    return [
        [
            greeting(node, other),
            SentRequest(node, vfs, {"path": "/terminal:sys/notes", "action": "CreateDrive"}),
            SentRequest(node, "our@timer:distro:sys", {"SetTimer": 100}),
            SentRequest(node, "our@timer:distro:sys", {"SetTimer": 200}),
            SentRequest(node, state, {"SetState": _OWN}, b"kept"),
            SentRequest(node, kernel, {"InitializeProcess": made}, echo),
            SentRequest(node, "our@net:distro:sys", "GetPeers"),
            SentRequest(node, f"{other}@net:distro:sys", "hello"),
        ],
        [
            greeting(node, other),
            SentRequest(node, vfs, {"path": _FILE, "action": {"OpenFile": {"create": True}}}),
            SentRequest(node, vfs, {"path": _FILE, "action": "WriteAll"}, b"some text"),
            SentRequest(node, state, {"GetState": _OWN}),
            SentRequest(node, kernel, {"RunProcess": "probe:probes:sys"}),
            SentRequest(node, kernel, {"Debug": "ProcessMap"}),
            SentRequest(node, "our@net:distro:sys", {"GetName": other}),
        ],
        [
            SentRequest(node, vfs, {"path": _FILE, "action": "Read"}),
            SentRequest(node, vfs, {"path": _FILE, "action": "Hash"}),
            SentRequest(node, vfs, {"path": "/terminal:sys/notes", "action": "ReadDir"}),
            SentRequest(node, state, {"DeleteState": _OWN}),
            SentRequest(node, kernel, {"KillProcess": "probe:probes:sys"}),
            greeting(node, other),
        ],
    ]


class Once(dict[object, Arrival | Failure]):
    """Outcomes of requests: each has one (G5)."""

    def __setitem__(self, token: object, outcome: Arrival | Failure) -> None:
        assert token not in self, "a request has two outcomes"
        super().__setitem__(token, outcome)


class Play:
    """One run of the scenario; what came of each request, and when."""

    def __init__(self, programs: Programs, injection: Injection | None) -> None:
        self.probe = Probe((NET, SYSTEM), SimNode, injection, guards=_GUARDS)
        self.simulation = Simulation(1, programs, LinkBehaviour(0.001, 0.0))
        self.simulation.contained = []
        self.outcomes: list[tuple[SentRequest, object, float]] = []
        self.after: list[object] = []
        try:
            self._boot()
            for rounds in zip(questions(A, B), questions(B, A), strict=True):
                self.outcomes += self._ask([*rounds[0], *rounds[1]])
            self.simulation.at(0.0, lambda: self.simulation.cut(A))
            self.outcomes += self._ask([greeting(A, B), greeting(B, A)])
            self._run_scripts()
            self.probe.end()
            self.simulation.rest(120.0)
            self.after = [answer for _, answer, _ in self._ask([greeting(A, B), greeting(B, A)])]
            self.after += [answer for _, answer, _ in self._ask(_healthy(A) + _healthy(B))]
        finally:
            self.probe.end()
            for node in self.simulation.nodes.values():
                node.core.machine.close()

    def _boot(self) -> None:
        for name in (A, B):
            node = self.simulation.boot_node(NodeSpec(name, tuple(PACKAGES / each for each in ("hello", "terminal"))))
            node._answers = Once()
        self._until(lambda: all(node.ready for node in self.simulation.nodes.values()), 60.0)
        self._until(lambda: all(self.simulation.nodes[name].joined for name in (A, B)), 60.0)

    def _ask(self, asked: list[SentRequest]) -> list[tuple[SentRequest, object, float]]:
        nodes = self.simulation.nodes
        times: dict[int, float] = {}
        tokens: dict[tuple[str, int], object] = {}
        for each in asked:
            self.probe.begin_step()
            body = json.dumps(each.body).encode()
            tokens[each.node, id(each)] = nodes[each.node].begin_to_ask(each.target, body, LIMIT, each.blob)
        began = self.simulation.now

        def all_there() -> bool:
            for (name, number), token in tokens.items():
                if number not in times and nodes[name].answer(token) is not None:
                    times[number] = self.simulation.now - began
            return len(times) == len(tokens)

        self._until(all_there, LIMIT + 1.0)
        return [(each, _shown(nodes[each.node].answer(tokens[each.node, id(each)])), times[id(each)]) for each in asked]

    def _run_scripts(self) -> None:
        node = self.simulation.nodes[A]
        for line in ("echo one", "nothing"):
            self.probe.begin_step()
            token = node.begin_script(line, LIMIT)
            began = self.simulation.now
            self._until(partial(_is_answered, node, token), LIMIT + 1.0)
            asked = SentRequest(A, "our@terminal:terminal:sys", line)
            self.outcomes.append((asked, _shown(node.answer(token)), self.simulation.now - began))

    def _until(self, done: Callable[[], bool], seconds: float) -> None:
        simulation, end = self.simulation, self.simulation.now + seconds
        while not done():
            assert simulation._heap, "something has no outcome, and never will"
            assert simulation._heap[0][0] <= end, "something has no outcome"
            self.probe.begin_step()
            simulation.step()


def _is_answered(node: SimNode, token: object) -> bool:
    return node.answer(token) is not None


def _healthy(node: str) -> list[SentRequest]:
    return [
        SentRequest(node, "our@vfs:distro:sys", {"path": "/terminal:sys/again", "action": "CreateDrive"}),
        SentRequest(node, "our@timer:distro:sys", {"SetTimer": 50}),
        SentRequest(node, "our@state:distro:sys", {"SetState": _OWN}, b"again"),
        SentRequest(node, "our@kernel:distro:sys", {"KillProcess": "nobody:probes:sys"}),
        SentRequest(node, "our@net:distro:sys", {"GetName": "nobody.nec"}),
    ]


def _shown(outcome: Arrival | Failure | None) -> object:
    if isinstance(outcome, Arrival):
        return outcome.message.body, None if outcome.blob is None else bytes(outcome.blob.bytes)
    assert isinstance(outcome, Failure)
    return outcome.error.kind.name


def _tells_of_peers(asked: SentRequest) -> bool:
    """Whether the answer shows figures that any delay changes."""
    return asked.body == "GetPeers" or (isinstance(asked.body, dict) and "Debug" in asked.body)


def problems(clean: Play, injected: Play) -> Iterator[str]:
    """What more has ended than may."""
    if not injected.probe.raised:
        return  # what earlier runs of this process have left in some cache was not asked for again
    if injected.after != clean.after:
        yield f"two minutes later not all is as before: {injected.after}"
    if injected.simulation.contained is None or len(injected.simulation.contained) > 1:
        yield f"one exception is counted as {injected.simulation.contained}"
    differing = [
        (asked, outcome, seconds)
        for (asked, outcome, seconds), (_, before, _) in zip(injected.outcomes, clean.outcomes, strict=True)
        if outcome != before and not _tells_of_peers(asked)
    ]
    local = [each for each in differing if not each[0].abroad]
    if len({(asked.node, asked.target) for asked, _, _ in local}) > 1:
        yield f"requests to more than one system process ended differently: {local}"
    sorry = [outcome for _, outcome, _ in local if b"the node failed" in str(outcome).encode().lower()]
    if len(sorry) > 1:
        yield f"one exception is the end of more than one request: {local}"
    for asked, outcome, seconds in local:
        if seconds >= LIMIT:
            yield f"{asked} had to wait for {outcome} until its time was up"


@pytest.fixture(scope="module")
def clean(nectar_programs: Programs) -> Play:
    return Play(nectar_programs, None)


def test_g5_an_exception_in_the_net_or_a_system_process_ends_no_more_than_it_happened_in(
    clean: Play, nectar_programs: Programs
) -> None:
    raised = []

    def play(injection: Injection) -> Iterator[str]:
        injected = Play(nectar_programs, injection)
        raised.append(injected.probe.raised)
        return problems(clean, injected)

    play_seeds(SEEDS, clean.probe.reached, play)
    assert raised.count(True) >= 0.9 * len(raised)


@pytest.mark.long
def test_g5_an_exception_in_the_net_or_a_system_process_ends_no_more_than_it_happened_in_many_times(
    clean: Play, nectar_programs: Programs
) -> None:
    play_seeds(LONG_SEEDS, clean.probe.reached, lambda injection: problems(clean, Play(nectar_programs, injection)))
