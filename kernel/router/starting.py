"""Processes that are about to be started, and the senders that wait for them.

A node that boots is reached before its packages' processes are there: it asks for its name first, and reads their code.
What is sent to one of them meanwhile waits: a message of a peer, of which it holds back the credit; a local sender with
the rest of its effects, as for capacity (G24); a request of the node's user. When the process has been started, or will
not be, they go on in order, as if they came then. Everything here is bounded: peers have their credit, senders are
processes, and the names are those of the packages that a node was told to run.

A process that ends while another one of its name is about to be started leaves to that one the requests that it has not
taken: that is how no request is lost when a package is upgraded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, ValuesView

from kernel.contract.address import ProcessId
from kernel.contract.mailbox import Delivery
from kernel.contract.process import Parked, Process

Waiter = Process | Parked | Delivery
"""A local sender; a message that has not been taken into a mailbox; a request that waited in that of the former
process."""


class Starting:
    """The processes that are about to be started, each with a queue of what waits for it."""

    def __init__(self) -> None:
        self._waiters: dict[ProcessId, deque[Waiter]] = {}

    def __contains__(self, process: ProcessId) -> bool:
        return process in self._waiters

    def add(self, processes: Iterable[ProcessId]) -> None:
        """Add processes that are about to be started."""
        for process in processes:
            self._waiters.setdefault(process, deque())

    def wait(self, process: ProcessId, waiter: Waiter) -> bool:
        """Add a sender or message that waits for a process; return False if the process is not about to be started."""
        waiters = self._waiters.get(process)
        if waiters is None:
            return False
        waiters.append(waiter)
        return True

    def take(self, process: ProcessId) -> deque[Waiter]:
        """Remove a process; return what has waited for it, in order."""
        return self._waiters.pop(process, deque())

    def give_up(self, process: ProcessId, sender: Process) -> None:
        """Remove a local sender that waits no longer."""
        waiters = self._waiters.get(process)
        if waiters is not None and sender in waiters:
            waiters.remove(sender)

    def queues(self) -> ValuesView[deque[Waiter]]:
        """Return the queues of all that wait."""
        return self._waiters.values()
