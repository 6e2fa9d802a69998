"""The invariants: what must hold whatever fails, checked at every step in the traces of all kernels of a network.

- G5: a request that expects a response ends exactly once.
- G4: messages from one process to another arrive once, in the order in which they were sent.
- G3: the node that a message is said to come from has sent it, with as many bytes and as large a blob.
- G24: what is acknowledged was taken, and what a kernel gave its net is in flight until the net has an outcome.

Scenarios check the rest, at every level (`testnet.scenarios`): that transferred files are whole, that acknowledged
writes survive (G27), and that the network heals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain, count
from typing import NamedTuple

from kernel.contract.address import SYSTEM, Address, ProcessId
from kernel.contract.message import Envelope
from kernel.contract.process import Parked
from kernel.router.kernel import Kernel
from kernel.router.trace import TraceRecord, TraceStep
from nectar_node.driver.trace_file import Standing
from testnet.model.hostile_names import is_hostile

MAX_OUTSTANDING_SHOWN = 5
_NAMES = {TraceStep.ANSWERED: "was answered", TraceStep.FAILED: "failed"}


class Violation(Exception):
    """A promise is broken; the text says which, and where."""


@dataclass(slots=True)
class _Life:
    """One boot of one host, as its kernel's trace tells it."""

    node: str
    waiting: dict[int, TraceRecord] = field(default_factory=dict)
    """Requests of its own that must end, by id."""
    ended: dict[int, str] = field(default_factory=dict)
    """How requests of its own have ended, by id."""


class _Sent(NamedTuple):
    """A request to another node, as it left."""

    number: int
    """Its position among the requests of its route, from 0."""
    body_bytes: int
    blob_bytes: int | None
    """The size of its blob, or None."""


@dataclass(slots=True)
class _Route:
    """Messages from one process to another on another node."""

    order: dict[int, _Sent] = field(default_factory=dict)
    """The requests that were sent, by id."""
    latest: int = -1
    """The highest number of those that have arrived."""
    arrived: dict[int, int] = field(default_factory=dict)
    """By id, the position among all arrivals in the network."""


class Watch:
    """Takes every record of every node; raises Violation at the first that cannot be."""

    def __init__(self, kernel: Callable[[str], Kernel | None] = lambda _: None) -> None:
        """`kernel` gives that of a node, if it runs."""
        self._kernel = kernel
        self._lives: dict[str, _Life] = {}
        """Boots by host and number, such as `SimNode.life`."""
        self._routes: defaultdict[tuple[str, ProcessId, Address], _Route] = defaultdict(_Route)
        self._arrivals = count()
        self.found: Violation | None = None
        """The first violation; the caller of `see` may have gone on after it."""

    def see(self, life: str, record: TraceRecord) -> None:
        """Check a step of a message on a node, in one of its lives."""
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
        """Note that a node has crashed: none of its processes waits any more."""
        if life in self._lives:
            self._lives[life].waiting.clear()

    def finish(self, life: str, standing: Standing) -> None:
        """Check at the end: each request of the processes that run now has ended or is still outstanding, and what the
        kernel gave its net is among the messages that the net has in flight."""
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
        given, on_their_way = standing.end.abroad, standing.end.on_their_way
        if given != on_their_way:
            raise Violation(
                f"G24: {standing.our} has given its net {given} messages of which it has not heard, and that has "
                f"{on_their_way} on their way"
            )

    def outstanding(self) -> list[str]:
        """Return the requests that have not ended yet, for people."""
        return [
            f"{each.source} still waits for {each.target} (request {each.id}, sent at {each.at:.3f} s)"
            for life in self._lives.values()
            for each in life.waiting.values()
        ]

    def with_outstanding(self, text: str) -> str:
        """Add to `text`, which says what did not end in time, the requests that may be the reason."""
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
            route = self._routes[life.node, record.source.process, record.target]
            route.order[record.id] = _Sent(len(route.order), record.body_bytes, record.blob_bytes)

    def _arrived(self, life: _Life, record: TraceRecord) -> None:
        source, target = record.source, record.target
        if is_hostile(source.node):
            return  # its kernel is not watched: it has none
        route = self._routes.get((source.node, source.process, target))
        sent = None if route is None else route.order.get(record.id)
        if route is None or sent is None:
            raise Violation(f"G3: {life.node} took request {record.id} to {target} from {source}, who never sent it")
        if (record.body_bytes, record.blob_bytes) != sent[1:]:
            raise Violation(
                f"G3: request {record.id} of {source} to {target} left with {sent.body_bytes} bytes and a blob of "
                f"{sent.blob_bytes}, and came with {record.body_bytes} and {record.blob_bytes}"
            )
        if record.id in route.arrived:
            raise Violation(f"G4: {target} was given request {record.id} of {source} twice")
        if sent.number < route.latest:
            raise Violation(f"G4: {target} was given request {record.id} of {source} after one that was sent later")
        route.arrived[record.id] = next(self._arrivals)
        route.latest = sent.number

    def _acknowledged(self, record: TraceRecord) -> None:
        """Check that the target's node has taken what it acknowledges."""
        source, target = record.source, record.target
        if is_hostile(target.node):
            return  # what it acknowledges it may have thrown away
        route = self._routes.get((source.node, source.process, target))
        if not _is_system(target) and (route is None or record.id not in route.arrived):
            raise Violation(f"G24: {target.node} has acknowledged request {record.id} of {source}, and never had it")
        if route is not None and self._is_parked(record, route.arrived.get(record.id, 0)):
            raise Violation(f"G24: {target} has no room for request {record.id} of {source}, and acknowledged it")

    def _is_parked(self, record: TraceRecord, arrival: int) -> bool:
        """Return whether a request that has arrived waits for capacity. Such requests wait in the order of their
        arrival, so one that came before the first of them does not wait; only for others are all of them, perhaps
        thousands, looked at."""
        kernel = self._kernel(record.target.node)
        process = kernel.processes.get(record.target.process) if kernel is not None else None
        waiters = process.waiters if process is not None else ()
        parked = (waiter.envelope for waiter in waiters if isinstance(waiter, Parked))
        first = next(parked, None)
        if first is None or arrival < self._arrival(first):
            return False
        return any((each.id, each.source) == (record.id, record.source) for each in chain((first,), parked))

    def _arrival(self, envelope: Envelope) -> int:
        route = self._routes.get((envelope.source.node, envelope.source.process, envelope.target))
        return 0 if route is None else route.arrived.get(envelope.id, 0)


def _is_system(address: Address) -> bool:
    """Return whether the address is a system process; kernels do not trace what reaches these from other nodes."""
    return address.process.package_id == SYSTEM


def _outcome(life: _Life, record: TraceRecord) -> None:
    """Note that a request of this node has ended, or that its answer leaves for the requester's node. A response goes
    to the requester; a failure is the request itself, come back."""
    requester = record.source if record.step is TraceStep.FAILED else record.target
    mine = life.waiting.get(record.id)
    if mine is not None and requester == mine.source:
        del life.waiting[record.id]
        life.ended[record.id] = _NAMES[record.step]
    elif record.id in life.ended and requester.node == life.node:
        raise Violation(
            f"G5: request {record.id} of {life.node} {life.ended[record.id]}, and {_NAMES[record.step]} again"
        )
