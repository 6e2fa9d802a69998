"""Nodes that send files to recv.nec, and others that only offer them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kernel.contract.address import Address
from kernel.contract.guest import Arrival
from nectar_node.storage.operations import Commit, FileStat, FileType, Hash, Location, Operation, Outcome, ReadAt, Stat
from testnet.sim.disk.disk import SimDisk
from testnet.sim.programs import Programs
from tests.packages.lab import SEED, Lab

TRANSFER = "file_transfer:file_transfer:sys"
RECEIVER, HONEST, EVIL = "recv.nec", "send.nec", "evil.nec"
PATIENCE = 3600
"""Virtual seconds that a transfer may take."""
HUGE = (1 << 62) + 1
USER = "/home/user"
"""Where what is sent lies."""


class HollowDisk(SimDisk):
    """One on which the files of the user are as long as somebody says, and each piece that is read of them too."""

    def __init__(self, disk: SimDisk, length: int, piece: int | None = None) -> None:
        """Else it is the same as `disk`; `piece`: bytes of each, unless it is all that was asked for."""
        self.__dict__.update(disk.__dict__)
        self._length, self._piece = length, piece

    def perform(self, operation: Operation) -> Outcome:
        """See `SimDisk`."""
        if isinstance(operation, Commit):
            self._databases.commit(operation)  # into the store that this one has opened
            return None
        if operation.location.root != USER:
            return super().perform(operation)
        match operation:
            case Stat():
                return FileStat(FileType.FILE, self._length, 0)
            case ReadAt():
                return bytes(operation.length if self._piece is None else self._piece)
            case Hash():
                return bytes(32)
        return super().perform(operation)


@dataclass(frozen=True, slots=True)
class Taken:
    """An offer that was accepted."""

    worker: Address
    """Who waits for the file."""
    sender: str


class InboxLab:
    """recv.nec, send.nec, and more nodes that run file_transfer."""

    def __init__(self, engine: Programs, others: tuple[str, ...] = (EVIL,), disk_bytes: int = 1 << 40) -> None:
        self.lab = Lab(engine, ("file_transfer",), (RECEIVER, HONEST, *others), disk_bytes)
        self._shared = 0
        self._order: dict[str, object] = {}

    @property
    def now(self) -> float:
        """Virtual seconds."""
        return self.lab.simulation.now

    def hollow(self, sender: str, length: int, piece: int | None = None) -> None:
        """From now on the files that this node sends are hollow ones, see `HollowDisk`."""
        simulation = self.lab.simulation
        down = simulation.crash(sender)
        down.disk = HollowDisk(down.disk, length, piece)
        simulation.restart(sender)
        simulation.settle()

    def user(self, body: object, where: str = RECEIVER) -> Any:
        """What file_transfer of a node answers to its user."""
        return self.lab.ask(f"our@{TRANSFER}", body, where=where)

    def data(self, size: int, name: str = "file.bin") -> bytes:
        """Bytes from the seed."""
        return self.lab.simulation.chance("file", name).randbytes(size)

    def begin(self, data: bytes, name: str = "file.bin", sender: str = HONEST) -> object:
        """An honest node begins to send a file; `outcome` tells how that ended."""
        self._shared += 1
        node = self.lab.at(sender)
        host = Location(USER, (str(self._shared),))
        node.disk.put(host, data)
        path = f"/file_transfer:sys/outgoing/{self._shared}/{name}"
        node.core.vfs.mount(path, host)
        self._order = {"Send": {"id": f"{name} {self._shared}", "path": path, "name": name, "to": RECEIVER}}
        return self.begin_again(sender)

    def begin_again(self, sender: str = HONEST) -> object:
        """It does so once more, with the file that was begun last."""
        return self.lab.begin(f"our@{TRANSFER}", self._order, PATIENCE, sender)

    def end(self, sending: object, within: float = 60.0) -> Any:
        """How it ended."""
        return self.lab.wait(sending, within)

    def send(self, data: bytes, name: str = "file.bin", sender: str = HONEST, within: float = 60.0) -> Any:
        """Both."""
        return self.end(self.begin(data, name, sender), within)

    def status(self, id: str, sender: str = HONEST) -> Any:
        """How far a transfer of that sender is."""
        return self.user({"Status": {"id": id}}, sender)["Status"]

    def offer(self, name: str, size: int, sender: str = EVIL, chunk: int = 4 << 20) -> object:
        """A node offers a file that it does not have; nobody will answer for it."""
        offer = {"id": name, "name": name, "size": size, "modified": 0, "chunk": chunk}
        return self.lab.begin(f"{RECEIVER}@{TRANSFER}", {"Offer": offer}, PATIENCE, sender)

    def answers(self, offers: list[object], sender: str = EVIL) -> list[Any]:
        """To those offers."""
        return [self.lab.wait(each) for each in offers]

    def taken(self, offer: object, sender: str = EVIL) -> Taken:
        """That offer, which was accepted."""
        assert "Accepted" in self.lab.wait(offer), SEED
        answer = self.lab.at(sender).answer(offer)
        assert isinstance(answer, Arrival)
        return Taken(answer.source, sender)

    def tell(self, taken: Taken, body: object) -> object:
        """Say something to who waits for the file, as its sender would."""
        return self.lab.begin(str(taken.worker), body, PATIENCE, taken.sender)

    def receiving(self, peer: str) -> list[Any]:
        """The transfers from that node which run on recv.nec."""
        listed = self.user("List")["List"]
        return [each for each in listed if each["peer"] == peer and each["state"] not in ("done", "failed")]

    def received(self, name: str = "file.bin") -> bytes | None:
        """The file under its final name on recv.nec."""
        return self.lab.node.disk.get(Location(f"{RECEIVER}/vfs", ("file_transfer:sys", "inbox", name)))

    def partial_files(self) -> dict[str, int]:
        """What lies there of files that are not whole: name to size."""
        root = (f"{RECEIVER}/vfs", "file_transfer:sys", "inbox", ".partial")
        disk = self.lab.node.disk
        files = [path for path in disk.paths() if path[:-1] == root]
        return {path[-1]: len(disk.get(Location(path[0], path[1:])) or b"") for path in files}
