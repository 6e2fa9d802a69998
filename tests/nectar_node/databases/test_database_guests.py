"""Databases as guests see them that were compiled for each interface, on a simulated node."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernel.contract.guest import Arrival
from kernel.wasm.wit import INTERFACES, Interface
from testnet.sim.node import NodeSpec, SimNode
from testnet.sim.programs import Programs
from testnet.sim.simulation import Simulation
from tests.kernel.wasm.official import component
from tests.kernel.wasm.puppet import Script, dumped, imports_of, puppet

PACKAGE = {"package_name": "guest", "publisher_node": "x.nec"}
EARLY = ["nectar:process/standard@0.7.0", "kinode:process/standard@0.7.0", "kinode:process/standard@0.8.0"]
LATE = ["kinode:process/standard@1.0.0", "hyperware:process/standard@1.0.0"]


class Guest:
    """A puppet of one interface that runs on a simulated node and sends what it is told to."""

    def __init__(self, folder: Path, programs: Programs, module: str) -> None:
        self.interface: Interface = INTERFACES[module]
        package = folder / "guest"
        package.mkdir()
        (package / "guest.wasm").write_bytes(component(module, puppet(imports_of(self.interface))))
        (package / "metadata.json").write_text(json.dumps({"package": "guest", "publisher": "x.nec"}))
        wanted = ["kv:distro:sys", "sqlite:distro:sys"]
        entry = {"process_name": "main", "process_wasm_path": "/guest.wasm", "request_capabilities": wanted}
        (package / "manifest.json").write_text(json.dumps([entry]))
        self.lab = Simulation(1, programs)
        self.node: SimNode = self.lab.boot_node(NodeSpec("a.nec", (package,)))
        self.lab.wait(lambda: self.lab.ready("a.nec"), 60.0)

    def ask(self, process: str, action: object, blob: bytes | None = None, db: str = "d") -> Any:
        """Let the guest send a request and return what its `receive` got: the JSON, and the blob if there is one."""
        body = json.dumps({"package_id": PACKAGE, "db": db, "action": action}).encode()
        script = Script(self.interface)
        carried = None if blob is None else (None, blob)
        target = ("a.nec", (process, "distro", "sys"))
        script.call("send-and-await-response", target, (False, 10, body, None, ()), carried, slot=0)
        script.call("get-blob", slot=1)
        answer = self.node.ask("our@main:guest:x.nec", script.dump().body(), 60)
        assert isinstance(answer, Arrival)
        memory = answer.message.body
        outcome: Any = dumped(memory, script.function("send-and-await-response"), 0)
        found: Any = dumped(memory, script.function("get-blob"), 1)
        failed, (_, (_, (response, _))) = outcome
        assert not failed
        value = json.loads(bytes(response[1]))
        return (value, bytes(found[1])) if found is not None and blob is None else value


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
    guest.lab.restart("a.nec")
    guest.lab.wait(lambda: guest.lab.ready("a.nec"), 60.0)
    guest.node = guest.lab.nodes["a.nec"]
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
    text = "no such table: u"
    assert query("SELECT * FROM u") == error({"RusqliteError": text if late else {"error": text}})
    assert query("DROP TABLE t") == error("NotAReadKeyword")
