"""Work that is put off in the midst of a call of SQLite: step by step, and given up at any of them."""

from __future__ import annotations

import threading
from random import Random

import pytest

from nectar_node.storage import operations as ops
from nectar_node.storage import package_sql
from nectar_node.storage.ledger import Ledger
from nectar_node.storage.operations import STOPPED
from nectar_node.storage.package_databases import file_of
from nectar_node.storage.sliced import PutOff, in_slices
from nectar_node.storage.steps import Steps
from nectar_node.storage.turns import BEGUN_OF_PARTY, LONG_AT_ONCE, Turn
from testnet.sim.disk.disk import SimDisk
from testnet.sim.disk_lanes import SimLanes
from testnet.sim.programs import Programs
from testnet.sim.simulation import Simulation
from tests.seeds import seeds

ENDLESS = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS a FROM n"
COUNT = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 100000) SELECT max(i) AS a FROM n"


def unforeseen(error: Exception) -> ops.DiskError:
    return ops.DiskError(ops.DiskFault.OTHER, str(error))


def test_work_goes_on_from_where_it_was_put_off_and_nothing_runs_between_two_steps() -> None:
    done: list[int] = []

    def work(pause: PutOff) -> ops.Outcome:
        for number in range(4):
            done.append(number)
            assert not pause()
        return len(done)

    steps = Steps(in_slices(work), unforeseen)
    for number in range(4):
        assert done == [*range(number)]
        assert not steps.step()
    assert steps.step()
    assert steps.outcome == 4


def test_what_fails_or_is_given_up_leaves_no_thread() -> None:
    told: list[bool] = []

    def failing(pause: PutOff) -> ops.Outcome:
        told.append(pause())
        raise OSError("too bad")

    before = threading.active_count()
    steps = Steps(in_slices(failing), unforeseen)
    steps.step()
    assert steps.step()
    assert steps.outcome == ops.DiskError(ops.DiskFault.OTHER, "too bad")
    steps = Steps(in_slices(failing), unforeseen)
    steps.step()
    steps.stop()
    assert steps.outcome == STOPPED
    Steps(in_slices(failing), unforeseen).stop()  # before it was begun
    assert told == [False, True]
    assert threading.active_count() <= before + 2  # which are about to end


class Packages:
    """Queries of many packages on one simulated disk."""

    def __init__(self, seed: int) -> None:
        self.simulation = Simulation(seed, Programs())
        self.disk = SimDisk(lambda: 0.0, ledger=Ledger("drives"))
        self.disk.open_store("node", "drives")
        self.lanes = SimLanes(self.simulation, self.disk, Random(seed), self._note, self.simulation.schedule)
        self.done: list[str] = []
        self.outcomes: list[ops.Outcome] = []

    def _note(self, job: ops.Job, outcome: ops.Outcome) -> None:
        self.done.append(job.party)
        self.outcomes.append(outcome)

    def open(self, package: str, db: str) -> ops.Location:
        location = ops.Location("drives", (package, ops.DATABASES, file_of("sqlite", db)))
        self.disk.perform(self.disk.ledger.measure(package))
        assert self.disk.perform(ops.OpenDatabase(location, 99)) is None
        return location

    def submit(self, location: ops.Location, text: str, *, writes: bool = False) -> None:
        operation = ops.RunSql(location, (ops.Statement(text, ()),), writes)
        self.lanes.submit(ops.Job(operation, str(location), None, location.parts[0]))


@pytest.mark.parametrize("seed", seeds(1, 5))
def test_g23_a_query_waits_for_one_slice_of_each_other_package_however_long_theirs_are(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_sql, "SLICE_STEPS", 10_000)
    monkeypatch.setattr(package_sql, "MAX_STEPS", 1_000_000)
    packages, slices, greedy = Packages(seed), list[str](), 6
    carry_out = packages.lanes._slice

    def noted(turn: Turn[Steps], job: ops.Job) -> tuple[Steps | None, ops.Outcome]:
        slices.append(job.party)
        return carry_out(turn, job)

    monkeypatch.setattr(packages.lanes, "_slice", noted)
    places = [packages.open(f"greedy{number}:sys", str(db)) for number in range(greedy) for db in range(6)]
    honest = packages.open("honest:sys", "d")
    for place in places:
        packages.submit(place, ENDLESS)
    packages.simulation.rest(0.05 * Random(seed).random())
    assert packages.done == []
    slices.clear()
    packages.submit(honest, "SELECT 1 AS a")
    while not packages.done:
        assert packages.simulation.step()
    assert packages.done == ["honest:sys"], f"seed {seed}"
    assert len(slices) <= greedy + LONG_AT_ONCE, f"seed {seed}: {slices}"
    assert len(packages.lanes._turns.begun) <= greedy * BEGUN_OF_PARTY
    packages.lanes.break_off()
    packages.disk.close_store()


def test_a_query_that_was_put_off_again_and_again_has_the_outcome_of_one_that_was_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(package_sql, "SLICE_STEPS", 5_000)
    monkeypatch.setattr(package_sql, "MAX_STEPS", 3_000_000)
    packages = Packages(1)
    for number in range(3):
        packages.submit(packages.open(f"p{number}:sys", "d"), (COUNT, ENDLESS, COUNT)[number])
    packages.simulation.rest(60.0)
    assert dict(zip(packages.done, packages.outcomes, strict=True)) == {
        "p0:sys": b'[{"a":100000}]',
        "p1:sys": ops.DiskError(ops.DiskFault.OTHER, "it takes too long, or too much memory"),
        "p2:sys": b'[{"a":100000}]',
    }


@pytest.mark.parametrize("seed", seeds(1, 8))
def test_g26_a_crash_in_the_midst_of_statements_leaves_all_of_one_or_nothing(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_sql, "SLICE_STEPS", 2_000)
    packages, chance = Packages(seed), Random(seed)
    place = packages.open("app:sys", "d")
    packages.submit(place, "CREATE TABLE t (a, b)", writes=True)
    packages.simulation.rest(1.0)
    fill = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 2000) INSERT INTO t SELECT %d, "
    for number in range(5):
        packages.submit(place, fill % number + "randomblob(500) FROM n", writes=True)
    packages.simulation.rest(chance.random() * 0.5)
    answered = len(packages.done) - 1
    packages.lanes.break_off()
    packages.disk.close_store()
    packages.disk.lose_unsynced(chance)
    packages.disk.ledger = Ledger("drives")
    packages.disk.open_store("node", "drives")
    packages.disk.perform(packages.disk.ledger.measure("app:sys"))
    query = ops.Statement("SELECT a, count(*) AS n FROM t GROUP BY a ORDER BY a", ())
    rows = packages.disk.perform(ops.RunSql(place, (query,), writes=False))
    possible = [
        b"[" + b",".join(b'{"a":%d,"n":2000}' % a for a in range(until)) + b"]" for until in (answered, answered + 1)
    ]
    assert rows in possible, f"seed {seed}, {answered} answered: {rows!r}"
    packages.disk.close_store()
