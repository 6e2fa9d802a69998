"""What must hold whatever fails, watched in the traces of all kernels of a network, at every step.

- G5: a request that expects a response ends exactly once.
- G4: what one process sends another arrives in the order in which it was sent, and once.
- G3: the node that a message is said to come from has sent it, with as many bytes and as large a blob.
- G24: what is acknowledged was taken; what a kernel gave its net is on its way until the net says what became of it.

That what was transferred is whole, that what was acknowledged survives (G27), and that the network heals, is for the
scenarios to say, at every level: see `testnet.scenarios`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain, count
from typing import NamedTuple

from kernel.contract.address import Address, ProcessId
from kernel.contract.message import Envelope
from kernel.contract.process import Parked
from kernel.router.kernel import Kernel
from kernel.router.lifecycle import RESERVED
from kernel.router.trace import TraceRecord, TraceStep
from nectar_node.driver.trace_file import Standing
from testnet.model.hostile_names import is_hostile

MAX_OUTSTANDING_SHOWN = 5
_NAMES = {TraceStep.ANSWERED: "was answered", TraceStep.FAILED: "failed"}


class Violation(Exception):
    """Something does not hold that must; the text says what, and where."""


@dataclass(slots=True)
class _Life:
    """One boot of one host, as its kernel's trace tells it."""

    node: str
    waiting: dict[int, TraceRecord] = field(default_factory=dict)
    """Requests of its own that must end, by id."""
    ended: dict[int, str] = field(default_factory=dict)
    """How those that ended did, by id."""


class _Sent(NamedTuple):
    """A request to another node, as it left."""

    number: int
    """The how manieth it was on its way."""
    body_bytes: int
    blob_bytes: int | None
    """None: there is no blob."""


@dataclass(slots=True)
class _Way:
    """Messages from one process to another on another node."""

    order: dict[int, _Sent] = field(default_factory=dict)
    """By id: what was sent."""
    latest: int = -1
    """Of those that have arrived."""
    arrived: dict[int, int] = field(default_factory=dict)
    """By id: the how manieth it was of all that have arrived anywhere."""


