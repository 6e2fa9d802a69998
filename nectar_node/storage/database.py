"""The node's store: rows of bytes in one SQLite database, written in transactions that are durable when they are done.

SQLite runs in WAL mode with full sync, under an exclusive lock, through apsw: unlike the standard library's module it
lets a caller supply the file system, so a simulated node runs the same SQLite on a simulated disk
(`testnet.sim.disk.database_files`), and the power can be cut at each of its writes.

SQLite notices a torn write and a damaged page's structure, and not a flipped bit in a value. So every row has a guard,
a hash of its table, key and value; and the sum of all guards is kept in the same transaction as the rows, so that a
row that is gone is noticed too.

Saved states have a table of their own, since they are many and large: of these, only the guards and sizes are read when
the store is opened. A state is checked when it is read, so one that is damaged is its own process's misfortune.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

import apsw
from blake3 import blake3

from kernel.contract.message import Buffer
from nectar_node.base.errors import NodeError
from nectar_node.storage import wal as wal_file
from nectar_node.storage.operations import Row, StateRow

STORE_FILE = "store"
"""Name of the database in the node's folder."""
STORE_FILES = (STORE_FILE, f"{STORE_FILE}-wal", f"{STORE_FILE}-journal")
"""Names of all files that SQLite keeps for it."""
FORMAT = 1
"""Version of the tables and of what the rows hold; a node reads older ones."""
_APPLICATION = int.from_bytes(b"nctr", "big")
"""Marks the file as one of ours (SQLite's `application_id`)."""
_GUARD_BYTES = 16
_SUMS = 1 << (8 * _GUARD_BYTES)
_SETTINGS = (
    "PRAGMA locking_mode=EXCLUSIVE",  # before the first access: the WAL then needs no shared memory
    "PRAGMA cell_size_check=ON",
    "PRAGMA trusted_schema=OFF",
)
_LOG_BYTES = 16 << 20
"""The length to which the log is cut back after a large commit: some seconds of small ones."""
_CHECKPOINT_PAGES = 1000
"""Pages in the log after which a commit takes them over into the database, as SQLite does by itself."""
_DURABLE = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", f"PRAGMA journal_size_limit={_LOG_BYTES}")
_SCHEMA = (
    "CREATE TABLE rows (kind TEXT, key TEXT, value BLOB, guard BLOB, PRIMARY KEY (kind, key)) STRICT",
    # The guard comes before the value, so that neither it nor the length makes SQLite read the value.
    "CREATE TABLE states (key TEXT PRIMARY KEY, guard BLOB, value BLOB) STRICT",
    "CREATE TABLE total (guard BLOB) STRICT",
    f"PRAGMA application_id={_APPLICATION}",
    f"PRAGMA user_version={FORMAT}",
)
_PUT = "REPLACE INTO rows VALUES (?, ?, ?, ?)"  # with a new rowid: rows are loaded in the order of their last writes
_STATES_AT_ONCE = 64
"""States that one statement writes. For each statement a thread gives way to the others of the node, and must wait
until it may go on; with 100 processes that save together that took longer than all else.
"""
_STATES = "states"
"""The table of saved states, as guards have it."""

Contents = dict[str, dict[str, bytes]]
"""Values by table and key."""


class DamagedStore(NodeError):
    """The database does not hold what was written to it."""


class NewerStore(NodeError):
    """The database was written by a newer version of this program."""


class Salvaged(NamedTuple):
    """The legible part of a damaged database."""

    contents: Contents
    lost: int | None
    """Rows that cannot be read; None: it is not known how many."""


