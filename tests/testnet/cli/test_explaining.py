"""What was tried of a failure is said so that both times differ, and each fault is named with what it is about."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from testnet.cli.simulating.explaining import FaultTrials, Needed, Trials, words_of
from testnet.cli.simulating.reruns import HeldFault
from testnet.cli.simulating.shrinking_tests import fault_words
from testnet.journal.journal import Header


@pytest.mark.parametrize(
    ("passes", "fails", "words"),
    [
        (3.0, 3.1, "ends at 3.1 s; it fails if it ends at 3.2 s."),
        (4.76, 4.84, "ends at 4.86 s; it fails if it ends at 4.94 s."),
        (4.761, 4.762, "ends at 4.861 s; it fails if it ends at 4.862 s."),
    ],
)
def test_the_times_of_which_one_passes_and_the_other_fails_are_never_the_same(
    passes: float, fails: float, words: str
) -> None:
    needed = Needed(HeldFault(0, 0.1, 8.0), "pause a.nec", needed=True, passes=passes, fails=fails)
    said = words_of(Trials(again=True, without=False, needed=(needed,), runs=9, complete=True), (), "run")
    assert said == ["Without this fault the run passes: pause a.nec.", f"It passes too if that fault {words}"]


def test_a_fault_at_an_event_is_named_like_one_at_a_time() -> None:
    entry = {"kind": "pause", "node": "a.nec", "at": 0.0, "until": 8.0, "event": "after step 1 of a.nec"}
    header = Header("store", 1, ("a.nec", "b.nec"), {}, (entry,))
    assert fault_words(header) == ["pause a.nec"]


def test_nothing_is_said_of_faults_that_no_run_has_tried() -> None:
    """A run with a fault, and as many runs as it takes to see it fail once more."""

    class Fails:
        faults: tuple[HeldFault, ...] = (HeldFault(0, 0.1, 8.0),)

        def fails(self, faults: Sequence[HeldFault]) -> bool:
            return True

    said = words_of(FaultTrials(Fails(), ["pause a.nec"], 1, lambda runs: None).settle(), (), "run")
    assert said == ["Run once more, the run fails in the same way. More was not tried: see --runs."]
