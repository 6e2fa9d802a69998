"""Every row of docs/errors.md with real nodes over TCP: the times are upper bounds, with room for a slow machine."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from tests.failures.network import open_network
from tests.failures.on_sockets import ROWS, play_all
from tests.failures.page import Observed, check_log, check_outcomes, read_table

_SLACK = 8.0
"""Seconds beyond the page's time that a busy machine may take."""
SHORT = [name for name, play in ROWS.items() if not play.long]
LONG = [name for name, play in ROWS.items() if play.long]


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Future[Observed]]:
    """What was seen of all rows that take seconds, played at once."""
    with open_network(tmp_path_factory.mktemp("failures"), SHORT) as network:
        return play_all(network, SHORT)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Future[Observed]]:
    """The same of those that take a minute."""
    with open_network(tmp_path_factory.mktemp("failures"), LONG) as network:
        return play_all(network, LONG)


def test_g13_every_row_of_the_page_is_played_on_sockets() -> None:
    assert list(ROWS) == list(read_table())


@pytest.mark.parametrize("name", SHORT)
def test_g13_g14_g15_g16_as_the_page_says_over_tcp(name: str, short: dict[str, Future[Observed]]) -> None:
    check(name, short[name].result())


@pytest.mark.long
@pytest.mark.parametrize("name", LONG)
def test_g13_g14_g15_g16_as_the_page_says_over_tcp_after_a_long_time(
    name: str, long: dict[str, Future[Observed]]
) -> None:
    check(name, long[name].result())


def check(name: str, seen: Observed) -> None:
    """It is as the page says."""
    row = read_table()[name]
    check_outcomes(row, seen)
    seconds, exact = row.seconds(seen.timeout)
    assert seen.after <= seconds + _SLACK
    if exact and seconds:
        assert seen.after > seconds - 1.0  # not for another reason
    check_log(row.sender_log, seen.sender_log, complete=False)
    if seen.target_log is not None:
        check_log(row.target_log, seen.target_log, complete=False)
