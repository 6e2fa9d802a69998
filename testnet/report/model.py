"""A journal put together: messages from where they were sent to where they arrived, faults from beginning to end.

A message between nodes leaves a record on each side. Both carry the request's id, so the n-th that left for an address
is the n-th that arrived there (G4: in order, none twice); lineages go on across nodes the same way.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from msgspec import structs

from kernel.contract.message import Reason, kind_of
from kernel.router.trace import TraceStep
from nectar_node.driver.trace_file import MessageStep
from testnet.journal.journal import NOBODY, Event, Journal
from testnet.report.events import BytesSent, FaultBegins, FaultEnds, Note, OperationSeen, ViolationSeen, meaning


@dataclass(frozen=True, slots=True)
class DrawnMessage:
    """A request or a response."""

    id: str
    """The id of the request; a response has that of the request that it answers."""
    response: bool
    source: str
    target: str
    sender: str
    """The node on which it was seen to leave; else that of its source. An impostor's source has another's name."""
    receiver: str
    """The node on which it was seen to arrive; else that of its target."""
    sent: float | None
    """Seconds; None: nobody is known to have sent it."""
    arrived: float | None
    """Seconds; None: it is not known to have arrived. A local one arrives when its target takes it."""
    taken: float | None
    """When a process took it."""
    confirmed: float | None
    """When its sender's node knew that it had arrived."""
    expects: bool
    inherits: bool
    body: int
    blob: int | None
    beginning: str
    parent: str | None
    root: str
    """The first request of its lineage, on any node."""
    lines: tuple[int, ...]
    """The journal's lines that mention it."""


