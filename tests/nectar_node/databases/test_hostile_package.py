"""A package that takes all it can of kv and sqlite, beside one that wants a little: real guests on a simulated node."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from kernel.contract.guest import Arrival
from kernel.wasm.canonical.wit import INTERFACES
from nectar_node.databases.databases import MAX_TRANSACTIONS
from nectar_node.storage import package_sql
from nectar_node.storage.ledger import LENT_BYTES, Quotas
from testnet.sim.node import NodeSpec
from testnet.sim.programs import Programs
from testnet.sim.simulation import Simulation
from tests.kernel.wasm.official import component
from tests.kernel.wasm.puppet import Script, dumped, imports_of, puppet
from tests.nectar_node.puppet_guest import LATE, NODE
from tests.seeds import seeds

GREEDY, HONEST = "greedy", "honest"
QUOTA = 2 << 20
SECONDS = 1.0
"""Virtual seconds in which each request of the honest package is answered: a disk's slice has two milliseconds."""
ENDLESS = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) "


Asking = tuple[str, str, object, bytes | None]
"""A system process, a database, an action and a blob."""


class Neighbours:
    """Two packages on one node."""

    def __init__(self, folder: Path, programs: Programs, seed: int) -> None:
        self.interface = INTERFACES[LATE[-1]]
        places = []
        for name in (GREEDY, HONEST):
            place = folder / name
            place.mkdir()
            (place / "guest.wasm").write_bytes(component(LATE[-1], puppet(imports_of(self.interface))))
            (place / "metadata.json").write_text(json.dumps({"package": name, "publisher": "x.nec"}))
            entry = {
                "process_name": "main",
                "process_wasm_path": "guest.wasm",
                "request_capabilities": ["kv:distro:sys", "sqlite:distro:sys"],
            }
            (place / "manifest.json").write_text(json.dumps([entry]))
            places.append(place)
        self.lab = Simulation(seed, programs)
        self.lab.boot_node(NodeSpec(NODE, tuple(places), quotas=Quotas(bytes=QUOTA)))
        self.lab.wait(lambda: self.lab.ready(NODE), 60.0)

    def body(self, package: str, db: str, action: object) -> bytes:
        owner = {"package_name": package, "publisher_node": "x.nec"}
        return json.dumps({"package_id": owner, "db": db, "action": action}).encode()

    def ask(self, package: str, process: str, action: object, blob: bytes | None = None, db: str = "d") -> Any:
        """One request of a package, and its answer."""
        script = Script(self.interface)
        carried = None if blob is None else (None, blob)
        request = (False, 30, self.body(package, db, action), None, ())
        script.call("send-and-await-response", (NODE, (process, "distro", "sys")), request, carried, slot=0)
        answer = self.lab.nodes[NODE].ask(f"our@main:{package}:x.nec", script.dump().body(), 60)
        assert isinstance(answer, Arrival)
        outcome: Any = dumped(answer.message.body, script.function("send-and-await-response"), 0)
        failed, (_, (_, (response, _))) = outcome
        assert not failed
        return json.loads(bytes(response[1]))

    def send(self, requests: list[Asking], times: int = 1) -> None:
        """Let the greedy package send requests, each so many times, and wait for no answer."""
        script = Script(self.interface)
        function = script.function("send-request")
        calls = []
        for process, db, action, blob in requests:
            request = (False, None, self.body(GREEDY, db, action), None, ())
            carried = None if blob is None else (None, blob)
            values = ((NODE, (process, "distro", "sys")), request, None, carried)
            calls.append(script.numbers(function, values, 0))
        index = [each.name for each in self.interface.functions].index("send-request")
        for _ in range(times):
            for numbers in calls:
                script.raw(index, numbers)
        self.lab.nodes[NODE].begin_to_ask(f"our@main:{GREEDY}:x.nec", script.answer(b"").body(), 60, None)


def setting(key: str) -> object:
    return {"Set": {"key": list(key.encode()), "tx_id": None}}


