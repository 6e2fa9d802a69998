"""Checks the invariants in the traces of real nodes, after these have ended, with the same `Watch` as in simulations.

The nodes of a network run on one machine and share its clock. So their records are put in the order of their times: a
message is sent before it arrives, whichever node was the first to write its line.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, TypeAlias

from kernel.contract.address import ProcessId
from kernel.router.trace import TraceRecord
from nectar_node.driver.trace_file import (
    MAX_LINE_BYTES,
    BadTrace,
    Boots,
    Ends,
    Line,
    Runs,
    Standing,
    decode_line_untrusted,
)
from testnet.journal.entries import message
from testnet.journal.journal import NOBODY
from testnet.model.invariants import Violation, Watch
from testnet.real.traces import TracePipes

TURN_SECONDS = 0.01
"""The longest turn of a kernel. All that a kernel does in one turn has one time for it, but times of its own in its
trace: the start of a process may be recorded up to this much later than its predecessor's last request."""


class Killed(NamedTuple):
    """A node has ended without a record of it, or has not ended yet."""

    last: bool
    """Whether it has not booted again."""


What: TypeAlias = TraceRecord | Standing | Killed


class Seen(NamedTuple):
    """A record of a trace."""

    at: float
    """Seconds since the network began."""
    host: str
    life: str
    """The host, and how often it has booted before."""
    what: What


@dataclass(slots=True)
class TraceCheck:
    """The result of checking the traces of a network."""

    watch: Watch = field(default_factory=Watch)
    with_journal: bool = True
    journal: list[str] = field(default_factory=list)
    """A line for each step of a message, as in a simulation, and one for the first violation, if wanted."""
    steps: int = 0
    """Steps of messages."""
    problem: str = ""
    """Why the traces cannot be checked, in a sentence."""

    def see(self, seen: Seen) -> None:
        """Check the next record; after the first violation, only write it down."""
        if isinstance(seen.what, TraceRecord):
            self.steps += 1
            self._note(seen.at, seen.host, seen.what)
        if self.watch.found is None:
            try:
                self._watch(seen.life, seen.what)
            except Violation as violation:
                self._note(seen.at, NOBODY, violation)

    def _note(self, at: float, host: str, what: TraceRecord | Violation) -> None:
        if self.with_journal:
            text = message(what) if isinstance(what, TraceRecord) else f"violation {what}"
            self.journal.append(f"{at:.9f} {host} {text}")

    def _watch(self, life: str, what: What) -> None:
        if isinstance(what, TraceRecord):
            self.watch.see(life, what)
        elif isinstance(what, Standing):
            self.watch.finish(life, what)
        else:
            self.watch.forget(life)


def check_traces(
    traces: TracePipes, running: Callable[[str], bool] = lambda host: False, *, with_journal: bool = True
) -> TraceCheck:
    """Check what the traces tell until now; `running` says whether the node on a host runs.

    A node writes what it has done before it sends the effects. So of all that happened before now, what a node has not
    written yet, no other has seen; later records are left out.
    """
    check, until = TraceCheck(with_journal=with_journal), time.monotonic() - traces.began
    traces.catch_up()
    check.problem = traces.problem
    if check.problem:
        return check
    try:
        for seen in merge_untrusted(traces.files, traces.began):
            if seen.at > until or (isinstance(seen.what, Killed) and seen.what.last and running(seen.host)):
                continue
            check.see(seen)
    except BadTrace as error:
        check.problem = str(error)
    return check


def merge_untrusted(files: Mapping[str, Path], began: float) -> Iterator[Seen]:
    """Yield the records of all traces, by host, in the order of time, counted from `began`; raises BadTrace."""
    each = (read_trace_untrusted(host, file, began) for host, file in files.items())
    return heapq.merge(*each, key=attrgetter("at"))


def read_trace_untrusted(host: str, file: Path, began: float) -> Iterator[Seen]:
    """Yield what the nodes on one host have written, from boot to boot; raises BadTrace."""
    life = _Life(host, began)
    try:
        for line in _lines_untrusted(file):
            yield from life.take(line)
    except (BadTrace, OSError) as error:
        raise BadTrace(f"The trace of {host} cannot be used: {error}") from error
    yield from life.over(last=True)


def _lines_untrusted(file: Path) -> Iterator[Line]:
    """Yield the lines without those that a crash cut off: after such a line comes a boot, or nothing."""
    text, bad = b"", None
    with file.open("rb") as lines:
        for text in iter(partial(lines.readline, MAX_LINE_BYTES + 2), b""):
            if text == b"\n":
                continue
            line = _line_or_error(text.removesuffix(b"\n"))
            if bad is not None and not isinstance(line, Boots):
                raise bad
            bad = line if isinstance(line, BadTrace) else None
            if not isinstance(line, BadTrace):
                yield line
    if bad is not None and text.endswith(b"\n"):
        raise bad


def _line_or_error(text: bytes) -> Line | BadTrace:
    try:
        return decode_line_untrusted(text)
    except BadTrace as error:
        return error


class _Life:
    """The boots of one host, one after the other."""

    def __init__(self, host: str, began: float) -> None:
        self._host = host
        self._began = began
        self._boots = 0
        self._our: str | None = None
        """The name of the node that runs; None: none does."""
        self._runs: dict[ProcessId, Runs] = {}
        self._at = 0.0

    def take(self, line: Line) -> Iterator[Seen]:
        """Take the next line."""
        if isinstance(line, Boots):
            yield from self.over(last=False)
            self._our, self._boots, self._runs = line.node, self._boots + 1, {}
        elif self._our is None:
            raise BadTrace("something happens before a node boots, or after it has ended.")
        elif isinstance(line, TraceRecord):
            record = line._replace(at=line.at - self._began)
            if record.at < self._at:
                raise BadTrace(f"at {line.at} it goes back in time, or is older than the network.")
            self._at = record.at
            yield self._seen(record)
        elif isinstance(line, Runs):
            self._runs[line.process] = line._replace(started_at=line.started_at + TURN_SECONDS - self._began)
        else:
            yield self._seen(self._standing(self._our, line))
            self._our = None

    def over(self, *, last: bool) -> Iterator[Seen]:
        """End the node's boot: nothing more comes of it."""
        if self._our is not None:
            yield self._seen(Killed(last))

    def _standing(self, our: str, end: Ends) -> Standing:
        return Standing(our, self._runs, end)

    def _seen(self, what: What) -> Seen:
        return Seen(self._at, self._host, f"{self._host}/{self._boots - 1}", what)
