"""G28: what guests do with files by WASI in a simulation, with crashes, power cuts, full disks and quotas."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from kernel.contract.drive import DriveError, Errno, FileKind
from kernel.contract.guest import Arrival
from nectar_node.storage import operations as ops
from nectar_node.storage.ledger import Quotas
from testnet.faults.crash import Crash
from testnet.faults.disk_full import DiskFull
from testnet.faults.schedule import Step
from testnet.faults.unsynced import Unsynced
from testnet.runs.plans import expand
from testnet.runs.result import PASSED
from testnet.scenarios.scenario import Plan, Scenario
from testnet.sim.disk.disk import SimDisk
from testnet.sim.disk.file_content import File
from testnet.sim.disk.tree import Folder
from testnet.sim.guest_drive import GuestDrive, Node
from testnet.sim.node import NodeSpec, SimNode
from testnet.sim.programs import Programs
from testnet.sim.run import run
from testnet.sim.simulation import Simulation
from tests.seeds import seeds
from tests.testnet.sim.ledger import NODE, PROCESS, lay_down, ledger

ROOT, PACKAGE = "n/vfs", "files:some.nec"
CHANCE = Random(0)


# --- the disk ---------------------------------------------------------------------------------------------------------


class Drive:
    """A guest's drive, and the disk that it is on."""

    def __init__(self, capacity: int = 1 << 30) -> None:
        self.disk = SimDisk(lambda: 5.0, capacity)
        self.disk.perform(ops.MakeFolder(at()))
        self.guest = GuestDrive(self.disk, (ROOT, PACKAGE), lambda: 5_000_000_000)
        self.root = self.guest.root()

    def write(self, name: str, data: bytes, *, synced: bool, folder: Folder | None = None) -> File:
        """Make a file, or write over the one that is there."""
        folder = folder or self.root
        found = self.guest.find(folder, name) or self.guest.make(folder, name, FileKind.FILE)
        assert isinstance(found, File)
        self.guest.write(found, 0, memoryview(data))
        if synced:
            self.guest.sync(found)
        return found

    def folder(self, name: str, above: Folder | None = None) -> Folder:
        """Make a folder."""
        made = self.guest.make(above or self.root, name, FileKind.FOLDER)
        assert isinstance(made, Folder)
        return made

    def files(self) -> dict[str, bytes]:
        """What is on the disk, by path."""
        return {"/".join(path[2:]): file.content() for path, file in self.disk.live.files.items()}

    def cut_power(self) -> dict[str, bytes]:
        """Lose what was not synced, and return what is left."""
        self.disk.lose_unsynced(CHANCE)
        return self.files()


def at(*parts: str) -> ops.Location:
    return ops.Location(ROOT, (PACKAGE, *parts))


@pytest.fixture
def drive() -> Drive:
    return Drive()


def test_the_vfs_and_a_guest_work_on_the_same_files(drive: Drive) -> None:
    drive.write("f", b"by wasi", synced=False)
    assert drive.disk.perform(ops.ReadAt(at("f"), 3, 100)) == b"wasi"
    drive.disk.perform(ops.Replace(at("g"), b"by vfs"))
    found = drive.guest.find(drive.root, "g")
    assert isinstance(found, File)
    assert drive.guest.read(found, 0, 100) == b"by vfs"
    drive.disk.perform(ops.RemoveFile(at("f")))
    assert [name for name, _ in drive.guest.entries(drive.root)] == ["g"]


def test_a_power_cut_leaves_what_was_synced_with_its_name(drive: Drive) -> None:
    inner = drive.folder("b", drive.folder("a"))
    drive.write("kept", b"abc", synced=True, folder=inner)
    drive.write("lost", b"abc", synced=False)
    drive.write("kept", b"xyz", synced=False, folder=inner)
    assert drive.cut_power() == {"a/b/kept": b"abc"}


def test_a_new_name_of_a_file_is_durable_once_the_file_is_synced(drive: Drive) -> None:
    drive.write("old", b"old", synced=True)
    new = drive.write("new", b"new", synced=True)
    drive.guest.rename(drive.root, "new", drive.root, "old")
    assert drive.files() == {"old": b"new"}
    assert drive.cut_power() == {"old": b"old", "new": b"new"}
    new = drive.write("new", b"new", synced=True)
    drive.guest.rename(drive.root, "new", drive.folder("a"), "f")
    drive.guest.sync(new)
    assert drive.cut_power() == {"old": b"old", "a/f": b"new"}


