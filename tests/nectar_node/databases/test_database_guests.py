"""Databases as guests see them that were compiled for each interface, on a simulated node."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernel.contract import limits
from nectar_node.storage.operations import DATABASES, Location
from testnet.sim.programs import Programs
from tests.nectar_node.puppet_guest import EARLY, LATE, NODE, PuppetGuest

PACKAGE = {"package_name": "guest", "publisher_node": "x.nec"}
EACH_GENERATION = (*EARLY[1:], LATE[-1])
ANOTHER = {"package_name": "another", "publisher_node": "x.nec"}


class Guest(PuppetGuest):
    """A puppet that uses the database `d` of its package."""

    def __init__(self, folder: Path, programs: Programs, module: str) -> None:
        super().__init__(folder, programs, module, ["kv:distro:sys", "sqlite:distro:sys"])

    def ask(self, process: str, request: object, blob: bytes | None = None, of: object = PACKAGE) -> Any:
        """Return the JSON of an answer, and the blob if there is one."""
        body = json.dumps({"package_id": of, "db": "d", "action": request}).encode()
        answer, found = self.send((process, "distro", "sys"), body, blob)
        value = json.loads(answer)
        return value if found is None else (value, found)


Start = Callable[[str], Guest]


@pytest.fixture
def start(tmp_path: Path, nectar_programs: Programs) -> Start:
    return lambda module: Guest(tmp_path, nectar_programs, module)


def setting(key: str, number: int | None = None) -> object:
    return {"Set": {"key": list(key.encode()), "tx_id": number}}


@pytest.mark.parametrize("module", EARLY + LATE)
def test_a_guest_of_each_interface_keeps_values_in_its_own_shapes(start: Start, module: str) -> None:
    guest, late = start(module), module in LATE
    no_db = {"NoDb": [PACKAGE, "d"]} if late else {"error": "NoDb"}
    assert guest.ask("kv", setting("a"), b"x") == {"Err": no_db}
    assert guest.ask("kv", "Open") == "Ok"
    assert guest.ask("kv", setting("a"), b"one") == "Ok"
    get = {"Get": [97]} if late else {"Get": {"key": [97]}}
    assert guest.ask("kv", get) == (get, b"one")
    number = guest.ask("kv", "BeginTx")["BeginTx"]["tx_id"]
    assert guest.ask("kv", setting("a", number), b"two") == "Ok"
    assert guest.ask("kv", {"Commit": {"tx_id": number}}) == "Ok"
    assert guest.ask("kv", get) == (get, b"two")
    guest.restart()
    assert guest.ask("kv", get) == (get, b"two")


@pytest.mark.parametrize("module", EARLY + LATE)
def test_a_guest_of_each_interface_carries_out_sql_in_its_own_shapes(start: Start, module: str) -> None:
    guest, late = start(module), module in LATE

    def query(text: str, values: bytes | None = None) -> Any:
        answer = guest.ask("sqlite", {"Query": text} if late else {"Read": {"query": text}}, values)
        return answer[1] if isinstance(answer, tuple) else answer

    def error(value: object) -> object:
        return {"Err": value if late else {"error": value}}

    assert query("SELECT 1 AS a") == error({"NoDb": [PACKAGE, "d"]} if late else "NoDb")
    assert guest.ask("sqlite", "Open") == "Ok"
    assert guest.ask("sqlite", {"Write": {"statement": "CREATE TABLE t (a, b)", "tx_id": None}}) == "Ok"
    insert = {"Write": {"statement": "INSERT INTO t VALUES (?, x'01')", "tx_id": None}}
    assert guest.ask("sqlite", insert, b'["one"]') == "Ok"
    assert query("SELECT * FROM t") == b'[{"a":"one","b":"AQ=="}]'
    pair = {"Write": {"statement": "INSERT INTO t VALUES (?, ?)", "tx_id": None}}
    assert guest.ask("sqlite", pair, b'["text!","AP8="]') == "Ok"
    assert query("SELECT *, hex(b) AS h FROM t WHERE b = x'00ff'") == b'[{"a":"text!","b":"AP8=","h":"00FF"}]'
    text = "no such table: u"
    assert query("SELECT * FROM u") == error({"RusqliteError": text if late else {"error": text}})
    assert query("DROP TABLE t") == error("NotAReadKeyword")


def spoil(guest: Guest, file: str) -> None:
    """Let the node's disk have damaged a database, and the node boot again."""
    disk, place = guest.node.disk, (f"{NODE}/vfs", "guest:x.nec", DATABASES, file)
    guest.lab.crash(NODE)
    for path in [path for path in disk.paths() if path[:3] == place[:3] and path[3].startswith(file)]:
        disk.put(Location(path[0], path[1:]), bytes(range(256)) * 64 if path == place else b"")
    guest.restart()


