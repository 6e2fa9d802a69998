"""The processes that ran before the node went down, and what becomes of them at this boot."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kernel.capabilities.grants import Grants
from kernel.contract.address import ProcessId
from nectar_node.core.kept import KeptState
from nectar_node.core.process_table import PROCESSES
from nectar_node.packages.manifest import Package
from nectar_node.packages.reboot import RebootPlan
from nectar_node.storage.operations import Row


class FormerProcesses:
    """The processes of earlier boots."""

    def __init__(
        self, kept: KeptState, grants: Grants, put: Callable[[Row], None], log: Callable[[str, str], None]
    ) -> None:
        """`put` writes a row of the store; `log` logs what becomes of a process."""
        self._kept = kept
        self._grants = grants
        self._put = put
        self._log = log
        self.not_running: dict[ProcessId, str] = {}
        """Those that do not run again at this boot, and why."""

    def begin(self, planned: RebootPlan, packages: Iterable[Package]) -> None:
        """Do away with those that do not run again when `packages` are started."""
        self._forget_strangers({process for package in packages for process in package.processes})
        for process, why in planned.ended.items():
            self.end(process, why)
        for process, why in planned.dormant.items():
            self.stays_down(process, why)

    def _forget_strangers(self, started: set[ProcessId]) -> None:
        """Forget what processes held that do not run again: whoever gets such a name now has no right to it (G21)."""
        known = started.union(remnant.process for remnant in self._kept.processes)
        for holder in self._kept.grants.held.keys() - known:
            if self._kept.packages or holder.process.isdecimal():
                self._grants.forget(holder)

    def end(self, process: ProcessId, why: str) -> None:
        """End one for good."""
        self._log(str(process), f"has ended: {why}")
        self.forget(process)

    def stays_down(self, process: ProcessId, why: str) -> None:
        """Note that one does not run at this boot."""
        self._log(str(process), f"does not run again: {why}")
        self.not_running[process] = why

    def forget(self, process: ProcessId) -> None:
        """Forget one: it does not come back at later boots either."""
        self.not_running.pop(process, None)
        self._grants.forget(process)
        self._put(Row(PROCESSES, str(process), None))
