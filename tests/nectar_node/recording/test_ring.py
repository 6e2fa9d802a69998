"""Recordings on a disk: what was noted is read again, the oldest goes when there is no room, a full disk ends one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nectar_node.recording.errors import BadRecording
from nectar_node.recording.ring import CLEAR_BYTES, RecordingFiles, boots_in, recorded

KEY = bytes(range(32))
KEEP = 16 << 20
SEGMENT = KEEP // 8
PIECE = bytes(1 << 18)


@contextmanager
def _boot(folder: Path) -> Iterator[RecordingFiles]:
    files = RecordingFiles(folder, "a.nec", KEY, "1", KEEP, lambda: 0.0)
    try:
        yield files
    finally:
        files.close()


def _bodies(folder: Path, boot: int | None = None) -> list[bytes]:
    return [each.body for each in recorded(folder, "a.nec", boot).entries(KEY)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "recordings"


@pytest.mark.parametrize("size", [0, 1, CLEAR_BYTES - 1, CLEAR_BYTES, 1 << 20])
def test_what_was_noted_is_read_again_in_order(folder: Path, size: int) -> None:
    data = os.urandom(size)
    with _boot(folder) as files:
        files.write(1, b"before")
        files.write(3, b"head", memoryview(data))
        files.write(1, b"after")
    assert _bodies(folder) == [b"before", b"head" + data, b"after"]


def test_only_long_ciphertext_is_on_the_disk_as_it_was(folder: Path) -> None:
    short, long = os.urandom(CLEAR_BYTES - 1), os.urandom(CLEAR_BYTES)
    with _boot(folder) as files:
        files.write(3, b"", short)
        files.write(3, b"", long)
        files.write(11, b"a secret that is longer than a block of the cipher")
    received, segment = sorted((folder / "a.nec" / "boot-000001").iterdir(), key=lambda each: each.suffix)
    data = segment.read_bytes()
    assert (long in data, short in data, b"secret that" in data) == (False, False, False)
    assert received.read_bytes() == long


def test_the_oldest_boot_goes_first_and_then_what_stands_between_the_beginning_and_the_end(folder: Path) -> None:
    for _ in range(2):
        with _boot(folder) as files:
            files.write(1, PIECE)
    with _boot(folder) as files:
        for number in range(2 * KEEP // len(PIECE)):
            files.write(number % 2, b"%d " % number + PIECE)
        assert len(files.complaints) == 1
        assert "more than --keep" in files.complaints[0]
    assert boots_in(folder / "a.nec") == [3]
    found = recorded(folder, "a.nec")
    assert found.from_the_start
    assert found.gap is not None
    assert sum(file.stat().st_size for file in found.folder.iterdir()) <= KEEP
    numbers = [int(each.body.split()[0]) for each in found.in_a_row(KEY)]
    assert numbers == list(range(len(numbers)))
    rest = [int(each.body.split()[0]) for each in found.entries(KEY)][len(numbers) :]
    assert rest == list(range(rest[0], 2 * KEEP // len(PIECE)))
    assert min(len(numbers), len(rest)) * len(PIECE) > KEEP // 4


def test_a_full_disk_ends_the_recording_with_a_sentence_and_leaves_what_was_noted_before(folder: Path) -> None:
    with _boot(folder) as files:
        files.write(1, b"before")
        files.written()
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, files._files._file)
        os.close(full)
        for _ in range(3):
            files.write(3, b"lost", PIECE)
        files.written()
        assert files.problem is not None
        assert files.problem.startswith("the recording ends: ")
        assert files.problem.endswith("No space left on device")
        assert files.status["problem"] == files.problem
    assert _bodies(folder) == [b"before"]


def test_another_boot_that_is_named_is_read_and_one_that_is_not_there_is_told(folder: Path) -> None:
    for text in (b"one", b"two"):
        with _boot(folder) as files:
            files.write(1, text)
    assert (_bodies(folder, 1), _bodies(folder)) == ([b"one"], [b"two"])
    with pytest.raises(BadRecording, match="has no recording"):
        recorded(folder, "a.nec", 3)
