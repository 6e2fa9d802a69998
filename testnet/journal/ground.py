"""The ground that a run has reached: pairs of an event and the state in which it came, in a table of bounded size.

An event has a kind: a step of a message with the two processes, the beginning of its body and its reason; a line of the
journal without its particulars; bytes that leave, by their order of size; the basic blocks of a guest's code that it
has passed through until it waits. A state is what the node did last, the kinds of the faults that hold, how lately it
has booted, how lately which fault came or went, and how it stands with its peers whenever a fault comes or goes. Each
block of a guest is a place by itself. Two runs have the same ground when they do the same things in the same states,
however often. Nothing a run does depends on this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from zlib import crc32

from kernel.router.trace import TraceRecord
from testnet.model.points import SEND, STEP, Points

PLACES = 1 << 16
"""The most places that a run can reach: pairs are told apart by hashes of so many values."""
_MAX_KNOWN = 1 << 13
"""The most words of which the kind is remembered."""
_LATELY = 2.0
"""Seconds in which a node counts as one that has booted lately, and a fault as one that came or went lately."""
_SHORTLY = 0.001
"""Seconds of the first step of the distances from a fault; each further one is twice as long."""

_PARTICULARS = re.compile(r"[0-9a-f]{8,}|\d+(\.\d+)?")
_FIRST_WORD = re.compile(rb"\W*(\w{1,24})")
_FAULT = re.compile(r"fault (\d+) (begins|ends)")


class Ground:
    """The places that a run has reached, and when it was first at each."""

    def __init__(self, points: Points | None = None) -> None:
        """`points` numbers the events of the run, so that a fault can be aimed at one of them."""
        self.places: dict[int, tuple[float, str, str, int]] = {}
        """Virtual seconds, node, and kind and number of the event, by place; a kind "" and 0: it has no number."""
        self.points = points
        self.began = 0.0
        """When the faults of the scenario could begin, in virtual seconds."""
        self._kinds: dict[object, int] = {}
        self._last: dict[str, int] = {}
        """The kind of the last event of each node."""
        self._booted: dict[str, float] = {}
        self._holding: dict[str, int] = {}
        """The kinds of the faults that hold, by number."""
        self._blocks: dict[str, int] = {}
        """The basic blocks of each process by name, as a number with a byte for each."""
        self._weather = 0
        """A hash of those."""
        self._turn = -_LATELY
        """When a fault last came or went."""
        self._turned = 0
        """Which, and whether it came."""

    def moments(self) -> list[list[object]]:
        """Return each place, when it was first reached, in seconds since faults could begin, and the node, kind and
        number of the event."""
        return [
            [place, round(at - self.began, 3), node, kind, number]
            for place, (at, node, kind, number) in self.places.items()
        ]

    def line(self, at: float, node: str, what: str) -> None:
        """Note a line of the journal."""
        kind = self._kinds.get(what)
        if kind is None:
            kind = self._learn(what, crc32(_PARTICULARS.sub("N", what).encode(errors="backslashreplace")))
        if what == "boots":
            self._booted[node] = at
        self._reach(at, node, kind)

    def sends(self, at: float, node: str, size: int) -> None:
        """Note bytes that leave a node."""
        self._reach(at, node, size.bit_length(), SEND)

    def step(self, at: float, node: str, record: TraceRecord) -> None:
        """Note a step of a message."""
        _, step, _, parent, _, inherits, expects, source, target, claimed, _, blob, reason, beginning = record
        key = (step, parent is None, inherits, expects, claimed, blob is None, reason, source.process, target.process)
        known = (key, beginning[:12])
        kind = self._kinds.get(known)
        if kind is None:
            word = _FIRST_WORD.match(beginning)
            words = (step.value, *key[1:7], source.process.process, target.process.process, word and word[1])
            kind = self._learn(known, crc32(repr(words).encode()))
        self._reach(at, node, kind, STEP)

    def blocks(self, at: float, node: str, process: str, passed: bytes) -> None:
        """Note the basic blocks that a guest has passed through in one poll: each of them, and which together."""
        self._reach(at, node, crc32(passed))
        known, now = self._blocks.get(process, 0), int.from_bytes(passed, "little")
        more = now & ~known
        if more:
            self._blocks[process] = known | now
            name = crc32(process.encode())
            for number, byte in enumerate(more.to_bytes(len(passed), "little")):
                if byte:
                    self._reach_place(hash((name, number)) % PLACES, at, node, STEP)

    def fault(self, at: float, number: int, kind: str, states: Mapping[str, Sequence[object]]) -> None:
        """Note that a fault begins, or with no `kind` that it ends, and in what state it finds each node."""
        if kind:
            self._holding[str(number)] = crc32(kind.encode())
        gone = kind or str(self._holding.pop(str(number), 0))
        self._weather = hash(tuple(sorted(set(self._holding.values()))))
        self._turn, self._turned = at, crc32(repr((bool(kind), gone)).encode())
        for node, state in states.items():
            words = crc32(repr((bool(kind), gone, state)).encode())
            self._reach_place(hash((words, self._last.get(node, 0))) % PLACES, at, node, "")
            self._reach_place(words % PLACES, at, node, "")

    def _learn(self, words: object, kind: int) -> int:
        if len(self._kinds) < _MAX_KNOWN:
            self._kinds[words] = kind
        return kind

    def _reach(self, at: float, node: str, kind: int, event: str = "") -> None:
        last, self._last[node] = self._last.get(node, 0), kind
        lately = at - self._booted.get(node, -_LATELY) < _LATELY
        places = self.places
        place = hash((last, kind)) % PLACES
        if place not in places:
            self._reach_place(place, at, node, event)
        place = hash((kind, self._weather, lately)) % PLACES
        if place not in places:
            self._reach_place(place, at, node, event)
        since = at - self._turn
        if since < _LATELY:
            place = hash((kind, self._turned, int(since / _SHORTLY).bit_length())) % PLACES
            if place not in places:
                self._reach_place(place, at, node, event)

    def _reach_place(self, place: int, at: float, node: str, event: str) -> None:
        """Note a place that is new, with the number that the event will have when it is over."""
        if place not in self.places:
            points, number = self.points, 0
            if event and points is not None and points.active:
                number = points.count(node, event) + 1
            self.places[place] = at, node, event if number else "", number
