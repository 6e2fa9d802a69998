"""A node's trace as a file: every step of every message, for a lab that watches real nodes.

    {"boots": "a.nec"}
    {"at": 812.25, "step": "sent", "id": 7, …}
    {"process": "hello:hello:sys", "started": 811.5, "outstanding": [7]}
    {"ends": {"abroad": 1, "on_their_way": 1}}

Each line is JSON. A boot begins with its node's name, after an empty line, because a crash may have cut off the line
before. A boot that ends in order lists at its end which processes run, what they wait for, and what its kernel has
given to its net. Times are those of CLOCK_MONOTONIC, which all processes of a machine share.

The records of a node's turn are written at once, before anything that results from them is sent: the trace of a node
that was killed has everything that others have seen of it. The file may be a named pipe, which no limit on files stops.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from dataclasses import field as attribute
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeAlias

from msgspec import Meta, Struct, field
from msgspec.structs import asdict

from kernel.contract.address import Address, ProcessId
from kernel.contract.errors import BadAddress
from kernel.router.trace import TraceRecord, TraceStep
from nectar_node.base import own_files
from nectar_node.base.decoding import decode_untrusted
from nectar_node.base.errors import BadFolder

if TYPE_CHECKING:  # a reader of traces needs no kernel
    from kernel.router.kernel import Kernel

MAX_LINE_BYTES = 2 << 20
"""Bytes of a line: a process may wait for `kernel.contract.limits.MAX_OUTSTANDING` outcomes, each id up to twenty
digits.
"""
_CLOCK_LOOKS = 10
"""Looks at both clocks, of which the quickest counts: a message between processes takes some twenty microseconds, so
the clocks must agree better.
"""


Count = Annotated[int, Meta(ge=0)]
_Seconds = Annotated[float, Meta(ge=0)]


class BadTrace(BadFolder):
    """A line of a trace cannot be read; the message says why."""


class Boots(Struct, frozen=True):
    """A node begins."""

    node: str = field(name="boots")


class Runs(NamedTuple):
    """A process that still runs when its node ends."""

    process: ProcessId
    started_at: float
    outstanding: Set[int]
    """The ids of the requests whose outcome it waits for."""


class Ends(Struct, frozen=True):
    """A node ends in order."""

    abroad: Count
    """Messages that its kernel has given to its net, and whose outcome it does not know."""
    on_their_way: Count
    """Messages that its net is to bring to other nodes."""


Line: TypeAlias = Boots | TraceRecord | Runs | Ends


@dataclass(frozen=True, slots=True)
class Standing:
    """What a node has not finished."""

    our: str
    processes: Mapping[ProcessId, Runs]
    end: Ends


def standing(kernel: Kernel, on_their_way: int) -> Standing:
    """Return what a running node has not finished; `on_their_way` is that of `Ends`."""
    processes = {id: Runs(id, each.started_at, frozenset(each.outstanding)) for id, each in kernel.processes.items()}
    return Standing(kernel.our, processes, Ends(kernel.statistics()["abroad"], on_their_way))


# --- writing --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class TraceFile:
    """A trace of one boot that is being written."""

    _descriptor: int
    _lead: float
    """Seconds that CLOCK_MONOTONIC is ahead of the times of the records."""
    _unwritten: list[bytes] = attribute(default_factory=list)

    @staticmethod
    def open(path: Path, our: str, clock: Callable[[], float]) -> TraceFile:
        """Append to the file, which is made if it does not exist; `clock` is that of the records. Raises BadFolder."""
        try:
            # Without waiting: a pipe that nobody reads is an error, not a reason to wait for ever.
            descriptor = own_files.open_file(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, pipe=True)
        except OSError as error:
            why = "nobody reads that pipe; remove it" if error.errno == errno.ENXIO else error.strerror
            raise BadFolder(f"The trace cannot be written to {path}: {why}.") from error
        os.set_blocking(descriptor, True)
        return TraceFile(descriptor, _lead_of_monotonic(clock), [b"", _encode({"boots": our})])

    def add(self, record: TraceRecord) -> None:
        """Add a record to what is written next."""
        self._unwritten.append(f'{{"at":{record.at + self._lead!r},{record_text(record)[1:]}'.encode())

    def write(self) -> None:
        """Write what was added, all at once; raises OSError, after which the trace is useless."""
        if self._unwritten:
            self._unwritten.append(b"")
            data = memoryview(b"\n".join(self._unwritten))
            self._unwritten.clear()
            while data:
                data = data[os.write(self._descriptor, data) :]

    def end(self, standing: Standing) -> None:
        """Write that the node ends in order, and what it has not finished; nothing is added after this. Raises
        OSError.
        """
        for id, started_at, outstanding in standing.processes.values():
            value = {"process": str(id), "started": started_at + self._lead, "outstanding": sorted(outstanding)}
            self._unwritten.append(_encode(value))
        self._unwritten.append(_encode({"ends": asdict(standing.end)}))
        self.write()

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _lead_of_monotonic(clock: Callable[[], float]) -> float:
    """Return how many seconds CLOCK_MONOTONIC is ahead of `clock`, by the quickest of several looks at both."""
    looks = [(time.monotonic(), clock(), time.monotonic()) for _ in range(_CLOCK_LOOKS)]
    before, other, after = min(looks, key=lambda look: look[2] - look[0])
    return (before + after) / 2 - other


def record_text(record: TraceRecord) -> str:
    """Return a step of a message, without its time, as JSON in ASCII without spaces.

    A trace has one for every step of every message, and a general encoder takes five times as long.
    """
    _, step, id, parent, root, inherits, expects, source, target, claimed, body, blob, reason, beginning = record
    return (
        f'{{"step":"{step.value}","id":{id},"parent":{_NULL if parent is None else parent},"root":{root},'
        f'"source":{_address_text(source)},"target":{_address_text(target)},"claimed":{_BOOLEANS[claimed]},'
        f'"expects":{_BOOLEANS[expects]},"inherits":{_BOOLEANS[inherits]},"body":{body},'
        f'"blob":{_NULL if blob is None else blob},"reason":{_NULL if reason is None else _string_text(reason)},'
        f'"beginning":{_string_text(beginning.decode(errors="replace"))}}}'
    )


_NULL = "null"
_BOOLEANS = {False: "false", True: "true"}
_string_text = json.encoder.encode_basestring_ascii


@lru_cache(4096)
def _address_text(address: Address) -> str:
    """Return an address as text, cached: there are few addresses in many records."""
    return _string_text(str(address))


def _encode(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


# --- reading --------------------------------------------------------------------------------------------------------


class MessageStep(Struct, frozen=True):
    """What `record_text` writes: a step of a message, with the meanings of `TraceRecord`."""

    step: TraceStep
    id: Count
    parent: Count | None
    root: Count
    source: str
    target: str
    claimed: bool
    expects: bool
    inherits: bool
    body: Count
    """Bytes."""
    blob: Count | None
    """Bytes; None: there is no blob."""
    reason: str | None
    beginning: str


class _Timed(MessageStep, frozen=True):
    at: _Seconds


class _Runs(Struct, frozen=True):
    process: str
    started: _Seconds
    outstanding: frozenset[Count]


class _Ends(Struct, frozen=True):
    ends: Ends


_KINDS: dict[bytes, type[_Timed | Boots | _Runs | _Ends]] = {
    b"at": _Timed,
    b"boots": Boots,
    b"process": _Runs,
    b"ends": _Ends,
}
"""By a line's first key."""


