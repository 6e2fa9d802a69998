"""Opens a node's store at its boot: makes it, takes over what an older version kept in files, or rescues it.

A damaged store, or one that is gone, is never taken for an empty one: a node that forgets what it has revoked gives it
back to other nodes. It starts only when its user says `--rescue`. What is still whole is kept then, the damaged files
are put aside, and every capability that has left the node so far is void.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from kernel.capabilities.revocations import Revoked
from kernel.contract.address import ProcessId
from kernel.contract.errors import BadAddress
from nectar_node.base import log, own_files
from nectar_node.base.errors import BadFolder, NodeError
from nectar_node.base.folder import NodeFolder
from nectar_node.core import kept
from nectar_node.core.kept import KeptState
from nectar_node.packages import decisions
from nectar_node.packages.decisions import DamagedDecisions
from nectar_node.peers import grant_rows, own_row
from nectar_node.peers.former_records import RECORDS_FILE
from nectar_node.peers.grant_rows import DamagedGrants
from nectar_node.storage.database import (
    FORMAT,
    STORE_FILES,
    Contents,
    DamagedStore,
    Database,
    NewerStore,
    salvage,
    salvage_states,
)
from nectar_node.storage.operations import Row, StateRow
from nectar_node.system.state_queues import COMMIT_BYTES

MAX_FORMER_BYTES = 64 << 20
"""Bytes that are read of a file of an older version: a saved state has no more."""
_HASH = re.compile("[0-9a-f]{64}")


class OpenStore(NamedTuple):
    """A store, and what it held when it was opened."""

    database: Database
    kept: KeptState
    rows: Contents
    """The same, as it lies there, but for the saved states."""


def open_store(
    folder: NodeFolder, our: str, former: Callable[[], list[Row]] = list, *, rescue: bool = False
) -> OpenStore:
    """Return the store of the node `our`; `former` returns rows of what an older version has kept elsewhere.

    Raises BadFolder if it is damaged or gone and `rescue` is false, if it is of a newer version, and if it cannot be
    opened.
    """
    for file in (folder.store, folder.format):
        if file.is_dir():
            raise BadFolder(f"{file} is not a file: move it away, or choose another --dir.")
    try:
        opened = _open(folder, our, former)
        return _revoked(folder, our, opened) if folder.restored.exists() else opened
    except (DamagedStore, DamagedGrants, DamagedDecisions) as error:
        if rescue:
            return _rescued(folder, our, str(error))
        raise BadFolder(
            f"{folder.store} is damaged: {error}. It says what was revoked, denied and killed, so {our} does not start "
            "without it. Put back a copy of the file if there is one; with --rescue, it starts with what is still "
            "whole, says what was lost, and revokes every capability that other nodes have."
        ) from error
    except NewerStore as error:
        raise BadFolder(f"{folder.store} cannot be used: {error}. Boot {our} with the newer one.") from error
    except OSError as error:
        raise BadFolder(f"{error.filename or folder.store} cannot be used: {error.strerror}.") from error


def _open(folder: NodeFolder, our: str, former: Callable[[], list[Row]]) -> OpenStore:
    if not folder.format.exists():
        _take_over(folder, our, former())
    elif not folder.store.exists():
        raise DamagedStore("the file is gone")
    opened = _opened(folder, our)
    _remove_former(folder)
    return opened


def _revoked(folder: NodeFolder, our: str, opened: OpenStore) -> OpenStore:
    """Revoke everything that has left a node which was restored from a backup: what it revoked since is not in there.

    It is not a copy that has stood down either, whatever the one was that the backup was made of.
    """
    before = opened.kept.grants.revoked
    floor = max(round(time.time() * 1000), before.number, before.everything)
    rows = [grant_rows.revoked_row(Revoked(floor + 1, floor, (), ()))]
    if opened.kept.own.successor is not None:
        rows.append(own_row.FORGET_SUCCESSOR)
    opened.database.commit(rows)
    opened.database.close()
    folder.restored.unlink()
    own_files.sync_folder(folder.path)
    log.write_line("kernel", "restored from a backup: every capability that other nodes have from this one is revoked")
    return _opened(folder, our)


def _opened(folder: NodeFolder, our: str) -> OpenStore:
    database, contents = Database.open(str(folder.store), may_be_empty=not folder.format.exists())
    try:
        state = kept.decode_untrusted(contents, our, database.states)
        _mark(folder)
    except NodeError as error:
        database.close()
        raise DamagedStore(str(error)) from error
    except BaseException:
        database.close()
        raise
    return OpenStore(database, state, contents)


def _take_over(folder: NodeFolder, our: str, rows: list[Row]) -> None:
    """Make a store, with what an older version of the node has kept in files.

    They are removed when the folder is marked, and a crash before that changes nothing: it is all done again.
    """
    if folder.capabilities.exists():
        rows += grant_rows.rows_of(grant_rows.decode_file_untrusted(_read(folder.capabilities)))
    if folder.decisions.exists():
        rows += decisions.decode_file_untrusted(_read(folder.decisions), our).changes()
    if not folder.store.exists():
        own_files.write(folder.store, b"")  # SQLite would let others read it
    database, _ = Database.open(str(folder.store))
    try:
        _write_states(database, (StateRow(file.name, _read(file)) for file in _former_states(folder)))
        if rows:
            database.commit(rows)
    finally:
        database.close()
    own_files.sync_folder(folder.path)


def _write_states(database: Database, rows: Iterable[StateRow]) -> None:
    """Write saved states, many with one sync, and not all of them at once in memory."""
    batch, size = list[StateRow](), 0
    for row in rows:
        batch.append(row)
        size += len(row.value or b"")
        if size >= COMMIT_BYTES:
            database.commit((), batch)
            batch, size = [], 0
    if batch:
        database.commit((), batch)


def _former_states(folder: NodeFolder) -> list[Path]:
    """Return the files in which the first version kept saved states, named after processes, or hashes of long ids."""
    files = sorted(folder.state.iterdir()) if folder.state.exists() else []
    return [file for file in files if _HASH.fullmatch(file.name) or _is_process(file.name)]


def _is_process(name: str) -> bool:
    try:
        ProcessId.parse(name)
    except BadAddress:
        return False
    return True


def _remove_former(folder: NodeFolder) -> None:
    """Remove the files of an older version, whose content the store has."""
    former = (folder.capabilities, folder.decisions, folder.records / RECORDS_FILE, *_former_states(folder))
    for file in former:
        if file.exists():
            own_files.remove(file)
    with suppress(OSError):  # somebody keeps something of theirs in it
        folder.state.rmdir()


def _read(file: Path) -> bytes:
    return own_files.read(file, MAX_FORMER_BYTES)


def _mark(folder: NodeFolder) -> None:
    if not folder.format.exists():
        own_files.write(folder.format, f"{FORMAT}\n".encode())


def _rescued(folder: NodeFolder, our: str, why: str) -> OpenStore:
    aside = folder.path / f"damaged-{time.strftime('%Y%m%dT%H%M%S')}"
    own_files.make_folder(aside)
    former = (*STORE_FILES, folder.capabilities.name, folder.decisions.name)
    for name in former:
        file = folder.path / name
        if file.exists():
            file.rename(aside / name)
    copy = folder.path / "rescue"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(aside, copy)
    found, lost = salvage(str(copy / folder.store.name))
    readable = _readable(found, our)
    now = round(time.time() * 1000)
    # Far above any number that the node has ever issued under, since it counts from 1.
    readable[grant_rows.REVOKED] = {}
    rows = [Row(kind, key, value) for kind, table in readable.items() for key, value in table.items()]
    rows.append(grant_rows.revoked_row(Revoked(now + 1, now, (), ())))
    own_files.write(folder.store, b"")
    database, _ = Database.open(str(folder.store))
    try:
        database.commit(rows)
        _write_states(database, filter(None, salvage_states(str(copy / folder.store.name))))
    finally:
        database.close()
    shutil.rmtree(copy, ignore_errors=True)
    own_files.sync_folder(folder.path)
    opened = _opened(folder, our)
    tables = [*((kind, len(table)) for kind, table in readable.items()), ("saved states", len(opened.kept.states))]
    counted = ", ".join(f"{count} of {kind}" for kind, count in tables if count) or "nothing"
    gone = "an unknown number of rows is lost" if lost is None else f"{lost} rows are lost"
    log.write_line("kernel", f"the store was damaged ({why}); its files are in {aside}")
    log.write_line("kernel", f"of the store {gone}; what is left is {counted}")
    log.write_line("kernel", "every capability that other nodes have from this one is revoked")
    return opened


def _readable(found: Contents, our: str) -> Contents:
    """Return the rows that say something, each for itself."""
    whole: Contents = {}
    for kind, table in found.items():
        for key, value in table.items():
            try:
                kept.decode_untrusted({kind: {key: value}}, our)
            except NodeError:
                continue
            whole.setdefault(kind, {})[key] = value
    return whole
