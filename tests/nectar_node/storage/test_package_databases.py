"""Databases of packages: on the real disk and on the simulated one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from nectar_node.storage import operations as ops
from nectar_node.storage.disk import perform
from nectar_node.storage.ledger import DEFAULT_QUOTAS, LENT_BYTES, Ledger, Quotas
from nectar_node.storage.package_databases import MAX_IDLE, PackageDatabases, file_of
from nectar_node.storage.package_files import PackageFiles
from testnet.sim.disk.disk import SimDisk

Perform = Callable[[ops.Operation], ops.Outcome]


class Disk:
    """A disk with a ledger."""

    def __init__(self, drives: str, ledger: Ledger, do: Perform, again: Callable[[], None]) -> None:
        self.drives = drives
        self.ledger = ledger
        self.do = do
        self.again = again
        """Lets go of all connections, as a crash of the node does."""

    def at(self, name: str = "d") -> ops.Location:
        return ops.Location(self.drives, ("app:sys", ops.DATABASES, file_of("kv", name)))

    def get(self, key: bytes, name: str = "d") -> bytes | None:
        outcome = self.do(ops.GetValues(self.at(name), (key,)))
        assert isinstance(outcome, ops.Values), outcome
        (value,) = outcome.values
        return value

    def used(self) -> ops.Usage:
        return self.ledger.account("app:sys").used


def real(folder: Path, quotas: Quotas) -> Disk:
    ledger = Ledger(str(folder), quotas)
    current = [PackageDatabases(PackageFiles(ledger, str(folder)), lambda: 0.0)]

    def again() -> None:
        current[0].close()
        current[0] = PackageDatabases(PackageFiles(ledger, str(folder)), lambda: 0.0)

    return Disk(str(folder), ledger, lambda operation: perform(operation, ledger, None, current[0]), again)


def simulated(quotas: Quotas) -> Disk:
    ledger = Ledger("drives", quotas)
    disk = SimDisk(lambda: 1.0, ledger=ledger)

    def again() -> None:
        disk.open_store("node", "drives")

    again()
    return Disk("drives", ledger, disk.perform, again)


@pytest.fixture(params=["real", "simulated"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Disk]]:
    made: list[Disk] = []

    def of(quotas: Quotas = DEFAULT_QUOTAS) -> Disk:
        disk = real(tmp_path, quotas) if request.param == "real" else simulated(quotas)
        disk.do(disk.ledger.measure("app:sys"))
        made.append(disk)
        return disk

    yield of
    for disk in made:
        disk.again()


Make = Callable[..., Disk]


def test_what_is_put_is_got_also_by_a_node_that_boots_again(make: Make) -> None:
    disk = make()
    assert disk.do(ops.OpenDatabase(disk.at(), 9)) is None
    assert disk.get(b"a") is None
    assert disk.do(ops.PutPairs(disk.at(), ((b"a", b"1"), (b"b", memoryview(b"2")), (b"a", b"3")))) is None
    assert disk.get(b"a") == b"3"
    disk.again()
    assert disk.get(b"b") == b"2"
    assert disk.do(ops.PutPairs(disk.at(), ((b"a", None),))) is None
    disk.again()
    assert disk.get(b"a") is None


def test_what_nobody_opened_is_not_there(make: Make) -> None:
    disk = make()
    for operation in (
        ops.GetValues(disk.at(), (b"a",)),
        ops.PutPairs(disk.at(), ()),
        ops.RemoveDatabase(disk.at()),
    ):
        outcome = disk.do(operation)
        assert isinstance(outcome, ops.DiskError)
        assert outcome.fault is ops.DiskFault.NOT_FOUND


def test_all_files_count_as_a_new_count_finds_them(make: Make) -> None:
    disk = make()
    for name in ("d", "e"):
        disk.do(ops.OpenDatabase(disk.at(name), 9))
        for number in range(40):
            disk.do(ops.PutPairs(disk.at(name), ((b"%d" % number, bytes(60_000)),)))
    disk.do(ops.RemoveDatabase(disk.at("e")))
    before = disk.used()
    assert before.bytes > 40 * 60_000
    counted = disk.do(disk.ledger.measure("app:sys"))
    assert isinstance(counted, ops.Counted)
    assert counted.used == before
    assert counted.unasked == (0, 0)


def opened() -> tuple[SimDisk, ops.Location]:
    """A simulated disk with an empty database, and where that is."""
    ledger = Ledger("drives", DEFAULT_QUOTAS)
    disk = SimDisk(lambda: 1.0, ledger=ledger)
    disk.open_store("node", "drives")
    at = ops.Location("drives", ("app:sys", ops.DATABASES, file_of("kv", "d")))
    disk.perform(ledger.measure("app:sys"))
    disk.perform(ops.OpenDatabase(at, 9))
    return disk, at


def test_a_set_of_one_key_is_two_writes_and_one_sync() -> None:
    disk, at = opened()
    disk.perform(ops.PutPairs(at, ((b"k", bytes(1000)),)))
    before = disk.package_files.done
    for number in range(1, 6):
        assert disk.perform(ops.PutPairs(at, ((b"k", bytes([number]) * 1000),))) is None
    assert disk.package_files.done - before == 5 * 3


@pytest.mark.parametrize("writes", range(8))
def test_a_power_cut_at_each_write_of_two_sets_takes_nothing_that_was_answered(writes: int) -> None:
    """The second set's log shares a sector with the first one's: what is torn there must not be the first's."""
    for seed in range(40):
        disk, at = opened()
        assert disk.perform(ops.PutPairs(at, ((b"k", b"0" * 1000),))) is None
        disk.package_files.left = writes
        answered = b"0"
        for value in (b"1", b"2"):
            if disk.perform(ops.PutPairs(at, ((b"k", value * 1000),))) is None:
                answered = value
        disk.close_store()
        disk.lose_unsynced(Random(seed))
        disk.open_store("node", "drives")
        got = disk.perform(ops.GetValues(at, (b"k",)))
        assert isinstance(got, ops.Values), (seed, got)
        (found,) = got.values
        assert found in {answered * 1000, bytes([answered[0] + 1]) * 1000}, seed


