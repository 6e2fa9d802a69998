"""Copies to several places at the same time."""

from __future__ import annotations

import threading

import pytest

from nectar_node.backup.cache import Cache
from nectar_node.backup.format.errors import BackupError, RemoteFailed
from nectar_node.backup.format.heads import HeadLink
from nectar_node.backup.run import Report
from nectar_node.backup.stores.one_run import AT_ONCE, all_at_once

DONE = Report(HeadLink(1, bytes(32)), 0, 0, 0, 0, Cache(), ())


def test_a_slow_place_holds_no_other_up_and_each_says_how_it_ended() -> None:
    others = threading.Event()

    def copy(name: str) -> Report:
        match name:
            case "slow":
                assert others.wait(60)
            case "full":
                raise RemoteFailed("full is full.")
            case "gone":
                raise FileNotFoundError(2, "No such file", "key")
        return DONE

    ended = {}
    for name, result in all_at_once(["slow", "full", "gone", "fine"], copy, nice=False):
        ended[name] = result
        if len(ended) == 3:
            others.set()
    assert list(ended)[-1] == "slow"
    assert (ended["slow"], ended["fine"]) == (DONE, DONE)
    assert str(ended["full"]) == "full is full."
    assert isinstance(ended["gone"], BackupError)
    assert str(ended["gone"]) == "key cannot be read or written: No such file."


def test_no_more_places_than_memory_allows_are_copied_to_at_once() -> None:
    running, most, lock = 0, 0, threading.Lock()
    all_there = threading.Barrier(AT_ONCE)

    def copy(name: str) -> Report:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        all_there.wait(60)
        with lock:
            running -= 1
        return DONE

    names = [str(number) for number in range(3 * AT_ONCE)]
    assert {name for name, _ in all_at_once(names, copy, nice=False)} == {*names}
    assert most == AT_ONCE


def test_a_failure_of_our_own_code_is_not_hidden() -> None:
    def copy(name: str) -> Report:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(all_at_once(["one"], copy, nice=False))
