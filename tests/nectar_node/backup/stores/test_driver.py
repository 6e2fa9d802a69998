"""Threads that drive the engine: several operations at once, every failure its own, no wait for a remote that hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from nectar_node.backup.format.errors import RemoteFailed
from nectar_node.backup.operations import (
    AwaitOperation,
    BeginOperation,
    ListObjects,
    OperationDone,
    PerformOperation,
    PutObject,
    Steps,
)
from nectar_node.backup.stores.driver import drive
from nectar_node.backup.stores.memory import MemoryRemote
from tests.waiting import LIMIT


class Slow(MemoryRemote):
    """A remote whose puts take until so many are under way."""

    def __init__(self, together: int) -> None:
        super().__init__()
        self.barrier = threading.Barrier(together)

    def put(self, name: str, data: bytes) -> None:
        self.barrier.wait(LIMIT)
        super().put(name, data)


@dataclass(frozen=True)
class Call:
    """Work that calls something."""

    function: Callable[[], object]

    def perform(self) -> object:
        return self.function()


def test_operations_are_under_way_at_the_same_time() -> None:
    def steps() -> Steps[set[str]]:
        for letter in "abc":
            yield BeginOperation(PutObject(letter, b""))
        ended = set()
        for _ in range(3):
            done: OperationDone = yield AwaitOperation()
            assert done.error is None
            assert isinstance(done.operation, PutObject)
            ended.add(done.operation.name)
        return ended

    assert drive(steps(), Slow(3)) == {"a", "b", "c"}


def test_work_runs_on_another_thread() -> None:
    def steps() -> Steps[object]:
        yield BeginOperation(Call(threading.get_ident))
        done: OperationDone = yield AwaitOperation()
        return done.result

    assert drive(steps(), MemoryRemote()) != threading.get_ident()


def test_a_failure_is_thrown_into_the_engine_or_handed_to_it() -> None:
    seen: list[object] = []

    def steps() -> Steps[None]:
        try:
            yield PerformOperation(ListObjects("packs/"))
        except RemoteFailed as error:
            seen.append(error)
        yield BeginOperation(ListObjects("packs/"))
        done: OperationDone = yield AwaitOperation()
        seen.append(done.error)

    drive(steps(), MemoryRemote(down=True))
    assert [type(each) for each in seen] == [RemoteFailed, RemoteFailed]


def test_what_the_engine_raises_comes_out_when_nothing_is_under_way() -> None:
    remote = Slow(1)

    def steps() -> Steps[None]:
        yield BeginOperation(PutObject("a", b"data"))
        raise RemoteFailed("no more")

    with pytest.raises(RemoteFailed, match="no more"):
        drive(steps(), remote)
    assert threading.active_count() == len([each for each in threading.enumerate() if each.name != "backup"])


def test_an_interruption_does_not_wait_for_a_remote_that_hangs() -> None:
    hangs, released = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        released.wait(LIMIT)

    def steps() -> Steps[None]:
        yield BeginOperation(Call(hang))
        hangs.wait(LIMIT)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drive(steps(), MemoryRemote())
    assert not released.is_set()
    released.set()
