"""A snapshot of files that change while they are read: what is read is what there was at one instant, bit for bit."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from nectar_node.backup.format.listing import EntryKind
from nectar_node.backup.source import FileChanged, FileGone, SourceEntry
from nectar_node.backup.stores.live_node import MAX_READS, LiveNodeSource, SnapshotVoid
from nectar_node.storage import operations as ops
from nectar_node.storage import preserving
from nectar_node.storage.disk import perform
from nectar_node.storage.package_databases import PackageDatabases, file_of
from nectar_node.storage.package_files import PackageFiles
from nectar_node.storage.preserving import Preserver
from tests.nectar_node.backup.stores.snapshots import BLOCK, Drives, small
from tests.seeds import seeds

STEPS_BETWEEN = 4


def read(source: LiveNodeSource, found: SourceEntry, between: Callable[[], None], random: Random) -> bytes:
    """Read a file in pieces of any size, and let something happen before and after each."""
    data = bytearray()
    with source.open(found) as reader:
        between()
        while True:
            buffer = bytearray(random.choice((1, BLOCK - 1, BLOCK, 3 * BLOCK + 7)))
            size = reader.readinto(memoryview(buffer))
            if not size:
                return bytes(data)
            data += buffer[:size]
            between()


def in_drives(source: LiveNodeSource) -> list[SourceEntry]:
    return [found for found in source.entries() if found.kind is EntryKind.FILE and found.path.startswith(b"node/vfs/")]


def changed_while_read(folder: Path, seed: int, *, kept: bool = True) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
    """What there was at the instant, and what is read while it changes."""
    random = Random(seed)
    drives = Drives(folder, random)
    drives.fill(150)
    for _ in range(10):
        drives.step()  # some operations are half done at the instant
    _, snapshot = drives.snapshot()
    if not kept:
        drives.ledger.preserver = None
    before = drives.files()

    def change() -> None:
        for _ in range(random.randrange(STEPS_BETWEEN)):
            drives.step()

    source = LiveNodeSource(snapshot)
    found = {}
    try:
        files = in_drives(source)
        change()
        random.shuffle(files)
        for file in files:
            try:
                found[file.path] = read(source, file, change, random)
            except (FileGone, FileChanged):
                found[file.path] = b"unsettled"
        snapshot.ask()
    finally:
        drives.stop()
        snapshot.close()
    return before, found


@pytest.mark.parametrize("seed", seeds(3, 3000))
def test_what_is_read_is_what_there_was_at_one_instant(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch)
    before, found = changed_while_read(tmp_path, seed)
    assert found == before


def test_the_check_notices_what_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch)
    differ = 0
    for seed in range(4):
        before, found = changed_while_read(tmp_path / str(seed), seed, kept=False)
        assert before.keys() == found.keys()
        differ += before != found
    assert differ > 2


def test_a_database_is_read_as_it_was_however_it_changes_meanwhile(tmp_path: Path) -> None:
    random = Random(1)
    drives = Drives(tmp_path, random)
    databases = PackageDatabases(PackageFiles(drives.ledger, drives.ledger.drives), lambda: 0.0)
    kept, removed = (drives.at(ops.DATABASES, file_of("kv", name)) for name in ("kept", "removed"))

    def put(location: ops.Location, count: int) -> None:
        for _ in range(count):
            pairs = ((bytes([random.randrange(40)]), random.randbytes(30_000)),)
            assert perform(ops.PutPairs(location, pairs), drives.ledger, None, databases) is None

    for location in (kept, removed):
        assert perform(ops.OpenDatabase(location, 9), drives.ledger, None, databases) is None
        put(location, 60)
    _, snapshot = drives.snapshot()
    before = drives.files()
    put(kept, 200)  # enough for the log to be taken over, and begun anew
    assert perform(ops.RemoveDatabase(removed), drives.ledger, None, databases) is None
    source = LiveNodeSource(snapshot)
    found = {
        file.path: read(source, file, lambda: put(kept, random.random() < 0.01), random) for file in in_drives(source)
    }
    snapshot.close()
    databases.close()
    assert found == before
    assert drives.files() != before


@pytest.mark.parametrize("seed", seeds(2, 100))
def test_no_lock_is_needed_between_who_changes_files_and_who_reads_them(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch)
    drives = Drives(tmp_path, Random(seed))
    drives.fill(100)
    _, snapshot = drives.snapshot()
    before = drives.files()
    ended = threading.Event()

    def change() -> None:
        while not ended.is_set():
            drives.step()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        source, random = LiveNodeSource(snapshot), Random(seed)
        for _ in range(3):
            found = {file.path: read(source, file, lambda: None, random) for file in in_drives(source)}
            assert found == before
    finally:
        ended.set()
        thread.join()
        drives.stop()
        snapshot.close()
    assert source.unsettled == 0


def test_what_is_written_past_the_node_is_read_again_and_counted(tmp_path: Path) -> None:
    drives = Drives(tmp_path, Random(1))
    for name in ("a", "b", "c"):
        perform(ops.Replace(drives.at(name), name.encode() * 10), drives.ledger)
    _, snapshot = drives.snapshot()
    (tmp_path / "nodes/a.nec/vfs/app:x/a").write_bytes(b"new")
    (tmp_path / "nodes/a.nec/vfs/app:x/b").unlink()
    source, random = LiveNodeSource(snapshot), Random(1)
    first, second, third = in_drives(source)
    for _ in range(MAX_READS - 1):
        with pytest.raises(FileChanged):
            read(source, first, lambda: None, random)
    read(source, first, lambda: None, random)
    with pytest.raises(FileGone):
        read(source, second, lambda: None, random)
    assert read(source, third, lambda: None, random) == b"c" * 10
    assert source.unsettled == 2
    snapshot.close()


def test_a_file_of_the_node_itself_that_changes_makes_the_snapshot_void(tmp_path: Path) -> None:
    drives = Drives(tmp_path, Random(1))
    settings = drives.path / "boot.json"
    settings.write_bytes(b"{}")
    _, snapshot = drives.snapshot()
    (drives.path / "new").write_bytes(b"{ }")
    (drives.path / "new").rename(settings)
    source = LiveNodeSource(snapshot)
    (file,) = [found for found in source.entries() if found.path == b"node/boot.json"]
    with pytest.raises(SnapshotVoid, match=r"boot\.json changed"):
        read(source, file, lambda: None, Random(1))
    snapshot.close()


def test_the_store_is_copied_before_it_changes(tmp_path: Path) -> None:
    drives = Drives(tmp_path, Random(1))
    before = (drives.path / "store").read_bytes()
    _, snapshot = drives.snapshot()
    assert snapshot.copy_store(drives.path)
    (drives.path / "store").write_bytes(b"x" * 5000)
    source = LiveNodeSource(snapshot)
    (file,) = [found for found in source.entries() if found.path == b"node/store"]
    assert read(source, file, lambda: None, Random(1)) == before
    snapshot.close()


def test_a_snapshot_that_costs_too_much_is_void_and_the_operation_goes_on(tmp_path: Path) -> None:
    drives = Drives(tmp_path, Random(1))
    perform(ops.Replace(drives.at("a"), bytes(1) * 1_000_000), drives.ledger)
    kept = drives.path / "backup" / "snapshot"
    preserver = drives.ledger.preserver = Preserver(str(kept), most=500_000)
    assert perform(ops.RemoveFile(drives.at("a")), drives.ledger) is None
    assert preserver.void is not None
    assert "MiB" in preserver.void
    preserver.close()


def test_files_made_since_the_instant_are_not_kept(tmp_path: Path) -> None:
    drives = Drives(tmp_path, Random(1))
    snapped, snapshot = drives.snapshot()
    for _ in range(20):
        perform(ops.Replace(drives.at("a"), bytes(100_000)), drives.ledger)
        perform(ops.WriteAt(drives.at("a"), 0, b"x"), drives.ledger)
    perform(ops.RemoveFile(drives.at("a")), drives.ledger)
    assert os.listdir(snapshot.kept) == []
    assert snapped.preserver.bytes == 0
    snapshot.close()


def test_holes_that_are_cut_off_take_no_room(tmp_path: Path) -> None:
    drives = Drives(tmp_path, Random(1))
    perform(ops.Create(drives.at("a")), drives.ledger)
    perform(ops.SetLength(drives.at("a"), 3 << 30), drives.ledger)
    perform(ops.WriteAt(drives.at("a"), 1 << 30, b"x"), drives.ledger)
    snapped, snapshot = drives.snapshot()
    perform(ops.SetLength(drives.at("a"), 0), drives.ledger)
    assert snapped.preserver.bytes <= 2 * preserving.BLOCK_BYTES
    source = LiveNodeSource(snapshot)
    (file,) = in_drives(source)
    with source.open(file) as reader:
        assert reader.readinto(memoryview(bytearray(1 << 20))) == 1 << 20
    snapshot.close()
