"""Copies are made by processes of their own, of which the node always hears what became, and which end with it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import trio

from nectar_node.backup.stores.node_backups import NodeBackups
from nectar_node.base.folder import NodeFolder
from nectar_node.contract.actions import StartBackup, StopBackup
from nectar_node.contract.config import NODES_FOLDER
from nectar_node.driver import backup_runs
from nectar_node.driver.backup_runs import BackupRuns, Outcomes
from tests.waiting import LIMIT


class Told:
    """What a node has heard of its runs."""

    def __init__(self) -> None:
        self.outcomes: dict[str, int | str | None] = {}
        self._more = trio.Event()

    def take(self, outcomes: Outcomes) -> None:
        self.outcomes |= outcomes
        self._more.set()

    async def until(self, count: int) -> dict[str, int | str | None]:
        while len(self.outcomes) < count:
            self._more = trio.Event()
            await self._more.wait()
        return self.outcomes


@pytest.fixture
def place(tmp_path: Path) -> NodeFolder:
    """The folder of a node that has never run."""
    folder = NodeFolder(tmp_path / "net" / NODES_FOLDER / "a.nec")
    folder.create()
    return folder


@asynccontextmanager
async def serving(place: NodeFolder, told: Told) -> AsyncIterator[BackupRuns]:
    def note(what: str, error: Exception) -> None:
        raise AssertionError(what) from error

    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            runs = BackupRuns(place, place.path.parent.parent, told.take, note)
            await nursery.start(runs.run)
            yield runs
            await runs.stop()


def children() -> set[int]:
    """The processes that this one has started and that have not ended."""
    mine = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue
        state, parent, *_ = rest.split()
        if int(parent) == os.getpid() and state != "Z":
            mine.add(int(stat.parent.name))
    return mine


@contextmanager
def held(place: NodeFolder) -> Iterator[None]:
    """Let every run wait for the settings of backups."""
    descriptor = os.open(place.path / "backup" / "run", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


async def begun(before: set[int]) -> int:
    """The process of a run, once it has opened the settings."""
    while True:
        for pid in children() - before:
            try:
                if any(name.endswith("/backup/run") for name in descriptors(pid).values()):
                    return pid
            except OSError:
                continue
        await trio.sleep(0.01)


def descriptors(pid: int) -> dict[str, str]:
    found = {}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        found[link.name] = os.readlink(link)
    return found


async def test_each_remote_has_its_outcome(place: NodeFolder, tmp_path: Path) -> None:
    backups, told = NodeBackups(place, place.path.parent.parent), Told()
    for name in ("disk", "gone"):
        backups.add(name, str(tmp_path / name))
    (tmp_path / "gone").rename(tmp_path / "elsewhere")
    async with serving(place, told) as runs:
        runs.start(StartBackup(("disk", "gone")))
        outcomes = await told.until(2)
    assert outcomes["disk"] == 1
    assert "is its disk there" in str(outcomes["gone"])


async def test_a_run_that_cannot_begin_says_why_in_the_words_of_the_command(place: NodeFolder) -> None:
    told = Told()
    async with serving(place, told) as runs:
        runs.start(StartBackup(("disk", "usb")))
        outcomes = await told.until(2)
    assert set(outcomes.values()) == {"a.nec has no backups yet: add a remote with `nectar backup add`."}


async def test_a_run_that_crashes_is_a_failure_and_shares_nothing_with_the_node(
    place: NodeFolder, tmp_path: Path
) -> None:
    NodeBackups(place, place.path.parent.parent).add("disk", str(tmp_path / "disk"))
    told, before = Told(), children()
    secret = os.open(tmp_path, os.O_RDONLY)
    with held(place):
        async with serving(place, told) as runs:
            runs.start(StartBackup(("disk",)))
            pid = await begun(before)
            assert os.getpriority(os.PRIO_PROCESS, pid) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
            theirs = descriptors(pid)
            assert str(tmp_path) not in theirs.values()
            assert sorted(theirs)[:3] == ["0", "1", "2"]
            assert [path for path in theirs.values() if "socket" in path] == []
            os.kill(pid, signal.SIGKILL)
            outcomes = await told.until(1)
    os.close(secret)
    assert outcomes == {"disk": "The process that makes copies has ended by signal 9."}


async def test_a_run_ends_with_the_node_even_if_it_does_not_listen(place: NodeFolder, tmp_path: Path) -> None:
    NodeBackups(place, place.path.parent.parent).add("disk", str(tmp_path / "disk"))
    told, before = Told(), children()
    with held(place):
        async with serving(place, told) as runs:
            runs.start(StartBackup(("disk",)))
            pid = await begun(before)
            os.kill(pid, signal.SIGSTOP)
            await runs.stop()
            assert pid not in children()
            runs.start(StartBackup(("disk",)))
            assert children() <= before
    assert told.outcomes == {}


async def test_a_run_that_is_cut_short_is_no_failure_and_the_next_one_begins(place: NodeFolder, tmp_path: Path) -> None:
    NodeBackups(place, place.path.parent.parent).add("disk", str(tmp_path / "disk"))
    told, before = Told(), children()
    async with serving(place, told) as runs:
        with held(place):
            runs.start(StartBackup(("disk",)))
            pid = await begun(before)
            runs.cut_short(StopBackup(("disk",)))
            assert await told.until(1) == {"disk": None}
            assert pid not in children()
        told.outcomes.clear()
        runs.start(StartBackup(("disk",)))
        assert await told.until(1) == {"disk": 1}


async def test_a_run_ends_with_its_standard_input_however_the_node_has_ended(place: NodeFolder, tmp_path: Path) -> None:
    NodeBackups(place, place.path.parent.parent).add("disk", str(tmp_path / "disk"))
    before = children()
    command = ["-P", "-m", "nectar_node", "backup", "run", "--for-node", "--dir", str(place.path.parent.parent)]
    with held(place), trio.fail_after(LIMIT):
        process = await trio.lowlevel.open_process([sys.executable, *command], stdin=subprocess.PIPE)
        await begun(before)
        assert process.stdin is not None
        await process.stdin.aclose()
        assert await process.wait() == 1


async def test_a_run_that_takes_too_long_is_ended(
    place: NodeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    NodeBackups(place, place.path.parent.parent).add("disk", str(tmp_path / "disk"))
    monkeypatch.setattr(backup_runs, "RUN_SECONDS", 0.1)
    told, before = Told(), children()
    with held(place):
        async with serving(place, told) as runs:
            runs.start(StartBackup(("disk",)))
            assert "goes on from there" in str((await told.until(1))["disk"])
    assert children() <= before
