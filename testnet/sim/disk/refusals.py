"""What a simulated disk says where a real one's file system would refuse."""

from __future__ import annotations

import errno

from nectar_node.packing.packed_folder import BadPackedFolder
from nectar_node.storage import operations as ops
from nectar_node.storage.archive import BadArchive
from nectar_node.storage.folder_copies import INTO_ITSELF as _INTO_ITSELF_TEXT
from nectar_node.storage.folder_copies import TOO_DEEP as _TOO_DEEP_TEXT
from nectar_node.storage.ledger import OverQuota

NOT_FOUND = ops.DiskError(ops.DiskFault.NOT_FOUND, "No such file or directory")
FULL = ops.DiskError(ops.DiskFault.FULL, "No space left on device")
NO_FOLDER = ops.DiskError(ops.DiskFault.NOT_FOUND, "Not a directory")
A_FOLDER = ops.DiskError(ops.DiskFault.OTHER, "Is a directory")
EXISTS = ops.DiskError(ops.DiskFault.EXISTS, "File exists")
NOT_EMPTY = ops.DiskError(ops.DiskFault.OTHER, "Directory not empty")
SHORTER = ops.DiskError(ops.DiskFault.NOT_FOUND, "the file is shorter than it was")
TOO_LONG = ops.DiskError(ops.DiskFault.OTHER, "File name too long")
TOO_MANY = ops.DiskError(ops.DiskFault.OTHER, ops.TOO_MANY_LISTED)
INTO_ITSELF = ops.DiskError(ops.DiskFault.OTHER, _INTO_ITSELF_TEXT)
TOO_DEEP = ops.DiskError(ops.DiskFault.OTHER, _TOO_DEEP_TEXT)
INVALID = ops.DiskError(ops.DiskFault.OTHER, "Invalid argument")
CHANGED = ops.DiskError(ops.DiskFault.OTHER, ops.CHANGED)
A_LINK = ops.DiskError(ops.DiskFault.NOT_PERMITTED, "Too many levels of symbolic links")


class RefusedError(Exception):
    """The disk does not carry out an operation."""

    def __init__(self, error: ops.DiskError) -> None:
        """`error` is the operation's outcome."""
        super().__init__(error.text)
        self.error = error


def outcome_of(error: Exception) -> ops.DiskError:
    """Return what an operation that has raised `error` comes to; raises what is no refusal."""
    match error:
        case OSError(errno=errno.ENOSPC, strerror=text) if not isinstance(error, OverQuota):
            return ops.DiskError(ops.DiskFault.FULL, text or "")
        case OSError(errno=errno.EIO, strerror=text):
            return ops.DiskError(ops.DiskFault.OTHER, text or "")
        case FileNotFoundError(strerror=text):
            return ops.DiskError(ops.DiskFault.NOT_FOUND, text or "")
        case RefusedError():
            return error.error
        case OverQuota():
            full = error.errno in (errno.EDQUOT, errno.ENOSPC)
            return ops.DiskError(ops.DiskFault.FULL if full else ops.DiskFault.OTHER, error.strerror or str(error))
        case BadPackedFolder(strerror=text):
            return ops.DiskError(ops.DiskFault.OTHER, text or "")
        case BadArchive():
            return ops.DiskError(ops.DiskFault.BAD_ARCHIVE, f"the archive {error}")
    raise error
