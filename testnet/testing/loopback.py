"""Real nodes on loopback as a Lab: each an OS process, and what happens to nodes can be done to them.

What happens to links cannot be done here: each link would have to lead through something that can hold it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from random import Random

from nectar_node.errors import NodeError, NotRunning
from testnet.faults.rule import Fault, LinkFault, NodeFault, NotAtThisLevel
from testnet.lab import Json, Level, NodePlan, Outcome, OutOfTime
from testnet.local import LocalTestnet
from testnet.sim.lines import fault_begins, fault_ends
from testnet.sim.simulation import NOBODY

_GLANCE = 0.02
"""Seconds between two looks at whether something has come to pass."""
_GONE = Outcome("timeout", reason="the node has ended")


@dataclass(slots=True)
class RealAsked:
    """See `Asked`; a thread waits for the outcome."""

    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class _Later:
    due: float
    what: Callable[[], None]


@dataclass(slots=True)
class LoopbackLab:
    """See `Lab`. What `at` is told to do is done while the test waits for something, in the test's thread."""

    nodes: LocalTestnet
    seed: int
    journal: list[str] = field(default_factory=list)
    """A line for each thing that was done, as in a simulation's."""
    level: Level = Level.LOOPBACK
    _began: float = field(default_factory=time.monotonic)
    _faults: dict[int, Fault] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _later: list[_Later] = field(default_factory=list)
    _paused: set[str] = field(default_factory=set)
    _shared: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def now(self) -> float:
        """See `Lab`."""
        return time.monotonic() - self._began

    def chance(self, *purpose: str) -> Random:
        """See `Lab`."""
        return Random(f"{self.seed}/{'/'.join(purpose)}")

    # --- nodes ------------------------------------------------------------------------------------------------------

    def boot(self, *nodes: NodePlan) -> None:
        """See `Lab`."""
        self.nodes.start()
        for plan in nodes:
            self._tell(plan.name, "boots")
            options = replace(self.nodes.options, packages=plan.folders(), routers=plan.routers)
            self.nodes.add(plan.name, options)

    def running(self, name: str) -> bool:
        """See `Lab`."""
        return self.nodes.pid(name) is not None

    def ready(self, name: str) -> bool:
        """See `Lab`: a node that was started is ready."""
        return self.running(name) and name not in self._paused

    def crash(self, host: str) -> None:
        """See `Nodes`."""
        with suppress(NotRunning):
            self._paused.discard(host)
            self.nodes.kill(host)
            self._tell(host, "crashes")

    def start(self, host: str) -> None:
        """See `Nodes`."""
        if not self.running(host):
            self._tell(host, "boots")
            self.nodes.restart(host)

    def leave(self, name: str) -> None:
        """See `Lab`."""
        self.resume(name)
        self.nodes.stop(name)
        self._tell(name, "leaves")

    def pause(self, host: str) -> None:
        """See `Nodes`."""
        with suppress(NotRunning):
            self.nodes.pause(host)
            self._paused.add(host)
            self._tell(host, "pauses")

    def resume(self, host: str) -> None:
        """See `Nodes`."""
        if host in self._paused:
            self._paused.discard(host)
            with suppress(NotRunning):
                self.nodes.resume(host)
            self._tell(host, "resumes")

    def cut(self, name: str) -> None:
        """Raises NotAtThisLevel."""
        raise NotAtThisLevel(f"the connections of {name} cannot be cut on loopback; in a simulation they can be")

    def cut_power(self, host: str) -> None:
        """Raises NotAtThisLevel."""
        raise NotAtThisLevel(f"{host} has this machine's power, which cannot be cut; in a simulation it can be")

    def step_clock(self, host: str, seconds: float) -> None:
        """Raises NotAtThisLevel."""
        raise NotAtThisLevel(f"{host} has this machine's clock, which cannot be set; in a simulation it can be")

    def fill_disk(self, host: str) -> None:
        """Raises NotAtThisLevel."""
        raise NotAtThisLevel(f"{host} has this machine's disk, which cannot be filled; in a simulation it can be")

    def free_disk(self, host: str) -> None:
        """Nothing: it is never filled."""

    def impersonate(self, host: str, by: str) -> None:
        """Raises NotAtThisLevel."""
        raise NotAtThisLevel(f"no impostor of {host} can be booted on loopback; in a simulation it can be")

    def dismiss(self, host: str) -> None:
        """Nothing: there is never an impostor."""

    # --- faults -----------------------------------------------------------------------------------------------------

    @contextmanager
    def apply(self, fault: Fault) -> Iterator[None]:
        """See `Lab`."""
        number = self.inject(fault)
        try:
            yield
        finally:
            self.withdraw(number)

    def inject(self, fault: Fault) -> int:
        """See `Lab`; raises NotAtThisLevel."""
        if isinstance(fault, LinkFault) or not isinstance(fault, NodeFault):
            raise NotAtThisLevel(f"{fault.words()}: links cannot be broken on loopback; in a simulation they can be")
        number = next(self._numbers)
        self._tell(NOBODY, fault_begins(number, fault))
        if fault not in self._faults.values():
            fault.begin(self)
        self._faults[number] = fault
        return number

    def withdraw(self, number: int) -> None:
        """See `Lab`."""
        fault = self._faults.pop(number)
        self._tell(NOBODY, fault_ends(number))
        if isinstance(fault, NodeFault) and fault not in self._faults.values():
            fault.end(self)

    def at(self, seconds: float, what: Callable[[], None]) -> None:
        """See `Lab`."""
        self._later.append(_Later(self.now + seconds, what))

    # --- requests ---------------------------------------------------------------------------------------------------

    def begin(self, node: str, target: str, body: Json, timeout: int, blob: bytes | None = None) -> RealAsked:
        """See `Lab`; raises NotAtThisLevel for a blob."""
        if blob is not None:
            raise NotAtThisLevel("a request of a user carries no blob on loopback; in a simulation it may")
        asked = RealAsked()
        text = json.dumps(body)
        self._tell(node, f"user asks {target}: {text[:200]}")
        # A daemon: the test may end before the outcome is there, and it comes when the node ends.
        arguments = (asked, node, target, text, timeout)
        threading.Thread(target=self._ask, args=arguments, name=f"asks {target}", daemon=True).start()
        return asked

    def ask(self, node: str, target: str, body: Json, timeout: int, blob: bytes | None = None) -> Outcome:
        """See `Lab`."""
        asked = self.begin(node, target, body, timeout, blob)
        self.wait(
            lambda: asked.outcome is not None, timeout + 15.0, f"the outcome of {json.dumps(body)[:60]} on {node}"
        )
        assert asked.outcome is not None
        return asked.outcome

    def _ask(self, asked: RealAsked, node: str, target: str, text: str, timeout: int) -> None:
        try:
            answer = self.nodes.message(node, target, text, timeout)
        except NodeError:
            asked.outcome = _GONE
        else:
            body = json.loads(answer["body"]) if answer["outcome"] == "response" else None
            asked.outcome = Outcome(answer["outcome"], body, answer.get("reason") or "")
        self._tell(node, f"user is told {asked.outcome.kind} of {target}: {json.dumps(asked.outcome.body)[:200]}")

    def wait(self, done: Callable[[], bool], limit: float, what: str = "what was waited for") -> None:
        """See `Lab`."""
        end = self.now + limit
        while not done():
            if self.now >= end:
                raise OutOfTime(f"{what} did not come within {limit:g} s")
            self._glance(end)

    def rest(self, seconds: float) -> None:
        """See `Lab`."""
        end = self.now + seconds
        while self.now < end:
            self._glance(end)

    def _glance(self, end: float) -> None:
        due = [each for each in self._later if each.due <= self.now]
        self._later = [each for each in self._later if each not in due]
        for each in sorted(due, key=lambda each: each.due):
            each.what()
        time.sleep(max(0.0, min(_GLANCE, end - self.now)))

    # --- files and logs ---------------------------------------------------------------------------------------------

    def share(self, node: str, data: bytes, name: str) -> str:
        """See `Lab`."""
        number = next(self._shared)
        folder = self.nodes.place(node).drives / "file_transfer:sys" / "outgoing" / str(number)
        folder.mkdir(parents=True)
        (folder / name).write_bytes(data)
        return f"/file_transfer:sys/outgoing/{number}/{name}"

    def received(self, node: str, name: str) -> bytes | None:
        """See `Lab`."""
        with suppress(FileNotFoundError):
            return (self.nodes.place(node).drives / "file_transfer:sys" / "inbox" / name).read_bytes()
        return None

    def log(self, node: str) -> list[str]:
        """See `Lab`."""
        return self.nodes.log(node).splitlines()

    def note(self, text: str) -> None:
        """See `Lab`."""
        self._tell(NOBODY, f"note {text}")

    def close(self) -> None:
        """All of the network ends."""
        for name in list(self._paused):
            self.resume(name)
        self.nodes.close()

    def _tell(self, node: str, what: str) -> None:
        if not what.isprintable():
            what = what.encode("unicode_escape").decode()
        self.journal.append(f"{self.now:.9f} {node} {what}")


@contextmanager
def open_loopback(folder: Path, seed: int) -> Iterator[LoopbackLab]:
    """A network in `folder` in which nothing runs yet, until the end of this."""
    lab = LoopbackLab(LocalTestnet(folder), seed)
    try:
        yield lab
    finally:
        lab.close()
