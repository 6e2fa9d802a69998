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
import math
import os
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from kernel.contract.address import Address, ProcessId
from kernel.contract.errors import BadAddress
from kernel.contract.json_text import parse_untrusted
from kernel.router.trace import TraceRecord, TraceStep
from nectar_node.base import own_files
from nectar_node.base.errors import BadFolder

if TYPE_CHECKING:  # a reader of traces needs no kernel
    from kernel.router.kernel import Kernel

MAX_LINE_BYTES = 2 << 20
"""Bytes of a line: a process may wait for `kernel.contract.limits.MAX_OUTSTANDING` outcomes, each id up to twenty
digits.
"""
_MAX_INTEGER = 1 << 64
_CLOCK_LOOKS = 10
"""Looks at both clocks, of which the quickest counts: a message between processes takes some twenty microseconds, so
the clocks must agree better.
"""


class BadTrace(BadFolder):
    """A line of a trace cannot be read; the message says why."""


class Boots(NamedTuple):
    """A node begins."""

    node: str


class Runs(NamedTuple):
    """A process of a node that ends."""

    process: ProcessId
    started_at: float
    outstanding: Set[int]
    """The ids of the requests whose outcome it waits for."""


class Ends(NamedTuple):
    """A node ends in order."""

    abroad: int
    """Messages that its kernel has given to its net, and whose outcome it does not know."""
    on_their_way: int
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
    _unwritten: list[bytes] = field(default_factory=list)

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
        self._unwritten.append(_encode({"ends": standing.end._asdict()}))
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


def decode_line_untrusted(line: bytes) -> Line:
    """Return what a line of at most MAX_LINE_BYTES says; raises BadTrace."""
    if len(line) > MAX_LINE_BYTES:
        raise BadTrace(f"A line of a trace is longer than {MAX_LINE_BYTES} bytes.")
    try:
        return _decode(parse_untrusted(line.decode()))
    except (ValueError, BadAddress) as error:
        shown = line[:80].decode(errors="replace")
        raise BadTrace(f"A line of a trace cannot be read ({error}): {shown!r}") from error


def _decode(value: Any) -> Line:
    match value:
        case {"at": at, "step": str()}:
            return decode_step_untrusted(value, _time(at))
        case {"boots": str(node)}:
            return Boots(node)
        case {"process": str(process), "started": started, "outstanding": [*ids]}:
            return Runs(ProcessId.parse(process), _time(started), frozenset(map(_number, ids)))
        case {"ends": {"abroad": abroad, "on_their_way": on_their_way}}:
            return Ends(_number(abroad), _number(on_their_way))
    raise ValueError("it is not one of those that a trace has")


def decode_step_untrusted(value: Any, at: float) -> TraceRecord:
    """Return what `record_text` has written of a step at that time; raises ValueError and BadAddress."""
    match value:
        case {
            "step": step,
            "source": str(source),
            "target": str(target),
            "claimed": bool(claimed),
            "expects": bool(expects),
            "inherits": bool(inherits),
            "reason": str() | None as reason,
            "beginning": str(beginning),
        } if {"id", "parent", "root", "body", "blob"} <= value.keys():
            return TraceRecord(
                at=at,
                step=TraceStep(step),
                id=_number(value["id"]),
                parent=_number_or_none(value["parent"]),
                root=_number(value["root"]),
                inherits=inherits,
                expects=expects,
                source=_parse_address(source),
                target=_parse_address(target),
                claimed=claimed,
                body_bytes=_number(value["body"]),
                blob_bytes=_number_or_none(value["blob"]),
                reason=reason,
                beginning=beginning.encode(errors="replace"),
            )
    raise ValueError("it is not a whole step of a message")


_parse_address = lru_cache(4096)(Address.parse)
"""Return an address from its text, cached: there are few addresses in many records."""


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _MAX_INTEGER:
        raise ValueError("one of its numbers is not below 2^64")
    return value


def _number_or_none(value: Any) -> int | None:
    return None if value is None else _number(value)


def _time(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise ValueError("one of its times is not a number")
    return float(value)
