"""Whose disk job is next: pure, with exact orders (G23)."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from nectar_node.storage.ledger import Ledger
from nectar_node.storage.operations import LONG_BYTES, Hash, Job, Location, Operation, Replace, Stat, Usage, WriteAt
from nectar_node.storage.turns import (
    BEGUN_OF_PARTY,
    COUNTER,
    JOBS_PER_TURN,
    LONG_AT_ONCE,
    SHORT_AT_ONCE,
    DiskTurns,
    Turn,
    count_lane,
)

SEEDS = range(20)


def long(name: str) -> Operation:
    return Hash(Location("elsewhere", (name,)))


def short(name: str) -> Operation:
    return Stat(Location("elsewhere", (name,)))


class Threads:
    """Turns, and who carries them out."""

    def __init__(self) -> None:
        self.ledger = Ledger("drives")
        self.given_up: list[object] = []
        self.turns: DiskTurns[int] = DiskTurns(self.ledger, lambda job: self.given_up.append(job.owner))
        self.going: list[Turn[int]] = []
        self.done: list[object] = []

    def submit(self, party: str, owner: str, operation: Operation | None = None, ticket: int = 0) -> None:
        operation = operation or short(owner)
        self.turns.submit(Job(operation, f"{party} {owner}", owner, party, ticket))

    def take(self) -> list[str]:
        """The parties of the turns that begin now."""
        began = []
        while (turn := self.turns.take()) is not None:
            began.append(turn)
        self.going += began
        return [turn.party for turn in began]

    def end(self, turn: Turn[int], slices: int = 0) -> None:
        """A slice of it is over, of which so many are to come."""
        self.going.remove(turn)
        self.turns.done(turn, slices or None)
        if not slices:
            self.done += [job.owner for job in turn.jobs]


@pytest.mark.parametrize(("kind", "threads"), [(short, SHORT_AT_ONCE), (long, LONG_AT_ONCE)])
def test_g23_who_comes_later_waits_for_one_slice_at_most_however_much_there_is(
    kind: Callable[[str], Operation], threads: int
) -> None:
    disk = Threads()
    for package in "ab":
        for number in range(9):
            disk.submit(package, f"{number}", kind(str(number)))
    assert set(disk.take()) == {"a", "b"}
    assert len(disk.going) == threads
    disk.submit("late", "one", kind("one"))
    assert disk.take() == []
    disk.end(disk.going[0], slices=1 if kind is long else 0)
    assert disk.take() == ["late"]


def test_while_files_are_held_nothing_changes_them_not_even_what_is_half_done() -> None:
    disk = Threads()
    for package in "ab":
        disk.ledger.account(package).count(Usage(0, 0))

    def change(package: str) -> Operation:
        return Replace(Location("drives", (package, "f")), bytes(LONG_BYTES + 1))

    disk.submit("a", "half", change("a"))
    disk.submit("b", "short", WriteAt(Location("drives", ("b", "g")), 0, b"x"))
    assert disk.take() == ["b", "a"]
    disk.turns.hold()
    assert not disk.turns.is_still
    disk.submit("a", "reads")
    disk.submit("b", "later", WriteAt(Location("drives", ("b", "h")), 0, b"x"))
    disk.submit("a", "hashes", long("x"))
    assert sorted(disk.take()) == ["a", "a"]
    written, half, read, hashed = disk.going
    disk.end(written)
    assert not disk.turns.is_still
    disk.end(half, slices=1)
    assert disk.turns.is_still
    disk.end(read)
    disk.end(hashed)
    assert disk.take() == []
    disk.turns.go_on()
    assert sorted(disk.take()) == ["a", "b"]
    while disk.going:
        disk.end(disk.going[0])
    assert sorted(map(str, disk.done)) == ["half", "hashes", "later", "reads", "short"]


def test_g23_one_package_leaves_a_thread_of_each_kind_to_others() -> None:
    disk = Threads()
    for number in range(9):
        disk.submit("a", f"{number}")
        disk.submit("a", f"long {number}", long(str(number)))
    assert len(disk.take()) == SHORT_AT_ONCE - 1 + LONG_AT_ONCE - 1
    disk.submit("b", "one")
    disk.submit("b", "long", long("x"))
    assert disk.take() == ["b", "b"]


def test_g23_asking_for_one_thing_after_another_gains_nothing() -> None:
    disk = Threads()
    for package in ("steady", "other"):
        for number in range(4):
            disk.submit(package, f"{number}", long(str(number)))
    disk.take()
    turns: list[str] = []
    for number in range(30):
        disk.submit("sly", f"{number}", long("x"))
        turn = disk.going[0]
        disk.end(turn, slices=0 if turn.party == "sly" else 1)
        turns += disk.take()
    assert turns.count("sly") <= 12


def test_g23_only_so_many_long_jobs_of_a_package_are_begun() -> None:
    disk = Threads()
    for number in range(BEGUN_OF_PARTY + 3):
        disk.submit("a", f"{number}", long(str(number)))
    for _ in range(40):
        disk.take()
        disk.end(disk.going[0], slices=1)
    assert len(disk.turns.begun) == BEGUN_OF_PARTY
    disk.take()
    disk.end(disk.going[0])
    for _ in range(40):
        disk.take()
        disk.end(disk.going[0], slices=1)
    assert len(disk.turns.begun) == BEGUN_OF_PARTY


def test_short_jobs_of_a_lane_go_together_and_in_order() -> None:
    disk = Threads()
    for number in range(JOBS_PER_TURN + 1):
        disk.turns.submit(Job(short("f"), "f", number, "a"))
    assert disk.take() == ["a"]
    assert [job.owner for job in disk.going[0].jobs] == list(range(JOBS_PER_TURN))


def test_g23_what_a_package_has_is_counted_once_before_it_is_changed_and_alone() -> None:
    disk = Threads()
    writes = [WriteAt(Location("drives", ("p:sys", name)), 0, b"x") for name in "fg"]
    for write in writes:
        disk.submit("a", str(write), write)
    assert disk.take() == ["a"]
    (count,) = disk.going
    assert [job.owner for job in count.jobs] == [COUNTER]
    disk.ledger.account("p:sys").known = True
    disk.end(count)
    assert disk.take() == ["a", "a"]
    again = Job(disk.ledger.measure("p:sys"), count_lane("p:sys"), "again", "a")
    disk.turns.submit(again)
    assert disk.take() == []  # until nothing changes it
    disk.submit("a", "third", writes[0])
    assert disk.take() == []
    for turn in list(disk.going):
        disk.end(turn)
    assert disk.take() == ["a"]
    disk.end(disk.going[0])
    assert disk.take() == ["a"]
    assert disk.going[0].jobs[0].owner == "third"


@pytest.mark.parametrize("seed", SEEDS)
def test_every_job_is_done_once_or_given_up_and_nothing_is_left(seed: int) -> None:
    chance = random.Random(seed)
    disk = Threads()
    for package in "ab":
        disk.ledger.account(f"{package}:sys").known = chance.random() < 0.5
    asked: list[str] = []
    for number in range(1, 200):
        party, owner = chance.choice("ab"), str(number)
        place = Location("drives", (f"{party}:sys", chance.choice("fgh")))
        operation = chance.choice((WriteAt(place, 0, b"x"), Hash(place), Stat(place)))
        disk.turns.submit(Job(operation, chance.choice("lmn"), owner, party, number))
        asked.append(owner)
        if chance.random() < 0.2:
            disk.turns.stop(chance.randint(1, number))
        disk.take()
        if disk.going and chance.random() < 0.7:
            step(disk, chance)
    while disk.take() or disk.going:
        step(disk, chance)
    mine = [str(owner) for owner in (*disk.done, *disk.given_up) if owner is not COUNTER]
    assert sorted(mine) == sorted(asked), f"seed {seed}"
    assert not disk.turns._lanes
    assert not disk.turns._tickets
    assert not disk.turns._changing
    assert not disk.turns._begun


def step(disk: Threads, chance: random.Random) -> None:
    turn = chance.choice(disk.going)
    if turn.jobs[0].owner is COUNTER:
        disk.ledger.account(turn.party + ":sys").known = True
    disk.end(turn, slices=1 if turn.long and not turn.stop and chance.random() < 0.5 else 0)
