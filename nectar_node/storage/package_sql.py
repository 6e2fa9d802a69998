"""SQL of a package on a database of its own: untrusted, and so bounded in what it does, how long, and in what it keeps.

SQLite's authorizer refuses, when a statement is compiled, all that reaches beyond the database: other files,
extensions, virtual and temporary tables, settings, transactions of its own. A reading statement may not write either.
While one runs, a handler counts its steps, its time and SQLite's memory. It ends the statement beyond the bounds, and
puts it off when others may have their turn. Functions that take the square of the length of a text are replaced, since
SQLite counts a call as one step.

Source: https://www.sqlite.org/security.html, https://www.sqlite.org/c3ref/c_alter_table.html.
"""

from __future__ import annotations

import base64
import math
import threading
from collections.abc import Callable
from typing import Any

import apsw
import msgspec

from nectar_node.storage import operations as ops
from nectar_node.storage.sliced import PutOff

MAX_VALUE_BYTES = 1 << 20
"""Bytes of a text, a blob or a row: bulk data is for files."""
MAX_SQL_BYTES = 256 << 10
"""Bytes of a statement."""
MAX_RESULT_BYTES = 8 << 20
"""Bytes of all rows of a query, as JSON."""
MAX_STEPS = 30_000_000
"""Steps of SQLite's machine in one request: about a second of simple ones. Counting them ends a query at the same
place each time, in a simulation too."""
MAX_SECONDS = 2.0
"""Seconds of one request, for steps that are not simple."""
SLICE_STEPS = 300_000
"""Steps after which a request is put off: about ten milliseconds of simple ones."""
SLICE_SECONDS = 0.01
"""Seconds after which it is, for steps that are not simple."""
MAX_MEMORY = 64 << 20
"""Bytes that SQLite may take in this process, beyond what it has, while a request runs: several are begun at a time."""
MAX_HEAP = 1 << 30
"""Bytes that SQLite may take in this process, beyond what it has, while requests of packages run: one statement may
hold many values between two looks.
"""
MAX_FUNCTIONS = 250
"""Calls of functions that are written in one statement: SQLite looks at its steps only where a program jumps back, and
each call may take milliseconds.
"""
MAX_TRIMMED = 256
"""Characters that `trim` may be told to remove: it compares each with each."""
_STEPS_BETWEEN = 200
"""Steps between two looks: each may make a value of `MAX_VALUE_BYTES`."""
_LIMITS = {
    apsw.SQLITE_LIMIT_LENGTH: MAX_VALUE_BYTES,
    apsw.SQLITE_LIMIT_SQL_LENGTH: MAX_SQL_BYTES,
    apsw.SQLITE_LIMIT_COLUMN: 200,
    apsw.SQLITE_LIMIT_EXPR_DEPTH: 100,
    apsw.SQLITE_LIMIT_COMPOUND_SELECT: 100,
    apsw.SQLITE_LIMIT_VDBE_OP: 10_000,
    apsw.SQLITE_LIMIT_FUNCTION_ARG: 100,
    apsw.SQLITE_LIMIT_ATTACHED: 0,
    apsw.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 256,
    apsw.SQLITE_LIMIT_VARIABLE_NUMBER: 4096,
    apsw.SQLITE_LIMIT_TRIGGER_DEPTH: 10,
    apsw.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_READING = frozenset(
    (apsw.SQLITE_SELECT, apsw.SQLITE_READ, apsw.SQLITE_FUNCTION, apsw.SQLITE_RECURSIVE, apsw.SQLITE_PRAGMA)
)
_WRITING = _READING | {
    apsw.SQLITE_INSERT,
    apsw.SQLITE_UPDATE,
    apsw.SQLITE_DELETE,
    apsw.SQLITE_CREATE_INDEX,
    apsw.SQLITE_CREATE_TABLE,
    apsw.SQLITE_CREATE_TRIGGER,
    apsw.SQLITE_CREATE_VIEW,
    apsw.SQLITE_DROP_INDEX,
    apsw.SQLITE_DROP_TABLE,
    apsw.SQLITE_DROP_TRIGGER,
    apsw.SQLITE_DROP_VIEW,
    apsw.SQLITE_ALTER_TABLE,
    apsw.SQLITE_REINDEX,
}
_PRAGMAS = frozenset(
    (
        "foreign_key_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "table_info",
        "table_list",
        "table_xinfo",
    )
)
"""Those that describe a table, named by their argument."""
_VALUES = frozenset(("encoding", "foreign_keys", "freelist_count", "page_count", "page_size", "user_version"))
"""Those that tell a value, without an argument."""
_NO_FUNCTIONS = frozenset(("fts3_tokenizer", "json_patch", "jsonb_patch", "load_extension"))
"""Functions that reach beyond the database, or take the square of the length of what they get."""
_NO_TABLES = frozenset(("bytecode", "carray", "dbstat", "sqlite_dbpage", "sqlite_stmt", "tables_used"))
"""Tables that are SQLite's own windows on the file and the process."""


def prepare(connection: apsw.Connection) -> None:
    """Bound what statements on a connection may be, for good."""
    for limit, value in _LIMITS.items():
        connection.limit(limit, value)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 1)  # as the existing node has it
    flags = apsw.SQLITE_INNOCUOUS
    for name, count, function in _FUNCTIONS:
        connection.create_scalar_function(name, function, count, deterministic=True, flags=flags)


