"""The backups of a running node: the settings that its core is told, and what is shown of its remotes."""

from __future__ import annotations

from pathlib import Path

from nectar_node.backup.schedule import KnownRemote, RemoteStatus
from nectar_node.base.errors import BadFolder
from nectar_node.core.core import NodeCore

_SETTINGS = Path("backup") / "remotes.json"


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
