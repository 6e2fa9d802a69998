"""Wrong passwords, and how long each makes the next one wait."""

from __future__ import annotations

from nectar_node.http.login import (
    FORGIVEN_SECONDS,
    FREE_OF_ALL,
    FREE_OF_ONE,
    MAX_PAUSE_OF_ALL,
    MAX_PAUSE_OF_ONE,
    MAX_SOURCES,
    Guesses,
)


class Rig:
    """Guesses at a virtual time."""

    def __init__(self) -> None:
        self.guesses = Guesses()
        self.now = 0.0

    def wait(self, source: str) -> float:
        """How long a guess of a source has to wait now; it takes none."""
        wait = self.guesses.begin(0, source, self.now)
        if wait is None:
            self.guesses.release()
            return 0.0
        return wait.seconds

    def guess(self, source: str) -> float:
        """Make a wrong guess as soon as that may be; return how long it had to wait."""
        waited = self.wait(source)
        self.now += waited
        assert self.guesses.begin(0, source, self.now) is None
        self.guesses.end(source, self.now, right=False)
        return waited


def test_the_pause_of_a_source_doubles_up_to_a_bound() -> None:
    rig = Rig()
    waited = [rig.guess("10.0.0.1") for _ in range(FREE_OF_ONE + 12)]
    assert waited[:FREE_OF_ONE] == [0.0] * FREE_OF_ONE
    assert waited[FREE_OF_ONE:] == [min(2.0**n, MAX_PAUSE_OF_ONE) for n in range(12)]
    assert rig.wait("10.0.0.2") == 0.0, "another does not wait for it"


def test_many_sources_together_wait_too() -> None:
    rig = Rig()
    waited = [rig.guess(f"10.0.{n >> 8}.{n & 255}") for n in range(FREE_OF_ALL + 10)]
    assert waited[:FREE_OF_ALL] == [0.0] * FREE_OF_ALL
    assert waited[FREE_OF_ALL:] == [min(2.0**n, MAX_PAUSE_OF_ALL) for n in range(10)]


def test_the_addresses_of_one_network_are_one_source() -> None:
    rig = Rig()
    for n in range(FREE_OF_ONE):
        rig.guess(f"2001:db8:1:2::{n:x}")
    assert rig.wait("2001:db8:1:2:ffff::1") == 1.0
    assert rig.wait("2001:db8:1:3::1") == 0.0


def test_sources_are_bounded_and_a_quiet_hour_is_forgiven() -> None:
    rig = Rig()
    for n in range(MAX_SOURCES + 50):
        rig.guess(f"10.1.{n >> 8}.{n & 255}")
    assert len(rig.guesses._of) == MAX_SOURCES
    rig.now += FORGIVEN_SECONDS + 1
    assert [rig.guess("10.1.0.255") for _ in range(FREE_OF_ONE)] == [0.0] * FREE_OF_ONE


def test_the_right_password_forgives_its_source_but_not_all() -> None:
    rig = Rig()
    for n in range(FREE_OF_ALL):
        rig.guess(f"10.0.0.{n}")
    assert rig.wait("10.9.9.9") == 1.0
    rig.now += 1
    assert rig.guesses.begin(0, "10.0.0.1", rig.now) is None
    rig.guesses.end("10.0.0.1", rig.now, right=True)
    assert rig.guess("10.0.0.1") == 0.0
    assert rig.wait("10.0.0.1") == 2.0, "others go on guessing"


def test_one_is_checked_at_a_time() -> None:
    guesses = Guesses()
    assert guesses.begin(1, "10.0.0.1", 0.0) is None
    assert guesses.begin(2, "10.0.0.2", 0.0) is not None
    guesses.end("10.0.0.1", 1.0, right=False)
    assert guesses.begin(2, "10.0.0.2", 1.0) is None