class _TooMuch(Exception):
    """The result is longer than it may be."""


class _HeapLimit:
    """Bounds what SQLite takes in this process for as long as at least one request runs."""

    def __init__(self) -> None:
        self._running = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            if not self._running:
                apsw.hard_heap_limit(apsw.memory_used() + MAX_HEAP)
            self._running += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._running -= 1
            if not self._running:
                apsw.hard_heap_limit(0)


_heap_limit = _HeapLimit()


class _Bounds:
    """What is left of the bounds of one request."""

    def __init__(self, clock: Callable[[], float], pause: PutOff) -> None:
        self._clock = clock
        self._pause = pause
        self._steps = MAX_STEPS
        self._seconds = MAX_SECONDS
        self._most = apsw.memory_used() + MAX_MEMORY  # of all databases: what others have is not this statement's
        self._slice_steps = SLICE_STEPS
        self._slice_began = clock()

    def ends(self) -> bool:
        """Take note of some more steps; return whether it ends."""
        self._steps -= _STEPS_BETWEEN
        self._slice_steps -= _STEPS_BETWEEN
        took = self._clock() - self._slice_began
        if self._steps < 0 or took > self._seconds or apsw.memory_used() > self._most:
            return True
        if self._slice_steps > 0 and took < SLICE_SECONDS:
            return False
        self._seconds -= took
        before = apsw.memory_used()
        if self._pause():
            return True
        self._most += apsw.memory_used() - before
        self._slice_steps, self._slice_began = SLICE_STEPS, self._clock()
        return False


def run(connection: apsw.Connection, operation: ops.RunSql, clock: Callable[[], float], pause: PutOff) -> ops.Outcome:
    """Carry out statements, all or none; `pause` lets others have their turn.

    The outcome of a wrong statement is a DiskError. Raises apsw.Error if the disk, or the file, is at fault.
    """
    with _heap_limit:
        return _run(connection, operation, _Bounds(clock, pause).ends)


def _run(connection: apsw.Connection, operation: ops.RunSql, ends: Callable[[], bool]) -> ops.Outcome:
    try:
        if not operation.writes:
            connection.set_progress_handler(ends, _STEPS_BETWEEN)
            (statement,) = operation.statements
            return _read(connection, statement)
        _do(connection, "BEGIN IMMEDIATE")
        connection.set_progress_handler(ends, _STEPS_BETWEEN)
        for statement in operation.statements:
            for _ in _rows(connection, statement, _WRITING):
                pass
        connection.set_progress_handler(None)
        _do(connection, "COMMIT")
        return None
    except apsw.FullError:
        if operation.writes:
            raise
        return _refused("it sorts or keeps too much at a time")  # in a temporary file
    except (apsw.CorruptError, apsw.NotADBError, apsw.IOError, apsw.CantOpenError):
        raise
    except apsw.InterruptError:
        return _refused("it takes too long, or too much memory")
    except _TooMuch:
        return _refused(f"the result is longer than {MAX_RESULT_BYTES} bytes: ask for less at a time")
    except (apsw.Error, TypeError, ValueError, OverflowError, MemoryError) as error:
        return _refused(str(error) or type(error).__name__)
    finally:
        connection.set_progress_handler(None)
        if not connection.get_autocommit():
            _do(connection, "ROLLBACK")


