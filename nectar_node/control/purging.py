"""What a package leaves behind when it is uninstalled: drives, databases and saved states, and how they are removed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import trio

from kernel.contract.address import Address, PackageId, ProcessId
from kernel.contract.guest import Arrival, Failure
from kernel.contract.message import Request
from nectar_node.base.errors import NodeError
from nectar_node.base.folder import NodeFolder
from nectar_node.base.system_processes import KV, SQLITE, VFS
from nectar_node.control.clients import Waiter
from nectar_node.core.core import NodeCore
from nectar_node.storage.operations import DATABASES
from nectar_node.storage.package_databases import named_by

_PATIENCE = 600
"""Seconds for one drive, which may have a hundred thousand files."""


class NotPurged(NodeError):
    """Something that a package has left cannot be removed."""


class Purge:
    """Looks at what packages have left on one node, and removes it."""

    def __init__(self, core: NodeCore, folder: Path, turn: Callable[[], None]) -> None:
        """`folder` is the node's; `turn` lets the node run after it was told something."""
        self._core = core
        self._drives = NodeFolder(folder).drives
        self._turn = turn

    async def left(self, package: PackageId) -> dict[str, object]:
        """Return what a package that has been uninstalled has left."""
        drives, databases = await trio.to_thread.run_sync(self._names, package)
        return {"drives": drives, "databases": len(databases), "states": len(self._states(package))}

    async def remove(self, package: PackageId) -> dict[str, object]:
        """Remove all that a package has left, and return what that was; raises NotPurged."""
        left = await self.left(package)
        drives, databases = await trio.to_thread.run_sync(self._names, package)
        for key in self._states(package):
            waiter = Waiter()
            self._core.remove_state(key, waiter, trio.current_time())
            self._turn()
            if (problem := await waiter.wait()) is not None:
                raise NotPurged(f"{package} is gone, but the state of {key} is still there: {problem}.")
        for kind, name in databases:
            id = {"package_name": package.package, "publisher_node": package.publisher}
            process = KV if kind == "kv" else SQLITE
            await self._ask(package, process, {"package_id": id, "db": name, "action": "RemoveDb"})
        for drive in drives:
            await self._ask(package, VFS, {"path": f"/{package}/{drive}", "action": "RemoveDirAll"})
        return left

    def _states(self, package: PackageId) -> list[str]:
        return [key for key in self._core.states if key.endswith(f":{package}") and not self._core.runs(key)]

    def _names(self, package: PackageId) -> tuple[list[str], list[tuple[str, str]]]:
        """Return the drives of a package, and the kinds and names of its databases."""
        folder = self._drives / str(package)
        try:
            drives = sorted(each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))
        except OSError:
            return [], []
        try:
            files = sorted(each.name for each in (folder / DATABASES).iterdir())
        except OSError:
            files = []
        return drives, [named for each in files if (named := named_by(each)) is not None]

    async def _ask(self, package: PackageId, process: ProcessId, body: dict[str, object]) -> None:
        waiter = Waiter()
        request = Request(False, _PATIENCE, json.dumps(body).encode())
        target = Address(self._core.our, process)
        self._core.inject(target, request, None, waiter, trio.current_time())
        self._turn()
        answer: Arrival | Failure = await waiter.wait()
        if isinstance(answer, Failure) or b"Ok" not in answer.message.body:
            said = (
                answer.error.reason.value
                if isinstance(answer, Failure)
                else answer.message.body.decode(errors="replace")
            )
            raise NotPurged(f"{package} is gone, but what it had at {process} is still there: {said}.")
