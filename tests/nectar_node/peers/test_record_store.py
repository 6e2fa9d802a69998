"""The file of the name records: whole after any crash, small enough, and believed only if this node has written it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nectar_node.base.errors import BadFolder
from nectar_node.driver.membership import read_cache, read_names
from nectar_node.peers import record_store
from nectar_node.peers.record_store import (
    LEAST_SUPERSEDED,
    MAX_BATCH_BYTES,
    DamagedRecords,
    RecordStore,
    Written,
    read_untrusted,
    store_key,
    take_batch,
)
from nectar_node.storage.disk import perform
from nectar_node.storage.operations import Extend, Job, Location, Operation, Outcome, Replace
from net.names.directory import HeldRecord
from net.names.identity import Identity
from testnet.sim.disk import SimDisk

KEY = store_key(Identity("registrar.nec", bytes(32)), bytes(32))
Disk = Callable[[Operation], Outcome]


def record(name: str, sequence: int = 1, size: int = 40) -> HeldRecord:
    """What is in a record does not matter here."""
    return HeldRecord(name, sequence, 1000 + sequence, bytes([sequence % 256]) * size)


class Rig:
    """A store, its directory and its disk."""

    def __init__(self, path: Path, disk: Disk = perform) -> None:
        self.path = path
        self.disk = disk
        self.directory: dict[str, HeldRecord] = {}
        self.location = Location(str(path.parent), (path.name,))
        self.store = RecordStore(self.location.root, Written(KEY), lambda: list(self.directory.values()))

    def keep(self, *records: HeldRecord) -> Job:
        """Keep these in one write; the job that did it."""
        for each in records:
            self.store.put(each)
        job = self.store.next_job()
        assert job is not None
        settled = self.store.done(self.disk(job.operation))
        assert settled == ([*records], None)
        self.directory.update((each.name, each) for each in records)
        assert self.store.next_job() is None
        return job

    def read(self) -> dict[str, HeldRecord]:
        """What a node that boots now finds."""
        kept = read_names(self.path, KEY)
        self.store = RecordStore(self.location.root, kept.written, lambda: list(self.directory.values()))
        return {each.name: each for each in kept.records}


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "names")


def test_what_was_kept_is_there_at_the_next_boot_the_newest_of_each_name(rig: Rig) -> None:
    rig.keep(record("a"), record("b"))
    rig.keep(record("a", 2))
    assert rig.read() == {"a": record("a", 2), "b": record("b")}
    rig.keep(record("c"))
    assert rig.read() == {"a": record("a", 2), "b": record("b"), "c": record("c")}


def test_without_a_file_there_is_nothing(rig: Rig) -> None:
    assert rig.read() == {}


def test_what_waits_while_a_write_is_under_way_goes_into_the_next_one_together(rig: Rig) -> None:
    rig.keep(record("first"))
    rig.store.put(record("a"))
    job = rig.store.next_job()
    assert job is not None
    for name in "bcd":
        rig.store.put(record(name))
        assert rig.store.next_job() is None
    assert rig.store.done(perform(job.operation)).records == [record("a")]
    job = rig.store.next_job()
    assert job is not None
    assert rig.store.done(perform(job.operation)).records == [record(name) for name in "bcd"]
    assert rig.read().keys() == {"first", *"abcd"}


def test_a_batch_is_bounded() -> None:
    waiting = deque(record(str(number), size=4096) for number in range(1000))
    first = take_batch(waiting)
    assert len(first) + len(waiting) == 1000
    assert MAX_BATCH_BYTES - 4 * 4200 < sum(len(each.encoded) for each in first) < MAX_BATCH_BYTES


def test_a_crash_at_any_byte_of_a_write_leaves_all_that_was_durable_before(rig: Rig) -> None:
    rig.keep(record("a"))
    before = len(rig.path.read_bytes())
    rig.keep(record("b"), record("c"))
    whole = rig.path.read_bytes()
    for length in range(before, len(whole)):
        rig.path.write_bytes(whole[:length])
        assert rig.read() == {"a": record("a")}
        rig.keep(record("d"))
        assert rig.read() == {"a": record("a"), "d": record("d")}
    rig.path.write_bytes(whole[:before] + bytes(len(whole) - before))
    assert rig.read() == {"a": record("a")}


def test_a_write_that_fails_is_told_and_the_next_one_goes_to_its_place(tmp_path: Path) -> None:
    disk = SimDisk(lambda: 0.0, capacity=400)
    rig = Rig(tmp_path / "names", disk.perform)
    rig.keep(record("a"))
    rig.store.put(record("b", size=400))
    job = rig.store.next_job()
    assert job is not None
    settled = rig.store.done(disk.perform(job.operation))
    assert settled.records == [record("b", size=400)]
    assert settled.problem == "1 name records cannot be kept: No space left on device"
    rig.keep(record("c"))
    data = disk.get(rig.location)
    assert data is not None
    assert read_untrusted(data, KEY).records == {"a": record("a"), "c": record("c")}


def test_a_file_that_somebody_takes_away_is_made_whole_by_the_write_after_the_next(rig: Rig) -> None:
    rig.keep(record("a"))
    rig.path.unlink()
    rig.store.put(record("b"))
    job = rig.store.next_job()
    assert job is not None
    assert rig.store.done(perform(job.operation)).problem is not None
    rig.keep(record("c"))
    assert rig.read() == {"a": record("a"), "c": record("c")}


def test_a_file_whose_entries_are_mostly_superseded_is_written_anew(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_store, "LEAST_SUPERSEDED", 10)
    kinds = []
    for sequence in range(1, 31):
        job = rig.keep(record("a", sequence), *([record("b")] if sequence == 1 else []))
        kinds.append(type(job.operation))
    rewrites = [index for index, kind in enumerate(kinds) if kind is Replace]
    assert rewrites == [0, 13, 26]
    assert set(kinds) == {Replace, Extend}
    assert rig.read() == {"a": record("a", 30), "b": record("b")}


def test_a_growing_number_of_names_is_no_reason_to_write_anew(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_store, "LEAST_SUPERSEDED", 2)
    jobs = [rig.keep(record(str(number))) for number in range(40)]
    assert [type(job.operation) for job in jobs] == [Replace] + [Extend] * 39


def test_the_file_of_another_node_or_another_network_is_not_believed(rig: Rig) -> None:
    rig.keep(record("a"))
    data = rig.path.read_bytes()
    ours = Identity("registrar.nec", bytes(32))
    for key in (store_key(ours, b"\1" * 32), store_key(Identity("registrar.nec", b"\1" * 32), bytes(32))):
        with pytest.raises(DamagedRecords):
            read_untrusted(data, key)
        assert list(read_cache(rig.path, key).records) == []


def test_after_a_change_of_the_nodes_key_the_cache_is_still_its_own_and_is_written_anew(rig: Rig) -> None:
    rig.keep(record("a"))
    key = store_key(Identity("registrar.nec", b"\1" * 32), bytes(32))
    kept = read_cache(rig.path, key, former=KEY)
    assert (list(kept.records), kept.written) == ([record("a")], Written(key))


def test_a_batch_at_another_place_is_not_believed(rig: Rig) -> None:
    rig.keep(record("a"))
    end = len(rig.path.read_bytes())
    rig.keep(record("a", 2))
    batch = rig.path.read_bytes()[end:]
    rig.keep(record("a", 3))
    data = rig.path.read_bytes()
    assert read_untrusted(data + batch, KEY).records == {"a": record("a", 3)}


def test_damage_before_the_end_stops_a_registrar_and_costs_a_cache_what_is_behind_it(rig: Rig) -> None:
    rig.keep(record("a"))
    middle = len(rig.path.read_bytes()) + 30
    rig.keep(record("b"))
    rig.keep(record("c"))
    data = bytearray(rig.path.read_bytes())
    data[middle] ^= 1
    rig.path.write_bytes(data)
    with pytest.raises(BadFolder, match="damaged from byte"):
        read_names(rig.path, KEY)
    assert list(read_cache(rig.path, KEY).records) == [record("a")]
    rig.path.write_bytes(b"junk")
    with pytest.raises(BadFolder, match="not a file of this node"):
        read_names(rig.path, KEY)


def test_whatever_byte_before_the_last_batch_changes_it_is_not_taken_for_a_crash(rig: Rig) -> None:
    rig.keep(record("a"))
    begin = len(rig.path.read_bytes())
    rig.keep(record("b"))
    end = len(rig.path.read_bytes())
    rig.keep(record("c"))
    data = bytearray(rig.path.read_bytes())
    for position in range(begin, end):
        for change in (1, 0x80):
            data[position] ^= change
            assert read_untrusted(bytes(data), KEY).damage is not None, position
            data[position] ^= change


def test_more_than_a_crash_can_leave_is_damage(rig: Rig) -> None:
    rig.keep(record("a"))
    data = rig.path.read_bytes()
    assert read_untrusted(data + bytes(MAX_BATCH_BYTES), KEY).damage is None
    assert read_untrusted(data + bytes(MAX_BATCH_BYTES + 100), KEY).damage is not None


@settings(max_examples=200)
@given(st.integers(0, 1000), st.integers(1, 255))
def test_no_changed_byte_brings_in_a_record_that_was_not_written(position: int, change: int) -> None:
    disk = SimDisk(lambda: 0.0)
    rig = Rig(Path("folder/names"), disk.perform)
    rig.keep(record("a"))
    rig.keep(record("b"), record("a", 2))
    data = bytearray(disk.get(rig.location) or b"")
    data[position % len(data)] ^= change
    try:
        contents = read_untrusted(bytes(data), KEY)
    except DamagedRecords:
        return
    assert set(contents.records.values()) <= {record("a"), record("a", 2), record("b")}


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_raise_anything_else(data: bytes) -> None:
    head = record_store._head(KEY)
    assert read_untrusted(head + data, KEY).records == {}
    with pytest.raises(DamagedRecords):
        read_untrusted(data, KEY)


# --- records that are forgotten, and uses of invitations -------------------------------------------------------------


def test_the_file_shrinks_when_names_are_free_though_nobody_registers(rig: Rig) -> None:
    rig.keep(record("kept"), *(record(f"n{number}") for number in range(2 * LEAST_SUPERSEDED)))
    before = len(rig.path.read_bytes())
    del rig.directory["n0"]
    rig.store.freed()
    assert rig.store.next_job() is None
    rig.directory = {"kept": record("kept")}
    rig.store.freed()
    job = rig.store.next_job()
    assert job is not None
    assert rig.store.next_job() is None
    assert rig.store.done(perform(job.operation)) == ([], None)
    assert rig.store.next_job() is None
    assert len(rig.path.read_bytes()) < before / 100
    assert rig.read() == {"kept": record("kept")}


def test_a_use_of_an_invitation_goes_into_one_batch_with_the_record_that_it_was_for() -> None:
    use = HeldRecord("invitation ab", 1, 1000, b"")
    for size in range(3900, 4097):
        waiting = deque(record(str(number), size=size) for number in range(MAX_BATCH_BYTES // 3900))
        waiting.insert(-1, use)
        while batch := take_batch(waiting):
            assert batch[-1] != use


def test_uses_alone_are_written_too() -> None:
    waiting = deque([HeldRecord("invitation ab", 1, 1000, b"")])
    assert len(take_batch(waiting)) == 1
    assert not waiting


def test_a_use_is_durable_with_its_record(rig: Rig) -> None:
    use = HeldRecord("invitation ab", 1, 1000, b"")
    rig.store.put(record("a"), use)
    job = rig.store.next_job()
    assert job is not None
    assert rig.store.done(perform(job.operation)) == ([use, record("a")], None)
    assert rig.read() == {use.name: use, "a": record("a")}
