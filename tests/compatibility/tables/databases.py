"""kv:distro:sys and sqlite:distro:sys."""

from __future__ import annotations

from typing import Any as Json

from tests.compatibility.case import GENERATIONS, Any, Ask, Each, Keep, Play, Table
from tests.compatibility.guest import Guest

PACKAGE = {"package_name": "tester", "publisher_node": "$NODE"}
OTHER = {"package_name": "other", "publisher_node": "package.nec"}
KEY = list(b"key")


def _err(early: Json, late: Json) -> Json:
    return {"Err": Each({"error": early}, late)}


def _do(name: str, action: Json, answer: Json = "Ok", *, db: str = "d", package: Json = PACKAGE, **more: Json) -> Ask:
    body: Json = {"package_id": package, "db": db, "action": action}
    if isinstance(action, Each):
        body = Each(**{each: body for each in GENERATIONS if action[each] is not None})
    return Ask(name, body, answer, **more)


FULL = _err({"IOError": {"error": Any(str)}}, {"IOError": Any(str)})


def _grants(process: str) -> Json:
    def run(guest: Guest) -> str | None:
        held = guest.capabilities()
        key = [{"package_name": "tester", "publisher_node": guest.node}, "d"]
        missing = [kind for kind in ("read", "write") if (process, {"kind": kind, "db_key": key}) not in held]
        return f"not held: {' and '.join(missing)}" if missing else None

    return run


def _shared(no_read: Json) -> tuple[Ask, ...]:
    no_cap = {"NoCap": {"error": Any(str)}}
    return (
        _do("Error: no database (`NoDb`)", no_read, _err("NoDb", {"NoDb": [PACKAGE, "none"]}), db="none"),
        _do("Error: no transaction (`NoTx`)", {"Commit": {"tx_id": 7777}}, _err("NoTx", {"NoTx": 7777})),
        _do("Error: another's database (`NoCap`, `NoReadCap`)", no_read, _err(no_cap, "NoReadCap"), package=OTHER),
        _do(
            "Error: opening another's (`NoCap`, `MismatchingPackageId`)",
            "Open",
            _err(no_cap, "MismatchingPackageId"),
            package=OTHER,
        ),
        _do(
            "Error: no such action (`InputError`, `MalformedRequest`)",
            "Nonsense",
            _err({"InputError": {"error": Any(str)}}, "MalformedRequest"),
        ),
        Ask(
            "Error: no JSON (`InputError`, `MalformedRequest`)",
            b"nonsense",
            _err({"InputError": {"error": Any(str)}}, "MalformedRequest"),
        ),
    )


GET = {"Get": Each({"key": KEY}, KEY)}
NO_KEY = {"Get": Each({"key": list(b"none")}, list(b"none"))}

SETTING = {"Set": {"key": KEY, "tx_id": None}}

KV = Table(
    "kv:distro:sys",
    "kv:distro:sys",
    (
        _do("`Open`", "Open"),
        Play("`Open` gives the capabilities of the database to whoever asked", _grants("kv:distro:sys")),
        _do("`Set`", {"Set": {"key": KEY, "tx_id": None}}, blob=b"value"),
        _do("`Get`", GET, GET, gets=b"value"),
        _do("`BeginTx`", "BeginTx", {"BeginTx": {"tx_id": Keep("tx")}}),
        _do("`Set` in a transaction", {"Set": {"key": KEY, "tx_id": Keep("tx")}}, blob=b"other"),
        _do("`Delete` in a transaction", {"Delete": {"key": list(b"none"), "tx_id": Keep("tx")}}),
        _do("`Commit`", {"Commit": {"tx_id": Keep("tx")}}),
        _do("`Get` after it", GET, GET, gets=b"other"),
        _do("`Delete`", {"Delete": {"key": KEY, "tx_id": None}}),
        _do("`Backup`", Each("Backup", None)),
        _do("Error: no such key (`KeyNotFound`)", NO_KEY, _err("KeyNotFound", "KeyNotFound")),
        *_shared(GET),
        _do(
            "Error: another's database, to write (`NoCap`, `NoWriteCap`)",
            {"Set": {"key": KEY, "tx_id": None}},
            _err({"NoCap": {"error": Any(str)}}, "NoWriteCap"),
            package=OTHER,
            blob=b"x",
        ),
        _do(
            "Error: no blob (`InputError`, `MalformedRequest`)",
            {"Set": {"key": KEY, "tx_id": None}},
            _err({"InputError": {"error": Any(str)}}, "MalformedRequest"),
        ),
        _do("Error: the disk is full (`IOError`)", SETTING, FULL, blob=bytes(1 << 20), full_disk=True),
        _do("`RemoveDb`", "RemoveDb"),
    ),
)


