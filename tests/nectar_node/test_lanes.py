"""Disk jobs on real threads: in order within a lane, and nobody waits for somebody's hash."""

from __future__ import annotations

import os
from pathlib import Path

import trio
import trio.testing

from nectar_node.lanes import DISK_THREADS, Lanes
from nectar_node.storage.operations import (
    Create,
    Hash,
    Job,
    Location,
    MakeFolder,
    Operation,
    ReadAt,
    RemoveFolder,
    Stat,
    WriteAt,
)

LIMIT_SECONDS = 60


async def outcomes_of(jobs: list[Job], until: int, *, then: tuple[Job, ...] = ()) -> list[Operation]:
    """The operations in the order in which they were done, once `until` of them are; the rest is abandoned. `then`:
    submitted when all others are on their threads, or wait for one."""
    done: list[Operation] = []
    enough = trio.Event()

    def take(job: Job, _: object) -> None:
        done.append(job.operation)
        if len(done) >= until:
            enough.set()

    with trio.fail_after(LIMIT_SECONDS):
        async with trio.open_nursery() as nursery:
            lanes = Lanes(take)
            await nursery.start(lanes.run)
            for job in jobs:
                lanes.submit(job)
            await trio.testing.wait_all_tasks_blocked()
            for job in then:
                lanes.submit(job)
            await enough.wait()
            nursery.cancel_scope.cancel()
    return done


async def test_the_jobs_of_a_lane_are_done_in_order(tmp_path: Path) -> None:
    file = Location(str(tmp_path), ("f",))
    operations: list[Operation] = [Create(file), *(WriteAt(file, 0, bytes([n])) for n in range(50)), ReadAt(file, 0, 9)]
    assert await outcomes_of([Job(each, "f", None) for each in operations], len(operations)) == operations
    assert (tmp_path / "f").read_bytes() == bytes([49])


async def test_g23_hashing_large_files_holds_up_nothing_else(tmp_path: Path) -> None:
    jobs = []
    for number in range(DISK_THREADS + 2):
        with (tmp_path / f"{number}").open("wb") as file:
            file.truncate(2 << 30)  # sparse: it takes no room, and a good part of a second to hash
        jobs.append(Job(Hash(Location(str(tmp_path), (f"{number}",))), f"hash {number}", None))
    stat = Stat(Location(str(tmp_path), ("0",)))
    assert await outcomes_of(jobs, 1, then=(Job(stat, "stat", None),)) == [stat]


async def test_g23_a_folder_deeper_than_the_stack_ends_no_lane(tmp_path: Path) -> None:
    deep = Location(str(tmp_path), ("d",) + ("a",) * 1050)
    operations: list[Operation] = [MakeFolder(deep), RemoveFolder(Location(str(tmp_path), ("d",)), recursive=True)]
    assert await outcomes_of([Job(each, "d", None) for each in operations], len(operations)) == operations
    assert os.listdir(tmp_path) == []
