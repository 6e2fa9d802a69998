"""A recording on the disk: a folder for each node, in it one for each boot, in that its segments.

Nothing is held back for long, so all of it is the operating system's when the process dies, but for the last tenth of a
second. The oldest boots go first when there is no room. Of the boot that is recorded, the beginning stays, in half of
the room, since a replay needs all from there on; of what follows, the oldest goes first.

Tests: tests/nectar_node/recording/test_ring.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from kernel.contract.message import Buffer
from nectar_node.base import own_files
from nectar_node.base.errors import NodeError
from nectar_node.recording.errors import BadRecording
from nectar_node.recording.segment_files import RECEIVED_SUFFIX, ReceivedMemory, SegmentFiles, SegmentThread
from nectar_node.recording.segments import (
    MAX_FRAME_BYTES,
    SALT_BYTES,
    SegmentHeader,
    SegmentSealer,
    TapeEntry,
    beginning_of,
    entries_untrusted,
    header_untrusted,
    open_untrusted,
    received_entry,
)

SEGMENT_BYTES = 64 << 20
"""Bytes after which a new segment begins."""
FRAME_BYTES = 1 << 18
"""Bytes that are sealed together at most, but for one long entry."""
CLEAR_BYTES = 1 << 12
"""Bytes from which on received ciphertext is not sealed once more; less is cheaper to seal together with the rest."""
RECEIVE_BYTES = 1 << 19
"""Bytes that a socket may receive at once."""
MOST_WAITING = 256
"""Frames that wait for a disk that has fallen behind; then the node waits, too."""
HELD_BACK_SECONDS = 0.02
"""How long entries wait for others, so that they are sealed together."""
CODE_FOLDER = "code"
_SEGMENT = re.compile(r"(\d{6})\.recording")
_BOOT = re.compile(r"boot-(\d{6})")


class RecordingFiles:
    """Writes the recording of one boot."""

    def __init__(self, folder: Path, node: str, key: bytes, version: str, keep: int, unix: Callable[[], float]) -> None:
        """`folder` is that of `--record`. Raises OSError and NotOurs."""
        self._node_folder = folder / node
        for each in (folder, self._node_folder, self._node_folder / CODE_FOLDER):
            own_files.make_folder(each)
        boots = boots_in(self._node_folder)
        self.boot = boots[-1] + 1 if boots else 1
        self._folder = self._node_folder / f"boot-{self.boot:06}"
        own_files.make_folder(self._folder)
        self._node, self._key, self._version, self._keep, self._unix = node, key, version, keep, unix
        self._segment_bytes = min(SEGMENT_BYTES, keep // 8)
        self._held = bytearray()
        self._last = 0.0
        self._segment = 0
        self._size = 0
        """Bytes of the segment that are sealed."""
        self._thread = SegmentThread()
        self.received = ReceivedMemory(self._thread, RECEIVE_BYTES)
        """Where sockets receive."""
        self.since = 0.0
        """The core's time at its start."""
        self._files: SegmentFiles
        self._sealer: SegmentSealer
        self._lacks_code: str | None = None
        self._has_gap = False
        try:
            self._begin()
        except OSError:
            self._thread.end()
            raise

    @property
    def problem(self) -> str | None:
        """Why nothing is written any more; None: it is."""
        error = self._thread.problem
        return None if error is None else f"the recording ends: {self._folder}: {error.strerror}"

    @property
    def complaints(self) -> list[str]:
        """What its user should know, in sentences that never go away."""
        gap = None
        if self._has_gap:
            gap = (
                f"the recording takes more than --keep: what is replayed of {self._folder} ends before it does; "
                "a larger --keep, or the next boot, begins anew"
            )
        return [each for each in (self._lacks_code, gap, self.problem) if each is not None]

    @property
    def status(self) -> dict[str, object]:
        """Where it is, for status pages."""
        folder = str(self._node_folder.parent.absolute())
        return {"folder": folder, "boot": self.boot, "since": self.since, "problem": self.problem}

    def write(self, kind: int, body: bytes, data: Buffer = b"") -> None:
        """Note an entry, whose body is `body` and `data` behind it. `data` is ciphertext: if it is long, it is not
        sealed, and not copied if it was received into `received`.
        """
        held, size = self._held, len(data)
        if size >= CLEAR_BYTES:
            held += received_entry(kind, body, size)
            self.received.take(data)
            return
        held += beginning_of(kind, len(body) + size)
        held += body
        if size:
            held += data
        if len(held) >= FRAME_BYTES:
            self.flush()

    def turn(self, now: float) -> None:
        """Hand over what was noted, unless that was done a moment ago."""
        if self._held and now - self._last >= HELD_BACK_SECONDS:
            self._last = now
            self.flush()

    def flush(self) -> None:
        """Hand over what was noted to the thread, which gives it to the operating system at once."""
        if not self._held:
            return
        if self._thread.problem is None:
            self.received.hand_over()  # before the entries that speak of it
            self._append(self._sealer.frame(self._held))
            if self._size + self.received.total >= self._segment_bytes:
                self._thread.done()
                try:
                    self._begin()
                except OSError as error:
                    self._thread.problem = self._thread.problem or error
        self._held.clear()

    def written(self) -> None:
        """Hand over what was noted, and wait until the operating system has it."""
        self.flush()
        self._thread.done()

    def close(self) -> None:
        """End the recording."""
        self.flush()
        self._thread.do(partial(self._files.close, self.received.total))
        self._thread.end()

    def keep_code(self, digest: str, code: bytes) -> None:
        """Keep the code of a program, named by its SHA-256, for replays. On any thread."""
        file = self._node_folder / CODE_FOLDER / digest
        try:
            if not file.exists():
                own_files.write(file, code)
        except (OSError, NodeError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            self._lacks_code = f"the recording cannot be replayed: {file.parent} lacks the code of a program: {why}"

    def _begin(self) -> None:
        """Begin a segment, while the thread has nothing to do; raises OSError."""
        if self._segment:
            self._files.close(self.received.total)
        self._segment += 1
        header = SegmentHeader(self._node, self.boot, self._segment, self._version, self._unix())
        self._sealer = SegmentSealer(self._key, header, os.urandom(SALT_BYTES))
        self._files = SegmentFiles(self._folder / f"{self._segment:06}.recording")
        self._files.append(self._sealer.beginning)
        self._size = len(self._sealer.beginning)
        self.received.begin(self._files)
        self._make_room()

    def _append(self, data: bytes) -> None:
        self._size += len(data)
        thread, files = self._thread, self._files

        def append() -> None:
            if thread.problem is None:
                files.append(data)

        thread.do(append)
        if thread.waiting > MOST_WAITING:
            thread.done()

    def _make_room(self) -> None:
        """Remove the oldest segments, so that there is room for one more."""
        room = max(self._keep - self._segment_bytes, 0)
        before: list[Path] = []
        for boot in boots_in(self._node_folder):
            if boot != self.boot:
                before += _segments(self._node_folder / f"boot-{boot:06}")
        own = [each for each in _segments(self._folder) if _number(each) < self._segment]
        sizes = {each: _size(each) for each in (*before, *own)}
        head, first = 0, 0
        while first < len(own) and _number(own[first]) == first + 1 and head + sizes[own[first]] <= room // 2:
            head += sizes[own[first]]
            first += 1
        used = sum(sizes.values())
        for file in (*before, *own[first:]):
            if used <= room:
                break
            used -= sizes[file]
            self._has_gap |= file in own
            for each in (file, file.with_suffix(RECEIVED_SUFFIX)):
                each.unlink(missing_ok=True)
            with suppress(OSError):
                file.parent.rmdir()


class Recorded:
    """The recording of one boot, for reading."""

    def __init__(self, folder: Path) -> None:
        """Raises BadRecording."""
        self.folder = folder
        self.files = _segments(folder)
        if not self.files:
            raise BadRecording(f"There is no recording in {folder}.")
        self.header = header_untrusted(_beginning(self.files[0]))[0]
        first = self.header.segment
        row = next((at for at, file in enumerate(self.files) if _number(file) != first + at), len(self.files))
        self.gap = None if row == len(self.files) else (first + row, _number(self.files[row]) - 1)
        """The first and the last segment that were removed from within, to make room; None: none was."""
        self._row = self.files[:row]

    @property
    def from_the_start(self) -> bool:
        """Whether it can be replayed, up to its gap: nothing was removed before that."""
        return self.header.segment == 1

    def entries(self, key: bytes) -> Iterator[TapeEntry]:
        """Yield all entries, behind a gap, too; raises BadRecording at what is damaged."""
        return self._entries(key, self.files)

    def in_a_row(self, key: bytes) -> Iterator[TapeEntry]:
        """Yield the entries up to the gap, as a replay needs them; raises BadRecording at what is damaged."""
        return self._entries(key, self._row)

    def code(self, digest: str) -> bytes:
        """Return the code of a program; raises BadRecording."""
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise BadRecording("The recording is damaged: a program has no name.")
        try:
            return (self.folder.parent / CODE_FOLDER / digest).read_bytes()
        except OSError as error:
            raise BadRecording(f"The recording lacks the code of a program, {digest[:12]}: {error.strerror}.") from None

    def _entries(self, key: bytes, files: Sequence[Path]) -> Iterator[TapeEntry]:
        count = 0
        for file in files:
            try:
                with ExitStack() as opened:
                    if file.stat().st_size > SEGMENT_BYTES + 2 * MAX_FRAME_BYTES:
                        raise BadRecording(f"The recording is damaged: {file.name} is too long.")
                    data = file.read_bytes()
                    received: BinaryIO = BytesIO()
                    with suppress(FileNotFoundError):
                        received = opened.enter_context(file.with_suffix(RECEIVED_SUFFIX).open("rb"))
                    header, _ = header_untrusted(data)
                    if (header.segment, header.boot, header.node) != (
                        _number(file),
                        self.header.boot,
                        self.header.node,
                    ):
                        raise BadRecording(f"The recording is damaged: {file.name} is segment {header.segment}.")
                    last = file == self.files[-1]
                    plaintexts = open_untrusted(data, key, last=last)
                    for each in entries_untrusted(plaintexts, received.read, last=last, first=count):
                        count += 1
                        yield each
            except OSError as error:
                raise BadRecording(f"{file} cannot be read: {error.strerror}.") from error


def nodes_in(folder: Path) -> list[str]:
    """Return the nodes that have a recording in the folder of `--record`."""
    try:
        return sorted(each.name for each in folder.iterdir() if boots_in(each))
    except OSError as error:
        raise BadRecording(f"{folder} cannot be read: {error.strerror}.") from error


def boots_in(folder: Path) -> list[int]:
    """Return the numbers of the boots of a node that are recorded, the oldest first."""
    if not folder.is_dir():
        return []
    found = (_BOOT.fullmatch(each.name) for each in folder.iterdir())
    return sorted(int(match[1]) for match in found if match)


def recorded(folder: Path, node: str, boot: int | None = None) -> Recorded:
    """Return the recording of a node's boot, the latest if None; raises BadRecording."""
    boots = boots_in(folder / node)
    if not boots or (boot is not None and boot not in boots):
        known = ", ".join(nodes_in(folder)) or "no node"
        raise BadRecording(f"{folder} has no recording of {node}: it has those of {known}.")
    return Recorded(folder / node / f"boot-{boots[-1] if boot is None else boot:06}")


def _segments(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if _SEGMENT.fullmatch(each.name)) if folder.is_dir() else []


def _number(segment: Path) -> int:
    return int(segment.name[:6])


def _size(segment: Path) -> int:
    """Return the bytes of a segment's files, those that are still there."""
    found = 0
    for each in (segment, segment.with_suffix(RECEIVED_SUFFIX)):
        with suppress(FileNotFoundError):
            found += each.stat().st_size
    return found


def _beginning(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(1 << 15)
