"""Snapshots of a running node: one instant for store and files, and bounds on what one may cost."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from nectar_node.driver import snapshots as driver_snapshots
from nectar_node.driver.disk_threads import Lanes
from nectar_node.driver.snapshots import (
    BUSY_SECONDS,
    IDLE_SECONDS,
    LOOK_SECONDS,
    SCAN_SECONDS,
    SILENT_SECONDS,
    CannotSnapshot,
    NodeSnapshot,
    NodeSnapshots,
)
from nectar_node.storage import operations as ops
from nectar_node.storage.database import Contents, Database
from nectar_node.storage.ledger import Ledger, Quotas

PACKAGE = "app:x"


class Disk:
    """A node's store, its drives, and jobs on both."""

    def __init__(self, folder: Path, clock: MockClock) -> None:
        self.path = folder / "a.nec"
        (self.path / "vfs" / PACKAGE).mkdir(parents=True)
        os.chmod(self.path, 0o700)
        self.clock = clock
        self.ledger = Ledger(str(self.path / "vfs"), Quotas(floor=0))
        self.database, _ = Database.open(str(self.path / "store"))
        self.notes: list[object] = []
        self.lanes = Lanes(self.ledger, self.database, self._take)
        self.snapshots = NodeSnapshots(self.path, self.ledger, self.database, self.lanes, self._note)
        self._waiting: dict[object, trio.Event] = {}
        self._numbers = itertools.count()

    def _take(self, job: ops.Job, outcome: ops.Outcome) -> None:
        assert outcome is None
        self._waiting.pop(job.owner).set()

    def _note(self, what: str, error: Exception) -> None:
        self.notes.append((what, error))

    def submit(self, operation: ops.Operation) -> trio.Event:
        """Have an operation carried out; the event is set when it is done."""
        number, done = next(self._numbers), trio.Event()
        self._waiting[number] = done
        self.lanes.submit(ops.Job(operation, f"lane {number}", number, PACKAGE))
        return done

    async def write(self, name: str, data: bytes) -> None:
        await self.submit(ops.Replace(self.at(name), data)).wait()

    async def save(self, value: bytes) -> None:
        location = ops.Location(str(self.path), ("store",))
        await self.submit(ops.Commit(location, (ops.Row("rows", "key", value),))).wait()

    def at(self, name: str) -> ops.Location:
        return ops.Location(str(self.path / "vfs"), (PACKAGE, name))

    def stored(self, tmp_path: Path) -> Contents:
        """What a copy of the store's file holds."""
        shutil.copy(self.path / "store", tmp_path / "copy")
        database, contents = Database.open(str(tmp_path / "copy"), may_be_empty=False)
        database.close()
        for each in tmp_path.glob("copy*"):
            each.unlink()
        return contents

    async def gone(self, snapshot: NodeSnapshot) -> None:
        """Return when all is as if there had been no snapshot."""
        while self.snapshots.folder.exists() or self.ledger.preserver is not None:
            await trio.testing.wait_all_tasks_blocked()
            self.clock.jump(LOOK_SECONDS)
            await trio.to_thread.run_sync(lambda: None)


@asynccontextmanager
async def working(folder: Path, clock: MockClock) -> AsyncIterator[Disk]:
    disk = Disk(folder, clock)
    async with trio.open_nursery() as nursery:
        await nursery.start(disk.lanes.run)
        await nursery.start(disk.snapshots.run)
        yield disk
        nursery.cancel_scope.cancel()
    disk.database.close()
    assert disk.notes == []


@pytest.fixture
def clock(mock_clock: MockClock) -> MockClock:
    """Time stands still but where a test lets it go on."""
    return mock_clock


async def test_files_stand_still_until_they_have_been_looked_at_and_the_store_until_it_has_been_read(
    tmp_path: Path, clock: MockClock
) -> None:
    async with working(tmp_path, clock) as disk:
        await disk.write("f", b"old")
        await disk.save(b"old")
        snapshot = await disk.snapshots.begin()
        waits = disk.submit(ops.Replace(disk.at("f"), b"new"))
        await disk.save(b"new")
        assert not waits.is_set()
        assert (disk.path / "vfs" / PACKAGE / "f").read_bytes() == b"old"
        snapshot.scanned()
        await waits.wait()
        assert disk.stored(tmp_path)["rows"] == {"key": b"old"}
        assert len(os.listdir(snapshot.folder)) == 1
        await snapshot.store_read()
        assert snapshot.void(1) is None
        snapshot.end()
        await disk.gone(snapshot)
        await disk.save(b"newer")


