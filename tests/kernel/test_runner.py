"""The runner on trio, with real guests and the real clock behind pre-emption."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import trio

from kernel.contract.address import Address, ProcessId
from kernel.contract.events import Answered, Inject, Kill, Start, Tick
from kernel.contract.guest import Arrival, Failure, Guest, GuestConfig, Poll
from kernel.contract.message import ON_EXIT_NONE, Reason, Request
from kernel.contract.process import Launch
from kernel.machine import Machine
from kernel.router.kernel import Kernel
from kernel.runner import Runner
from kernel.wasm.engine import Engine
from tests.kernel.wasm.guests import receiver, wat

OUR = "our.nec"
TERMINAL = ProcessId("terminal", "terminal", "sys")
PACKAGES = Path(__file__).resolve().parents[2] / "packages"
LIMIT_SECONDS = 60


class Driven:
    """A machine as the runner wants it, and the answers that came out of it."""

    def __init__(self, engine: Engine) -> None:
        ids = count(1)
        self.engine = engine
        kernel = Kernel(OUR, lambda: next(ids), [(TERMINAL, False)])
        self.machine = Machine(kernel, lambda address: GuestConfig(address, 16 << 20))
        self.answers: dict[object, Arrival | Failure] = {}
        self.answered = trio.Event()
        self.lent = 0
        self.runner = Runner(self, self.carry_out, lambda _: None)

    @property
    def can_run(self) -> bool:
        return self.machine.can_run

    def run(self, now: float, polls: int) -> None:
        self.machine.run(now, polls)

    def next_deadline(self) -> float | None:
        return self.machine.next_deadline()

    def on_timer(self, now: float) -> None:
        self.machine.handle(Tick(), now)

    def take_busy(self) -> Guest | None:
        guest = self.machine.take_busy()
        self.lent += guest is not None
        return guest

    def polled(self, guest: Guest, poll: Poll, now: float) -> None:
        self.machine.polled(guest, poll, now)

    def carry_out(self, _: float, __: bool) -> None:
        while self.machine.actions:
            action = self.machine.actions.popleft()
            if isinstance(action, Answered):
                self.answers[action.token] = action.answer
                self.answered.set()

    def start(self, name: str, wasm: bytes) -> Address:
        process = ProcessId(name, "tests", "sys")
        launch = Launch(process, self.engine.load(wasm), ON_EXIT_NONE, public=True)
        self.machine.handle(Start(launch, ()), trio.current_time())
        self.runner.turn()
        return Address(OUR, process)

    def ask(self, target: Address, body: bytes, seconds: int) -> None:
        inject = Inject(TERMINAL, target, Request(False, seconds, body), None, "asked")
        self.machine.handle(inject, trio.current_time())
        self.runner.turn()


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(None, replayable=False)
    yield engine
    engine.close()


async def test_g23_messages_flow_while_two_guests_spin_on_other_threads(engine: Engine) -> None:
    with trio.fail_after(LIMIT_SECONDS):
        async with trio.open_nursery() as nursery:
            driven = Driven(engine)
            nursery.start_soon(driven.runner.run)
            for name in ("one", "two"):
                driven.start(name, wat("(loop $again (br $again))"))
            echo, ping = (driven.start(n, (PACKAGES / "echo/pkg" / f"{n}.wasm").read_bytes()) for n in ("echo", "ping"))
            driven.ask(ping, json.dumps({"Run": {"target": str(echo), "count": 500, "size": 100}}).encode(), 60)
            await driven.answered.wait()
            nursery.cancel_scope.cancel()
    answer = driven.answers["asked"]
    assert isinstance(answer, Arrival)
    assert json.loads(answer.message.body) == {"Ran": {"count": 500, "failed": 0}}
    assert driven.lent > 0


async def test_g23_a_guest_that_spins_on_another_thread_is_killed(engine: Engine) -> None:
    with trio.fail_after(LIMIT_SECONDS):
        async with trio.open_nursery() as nursery:
            driven = Driven(engine)
            nursery.start_soon(driven.runner.run)
            spin = driven.start("spin", wat("(loop $again (br $again))"))
            while not driven.lent:
                await trio.lowlevel.checkpoint()
            driven.machine.handle(Kill(spin.process), trio.current_time())
            assert spin.process not in driven.machine.kernel.processes
            lent = driven.lent
            while driven.runner.statistics()["lent"]:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
    assert driven.lent == lent  # it was not polled again
    assert driven.machine.statistics(spin.process) is None


async def test_g23_a_runner_that_is_cancelled_has_no_guest_left_on_another_thread(engine: Engine) -> None:
    with trio.fail_after(LIMIT_SECONDS):
        async with trio.open_nursery() as nursery:
            driven = Driven(engine)
            nursery.start_soon(driven.runner.run)
            for number in range(4):
                driven.start(f"spin{number}", wat("(loop $again (br $again))"))
            while not driven.lent:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
    assert engine.ticker is not None
    assert engine.ticker.polls == []  # nobody is inside a poll


async def test_g7_a_timeout_fires_although_nothing_else_happens(
    engine: Engine, autojump_clock: trio.testing.MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        driven = Driven(engine)
        nursery.start_soon(driven.runner.run)
        silent = driven.start("silent", receiver())
        begin = trio.current_time()
        driven.ask(silent, b"", 7)
        await driven.answered.wait()
        assert trio.current_time() == begin + 7
        nursery.cancel_scope.cancel()
    failure = driven.answers["asked"]
    assert isinstance(failure, Failure)
    assert failure.error.reason is Reason.EXPIRED
