"""What goes wrong with a backup, each as one sentence that names the remote."""

from __future__ import annotations

from nectar_node.base.errors import BadInput, NodeError


class BackupError(NodeError):
    """The root of the errors of backups."""


class DamagedBackup(BackupError):
    """What a remote has given back is not what was put there: altered, cut short, missing, or not of this backup."""

    def __init__(self, remote: str, name: str, what: str) -> None:
        super().__init__(f"The backup in {remote} is damaged: {name} {what}.")
        self.remote = remote
        self.name = name
        """The object that is damaged."""
        self.what = what
        """Half a sentence about it, after its name."""


class OlderState(BackupError):
    """A remote shows an older state of the backup than the one that it is known to have had."""


class CopyElsewhere(BackupError):
    """Another copy of the node has written to the remote: only one of them may go on."""


class RemoteFailed(BackupError):
    """A remote does not do what it was asked for: it cannot be reached, is full, or refuses."""


class BackupRunning(BackupError):
    """Another backup of the same node is under way."""


class WrongPhrase(BadInput):
    """The recovery phrase is not one, or not that of this backup."""


class ObjectMissing(Exception):
    """A remote has no object of that name. Stores raise it, and the engine decides what that means."""


class ObjectExists(Exception):
    """A remote has an object of that name already. Stores raise it, and the engine decides what that means."""