def _read(text: str) -> Json:
    return Each({"Read": {"query": text}}, {"Query": text})


def _write(text: str, tx: Json = None) -> Json:
    return {"Write": {"statement": text, "tx_id": tx}}


SQLITE = Table(
    "sqlite:distro:sys",
    "sqlite:distro:sys",
    (
        _do("`Open`", "Open"),
        Play("`Open` gives the capabilities of the database to whoever asked", _grants("sqlite:distro:sys")),
        _do("`Write`", _write("CREATE TABLE t (a TEXT, b INTEGER, c BLOB)")),
        _do("`Write` with parameters", _write("INSERT INTO t VALUES (?, ?, x'01')"), blob=b'["one", 1]'),
        _do("`Read` (A, B), `Query` (C)", _read("SELECT * FROM t"), "Read", gets=b'[{"a":"one","b":1,"c":"AQ=="}]'),
        _do(
            "`Read`, `Query` with parameters",
            _read("SELECT a FROM t WHERE b = ?"),
            "Read",
            blob=b"[1]",
            gets=b'[{"a":"one"}]',
        ),
        _do("`BeginTx`", "BeginTx", {"BeginTx": {"tx_id": Keep("tx")}}),
        _do("`Write` in a transaction", _write("INSERT INTO t VALUES ('two', 2, NULL)", Keep("tx"))),
        _do("`Commit`", {"Commit": {"tx_id": Keep("tx")}}),
        _do("`Read`, `Query` after it", _read("SELECT count(*) AS n FROM t"), "Read", gets=b'[{"n":2}]'),
        _do("`Backup`", Each("Backup", None)),
        *_shared(_read("SELECT 1")),
        _do(
            "Error: another's database, to write (`NoCap`, `NoWriteCap`)",
            _write("DELETE FROM t"),
            _err({"NoCap": {"error": Any(str)}}, "NoWriteCap"),
            package=OTHER,
        ),
        _do(
            "Error: a query that writes (`NotAReadKeyword`)",
            _read("DELETE FROM t"),
            _err("NotAReadKeyword", "NotAReadKeyword"),
        ),
        _do(
            "Error: a write that reads (`NotAWriteKeyword`)",
            _write("SELECT 1"),
            _err("NotAWriteKeyword", "NotAWriteKeyword"),
        ),
        _do(
            "Error: SQLite's own (`RusqliteError`)",
            _read("SELECT * FROM u"),
            _err({"RusqliteError": {"error": Any(str)}}, {"RusqliteError": Any(str)}),
        ),
        _do(
            "Error: no parameters (`InvalidParameters`)",
            _write("INSERT INTO t VALUES (?, 1, NULL)"),
            _err("InvalidParameters", "InvalidParameters"),
            blob=b"nonsense",
        ),
        _do(
            "Error: the disk is full (`IOError`)",
            _write("INSERT INTO t VALUES (hex(zeroblob(400000)), 1, NULL)"),
            FULL,
            full_disk=True,
        ),
        _do("`RemoveDb`", "RemoveDb"),
    ),
)
