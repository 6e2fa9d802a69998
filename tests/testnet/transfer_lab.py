"""send.nec sends a file to recv.nec, in virtual time: a network whose insides a test can look at."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernel.contract.guest import Arrival, Failure
from nectar_node.storage.operations import Location
from testnet.sim.programs import Programs
from testnet.sim.simulation import SimNode, Simulation

PACKAGES = tuple(Path(__file__).resolve().parents[2] / "packages" / name for name in ("file_transfer", "hello"))
SENDER, RECEIVER = "send.nec", "recv.nec"
TRANSFER = "our@file_transfer:file_transfer:sys"
PATIENCE = 3600
"""Virtual seconds that a transfer may take."""


@dataclass(slots=True)
class FileTransfer:
    """The scenario's network and what was sent over it."""

    simulation: Simulation
    sender: SimNode
    receiver: SimNode
    _sent: int = 0

    @staticmethod
    def begin(
        seed: int, programs: Programs, receiver_disk_bytes: int = 1 << 40, routers: tuple[str, ...] = ()
    ) -> FileTransfer:
        """Boot the registrar and both nodes, and wait until they are ready; `routers` are booted too, and the receiver
        is behind them."""
        simulation = Simulation(seed, programs)
        for router in routers:
            simulation.add(router)
        sender = simulation.add(SENDER, PACKAGES)
        receiver = simulation.add(RECEIVER, PACKAGES, receiver_disk_bytes, routers)
        simulation.settle()
        return FileTransfer(simulation, sender, receiver)

    def random_file(self, size: int) -> bytes:
        """Bytes from the seed."""
        return self.simulation.chance("file", str(size)).randbytes(size)

    def send(self, data: bytes, name: str = "file.bin") -> dict[str, Any]:
        """Send a file; what the process on send.nec answers in the end."""
        return self.offer(self.share(data, name), name)

    def share(self, data: bytes, name: str = "file.bin") -> str:
        """Put a file where the process on send.nec can read it; its path there."""
        self._sent += 1
        host = Location("/home/user", (f"{self._sent}",))
        self.sender.disk.put(host, data)
        path = f"/file_transfer:sys/outgoing/{self._sent}/{name}"
        self.sender.core.vfs.mount(path, host)
        return path

    def offer(self, path: str, name: str) -> dict[str, Any]:
        """Have the process on send.nec offer what lies at `path` in its drives, as `name`."""
        return outcome(self.sender.ask(TRANSFER, order(name, path, name), PATIENCE))

    def received(self, name: str = "file.bin") -> bytes | None:
        """The file under its final name on recv.nec."""
        return self.receiver.disk.get(Location(f"{RECEIVER}/vfs", ("file_transfer:sys", "inbox", name)))

    def blob_bytes_loaded(self) -> int:
        """Bytes of blobs that were copied into the memory of any guest, on both nodes."""
        return sum(node.core.machine.blob_bytes_loaded() for node in (self.sender, self.receiver))


def order(id: str, path: str, name: str) -> bytes:
    """What tells the process on send.nec to send."""
    return json.dumps({"Send": {"id": id, "path": path, "name": name, "to": RECEIVER}}).encode()


def outcome(answer: Arrival | Failure | None) -> dict[str, Any]:
    """What it answered in the end."""
    assert isinstance(answer, Arrival), answer
    value: dict[str, Any] = json.loads(answer.message.body)
    return value
