"""What a package may have on the disk: one body, on the real disk and on the simulated one (G23)."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nectar_node.storage import disk as real
from nectar_node.storage import operations as ops
from nectar_node.storage.archive import BadArchive, entries_untrusted
from nectar_node.storage.ledger import LONG_IDS, Ledger, OverQuota, Quotas, fitting, package_of_state
from nectar_node.storage.steps import Steps
from testnet.sim.disk.disk import SimDisk
from tests.seeds import sample

APP, OTHER = "app:sys", "other:sys"
KIB = 1024
SEEDS = range(5)


@dataclass
class Disk:
    """A disk with accounts."""

    root: str
    quotas: Quotas
    simulated: bool
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self.sim = SimDisk(lambda: 1.0)
        self.boot()
        self.do(ops.MakeFolder(ops.Location(self.root, ("vfs",))))
        for package in (APP, OTHER):
            self.do(ops.MakeFolder(ops.Location(f"{self.root}/vfs", (package, "drive"))))

    def boot(self) -> None:
        """Nothing is known of what there is, but for what is counted now."""
        self.ledger = self.sim.ledger = Ledger(f"{self.root}/vfs", self.quotas)
        if self.simulated:
            self.do(ops.MakeFolder(ops.Location(f"{self.root}", ("vfs",))))
        for package in (APP, OTHER):
            (Path(self.root) / "vfs").mkdir(parents=True, exist_ok=True)
            self.count(package)

    def count(self, package: str) -> ops.Usage:
        counted = self.do(self.ledger.measure(package))
        assert isinstance(counted, ops.Counted)
        return counted.used

    def do(self, operation: ops.Operation) -> ops.Outcome:
        return self.begin(operation).finish()

    def begin(self, operation: ops.Operation) -> Steps:
        return self.sim.begin(operation) if self.simulated else real.begin(operation, self.ledger)

    def used(self, package: str = APP) -> ops.Usage:
        return self.ledger.account(package).used

    def at(self, *parts: str, package: str = APP) -> ops.Location:
        return ops.Location(f"{self.root}/vfs", (package, "drive", *parts))


Make = Callable[..., Disk]


@pytest.fixture(params=["real", "simulated"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    return lambda **quotas: Disk(str(tmp_path), Quotas(**quotas), request.param == "simulated")


def zipped(files: dict[str, bytes]) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return memory.getvalue()


def is_full(outcome: ops.Outcome) -> bool:
    return isinstance(outcome, ops.DiskError) and outcome.fault is ops.DiskFault.FULL


def test_g23_holes_count_so_no_sparse_file_is_larger_than_the_quota(make: Make) -> None:
    disk = make(bytes=64 * KIB)
    disk.do(ops.Create(disk.at("f")))
    assert is_full(disk.do(ops.SetLength(disk.at("f"), 8 << 40)))
    assert is_full(disk.do(ops.WriteAt(disk.at("f"), 8 << 40, b"x")))
    assert disk.do(ops.SetLength(disk.at("f"), 64 * KIB)) is None
    assert disk.used().bytes == 64 * KIB
    assert is_full(disk.do(ops.Append(disk.at("f"), b"x")))
    assert disk.do(ops.WriteAt(disk.at("f"), 5, b"into a hole")) is None  # it counts already


def test_g23_what_is_removed_may_be_written_again_and_again(make: Make) -> None:
    disk = make(bytes=64 * KIB)
    for _ in range(5):
        assert disk.do(ops.Replace(disk.at("f"), bytes(60 * KIB))) is None
        assert is_full(disk.do(ops.Replace(disk.at("g"), bytes(60 * KIB))))
        assert disk.do(ops.Replace(disk.at("f"), bytes(61 * KIB))) is None  # in its own place
        assert disk.do(ops.RemoveFile(disk.at("f"))) is None
    assert disk.used() == ops.Usage(0, 1)


def test_g23_files_and_folders_are_counted(make: Make) -> None:
    disk = make(files=4)
    for name in "ab":
        assert disk.do(ops.CreateFolder(disk.at(name))) is None
    assert disk.do(ops.Create(disk.at("f"))) is None
    for more in (ops.CreateFolder(disk.at("c")), ops.MakeFolder(disk.at("c", "d")), ops.Create(disk.at("g"))):
        assert is_full(disk.do(more))
    assert is_full(disk.do(ops.Replace(disk.at("g"), b"x")))
    assert disk.do(ops.Replace(disk.at("f"), b"x")) is None
    assert disk.do(ops.MakeFolder(disk.at("b"))) is None  # is there
    assert disk.do(ops.RemoveFolder(disk.at("a"), recursive=False)) is None
    assert disk.do(ops.Create(disk.at("g"))) is None


def test_g23_one_packages_quota_is_no_others(make: Make) -> None:
    disk = make(bytes=64 * KIB, packages=((OTHER, 128 * KIB),))
    assert disk.do(ops.Replace(disk.at("f"), bytes(64 * KIB))) is None
    other = disk.at("f", package=OTHER)
    assert disk.do(ops.Replace(other, bytes(128 * KIB))) is None
    assert is_full(disk.do(ops.Append(other, b"x")))


def test_g23_saved_states_count(make: Make) -> None:
    disk = make(bytes=64 * KIB)
    account = disk.ledger.account(APP)
    account.claim_state(40 * KIB, 1)
    with pytest.raises(OverQuota):
        account.claim_state(40 * KIB, 1)
    assert is_full(disk.do(ops.Replace(disk.at("f"), bytes(40 * KIB))))
    disk.ledger.account(OTHER).claim_state(40 * KIB, 1)
    assert disk.used(APP) == disk.count(APP) == ops.Usage(40 * KIB, 2)
    assert account.states == ops.Usage(40 * KIB, 1)


def test_g23_states_of_packages_that_have_no_drive_or_are_not_known_have_one_account() -> None:
    assert package_of_state(f"main:app:{'x' * 250}") == f"app:{'x' * 250}"
    assert package_of_state(f"main:app:{'x' * 252}") == LONG_IDS
    assert package_of_state(ops.file_name(f"main:app:{'x' * 252}")) == LONG_IDS


def test_g23_states_leave_to_the_node_what_is_its_own() -> None:
    rows = (*(ops.StateRow(key, bytes(10)) for key in "abc"), ops.StateRow("d", None))
    ledger = Ledger(quotas=Quotas(floor=1000))
    assert fitting(rows, ledger, 1060, 10_000) == (rows, None)
    kept, refused = fitting(rows, ledger, 1059, 10_000)  # each is written twice
    assert kept == (rows[0], rows[1], rows[3])
    assert refused is not None
    assert refused.keys == {"c"}


def test_g23_what_goes_to_another_package_counts_there(make: Make) -> None:
    disk = make(bytes=64 * KIB)
    disk.do(ops.MakeFolder(disk.at("d", "e")))
    disk.do(ops.Replace(disk.at("d", "e", "f"), bytes(40 * KIB)))
    disk.do(ops.Replace(disk.at("f", package=OTHER), bytes(40 * KIB)))
    assert is_full(disk.do(ops.Rename(disk.at("d"), disk.at("d", package=OTHER))))
    assert is_full(disk.do(ops.Copy(disk.at("d", "e", "f"), disk.at("g", package=OTHER))))
    disk.do(ops.RemoveFile(disk.at("f", package=OTHER)))
    assert disk.do(ops.Rename(disk.at("d"), disk.at("d", package=OTHER))) is None
    assert (disk.used(APP), disk.used(OTHER)) == (ops.Usage(0, 1), ops.Usage(40 * KIB, 4))


def test_g23_the_bytes_of_an_archive_count_before_any_is_written(make: Make) -> None:
    disk = make(bytes=64 * KIB)
    archive = zipped({"a": b"small", "d/b": bytes(60 * KIB), "d/c": bytes(60 * KIB)})
    assert is_full(disk.do(ops.Unpack(disk.at(), archive)))
    assert isinstance(disk.do(ops.ReadAt(disk.at("a"), 0, 9)), ops.DiskError)
    assert disk.do(ops.Unpack(disk.at("e"), zipped({"a": b"small"}))) is None
    assert disk.used() == disk.count(APP)


def test_g23_an_archive_whose_entries_overlap_is_refused() -> None:
    """Its directory names the same kilobytes many times: 51 KB became 500 MiB."""
    one = zipped({"a": bytes(1 << 20)})
    start = one.rindex(b"PK\5\6")
    directory = one[one.index(b"PK\1\2") : start]
    twice = bytearray(one[:start] + directory + one[start:])
    struct.pack_into("<2HL", twice, len(twice) - 14, 2, 2, 2 * len(directory))
    with pytest.raises(BadArchive, match="overlap"):
        entries_untrusted(bytes(twice))


def test_g23_packages_leave_some_of_the_disk_to_the_node(make: Make, tmp_path: Path) -> None:
    disk = make(floor=1 << 60)  # more than there is
    assert disk.do(ops.Create(disk.at("f"))) is None
    for operation in (
        ops.WriteAt(disk.at("f"), 0, b"x"),
        ops.Append(disk.at("f"), b"x"),
        ops.SetLength(disk.at("f"), 1),
        ops.Replace(disk.at("f"), b"x"),
        ops.Unpack(disk.at(), zipped({"a": b"x"})),
    ):
        assert is_full(disk.do(operation))
    assert disk.do(ops.SetLength(disk.at("f"), 0)) is None
    assert disk.do(ops.Replace(ops.Location(str(tmp_path), ("capabilities",)), b"x")) is None


@pytest.mark.parametrize("seed", sample(SEEDS, 3))
def test_g23_accounts_are_right_whatever_is_done_in_whatever_order(make: Make, seed: int) -> None:
    chance = random.Random(seed)
    disk = make(bytes=40 * KIB, files=12)
    for _ in range(300):
        operation = some_operation(disk, chance)
        steps = disk.begin(operation)
        if chance.random() < 0.2:
            steps.step()
            steps.stop()
            assert steps.outcome == ops.STOPPED
        else:
            steps.finish()
    for package in (APP, OTHER):
        used = disk.used(package)
        assert disk.count(package) == used, f"seed {seed}"
        assert used.bytes <= 40 * KIB
        assert used.files <= 12


@pytest.mark.parametrize("seed", SEEDS)
def test_g23_after_a_crash_a_package_has_what_is_there(seed: int) -> None:
    """Also what was half done, and without what was not synced."""
    chance = random.Random(seed)
    disk = Disk("node", Quotas(bytes=40 * KIB, files=12), simulated=True)
    for _ in range(20):
        for _ in range(chance.randrange(10)):
            disk.do(some_operation(disk, chance))
        disk.sim.break_off(some_operation(disk, chance), chance)
        if chance.random() < 0.5:
            disk.sim.lose_unsynced(chance)
        disk.boot()
        for package in (APP, OTHER):
            assert disk.used(package) == disk.count(package)
            assert disk.used(package).bytes <= 40 * KIB, f"seed {seed}"


def some_operation(disk: Disk, chance: random.Random) -> ops.Operation:
    def place() -> ops.Location:
        names = chance.choices("abc", k=chance.choice((1, 1, 2)))
        return disk.at(*names, package=chance.choice((APP, APP, OTHER)))

    data = bytes(chance.randrange(30 * KIB))
    return chance.choice(
        (
            ops.Create(place(), cut_off=chance.random() < 0.5),
            ops.WriteAt(place(), chance.randrange(20 * KIB), data),
            ops.Append(place(), data[:5000]),
            ops.Replace(place(), data),
            ops.MakeFolder(place()),
            ops.CreateFolder(place()),
            ops.SetLength(place(), chance.randrange(20 * KIB)),
            ops.Rename(place(), place()),
            ops.Copy(place(), place()),
            ops.CopyFolder(place(), place()),
            ops.RemoveFile(place()),
            ops.RemoveFolder(place(), recursive=chance.random() < 0.5),
            ops.Unpack(place(), zipped({"a": data, "b/c": data[:100]})),
        )
    )
