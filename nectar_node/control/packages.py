"""The commands about packages: what is installed and what it may do, and starting one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import trio

from kernel.contract.address import ProcessId
from kernel.contract.process import Waiting
from nectar_node.base.errors import BadInput, BadPackage, NodeError
from nectar_node.contract.actions import Installed
from nectar_node.control import status
from nectar_node.control.clients import Waiter
from nectar_node.control.requests import Fields, consent_of
from nectar_node.core.core import NodeCore
from nectar_node.packages.contents import discard_copy, has_copy, with_copy
from nectar_node.packages.manifest import Package
from nectar_node.packages.review import Reviewed, demand, question_row, review
from nectar_node.packages.startable import read_startable
from nectar_node.system.vfs import MAX_MOUNTS

FIRST_STEPS_SECONDS = 1.0
"""Seconds that the answer to a start waits until each new process has ended or waits for something."""
_GLANCE_SECONDS = 0.002


class RolledBack(NodeError):
    """A new version of a package has failed at once, and the one before runs again."""


class Packages:
    """Those commands of one node."""

    def __init__(
        self,
        core: NodeCore,
        folder: Path,
        turn: Callable[[], None],
        kept: Callable[[], Awaitable[None]],
    ) -> None:
        """`folder` is the node's; `turn` lets the node run after it was told something; `kept` returns when what has
        changed is durable.
        """
        self._core = core
        self._folder = folder
        self._turn = turn
        self._kept = kept
        self.commands: dict[str, Callable[[object, Fields], Awaitable[dict[str, object]]]] = {
            "review": self._on_review,
            "start": self._on_start,
        }

    async def _on_review(self, _: object, fields: Fields) -> dict[str, object]:
        """Answer what else a start with the same arguments would have to be told."""
        wanted, reviewed = await self._review(fields)
        return question_row(wanted, reviewed.question, self._core.our)

    async def _review(self, fields: Fields) -> tuple[Package, Reviewed]:
        core = self._core
        if not fields.package:
            raise BadInput("package is the path of a folder.")
        read = await trio.to_thread.run_sync(read_startable, Path(fields.package), core.our)
        wanted, said = replace(read, origin=Path(fields.origin) if fields.origin else None), consent_of(fields)
        self._check_startable(wanted)
        known, installed = core.decisions.of(wanted.id), core.packages.get(wanted.id)
        return wanted, review(wanted, known, said, core.our, installed)

    async def _on_start(self, _: object, fields: Fields) -> dict[str, object]:
        wanted, reviewed = await self._review(fields)
        question, allowed, decision = reviewed
        if question:
            raise demand(wanted, question, self._core.our)
        had_copy = has_copy(allowed, self._folder)
        allowed = await trio.to_thread.run_sync(with_copy, allowed, self._folder)
        before = self._core.packages.get(wanted.id)
        whole = not fields.single
        try:
            ended = await self._install(allowed, whole=whole, copied=not had_copy)
        except BadPackage:
            if not had_copy:
                await trio.to_thread.run_sync(discard_copy, allowed)
            raise
        if decision is not None:
            self._core.decide(wanted.id, decision, trio.current_time())
            self._turn()
        trapped = await self._first_steps(wanted.processes)
        if trapped and before is not None and before.digest != allowed.digest and not fields.keep:
            failure = RolledBack(_rolled_back(wanted, trapped[0], self._core.traps[trapped[0]]))
            await self._install(before, whole=whole)
            await self._kept()
            if not had_copy:
                await trio.to_thread.run_sync(discard_copy, allowed)
            raise failure
        await self._kept()
        return {
            "package": str(wanted.id),
            "folder": str(wanted.folder),
            # A copy that the package goes on using is not the replaced one's.
            "replaced": None if before is None or before.folder == allowed.folder else str(before.folder),
            "ended": list(map(str, ended)),
            "processes": status.started_rows(self._core, wanted, allowed),
            "unknown_keys": list(wanted.unknown_keys),
        }

    async def _install(self, package: Package, *, whole: bool, copied: bool = False) -> tuple[ProcessId, ...]:
        """Start a package, and return the processes that it has ended; raises BadPackage.

        If it was `copied` and cannot be started when the client has left, the copy is removed.
        """
        waiter = Waiter()
        self._core.install(package, waiter, trio.current_time(), whole=whole)
        self._turn()
        try:
            installed: Installed = await waiter.wait()
        except trio.Cancelled:
            if copied:
                waiter.left = partial(_discard_later, package)
            raise
        if installed.failures:
            raise BadPackage(_why_not(package, installed.failures))
        return installed.ended

    async def _first_steps(self, processes: Iterable[ProcessId]) -> list[ProcessId]:
        """Return those of these processes that have trapped, once all have ended or wait for something.

        Processes that go on computing are waited for no longer than FIRST_STEPS_SECONDS.
        """
        running = self._core.kernel.processes
        for _ in range(round(FIRST_STEPS_SECONDS / _GLANCE_SECONDS)):
            if not any(each in running and running[each].waiting is Waiting.NOTHING for each in processes):
                break
            await trio.sleep(_GLANCE_SECONDS)
        return [each for each in processes if each in self._core.traps]

    def _check_startable(self, package: Package) -> None:
        if self._core.vfs.mounts >= MAX_MOUNTS:
            raise BadPackage(f"{MAX_MOUNTS} packages and files are in use already.")
        for entry in package.entries:
            if self._core.kernel.is_system(entry.process):
                raise BadPackage(f"{entry.process} cannot be started: the name is a system process's. Choose another.")


def _discard_later(package: Package, installed: Installed) -> None:
    if installed.failures:
        trio.lowlevel.spawn_system_task(trio.to_thread.run_sync, discard_copy, package)


def _why_not(package: Package, failures: tuple[tuple[ProcessId, str], ...]) -> str:
    process, why = failures[0]
    path = next(entry.wasm_path for entry in package.entries if entry.process == process)
    others = len(package.entries) - 1
    rest = f", and none of the {others + 1} processes of {package.id} has been started" if others else ""
    return f"{process} cannot be started from {path}: {why}{rest}."


def _rolled_back(package: Package, process: ProcessId, trap: str) -> str:
    return (
        f"{process} of the new {package.id} has failed at once ({trap.rstrip('.')}), so the version before runs again. "
        "Say --keep to run the new one all the same."
    )
