"""What `nectar dev` does next."""

from __future__ import annotations

import pytest

from testnet.dev.cycle import Cycle, DevStep


@pytest.fixture
def running() -> Cycle:
    """A package of which "first" has been built and started."""
    cycle = Cycle()
    assert cycle.next() is DevStep.BUILD
    cycle.built("first")
    assert cycle.next() is DevStep.START
    cycle.started()
    assert cycle.next() is None
    return cycle


def test_what_was_saved_is_built_and_then_started(running: Cycle) -> None:
    running.saved()
    assert running.next() is DevStep.BUILD
    running.built("second")
    assert running.next() is DevStep.START
    running.started()
    assert (running.next(), running.busy) == (None, False)


def test_nothing_else_begins_while_a_step_is_under_way(running: Cycle) -> None:
    running.saved()
    running.next()
    assert running.next() is None
    running.built("second")
    running.next()
    assert running.next() is None


def test_a_version_that_does_not_compile_is_not_started_and_the_next_save_is_built(running: Cycle) -> None:
    running.saved()
    running.next()
    running.built(None)
    assert running.next() is None
    running.saved()
    assert running.next() is DevStep.BUILD


def test_a_save_that_changes_nothing_starts_nothing(running: Cycle) -> None:
    running.saved()
    running.next()
    running.built("first")
    assert (running.next(), running.busy) == (None, False)


@pytest.mark.parametrize("while_starting", [False, True])
def test_what_is_saved_while_a_step_is_under_way_is_built_when_it_has_ended(
    running: Cycle, *, while_starting: bool
) -> None:
    running.saved()
    running.next()
    if while_starting:
        running.built("second")
        running.next()
    running.saved()
    if while_starting:
        running.started()
    else:
        running.built("second")
    assert running.next() is DevStep.BUILD
    running.built("third")
    assert running.next() is DevStep.START


def test_a_version_that_never_ran_is_forgotten_when_a_later_one_is_taken_back(running: Cycle) -> None:
    running.saved()
    running.next()
    running.saved()
    running.built("second")
    assert running.next() is DevStep.BUILD
    running.built("first")
    assert running.next() is None
