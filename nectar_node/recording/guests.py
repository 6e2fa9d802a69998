"""Guests of a recorded core: what they read of the world is noted, and given to them again in a replay.

A guest's instructions are the same each time: its slices are counted in fuel. What is not is random bytes, clocks, its
files, and where a poll ended that another thread did. A guest asks for the former through its `GuestConfig`; of the
latter the number of polls is noted, since a guest that is lent to another thread hears nothing meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from kernel.contract.drive import DriveError, Errno, FileFacts, FileKind
from kernel.contract.guest import Arrival, Effect, End, Failure, Guest, GuestConfig, GuestStatistics, Poll, Program
from nectar_node.recording.errors import BadRecording


class Answers(Protocol):
    """Where a guest's questions go: to the world and onto a tape, or to a tape."""

    def guest_asks(self, guest: TapedGuest, what: str, given: object, really: Callable[[], object]) -> Any:
        """Return the answer of the world, which `really` asks, or the one that was noted. Plain values only."""


class TapedGuest:
    """A guest with a number; implements `kernel.contract.guest.Guest`."""

    def __init__(self, number: int, answers: Answers) -> None:
        self.number = number
        self.answers = answers
        self.inner: Guest | None = None
        self.lent = False
        """Whether it is polled on another thread."""
        self.polls = 0
        """How often, since it was lent."""
        self.asked: deque[tuple[str, object, object]] = deque()
        """What it has asked meanwhile; in a replay, what it is going to be answered."""
        self.effects: list[Effect] = []
        self._heard: list[tuple[int, Arrival | Failure]] = []

    def asks(self, what: str, given: object, really: Callable[[], object]) -> Any:
        """Answer a question of the guest's."""
        return self.answers.guest_asks(self, what, given, really)

    def starts(self, program: Program, config: GuestConfig) -> None:
        """Begin to be a guest; raises what `Program.start` raises."""
        self.inner = program.start(config)
        self.effects = self.inner.effects

    def come_back(self) -> None:
        """End its time on another thread."""
        self.lent = False
        heard, self._heard = self._heard, []
        for number, outcome in heard:
            self.hear(number, outcome)

    @property
    def end(self) -> End | None:
        """How it has ended."""
        assert self.inner is not None
        return self.inner.end

    @end.setter
    def end(self, end: End | None) -> None:
        """Set how it has ended."""
        assert self.inner is not None
        self.inner.end = end

    def poll(self) -> Poll:
        """Run until the guest waits, is pre-empted or ends."""
        assert self.inner is not None
        if self.lent:
            self.polls += 1
        return self.inner.poll()

    def resume(self, answer: object) -> None:
        """Set the answer that the suspended guest waits for."""
        assert self.inner is not None
        self.inner.resume(answer)

    def hear(self, number: int, outcome: Arrival | Failure) -> None:
        """Take the outcome of a `SendAndHear`, also while the guest is polled on another thread."""
        assert self.inner is not None
        if self.lent:
            self._heard.append((number, outcome))
        else:
            self.inner.hear(number, outcome)

    def limit_memory(self, limited: bool) -> None:
        """Refuse memory (see `kernel.contract.guest.Guest.limit_memory`)."""
        assert self.inner is not None
        self.inner.limit_memory(limited)

    def close(self) -> None:
        """Drop the guest, whatever state it is in, even spinning."""
        assert self.inner is not None
        self.inner.close()

    def statistics(self) -> GuestStatistics:
        """Return what the guest has used so far."""
        assert self.inner is not None
        return self.inner.statistics()


class TapedProgram:
    """A program whose guests are taped; implements `kernel.contract.guest.Program`."""

    def __init__(self, inner: Program, guests: TapedGuests) -> None:
        self.inner = inner
        self._guests = guests
        self.opens_files = inner.opens_files
        self.digest = inner.digest
        self.generation = inner.generation

    def start(self, config: GuestConfig) -> Guest:
        """Return a new guest; raises what the inner program raises."""
        guest = self._guests.next
        assert guest is not None, "a guest's configuration is asked for before it is started"
        guest.starts(self.inner, config)
        return guest