@dataclass(frozen=True, slots=True)
class FailedMessage:
    """The sender was told Offline or Timeout, or a message reached nobody."""

    at: float
    node: str
    what: str
    """Offline, Timeout or dropped."""
    reason: str
    id: str
    root: str
    source: str
    target: str
    line: int


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes put on a link, or a dial."""

    at: float
    node: str
    target: str
    size: int | None
    """The number of bytes, or None for a dial."""
    hash: str
    line: int


@dataclass(frozen=True, slots=True)
class Remark:
    """Any other line of a journal."""

    at: float
    node: str
    kind: str
    """The kind of remark, as in `events.Note`."""
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Band:
    """A fault, for as long as it held."""

    number: int
    words: str
    nodes: tuple[str, ...]
    """Which it touches; none: all."""
    begins: float
    ends: float | None
    """The end, or None if it held to the end."""
    line: int


@dataclass(frozen=True, slots=True)
class DrawnOperation:
    """An operation of a client, from its call to its return."""

    history: str
    number: int
    client: str
    place: int
    """Which of the clients, from 0."""
    words: str
    status: str
    """ok, failed or unknown."""
    called: float
    """Seconds."""
    returned: float | None
    """Seconds; None: nobody knows whether it has happened."""
    wrong: bool
    """Whether it is part of what cannot be explained."""
    line: int


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that was broken."""

    at: float
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A whole journal, ready to be drawn."""

    nodes: tuple[str, ...]
    """The nodes of the plan, then those that appear later."""
    messages: tuple[DrawnMessage, ...]
    failures: tuple[FailedMessage, ...]
    segments: tuple[Segment, ...]
    remarks: tuple[Remark, ...]
    bands: tuple[Band, ...]
    violations: tuple[Broken, ...]
    operations: tuple[DrawnOperation, ...] = ()


_Key: TypeAlias = tuple[int, bool, str, str]
"""Which messages are alike: id, whether it is a response, source, target."""


@dataclass(slots=True)
class _Sketch:
    """A picture while it is drawn."""

    messages: list[DrawnMessage] = field(default_factory=list)
    failures: list[FailedMessage] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    bands: list[Band] = field(default_factory=list)
    violations: list[Broken] = field(default_factory=list)
    operations: list[DrawnOperation] = field(default_factory=list)
    parents: dict[str, str] = field(default_factory=dict)
    """By id of a request, the one during whose handling it was sent."""
    _under_way: defaultdict[_Key, deque[int]] = field(default_factory=lambda: defaultdict(deque))
    """Indices of messages that have left and not arrived, in order."""
    _latest: dict[tuple[str, int], int] = field(default_factory=dict)
    """By node and id, the index of the request where it was sent or has arrived."""

    def add(self, event: Event) -> None:
        """Add the next event; raises BadJournal."""
        at, node, line = event.at, event.node, event.line
        match meaning(event):
            case MessageStep() as record:
                _STEPS[record.step](self, event, record)
            case FaultBegins(number, words, nodes):
                self.bands.append(Band(number, words, nodes, at, None, line))
            case FaultEnds(number):
                self.bands = [_ended(band, number, at) for band in self.bands]
            case BytesSent(target, size, hash):
                self.segments.append(Segment(at, node, target, size, hash, line))
            case OperationSeen() as seen:
                self.operations.append(DrawnOperation(**structs.asdict(seen), line=line))
            case ViolationSeen(text):
                self.violations.append(Broken(at, text, line))
            case Note(kind, text):
                self.remarks.append(Remark(at, node, kind, text, line))

    def _sent(self, event: Event, record: MessageStep) -> None:
        if record.parent is not None:
            self.parents.setdefault(str(record.id), str(record.parent))
        index = self._moves(event, record, response=False)
        self._latest[event.node, record.id] = index

    def _answered(self, event: Event, record: MessageStep) -> None:
        index = self._moves(event, record, response=True)
        if _is_local(record):
            self._change(index, event, arrived=event.at)

    def _moves(self, event: Event, record: MessageStep, *, response: bool) -> int:
        """Note that a message has left or arrived from another node, and return its index."""
        key = (record.id, response, record.source, record.target)
        if record.claimed:
            waiting = self._under_way.get(key)
            index = waiting.popleft() if waiting else self._new(event, record, response=response, sent=None)
            self._change(index, event, arrived=event.at, receiver=event.node)
            return index
        index = self._new(event, record, response=response, sent=event.at)
        if not _is_local(record):
            self._under_way[key].append(index)
        return index

    def _new(self, event: Event, record: MessageStep, *, response: bool, sent: float | None) -> int:
        message = DrawnMessage(
            id=str(record.id),
            response=response,
            source=str(record.source),
            target=str(record.target),
            sender=_node(record.source) if sent is None else event.node,
            receiver=event.node if _is_local(record) else _node(record.target),
            sent=sent,
            arrived=None,
            taken=None,
            confirmed=None,
            expects=record.expects,
            inherits=record.inherits,
            body=record.body,
            blob=record.blob,
            beginning=record.beginning,
            parent=None if record.parent is None else str(record.parent),
            root=str(record.id),
            lines=(event.line,),
        )
        self.messages.append(message)
        return len(self.messages) - 1

    def _change(self, index: int, event: Event, **changes: Any) -> None:
        message = self.messages[index]
        lines = message.lines if event.line in message.lines else (*message.lines, event.line)
        self.messages[index] = replace(message, lines=lines, **changes)

    def _handed(self, event: Event, record: MessageStep) -> None:
        index = self._latest.get((event.node, record.id))
        if index is None or not (record.claimed or _is_local(record)):
            return  # it was handed to the net
        self._change(index, event, taken=event.at)
        if _is_local(record):
            self._change(index, event, arrived=event.at)

    def _arrived_there(self, event: Event, record: MessageStep) -> None:
        index = self._latest.get((event.node, record.id))
        if index is not None:
            self._change(index, event, confirmed=event.at)

    def _failed(self, event: Event, record: MessageStep) -> None:
        self._failure(event, record, _told(record.reason))

    def _dropped(self, event: Event, record: MessageStep) -> None:
        waiting = self._under_way.get((record.id, True, record.source, record.target))
        if waiting and record.claimed:  # a response that has come too late
            self._change(waiting.popleft(), event, arrived=event.at, receiver=event.node)
        self._failure(event, record, "dropped")

    def _failure(self, event: Event, record: MessageStep, what: str) -> None:
        ends = (record.source, record.target)
        reason, id = record.reason or "", str(record.id)
        self.failures.append(FailedMessage(event.at, event.node, what, reason, id, id, *ends, event.line))


_STEPS: dict[TraceStep, Callable[[_Sketch, Event, MessageStep], None]] = {
    TraceStep.SENT: _Sketch._sent,
    TraceStep.HANDED: _Sketch._handed,
    TraceStep.ARRIVED: _Sketch._arrived_there,
    TraceStep.ANSWERED: _Sketch._answered,
    TraceStep.FAILED: _Sketch._failed,
    TraceStep.DROPPED: _Sketch._dropped,
}


def draw(journal: Journal) -> Picture:
    """Return the picture of a journal; raises BadJournal."""
    sketch = _Sketch()
    for event in journal.events:
        sketch.add(event)
    root = _roots(sketch.parents)
    parent = sketch.parents.get
    return Picture(
        _lanes(journal),
        tuple(replace(each, parent=parent(each.id), root=root(each.id)) for each in sketch.messages),
        tuple(replace(each, root=root(each.id)) for each in sketch.failures),
        tuple(sketch.segments),
        tuple(sketch.remarks),
        tuple(sketch.bands),
        tuple(sketch.violations),
        tuple(sketch.operations),
    )


def _lanes(journal: Journal) -> tuple[str, ...]:
    seen = dict.fromkeys(journal.header.nodes)
    seen.update(dict.fromkeys(event.node for event in journal.events if event.node != NOBODY))
    return tuple(seen)


def _roots(parents: dict[str, str]) -> Callable[[str], str]:
    """Return the first ancestor of an id; in a circle, which no kernel writes, any of them."""
    known: dict[str, str] = {}

    def root(id: str) -> str:
        way: dict[str, None] = {}
        while id in parents and id not in known and id not in way:
            way[id] = None
            id = parents[id]
        found = known.get(id, id)
        known.update(dict.fromkeys(way, found))
        return found

    return root


def _ended(band: Band, number: int, at: float) -> Band:
    return replace(band, ends=at) if band.number == number and band.ends is None else band


def _told(reason: str | None) -> str:
    """Return Offline or Timeout."""
    return kind_of(Reason(reason)).name.capitalize() if reason in _REASONS else "failed"


_REASONS = frozenset(each.value for each in Reason)


def _node(address: str) -> str:
    return address.partition("@")[0]


def _is_local(record: MessageStep) -> bool:
    return _node(record.source) == _node(record.target)
