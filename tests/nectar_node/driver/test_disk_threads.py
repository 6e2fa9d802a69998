"""Disk jobs on real threads: in order within a lane, in turns, and what is given up leaves nothing behind."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from nectar_node.driver.disk_threads import Lanes
from nectar_node.storage import operations as ops
from nectar_node.storage import package_sql
from nectar_node.storage.database import Database
from nectar_node.storage.ledger import Ledger
from nectar_node.storage.turns import BEGUN_OF_PARTY, LONG_AT_ONCE

LIMIT_SECONDS = 60
ENDLESS = 8 << 40
"""Bytes of a sparse file: hashing it takes half an hour."""
LARGE = 2 << 30
"""Bytes of one that is copied: long enough that nobody sees the end of it."""


class Disk:
    """Lanes that run, and what they have done."""

    def __init__(self, drives: str = "") -> None:
        self.done: list[tuple[ops.Operation, ops.Outcome]] = []
        self._more = trio.Event()
        self.database, _ = Database.open(":memory:")
        self.lanes = Lanes(Ledger(drives), self.database, self._take)

    def _take(self, job: ops.Job, outcome: ops.Outcome) -> None:
        self.done.append((job.operation, outcome))
        self._more.set()
        self._more = trio.Event()

    async def until(self, count: int) -> list[ops.Operation]:
        """The first so many operations that were done, in order."""
        while len(self.done) < count:
            await self._more.wait()
        return [operation for operation, _ in self.done[:count]]


@asynccontextmanager
async def working(drives: str = "") -> AsyncIterator[Disk]:
    """Lanes until the end of this; what is not done then is given up."""
    with trio.fail_after(LIMIT_SECONDS):
        async with trio.open_nursery() as nursery:
            disk = Disk(drives)
            await nursery.start(disk.lanes.run)
            yield disk
            nursery.cancel_scope.cancel()


def sparse(folder: Path, name: str, size: int = ENDLESS) -> ops.Location:
    with (folder / name).open("wb") as file:
        file.truncate(size)
    return ops.Location(str(folder), (name,))


async def test_the_jobs_of_a_lane_are_done_in_order(tmp_path: Path) -> None:
    file = ops.Location(str(tmp_path), ("f",))
    operations: list[ops.Operation] = [
        ops.Create(file),
        *(ops.WriteAt(file, 0, bytes([n])) for n in range(50)),
        ops.ReadAt(file, 0, 9),
    ]
    async with working() as disk:
        for each in operations:
            disk.lanes.submit(ops.Job(each, "f", None))
        assert await disk.until(len(operations)) == operations
    assert (tmp_path / "f").read_bytes() == bytes([49])


async def test_g23_hashes_without_end_hold_up_no_other_package(tmp_path: Path) -> None:
    """Neither its short jobs nor its own hashes and copies, however many packages ask for them."""
    small = sparse(tmp_path, "small", 3 << 20)
    honest: list[ops.Operation] = [
        ops.Stat(small),
        ops.Hash(small),
        ops.Copy(small, ops.Location(str(tmp_path), ("copy",))),
    ]
    async with working() as disk:
        for package in range(LONG_AT_ONCE + 1):
            for number in range(BEGUN_OF_PARTY + 2):
                name = f"{package}-{number}"
                disk.lanes.submit(ops.Job(ops.Hash(sparse(tmp_path, name)), name, None, f"greedy{package}:sys"))
        for each in honest:
            disk.lanes.submit(ops.Job(each, f"honest {type(each).__name__}", None, "honest:sys"))
        assert set(await disk.until(3)) == set(honest)
    assert (tmp_path / "copy").stat().st_size == 3 << 20


async def test_g23_queries_without_end_hold_up_no_other_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_sql, "MAX_STEPS", 1 << 60)
    monkeypatch.setattr(package_sql, "MAX_SECONDS", 1e9)

    def query(name: str, text: str) -> ops.Operation:
        return ops.RunSql(ops.Location(str(tmp_path), (name,)), (ops.Statement(text, ()),), writes=False)

    names = [f"sqlite-{number}" for number in range((LONG_AT_ONCE + 1) * (BEGUN_OF_PARTY + 2))]
    honest = query("sqlite-honest", "SELECT 1 AS a")
    async with working(str(tmp_path)) as disk:
        for name in (*names, "sqlite-honest"):
            disk.lanes.submit(ops.Job(ops.OpenDatabase(ops.Location(str(tmp_path), (name,)), 999), name, None, name))
        await disk.until(len(names) + 1)
        disk.done.clear()
        for number, name in enumerate(names):
            endless = query(
                name, "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
            )
            disk.lanes.submit(ops.Job(endless, name, None, f"greedy{number % (LONG_AT_ONCE + 1)}:sys"))
        for _ in range(5):
            disk.lanes.submit(ops.Job(honest, "honest", None, "honest:sys"))
        assert await disk.until(5) == [honest] * 5
    assert disk.done == [(honest, b'[{"a":1}]')] * 5
    put_off = [thread for thread in threading.enumerate() if thread.name == "sliced"]
    for thread in put_off:  # they end with the lanes
        thread.join(LIMIT_SECONDS)
        assert not thread.is_alive()


async def test_g23_a_commit_that_hangs_holds_up_no_other_job(tmp_path: Path) -> None:
    store, file = ops.Location(str(tmp_path), ("store",)), ops.Location(str(tmp_path), ("f",))
    commit, create = ops.Commit(store, (ops.Row("kind", "key", b"value"),)), ops.Create(file)
    async with working() as disk:
        with disk.database._lock:  # as if the disk took no write
            disk.lanes.submit(ops.Job(commit, "store", None))
            disk.lanes.submit(ops.Job(create, "f", None))
            assert await disk.until(1) == [create]
        assert await disk.until(2) == [create, commit]


COPIES: list[type[ops.Copy | ops.CopyFolder]] = [ops.Copy, ops.CopyFolder]


def large(folder: Path, kind: type) -> ops.Location:
    """What takes long to copy: a file, or a folder with one."""
    if kind is ops.Copy:
        return sparse(folder, "source", LARGE)
    (folder / "source" / "inner").mkdir(parents=True)
    sparse(folder / "source" / "inner", "file", LARGE)
    return ops.Location(str(folder), ("source",))


@pytest.mark.parametrize("kind", COPIES)
async def test_g23_a_job_that_is_stopped_leaves_nothing_half_made(
    tmp_path: Path, kind: type[ops.Copy | ops.CopyFolder]
) -> None:
    source = large(tmp_path, kind)
    async with working() as disk:
        copy = kind(source, ops.Location(str(tmp_path), ("copy",)))
        disk.lanes.submit(ops.Job(copy, "copy", None, "app:sys", ticket=1))
        while len(os.listdir(tmp_path)) < 2:  # its temporary file is there
            await trio.lowlevel.checkpoint()
        disk.lanes.stop(ops.StopJob(1))
        await disk.until(1)
        assert disk.done == [(copy, ops.STOPPED)]
        assert os.listdir(tmp_path) == ["source"]


async def test_g23_what_is_stopped_before_its_turn_never_begins(tmp_path: Path) -> None:
    async with working() as disk:
        endless = [sparse(tmp_path, f"{number}") for number in range(BEGUN_OF_PARTY)]
        for ticket, file in enumerate(endless, 1):
            disk.lanes.submit(ops.Job(ops.Hash(file), str(file), None, "app:sys", ticket))
        behind = ops.Hash(sparse(tmp_path, "behind"))
        disk.lanes.submit(ops.Job(behind, "behind", None, "app:sys", ticket=99))
        disk.lanes.stop(ops.StopJob(99))
        disk.lanes.stop(ops.StopJob(1))
        await disk.until(2)
        assert {operation.location.parts[0] for operation, _ in disk.done} == {"0", "behind"}
        assert {outcome for _, outcome in disk.done} == {ops.STOPPED}


@pytest.mark.parametrize("kind", COPIES)
async def test_g23_a_node_that_goes_down_leaves_no_temporary_file(
    tmp_path: Path, kind: type[ops.Copy | ops.CopyFolder]
) -> None:
    source = large(tmp_path, kind)
    async with working() as disk:
        for number in range(LONG_AT_ONCE + 1):
            copy = kind(source, ops.Location(str(tmp_path), (f"copy{number}",)))
            disk.lanes.submit(ops.Job(copy, f"copy {number}", None, f"app{number}:sys"))
        while len(os.listdir(tmp_path)) < LONG_AT_ONCE + 1:
            await trio.lowlevel.checkpoint()
    assert os.listdir(tmp_path) == ["source"]


async def test_g23_a_folder_deeper_than_the_stack_ends_no_lane(tmp_path: Path) -> None:
    deep = ops.Location(str(tmp_path), ("d",) + ("a",) * 1050)
    operations: list[ops.Operation] = [
        ops.MakeFolder(deep),
        ops.RemoveFolder(ops.Location(str(tmp_path), ("d",)), recursive=True),
    ]
    async with working() as disk:
        for each in operations:
            disk.lanes.submit(ops.Job(each, "d", None))
        assert await disk.until(len(operations)) == operations
    assert os.listdir(tmp_path) == []
