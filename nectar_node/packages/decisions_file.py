"""Reads and writes the file of the user's decisions while no node does: at a boot, and before one."""

from __future__ import annotations

from nectar_node.base import own_files
from nectar_node.base.errors import BadFolder
from nectar_node.base.folder import NodeFolder
from nectar_node.packages.decisions import MAX_DECISIONS_BYTES, DamagedDecisions, Decisions, decode_untrusted
from nectar_node.storage.disk import perform
from nectar_node.storage.operations import DiskError, Location, Replace


def read_decisions(folder: NodeFolder, our: str) -> Decisions:
    """Return the decisions on the node `our` in `folder`.

    Raises BadFolder if the file is damaged: a node that has forgotten what is denied must not give it.
    """
    try:
        return decode_untrusted(own_files.read(folder.decisions, MAX_DECISIONS_BYTES + 1), our)
    except FileNotFoundError:
        return Decisions()
    except (OSError, DamagedDecisions) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise BadFolder(
            f"{folder.decisions} cannot be read ({why}): remove it, and you are asked again what packages may do."
        ) from error


def write_decisions(folder: NodeFolder, decisions: Decisions) -> None:
    """Keep what has been decided since the decisions were read, if anything has; raises BadFolder."""
    if not decisions.version:
        return
    place = Location(str(folder.path), (folder.decisions.name,))
    outcome = perform(Replace(place, decisions.encode()))
    if isinstance(outcome, DiskError):
        raise BadFolder(f"{folder.decisions} cannot be written: {outcome.text}.")