class Watch:
    """Takes every record of every node; raises Violation at the first that cannot be."""

    def __init__(self, kernel: Callable[[str], Kernel | None] = lambda _: None) -> None:
        """`kernel` gives that of a node, if it runs."""
        self._kernel = kernel
        self._lives: dict[str, _Life] = {}
        """By host and number of the boot, as `SimNode.life`."""
        self._ways: defaultdict[tuple[str, ProcessId, Address], _Way] = defaultdict(_Way)
        self._arrivals = count()
        self.found: Violation | None = None
        """The first; whoever had `see` called may have gone on after it."""

    def see(self, life: str, record: TraceRecord) -> None:
        """A step of a message on a node, in one of its lives."""
        try:
            self._see(life, record)
        except Violation as violation:
            self.found = self.found or violation
            raise

    def _see(self, life: str, record: TraceRecord) -> None:
        known = self._lives.get(life)
        if known is None:
            known = self._lives[life] = _Life(life.partition("/")[0])
        match record.step:
            case TraceStep.SENT if record.claimed:
                self._arrived(known, record)
            case TraceStep.SENT:
                self._sent(known, record)
            case TraceStep.ANSWERED | TraceStep.FAILED:
                _outcome(known, record)
            case TraceStep.ARRIVED:
                self._acknowledged(record)

    def forget(self, life: str) -> None:
        """A node has crashed: nobody waits there any more."""
        if life in self._lives:
            self._lives[life].waiting.clear()

    def finish(self, life: str, standing: Standing) -> None:
        """At the end: of the requests of the processes that run now, each has ended or is still outstanding; what the
        kernel gave its net is among the messages that this has on their way."""
        try:
            self._finish(life, standing)
        except Violation as violation:
            self.found = self.found or violation
            raise

    def _finish(self, life: str, standing: Standing) -> None:
        known = self._lives.get(life)
        for id, each in known.waiting.items() if known is not None else ():
            process = standing.processes.get(each.source.process)
            if process is not None and process.started_at <= each.at and id not in process.outstanding:
                raise Violation(f"G5: request {id} of {each.source} to {each.target} never ended, and nobody waits")
        given, on_their_way = standing.end
        if given != on_their_way:
            raise Violation(
                f"G24: {standing.our} has given its net {given} messages of which it has not heard, and that has "
                f"{on_their_way} on their way"
            )

    def outstanding(self) -> list[str]:
        """Requests that have not ended yet, for people."""
        return [
            f"{each.source} still waits for {each.target} (request {each.id}, sent at {each.at:.3f} s)"
            for life in self._lives.values()
            for each in life.waiting.values()
        ]

    def with_outstanding(self, text: str) -> str:
        """What did not come to an end in time, and what of it may be the reason."""
        waiting = self.outstanding()
        shown = waiting[:MAX_OUTSTANDING_SHOWN]
        if len(waiting) > len(shown):
            shown.append(f"and {len(waiting) - len(shown)} more")
        return f"{text}. Outstanding: {'; '.join(shown) or 'nothing'}."

    def _sent(self, life: _Life, record: TraceRecord) -> None:
        if record.expects:
            if record.id in life.waiting:
                raise Violation(f"G2: {life.node} uses the id {record.id} again while it is outstanding")
            life.waiting[record.id] = record
            life.ended.pop(record.id, None)
        if record.target.node != life.node:
            way = self._ways[life.node, record.source.process, record.target]
            way.order[record.id] = _Sent(len(way.order), record.body_bytes, record.blob_bytes)

    def _arrived(self, life: _Life, record: TraceRecord) -> None:
        source, target = record.source, record.target
        if is_hostile(source.node):
            return  # its kernel is not watched: it has none
        way = self._ways.get((source.node, source.process, target))
        sent = None if way is None else way.order.get(record.id)
        if way is None or sent is None:
            raise Violation(f"G3: {life.node} took request {record.id} to {target} from {source}, who never sent it")
        if (record.body_bytes, record.blob_bytes) != sent[1:]:
            raise Violation(
                f"G3: request {record.id} of {source} to {target} left with {sent.body_bytes} bytes and a blob of "
                f"{sent.blob_bytes}, and came with {record.body_bytes} and {record.blob_bytes}"
            )
        if record.id in way.arrived:
            raise Violation(f"G4: {target} was given request {record.id} of {source} twice")
        if sent.number < way.latest:
            raise Violation(f"G4: {target} was given request {record.id} of {source} after one that was sent later")
        way.arrived[record.id] = next(self._arrivals)
        way.latest = sent.number

    def _acknowledged(self, record: TraceRecord) -> None:
        """The net of the requester has been told that the target's node has taken it."""
        source, target = record.source, record.target
        if is_hostile(target.node):
            return  # what it acknowledges it may have thrown away
        way = self._ways.get((source.node, source.process, target))
        if not _is_system(target) and (way is None or record.id not in way.arrived):
            raise Violation(f"G24: {target.node} has acknowledged request {record.id} of {source}, and never had it")
        if way is not None and self._is_parked(record, way.arrived.get(record.id, 0)):
            raise Violation(f"G24: {target} has no room for request {record.id} of {source}, and acknowledged it")

    def _is_parked(self, record: TraceRecord, arrival: int) -> bool:
        """Whether a request that has arrived waits for room. Those that wait do so in the order in which they came, so
        one that came before the first of them does not; only of others are all looked at, of which there may be
        thousands."""
        kernel = self._kernel(record.target.node)
        process = kernel.processes.get(record.target.process) if kernel is not None else None
        waiters = process.waiters if process is not None else ()
        parked = (waiter.envelope for waiter in waiters if isinstance(waiter, Parked))
        first = next(parked, None)
        if first is None or arrival < self._arrival(first):
            return False
        return any((each.id, each.source) == (record.id, record.source) for each in chain((first,), parked))

    def _arrival(self, envelope: Envelope) -> int:
        way = self._ways.get((envelope.source.node, envelope.source.process, envelope.target))
        return 0 if way is None else way.arrived.get(envelope.id, 0)


def _is_system(address: Address) -> bool:
    """Whether it is a system process, of which kernels trace nothing that comes from other nodes."""
    return (address.process.package, address.process.publisher) == RESERVED


def _outcome(life: _Life, record: TraceRecord) -> None:
    """A request of this node's has ended, or its answer leaves for the node of the requester. A response goes to the
    requester; a failure is the request itself, come back."""
    requester = record.source if record.step is TraceStep.FAILED else record.target
    mine = life.waiting.get(record.id)
    if mine is not None and requester == mine.source:
        del life.waiting[record.id]
        life.ended[record.id] = _NAMES[record.step]
    elif record.id in life.ended and requester.node == life.node:
        raise Violation(
            f"G5: request {record.id} of {life.node} {life.ended[record.id]}, and {_NAMES[record.step]} again"
        )
