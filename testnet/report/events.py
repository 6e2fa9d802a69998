"""The meaning of the events of a journal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from msgspec import Struct

from nectar_node.base.decoding import decode_untrusted
from nectar_node.driver.trace_file import MessageStep
from testnet.journal.journal import BadJournal, Event

LIFE = frozenset({"boots", "crashes", "pauses", "resumes", "leaves", "restarts"})
"""Words of events in the life of a node."""
_NOTES = frozenset({"log", "printed", "disk", "note"})


class FaultBegins(Struct, frozen=True, tag_field="state", tag="begins"):
    """A fault holds from now on."""

    number: int
    words: str
    nodes: tuple[str, ...]
    """Which it touches; none: all."""


class FaultEnds(Struct, frozen=True, tag_field="state", tag="ends"):
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


class OperationSeen(Struct, frozen=True):
    """An operation of a client, as it was recorded in a history."""

    history: str
    """The name of the history."""
    number: int
    """Its number there."""
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


M = TypeVar("M")

Meaning: TypeAlias = MessageStep | FaultBegins | FaultEnds | BytesSent | Note | OperationSeen | ViolationSeen


def meaning(event: Event) -> Meaning:
    """Return the meaning of an event; raises BadJournal for known words that do not continue as they should."""
    word, _, rest = event.text.partition(" ")
    match word:
        case "message":
            return _decoded(event, rest, MessageStep)
        case "fault":
            return _decoded(event, rest, FaultBegins | FaultEnds)
        case "sends":
            return _bytes(event, rest)
        case "dials":
            return BytesSent(rest, None, "")
        case "operation":
            return _decoded(event, rest, OperationSeen)
        case "violation":
            return ViolationSeen(rest)
        case _ if word in LIFE:
            return Note("life", event.text)
        case _ if word in _NOTES:
            return Note(word, rest)
        case _:
            return Note("other", event.text)


def _decoded(event: Event, text: str, type: type[M] | Any) -> M:
    try:
        decoded: M = decode_untrusted(text, type)
    except ValueError as error:
        raise _bad(event, str(error)) from None
    return decoded


def _bytes(event: Event, text: str) -> BytesSent:
    match text.split(" "):
        case [size, hash, "to", target] if size.isdecimal() and len(size) < 16:
            return BytesSent(target, int(size), hash)
        case _:
            raise _bad(event, "expected how many bytes are sent, their hash and to whom")


def _bad(event: Event, why: str) -> BadJournal:
    return BadJournal(f"The journal's line {event.line} cannot be read: {why}.")