def test_a_database_that_was_removed_and_opened_again_takes_sets(make: Make) -> None:
    disk = make()
    for value in (b"1", b"2"):
        assert disk.do(ops.OpenDatabase(disk.at(), 9)) is None
        assert disk.get(b"k") is None
        for _ in range(2):
            assert disk.do(ops.PutPairs(disk.at(), ((b"k", value),))) is None
        assert disk.get(b"k") == value
        assert disk.do(ops.RemoveDatabase(disk.at())) is None


def test_a_quota_that_is_used_up_refuses_a_write_and_keeps_what_was_there(make: Make) -> None:
    disk = make(Quotas(bytes=1 << 20))
    disk.do(ops.OpenDatabase(disk.at(), 9))
    disk.do(ops.PutPairs(disk.at(), ((b"a", b"1"),)))
    outcome = disk.do(ops.PutPairs(disk.at(), ((b"a", b"2"), (b"b", bytes(2 << 20)))))
    assert outcome == ops.DiskError(ops.DiskFault.FULL, "the package's quota of 1048576 bytes is used up")
    assert disk.get(b"a") == b"1"
    assert disk.do(ops.PutPairs(disk.at(), ((b"a", b"3"),))) is None
    assert disk.used().bytes <= 1 << 20


def test_more_databases_than_connections_are_served(make: Make) -> None:
    disk = make()
    names = [str(number) for number in range(3 * MAX_IDLE)]
    for name in names:
        disk.do(ops.OpenDatabase(disk.at(name), 99))
        disk.do(ops.PutPairs(disk.at(name), ((b"name", name.encode()),)))
    assert [disk.get(b"name", name) for name in names] == [name.encode() for name in names]
    outcome = disk.do(ops.OpenDatabase(disk.at("more"), len(names)))
    assert isinstance(outcome, ops.DiskError)
    assert outcome.fault is ops.DiskFault.FULL


def test_connections_hold_a_bounded_number_of_descriptors(tmp_path: Path) -> None:
    disk = real(tmp_path, DEFAULT_QUOTAS)
    disk.do(disk.ledger.measure("app:sys"))
    before = len(os.listdir("/proc/self/fd"))
    for number in range(3 * MAX_IDLE):
        disk.do(ops.OpenDatabase(disk.at(str(number)), 99))
        disk.do(ops.PutPairs(disk.at(str(number)), ((b"a", b"b"),)))
    assert len(os.listdir("/proc/self/fd")) - before <= 2 * MAX_IDLE
    disk.again()
    assert len(os.listdir("/proc/self/fd")) == before


def test_no_link_leads_out_of_the_package(tmp_path: Path) -> None:
    disk = real(tmp_path / "vfs", DEFAULT_QUOTAS)
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "vfs" / "app:sys").mkdir(parents=True)
    (tmp_path / "vfs" / "app:sys" / ops.DATABASES).symlink_to(outside)
    disk.do(disk.ledger.measure("app:sys"))
    assert isinstance(disk.do(ops.OpenDatabase(disk.at(), 9)), ops.DiskError)
    (tmp_path / "vfs" / "app:sys" / ops.DATABASES).unlink()
    disk.do(ops.OpenDatabase(disk.at("other"), 9))
    Path(disk.drives, *disk.at().parts).symlink_to(outside / "victim")
    assert isinstance(disk.do(ops.OpenDatabase(disk.at(), 9)), ops.DiskError)
    assert os.listdir(outside) == []


