"""The node's store: which rows are written, and when, and who learns of it (G21, G26)."""

from __future__ import annotations

import pytest

from nectar_node.contract.actions import Kept
from nectar_node.core.store import AGAIN_SECONDS, HANGS_SECONDS, Store
from nectar_node.storage.operations import Commit, DiskError, DiskFault, Job, Location, Row, StateRow

WHERE = Location("node", ("store",))
FULL = DiskError(DiskFault.FULL, "No space left on device")
PROBLEM = "what it has to keep cannot be written: No space left on device"


class Part:
    """A part of the node that has something to keep."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    @property
    def has_changed(self) -> bool:
        return bool(self.rows)

    def changes(self) -> list[Row]:
        rows, self.rows = self.rows, []
        return rows

    def change(self, key: str, value: bytes | None) -> Row:
        row = Row("part", key, value)
        self.rows.append(row)
        return row


class Saved:
    """States that processes save."""

    def __init__(self) -> None:
        self.rows: list[StateRow] = []

    @property
    def waits(self) -> bool:
        return bool(self.rows)

    def take(self, now: float) -> tuple[StateRow, ...]:
        rows, self.rows = self.rows, []
        return tuple(rows)


@pytest.fixture
def part() -> Part:
    return Part()


@pytest.fixture
def saved() -> Saved:
    return Saved()


@pytest.fixture
def store(part: Part, saved: Saved) -> Store:
    return Store(WHERE, [part], saved, [("part", "a"), ("other", "a")])


def begin(store: Store, now: float = 5.0) -> tuple[Row, ...]:
    """Begin the next commit; return its rows."""
    job = store.next_action(now)
    assert isinstance(job, Job)
    assert job.owner is store
    assert isinstance(job.operation, Commit)
    assert job.operation.location == WHERE
    return job.operation.rows


def test_nothing_is_written_while_nothing_changes(store: Store) -> None:
    assert store.next_deadline() is None
    assert store.next_action(5.0) is None
    assert store.kept


def test_g21_a_change_is_written_at_once(store: Store, part: Part) -> None:
    row = part.change("a", b"1")
    assert not store.kept
    assert begin(store) == (row,)
    assert not store.kept
    assert store.done(None, 5.0) == ([], None)
    assert store.kept
    assert store.next_action(5.0) is None


def test_what_changes_while_a_commit_is_under_way_is_one_commit_after_it(store: Store, part: Part) -> None:
    part.change("a", b"0")
    begin(store)
    for number in range(10):
        part.change(str(number), b"1")
        assert store.next_action(5.0) is None
    assert store.next_deadline() is None
    store.done(None, 5.0)
    assert begin(store) == tuple(Row("part", str(number), b"1") for number in range(10))


def test_of_a_row_that_changes_again_and_again_the_latest_value_is_written(store: Store, part: Part) -> None:
    for value in (b"1", b"2", None):
        part.change("a", value)
    assert begin(store) == (Row("part", "a", None),)


def test_what_was_put_is_written_with_the_changes(store: Store, part: Part) -> None:
    put, changed = Row("other", "a", None), part.change("a", b"1")
    store.put(put)
    assert set(begin(store)) == {put, changed}


def test_a_commit_that_failed_is_said_once_and_tried_again_after_a_pause(store: Store, part: Part) -> None:
    row = part.change("a", b"1")
    begin(store)
    assert store.done(FULL, 5.0) == ([], PROBLEM)
    assert (store.problem, store.kept) == (PROBLEM, False)
    assert store.next_deadline() == 5.0 + AGAIN_SECONDS
    assert store.next_action(5.0 + AGAIN_SECONDS - 0.1) is None
    assert begin(store, 6.0) == (row,)
    assert store.next_deadline() is None
    assert store.done(FULL, 6.0) == ([], None)
    assert begin(store, 7.0) == (row,)
    assert store.done(None, 7.0) == ([], None)
    assert (store.problem, store.kept, store.next_deadline()) == (None, True, None)


def test_what_goes_again_after_a_commit_that_failed_leaves_no_time_at_which_nothing_is_to_be_written(
    store: Store, part: Part
) -> None:
    part.change("new", b"1")
    begin(store)
    store.done(FULL, 5.0)
    part.change("new", None)
    assert store.next_action(5.0) is None
    assert store.next_deadline() is None


def test_what_has_changed_since_a_commit_that_failed_is_not_overwritten(store: Store, part: Part) -> None:
    part.change("a", b"old")
    part.change("b", b"old")
    begin(store)
    part.change("a", b"new")
    assert store.next_action(5.0) is None
    store.done(FULL, 5.0)
    assert set(begin(store, 6.0)) == {Row("part", "a", b"new"), Row("part", "b", b"old")}


def test_g21_a_node_that_goes_down_waits_for_no_pause(store: Store, part: Part) -> None:
    part.change("a", b"1")
    begin(store)
    store.done(FULL, 5.0)
    store.hurry()
    begin(store, 5.0)
    store.done(None, 5.0)
    assert store.kept


# --- saved states ---------------------------------------------------------------------------------------------------


def begin_all(store: Store, now: float = 5.0) -> tuple[tuple[Row, ...], tuple[StateRow, ...]]:
    """Begin the next commit; return its rows and states."""
    job = store.next_action(now)
    assert isinstance(job, Job)
    assert isinstance(job.operation, Commit)
    return job.operation.rows, job.operation.states


def test_g27_states_are_written_with_what_has_changed(store: Store, part: Part, saved: Saved) -> None:
    row, state = part.change("a", b"1"), StateRow("a:b:c", b"state")
    saved.rows = [state]
    assert not store.kept
    assert begin_all(store) == ((row,), (state,))
    store.done(None, 5.0)
    assert store.kept


def test_g27_a_state_that_could_not_be_written_is_not_tried_again_and_hinders_nothing_else(
    store: Store, part: Part, saved: Saved
) -> None:
    row, later = part.change("a", b"1"), StateRow("a:b:c", b"later")
    store.ask("token")
    saved.rows = [StateRow("a:b:c", bytes(1 << 20))]
    begin_all(store)
    assert store.done(FULL, 5.0) == ([], None)
    saved.rows = [later]
    assert begin_all(store) == ((row,), ()), "at once, and alone"
    assert store.done(None, 5.0) == ([Kept("token", None)], None)
    assert begin_all(store) == ((), (later,))


def test_g27_who_saves_a_state_does_not_wait_for_the_next_try_of_what_failed(
    store: Store, part: Part, saved: Saved
) -> None:
    row, state = part.change("a", b"1"), StateRow("a:b:c", b"state")
    begin(store)
    assert store.done(FULL, 5.0) == ([], PROBLEM)
    assert store.next_action(5.0) is None
    saved.rows = [state]
    assert begin_all(store) == ((row,), (state,))
    store.done(None, 5.0)
    assert (store.kept, store.problem, store.next_deadline()) == (True, None, None)


# --- who asks -------------------------------------------------------------------------------------------------------


def test_who_asks_while_nothing_has_changed_is_answered_at_once(store: Store) -> None:
    store.ask("token")
    assert store.next_action(5.0) == Kept("token", None)
    assert store.next_action(5.0) is None


def test_who_asks_is_answered_when_what_had_changed_before_is_durable(store: Store, part: Part) -> None:
    part.change("a", b"1")
    begin(store)
    part.change("b", b"1")
    store.ask("token")
    assert store.next_action(5.0) is None
    assert store.done(None, 5.0) == ([], None)  # the commit before has nothing of it
    begin(store)
    assert store.done(None, 5.0) == ([Kept("token", None)], None)


def test_who_asks_learns_why_it_could_not_be_written(store: Store, part: Part) -> None:
    part.change("a", b"1")
    store.ask("token")
    begin(store)
    assert store.done(FULL, 5.0) == ([Kept("token", PROBLEM)], PROBLEM)


def test_who_asks_before_the_next_try_is_told_what_was_wrong_at_the_last(store: Store, part: Part) -> None:
    part.change("a", b"1")
    begin(store)
    store.done(FULL, 5.0)
    store.ask("token")
    assert store.next_action(5.5) == Kept("token", PROBLEM)
    assert store.next_action(5.5) is None


def test_g23_what_comes_and_goes_while_the_disk_is_full_takes_no_memory(store: Store, part: Part) -> None:
    first = part.change("first", b"value")
    assert begin(store) == (first,)
    for number in range(1000):
        part.change(f"child {number}", b"value")
        part.change(f"child {number}", None)
        store.next_action(5.0)
    store.done(FULL, 5.0)
    assert begin(store, 5.0 + AGAIN_SECONDS) == (first,)
    part.change("first", None)
    store.done(FULL, 6.0)
    assert store.next_action(6.0 + AGAIN_SECONDS) is None
    assert store.kept


def test_g23_what_comes_and_goes_while_a_commit_hangs_takes_no_memory(store: Store, part: Part) -> None:
    first = part.change("first", b"value")
    assert begin(store, 5.0) == (first,)
    for second in range(100):
        for number in range(10):
            part.change(f"child {second} {number}", b"value")
            part.change(f"child {second} {number}", None)
            assert store.next_action(5.0 + second) is None
        assert len(part.rows) <= 20, "the part is asked, and need not remember more than of a second"
    part.change("second", b"value")
    store.done(None, 200.0)
    assert begin(store, 200.0) == (Row("part", "second", b"value"),)


def test_g26_what_changes_while_a_commit_hangs_is_in_the_next_one(store: Store, part: Part) -> None:
    part.change("a", b"1")
    part.change("b", b"1")
    begin(store, 5.0)
    late, gone = part.change("a", b"2"), part.change("b", None)
    assert store.next_action(5.0 + HANGS_SECONDS) is None
    assert not store.kept
    store.done(None, 9.0)
    assert set(begin(store, 9.0)) == {late, gone}


def test_g26_a_row_that_the_disk_has_is_removed_even_if_it_was_written_again_while_the_disk_was_full(
    part: Part, saved: Saved
) -> None:
    store = Store(WHERE, [part], saved, [("part", "old")])
    part.change("old", b"newer")
    begin(store)
    store.done(FULL, 5.0)
    gone = part.change("old", None)
    assert begin(store, 5.0 + AGAIN_SECONDS) == (gone,)
    store.done(None, 7.0)
    part.change("old", None)
    assert store.next_action(8.0) is None, "it is not there any more"


def test_g26_what_ends_while_its_row_is_being_written_is_removed_by_the_next_commit(store: Store, part: Part) -> None:
    part.change("child", b"value")
    begin(store)
    gone = part.change("child", None)
    store.done(None, 5.0)
    assert begin(store) == (gone,)
