"""Hashes that are computed while bytes are read or written: one body, on the real disk and on the simulated one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3

from nectar_node.base.running_hashes import MAX_RUNNING, RunningHash, RunningHashes
from nectar_node.storage import disk as real
from nectar_node.storage import operations as ops
from nectar_node.storage.ledger import Ledger
from testnet.sim.disk.disk import SimDisk

CHUNK = 1 << 20
DATA = bytes(range(256)) * (5 * CHUNK // 256 + 3)
PIECES = [(offset, DATA[offset : offset + CHUNK]) for offset in range(0, len(DATA), CHUNK)]


class _Disk:
    """A file on a disk, and how much of it is read for its hash."""

    def __init__(self, begin: Callable[[ops.Operation], ops.Outcome | object], at: ops.Location) -> None:
        self._begin = begin
        self.at = at

    def do(self, operation: ops.Operation) -> ops.Outcome:
        return self._steps(operation)[0]

    def hash(self) -> tuple[ops.Outcome, bool]:
        """Return the file's hash, and whether the file was read for it."""
        outcome, steps = self._steps(ops.Hash(self.at))
        return outcome, steps > 1

    def write(self, pieces: list[tuple[int, bytes]], *, hashed: bool = True) -> None:
        for offset, piece in pieces:
            assert self.do(ops.WriteAt(self.at, offset, piece, hashed)) is None

    def read(self, *offsets: int) -> bytes:
        pieces = [self.do(ops.ReadAt(self.at, offset, CHUNK, hashed=True)) for offset in offsets]
        return b"".join(piece for piece in pieces if isinstance(piece, bytes))

    def _steps(self, operation: ops.Operation) -> tuple[ops.Outcome, int]:
        work, count = self._begin(operation), 1
        while not work.step():  # type: ignore[attr-defined]
            count += 1
        return work.outcome, count  # type: ignore[attr-defined]


@pytest.fixture(params=["real", "simulated"])
def disk(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Disk:
    monkeypatch.setattr("nectar_node.storage.opened.SETTLED_NS", 0)
    ledger = Ledger()
    simulated = SimDisk(lambda: 12.5).begin
    begin = simulated if request.param == "simulated" else lambda operation: real.begin(operation, ledger)
    disk = _Disk(begin, ops.Location(str(tmp_path), ("f",)))
    disk.do(ops.Create(disk.at))
    return disk


def test_what_was_written_piece_by_piece_is_not_read_for_its_hash(disk: _Disk) -> None:
    disk.write(PIECES)
    assert disk.do(ops.Sync(disk.at)) is None
    assert disk.hash() == (blake3(DATA).digest(), False)


def test_what_was_read_piece_by_piece_is_not_read_again_for_its_hash_however_many_readers_there_are(
    disk: _Disk,
) -> None:
    disk.write(PIECES, hashed=False)
    assert disk.read(*(offset for offset, _ in PIECES for _ in range(2))) == b"".join(2 * piece for _, piece in PIECES)
    assert disk.hash() == (blake3(DATA).digest(), False)


def test_a_reader_that_is_ahead_takes_nothing_from_the_others(disk: _Disk) -> None:
    disk.write(PIECES, hashed=False)
    disk.read(0, 3 * CHUNK, *(offset for offset, _ in PIECES))
    assert disk.hash() == (blake3(DATA).digest(), False)


@pytest.mark.parametrize("pieces", [PIECES[1:], PIECES[:1] + PIECES[2:], PIECES[:-1], PIECES[::-1]])
def test_a_piece_that_was_left_out_is_found_by_reading(disk: _Disk, pieces: list[tuple[int, bytes]]) -> None:
    disk.write(PIECES, hashed=False)
    disk.write(pieces)
    assert disk.hash() == (blake3(DATA).digest(), True)


@pytest.mark.parametrize(
    "change",
    [
        lambda at: ops.WriteAt(at, 5, b"x"),
        lambda at: ops.WriteAt(at, 5, b"x", hashed=True),
        lambda at: ops.Append(at, b"x"),
        lambda at: ops.SetLength(at, len(DATA) - 1),
        lambda at: ops.Replace(at, DATA[::-1]),
    ],
)
def test_a_change_right_after_the_last_piece_is_in_the_hash(
    disk: _Disk, change: Callable[[ops.Location], ops.Operation]
) -> None:
    disk.write(PIECES)
    disk.do(change(disk.at))
    content = disk.do(ops.ReadAt(disk.at, 0, 2 * len(DATA)))
    assert isinstance(content, bytes | bytearray)
    assert content != DATA
    assert disk.hash() == (blake3(content).digest(), True)


def test_a_write_that_begins_before_the_end_of_what_is_hashed_and_ends_behind_it_is_in_the_hash(disk: _Disk) -> None:
    disk.write([(0, DATA[: ops.LONG_BYTES])])
    other = DATA[::-1] + DATA
    disk.write([(0, other[: 2 * ops.LONG_BYTES])])
    assert disk.hash() == (blake3(other[: 2 * ops.LONG_BYTES]).digest(), True)


def test_a_file_that_takes_the_others_place_has_its_own_hash(disk: _Disk) -> None:
    other = ops.Location(disk.at.root, ("g",))
    disk.write(PIECES)
    disk.do(ops.Create(other))
    disk.do(ops.WriteAt(other, 0, DATA[::-1], hashed=True))
    disk.do(ops.Rename(other, disk.at))
    assert disk.hash() == (blake3(DATA[::-1]).digest(), True)


def test_a_file_that_begins_anew_is_hashed_anew(disk: _Disk) -> None:
    disk.write(PIECES[:2])
    disk.do(ops.RemoveFile(disk.at))
    disk.do(ops.Create(disk.at))
    disk.write([(offset, piece[::-1]) for offset, piece in PIECES])
    assert disk.hash() == (blake3(b"".join(piece[::-1] for _, piece in PIECES)).digest(), False)


def test_what_a_host_writes_into_a_file_that_is_read_is_in_its_hash(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(DATA)
    ledger = Ledger()
    disk = _Disk(lambda operation: real.begin(operation, ledger), ops.Location(str(tmp_path), ("f",)))
    assert disk.read(*(offset for offset, _ in PIECES)) == DATA  # just written: of no version that can be told
    with (tmp_path / "f").open("r+b") as file:
        file.write(b"another")
    assert disk.hash() == (blake3(b"another" + DATA[7:]).digest(), True)


def test_a_host_that_changes_a_settled_file_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(DATA)
    ledger = Ledger()
    disk = _Disk(lambda operation: real.begin(operation, ledger), ops.Location(str(tmp_path), ("f",)))
    while disk.read(*(offset for offset, _ in PIECES)) and disk.hash()[1]:  # until its last change is long ago
        assert os.stat(path).st_size == len(DATA)
    with path.open("r+b") as file:
        file.write(b"another")
    assert disk.hash() == (blake3(b"another" + DATA[7:]).digest(), True)


def test_the_latest_running_hashes_are_kept() -> None:
    hashes = RunningHashes()
    for number in range(MAX_RUNNING + 1):
        running = RunningHash("v")
        running.add(0, b"x")
        hashes.put(number, running)
    assert hashes.whole(0, 1, "v") is None
    assert hashes.whole(1, 1, "v") == hashes.whole(MAX_RUNNING, 1, "v") == blake3(b"x").digest()
