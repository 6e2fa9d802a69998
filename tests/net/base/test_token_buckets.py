"""So often at once, and then so often over time."""

from hypothesis import given
from hypothesis import strategies as st

from net.base.token_buckets import Allowance


def taken(allowance: Allowance[str], key: str, at: float) -> int:
    """How often it may be done at that time."""
    times = 0
    while allowance.wait(key, at) == 0.0:
        allowance.take(key, at)
        times += 1
    return times


def test_a_burst_is_followed_by_one_each_so_many_seconds() -> None:
    allowance: Allowance[str] = Allowance(burst=3, seconds=10.0, most=10)
    assert taken(allowance, "a", 100.0) == 3
    assert allowance.wait("a", 100.0) == 10.0
    assert allowance.wait("a", 104.0) == 6.0
    assert (taken(allowance, "a", 109.9), taken(allowance, "a", 110.0)) == (0, 1)
    assert taken(allowance, "a", 135.0) == 2
    assert taken(allowance, "a", 1e9) == 3


def test_each_key_has_its_own() -> None:
    allowance: Allowance[str] = Allowance(burst=1, seconds=10.0, most=10)
    assert (taken(allowance, "a", 0.0), taken(allowance, "b", 0.0)) == (1, 1)


def test_a_clock_that_is_set_back_costs_no_more_than_an_empty_bucket() -> None:
    allowance: Allowance[str] = Allowance(burst=2, seconds=10.0, most=10)
    taken(allowance, "a", 1e9)
    assert allowance.wait("a", 0.0) == 10.0


def test_what_is_full_again_is_forgotten_and_so_is_the_oldest_of_too_many() -> None:
    allowance: Allowance[str] = Allowance(burst=1, seconds=10.0, most=2)
    for key in "abc":
        allowance.take(key, 0.0)
    assert len(allowance) == 2
    assert allowance.wait("a", 0.0) == 0.0
    assert allowance.wait("c", 0.0) == 10.0
    allowance.take("d", 10.0)
    assert len(allowance) == 1


@given(st.lists(st.floats(0.0, 1000.0), max_size=60))
def test_never_more_than_the_burst_and_the_rate_allow(times: list[float]) -> None:
    allowance: Allowance[str] = Allowance(burst=4, seconds=10.0, most=10)
    done: list[float] = []
    for at in sorted(times):
        if allowance.wait("a", at) == 0.0:
            allowance.take("a", at)
            done.append(at)
    for first in range(len(done)):
        for last in range(first, len(done)):
            assert last - first + 1 <= 4 + (done[last] - done[first]) / 10.0 + 1e-6
