"""A system process for databases over a disk in memory, for tests."""

from __future__ import annotations

import json
from typing import Any

from kernel.contract.address import ProcessId
from kernel.contract.guest import Generation
from kernel.contract.message import LazyLoadBlob
from nectar_node.databases.databases import Databases
from nectar_node.storage.ledger import Ledger, Quotas
from testnet.sim.disk.disk import SimDisk
from tests.nectar_node.system.driven import APP, OUR, Driven

SIBLING = ProcessId("second", "app", "sys")
PACKAGE = {"package_name": "app", "publisher_node": "sys"}


class Asked(Driven[Databases[Any]]):
    """One of them."""

    def __init__(self, kind: type[Databases[Any]], quota: int = 1 << 30) -> None:
        self.generations: dict[ProcessId, Generation] = {}
        disk = SimDisk(lambda: 1.0, ledger=Ledger("drives", Quotas(bytes=quota)))
        super().__init__(lambda holds: kind(OUR, "drives", holds, self._generation), disk)
        self._open()

    def _generation(self, process: ProcessId) -> Generation:
        return self.generations.get(process, Generation.LATE)

    def _open(self) -> None:
        self.disk.open_store("node", "drives")
        for package in ("app:sys", "other:sys"):
            self.disk.perform(self.disk.ledger.measure(package))

    def hold_database(self, holder: ProcessId, kind: str, db: str) -> None:
        """Let a process hold a capability for a database of APP."""
        self.hold(holder, json.dumps({"kind": kind, "db_key": [PACKAGE, db]}))

    def put(self, action: object, blob: bytes | None = None, source: ProcessId = APP, db: str = "d") -> None:
        """Send a request for a database of APP."""
        self.send(json.dumps(_request(action, db)).encode(), _carried(blob), source)

    def ask(self, action: object, blob: bytes | None = None, source: ProcessId = APP, db: str = "d") -> Any:
        """One request for a database of APP, done; its answer's JSON, and its blob if it has one."""
        return self.ask_json(_request(action, db), _carried(blob), source)

    def boot_again(self) -> None:
        """Let the disk be that of a node that boots again."""
        self.disk.ledger = Ledger("drives", self.disk.ledger.quotas)
        self._open()


def _request(action: object, db: str) -> dict[str, object]:
    return {"package_id": PACKAGE, "db": db, "action": action}


def _carried(blob: bytes | None) -> LazyLoadBlob | None:
    return None if blob is None else LazyLoadBlob(None, blob)
