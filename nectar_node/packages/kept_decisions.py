"""Reads the user's decisions on a node that does not run, to ask about its packages before it boots."""

from __future__ import annotations

from nectar_node.base import own_files
from nectar_node.base.errors import NodeError
from nectar_node.base.folder import NodeFolder
from nectar_node.packages.decisions import DECISIONS, Decisions, decode_file_untrusted, decode_untrusted
from nectar_node.storage.database import Database


def read_decisions(folder: NodeFolder, our: str) -> Decisions:
    """Return the decisions on the node `our`; none if they cannot be read, which its boot then says."""
    try:
        if folder.store.exists():
            database, contents = Database.open(str(folder.store), may_be_empty=False)
            database.close()
            return decode_untrusted(contents.get(DECISIONS, {}), our)
        if folder.decisions.exists():
            return decode_file_untrusted(own_files.read(folder.decisions), our)
    except (NodeError, OSError):
        pass
    return Decisions()
