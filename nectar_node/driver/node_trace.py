"""Passes the kernel's records to the trace file, if there is to be one (`nectar_node.driver.trace_file`)."""

from __future__ import annotations

from collections.abc import Callable

from nectar_node.base import log
from nectar_node.contract.config import NodeConfig
from nectar_node.contract.traces import Traced
from nectar_node.core.core import NodeCore
from nectar_node.driver.trace_file import TraceFile, standing


class NodeTrace:
    """The trace file of one boot; without one, all of this does nothing."""

    def __init__(self, config: NodeConfig, core: NodeCore, clock: Callable[[], float]) -> None:
        """`clock` is the clock of the core's events and records. Raises BadInput if the file cannot be written."""
        self._core = core
        self._file: TraceFile | None = None
        if config.trace:
            self._file = TraceFile.open(config.folder.trace, config.name, clock)
            core.trace(None, self)

    def take(self, action: Traced) -> None:
        """Add a record for the file; its token is this object."""
        if self._file is not None:
            self._file.add(action.record)

    def write(self) -> None:
        """Write what was added, before anything that results from it is sent: nobody has seen what the file does not
        tell.
        """
        if self._file is not None:
            self._carry_out(self._file.write)

    def end(self) -> None:
        """Write the node's final state, since it ends in order."""
        if (file := self._file) is not None:
            on_their_way = self._core.network.statistics()["outgoing_messages"]
            now = standing(self._core.kernel, on_their_way)
            self._carry_out(lambda: file.end(now))
            self._close()

    def _carry_out(self, what: Callable[[], None]) -> None:
        try:
            what()
        except OSError as error:
            self._close()
            log.write_line("kernel", f"the trace ends here, for it cannot be written: {error.strerror}")

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self._core.untrace(self)
