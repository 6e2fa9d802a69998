"""A recording on the disk: a folder for each node, in it one for each boot, in that its segments.

Bytes are appended without a buffer of ours, and never held back for long, so they are the kernel's when the process
dies. The oldest boots go first when there is no room, then the oldest segments: what is left of that boot tells what
happened, but can be replayed no more.

Tests: tests/nectar_node/recording/test_ring.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from kernel.contract.message import Buffer
from nectar_node.base import own_files
from nectar_node.recording.errors import BadRecording
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
)

SEGMENT_BYTES = 64 << 20
"""Bytes after which a new segment begins."""
FRAME_BYTES = 1 << 18
"""Bytes that are sealed together at most, but for one long entry."""
CLEAR_BYTES = 1 << 12
"""Bytes from which on received ciphertext is not sealed once more; less is cheaper to seal together with the rest."""
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
        self._file = -1
        self.since = 0.0
        """The core's time at its start."""
        self.problem: str | None = None
        """Why nothing is written any more; None: it is."""
        self._begin()

    @property
    def status(self) -> dict[str, object]:
        """Where it is, for status pages."""
        folder = str(self._node_folder.parent.absolute())
        return {"folder": folder, "boot": self.boot, "since": self.since, "problem": self.problem}

    def write(self, kind: int, body: bytes, data: Buffer = b"") -> None:
        """Note an entry, whose body is `body` and `data` behind it. `data` is ciphertext: if it is long, it goes to the
        operating system at once, neither copied nor sealed.
        """
        self._held += beginning_of(kind, len(body) + len(data))
        self._held += body
        if len(data) >= CLEAR_BYTES:
            self._hand_over(data)
            return
        if data:
            self._held += data
        if len(self._held) >= FRAME_BYTES:
            self._hand_over()

    def turn(self, now: float) -> None:
        """Hand over what was noted, unless that was done a moment ago."""
        if self._held and now - self._last >= HELD_BACK_SECONDS:
            self._last = now
            self.flush()

    def flush(self) -> None:
        """Hand over what was noted to the operating system."""
        if self._held:
            self._hand_over()

    def _hand_over(self, data: Buffer = b"") -> None:
        if self.problem is None:
            try:
                if self._size >= self._segment_bytes:
                    self._begin()
                self._append(*self._sealer.frame(self._held, data), data)
            except OSError as error:
                self.problem = f"the recording ends: {self._folder}: {error.strerror}"
        self._held.clear()

    def close(self) -> None:
        """End the recording."""
        self.flush()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def keep_code(self, digest: str, code: bytes) -> None:
        """Keep the code of a program, named by its SHA-256, for replays; raises OSError."""
        file = self._node_folder / CODE_FOLDER / digest
        if not file.exists():
            own_files.write(file, code)

    def _begin(self) -> None:
        self._segment += 1
        header = SegmentHeader(self._node, self.boot, self._segment, self._version, self._unix())
        self._sealer = SegmentSealer(self._key, header, os.urandom(SALT_BYTES))
        if self._file >= 0:
            os.close(self._file)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file = os.open(self._folder / f"{self._segment:06}.recording", flags, 0o600)
        self._size = 0
        self._append(self._sealer.beginning)
        self._make_room()

    def _append(self, *parts: Buffer) -> None:
        size = sum(map(len, parts))
        self._size += size
        written = os.writev(self._file, parts)
        if written < size:  # the disk is nearly full, or a signal came
            rest = memoryview(b"".join(parts))[written:]
            while rest:
                rest = rest[os.write(self._file, rest) :]

    def _make_room(self) -> None:
        """Remove the oldest segments, so that there is room for one more."""
        segments = [
            file
            for boot in boots_in(self._node_folder)
            for file in _segments(self._node_folder / f"boot-{boot:06}")
            if not (boot == self.boot and int(file.name[:6]) == self._segment)
        ]
        sizes = [file.stat().st_size for file in segments]
        room = max(self._keep - self._segment_bytes, 0)
        for file, size in zip(segments, sizes, strict=True):
            if sum(sizes) <= room:
                break
            sizes.remove(size)
            file.unlink()
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

    @property
    def from_the_start(self) -> bool:
        """Whether it can be replayed: nothing of it was removed to make room."""
        return self.header.segment == 1

    def entries(self, key: bytes) -> Iterator[TapeEntry]:
        """Yield all entries; raises BadRecording at what is damaged."""
        return entries_untrusted(self._plaintexts(key))

    def code(self, digest: str) -> bytes:
        """Return the code of a program; raises BadRecording."""
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise BadRecording("The recording is damaged: a program has no name.")
        try:
            return (self.folder.parent / CODE_FOLDER / digest).read_bytes()
        except OSError as error:
            raise BadRecording(f"The recording lacks the code of a program, {digest[:12]}: {error.strerror}.") from None

    def _plaintexts(self, key: bytes) -> Iterator[bytes]:
        expected = self.header.segment
        for file in self.files:
            try:
                if file.stat().st_size > SEGMENT_BYTES + 2 * MAX_FRAME_BYTES:
                    raise BadRecording(f"The recording is damaged: {file.name} is too long.")
                data = file.read_bytes()
            except OSError as error:
                raise BadRecording(f"{file} cannot be read: {error.strerror}.") from error
            header, _ = header_untrusted(data)
            if (header.segment, header.boot, header.node) != (expected, self.header.boot, self.header.node):
                raise BadRecording(
                    f"The recording is damaged: {file.name} is segment {header.segment}, not {expected}."
                )
            expected += 1
            yield from open_untrusted(data, key, last=file == self.files[-1])


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


def _beginning(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(1 << 15)
