"""The events of a run at which a fault can strike: numbered on each node, from the moment when faults may begin.

The same plan leads to the same events, so that a number says more than a time: two writes of one instant have two
numbers. Nothing here changes what happens; whoever lets a run happen says what each node is about to do, and has done.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from testnet.model.rule import Link

STEP, SEND, WRITE, STORE_WRITE = "step", "send", "write", "store-write"
KINDS = {
    STEP: "a step of a message in the node's kernel",
    SEND: "bytes that the node gives to a connection",
    WRITE: "an operation that changes the node's disk",
    STORE_WRITE: "a write or sync of a file of the node's databases",
}
"""The kinds of events, each in words."""
BEFORE, AFTER = "before", "after"
_WORDS = re.compile(rf"({BEFORE}|{AFTER}) ({'|'.join(KINDS)}) ([1-9][0-9]{{0,8}}) of ([a-z0-9.-]{{1,253}})", re.ASCII)


class Point(NamedTuple):
    """A moment of a run: just before an event of a node, or just after it."""

    side: str
    kind: str
    number: int
    """Of the events of this kind on this node, from 1."""
    node: str

    def words(self) -> str:
        """Return the point as schedules name it: "before write 17 of a.nec"."""
        return f"{self.side} {self.kind} {self.number} of {self.node}"


def read_point(text: str) -> Point | None:
    """Return the point that `words` has written, or None."""
    found = _WORDS.fullmatch(text)
    return None if found is None else Point(found[1], found[2], int(found[3]), found[4])


class SentBytes(NamedTuple):
    """What a node has given to a connection."""

    what: str
    """A piece of the handshake, a record or several, or the rest of one."""
    target: str
    offset: int
    """Where these bytes begin in this direction of the connection."""
    cuts: dict[str, int]
    """By the part of a record: the bytes of the connection that arrive if it is cut there."""


_UNKNOWN = SentBytes("bytes", "", 0, {})


class Begun(NamedTuple):
    """An event that has begun."""

    node: str
    kind: str
    number: int
    acts: int
    """How often the node had done something before that outlives it, or that somebody else sees."""


class SeenEvent(NamedTuple):
    """An event of a run."""

    node: str
    kind: str
    number: int
    what: str
    """The kind of record: the step of a message, the disk's operation, a piece of the handshake or a record."""
    at: float
    """Seconds since faults could begin."""
    before: int
    """How often the node had done something before that outlives it, or that somebody else sees."""
    after: int
    """The same, after the event."""
    sent: SentBytes | None = None


@dataclass(slots=True)
class Points:
    """The events of a run so far, and what is to happen at some of them."""

    wanted: bool = False
    """Whether events are to be counted; set before faults may begin."""
    active: bool = False
    """Whether they are counted now."""
    seen: list[SeenEvent] | None = None
    """All events, if somebody wants to know; set with `wanted`."""
    _began: float = 0.0
    _numbers: Counter[tuple[str, str]] = field(default_factory=Counter)
    _acts: Counter[str] = field(default_factory=Counter)
    _due: defaultdict[Point, list[Callable[[], None]]] = field(default_factory=lambda: defaultdict(list))
    _streams: defaultdict[tuple[int, str], _Stream] = field(default_factory=lambda: defaultdict(_Stream))

    def begin(self, now: float) -> None:
        """Count from now on, if that is wanted."""
        self._began, self.active = now, self.wanted

    def end(self) -> None:
        """Count no more: nothing happens at later events."""
        self.active = False

    def at(self, point: Point, what: Callable[[], None]) -> None:
        """Let `what` happen at a point that has not been yet."""
        self._due[point].append(what)

    def count(self, node: str, kind: str) -> int:
        """Return how many events of a kind there have been on a node."""
        return self._numbers[node, kind]

    def acted(self, node: str) -> None:
        """Take the news that a node does something that outlives it, or that somebody else sees."""
        self._acts[node] += 1

    def before(self, node: str, kind: str) -> Begun:
        """Take the news that an event comes now, and return it for `after`."""
        number = self._numbers[node, kind] = self._numbers[node, kind] + 1
        begun = Begun(node, kind, number, self._acts[node])
        self._reach(BEFORE, begun)
        return begun

    def after(self, begun: Begun, what: str, now: float, sent: SentBytes | None = None) -> None:
        """Take the news that it is over."""
        self._acts[begun.node] += 1
        self._note(begun, what, now, sent)
        self._reach(AFTER, begun)

    def step(self, node: str, what: str, now: float) -> None:
        """Take the news of a step of a message, which changes nothing that outlives the node."""
        number = self._numbers[node, STEP] = self._numbers[node, STEP] + 1
        begun = Begun(node, STEP, number, self._acts[node])
        self._note(begun, what, now, None)
        self._reach(AFTER, begun)

    def _note(self, begun: Begun, what: str, now: float, sent: SentBytes | None) -> None:
        if self.seen is not None:
            node, kind, number, acts = begun
            self.seen.append(
                SeenEvent(node, kind, number, what, round(now - self._began, 9), acts, self._acts[node], sent)
            )

    def _reach(self, side: str, begun: Begun) -> None:
        if self._due:
            for what in self._due.pop(Point(side, begun.kind, begun.number, begun.node), ()):
                what()

    def follow(self, connection: int, link: Link, data: bytes) -> SentBytes:
        """Return what `data` is, the next bytes of a connection in this direction: as far as events are noted."""
        if self.seen is None:
            return _UNKNOWN
        stream = self._streams[connection, link.source]
        begins, pieces = stream.position, stream.feed(data)
        return SentBytes(piece_words(pieces), link.target, begins, cuts(pieces, begins, stream.position))


