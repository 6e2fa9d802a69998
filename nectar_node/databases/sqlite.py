"""sqlite:distro:sys: databases (`nectar_node.databases.databases`) on which packages carry out SQL of their own.

{"Write": {"statement", "tx_id"}}, and {"Read": {"query"}} or {"Query": text}; the blob holds the values of the
parameters, a JSON array. The rows are the blob of the answer "Read": a JSON array of {column: value}, bytes in base64.
"Backup", which the first interfaces have, finds nothing left to do. What a statement may do, and how long, is for
`storage.package_sql`.

JSON has no bytes: a parameter that is text in base64 (RFC 4648, padded) is the bytes that it stands for, whatever the
guest's interface, as in the existing nodes; so is any other text that happens to be base64, such as `Jane`. It comes
back as the same text. Only SQL that looks at it sees a blob.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import msgspec

from kernel.contract.guest import Generation
from kernel.contract.message import Buffer, Envelope, LazyLoadBlob
from nectar_node.base.system_processes import SQLITE
from nectar_node.contract.json_shapes import field_untrusted, number_untrusted, text_untrusted
from nectar_node.databases.databases import Databases, DatabaseTask, Gathers, Name, Wrong
from nectar_node.storage.operations import Location, Operation, Outcome, Parameter, RunSql, Statement
from nectar_node.storage.package_databases import SQL
from nectar_node.storage.package_sql import MAX_SQL_BYTES

READS = frozenset(("SELECT", "VALUES", "WITH", "EXPLAIN", "PRAGMA"))
"""The words with which a query begins."""
WRITES = frozenset(("ALTER", "CREATE", "DELETE", "DROP", "INSERT", "REINDEX", "REPLACE", "UPDATE", "WITH"))
"""The words with which a statement that writes begins."""
MAX_PARAMETERS_BYTES = 4 << 20
"""Bytes of the values of a statement's parameters, as JSON: reading it takes the node's only thread."""
_LARGEST = 1 << 63


class Sqlite(Databases[Statement]):
    """The databases with SQL of one node."""

    id = SQLITE
    kind = SQL
    commits = Gathers.ALONE  # one that is wrong would undo the others
    reads = frozenset(("Read", "Query", "Backup"))

    def take_untrusted(self, envelope: Envelope, name: Name, action: str, argument: Any) -> None:
        """Queue a request of this process's own, or put it into a transaction; raises Wrong and RequestRefused."""
        match action:
            case "Read" | "Query":
                query = argument if isinstance(argument, str) else field_untrusted(argument, "query")
                statement = _statement_untrusted(query, envelope.blob, READS, "NotAReadKeyword")
                self.wait(envelope, name, action, RunSql(self.locate(name), (statement,), writes=False))
            case "Write":
                text = field_untrusted(argument, "statement")
                statement = _statement_untrusted(text, envelope.blob, WRITES, "NotAWriteKeyword")
                number = argument.get("tx_id")
                if number is None:
                    self.wait(envelope, name, action, RunSql(self.locate(name), (statement,), writes=True))
                    return
                transaction = self.transaction(number_untrusted(number, (1 << 64) - 1), name)
                size = len(statement.text.encode()) + (len(envelope.blob.bytes) if envelope.blob is not None else 0)
                self.collect(envelope, transaction, statement, size)
            case "Backup":  # all that was answered is durable: what is left to find is that there is a database
                statement = _statement_untrusted("SELECT 1", None, READS, "NotAReadKeyword")
                self.wait(envelope, name, action, RunSql(self.locate(name), (statement,), writes=False))
            case _:
                raise Wrong("Malformed", f"there is no action {action[:64]!r}")

    def commit(self, steps: list[Statement]) -> object:
        """Return the statements of a transaction."""
        return tuple(steps)

    def operation(self, location: Location, tasks: Sequence[DatabaseTask]) -> Operation:
        """Return the operation that carries out the statements of a task."""
        work = tasks[0].work
        return work if isinstance(work, RunSql) else RunSql(location, _statements(tasks), writes=True)

    def answer(self, task: DatabaseTask, outcome: Outcome, generation: Generation) -> tuple[object, Buffer | None]:
        """Return the answer to a task that is done."""
        return ("Read", outcome) if isinstance(outcome, bytes) and task.action != "Backup" else ("Ok", None)


def _statements(tasks: Sequence[DatabaseTask]) -> tuple[Statement, ...]:
    return tuple(each for task in tasks if isinstance(task.work, tuple) for each in task.work)


def _statement_untrusted(value: object, blob: LazyLoadBlob | None, words: frozenset[str], wrong: str) -> Statement:
    text = text_untrusted(value)
    if len(text.encode()) > MAX_SQL_BYTES:
        raise Wrong("Malformed", f"a statement has at most {MAX_SQL_BYTES} bytes")
    first = text.split(None, 1)[:1]
    if not first or first[0].upper() not in words:
        raise Wrong(wrong)
    return Statement(text, () if blob is None else _parameters_untrusted(blob.bytes))


def _parameters_untrusted(data: Buffer) -> tuple[Parameter, ...]:
    if len(data) > MAX_PARAMETERS_BYTES:
        raise Wrong("InvalidParameters")
    try:
        values = msgspec.json.decode(data) if len(data) else []
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Wrong("InvalidParameters") from None
    if not isinstance(values, list):
        raise Wrong("InvalidParameters")
    return tuple(map(_value, values))


def _value(value: object) -> Parameter:
    """Return what SQLite gets for one JSON value; raises Wrong."""
    if isinstance(value, str):
        return _bytes_of(value)
    if isinstance(value, int):  # true and false too
        try:
            return int(value) if -_LARGEST <= value < _LARGEST else float(value)
        except OverflowError:
            raise Wrong("InvalidParameters") from None
    if value is None or isinstance(value, float):
        return value
    raise Wrong("InvalidParameters")


def _bytes_of(text: str) -> str | bytes:
    """Return the bytes that a text in base64 stands for, or the text if it is not."""
    if len(text) % 4 or not text.isascii():
        return text
    try:
        decoded = base64.b64decode(text, validate=True)
    except binascii.Error:
        return text
    return decoded if base64.b64encode(decoded).decode() == text else text  # bits that nothing stands for are not 0
