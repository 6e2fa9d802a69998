"""Messages that reached nobody, for people to look at (G16): the latest of them, and how many there have ever been.

Anybody can cause these, other nodes too, so what is kept of each is bounded: the beginning of its body is enough.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from kernel.contract.events import DeadLetter
from kernel.contract.limits import MAX_DEAD_LETTER_BODY, MAX_DEAD_LETTERS
from kernel.contract.message import Reason, Request, marked
from nectar_node.contract.actions import LogLine

_ORDINARY = (Reason.NOT_AWAITED, Reason.EXPIRED)
"""Failures that are logged at a higher verbosity: a late answer is common, while somebody may look for a message that
reached nobody.
"""


class DeadLetters:
    """The latest dead letters, bounded in number and size, and a count of all."""

    def __init__(self) -> None:
        self.latest: deque[DeadLetter] = deque(maxlen=MAX_DEAD_LETTERS)
        """The latest letters, without blobs, metadata and capabilities; read-only."""
        self.count = 0
        """How many there have ever been."""

    def add(self, letter: DeadLetter) -> LogLine:
        """Keep a letter. Return the line for the log."""
        envelope = letter.envelope
        message = envelope.message
        short = message._replace(body=message.body[:MAX_DEAD_LETTER_BODY], metadata=None, capabilities=())
        self.count += 1
        self.latest.append(replace(letter, envelope=envelope._replace(message=short, blob=None)))
        kind = "request" if isinstance(message, Request) else "response"
        verbosity = 2 if letter.reason in _ORDINARY else 1
        source = marked(envelope.source, claim=envelope.claimed)
        return LogLine("kernel", verbosity, f"{kind} from {source} to {envelope.target}: {letter.reason.value}")
