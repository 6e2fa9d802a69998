"""The commands about processes: those that run, and what others have left; ending them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from kernel.contract.address import PackageId, ProcessId
from nectar_node.base.errors import NodeError
from nectar_node.control import status
from nectar_node.control.backups import warnings
from nectar_node.control.clients import Client, Waiter
from nectar_node.control.package_rows import unsigned_packages
from nectar_node.control.requests import Fields, killed_untrusted, process_untrusted
from nectar_node.core.core import NodeCore

ROWS_AT_ONCE = 256
"""Processes that are described before messages flow again."""


class NoSuchState(NodeError):
    """No process of that name has saved anything."""


class StateNotRemoved(NodeError):
    """What a process has saved is still there."""


class StillRuns(NodeError):
    """The process must have ended before."""


class NoSuchProcess(NodeError):
    """Nothing of that name runs here. The command line says how to see what does."""


class PartOfNode(NodeError):
    """A system process was named where a guest's process is expected."""


class Processes:
    """Those commands of one node."""

    def __init__(self, core: NodeCore, turn: Callable[[], None], kept: Callable[[], Awaitable[None]]) -> None:
        """`turn` lets the node run after it was told something; `kept` returns when what has changed is durable."""
        self._core = core
        self._turn = turn
        self._kept = kept
        self.commands: dict[str, Callable[[Client, Fields], Awaitable[dict[str, object]]]] = {
            "ps": self.on_ps,
            "kill": self._on_kill,
            "states": self._on_states,
            "remove_state": self._on_remove_state,
        }

    async def on_ps(self, _: Client, fields: Fields) -> dict[str, object]:
        """Describe a process, or all, with what there is to say of the node."""
        if fields.address is None:
            absent = [{"process": str(each), "why": why} for each, why in self._core.not_running.items()]
            rows, memory = await self._all_processes(), status.memory_row(self._core)
            told = warnings(self._core, trio.current_time())
            unsigned = unsigned_packages(self._core)
            return {
                "processes": rows,
                "memory": memory,
                "not_running": absent,
                "warnings": told,
                "unsigned": unsigned,
            }
        process = process_untrusted(fields.address, self._core.our)
        row = status.process_row(self._core, process, trio.current_time())
        if row is None:
            raise _nobody(process, self._core)
        return {"process": row}

    async def _all_processes(self) -> list[dict[str, object]]:
        rows = []
        for count, row in enumerate(status.process_rows(self._core, trio.current_time()), 1):
            rows.append(row)
            if not count % ROWS_AT_ONCE:
                await trio.lowlevel.checkpoint()
        return sorted(rows, key=lambda row: str(row["address"]))

    async def _on_states(self, _: Client, __: Fields) -> dict[str, object]:
        rows = []
        for count, key in enumerate(sorted(self._core.states), 1):
            if key in self._core.states:  # it may be gone by now
                rows.append(status.state_row(self._core, key))
            if not count % ROWS_AT_ONCE:
                await trio.lowlevel.checkpoint()
        return {"states": rows}

    async def _on_remove_state(self, _: Client, fields: Fields) -> dict[str, object]:
        """Remove what a process has saved that does not run."""
        core, key = self._core, fields.address or ""
        if key not in core.states:
            key = str(process_untrusted(fields.address, core.our))
        if key not in core.states:
            raise NoSuchState(f"{key} has saved no state on {core.our}.")
        if core.runs(key):
            raise StillRuns(f"{key} runs on {core.our}, and may save its state again: end it first.")
        length, waiter = core.states[key], Waiter()
        core.remove_state(key, waiter, trio.current_time())
        self._turn()
        problem: str | None = await waiter.wait()
        if problem is not None:
            raise StateNotRemoved(f"The state of {key} is still there: {problem}.")
        return {"process": key, "bytes": length}

    async def _on_kill(self, _: Client, fields: Fields) -> dict[str, object]:
        """End all processes of a package, with their children, or a process, with its children if `tree` is true."""
        core, now = self._core, trio.current_time()
        target, with_tree = killed_untrusted(fields.address, core.our), fields.tree
        former = tuple(each for each in core.not_running if target in (each, each.package_id))
        if former:
            core.forget_former(former, now)
        if isinstance(target, PackageId):
            if not (ended := core.kill_tree(target, now) + len(former)):
                raise NoSuchProcess(f"No process of {target} runs on {core.our}.")
            await self._ended()
            return {"package": str(target), "ended": ended, "children": 0}
        if core.kernel.is_system(target):
            raise PartOfNode(f"{target} is a part of the node: it ends with the node.")
        family = core.tree(target)
        if former and not family:
            await self._kept()
            return {"address": f"{core.our}@{target}", "ended": 1, "children": 0}
        if not family or (not with_tree and target not in family):
            raise _nobody(target, core)
        if with_tree:
            core.kill_tree(target, now)
        else:
            core.kill(target, now)
        await self._ended()
        ended = len(family) if with_tree else 1
        return {"address": f"{core.our}@{target}", "ended": ended, "children": len(family) - ended}

    async def _ended(self) -> None:
        """Return when all processes that were killed are gone."""
        self._turn()
        while self._core.kernel.lifecycle.ending:
            await trio.lowlevel.checkpoint()
        await self._kept()


def _nobody(process: ProcessId, core: NodeCore) -> NodeError:
    if core.kernel.is_system(process):
        return PartOfNode(f"{process} is a part of the node, not a process of a guest.")
    return NoSuchProcess(f"No process {process} runs on {core.our}.")