class _Piece(NamedTuple):
    """A handshake's piece or a record, as it lies in a stream."""

    number: int
    start: int
    length: int
    """Bytes, without the two of the length itself."""


@dataclass(slots=True)
class _Stream:
    """One direction of a connection: pieces, each behind its length."""

    position: int = 0
    _number: int = 0
    _next: int = 0
    """Where the next piece begins."""
    _half: bytes = b""
    """The first byte of a length whose second one has not come."""

    def feed(self, data: bytes) -> list[_Piece]:
        found, end = [], self.position + len(data)
        known, start = self._half + data, self.position - len(self._half)
        while self._next + 2 <= end:
            place = self._next - start
            length = int.from_bytes(known[place : place + 2], "big")
            found.append(_Piece(self._number, self._next, length))
            self._next += 2 + length
            self._number += 1
        self._half = known[max(0, self._next - start) :][:1] if self._next < end else b""
        self.position = end
        return found


TAG_BYTES = 16
_HANDSHAKE_PIECES = 2
"""The dialer's first and third piece of the handshake; the other side has one, and a record is taken for its second."""


def cuts(pieces: list[_Piece], begin: int, end: int) -> dict[str, int]:
    """Return where a connection can be cut within its bytes from `begin` to `end`: in each part of the first record
    that begins there and of the last one, or else in the middle."""
    found: dict[str, int] = {}
    for piece in dict.fromkeys((*pieces[:1], *pieces[-1:])):
        last = piece.start + 2 + piece.length
        parts = {
            "before the header": piece.start,
            "within the length": piece.start + 1,
            "after the length": piece.start + 2,
            "in the middle": piece.start + 2 + piece.length // 2,
            "before the tag": last - TAG_BYTES,
            "before the last byte": last - 1,
        }
        name = "" if piece is pieces[0] else "last record: "
        for part, byte in parts.items():
            if begin <= byte < end and byte not in found.values():
                found[f"{name}{part}"] = byte
    return found or {"in the middle": (begin + end) // 2}


def piece_words(pieces: list[_Piece]) -> str:
    """Return what kind of bytes these are."""
    if not pieces:
        return "rest of a record"
    if pieces[0].number < _HANDSHAKE_PIECES:
        return f"piece {pieces[0].number + 1} of the connection"
    return "record" if len(pieces) == 1 else "records"


@runtime_checkable
class Pointed(Protocol):
    """A lab whose events have numbers."""

    points: Points

    def strike(self, node: str, what: Callable[[], None], *, ends: bool) -> None:
        """Let `what` happen to a node before anything else does; `ends`: the node does nothing more until then."""