def test_a_file_that_is_no_database_is_an_error_and_not_the_nodes_end(tmp_path: Path) -> None:
    disk = real(tmp_path, DEFAULT_QUOTAS)
    disk.do(disk.ledger.measure("app:sys"))
    disk.do(ops.OpenDatabase(disk.at(), 9))
    disk.do(ops.PutPairs(disk.at(), ((b"a", b"b"),)))
    disk.again()
    file = Path(disk.drives, *disk.at().parts)
    Path(f"{file}-wal").unlink()
    file.write_bytes(os.urandom(20_000))
    for operation in (ops.GetValues(disk.at(), (b"a",)), ops.PutPairs(disk.at(), ((b"a", b""),))):
        outcome = disk.do(operation)
        assert isinstance(outcome, ops.DiskError)
        assert outcome.text.startswith("the database is damaged")
    assert disk.do(ops.RemoveDatabase(disk.at())) is None


def test_a_copy_of_the_files_between_two_operations_is_whole(tmp_path: Path) -> None:
    disk = real(tmp_path, DEFAULT_QUOTAS)
    disk.do(disk.ledger.measure("app:sys"))
    disk.do(ops.OpenDatabase(disk.at(), 9))
    disk.do(ops.PutPairs(disk.at(), ((b"a", b"one"),)))
    file = Path(disk.drives, *disk.at().parts)
    copy = tmp_path / "copy.db"
    for suffix in ("", "-wal"):
        (tmp_path / f"copy.db{suffix}").write_bytes(Path(f"{file}{suffix}").read_bytes())
    disk.do(ops.PutPairs(disk.at(), ((b"a", b"two"),)))
    connection = sqlite3.connect(copy)
    assert connection.execute("SELECT value FROM pairs").fetchall() == [(b"one",)]
    connection.close()


def fill(disk: Disk, size: int) -> list[bytes]:
    """Put values until the quota is used up; return their keys."""
    keys: list[bytes] = []
    for number in range(10_000):
        key = b"%d" % number
        if disk.do(ops.PutPairs(disk.at(), ((key, bytes(size)),))) is not None:
            break
        keys.append(key)
    return keys


@pytest.mark.parametrize("size", [100, 5_000, 300_000])
def test_g23_a_package_at_its_quota_gets_below_it_by_removing(make: Make, size: int) -> None:
    quota = 1 << 20
    disk = make(Quotas(bytes=quota))
    disk.do(ops.OpenDatabase(disk.at(), 9))
    keys = fill(disk, size)
    refused = ops.DiskError(ops.DiskFault.FULL, f"the package's quota of {quota} bytes is used up")
    assert disk.do(ops.PutPairs(disk.at(), ((b"more", bytes(size)), (keys[0], None)))) == refused
    for key in keys[: len(keys) // 2]:
        assert disk.do(ops.PutPairs(disk.at(), ((key, None),))) is None
        assert disk.used().bytes <= quota
    assert disk.used().bytes <= quota * 2 // 3
    assert disk.get(keys[0]) is None
    assert disk.get(keys[-1]) == bytes(size)
    disk.again()
    assert disk.get(keys[-1]) == bytes(size)
    assert disk.do(ops.PutPairs(disk.at(), ((b"more", bytes(size)),))) is None
    assert disk.do(ops.PutPairs(disk.at(), tuple((key, None) for key in keys))) is None
    assert disk.used().bytes < 20_000 + size  # `more` is there
    counted = disk.do(disk.ledger.measure("app:sys"))
    assert isinstance(counted, ops.Counted)
    assert counted.unasked == (0, 0)


def sql(disk: Disk, *statements: str) -> ops.Outcome:
    location = ops.Location(disk.drives, ("app:sys", ops.DATABASES, file_of("sqlite", "d")))
    return disk.do(ops.RunSql(location, tuple(ops.Statement(each, ()) for each in statements), writes=True))


def test_g23_so_does_one_that_removes_rows_and_nothing_else_is_lent_to_it(make: Make) -> None:
    quota = 1 << 20
    disk = make(Quotas(bytes=quota))
    disk.do(ops.OpenDatabase(ops.Location(disk.drives, ("app:sys", ops.DATABASES, file_of("sqlite", "d"))), 9))
    assert sql(disk, "CREATE TABLE t (a, b)", "CREATE TABLE u (a)") is None
    rows = 0
    while sql(disk, f"INSERT INTO t VALUES ({rows}, randomblob(20000))") is None:
        rows += 1
    assert rows > 20
    assert isinstance(sql(disk, "DELETE FROM t WHERE a = 0", "INSERT INTO u VALUES (zeroblob(900000))"), ops.DiskError)
    assert sql(disk, "DELETE FROM t WHERE a < 10") is None
    assert disk.used().bytes <= quota - 9 * 20_000
    # What a trigger adds is bounded by what is lent, and refused beyond it.
    assert sql(disk, "CREATE TRIGGER r AFTER DELETE ON t BEGIN INSERT INTO u VALUES (zeroblob(900000)); END") is None
    for _ in range(3):
        sql(disk, "DELETE FROM t WHERE a > 11")
        assert disk.used().bytes <= quota + LENT_BYTES
    assert sql(disk, "DROP TABLE u") is None
    assert sql(disk, "DROP TRIGGER r", "DROP TABLE t") is None
    assert disk.used().bytes < 40_000
