"""How much is in flight to other nodes, and which processes wait until that is less (G24).

A message counts from when it is given to the net until the peer's kernel has taken it, or it has failed: for as long as
it takes up memory here. It counts for its pair, a process and the node that it sends to: a node that takes nothing
holds up what is for it, and nothing else. Pairs go by name and not by life, so that restarting gains nothing. It counts
for the package and that node as well, since a process can spawn others, and for the node, whose part of all memory that
is (`memory`).

A process whose pair is full is set aside with the rest of its effects, like one whose local target has no capacity
(`backpressure`), when it sends a request there; it goes on when some of that has gone, or its request's timeout passes.
An answer never holds up the process that gives it: answers are counted by themselves, and one beyond the bound comes
back (G15). What system processes send fails beyond it, since they cannot wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from weakref import WeakValueDictionary

from kernel.contract import limits
from kernel.contract.address import PackageId, ProcessId
from kernel.contract.memory import UNMETERED, Memory
from kernel.contract.message import Envelope, Response, size_of
from kernel.contract.process import Lot, Process

SYSTEM = ProcessId("", "", "")
"""Stands for all system processes together."""


class InFlight:
    """All messages of one node that are in flight to other nodes."""

    def __init__(self, memory: Memory = UNMETERED) -> None:
        self._memory = memory
        self._nodes: WeakValueDictionary[str, Lot] = WeakValueDictionary()
        self._packages: WeakValueDictionary[tuple[PackageId, str, bool], Lot] = WeakValueDictionary()
        self._processes: WeakValueDictionary[tuple[ProcessId, str, bool], Lot] = WeakValueDictionary()
        self.messages = 0
        """Messages in flight from all processes, system processes included."""

    def requests(self, process: ProcessId, node: str) -> int:
        """Return how many requests of a process are in flight to a node."""
        lot = self._processes.get((process, node, False))
        return 0 if lot is None else lot.messages

    def full(self, envelope: Envelope, sender: Process | None) -> Lot | None:
        """Return the lot that a sender has to wait for before it sends this, or None if it need not wait. If nothing of
        that lot is in flight, nothing will wake the sender."""
        lot = self._lot(envelope, sender)
        while lot.outer is not None:  # the same as `has_room`, without the calls: this runs for every message
            if lot.messages >= lot.most_messages or (lot.messages and lot.bytes >= lot.most_bytes):
                return lot
            lot = lot.outer
        if lot.messages and not lot.account.has_room():
            return lot
        message = envelope.message
        if envelope.blob is None and message.metadata is None and len(message.body) < limits.SMALL_MESSAGE_BYTES:
            return None
        size = size_of(message, envelope.blob)
        small = size < limits.SMALL_MESSAGE_BYTES
        return None if small or lot.account.may_add(size + limits.MESSAGE_MEMORY_BYTES) else lot

    def sent(self, envelope: Envelope, sender: Process | None, size: int) -> Lot:
        """Count a message that is in flight; return the lot to pass to `gone`."""
        first = lot = self._lot(envelope, sender)
        self.messages += 1
        while True:
            lot.messages += 1
            lot.bytes += size
            if lot.outer is None:
                break
            lot = lot.outer
        lot.account.add(size + limits.MESSAGE_MEMORY_BYTES)
        return first

    def gone(self, lot: Lot, size: int, count: int = 1) -> bool:
        """Count messages of `size` bytes together as no longer in flight; return whether any process waits for that
        (see `freed`)."""
        self.messages -= count
        awaited = False
        while True:
            lot.messages -= count
            lot.bytes -= size
            awaited = awaited or bool(lot.waiters)
            if lot.outer is None:
                break
            lot = lot.outer
        lot.account.remove(size + count * limits.MESSAGE_MEMORY_BYTES)
        return awaited

    def freed(self, lot: Lot) -> Iterator[Process]:
        """Yield the processes that may try again now that a message of the lot is gone, each after the one before it
        has tried."""
        each: Lot | None = lot
        while each is not None:
            while each.waiters and each.has_room():
                process = each.waiters.popleft()
                before = process.stall
                yield process
                if each.waiters and each.waiters[-1] is process and process.waits_still(before):
                    each.waiters.rotate(1)  # there is no memory for what it sends yet: it stays the first
                    break
            each = each.outer

    def give_up(self, sender: Process) -> None:
        """Remove a sender that waits no longer."""
        lot = sender.requests_in_flight
        while lot is not None:
            if sender in lot.waiters:
                lot.waiters.remove(sender)
            lot = lot.outer

    def _lot(self, envelope: Envelope, sender: Process | None) -> Lot:
        node = envelope.target.node
        answer = type(envelope.message) is Response
        if sender is None:
            return self._of_process(SYSTEM, node, answer)
        lot = sender.answers_in_flight if answer else sender.requests_in_flight
        if lot is None or lot.node != node:
            lot = self._of_process(sender.address.process, node, answer)
            if answer:
                sender.answers_in_flight = lot
            else:
                sender.requests_in_flight = lot
        return lot

    def _of_process(self, process: ProcessId, node: str, answer: bool) -> Lot:
        lot = self._processes.get((process, node, answer))
        if lot is None:
            outer = self._of_package(process.package_id, node, answer) if process is not SYSTEM else self._of_node(node)
            most = limits.MAX_IN_FLIGHT_ANSWERS if answer else limits.MAX_IN_FLIGHT_MESSAGES
            lot = Lot(node, most, limits.MAX_IN_FLIGHT_BYTES, outer, UNMETERED)
            self._processes[process, node, answer] = lot
        return lot

    def _of_package(self, package: PackageId, node: str, answer: bool) -> Lot:
        lot = self._packages.get((package, node, answer))
        if lot is None:
            most = limits.MAX_PACKAGE_IN_FLIGHT_ANSWERS if answer else limits.MAX_PACKAGE_IN_FLIGHT_MESSAGES
            lot = Lot(node, most, limits.MAX_PACKAGE_IN_FLIGHT_BYTES, self._of_node(node), UNMETERED)
            self._packages[package, node, answer] = lot
        return lot

    def _of_node(self, node: str) -> Lot:
        lot = self._nodes.get(node)
        if lot is None:
            lot = self._nodes[node] = Lot(node, inf, inf, None, self._memory.of_node(node))
        return lot