def _refused(text: str) -> ops.DiskError:
    return ops.DiskError(ops.DiskFault.OTHER, text[:1000])


def _read(connection: apsw.Connection, statement: ops.Statement) -> bytes:
    pieces, left = list[bytes](), MAX_RESULT_BYTES
    for row in _rows(connection, statement, _READING):
        # Before it is written as JSON, which is at most six times as long.
        size = sum(len(value) for value in row.values() if isinstance(value, (str, bytes)))
        if size > left:
            raise _TooMuch
        piece = msgspec.json.encode({name: _json(value) for name, value in row.items()})
        left -= len(piece) + 1
        if left < 0:
            raise _TooMuch
        pieces.append(piece)
    return b"[" + b",".join(pieces) + b"]"


def _json(value: Any) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _rows(connection: apsw.Connection, statement: ops.Statement, allowed: frozenset[int]) -> Any:
    """Yield the rows of one statement, by the names of their columns."""
    connection.authorizer = _authorizer(allowed)
    begun = 0

    def one(cursor: apsw.Cursor, sql: str, values: Any) -> bool:
        nonlocal begun
        begun += 1
        if begun > 1:
            raise ValueError("it is more than one statement")
        return True

    cursor = connection.cursor()
    cursor.exec_trace = one
    try:
        names: list[str] | None = None
        for row in cursor.execute(statement.text, statement.parameters, can_cache=False):
            if names is None:
                names = [column[0] for column in cursor.get_description()]
            yield dict(zip(names, row, strict=True))
    finally:
        cursor.close(True)
        connection.authorizer = None


def _authorizer(allowed: frozenset[int]) -> Callable[[int, str | None, str | None, str | None, str | None], int]:
    functions = 0

    def authorize(action: int, first: str | None, second: str | None, _: str | None, __: str | None) -> int:
        refused = action not in allowed
        if action == apsw.SQLITE_FUNCTION:
            nonlocal functions
            functions += 1
            refused = functions > MAX_FUNCTIONS or (second or "").lower() in _NO_FUNCTIONS
        elif action == apsw.SQLITE_READ:
            refused = (first or "").lower() in _NO_TABLES
        elif action == apsw.SQLITE_PRAGMA:
            refused = not (first in _PRAGMAS or (first in _VALUES and second is None))
        return apsw.SQLITE_DENY if refused else apsw.SQLITE_OK

    return authorize


def _do(connection: apsw.Connection, statement: str) -> None:
    for _ in connection.execute(statement):
        pass


# --- functions --------------------------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, str) else str(value)


def _instr(where: Any, what: Any) -> int | None:
    if where is None or what is None:
        return None
    if isinstance(where, bytes) and isinstance(what, bytes):
        return where.find(what) + 1
    return _text(where).find(_text(what)) + 1


def _replace(where: Any, old: Any, new: Any) -> str | None:
    if where is None or old is None or new is None:
        return None
    text, before, after = _text(where), _text(old), _text(new)
    if not before:
        return text
    if len(text) + text.count(before) * (len(after) - len(before)) > MAX_VALUE_BYTES:
        raise ValueError("string or blob too big")
    return text.replace(before, after)


def _trimming(strip: Callable[[str, str], str]) -> Callable[..., str | None]:
    def trim(text: Any, characters: Any = " ") -> str | None:
        if text is None or characters is None:
            return None
        removed = _text(characters)
        if len(removed) > MAX_TRIMMED:
            raise ValueError(f"trim removes at most {MAX_TRIMMED} characters")
        return strip(_text(text), removed) if removed else _text(text)

    return trim


_FUNCTIONS: tuple[tuple[str, int, Callable[..., Any]], ...] = (
    ("instr", 2, _instr),
    ("replace", 3, _replace),
    *(
        (name, count, _trimming(strip))
        for name, strip in (("trim", str.strip), ("ltrim", str.lstrip), ("rtrim", str.rstrip))
        for count in (1, 2)
    ),
)
