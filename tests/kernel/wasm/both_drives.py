"""Makes the same calls of WASI preview 1 on a real node's drive and on a simulated one, and compares the outcomes.

The real one is a folder of the host behind Wasmtime's own WASI, the other lies on a simulated disk behind ours.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from kernel.contract.drive import FileKind
from kernel.contract.guest import GuestConfig
from kernel.wasm.engine import Engine
from nectar_node.storage.operations import Location, MakeFolder
from testnet.sim.disk.disk import SimDisk
from testnet.sim.guest_drive import GuestDrive
from tests.kernel.wasm.caller import Caller, Stat, Trapped
from tests.kernel.wasm.guests import MEMORY, OUR

ROOT, PACKAGE = "node/vfs", "files:some.nec"
NOW = 1_000_000_000_000
TRAP = "the guest has ended"


class SimulatedDrive:
    """A drive on a simulated disk of its own."""

    def __init__(self, capacity: int = 1 << 40) -> None:
        self.disk = SimDisk(lambda: NOW / 1e9, capacity)
        self.disk.perform(MakeFolder(Location(ROOT, (PACKAGE,))))

    def config(self) -> GuestConfig:
        """Of a guest that sees it."""
        drive = GuestDrive(self.disk, (ROOT, PACKAGE), lambda: NOW)
        return GuestConfig(OUR, MEMORY, entropy=bytes, clock=lambda: NOW, drive=drive)

    def tree(self) -> dict[str, bytes | str | None]:
        """All that is on it: files with their content, links with their targets, folders with None."""
        live, found = self.disk.live, dict[str, bytes | str | None]()
        for path, file in live.files.items():
            found["/".join(path[2:])] = file.content() if file.target is None else file.target
        found.update(("/".join(path[2:]), None) for path in live.folders if len(path) > 2)
        return found


class Both:
    """One guest on each of two drives. The methods are those of `Caller`: what they give back has to be the same for
    both, but for the numbers of files, their times, the sizes of folders and the order in a folder.
    """

    def __init__(self, real: Engine, replayable: Engine, folder: Path, other: Any = None) -> None:
        """`other` stands in for the simulated drive; it has the same methods."""
        self._engines, self._folder = (real, replayable), folder
        self.simulated = SimulatedDrive() if other is None else other
        self.calls: list[str] = []
        """What was called, for whoever reads that it differed."""
        self._start()

    def _start(self) -> None:
        configs = GuestConfig(OUR, MEMORY, drive=str(self._folder)), self.simulated.config()
        self.callers = [Caller(engine, config) for engine, config in zip(self._engines, configs, strict=True)]

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            self.calls.append(f"{name}{arguments}{named or ''}"[:200])
            ours, theirs = (_outcome(caller, name, arguments, named) for caller in self.callers)
            assert ours == theirs, f"Wasmtime gives {ours}, the simulation {theirs}, after\n" + "\n".join(self.calls)
            if ours == TRAP:
                self.close()
                self._start()
            return ours

        return call

    def same_trees(self) -> bool:
        """Whether both drives have the same on them."""
        return host_tree(self._folder) == self.simulated.tree()

    def close(self) -> None:
        """Let the guests go."""
        for caller in self.callers:
            caller.guest.close()


def _outcome(caller: Caller, name: str, arguments: Any, named: Any) -> Any:
    try:
        outcome = getattr(caller, name)(*arguments, **named)
    except Trapped:
        return TRAP
    if name == "readdir" and not outcome[0]:
        return outcome[:2]
    if isinstance(outcome, tuple) and isinstance(outcome[-1], Stat):
        return outcome[0], _comparable(outcome[-1])
    return outcome


def _comparable(found: Stat) -> tuple[int, ...]:
    return (found.device, found.kind) if found.kind == FileKind.FOLDER else (*found[:1], *found[2:5])


def host_tree(folder: Path) -> dict[str, bytes | str | None]:
    """All that is in a folder of the host, as in `SimulatedDrive.tree`."""
    found = dict[str, bytes | str | None]()
    for path in folder.rglob("*"):
        name, mode = path.relative_to(folder).as_posix(), path.lstat().st_mode
        if stat.S_ISLNK(mode):
            found[name] = os.readlink(path)
        else:
            found[name] = None if stat.S_ISDIR(mode) else path.read_bytes()
    return found
