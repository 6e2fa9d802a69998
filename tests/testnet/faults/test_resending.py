"""Times at which TCP sends again, from the outside: pauses that double, whatever happens to the network meanwhile."""

from __future__ import annotations

import pytest

from testnet.faults.resending import DATA_SECONDS, DIAL_SECONDS, sent_again


@pytest.mark.parametrize(
    ("now", "due"), [(0.0, 0.0), (0.1, 0.2), (0.2, 0.2), (0.21, 0.6), (1.0, 1.4), (10.0, 12.6), (17.0, 25.4)]
)
def test_bytes_are_sent_again_after_a_fifth_of_a_second_and_then_pauses_that_double(now: float, due: float) -> None:
    assert sent_again(0.0, now, DATA_SECONDS) == pytest.approx(due)


@pytest.mark.parametrize(("now", "due"), [(100.5, 101.0), (102.0, 103.0), (104.0, 107.0)])
def test_a_dial_is_sent_again_after_a_second_and_then_pauses_that_double(now: float, due: float) -> None:
    assert sent_again(100.0, now, DIAL_SECONDS) == due


def test_no_pause_is_longer_than_two_minutes() -> None:
    first, second = sent_again(0.0, 1000.0, DIAL_SECONDS), sent_again(0.0, 1120.0, DIAL_SECONDS)
    assert second - first == 120.0
