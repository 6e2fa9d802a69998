"""Processes that are about to be started, and who waits for them.

A node that boots is reached before its packages' processes are there: it asks for its name first, and reads their code.
What is sent to one of them meanwhile waits: a message of a peer, of which it holds back the credit; a local sender with
the rest of its effects, as for room (G24); a request of the node's user. When the process has been started, or will not
be, they go on in order, as if they came then. Nothing here is without a bound: peers have their credit, senders are
processes, and the names are those of the packages that a node was told to run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, ValuesView

from kernel.contract.address import ProcessId
from kernel.contract.process import Parked, Process


class Starting:
    """See the module's text."""

    def __init__(self) -> None:
        self._waiters: dict[ProcessId, deque[Process | Parked]] = {}

    def __contains__(self, process: ProcessId) -> bool:
        return process in self._waiters

    def add(self, processes: Iterable[ProcessId]) -> None:
        """These are about to be started."""
        for process in processes:
            self._waiters.setdefault(process, deque())

    def wait(self, process: ProcessId, waiter: Process | Parked) -> bool:
        """Let somebody wait for a process; False: it is not expected."""
        waiters = self._waiters.get(process)
        if waiters is None:
            return False
        waiters.append(waiter)
        return True

    def take(self, process: ProcessId) -> deque[Process | Parked]:
        """A process is expected no longer; who has waited for it, in order."""
        return self._waiters.pop(process, deque())

    def give_up(self, process: ProcessId, sender: Process) -> None:
        """A local sender waits no longer."""
        waiters = self._waiters.get(process)
        if waiters is not None and sender in waiters:
            waiters.remove(sender)

    def queues(self) -> ValuesView[deque[Process | Parked]]:
        """All who wait."""
        return self._waiters.values()
