"""What is received goes from its memory to a file: the same bytes, whatever the sizes, the file system and the disk."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nectar_node.recording import segment_files
from nectar_node.recording.segment_files import (
    BLOCK_BYTES,
    CHUNK_BYTES,
    MOST_CHUNKS,
    ReceivedMemory,
    SegmentFiles,
    SegmentThread,
)

LEAST = 1 << 19
SOURCE = os.urandom(LEAST + 77)


def _received(folder: Path, steps: Sequence[int]) -> tuple[bytes, bytes]:
    """Take so many bytes each time, copied if negative, and hand over at 0; return what was taken and the file."""
    thread = SegmentThread()
    files, memory, taken = SegmentFiles(folder / "1.recording"), ReceivedMemory(thread, LEAST), bytearray()
    memory.begin(files)
    for number, size in enumerate(steps):
        if size == 0:
            memory.hand_over()
            continue
        data = SOURCE[number % 77 :][: abs(size)]
        taken += data
        if size > 0:
            view = memory.view
            assert len(view) == LEAST
            view[:size] = data
            memory.take(view[:size])
            assert view[:size] == data, "it stays until it is consumed"
        else:
            memory.take(data)
    assert memory.total == len(taken)
    memory.hand_over()
    thread.do(lambda: files.close(memory.total))
    thread.end()
    assert thread.problem is None
    file = folder / "1.received"
    return bytes(taken), file.read_bytes() if file.exists() else b""


@given(
    st.lists(st.one_of(st.just(0), st.integers(-LEAST, LEAST), st.sampled_from([1, BLOCK_BYTES, LEAST])), max_size=40)
)
def test_whatever_the_sizes_all_bytes_come_in_order(steps: list[int]) -> None:
    with TemporaryDirectory() as folder:
        taken, file = _received(Path(folder), steps)
    assert file == taken


def test_a_disk_that_falls_behind_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_files, "LATE_CHUNKS", 1)
    taken, file = _received(tmp_path, [LEAST] * (2 * MOST_CHUNKS * CHUNK_BYTES // LEAST))
    assert file == taken


@pytest.mark.parametrize("refuses", ["open", "write"])
def test_a_file_system_that_passes_no_cache_by_is_written_to_through_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses: str
) -> None:
    if refuses == "open":
        monkeypatch.setattr(segment_files, "_DIRECT", 0)
    else:
        really = os.pwrite

        def pwrite(file: int, data: memoryview, offset: int) -> int:
            if fcntl.fcntl(file, fcntl.F_GETFL) & os.O_DIRECT:
                raise OSError(errno.EINVAL, "Invalid argument")
            return really(file, data, offset)

        monkeypatch.setattr(os, "pwrite", pwrite)
    taken, file = _received(tmp_path, [LEAST, 5, 0, LEAST, 0, 4097] * 8)
    assert file == taken


def test_what_was_handed_over_is_in_the_file_before_the_entries_that_speak_of_it(tmp_path: Path) -> None:
    thread = SegmentThread()
    files, memory = SegmentFiles(tmp_path / "1.recording"), ReceivedMemory(thread, LEAST)
    memory.begin(files)
    found: list[bytes] = []
    for size in (10_000, 1, 5000):
        memory.take(SOURCE[:size])
        memory.hand_over()
        thread.do(lambda: found.append((tmp_path / "1.received").read_bytes()))
    thread.done()
    taken = SOURCE[:10_000] + SOURCE[:1] + SOURCE[:5000]
    assert [each[:size] for each, size in zip(found, (10_000, 10_001, 15_001), strict=True)] == [
        taken[:size] for size in (10_000, 10_001, 15_001)
    ]
    thread.do(lambda: files.close(memory.total))
    thread.end()
    assert (tmp_path / "1.received").read_bytes() == taken


def test_the_first_failure_is_the_last_thing_that_is_done(tmp_path: Path) -> None:
    thread = SegmentThread()
    files, memory = SegmentFiles(tmp_path / "1.recording"), ReceivedMemory(thread, LEAST)
    memory.begin(files)
    (tmp_path / "1.received").mkdir()  # which is in the way
    for _ in range(4 * MOST_CHUNKS * CHUNK_BYTES // LEAST):
        memory.take(SOURCE[:LEAST])
    thread.done()
    assert thread.problem is not None
    assert thread.problem.errno == errno.EEXIST
    thread.end()
