"""Journals of simulations as files: a header, a line for each event, an end.

    nectar-journal 1 {"scenario": …, "seed": …, "nodes": […], "options": {…}, "schedule": […], "level": …}
    0.012345678 send.nec dials recv.nec
    end {"digest": …, "events": …, "seconds": …, "result": …, "text": …}

This module defines the form of these lines; readers interpret the words of an event.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from blake3 import blake3

from nectar_node.base.decoding import BadShape, decode_untrusted
from nectar_node.base.errors import BadInput

T = TypeVar("T")

MAGIC = "nectar-journal"
VERSION = "1"
OF_A_TEST = "pytest"
"""Stands in place of a scenario's name in the journal of a user's own test; see `testnet.testing`."""
OF_CHAOS = "chaos"
"""Stands in place of a scenario's name in the journal of `nectar testnet chaos`; see `testnet.chaos`."""
RECORDED = "recordings"
"""Stands in place of a scenario's name in what real nodes have recorded (`testnet.real.recorded`)."""
MAX_BYTES = 256 << 20
"""The largest journal that is read."""
MAX_LINE_BYTES = 1 << 20
NOBODY = "-"
"""Stands in place of a node's name for what happens to the whole network."""

_EVENT = re.compile(r"([0-9]{1,12}\.[0-9]{9}) (\S{1,253}) (\S.*)")


class BadJournal(BadInput):
    """The file is not a journal that can be read; the message says why, and where."""


@dataclass(frozen=True, slots=True)
class Header:
    """The plan of the run."""

    scenario: str
    seed: int
    nodes: tuple[str, ...]
    options: dict[str, Any]
    schedule: tuple[dict[str, Any], ...]
    """The faults: each with its `kind`, the times `at` and `until`, and its parameters."""
    level: str = "simulation"
    """Where it was played: a value of `testnet.model.lab.Level`."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a journal."""

    line: int
    """The line number in the file, from 1."""
    at: float
    """Seconds of virtual time."""
    node: str
    """The node, or NOBODY."""
    text: str
    """What happened; the first word tells the kind of event."""

    def words(self) -> str:
        """Return the line itself."""
        return f"{self.at:.9f} {self.node} {self.text}"


@dataclass(frozen=True, slots=True)
class JournalEnd:
    """The result of the run."""

    digest: str
    """BLAKE3 over all lines of events, in hex."""
    events: int
    seconds: float
    """Seconds of virtual time."""
    result: str
    """passed, violated, deadline or broken."""
    text: str
    """What was violated, or what is missing at the deadline."""


@dataclass(frozen=True, slots=True)
class Journal:
    """A whole journal."""

    header: Header
    events: tuple[Event, ...]
    end: JournalEnd


def line_of(at: float, node: str, what: str) -> str:
    """Return the line of an event."""
    if not what.isprintable():
        what = what.encode("unicode_escape").decode()  # a guest may print line breaks
    return f"{at:.9f} {node} {what}"


def digest(lines: Iterable[str]) -> str:
    """Return one hash of all lines of events."""
    return blake3("\n".join(lines).encode()).hexdigest()


def time_of(line: str) -> float:
    """Return the time of an event's line."""
    return float(line.partition(" ")[0])


def write_journal(path: Path, plan: Mapping[str, object], events: Iterable[str], end: JournalEnd) -> None:
    """Write a whole file; `plan` is what Header reads, and `events` are the lines. Raises OSError."""
    lines = (f"{MAGIC} {VERSION} {json.dumps(plan)}", *events, f"end {json.dumps(asdict(end))}", "")
    path.write_text("\n".join(lines), encoding="utf-8")


def read_journal_untrusted(path: Path) -> Journal:
    """Read the journal in a file of at most MAX_BYTES; raises BadJournal."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadJournal(f"{path} cannot be read: {error.strerror}.") from None
    if len(data) > MAX_BYTES:
        raise BadJournal(f"{path} is larger than {MAX_BYTES >> 20} MiB, the most that is read of a journal.")
    try:
        return parse_journal_untrusted(data)
    except BadJournal as error:
        raise BadJournal(f"{path}{error}") from None


def parse_journal_untrusted(data: bytes) -> Journal:
    """Parse a journal; raises BadJournal, whose message is to follow the name of the file."""
    _check_magic(data)
    lines = data.split(b"\n")
    if lines[-1] != b"" or not lines[-2].startswith(b"end "):
        raise BadJournal(" is cut off: its last line is not that of a whole journal. Run the simulation again.")
    header = _converted(1, _text(1, lines[0]).split(" ", 2)[2], Header)
    events = tuple(_events(lines[1:-2]))
    last = len(lines) - 1
    end = _converted(last, _text(last, lines[-2])[len("end ") :], JournalEnd)
    if end.events != len(events):
        raise BadJournal(f" has {len(events)} events, and {end.events} according to its end: it has been changed.")
    return Journal(header, events, end)


def _check_magic(data: bytes) -> None:
    words = data[:1000].split(b"\n", 1)[0].split(b" ", 2)
    if words[0] != MAGIC.encode() or len(words) < 3:
        raise BadJournal(f" is not a journal of a simulation: it does not begin with {MAGIC!r}.")
    version = words[1][:20].decode("ascii", "backslashreplace")
    if version != VERSION:
        raise BadJournal(
            f" is a journal of version {version}, and this reads version {VERSION}: "
            "read it with the project that wrote it."
        )


def _events(lines: list[bytes]) -> Iterator[Event]:
    before = 0.0
    for number, line in enumerate(lines, 2):
        match = _EVENT.fullmatch(_text(number, line))
        if match is None:
            raise _bad(number, "expected a time with nine decimals, a node and what happened")
        event = Event(number, float(match[1]), match[2], match[3])
        if event.at < before:
            raise _bad(number, "its time is before that of the line above")
        before = event.at
        yield event


def _text(number: int, line: bytes) -> str:
    if len(line) > MAX_LINE_BYTES:
        raise _bad(number, f"it is longer than {MAX_LINE_BYTES} bytes")
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise _bad(number, "it is not UTF-8") from None


def _converted(number: int, text: str, type: type[T]) -> T:
    try:
        return decode_untrusted(text, type)
    except BadShape as error:
        raise _bad(number, str(error)) from None


def _bad(number: int, why: str) -> BadJournal:
    return BadJournal(f", line {number}: {why}.")
