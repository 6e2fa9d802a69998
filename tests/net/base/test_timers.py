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


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.none() | st.integers(0, 20)), max_size=100))
def test_the_whole_knows_the_earliest_deadline_of_its_parts(changes: list[tuple[str, int, int | None]]) -> None:
    whole: Timers[object] = Timers()
    parts: dict[str, Timers[int]] = {"a": Timers(whole), "b": Timers(whole)}
    whole.set("own", 15.0)
    for name, key, when in changes:
        parts[name].set(key, when)
        if key == 0 and when is not None:
            parts[name].pop_due(when)
        assert whole.next() == min(
            each for part in (*parts.values(),) for each in (part.next(), 15.0) if each is not None
        )


def test_a_whole_that_has_missed_a_deadline_of_a_part_learns_it_when_it_is_mended() -> None:
    whole: Timers[object] = Timers()
    part: Timers[str] = Timers(whole)
    part.set("a", 2.0)
    whole.set(part, None)
    whole.mend()
    assert (whole.next(), whole.when(part), part.when("a"), part.when("b")) == (2.0, 2.0, 2.0, None)
