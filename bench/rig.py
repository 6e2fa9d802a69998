"""A machine with guests and nothing around it: no node, no net, no control socket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import trio

from bench.guests import PACKAGE, PUBLISHER
from kernel.contract.address import Address, ProcessId
from kernel.contract.events import Answered, Inject, Start, Tick
from kernel.contract.guest import Arrival, Failure, Guest, GuestConfig, Poll, Program
from kernel.contract.message import ON_EXIT_NONE, LazyLoadBlob, Request
from kernel.contract.process import Launch
from kernel.machine import Machine
from kernel.router.kernel import Kernel
from kernel.runner import Runner
from kernel.wasm.engine import Engine

OUR = "bench.nec"
_USER = ProcessId("user", "bench", "sys")
_TIMEOUT_SECONDS = 60
_MEMORY_BYTES = 64 << 20
_POLLS = 64


class Rig:
    """Processes, and the messages that a user sends them."""

    def __init__(self, engine: Engine) -> None:
        ids = count(1)
        self.engine = engine
        self._programs: dict[bytes, Program] = {}
        """Compiled once, by code."""
        kernel = Kernel(OUR, lambda: next(ids), [(_USER, False)])
        self.machine = Machine(kernel, lambda address: GuestConfig(address, _MEMORY_BYTES))
        self.runner = Runner(self, self._carry_out, lambda _: None)
        self._answers: dict[object, Arrival | Failure] = {}
        self._answered = trio.Event()

    def start(self, name: str, wasm: bytes) -> ProcessId:
        """Make a new process; it has not run yet."""
        process = ProcessId(name, PACKAGE, PUBLISHER)
        program = self._programs.get(wasm) or self._programs.setdefault(wasm, self.engine.load(wasm))
        self.machine.handle(Start(Launch(process, program, ON_EXIT_NONE, public=True), ()), 0.0)
        return process

    def settle(self) -> None:
        """Let guests run until all wait."""
        while self.machine.can_run:
            self.machine.run(0.0, _POLLS)
            self._carry_out()

    def send(self, target: ProcessId, body: bytes, blob: bytes | None = None, now: float = 0.0) -> object:
        """Send a request; its token."""
        token = object()
        carried = None if blob is None else LazyLoadBlob(None, blob)
        request = Request(False, _TIMEOUT_SECONDS, body)
        self.machine.handle(Inject(_USER, Address(OUR, target), request, carried, token), now)
        return token

    def ask(self, target: ProcessId, body: bytes, blob: bytes | None = None) -> Arrival:
        """Send a request and run until it is answered, with nobody else about."""
        token = self.send(target, body, blob)
        while token not in self._answers:
            self.machine.run(0.0, _POLLS)
            self._carry_out()
        return self._taken(token)

    async def ask_runner(self, target: ProcessId, body: bytes) -> Arrival:
        """Send a request and return its outcome, while the runner runs."""
        token = self.send(target, body, now=trio.current_time())
        self.runner.turn()
        while token not in self._answers:
            self._answered = trio.Event()
            await self._answered.wait()
        return self._taken(token)

    def _taken(self, token: object) -> Arrival:
        answer = self._answers.pop(token)
        assert isinstance(answer, Arrival), answer
        return answer

    def _carry_out(self, _: float = 0.0, __: bool = False) -> None:
        while self.machine.actions:
            action = self.machine.actions.popleft()
            if isinstance(action, Answered):
                self._answers[action.token] = action.answer
                self._answered.set()

    # --- what the runner drives ---

    @property
    def can_run(self) -> bool:
        """Whether a process can run (`kernel.runner.Runnable`)."""
        return self.machine.can_run

    def run(self, now: float, polls: int) -> None:
        """Poll guests."""
        self.machine.run(now, polls)

    def next_deadline(self) -> float | None:
        """Return when there is something to do."""
        return self.machine.next_deadline()

    def on_timer(self, now: float) -> None:
        """Do it."""
        self.machine.handle(Tick(), now)

    def take_busy(self) -> Guest | None:
        """Return a guest for another thread."""
        return self.machine.take_busy()

    def polled(self, guest: Guest, poll: Poll, now: float) -> None:
        """Take a guest back."""
        self.machine.polled(guest, poll, now)


@contextmanager
def rig() -> Iterator[Rig]:
    """Yield a rig with an engine of its own."""
    engine = Engine(None, replayable=False)
    try:
        yield Rig(engine)
    finally:
        engine.close()


def number(index: int) -> str:
    """Return the process name of a relay."""
    return f"{index:05d}"
