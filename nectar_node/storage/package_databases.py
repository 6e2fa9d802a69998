"""The databases of packages: SQLite files in their folders, whose connections are opened and closed as needed.

Every operation is one transaction, durable when it is done; none stays open between two. One that is put off in its
midst has written at most to the log, what nobody reads before the commit. So a copy of the files that is made while no
step is under way is whole, and what a crash leaves in the log is taken in at the next opening.
A connection that is closed leaves the log as it is: closing it may come at another package's turn.
"""

from __future__ import annotations

import errno
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Protocol
from weakref import WeakSet

import apsw
from blake3 import blake3

from kernel.contract import limits
from kernel.contract.message import Buffer
from nectar_node.storage import operations as ops
from nectar_node.storage import package_sql
from nectar_node.storage.ledger import LENT_BYTES, OverQuota
from nectar_node.storage.operations import Location
from nectar_node.storage.package_files import SUFFIXES, OfThread
from nectar_node.storage.sliced import PutOff, in_slices
from nectar_node.storage.steps import Work

MAX_IDLE = 8
"""Connections of one node that are kept open while nobody uses them: each has two descriptors and two MB of cache."""
DATABASE_SUFFIX = ".db"
"""What the name of a database's file ends in, and that of no other file beside it."""
MAX_KEY_BYTES = 64 << 10
"""Bytes of a key: it is written as an array of numbers, four times as long."""
_ROW = limits.MAX_BLOB_BYTES + MAX_KEY_BYTES + 64
"""Bytes of a row with a key and a value, at most."""
_GOT_BYTES = 8 << 20
"""Bytes of values after which one operation gets no further ones."""
_LOG_BYTES = 4 << 20
"""The length to which a log is cut back, as it counts against the package's quota."""
_SETTINGS = (
    "PRAGMA locking_mode=EXCLUSIVE",  # before the first access: the WAL then needs no shared memory
    "PRAGMA auto_vacuum=INCREMENTAL",  # before a new file's first page: what is removed can become free (`_removing`)
    "PRAGMA cell_size_check=ON",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA temp_store=FILE",
    "PRAGMA mmap_size=0",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    f"PRAGMA journal_size_limit={_LOG_BYTES}",
)
_FREED_PAGES = 256
"""Pages of a file that are freed in one commit: each may be one that is moved, and takes as much of the log."""
_FREEINGS = 16
"""Commits in which pages are freed after one operation: what is left waits for the next one."""
_REMOVING = frozenset(("DELETE", "DROP"))
"""The first words of statements that only remove; what a trigger adds then fits into what is lent."""
_READABLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
SQL = "sqlite"
"""The kind of databases on which packages carry out statements of their own."""
_CACHED = 16
"""Statements of ours that are kept compiled."""
_APPLICATION = int.from_bytes(b"ncdb", "big")
"""Marks the file as one of ours (SQLite's `application_id`)."""
_PAIRS = "CREATE TABLE IF NOT EXISTS pairs (key BLOB PRIMARY KEY, value BLOB) STRICT"
_PUT = "INSERT INTO pairs VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
_DELETE = "DELETE FROM pairs WHERE key = ?"
_GET = "SELECT value FROM pairs WHERE key = ?"


class DatabaseDisk(Protocol):
    """Where the files of the databases lie."""

    here: OfThread
    """What this thread knows of its operation."""

    @property
    def file_system(self) -> str:
        """The name of the file system, for SQLite."""

    def path(self, location: Location) -> str:
        """Return how SQLite is told of a database."""

    def exists(self, location: Location) -> bool:
        """Whether there is such a file."""

    def siblings(self, location: Location) -> list[str]:
        """Return the names in the folder of a file; raises OSError."""

    def make_folder(self, location: Location) -> None:
        """Make the folder of a file; raises OSError."""

    def remove(self, location: Location) -> None:
        """Remove a file if there is one; raises OSError."""

    def is_tight(self, location: Location) -> bool:
        """Whether what is removed from a database is to be free at once."""

    def sync_folder(self, location: Location) -> None:
        """Make what is in the folder of a file durable; raises OSError."""


