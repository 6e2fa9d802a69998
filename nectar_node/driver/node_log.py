"""The log of a running node: what its core and our own code have to say, within a bound on lines and bytes."""

from __future__ import annotations

from collections.abc import Iterable

import trio

from nectar_node.base import log
from nectar_node.contract.actions import LogLine
from nectar_node.driver.log_budget import LogBudget
from net.contract.events import Unforeseen
from net.peering.containment import told

MAX_TRACEBACK_LINES = 100
"""Lines of one failure in the log."""


class NodeLog:
    """The log's lines from one boot to its end."""

    def __init__(self) -> None:
        self._budget = LogBudget()
        self._omitted = trio.Event()
        """Set while there is something to tell of what was left out."""

    def add(self, line: LogLine) -> None:
        """Log a line, unless it is for those alone who ask for more, or there are too many."""
        if line.verbosity > log.DEFAULT_VERBOSITY:
            return
        _write_lines(self._budget.admit(line, trio.current_time()))
        if self._budget.next_deadline() is not None:
            self._omitted.set()

    async def run(self) -> None:
        """Log what the budget has left out, whenever there is anything, until cancelled."""
        while True:
            await self._omitted.wait()
            while (deadline := self._budget.next_deadline()) is not None:
                await trio.sleep_until(deadline)
                _write_lines(self._budget.on_timer(trio.current_time()))
            self._omitted = trio.Event()

    def close(self) -> None:
        """Log what is left to say: the node goes down."""
        _write_lines(self._budget.close())

    def note(self, what: str, error: BaseException) -> None:
        """Log a failure of our own code at something that nothing else depends on."""
        self.add_unforeseen(Unforeseen(what, tuple(told(error))))

    def add_unforeseen(self, failure: Unforeseen) -> None:
        """Log a failure of our own code that the core has met."""
        self.add(LogLine("node", 0, f"failed at {failure.what}, please report it:"))
        for line in failure.traceback[:MAX_TRACEBACK_LINES]:
            self.add(LogLine("node", 0, line))


def _write_lines(lines: Iterable[tuple[str, str]]) -> None:
    for source, text in lines:
        log.write_line(source, text)
