"""A kernel with real guests: what one of them does harms no other (G23)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from kernel.contract.address import Address, ProcessId
from kernel.contract.events import Answered, Inject, Kill, KillAll, Output, Start
from kernel.contract.guest import Arrival, Failure, GuestConfig
from kernel.contract.message import ON_EXIT_NONE, LazyLoadBlob, Request
from kernel.contract.process import Launch
from kernel.machine import BUSY_FROM, DROPS, MOST, QUICK_POLLS, Machine
from kernel.router.kernel import Kernel
from kernel.wasm.engine import Engine
from tests.kernel.wasm.guests import wat

OUR = "our.nec"
TERMINAL = ProcessId("terminal", "terminal", "sys")
PACKAGES = Path(__file__).resolve().parents[2] / "packages"
SPIN = wat("(loop $again (br $again))")
RECEIVE_AND_TRAP = wat("(call $receive (i32.const 2048)) (unreachable)", "receive")
RECEIVE_AND_COUNT = wat(
    """(local $left i32)
    (loop $again
      (call $receive (i32.const 2048))
      (local.set $left (i32.const 3000000))
      (loop $count (br_if $count (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (br $again))""",
    "receive",
)
"""More than one slice, less than three, for each message."""


class Bench:
    """A machine on fuel, and what it wants of the node."""

    def __init__(self, engine: Engine) -> None:
        ids = count(1)
        self.engine = engine
        self.machine = Machine(
            Kernel(OUR, lambda: next(ids), [(TERMINAL, False)]),
            lambda address: GuestConfig(address, 16 << 20, entropy=bytes, clock=lambda: 0),
        )
        self.answers: dict[object, Arrival | Failure] = {}
        self.lines: list[str] = []

    def start(self, name: str, wasm: bytes) -> ProcessId:
        process = ProcessId(name, "tests", "sys")
        launch = Launch(process, self.engine.load(wasm), ON_EXIT_NONE, public=True)
        self.machine.handle(Start(launch, ()), 0.0)
        return process

    def ask(self, target: ProcessId, body: bytes, token: str) -> None:
        request = Request(False, 100, body)
        self.machine.handle(Inject(TERMINAL, Address(OUR, target), request, None, token), 0.0)

    def run(self, polls: int) -> None:
        self.machine.run(0.0, polls)
        while self.machine.actions:
            action = self.machine.actions.popleft()
            if isinstance(action, Answered):
                self.answers[action.token] = action.answer
            elif isinstance(action, Output):
                self.lines.append(f"{action.process.process}: {action.text}")

    def polls_of(self, process: ProcessId) -> int:
        used = self.machine.statistics(process)
        assert used is not None
        return used.polls

    def shipped(self, package: str, name: str) -> ProcessId:
        return self.start(name, (PACKAGES / package / "pkg" / f"{name}.wasm").read_bytes())

    def ping(self, rounds: int) -> None:
        """Have ping make so many round trips with echo."""
        target, ping = self.shipped("echo", "echo"), self.shipped("echo", "ping")
        run = {"Run": {"target": str(Address(OUR, target)), "count": rounds, "size": 100}}
        self.ask(ping, json.dumps(run).encode(), "ping")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(None, replayable=True)
    yield engine
    engine.close()


@pytest.fixture
def bench(engine: Engine) -> Bench:
    return Bench(engine)


def test_g23_while_four_guests_spin_an_echo_comes_before_their_next_slice(bench: Bench) -> None:
    echo = bench.shipped("echo", "echo")
    for name in ("one", "two", "three", "four"):
        bench.start(name, SPIN)
    bench.run(100)
    for attempt in range(20):
        bench.ask(echo, b"", str(attempt))
        polls = 0
        while str(attempt) not in bench.answers:
            bench.run(1)
            polls += 1
        # The echo's own poll, and before it at most one slice of one of the four.
        assert polls <= 2


def test_g23_all_that_spin_have_their_turns_while_messages_flow(bench: Bench) -> None:
    spinning = [bench.start(name, SPIN) for name in ("one", "two", "three", "four")]
    bench.ping(100_000)
    bench.run(8)  # the first polls of all of them
    before = [bench.polls_of(process) for process in spinning]
    bench.run(40 * (QUICK_POLLS + 1))
    assert [bench.polls_of(process) - polls for process, polls in zip(spinning, before, strict=True)] == [10] * 4


def test_g23_a_guest_that_has_used_up_its_slice_goes_on_elsewhere(bench: Bench) -> None:
    bench.start("spin", SPIN)
    assert bench.machine.take_busy() is None  # it has not run yet
    bench.run(1)
    assert not bench.machine.can_run  # the rest is for whoever takes busy guests
    guest = bench.machine.take_busy()
    assert guest is not None
    assert bench.machine.take_busy() is None  # it is not here any more
    bench.machine.polled(guest, guest.poll(), 0.0)
    assert bench.machine.take_busy() is guest


def test_a_guest_that_is_polled_elsewhere_has_the_statistics_of_when_it_left(bench: Bench) -> None:
    spin = bench.start("spin", SPIN)
    bench.run(1)
    here = bench.machine.statistics(spin)
    assert here is not None
    assert here.polls == 1
    for polls in (1, 2, 3):
        guest = bench.machine.take_busy()
        assert guest is not None
        poll = guest.poll()
        assert bench.machine.statistics(spin) == here._replace(polls=polls)
        bench.machine.polled(guest, poll, 0.0)
        assert bench.machine.statistics(spin) == here._replace(polls=polls + 1)


def test_g23_a_guest_that_spins_after_each_message_handles_its_messages_elsewhere(bench: Bench) -> None:
    counting = bench.start("count", RECEIVE_AND_COUNT)
    bench.run(10)
    here = [count_here(bench, counting) for _ in range(5)]
    # For the first message it comes to use up a slice here. Two slices are more than chance.
    assert here == [True, False, False, False, False]


def test_g23_a_guest_that_spins_no_more_is_like_any_other_again(bench: Bench) -> None:
    spinning_once = wat(
        """(local $left i32)
        (local.set $left (i32.const 30000000))
        (loop $count (br_if $count (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (loop $again (call $receive (i32.const 2048)) (br $again))""",
        "receive",
    )
    guest = bench.start("once", spinning_once)
    bench.run(1000)
    here = [count_here(bench, guest) for _ in range(MOST)]
    assert here == [False] * (MOST - BUSY_FROM + 1) + [True] * (BUSY_FROM - 1)


def count_here(bench: Bench, process: ProcessId) -> bool:
    """Send a message; whether the guest was polled here for it. Wherever it is, it handles all of it."""
    bench.machine.take_busy()
    bench.ask(process, b"", "count")
    here = bench.machine.can_run
    bench.run(1)
    while (guest := bench.machine.take_busy()) is not None:
        bench.machine.polled(guest, guest.poll(), 0.0)
    return here


def test_g23_a_guest_that_is_killed_while_it_is_polled_elsewhere_is_dropped_when_it_comes_back(bench: Bench) -> None:
    spin = bench.start("spin", SPIN)
    bench.run(1)
    guest = bench.machine.take_busy()
    assert guest is not None
    bench.machine.handle(Kill(spin), 0.0)
    poll = guest.poll()  # it is still whole
    bench.machine.polled(guest, poll, 0.0)
    assert guest.end is not None
    assert not bench.machine.can_run


def test_g23_when_many_end_in_one_step_their_guests_are_dropped_a_few_at_a_time_and_messages_flow(bench: Bench) -> None:
    echo = bench.start("echo", (PACKAGES / "echo" / "pkg" / "echo.wasm").read_bytes())
    many = tuple(bench.start(str(number), RECEIVE_AND_TRAP) for number in range(3 * DROPS))
    guests = [bench.machine._places[process].guest for process in many]
    while bench.machine.can_run:
        bench.run(100)
    bench.machine.handle(KillAll(many), 0.0)
    assert [guest.end is not None for guest in guests].count(True) == DROPS
    bench.ask(echo, b"still here", "asked")
    bench.run(1)
    assert "asked" in bench.answers
    assert [guest.end is not None for guest in guests].count(True) == 2 * DROPS
    bench.run(1)
    assert all(guest.end is not None for guest in guests)
    assert not bench.machine.can_run


def test_blob_bytes_that_ended_guests_loaded_are_still_counted(bench: Bench) -> None:
    load = wat("(call $receive (i32.const 2048)) (call $get-blob (i32.const 1024))", "receive", "get-blob")
    loader = bench.start("loader", load)
    bench.run(10)
    inject = Inject(TERMINAL, Address(OUR, loader), Request(False, None, b""), LazyLoadBlob(None, bytes(1234)), None)
    bench.machine.handle(inject, 0.0)
    bench.run(10)
    assert loader not in bench.machine.kernel.processes
    assert bench.machine.blob_bytes_loaded() == 1234