class PackageDatabases:
    """The databases of the packages of one node. Thread-safe; one database is used by one thread at a time."""

    def __init__(self, files: DatabaseDisk, clock: Callable[[], float]) -> None:
        """`clock` gives a time in seconds that only grows."""
        self._files = files
        self._clock = clock
        self._idle: OrderedDict[Location, apsw.Connection] = OrderedDict()
        """Open connections that nobody uses, the longest unused first."""
        self._with_pairs: WeakSet[apsw.Connection] = WeakSet()
        """Open connections that have seen the table of keys and values: to ask takes as long as to write."""
        self._lock = threading.Lock()
        self._closed = False
        self.performers: dict[type, Callable[[Any], ops.Outcome]] = {
            ops.OpenDatabase: self._open,
            ops.RemoveDatabase: self._remove,
            ops.PutPairs: self._put,
            ops.GetValues: self._get,
            ops.RunSql: lambda operation: self._run(operation, lambda: self._closed),
        }
        """What carries out each operation; they raise OSError."""

    def close(self) -> None:
        """Let go of all connections; what is in a log stays there."""
        with self._lock:
            self._closed = True
            idle = [*self._idle.values()]
            self._idle.clear()
        for connection in idle:
            _close(connection)

    def _open(self, operation: ops.OpenDatabase) -> None:
        location, files = operation.location, self._files
        is_new = not files.exists(location)
        if is_new:
            files.make_folder(location)
            if sum(name.endswith(DATABASE_SUFFIX) for name in files.siblings(location)) >= operation.most:
                raise OverQuota(errno.EDQUOT, f"the package has {operation.most} databases already: remove one")
        try:
            with self._used(location) as connection:
                # A file that was just made is durable with what is first written to it.
                if list(connection.execute("PRAGMA application_id")) != [(_APPLICATION,)]:
                    _do(connection, "BEGIN IMMEDIATE")
                    _do(connection, f"PRAGMA application_id={_APPLICATION}")
                    _do(connection, "COMMIT")
        except OSError:
            if is_new:
                with suppress(OSError):
                    self._remove_files(location)
            raise

    def _remove(self, operation: ops.RemoveDatabase) -> None:
        self._let_go(operation.location)
        if not self._files.exists(operation.location):
            raise FileNotFoundError(errno.ENOENT, "there is no such database")
        self._remove_files(operation.location)

    def _let_go(self, location: Location) -> None:
        with self._lock:
            connection = self._idle.pop(location, None)
        if connection is not None:
            _close(connection)

    def _remove_files(self, location: Location) -> None:
        files = self._files
        self._let_go(location)
        for suffix in reversed(SUFFIXES):  # the log first: alone, it would be taken for that of a later database
            files.remove(_beside(location, suffix))
            files.sync_folder(location)

    def _put(self, operation: ops.PutPairs) -> None:
        removes = all(value is None for _, value in operation.pairs)
        location = operation.location
        with self._existing(location) as connection, self._lending(location, connection, removes):
            if len(operation.pairs) == 1 and connection in self._with_pairs:
                _put_one(connection, *operation.pairs[0])  # a statement alone is a transaction, durable like any other
                return
            _do(connection, "BEGIN IMMEDIATE")
            _do(connection, _PAIRS)
            for key, value in operation.pairs:
                _put_one(connection, key, value)
            _do(connection, "COMMIT")
            self._with_pairs.add(connection)

    @contextmanager
    def _lending(self, location: Location, connection: apsw.Connection, removes: bool) -> Iterator[None]:
        """If this operation only removes, let it do so where the package may have no more, and free what it can."""
        if not removes:
            yield
            return
        here = self._files.here
        here.lent = LENT_BYTES
        try:
            yield
            if self._files.is_tight(location):
                _free_pages(connection)
        finally:
            here.lent = 0

    def _get(self, operation: ops.GetValues) -> ops.Values:
        with self._existing(operation.location) as connection:
            if not list(connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'pairs'")):
                return ops.Values((None,) * len(operation.keys))
            values, left = list[bytes | None](), _GOT_BYTES
            for key in operation.keys:
                if left <= 0:
                    break
                value = next((bytes(value) for (value,) in connection.execute(_GET, (key,))), None)
                values.append(value)
                left -= len(value or b"")
            return ops.Values(tuple(values))

    def begin(self, operation: ops.Operation) -> Work | None:
        """Begin an operation in steps, which raise OSError; None: it is done at once (`performers`)."""
        if isinstance(operation, ops.RunSql):
            return in_slices(partial(self._run, operation))
        return None

    def _run(self, operation: ops.RunSql, pause: PutOff) -> ops.Outcome:
        first = (each.text.split(None, 1)[0].upper() for each in operation.statements)
        removes = operation.writes and _REMOVING.issuperset(first)
        with self._existing(operation.location) as connection, self._lending(operation.location, connection, removes):
            return package_sql.run(connection, operation, self._clock, lambda: self._closed or pause())

    @contextmanager
    def _existing(self, location: Location) -> Iterator[apsw.Connection]:
        if location not in self._idle and not self._files.exists(location):
            raise FileNotFoundError(errno.ENOENT, "there is no such database")
        with self._used(location) as connection:
            yield connection

    @contextmanager
    def _used(self, location: Location) -> Iterator[apsw.Connection]:
        """Return a connection for the length of this context; raises OSError."""
        self._files.here.refused = None
        with self._lock:
            connection = self._idle.pop(location, None)
        try:
            if connection is None:
                connection = self._connect(location)
            yield connection
        except BaseException as error:
            if connection is not None and not _is_whole_after(connection, error):
                _close(connection)
            elif connection is not None:
                self._give_back(location, connection)
            if isinstance(error, apsw.Error):
                raise self._translated(error) from error
            raise
        self._give_back(location, connection)

    def _connect(self, location: Location) -> apsw.Connection:
        # Statements of packages are compiled each time, as what they may do differs (`package_sql`).
        is_sql = location.parts[-1].startswith(SQL)
        cache = 0 if is_sql else _CACHED
        path, files = self._files.path(location), self._files
        connection = apsw.Connection(path, vfs=files.file_system, statementcachesize=cache)
        try:
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
            connection.limit(apsw.SQLITE_LIMIT_LENGTH, _ROW)
            for setting in _SETTINGS:
                _do(connection, setting)
            if is_sql:
                package_sql.prepare(connection)
        except BaseException:
            _close(connection)
            raise
        return connection

    def _give_back(self, location: Location, connection: apsw.Connection) -> None:
        oldest = None
        with self._lock:
            if self._closed:
                oldest = connection
            else:
                self._idle[location] = connection
                if len(self._idle) > MAX_IDLE:
                    _, oldest = self._idle.popitem(last=False)
        if oldest is not None:
            _close(oldest)

    def _translated(self, error: apsw.Error) -> OSError:
        if isinstance(error, apsw.FullError):
            return self._files.here.refused or OSError(errno.ENOSPC, "No space left on device")
        if isinstance(error, (apsw.CorruptError, apsw.NotADBError, apsw.SQLError, apsw.MismatchError)):
            return OSError(errno.EIO, f"the database is damaged ({error})")
        return OSError(errno.EIO, f"SQLite: {error}")


def file_of(kind: str, name: str) -> str:
    """Return the name of a database's file: readable where it can be, and another one for each kind and name."""
    return (
        f"{kind}-{name}{DATABASE_SUFFIX}"
        if _READABLE.fullmatch(name)
        else f"{kind}.{blake3(name.encode()).hexdigest(16)}{DATABASE_SUFFIX}"
    )


def named_by(file: str) -> tuple[str, str] | None:
    """Return the kind and name of the database in a file of that name; None: its name cannot be told from that."""
    kind, dash, name = file.removesuffix(DATABASE_SUFFIX).partition("-")
    return (kind, name) if dash and _READABLE.fullmatch(name) and file == file_of(kind, name) else None


def _beside(location: Location, suffix: str) -> Location:
    return Location(location.root, (*location.parts[:-1], location.parts[-1] + suffix))


def _is_whole_after(connection: apsw.Connection, error: BaseException) -> bool:
    """Undo what a failed operation has begun; return whether the connection can go on."""
    if not isinstance(error, (apsw.FullError, apsw.ConstraintError, apsw.TooBigError)):
        return False
    try:
        if not connection.get_autocommit():
            _do(connection, "ROLLBACK")
    except apsw.Error:
        return False
    return True


def _put_one(connection: apsw.Connection, key: bytes, value: Buffer | None) -> None:
    """Write a key's value; None: it is to be gone."""
    if value is None:
        _do(connection, _DELETE, (key,))
    else:
        _do(connection, _PUT, (key, value))


def _free_pages(connection: apsw.Connection) -> None:
    """Give pages that nothing is in back to the file system, and the log's."""
    before, pages = 0, connection.pragma("freelist_count")
    with suppress(apsw.FullError):  # what was removed is removed
        for _ in range(_FREEINGS):
            if pages and pages != before:
                _do(connection, f"PRAGMA incremental_vacuum({_FREED_PAGES})")
            _do(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
            before, pages = pages, connection.pragma("freelist_count")
            if not pages or pages == before:
                break


def _close(connection: apsw.Connection) -> None:
    with suppress(apsw.Error):
        connection.close(True)


def _do(connection: apsw.Connection, statement: str, values: tuple[Any, ...] = ()) -> None:
    for _ in connection.execute(statement, values):
        pass
