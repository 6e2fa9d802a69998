"""The meaning of the events of a journal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from kernel.contract.errors import BadAddress
from kernel.contract.json_text import parse_untrusted
from kernel.router.trace import TraceRecord
from nectar_node.driver.trace_file import decode_step_untrusted
from testnet.journal.journal import BadJournal, Event

LIFE = frozenset({"boots", "crashes", "pauses", "resumes", "leaves", "restarts"})
"""Words of events in the life of a node."""
_NOTES = frozenset({"log", "printed", "disk", "note"})


@dataclass(frozen=True, slots=True)
class FaultBegins:
    """A fault holds from now on."""

    number: int
    words: str
    nodes: tuple[str, ...]
    """Which it touches; none: all."""


@dataclass(frozen=True, slots=True)
class FaultEnds:
    """A fault ends."""

    number: int


@dataclass(frozen=True, slots=True)
class BytesSent:
    """A node puts bytes on a link, or dials."""

    target: str
    size: int | None
    """The number of bytes, or None for a dial."""
    hash: str


@dataclass(frozen=True, slots=True)
class Note:
    """Anything else that happens."""

    kind: str
    """log, printed, disk, note (by the scenario), life or other."""
    text: str


@dataclass(frozen=True, slots=True)
class ViolationSeen:
    """A promise was broken."""

    text: str


Meaning: TypeAlias = TraceRecord | FaultBegins | FaultEnds | BytesSent | Note | ViolationSeen


def meaning(event: Event) -> Meaning:
    """Return the meaning of an event; raises BadJournal for known words that do not continue as they should."""
    word, _, rest = event.text.partition(" ")
    match word:
        case "message":
            return _step(event, _values(event, rest))
        case "fault":
            return _fault(event, _values(event, rest))
        case "sends":
            return _bytes(event, rest)
        case "dials":
            return BytesSent(rest, None, "")
        case "violation":
            return ViolationSeen(rest)
        case _ if word in LIFE:
            return Note("life", event.text)
        case _ if word in _NOTES:
            return Note(word, rest)
        case _:
            return Note("other", event.text)


def _values(event: Event, text: str) -> Any:
    try:
        return parse_untrusted(text)
    except ValueError:
        raise _bad(event, "its JSON is broken") from None


def _step(event: Event, value: Any) -> TraceRecord:
    try:
        return decode_step_untrusted(value, event.at)
    except (ValueError, BadAddress):
        raise _bad(event, "it is not a step of a message") from None


def _fault(event: Event, value: Any) -> FaultBegins | FaultEnds:
    match value:
        case {"number": int(number), "state": "ends"}:
            return FaultEnds(number)
        case {"number": int(number), "state": "begins", "words": str(words), "nodes": [*nodes]} if all(
            isinstance(each, str) for each in nodes
        ):
            return FaultBegins(number, words, tuple(nodes))
        case _:
            raise _bad(event, "it is neither the beginning nor the end of a fault")


def _bytes(event: Event, text: str) -> BytesSent:
    match text.split(" "):
        case [size, hash, "to", target] if size.isdecimal() and len(size) < 16:
            return BytesSent(target, int(size), hash)
        case _:
            raise _bad(event, "expected how many bytes are sent, their hash and to whom")


def _bad(event: Event, why: str) -> BadJournal:
    return BadJournal(f"The journal's line {event.line} cannot be read: {why}.")