def test_what_was_removed_is_there_again_after_a_power_cut_until_the_folder_is_synced(drive: Drive) -> None:
    folder = drive.folder("a")
    drive.write("f", b"f", synced=True, folder=folder)
    drive.guest.remove(folder, "f")
    assert drive.cut_power() == {"a/f": b"f"}
    folder = drive.guest.root()
    drive.guest.remove(drive.guest.find(folder, "a"), "f")  # type: ignore[arg-type]
    drive.guest.remove(folder, "a")
    drive.write("g", b"g", synced=True)
    assert drive.cut_power() == {"g": b"g"}


def test_a_folder_takes_what_is_durable_to_its_new_name(drive: Drive) -> None:
    folder = drive.folder("a")
    drive.write("f", b"abc", synced=True, folder=folder)
    drive.guest.rename(drive.root, "a", drive.root, "b")
    assert drive.cut_power() == {"b/f": b"abc"}


def test_an_open_folder_stays_the_same_one_when_the_vfs_moves_it_and_is_gone_when_it_removes_it(drive: Drive) -> None:
    folder = drive.folder("a")
    number = drive.guest.number(folder)
    drive.disk.perform(ops.Rename(at("a"), at("b")))
    assert drive.guest.find(drive.root, "b") is folder
    assert drive.guest.number(folder) == number
    drive.disk.perform(ops.RemoveFolder(at("b"), recursive=False))
    drive.disk.perform(ops.CreateFolder(at("b")))
    assert drive.guest.is_gone(folder)
    assert drive.guest.find(drive.root, "b") is not folder


def test_a_link_of_a_guests_is_followed_by_none_of_the_vfss_operations(drive: Drive) -> None:
    drive.write("f", b"abc", synced=True)
    drive.guest.make(drive.root, "l", FileKind.LINK, "f")
    for operation in (ops.ReadAt(at("l"), 0, 3), ops.WriteAt(at("l"), 0, b"x"), ops.Create(at("l")), ops.Hash(at("l"))):
        refused = drive.disk.perform(operation)
        assert isinstance(refused, ops.DiskError)
        assert refused.fault is ops.DiskFault.NOT_PERMITTED
    assert drive.disk.perform(ops.Stat(at("l"))) == ops.FileStat(ops.FileType.SYMLINK, 1, 5_000_000_000)
    assert drive.disk.perform(ops.RemoveFile(at("l"))) is None
    assert drive.files() == {"f": b"abc"}


def test_a_full_disk_takes_no_more_bytes_and_gives_what_it_has(drive: Drive) -> None:
    file = drive.write("f", b"abc", synced=True)
    drive.disk.full = True
    with pytest.raises(DriveError, match="NOSPC"):
        drive.guest.write(file, 2, memoryview(b"xyz"))
    drive.guest.write(file, 0, memoryview(b"ABC"))
    drive.guest.set_length(file, 10)  # zeros take no room
    drive.disk.full = False
    drive.guest.write(file, 2, memoryview(b"xyz"))
    assert drive.files() == {"f": b"ABxyz" + bytes(5)}


def test_a_disk_that_is_too_small_refuses_what_does_not_fit() -> None:
    drive = Drive(capacity=10)
    file = drive.write("f", b"12345678", synced=False)
    with pytest.raises(DriveError) as refused:
        drive.guest.write(file, 8, memoryview(b"901"))
    assert refused.value.errno is Errno.NOSPC
    drive.guest.write(file, 8, memoryview(b"90"))
    assert drive.files() == {"f": b"1234567890"}


def test_a_folder_is_listed_by_name(drive: Drive) -> None:
    made: list[Node] = [drive.guest.make(drive.root, name, FileKind.FILE) for name in "cab"]
    assert drive.guest.entries(drive.root) == [("a", made[1]), ("b", made[2]), ("c", made[0])]


# --- nodes ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def simulation(programs: Programs) -> Iterator[Simulation]:
    with closing(Simulation(1, programs)) as simulation:
        yield simulation


def booted(simulation: Simulation, package: Path, quotas: Quotas | None = None) -> SimNode:
    """A node that runs the package."""
    node = simulation.boot_node(NodeSpec("a.nec", (package,), quotas=quotas or Quotas()))
    simulation.settle()
    return node


def asked(node: SimNode, process: str, text: str) -> str:
    """What a process answers."""
    answer = node.ask(f"our@{process}", text.encode(), 10)
    assert isinstance(answer, Arrival)
    return answer.message.body.decode()