async def test_the_stores_file_stays_as_it_is_however_much_is_committed(tmp_path: Path, clock: MockClock) -> None:
    async with working(tmp_path, clock) as disk:
        await disk.save(b"old")
        snapshot = await disk.snapshots.begin()
        before = (disk.path / "store").read_bytes()
        for number in range(12):
            await disk.save(bytes([number]) * 700_000)  # twice what SQLite takes over by itself
        assert (disk.path / "store").read_bytes() == before
        snapshot.end()
        await disk.gone(snapshot)
        await disk.save(b"new")
        assert (disk.path / "store").read_bytes() != before


async def test_there_is_one_snapshot_at_a_time(tmp_path: Path, clock: MockClock) -> None:
    async with working(tmp_path, clock) as disk:
        snapshot = await disk.snapshots.begin()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_refused, disk)
            await trio.testing.wait_all_tasks_blocked()
            clock.jump(BUSY_SECONDS)
        snapshot.end()
        (await disk.snapshots.begin()).end()


async def _refused(disk: Disk) -> None:
    with pytest.raises(CannotSnapshot, match="Another backup"):
        await disk.snapshots.begin()


async def test_a_client_that_looks_at_the_files_for_ever_holds_nobody_up(tmp_path: Path, clock: MockClock) -> None:
    async with working(tmp_path, clock) as disk:
        snapshot = await disk.snapshots.begin()
        waits = disk.submit(ops.Replace(disk.at("f"), b"x"))
        clock.jump(SCAN_SECONDS + LOOK_SECONDS)
        await waits.wait()
        await disk.gone(snapshot)
        assert "looking at all files" in str(snapshot.void(0))


@pytest.mark.parametrize("asks", [False, True])
async def test_a_client_that_is_stopped_or_makes_no_progress_loses_its_snapshot(
    tmp_path: Path, clock: MockClock, asks: bool
) -> None:
    async with working(tmp_path, clock) as disk:
        snapshot = await disk.snapshots.begin()
        snapshot.scanned()
        for number in range(5):
            for _ in range(3):
                clock.jump(SILENT_SECONDS / 4)
                await trio.testing.wait_all_tasks_blocked()
            assert snapshot.void(number) is None
        for _ in range(int(IDLE_SECONDS / SILENT_SECONDS * 4) + 2):
            clock.jump(SILENT_SECONDS / 4)
            await trio.testing.wait_all_tasks_blocked()
            if asks:
                snapshot.void(4)
        await disk.gone(snapshot)
        assert snapshot.void(5) == "the backup made no progress"


async def test_a_store_that_grows_too_much_makes_the_snapshot_void(
    tmp_path: Path, clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_snapshots, "MAX_LOG_BYTES", 1 << 20)
    async with working(tmp_path, clock) as disk:
        snapshot = await disk.snapshots.begin()
        for _ in range(3):
            await disk.save(bytes(700_000))
        clock.jump(LOOK_SECONDS)
        await disk.gone(snapshot)
        assert "the store changed by more than 1 MiB" in str(snapshot.void(0))


async def test_a_disk_that_gets_full_makes_the_snapshot_void_and_removes_what_it_kept(
    tmp_path: Path, clock: MockClock
) -> None:
    async with working(tmp_path, clock) as disk:
        await disk.write("f", bytes(1000))
        snapshot = await disk.snapshots.begin()
        snapshot.scanned()
        await disk.submit(ops.RemoveFile(disk.at("f"))).wait()
        disk.ledger.quotas = Quotas(floor=1 << 60)
        clock.jump(LOOK_SECONDS)
        await disk.gone(snapshot)
        assert snapshot.void(0) == "the node's disk is nearly full"


async def test_a_client_that_goes_away_while_the_snapshot_begins_leaves_nothing(
    tmp_path: Path, clock: MockClock
) -> None:
    async with working(tmp_path, clock) as disk:
        with trio.CancelScope() as scope:
            scope.cancel()
            await disk.snapshots.begin()
        await disk.write("f", b"x")
        assert disk.ledger.preserver is None
        (await disk.snapshots.begin()).end()