def write(statement: str) -> object:
    return {"Write": {"statement": statement, "tx_id": None}}


@pytest.mark.parametrize("seed", seeds(2, 12))
def test_g23_g26_a_package_that_takes_all_it_can_delays_no_other_and_harms_none(
    tmp_path: Path, nectar_programs: Programs, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_sql, "SLICE_STEPS", 20_000)
    monkeypatch.setattr(package_sql, "MAX_STEPS", 400_000)
    chance, node = Random(seed), Neighbours(tmp_path, nectar_programs, seed)
    for package in (GREEDY, HONEST):
        for process in ("kv", "sqlite"):
            assert node.ask(package, process, "Open") == "Ok"
    for db in "efgh":
        assert node.ask(GREEDY, "sqlite", "Open", db=db) == "Ok"
    assert node.ask(HONEST, "sqlite", write("CREATE TABLE t (a INTEGER PRIMARY KEY, b)")) == "Ok"
    endless: list[Asking] = [("sqlite", db, {"Query": f"{ENDLESS} SELECT max(i) FROM n"}, None) for db in "defgh"]
    endless += [("sqlite", db, write(f"CREATE TABLE big AS {ENDLESS} SELECT i FROM n"), None) for db in "de"]
    filling: list[Asking] = [("kv", "d", setting(str(number)), chance.randbytes(30_000)) for number in range(10)]
    begun: list[Asking] = [("kv", "d", "BeginTx", None), ("sqlite", "d", "BeginTx", None)]
    answered = 0
    for number in range(6):
        wanted, times = chance.choice(((endless, 20), (filling, 10), (begun, 5_000 if number == 0 else 50)))
        node.send(wanted, times)
        if chance.random() < 0.3:
            node.lab.restart(NODE)
            node.lab.wait(lambda: node.lab.ready(NODE), 60.0)
        node.lab.rest(chance.random() * 0.1)
        begin = node.lab.now
        assert node.ask(HONEST, "kv", setting(str(number)), b"%d" % number) == "Ok", f"seed {seed}"
        assert node.ask(HONEST, "sqlite", write(f"INSERT INTO t VALUES ({number}, randomblob(2000))")) == "Ok"
        assert node.ask(HONEST, "kv", {"Get": list(str(number).encode())}) == {"Get": list(str(number).encode())}
        assert node.ask(HONEST, "sqlite", {"Query": "SELECT max(a) FROM t"}) == "Read"
        assert node.lab.now - begin < 4 * SECONDS, f"seed {seed}"
        answered = number
    node.lab.restart(NODE)
    node.lab.wait(lambda: node.lab.ready(NODE), 60.0)
    for number in range(answered + 1):
        assert node.ask(HONEST, "kv", {"Get": list(str(number).encode())}) == {"Get": list(str(number).encode())}
    overflow = "abs(-9223372036854775807 - 1)"  # an error, where anything else would be an answer
    check = f"SELECT CASE WHEN count(*) = {answered + 1} THEN 1 ELSE {overflow} END FROM t"
    assert node.ask(HONEST, "sqlite", {"Query": check}) == "Read", f"seed {seed}"
    used = node.lab.nodes[NODE].ledger.account(f"{GREEDY}:x.nec").used.bytes
    assert used <= QUOTA + LENT_BYTES
    # Its transactions went with the node, and it can have some again: so many, and no more.
    numbers = [node.ask(GREEDY, "kv", "BeginTx") for _ in range(3)]
    assert all("BeginTx" in each for each in numbers)
    node.send([("kv", "d", "BeginTx", None)], MAX_TRANSACTIONS)
    node.lab.rest(1.0)
    assert "IOError" in node.ask(GREEDY, "kv", "BeginTx")["Err"]
    # What fills its quota it can remove, and use again.
    assert node.ask(GREEDY, "kv", "RemoveDb") == "Ok"
    assert node.ask(GREEDY, "kv", "Open") == "Ok"
    assert node.ask(GREEDY, "kv", setting("a"), b"x") == "Ok"