def test_g28_a_guest_writes_and_reads_its_packages_drive_in_a_simulation(
    simulation: Simulation, tmp_path: Path
) -> None:
    node = booted(simulation, lay_down(tmp_path / "p", "drive.wasm", "files"))
    process = "files:files:some.nec"
    assert asked(node, process, "write /note.txt some text") == "written"
    assert asked(node, process, "read /note.txt") == "some text"
    assert asked(node, process, "list /") == "note.txt "
    assert asked(node, process, "read /../other:some.nec/note.txt") == "refused"
    assert node.disk.get(ops.Location("a.nec/vfs", ("files:some.nec", "note.txt"))) == b"some text"


def test_g28_processes_of_a_package_share_its_drive_and_others_have_another(
    simulation: Simulation, tmp_path: Path
) -> None:
    node = booted(simulation, lay_down(tmp_path / "p", "drive.wasm", "files"))
    node.install(lay_down(tmp_path / "q", "drive.wasm", "others"))
    simulation.rest(2.0)
    assert asked(node, "files:files:some.nec", "write /note.txt text") == "written"
    assert asked(node, "others:others:some.nec", "read /note.txt") == "refused"
    assert asked(node, "others:others:some.nec", "list /") == ""


def test_g23_g28_a_guest_that_writes_more_than_its_quota_is_ended_in_a_simulation_as_on_a_real_node(
    simulation: Simulation, tmp_path: Path
) -> None:
    quota, process = 3000, "files:files:some.nec"
    node = booted(simulation, lay_down(tmp_path / "p", "drive.wasm", "files"), Quotas(bytes=quota))
    simulation.rest(2.0)  # it has been counted once
    for number in range(4):
        assert asked(node, process, f"write /f{number} {'x' * 900}") == "written"
    simulation.rest(3.0)
    said = f"{process}: is ended: its package has 3600 bytes on the disk, and may have {quota} (`nectar df`)"
    assert said in node.shown_log
    assert process not in map(str, node.core.kernel.processes)
    (row,) = [row for row in node.disk_use().packages if row.package == "files:some.nec"]
    assert (row.used.bytes, row.used.files) == (3600, 4)


def test_g28_a_power_cut_takes_from_a_guest_what_it_has_not_synced(simulation: Simulation, tmp_path: Path) -> None:
    booted(simulation, lay_down(tmp_path / "p", "drive.wasm", "files"))
    process = "files:files:some.nec"
    assert asked(simulation.nodes["a.nec"], process, "write /note.txt text") == "written"
    simulation.crash("a.nec")
    node = simulation.start("a.nec")
    simulation.settle()
    assert asked(node, process, "read /note.txt") == "text"  # the machine has kept it
    simulation.cut_power("a.nec")
    node = simulation.start("a.nec")
    simulation.settle()
    assert asked(node, process, "read /note.txt") == "refused"


def test_g28_a_guest_is_told_that_the_disk_is_full(simulation: Simulation, tmp_path: Path) -> None:
    node = booted(simulation, lay_down(tmp_path / "p", "ledger.wasm", "ledger"))

    def says(body: object) -> object:
        return json.loads(asked(node, PROCESS.removeprefix("our@"), json.dumps(body)))

    assert says({"Add": 1}) == "Added"
    simulation.fill_disk("a.nec")
    assert says({"Add": 2}) == {"Failed": Errno.NOSPC}
    simulation.free_disk("a.nec")
    assert says({"Add": 3}) == "Added"
    assert says("Read") == {"Numbers": {"all": "1\n3\n", "latest": "3\n" * 50}}


# --- a scenario -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    return ledger(lay_down(tmp_path_factory.mktemp("packages") / "ledger", "ledger.wasm", "ledger"))


@pytest.mark.parametrize("seed", seeds(12, 1000))
def test_g28_what_a_guest_has_synced_survives_whatever_befalls_its_machine(
    scenario: Scenario, programs: Programs, seed: int
) -> None:
    result = run(expand(scenario, seed), programs, scenario)
    assert (result.result, result.text) == (PASSED, ""), seed


def test_g28_the_same_seed_gives_the_same_journal_with_a_guest_that_uses_files(scenario: Scenario) -> None:
    faults = (Step(2.1, 5.0, DiskFull(NODE)), Step(7.1, 8.0, Unsynced(NODE)), Step(12.1, 13.0, Crash(NODE)))
    options = {"times": [[number / 2] for number in range(40)]}
    plan = Plan("ledger", 5, scenario.nodes, options, faults)
    first, second = (run(plan, Programs(), scenario) for _ in range(2))
    assert (first.result, first.text) == (PASSED, "")
    assert first.journal == second.journal
    assert first.outcomes == second.outcomes
    assert list(first.outcomes.values()).count('{"Failed": 51}') == 5  # at 2.5, 3, 3.5, 4 and 4.5 s
