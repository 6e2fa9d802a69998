"""Messages that reached nobody (G16), and processes that have trapped, for people to look at: the latest of them, and
how many there have ever been.

Anybody can cause these, other nodes too, so what is kept of each is bounded: the beginnings of bodies are enough.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace
from typing import NamedTuple

from kernel.contract.events import DeadLetter, Trapped
from kernel.contract.guest import Arrival, Failure
from kernel.contract.limits import MAX_DEAD_LETTER_BODY, MAX_DEAD_LETTERS
from kernel.contract.message import Reason, Request, Response, marked
from kernel.router.trace import BEGINNING_BYTES
from nectar_node.contract.actions import LogLine
from nectar_node.system.state import Saved

_ORDINARY = (Reason.NOT_AWAITED, Reason.EXPIRED)
"""Failures that are logged at a higher verbosity: a late answer is common, while somebody may look for a message that
reached nobody.
"""


MAX_DETAILED = 100
"""Crashes of which is remembered where they were; each may have ten kilobytes."""


class CrashReport(NamedTuple):
    """A crash, and what its process had saved."""

    crash: Trapped
    saved: Saved | None
    """None: nothing."""


class DeadLetters:
    """The latest dead letters and crashes, bounded in number and size, and a count of all."""

    def __init__(self) -> None:
        self.entries: deque[DeadLetter | CrashReport] = deque(maxlen=MAX_DEAD_LETTERS)
        """The latest of both, without blobs, metadata and capabilities; read-only."""
        self.count = 0
        """How many there have ever been."""
        self.by_reason: Counter[Reason] = Counter()
        """How many dead letters there have ever been for each reason; the rest of `count` are crashes."""
        self._detailed: deque[int] = deque()
        """The numbers of the crashes that are remembered with all details, from 1."""

    @property
    def latest(self) -> list[DeadLetter]:
        """The latest dead letters."""
        return [each for each in self.entries if isinstance(each, DeadLetter)]

    def add(self, letter: DeadLetter) -> LogLine:
        """Keep a letter. Return the line for the log."""
        envelope = letter.envelope
        message = envelope.message
        self.count += 1
        self.by_reason[letter.reason] += 1
        self.entries.append(replace(letter, envelope=envelope._replace(message=_short(message), blob=None)))
        kind = "request" if isinstance(message, Request) else "response"
        verbosity = 2 if letter.reason in _ORDINARY else 1
        source = marked(envelope.source, claim=envelope.claimed)
        return LogLine("kernel", verbosity, f"{kind} from {source} to {envelope.target}: {letter.reason.value}")

    def add_crash(self, crash: Trapped, saved: Saved | None) -> None:
        """Keep a crash; the log has it already."""
        handled: Arrival | Failure | None = crash.handled
        if isinstance(handled, Arrival):
            handled = Arrival(handled.source, _short(handled.message), None, None)
        elif isinstance(handled, Failure):
            error = handled.error
            handled = Failure(error._replace(message=_short(error.message), blob=None), None)
        lineage = tuple(each._replace(body=each.body[:BEGINNING_BYTES]) for each in crash.lineage)
        self.count += 1
        self.entries.append(CrashReport(replace(crash, handled=handled, lineage=lineage), saved))

        self._detailed.append(self.count)
        if len(self._detailed) > MAX_DETAILED:
            self._shorten(self._detailed.popleft())

    def _shorten(self, number: int) -> None:
        """Forget where a crash was, if it is remembered: there have been many since."""
        index = number - 1 - (self.count - len(self.entries))
        report = self.entries[index] if index >= 0 else None
        if isinstance(report, CrashReport):
            end = report.crash.end._replace(frames=(), said=())
            self.entries[index] = report._replace(crash=replace(report.crash, end=end, lineage=()))


def _short(message: Request | Response) -> Request | Response:
    return message._replace(body=message.body[:MAX_DEAD_LETTER_BODY], metadata=None, capabilities=())