@pytest.mark.parametrize("module", EACH_GENERATION)
def test_a_guest_of_each_interface_knows_every_error_of_kv(
    start: Start, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest, late = start(module), module in LATE

    def errors(early: object, its_own: object) -> object:
        return {"Err": its_own if late else {"error": early}}

    def said(early: str, answer: Any) -> None:
        """Whether an answer is that error, with a sentence for people where the interface has room for one."""
        (inner,) = (answer["Err"] if late else answer["Err"]["error"]).items()
        assert inner[0] == early
        assert inner[1] if late else inner[1]["error"]

    get: object = {"Get": [97]} if late else {"Get": {"key": [97]}}
    assert guest.ask("kv", get) == errors("NoDb", {"NoDb": [PACKAGE, "d"]})
    with monkeypatch.context() as patch:
        patch.setattr(limits, "MAX_GIVEN_CAPABILITIES", 1)
        text = "the process holds too many capabilities to be given those of the database"
        assert guest.ask("kv", "Open") == errors({"NoCap": {"error": text}}, "AddCapFailed")
    assert guest.ask("kv", "Open") == "Ok"
    assert guest.ask("kv", get) == errors("KeyNotFound", "KeyNotFound")
    assert guest.ask("kv", {"Commit": {"tx_id": 7}}) == errors("NoTx", {"NoTx": 7})
    for action, kind in ((get, "NoReadCap"), ("BeginTx", "NoWriteCap"), ("Open", "MismatchingPackageId")):
        answer = guest.ask("kv", action, of=ANOTHER)
        assert answer == {"Err": kind} if late else list(answer["Err"]["error"]) == ["NoCap"]
    for action in ("Nonsense", setting("a"), {"Set": {}}, {"Get": "a"}):
        answer = guest.ask("kv", action)
        assert answer == {"Err": "MalformedRequest"} if late else list(answer["Err"]["error"]) == ["InputError"]
    guest.node.disk.full = True
    said("IOError", guest.ask("kv", setting("a"), bytes(100_000)))
    guest.node.disk.full = False
    assert guest.ask("kv", setting("a"), b"x") == "Ok"
    spoil(guest, "kv-d.db")
    answer = guest.ask("kv", get)
    said("RocksDBError", answer)
    assert late or answer["Err"]["error"]["RocksDBError"]["action"] == "Get"


@pytest.mark.parametrize("module", EACH_GENERATION)
def test_a_guest_of_each_interface_knows_every_error_of_sqlite(
    start: Start, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest, late = start(module), module in LATE

    def errors(early: object, its_own: object) -> object:
        return {"Err": its_own if late else {"error": early}}

    def query(text: str) -> object:
        return {"Query": text} if late else {"Read": {"query": text}}

    def write(text: str, number: int | None = None) -> object:
        return {"Write": {"statement": text, "tx_id": number}}

    def kinds(answer: Any) -> list[str]:
        return [*(answer["Err"] if late else answer["Err"]["error"])]

    assert guest.ask("sqlite", query("SELECT 1")) == errors("NoDb", {"NoDb": [PACKAGE, "d"]})
    with monkeypatch.context() as patch:
        patch.setattr(limits, "MAX_GIVEN_CAPABILITIES", 1)
        text = "the process holds too many capabilities to be given those of the database"
        assert guest.ask("sqlite", "Open") == errors({"NoCap": {"error": text}}, "AddCapFailed")
    assert guest.ask("sqlite", "Open") == "Ok"
    for action in ({"Commit": {"tx_id": 7}}, write("DELETE FROM t", 7)):
        assert guest.ask("sqlite", action) == errors("NoTx", {"NoTx": 7})
    for action, kind in (
        (query("SELECT 1"), "NoReadCap"),
        (write("DELETE FROM t"), "NoWriteCap"),
        ("Open", "MismatchingPackageId"),
    ):
        answer = guest.ask("sqlite", action, of=ANOTHER)
        assert answer == {"Err": kind} if late else kinds(answer) == ["NoCap"]
    answer = guest.ask("sqlite", "Nonsense")
    assert answer == {"Err": "MalformedRequest"} if late else kinds(answer) == ["InputError"]
    assert guest.ask("sqlite", query("DROP TABLE t")) == errors("NotAReadKeyword", "NotAReadKeyword")
    assert guest.ask("sqlite", write("SELECT 1")) == errors("NotAWriteKeyword", "NotAWriteKeyword")
    for blob in (b"{}", b"[[]]", b"nonsense"):
        assert guest.ask("sqlite", query("SELECT ?"), blob) == errors("InvalidParameters", "InvalidParameters")
    assert kinds(guest.ask("sqlite", write("CREATE nonsense"))) == ["RusqliteError"]
    assert guest.ask("sqlite", write("CREATE TABLE t (a)")) == "Ok"
    guest.node.disk.full = True
    assert kinds(guest.ask("sqlite", write("INSERT INTO t VALUES (zeroblob(100000))"))) == ["IOError"]
    guest.node.disk.full = False
    spoil(guest, "sqlite-d.db")
    assert kinds(guest.ask("sqlite", query("SELECT * FROM t"))) == ["RusqliteError"]