class Database:
    """An open store. Thread-safe: a call waits while another is carried out."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._total = 0
        self._lock = threading.Lock()
        self.states: dict[str, int] = {}
        """The lengths of all saved states in bytes, by key, when the store was opened."""

    @classmethod
    def open(
        cls, path: str, file_system: str | None = None, wal: bytes | None = None, *, may_be_empty: bool = True
    ) -> tuple[Database, Contents]:
        """Open the database, made if it is missing, and return it with all that is in it but saved states.

        `file_system` names one that is registered with SQLite, and `wal` is the content of the write-ahead log there;
        None: it is the operating system's. `may_be_empty` says whether there may be nothing in it yet. Raises
        DamagedStore, NewerStore and OSError.
        """
        if file_system is None:
            with suppress(FileNotFoundError), open(f"{path}-wal", "rb") as file:
                wal = file.read()
        try:
            ends = wal_file.commits_untrusted(wal or b"")
        except wal_file.DamagedLog as error:
            raise DamagedStore(str(error)) from error
        with _Translated():
            connection = apsw.Connection(path, vfs=file_system)
            try:
                for setting in _SETTINGS:
                    _do(connection, setting)
                version = _version(connection)
                if version is None and not may_be_empty:
                    raise DamagedStore("the file is empty")
                for setting in _DURABLE:
                    _do(connection, setting)
                with suppress(apsw.FullError):  # a node boots on a full disk; what is in the log can be read there
                    ((_, taken, _),) = connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
                    if ends and wal_file.lost(ends, taken):
                        raise DamagedStore("its log is damaged, and has lost what was written last")
                if version is None:
                    _do(connection, "BEGIN IMMEDIATE")
                    for statement in _SCHEMA:
                        _do(connection, statement)
                    _do(connection, "INSERT INTO total VALUES (?)", (bytes(_GUARD_BYTES),))
                    _do(connection, "COMMIT")
                database = cls(connection)
                return database, database._load()
            except BaseException:
                connection.close(True)
                raise

    def _load(self) -> Contents:
        contents: Contents = {}
        total = 0
        for kind, key, value, guard in self._connection.execute(
            "SELECT kind, key, value, guard FROM rows ORDER BY rowid"
        ):
            if not _is_whole_untrusted(kind, key, value, guard):
                raise DamagedStore(f"the row {key!r} of its table {kind!r} is damaged")
            total += int.from_bytes(guard, "big")
            contents.setdefault(kind, {})[key] = value
        for key, guard, length in self._connection.execute(
            "SELECT key, guard, length(value) FROM states NOT INDEXED ORDER BY rowid"
        ):
            if not isinstance(guard, bytes) or not isinstance(length, int) or key in self.states:
                raise DamagedStore(f"the saved state {key!r} is damaged")
            total += int.from_bytes(guard, "big")
            self.states[key] = length
        kept = list(self._connection.execute("SELECT guard FROM total"))
        if kept != [((total % _SUMS).to_bytes(_GUARD_BYTES, "big"),)]:
            raise DamagedStore("some of its rows are missing, or older than others")
        self._total = total % _SUMS
        return contents

    def commit(self, rows: Iterable[Row], states: Iterable[StateRow] = ()) -> None:
        """Write rows, all or none; durable when this returns. Raises OSError, and nothing has changed then."""
        with self._lock, _Translated():
            total = self._total
            _do(self._connection, "BEGIN IMMEDIATE")
            try:
                for kind, key, value in rows:
                    total += self._write(kind, key, value)
                total += self._write_states(states)
                total %= _SUMS
                _do(self._connection, "UPDATE total SET guard = ?", (total.to_bytes(_GUARD_BYTES, "big"),))
                _do(self._connection, "COMMIT")
            except BaseException:
                if not self._connection.get_autocommit():
                    _do(self._connection, "ROLLBACK")
                raise
            self._total = total

    def state(self, key: str) -> bytes:
        """Return a saved state that is known to be there; raises OSError, also if it is damaged."""
        with self._lock:
            try:
                with _Translated():
                    rows = list(self._connection.execute("SELECT guard, value FROM states WHERE key = ?", (key,)))
            except DamagedStore:
                rows = []
        if len(rows) == 1:
            ((guard, value),) = rows
            if _is_whole_untrusted(_STATES, key, value, guard):
                return bytes(value)
        raise OSError(errno.EIO, "it is damaged")

    def checkpoint(self) -> None:
        """Take what is in the log over into the database, as far as it is there now. Raises OSError."""
        with self._lock, _Translated():
            _do(self._connection, "PRAGMA wal_checkpoint(PASSIVE)")

    def freeze(self) -> None:
        """Take over all that is in the log, and from now on write to the log alone, until `thaw`.

        So the database's file holds all that was committed until now, and stays as it is. Raises OSError, and nothing
        is frozen then.
        """
        with self._lock, _Translated():
            ((busy, left, _),) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if busy or left:
                raise OSError(errno.EBUSY, "the store's log is in use")
            _do(self._connection, "PRAGMA wal_autocheckpoint=0")

    def thaw(self) -> None:
        """End a `freeze`: the next commit takes the log over, if it has become long. Raises OSError."""
        with self._lock, _Translated():
            _do(self._connection, f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")

    def _write(self, kind: str, key: str, value: bytes | None) -> int:
        """Write one row, and return by how much the sum of the guards grows."""
        change = 0
        for (guard,) in self._connection.execute("SELECT guard FROM rows WHERE kind = ? AND key = ?", (kind, key)):
            change -= int.from_bytes(guard, "big")
        if value is None:
            _do(self._connection, "DELETE FROM rows WHERE kind = ? AND key = ?", (kind, key))
            return change
        guard = _guard(kind, key, value)
        _do(self._connection, _PUT, (kind, key, value, guard))
        return change + int.from_bytes(guard, "big")

    def _write_states(self, states: Iterable[StateRow]) -> int:
        """Write saved states, the last one of each key, and return by how much the sum of the guards grows."""
        change, rows = 0, list({row.key: row for row in states}.values())
        while rows:
            # As many as a power of two, so that there are few different statements to prepare.
            count = min(_STATES_AT_ONCE, 1 << (len(rows).bit_length() - 1))
            change += self._write_some(rows[-count:])
            del rows[-count:]
        return change

    def _write_some(self, states: list[StateRow]) -> int:
        """Write some of the states in one go."""
        former, _ = _statements(len(states))
        change = 0
        for (guards,) in self._connection.execute(former, [key for key, _ in states]):
            change -= _sum(guards)
        values = list[str | Buffer]()
        for key, value in states:
            if value is None:
                _do(self._connection, "DELETE FROM states WHERE key = ?", (key,))
            else:
                guard = _guard(_STATES, key, value)
                change += int.from_bytes(guard, "big")
                values += (key, guard, value)
        if values:
            _, put = _statements(len(values) // 3)
            _do(self._connection, put, values)
        return change

    def close(self) -> None:
        """Close the files; what was committed stays."""
        with suppress(apsw.Error):
            self._connection.close(True)


def salvage(path: str, file_system: str | None = None) -> Salvaged:
    """Return what can still be read of a damaged database, which may change meanwhile: give a copy."""
    contents: Contents = {}
    seen, bad, whole = 0, 0, True
    connection = None
    try:
        connection = apsw.Connection(path, vfs=file_system)
        _do(connection, "PRAGMA locking_mode=EXCLUSIVE")
        for order in ("ASC", "DESC"):  # from both ends, up to the damage
            try:
                query = f"SELECT kind, key, value, guard FROM rows NOT INDEXED ORDER BY rowid {order}"
                for kind, key, value, guard in connection.execute(query):
                    seen += 1
                    if _is_whole_untrusted(kind, key, value, guard):
                        contents.setdefault(kind, {})[key] = value
                    else:
                        bad += 1
                break
            except apsw.Error:
                whole = False
    except apsw.Error:
        whole = False
    finally:
        if connection is not None:
            with suppress(apsw.Error):
                connection.close(True)
    return Salvaged(contents, bad if whole else None)


def salvage_states(path: str) -> Iterator[StateRow | None]:
    """Yield what can still be read of the saved states in a copy of a damaged database: None for one that is damaged.

    One may come twice.
    """
    with suppress(apsw.Error):
        connection = apsw.Connection(path)
        try:
            _do(connection, "PRAGMA locking_mode=EXCLUSIVE")
            for order in ("ASC", "DESC"):  # from both ends, up to the damage
                with suppress(apsw.Error):
                    query = f"SELECT key, guard, value FROM states NOT INDEXED ORDER BY rowid {order}"
                    for key, guard, value in connection.execute(query):
                        yield StateRow(key, value) if _is_whole_untrusted(_STATES, key, value, guard) else None
                    break
        finally:
            connection.close(True)


def _version(connection: apsw.Connection) -> int | None:
    """Return the version of the format, None for an empty database; raises DamagedStore and NewerStore."""
    ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_schema")
    ((application,),) = connection.execute("PRAGMA application_id")
    ((version,),) = connection.execute("PRAGMA user_version")
    if not tables and not application:
        return None
    if application != _APPLICATION:
        raise DamagedStore("it is not a node's store")
    if version > FORMAT:
        raise NewerStore(f"its format is {version}, and this program knows those up to {FORMAT}")
    return int(version)


def _guard(kind: str, key: str, value: Buffer) -> bytes:
    hasher = blake3(b"%d %d " % (len(kind), len(key)))
    hasher.update(kind.encode())
    hasher.update(key.encode())
    hasher.update(value)
    return hasher.digest(_GUARD_BYTES)


def _is_whole_untrusted(kind: object, key: object, value: object, guard: object) -> bool:
    """Whether a row is as it was written; a flipped bit may have changed the type of a value, too."""
    if isinstance(kind, str) and isinstance(key, str) and isinstance(value, bytes):
        return guard == _guard(kind, key, value)
    return False


@lru_cache(2 * _STATES_AT_ONCE)
def _statements(count: int) -> tuple[str, str]:
    """Return the statements that read the guards of so many states, one behind the other, and that write the states."""
    keys, rows = ", ".join("?" * count), ", ".join(["(?, ?, ?)"] * count)
    former = f"SELECT group_concat(hex(guard), '') FROM states WHERE key IN ({keys})"
    put = f"INSERT INTO states VALUES {rows} ON CONFLICT DO UPDATE SET guard = excluded.guard, value = excluded.value"
    return former, put


def _sum(guards: str | None) -> int:
    """Return the sum of guards that lie one behind the other, in hexadecimal."""
    whole = bytes.fromhex(guards or "")
    return sum(int.from_bytes(whole[at : at + _GUARD_BYTES], "big") for at in range(0, len(whole), _GUARD_BYTES))


def _do(connection: apsw.Connection, statement: str, values: Sequence[str | Buffer] = ()) -> None:
    for _ in connection.execute(statement, values):
        pass


class _Translated:
    """Translates SQLite's errors."""

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, (apsw.CorruptError, apsw.NotADBError, apsw.SQLError, UnicodeDecodeError)):
            raise DamagedStore(f"SQLite cannot read it ({error})") from error
        if isinstance(error, apsw.FullError):
            raise OSError(errno.ENOSPC, "No space left on device") from error
        if isinstance(error, apsw.BusyError):
            raise OSError(errno.EBUSY, "another program has it open") from error
        if isinstance(error, apsw.Error):
            raise OSError(errno.EIO, f"SQLite: {error}") from error
