"""A guest that sleeps by WASI preview 1, in C: a timer of the kernel's, which holds up nobody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kernel.contract.guest import GuestConfig, Poll, SendResponse, Sleep
from kernel.wasm.engine import Engine
from kernel.wasm.fiber import Fiber
from tests.kernel.wasm.guests import GUESTS, MEMORY, OUR, arrival, loaded, poll

NANOSECONDS = 1_000_000_000


class Sleeper:
    """A guest, and the time of its clocks."""

    def __init__(self, engine: Engine) -> None:
        self.now = 5 * NANOSECONDS
        config = GuestConfig(OUR, MEMORY, bytes, lambda: self.now)
        guest = loaded(engine, (GUESTS / "drive.wasm").read_bytes()).start(config)
        assert isinstance(guest, Fiber)
        self.guest = guest
        assert poll(guest) is Poll.RECEIVE, guest.end

    def tell(self, text: str) -> Poll:
        self.guest.resume(arrival(text.encode()))
        return poll(self.guest)

    def answer(self) -> str:
        (answer,) = self.guest.effects
        self.guest.effects.clear()
        assert isinstance(answer, SendResponse)
        return answer.response.body.decode()


@pytest.fixture
def sleeper(engine: Engine) -> Iterator[Sleeper]:
    sleeper = Sleeper(engine)
    yield sleeper
    sleeper.guest.close()


@pytest.mark.parametrize(
    ("order", "until"), [("sleep 1500", 6.5), ("until 7250", 7.25), ("sleep 2147483647", 2147488.647)]
)
def test_a_sleep_lasts_until_the_kernel_says_that_its_time_has_come(sleeper: Sleeper, order: str, until: float) -> None:
    assert sleeper.tell(order) is Poll.CALL
    assert sleeper.guest.effects == [Sleep(until)]
    assert sleeper.guest.poll() is Poll.CALL, "it is not woken by a poll"
    sleeper.guest.effects.clear()
    sleeper.now = round(until * NANOSECONDS)
    sleeper.guest.resume(None)
    assert poll(sleeper.guest) is Poll.RECEIVE
    assert sleeper.answer() == f"{round(1000 * (until - 5))} ms"


@pytest.mark.parametrize("order", ["sleep 0", "until 4000", "until 5000"])
def test_a_time_that_has_come_is_not_waited_for(sleeper: Sleeper, order: str) -> None:
    assert sleeper.tell(order) is Poll.RECEIVE
    assert sleeper.answer() == "0 ms"


def test_one_that_sleeps_can_be_killed(sleeper: Sleeper) -> None:
    assert sleeper.tell("sleep 2147483647") is Poll.CALL
    sleeper.guest.close()
    assert sleeper.guest.poll() is Poll.ENDED
