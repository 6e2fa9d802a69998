"""A kernel with real guests and nothing else: what a node does for them is done here at once, and kept for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import Capability
from kernel.contract.events import (
    Action,
    Answered,
    DeadLetter,
    Inject,
    Kill,
    Load,
    Loaded,
    Output,
    Parcel,
    PeerFailed,
    Start,
    StateAction,
    StateUsed,
    Tick,
    UseState,
)
from kernel.contract.guest import Arrival, Failure, GuestConfig, Program, SpawnError
from kernel.contract.message import ON_EXIT_NONE, LazyLoadBlob, OnExit, Reason, Request
from kernel.contract.process import Launch
from kernel.machine import Machine
from kernel.router.kernel import Kernel

OUR = "our.nec"
USER = ProcessId("terminal", "terminal", "sys")
MEMORY = 64 << 20


def pid(name: str) -> ProcessId:
    """The process of that name in the test's package."""
    return ProcessId(name, "tests", "sys")


def here(name: str) -> Address:
    """Its address."""
    return Address(OUR, pid(name))


@dataclass
class Node:
    """One machine in virtual time."""

    programs: dict[str, Program] = field(default_factory=dict)
    """What processes can spawn, by path."""
    states: dict[ProcessId, bytes] = field(default_factory=dict)
    output: list[tuple[str, str]] = field(default_factory=list)
    """Process and text of what was printed and logged."""
    dead: list[DeadLetter] = field(default_factory=list)
    answers: dict[object, Arrival | Failure] = field(default_factory=dict)
    now: float = 0.0
    memory: int = MEMORY

    def __post_init__(self) -> None:
        ids = count(1)
        self.kernel = Kernel(OUR, lambda: next(ids), [(USER, False)])
        self.machine = Machine(self.kernel, self._configure)
        self._tokens = count()

    def _configure(self, address: Address) -> GuestConfig:
        return GuestConfig(address, self.memory, entropy=bytes, clock=lambda: round(self.now * 1e9))

    def start(
        self,
        name: str,
        program: Program,
        *capabilities: Capability,
        on_exit: OnExit = ON_EXIT_NONE,
        network: bool = True,
    ) -> None:
        """Start a public process and let it come to its first receive."""
        held = (*capabilities, self.kernel.grants.network) if network else capabilities
        launch = Launch(pid(name), program, on_exit, public=True)
        self.machine.handle(Start(launch, held), self.now)
        self.settle()

    def tell(self, name: str, body: bytes, blob: LazyLoadBlob | None = None, timeout: int | None = 60) -> object:
        """Send a process a request as its user; returns under what its outcome is found in `answers`."""
        token = next(self._tokens)
        self.machine.handle(Inject(USER, here(name), Request(False, timeout, body), blob, token), self.now)
        return token

    def ask(self, name: str, body: bytes, blob: LazyLoadBlob | None = None) -> Arrival:
        """The answer to a request."""
        answer = self.outcome(name, body, blob)
        assert isinstance(answer, Arrival), (answer, self.output, self.dead)
        return answer

    def outcome(self, name: str, body: bytes, blob: LazyLoadBlob | None = None) -> Arrival | Failure:
        """What becomes of a request."""
        token = self.tell(name, body, blob)
        self.settle()
        assert token in self.answers, (self.output, self.dead)
        return self.answers.pop(token)

    def settle(self, polls: int = 100_000) -> None:
        """Run until every guest waits, or has had its polls."""
        while True:
            while self.machine.actions:
                self._do(self.machine.actions.popleft())
            if not self.machine.can_run or polls <= 0:
                return
            self.machine.run(self.now, 50)
            polls -= 50

    def pass_time(self, seconds: float, polls: int = 100_000) -> None:
        """Let time go by, deadline by deadline, each with that many polls."""
        end = self.now + seconds
        while (deadline := self.machine.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.machine.handle(Tick(), self.now)
            self.settle(polls)
        self.now = end

    def close(self) -> None:
        """End every process."""
        for process in list(self.kernel.processes):
            self.machine.handle(Kill(process), self.now)

    def runs(self, name: str) -> bool:
        """Whether a process has a guest."""
        return self.machine.statistics(pid(name)) is not None

    def printed(self, name: str) -> list[str]:
        """What a process printed, and what was logged about it."""
        return [text for process, text in self.output if process == name]

    def _do(self, action: Action) -> None:
        if isinstance(action, Output):
            self.output.append((action.process.process, action.text))
        elif isinstance(action, Answered):
            self.answers[action.token] = action.answer
        elif isinstance(action, DeadLetter):
            self.dead.append(action)
        elif isinstance(action, Parcel):
            self.machine.handle(PeerFailed(action, Reason.UNREACHABLE), self.now)
        elif isinstance(action, Load):
            found = self.programs.get(action.path, SpawnError.NO_FILE_AT_PATH)
            self.machine.handle(Loaded(action.process, found), self.now)
        elif isinstance(action, UseState):
            self.machine.handle(StateUsed(action.token, self._use_state(action)), self.now)

    def _use_state(self, action: UseState) -> bytes | None:
        if action.action is StateAction.GET:
            return self.states.get(action.process)
        if action.action is StateAction.SET:
            self.states[action.process] = action.state
        else:
            self.states.pop(action.process, None)
        return None
