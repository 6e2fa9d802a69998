"""A counter in each language: a state that loads and saves itself, and one of an earlier version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from testnet.testing.package_lab import PackageLab

ONE = "one.nec"
COUNTER = "our@counter:counter:sys"


@pytest.fixture
def ask(lab: PackageLab, boot: Callable[..., None]) -> Callable[[object], Any]:
    """Ask the counter of a node that has just been booted."""
    boot("counter", ONE)
    return lambda body: lab.ask(ONE, COUNTER, body).body


def test_it_adds_and_says_what_it_has(ask: Callable[[object], Any]) -> None:
    assert ask("Get") == {"Count": 0}
    assert ask({"Add": 5}) == {"Count": 5}
    assert ask({"Add": 37}) == {"Count": 42}
    assert ask("Get") == {"Count": 42}


@pytest.mark.parametrize("body", ["Add", {"Add": -1}, {"Add": "5"}, {"Add": 1.5}, {"Add": True}, 7, None, {"Sub": 1}])
def test_what_it_does_not_know_it_says_in_one_sentence(ask: Callable[[object], Any], body: object) -> None:
    ((kind, why),) = ask(body).items()
    assert (kind, ask("Get")) == ("Err", {"Count": 0})
    assert why == 'expected {"Add": NUMBER} or "Get"'


def test_g27_it_goes_on_counting_after_a_crash(ask: Callable[[object], Any], lab: PackageLab) -> None:
    ask({"Add": 5})
    lab.restart(ONE)
    assert ask({"Add": 1}) == {"Count": 6}
