"""One node's folder: where its files lie, and the lock that says whether it runs.

The lock is an flock: the operating system drops it when the process dies, however it dies, so a folder never claims to
be running after a crash.
"""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path

from nectar_node.base import own_files
from nectar_node.base.errors import AlreadyRunning
from nectar_node.base.log import older

GENESIS_FILE = "testnet.json"
"""In the folder of a network: what its nodes must know beforehand (`nectar_node.contract.config`)."""
HOSTS_FILE = "hosts.json"
"""In the folder of a testnet whose nodes are on other machines: which these are (`testnet.hosts`)."""
NODES_FOLDER = "nodes"
"""There: the folders of its nodes, each by its name."""
REGISTRAR_NAME = "registrar.nec"
"""The node that grants names in a network on one machine."""

_LOCK_ATTEMPTS = 20
_LOCK_PAUSE = 0.01
"""Seconds between two attempts to take the lock."""


@dataclass(frozen=True, slots=True)
class NodeFolder:
    """Paths below one node's folder."""

    path: Path

    @property
    def key(self) -> Path:
        """The node key (`net.names.identity`)."""
        return self.path / "key"

    @property
    def records(self) -> Path:
        """The file of the name records that this node has seen, or granted (`nectar_node.peers.record_store`)."""
        return self.path / "records"

    @property
    def drives(self) -> Path:
        """The vfs: one folder per package, and in it one per drive."""
        return self.path / "vfs"

    @property
    def kept(self) -> Path:
        """What it keeps of other nodes' encrypted backups, one folder per node (`nectar_node.system.keeper`)."""
        return self.path / "kept"

    @property
    def state(self) -> Path:
        """The folder of saved states, one file per process, before these were in the store."""
        return self.path / "state"

    @property
    def store(self) -> Path:
        """The database of what the node remembers (`nectar_node.storage.database`)."""
        return self.path / "store"

    @property
    def format(self) -> Path:
        """The file that says that there is a store, so that one that is gone is missed."""
        return self.path / "format"

    @property
    def code(self) -> Path:
        """The folder of the code of processes, by its SHA-256 (`nectar_node.driver.program_code`)."""
        return self.path / "code"

    @property
    def capabilities(self) -> Path:
        """The file that said who holds what, before there was a store."""
        return self.path / "capabilities"

    @property
    def decisions(self) -> Path:
        """The file of the user's decisions, before there was a store."""
        return self.path / "decisions"

    @property
    def control(self) -> Path:
        """The Unix socket of `nectar_node.control.commands`."""
        return self.path / "control.sock"

    @property
    def log(self) -> Path:
        """The file to which a detached node writes its output."""
        return self.path / "log"

    @property
    def restored(self) -> Path:
        """The mark of a node that was restored from a backup, and has not booted since."""
        return self.path / "restored"

    @property
    def uploads(self) -> Path:
        """The folder with files that people have given to the node's page, which end with the node."""
        return self.path / "uploads"

    @property
    def trace(self) -> Path:
        """The file of what happens to every message, if the node writes it (`nectar_node.driver.trace_file`)."""
        return self.path / "trace"

    @property
    def boot(self) -> Path:
        """The file of the options of its last start by a command (`nectar_node.launcher.boot_options`)."""
        return self.path / "boot.json"

    @property
    def lock(self) -> Path:
        """The lock, held while the node runs; it contains the node's process id."""
        return self.path / "lock"

    def create(self) -> None:
        """Make the folder and those below it, or check that they are ours, and the files that the node relies on.

        Raises NotOurs and OSError (`nectar_node.base.own_files`).
        """
        own_files.make_folder(self.path)
        own_files.check(self.key, secret=True)
        beside = (self.path / f"{self.store.name}{end}" for end in ("-wal", "-journal", "-shm"))  # as SQLite names them
        for file in (self.store, *beside, self.format, self.log, older(self.log), self.boot):
            own_files.check(file)
        own_files.check(self.state)
        for folder in (self.records, self.drives, self.code, self.kept):
            own_files.check(folder)
            own_files.make_folder(folder)

    def acquire(self) -> int:
        """Take the lock for this process until it ends; return the descriptor. Raises AlreadyRunning and NotOurs."""
        descriptor = own_files.open_file(self.lock, os.O_RDWR | os.O_CREAT)
        refused = 0
        while not _lock(descriptor, fcntl.LOCK_EX):
            # A process that checks whether the node runs (`owner`) has the lock for a moment, longer on a busy machine,
            # but shares it.
            if _lock(descriptor, fcntl.LOCK_SH):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            elif (refused := refused + 1) == _LOCK_ATTEMPTS:
                owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
                os.close(descriptor)
                raise AlreadyRunning(f"{self.path.name} is running already, as process {owner}.")
            time.sleep(_LOCK_PAUSE)
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        except OSError as error:
            os.close(descriptor)
            error.filename = str(self.lock)
            raise
        return descriptor

    def owner(self) -> int | None:
        """Return the process id of the node that runs in this folder; None: no node does. Raises NotOurs."""
        try:
            descriptor = own_files.open_file(self.lock, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            if _lock(descriptor, fcntl.LOCK_SH):
                return None
            text = os.pread(descriptor, 32, 0)
            return int(text) if text.isdigit() else None
        finally:
            os.close(descriptor)


def is_paused(pid: int) -> bool:
    """Whether somebody has stopped the process, as `nectar testnet pause` does; False if there is no /proc."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def _lock(descriptor: int, kind: int) -> bool:
    """Take the lock if it is free, and return whether it was."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
