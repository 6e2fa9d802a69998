"""Assembles records of a trace: all messages of one lineage as a tree. Knows no node, no clock and no terminal.

A lineage is complete enough to be shown when each of its messages has its outcome, or has been handed over if none is
expected, and nothing new has come for a moment. An answer may take longer: the lineage is then shown again.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from nectar_node.launcher.client import ControlError

QUIET_SECONDS = 0.3
"""Seconds from the last record of a lineage until it is shown."""
STUCK_SECONDS = 3.0
"""The same, if a message of the lineage still waits for its outcome, or to be taken."""
MAX_LINEAGES = 1000
"""Lineages that are remembered; the oldest are dropped first."""
MAX_MESSAGES = 10_000
"""Records of one lineage; later ones are only counted."""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step of one message, as the node reports it."""

    at: float
    """Seconds on the node's clock."""
    time: str
    """The same as a date and a time of day, ISO 8601."""
    step: str
    id: str
    parent: str | None
    root: str
    inherits: bool
    expects: bool
    source: str
    target: str
    claim: bool
    body_bytes: int
    blob_bytes: int | None
    reason: str | None
    beginning: str


def decode_record_untrusted(value: object) -> StepRecord:
    """Return the record in an event; raises ControlError."""
    match value:
        case {
            "at": float(at) | int(at),
            "time": str(time),
            "step": str(step),
            "id": str(id),
            "parent": (str() | None) as parent,
            "root": str(root),
            "inherits": bool(inherits),
            "expects": bool(expects),
            "source": str(source),
            "target": str(target),
            "claim": bool(claim),
            "body_bytes": int(body_bytes),
            "blob_bytes": (int() | None) as blob_bytes,
            "reason": (str() | None) as reason,
            "beginning": str(beginning),
        }:
            record = (
                step,
                id,
                parent,
                root,
                inherits,
                expects,
                source,
                target,
                claim,
                body_bytes,
                blob_bytes,
                reason,
                beginning,
            )
            return StepRecord(float(at), time, *record)
        case _:
            raise ControlError(
                "The node sent a trace of unknown shape: are the node and this command of the same version?"
            )


@dataclass(slots=True)
class RequestTrace:
    """What is known of one request."""

    sent: StepRecord
    handed: StepRecord | None = None
    arrived: StepRecord | None = None
    """When the node of its target, if that is another one, had taken it."""
    outcomes: list[StepRecord] = field(default_factory=list)
    """How it ended; more than one only if something answered twice."""
    children: list[RequestTrace] = field(default_factory=list)
    """Requests that were sent while this one was handled."""

    @property
    def settled(self) -> bool:
        """Whether it has its outcome, or has been taken and none is expected."""
        return bool(self.outcomes) or (self.handed is not None and not self.sent.expects)


@dataclass(slots=True)
class Lineage:
    """An injected request, and everything that followed from it."""

    messages: OrderedDict[str, RequestTrace] = field(default_factory=OrderedDict)
    """Its messages, by id."""
    roots: list[RequestTrace] = field(default_factory=list)
    """Messages without a parent: usually one; more if a parent was sent before the trace began."""
    changed: float = 0.0
    """When the last record came, in seconds on the caller's clock."""
    shown: bool = False
    """Whether its present state has been shown."""
    again: bool = False
    """Whether a part of it has been shown before."""
    omitted: int = 0
    """Records beyond the bound."""

    @property
    def first(self) -> StepRecord:
        """Return the first record."""
        return self.roots[0].sent

    def due(self) -> float | None:
        """Return when to show it, if nothing else comes; None: it has been shown."""
        if self.shown:
            return None
        settled = all(message.settled for message in self.messages.values())
        return self.changed + (QUIET_SECONDS if settled else STUCK_SECONDS)


class Lineages:
    """The lineages of one trace."""

    def __init__(self) -> None:
        self._lineages: OrderedDict[str, Lineage] = OrderedDict()

    def add(self, record: StepRecord, now: float) -> None:
        """Add a record that has come at the time `now`, in seconds."""
        lineage = self._lineages.setdefault(record.root, Lineage())
        self._lineages.move_to_end(record.root)
        if len(self._lineages) > MAX_LINEAGES:
            self._lineages.popitem(last=False)
        lineage.changed, lineage.shown = now, False
        message = lineage.messages.get(record.id) or _inherited(lineage, record) or _enter(lineage, record)
        if message is None:
            lineage.omitted += 1
        elif record.step == "handed over":
            message.handed = message.handed or record
        elif record.step == "arrived there":
            message.arrived = message.arrived or record
        elif record.step != "sent":
            message.outcomes.append(record)

    def next_due(self) -> float | None:
        """Return when the next lineage is to be shown; None: not before the next record."""
        return min((due for each in self._lineages.values() if (due := each.due()) is not None), default=None)

    def take_due(self, now: float) -> list[Lineage]:
        """Return the lineages that are to be shown now, the earliest first; each once, unless more comes."""
        ready = [each for each in self._lineages.values() if (due := each.due()) is not None and due <= now]
        return self._take(ready)

    def take_all(self) -> list[Lineage]:
        """Return all lineages whose present state has not been shown, since nothing more will come."""
        return self._take([each for each in self._lineages.values() if not each.shown])

    def _take(self, ready: list[Lineage]) -> list[Lineage]:
        for each in ready:
            each.shown = True
        return sorted(ready, key=lambda each: each.first.at)


def _inherited(lineage: Lineage, record: StepRecord) -> RequestTrace | None:
    """Return what inherited from a request that was never on this node, and was answered (G10)."""
    above = lineage.messages.get(record.parent or "") if record.step == "answered" else None
    return above if above is not None and above.sent.inherits and not above.sent.expects else None


def _enter(lineage: Lineage, record: StepRecord) -> RequestTrace | None:
    """Add a message that is new here; its first record need not be that it was sent."""
    if len(lineage.messages) >= MAX_MESSAGES:
        return None
    message = RequestTrace(record)
    lineage.messages[record.id] = message
    above = lineage.messages.get(record.parent) if record.parent is not None else None
    (lineage.roots if above is None else above.children).append(message)
    return message
