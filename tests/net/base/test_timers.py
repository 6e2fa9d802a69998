"""Deadlines: earliest first, one per key."""

from hypothesis import given
from hypothesis import strategies as st

from net.base.timers import Timers


def test_the_earliest_is_next_and_equal_ones_keep_their_order() -> None:
    timers: Timers[str] = Timers()
    for key, when in [("c", 3.0), ("a", 1.0), ("b", 1.0)]:
        timers.set(key, when)
    assert timers.next() == 1.0
    assert [timers.pop_due(3.0) for _ in range(4)] == ["a", "b", "c", None]
    assert timers.next() is None


def test_nothing_is_due_before_its_time() -> None:
    timers: Timers[str] = Timers()
    timers.set("a", 2.0)
    assert timers.pop_due(1.9) is None
    assert timers.pop_due(2.0) == "a"


@given(st.lists(st.tuples(st.integers(0, 5), st.none() | st.integers(0, 20)), max_size=200))
def test_only_the_last_deadline_of_a_key_counts(changes: list[tuple[int, int | None]]) -> None:
    timers: Timers[int] = Timers()
    expected: dict[int, int] = {}
    for key, when in changes:
        timers.set(key, when)
        expected.pop(key, None)
        if when is not None:
            expected[key] = when
        assert timers.next() == min(expected.values(), default=None)
    fired = []
    while (due := timers.pop_due(20)) is not None:
        fired.append(due)
    assert sorted(fired) == sorted(expected)
    assert [expected[key] for key in fired] == sorted(expected.values())
