"""Reads the file of name records when a node boots; `record_store` continues it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from nectar_node.base import log, own_files
from nectar_node.base.errors import BadFolder
from nectar_node.peers.record_store import Contents, DamagedRecords, Written, read_untrusted
from net.names.directory import HeldRecord


class Kept(NamedTuple):
    """The records in the file, and how far it goes."""

    records: Iterable[HeldRecord]
    written: Written


def read_names(path: Path, key: bytes) -> Kept:
    """Return the names that this registrar has granted; raises BadFolder if some may be lost, since others would get
    them.
    """
    problem: str | None
    try:
        contents = _read(path, key)
        problem = contents.damage
    except DamagedRecords as error:
        problem = str(error)
    if problem is not None:
        raise BadFolder(
            f"The registrar cannot use its names in {path}: {problem}. Put back a copy of the file; "
            "without it, the first to ask for a name gets it."
        )
    if contents.torn:
        log.write_line("net", f"{contents.torn} bytes of {path} that a crash left unfinished are dropped")
    return Kept(contents.records.values(), contents.written)


def read_cache(path: Path, key: bytes, former: bytes | None = None) -> Kept:
    """Return the name records in the file, as far as they are whole: the registrar has them too.

    `former` is the key of the MACs before the node's key changed, if it has just done so: the file is then rewritten.
    """
    if former is not None:
        with suppress(DamagedRecords):
            return Kept(_read(path, former).records.values(), Written(key))
    try:
        contents = _read(path, key)
    except DamagedRecords as error:
        log.write_line("net", f"the name records in {path} are not used: {error}")
        return Kept((), Written(key))
    if contents.damage is not None:
        log.write_line("net", f"of the name records in {path} some are not used: {contents.damage}")
    return Kept(contents.records.values(), contents.written)


def _read(path: Path, key: bytes) -> Contents:
    """Return what is in the file; nothing if there is none. Raises DamagedRecords and NotOurs."""
    try:
        return read_untrusted(own_files.read(path), key)
    except FileNotFoundError:
        return Contents({}, Written(key), 0, None)
    except OSError as error:
        raise DamagedRecords(f"it cannot be read: {error.strerror}") from error
