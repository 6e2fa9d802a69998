"""The backups of a running node: the settings that its core is told, and what is shown of its remotes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from nectar_node.backup.schedule import KnownRemote, RemoteStatus
from nectar_node.base.errors import BadFolder, BadInput
from nectar_node.control.clients import Client
from nectar_node.control.clock import wall_clock_offset
from nectar_node.control.requests import Fields
from nectar_node.core.core import NodeCore

_SETTINGS = Path("backup") / "remotes.json"


class OwnBackups:
    """The commands about this node's own backups."""

    def __init__(self, core: NodeCore, folder: Path, turn: Callable[[], None]) -> None:
        """`folder` is the node's; `turn` lets the node run after it was told something."""
        self._core = core
        self._folder = folder
        self._turn = turn
        self.commands: dict[str, Callable[[Client, Fields], Awaitable[dict[str, object]]]] = {
            "backups": self._on_backups,
            "back_up": self._on_back_up,
        }

    async def _on_backups(self, _: Client, fields: Fields) -> dict[str, object]:
        """Read the settings of backups again; answer what there is to say of each remote. The one that is named is
        tried again at once if it has failed.
        """
        remotes = await trio.to_thread.run_sync(known_remotes, self._folder, wall_clock_offset())
        self._core.set_remotes(remotes, trio.current_time(), fields.name)
        self._turn()
        return {"remotes": [remote_row(each) for each in self._core.backups.status(trio.current_time())]}

    async def _on_back_up(self, client: Client, fields: Fields) -> dict[str, object]:
        """Begin a copy in the remote of that name; answer as `backups` does."""
        answer = await self._on_backups(client, Fields())
        if not self._core.backups.order(fields.name, trio.current_time()):
            raise BadInput(f"There is no remote {fields.name[:64]!r}: `nectar backup list` shows them.")
        self._turn()
        return answer | {"remotes": [remote_row(each) for each in self._core.backups.status(trio.current_time())]}


def known_remotes(folder: Path, lead: float) -> list[KnownRemote]:
    """Return what the settings in a node's folder say of its remotes; `lead` is the number of seconds to add to the
    core's times to get Unix time. Raises BadFolder.
    """
    if not (folder / _SETTINGS).exists():
        return []
    from nectar_node.backup.stores.settings import BackupSettings  # loads what most nodes do without

    try:
        remotes = BackupSettings(folder).remotes().remotes
    except OSError as error:
        raise BadFolder(f"{error.filename or folder} cannot be read: {error.strerror}.") from error
    return [
        KnownRemote(
            name,
            state.plan,
            float("inf") if state.added is None else state.added / 1000 - lead,
            None if state.known is None or state.time is None else state.known.number,
            None if state.time is None else state.time / 1000 - lead,
            state.failure,
        )
        for name, state in remotes.items()
    ]


def remote_row(remote: RemoteStatus) -> dict[str, object]:
    """Return a row for a remote; a duration that there is not is None."""
    return {
        "name": remote.name,
        "copy": remote.copy,
        "running_seconds": _rounded(remote.running),
        "waiting_seconds": _rounded(remote.waits),
        "age_seconds": _rounded(remote.age),
        "every_seconds": remote.plan.every,
        "next_seconds": _rounded(remote.next),
        "failure": remote.failure,
        "failures": remote.failures,
        "warning": remote.warning,
    }


def warnings(core: NodeCore, now: float) -> list[str]:
    """Return what people must know of this node, in sentences."""
    return [each.warning for each in core.backups.status(now) if each.warning is not None]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