class TapedGuests:
    """The guests of one core, numbered in the order of their starts."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._count = 0
        self.next: TapedGuest | None = None
        """The guest that is started next."""

    def config(self, config: GuestConfig) -> GuestConfig:
        """Return the configuration of the next guest, made of one that leads to the world."""
        self._count += 1
        self.next = guest = TapedGuest(self._count, self._answers)
        entropy, clock, monotonic, drive, debug = (*config[2:4], config.monotonic, config.drive, config.debug)
        return config._replace(
            entropy=lambda count: guest.asks("entropy", count, lambda: entropy(count)),  # type: ignore[misc]
            clock=lambda: guest.asks("clock", None, clock),  # type: ignore[arg-type]
            monotonic=lambda: guest.asks("monotonic", None, monotonic),  # type: ignore[arg-type]
            drive=None if drive is None else TapedDrive(drive, guest),
            debug=lambda digest: guest.asks("debug", digest, lambda: None if debug is None else debug(digest)),
        )


class TapedNode:
    """A file, a folder or a link; implements `kernel.contract.drive.FileNode`."""

    __slots__ = ("inner", "kind", "number")

    def __init__(self, number: int, kind: FileKind, inner: object) -> None:
        self.number = number
        self.kind = kind
        self.inner = inner


class TapedDrive:
    """A drive whose answers are noted; implements `kernel.contract.drive.Drive`."""

    def __init__(self, drive: Any, guest: TapedGuest) -> None:
        """`drive`: the real one; in a replay it is never asked."""
        self._drive = drive
        self._guest = guest
        self._count = 0
        self._made: deque[object] = deque()
        """What the drive has returned in the call under way, in order."""

    def _ask(self, method: str, *given: Any) -> Any:
        def really() -> object:
            try:
                answer = getattr(self._drive, method)(*(_inner(each) for each in given))
            except DriveError as error:
                return ["refused", int(error.errno)]
            return ["done", self._plain(answer)]

        told = [method, *(each.number if isinstance(each, TapedNode) else _told(each) for each in given)]
        answer = self._guest.asks("drive", told, really)
        if not isinstance(answer, list) or len(answer) != 2:
            raise BadRecording("The recording is damaged: a drive's answer is none.")
        if answer[0] == "refused":
            raise DriveError(Errno(answer[1]))
        return answer[1]

    def _plain(self, answer: object) -> object:
        if isinstance(answer, FileFacts):
            return list(answer)
        kind = getattr(answer, "kind", None)
        if kind is not None:
            self._made.append(answer)
            return int(kind)
        return bytes(answer) if isinstance(answer, bytearray | memoryview) else answer

    def _node(self, kind: int | None) -> TapedNode | None:
        if kind is None:
            return None
        self._count += 1
        return TapedNode(self._count, FileKind(kind), self._made.popleft() if self._made else None)

    def root(self) -> Any:
        """Return the drive's own folder."""
        return self._node(self._ask("root"))

    def find(self, folder: Any, name: str) -> Any:
        """Return what has that name in a folder, or None."""
        return self._node(self._ask("find", folder, name))

    def entries(self, folder: Any) -> list[tuple[str, Any]]:
        """Return names and nodes in a folder, always in the same order."""
        drive = self._drive

        def really() -> object:
            try:
                listed = drive.entries(_inner(folder))
            except DriveError as error:
                return ["refused", int(error.errno)]
            return ["done", [[name, self._plain(node)] for name, node in listed]]

        answer = self._guest.asks("drive", ["entries", folder.number], really)
        if answer[0] == "refused":
            raise DriveError(Errno(answer[1]))
        return [(name, self._node(kind)) for name, kind in answer[1]]

    def is_gone(self, folder: Any) -> bool:
        """Whether a folder was removed."""
        return bool(self._ask("is_gone", folder))

    def contains(self, folder: Any, other: Any) -> bool:
        """Whether the folder `other` is `folder` or lies below it."""
        return bool(self._ask("contains", folder, other))

    def number(self, node: Any) -> int:
        """Return a node's inode."""
        return int(self._ask("number", node))

    def length(self, file: Any) -> int:
        """Return how many bytes a file has."""
        return int(self._ask("length", file))

    def facts(self, node: Any) -> FileFacts:
        """Describe a node."""
        return FileFacts(*self._ask("facts", node))

    def target(self, link: Any) -> str:
        """Return where a link leads."""
        return str(self._ask("target", link))

    def read(self, file: Any, offset: int, length: int) -> bytes:
        """Return bytes of a file from `offset` on; fewer at its end."""
        return bytes(self._ask("read", file, offset, length))

    def write(self, file: Any, offset: int, data: memoryview) -> None:
        """Write into a file; a gap before `offset` is filled with zeros."""
        self._ask("write", file, offset, data)

    def set_length(self, file: Any, length: int) -> None:
        """Cut a file off, or fill it up with zeros."""
        self._ask("set_length", file, length)

    def set_times(self, node: Any, accessed: int | None, modified: int | None) -> None:
        """Set the times of a node, in nanoseconds since 1970; None leaves one as it is."""
        self._ask("set_times", node, accessed, modified)

    def sync(self, file: Any) -> None:
        """Make a file durable."""
        self._ask("sync", file)

    def make(self, folder: Any, name: str, kind: FileKind, target: str = "") -> Any:
        """Make an empty file, a folder, or a link to `target`, and return it."""
        return self._node(self._ask("make", folder, name, kind, target))

    def link(self, node: Any, folder: Any, name: str) -> None:
        """Give a file or link one more name."""
        self._ask("link", node, folder, name)

    def remove(self, folder: Any, name: str) -> None:
        """Remove what has that name."""
        self._ask("remove", folder, name)

    def rename(self, folder: Any, name: str, target_folder: Any, target_name: str) -> None:
        """Move what has a name; what has had the new one is gone."""
        self._ask("rename", folder, name, target_folder, target_name)


def _inner(value: Any) -> Any:
    return value.inner if isinstance(value, TapedNode) else value


def _told(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else int(value) if isinstance(value, FileKind) else value
