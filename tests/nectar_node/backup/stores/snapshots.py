"""A folder with drives that change as guests change them, and a snapshot of it, for the tests in this folder."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from random import Random

import pytest

from nectar_node.backup.stores import live_node
from nectar_node.backup.stores.live_node import LiveSnapshotFiles
from nectar_node.backup.stores.node_folder import NodeSource
from nectar_node.backup.stores.scanned import ScannedEntries
from nectar_node.storage import archive, preserving, steps
from nectar_node.storage import operations as ops
from nectar_node.storage.disk import begin, perform
from nectar_node.storage.ledger import Ledger, Quotas
from nectar_node.storage.preserving import Preserver
from nectar_node.storage.steps import Steps

PACKAGE = "app:x"
NAMES = ("a", "b", "c", "d")
MOST = 6000
"""Bytes of a file."""
BLOCK = 512


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small files have many blocks, and short operations many steps."""
    for module in (preserving, live_node):
        monkeypatch.setattr(module, "BLOCK_BYTES", BLOCK)
    for name, value in (("LONG_BYTES", 700), ("STEP_BYTES", 600)):
        monkeypatch.setattr(ops, name, value)
    monkeypatch.setattr(steps, "ENTRIES", 2)
    monkeypatch.setattr(archive, "_PIECE", 500)


class Drives:
    """The files of one package, and operations on them that a seed chooses."""

    def __init__(self, folder: Path, random: Random) -> None:
        self.network, self.path = folder, folder / "nodes" / "a.nec"
        self.random = random
        drives = self.path / "vfs"
        (drives / PACKAGE).mkdir(parents=True)
        (self.path / "backup" / "snapshot").mkdir(parents=True)
        (self.path / "store").write_bytes(random.randbytes(5000))
        self.ledger = Ledger(str(drives), Quotas(floor=0))
        perform(self.ledger.measure(PACKAGE), self.ledger)
        self.under_way: list[Steps] = []
        self.outcomes: list[ops.Outcome] = []

    def at(self, *parts: str) -> ops.Location:
        return ops.Location(str(self.path / "vfs"), (PACKAGE, *parts))

    def fill(self, count: int) -> None:
        """Carry out some operations."""
        for _ in range(count):
            perform(self.operation(), self.ledger)

    def step(self) -> None:
        """Do one step of one operation; several may be under way, as for several guests."""
        if len(self.under_way) < 3 and self.random.random() < 0.6:
            self.under_way.append(begin(self.operation(), self.ledger))
        if self.under_way:
            steps = self.random.choice(self.under_way)
            if steps.step():
                self.outcomes.append(steps.outcome)
                self.under_way.remove(steps)
            elif self.random.random() < 0.02:
                steps.stop()
                self.under_way.remove(steps)

    def stop(self) -> None:
        """Give up what is under way."""
        for begun in self.under_way:
            begun.stop()
        self.under_way.clear()

    def operation(self) -> ops.Operation:
        random = self.random
        place, other = self._place(), self._place()
        length, offset = random.randrange(1, 2500), random.randrange(MOST)
        return random.choice(
            (
                lambda: ops.WriteAt(place, offset, random.randbytes(length)),
                lambda: ops.WriteAt(place, offset, random.randbytes(length)),
                lambda: ops.Append(place, random.randbytes(length)),
                lambda: ops.SetLength(place, offset),
                lambda: ops.Create(place, cut_off=random.random() < 0.3),
                lambda: ops.Create(place, cut_off=False),
                lambda: ops.Replace(place, random.randbytes(offset)),
                lambda: ops.Replace(place, random.randbytes(offset)),
                lambda: ops.Copy(place, other),
                lambda: ops.CopyFolder(self.at(place.parts[1]), self.at(*(random.choice(NAMES) for _ in range(2)))),
                lambda: ops.Rename(place, other),
                lambda: ops.Rename(self.at(place.parts[1]), self.at(*(random.choice(NAMES) for _ in range(2)))),
                lambda: ops.RemoveFile(place),
                lambda: ops.RemoveFolder(self.at(*place.parts[1:-1]) if len(place.parts) > 3 else place, True),
                lambda: ops.RemoveFolder(self.at(place.parts[1]), random.random() < 0.1),
                lambda: ops.MakeFolder(place),
                *(lambda: ops.Replace(self.at(*(random.choice(NAMES) for _ in range(2))), random.randbytes(length)),)
                * 4,
                lambda: ops.MakeFolder(self.at(*(random.choice(NAMES) for _ in range(2)))),
                lambda: ops.Unpack(self.at(*place.parts[1:-1]), self._archive()),
            )
        )()

    def _place(self) -> ops.Location:
        """A file that is there, or a place where none is."""
        there = sorted(self.files()) if self.random.random() < 0.6 else ()
        if there:
            return self.at(*os.fsdecode(self.random.choice(there)).split("/")[3:])
        return self.at(*(self.random.choice(NAMES) for _ in range(self.random.choice((1, 2, 2, 3)))))

    def _archive(self) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
            for name in NAMES[:2]:
                file.writestr(f"{name}/{self.random.choice(NAMES)}", self.random.randbytes(self.random.randrange(2000)))
        return buffer.getvalue()

    def snapshot(self) -> tuple[Snapped, LiveSnapshotFiles]:
        """Take a snapshot of this moment, as a node and a worker do it together."""
        kept = self.path / "backup" / "snapshot"
        preserver = Preserver(str(kept))
        self.ledger.preserver = preserver
        snapped = Snapped(preserver)
        rows = ScannedEntries(NodeSource(self.path, self.network).entries(), self.path / "backup")
        return snapped, LiveSnapshotFiles(snapped, self.path, self.network, kept, rows)

    def files(self) -> dict[bytes, bytes]:
        """All files as they are now."""
        found = {}
        for folder, _, names in os.walk(self.path / "vfs"):
            for name in names:
                path = Path(folder, name)
                found[b"node/" + os.fsencode(path.relative_to(self.path))] = path.read_bytes()
        return found


class Snapped:
    """What a node answers about a snapshot."""

    def __init__(self, preserver: Preserver) -> None:
        self.preserver = preserver

    def ask(self, command: str, patience: float | None = None, **arguments: object) -> dict[str, object]:
        return {"void": self.preserver.void}

    def close(self) -> None:
        self.preserver.close()