def decode_line_untrusted(line: bytes) -> Line:
    """Return what a line of at most MAX_LINE_BYTES says; raises BadTrace."""
    if len(line) > MAX_LINE_BYTES:
        raise BadTrace(f"A line of a trace is longer than {MAX_LINE_BYTES} bytes.")
    try:
        kind = _KINDS.get(line[:20].split(b'"', 2)[1]) if line.startswith(b'{"') else None
        if kind is None:
            raise ValueError("it is not one of those that a trace has")
        return _line(decode_untrusted(line, kind))
    except (ValueError, BadAddress) as error:
        shown = line[:80].decode(errors="replace")
        raise BadTrace(f"A line of a trace cannot be read ({error}): {shown!r}") from error


def _line(it: _Timed | Boots | _Runs | _Ends) -> Line:
    match it:
        case Boots():
            return it
        case _Runs():
            return Runs(ProcessId.parse(it.process), it.started, it.outstanding)
        case _Ends():
            return it.ends
    before, sizes = (it.id, it.parent, it.root, it.inherits, it.expects), (it.body, it.blob)
    source, target, beginning = _parse_address(it.source), _parse_address(it.target), it.beginning.encode()
    return TraceRecord(it.at, it.step, *before, source, target, it.claimed, *sizes, it.reason, beginning)


_parse_address = lru_cache(4096)(Address.parse)
"""Return an address from its text, cached: there are few addresses in many records."""
