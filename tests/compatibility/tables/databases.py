"""kv:distro:sys and sqlite:distro:sys."""

from __future__ import annotations

import json
from typing import Any as Json

from nectar_node.storage.operations import DATABASES, Location
from tests.compatibility.case import GENERATIONS, Any, Ask, Each, Keep, Matching, Play, Table, by
from tests.compatibility.guest import Guest
from tests.compatibility.tables.files import change, holding_too_much

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


def _not_given(process: str) -> Json:
    def run(guest: Guest) -> str | None:
        package = {"package_name": "tester", "publisher_node": guest.node}
        got = holding_too_much(guest, process, {"package_id": package, "db": "much", "action": "Open"})
        expected = by(guest.generation, _err({"NoCap": {"error": Any(str)}}, "AddCapFailed"))
        return None if Matching().fits(expected, json.loads(got.body)) else got.shown()

    return run


def _passed_on(process: str, no_read: Json) -> Json:
    """Who was given the capability to read another package's database gets as far as its owner: there is none here."""

    def run(guest: Guest) -> str | None:
        key = [OTHER, "d"]
        right = [{"issuer": f"{guest.node}@{process}", "params": json.dumps({"kind": "read", "db_key": key})}]
        change(guest, "GrantCapabilities", right)
        asked = {"package_id": OTHER, "db": "d", "action": by(guest.generation, no_read)}
        got = guest.ask(process, json.dumps(asked).encode())
        change(guest, "DropCapabilities", right)
        expected = by(guest.generation, _err("NoDb", {"NoDb": key}))
        return None if Matching().fits(expected, json.loads(got.body)) else got.shown()

    return run


def _damaged(process: str, asked: Json, error: str) -> Json:
    """The disk has damaged a database, the node boots again, and the package asks for something in it."""

    def run(guest: Guest) -> str | None:
        package = {"package_name": "tester", "publisher_node": guest.node}
        guest.ask(process, json.dumps({"package_id": package, "db": "bad", "action": "Open"}).encode())
        disk, file = guest.core.disk, f"{process.partition(':')[0]}-bad.db"
        place = (f"{guest.node}/vfs", guest.package, DATABASES, file)
        guest.lab.crash(guest.node)
        for path in [path for path in disk.paths() if path[:3] == place[:3] and path[3].startswith(file)]:
            disk.put(Location(path[0], path[1:]), bytes(range(256)) * 64 if path == place else b"")
        guest.lab.start(guest.node)
        guest.lab.wait(lambda: guest.lab.ready(guest.node), 60.0)
        told = {"package_id": package, "db": "bad", "action": by(guest.generation, asked)}
        got = guest.ask(process, json.dumps(told).encode())
        found = json.loads(got.body)["Err"]
        return None if error in (found if guest.generation == "C" else found["error"]) else got.shown()

    return run


def _shared(process: str, no_read: Json) -> tuple[Ask | Play, ...]:
    no_cap = {"NoCap": {"error": Any(str)}}
    return (
        Play("Error: the opener cannot be given more (`NoCap`, `AddCapFailed`)", _not_given(process)),
        Play("The capability to read another's database, passed on, lets it be read", _passed_on(process, no_read)),
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
        *_shared("kv:distro:sys", GET),
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
        Play("Error: a damaged database (`RocksDBError`)", _damaged("kv:distro:sys", GET, "RocksDBError")),
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
        _do("`Write` with bytes among the parameters, in base64", _write("UPDATE t SET c = ?"), blob=b'["/wA="]'),
        _do(
            "`Read`, `Query` with bytes among the parameters, and bytes in the rows",
            _read("SELECT typeof(c) AS kind, c FROM t WHERE c = ?"),
            "Read",
            blob=b'["/wA="]',
            gets=b'[{"kind":"blob","c":"/wA="}]',
        ),
        _do("`BeginTx`", "BeginTx", {"BeginTx": {"tx_id": Keep("tx")}}),
        _do("`Write` in a transaction", _write("INSERT INTO t VALUES ('two', 2, NULL)", Keep("tx"))),
        _do("`Commit`", {"Commit": {"tx_id": Keep("tx")}}),
        _do("`Read`, `Query` after it", _read("SELECT count(*) AS n FROM t"), "Read", gets=b'[{"n":2}]'),
        _do("`Backup`", Each("Backup", None)),
        *_shared("sqlite:distro:sys", _read("SELECT 1")),
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
        Play(
            "Error: a damaged database (`RusqliteError`)",
            _damaged("sqlite:distro:sys", _read("SELECT count(*) FROM sqlite_schema"), "RusqliteError"),
        ),
    ),
)
