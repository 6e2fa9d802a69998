"""Databases as guests see them that were compiled for each interface, on a simulated node."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from testnet.sim.programs import Programs
from tests.nectar_node.puppet_guest import EARLY, LATE, PuppetGuest

PACKAGE = {"package_name": "guest", "publisher_node": "x.nec"}


class Guest(PuppetGuest):
    """A puppet that uses the database `d` of its package."""

    def __init__(self, folder: Path, programs: Programs, module: str) -> None:
        super().__init__(folder, programs, module, ["kv:distro:sys", "sqlite:distro:sys"])

    def ask(self, process: str, request: object, blob: bytes | None = None) -> Any:
        """Return the JSON of an answer, and the blob if there is one."""
        body = json.dumps({"package_id": PACKAGE, "db": "d", "action": request}).encode()
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
