"""A node in this process for the command line to ask: real core, guests, disk and control socket, but no network."""

from __future__ import annotations

import os
import shutil
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio

from kernel.contract.events import Answered
from kernel.contract.guest import GuestConfig
from kernel.runner import Runner
from kernel.wasm.engine import Engine
from nectar_node.base.folder import NodeFolder
from nectar_node.contract.actions import DiskUsed, Installed, Kept, LoadCode, LogLine, Printed, Ready
from nectar_node.contract.config import NODES_FOLDER
from nectar_node.contract.traces import Traced
from nectar_node.control import commands as control
from nectar_node.control import server
from nectar_node.control.clients import Waiter
from nectar_node.core.config import CoreConfig
from nectar_node.core.core import NodeCore
from nectar_node.driver.node_store import open_store
from nectar_node.driver.program_code import kept_debug_file, load_program
from nectar_node.launcher.local_network import LocalNetwork
from nectar_node.packages.boot import Boot
from nectar_node.packages.startable import read_startable
from nectar_node.storage.disk import perform
from nectar_node.storage.ledger import Ledger
from nectar_node.storage.operations import Job, Location
from nectar_node.storage.package_databases import PackageDatabases
from nectar_node.storage.package_files import PackageFiles
from net.contract.events import Probed
from net.names.identity import Identity
from net.peering.network import Network, NetworkConfig
from tests.commands import Ended, nectar
from tests.nectar_node.cli.served_node import make_network
from tests.net.world import static_directory

NODE = "a.nec"
PACKAGES = Path(__file__).resolve().parents[3] / "packages"


class RealNode:
    """What a test may look at while the node runs in its thread."""

    def __init__(self, network: Path, engine: Engine, *known: Identity) -> None:
        """It knows the keys of the nodes `known`."""
        self.network = network
        self.folder = NodeFolder(network / NODES_FOLDER / NODE)
        self.log: list[str] = []
        self._booted = trio.Event()
        roots = (str(self.folder.drives), b"")
        ledger = Ledger(str(self.folder.drives))
        self._database, kept, _ = open_store(self.folder, NODE)
        store = Location(str(self.folder.path), (self.folder.store.name,))
        code = str(self.folder.code)
        net = Network(Identity(NODE, bytes(32)), static_directory(*known), NetworkConfig(), os.urandom, 0.0)
        ids = iter(range(1, 1 << 30))
        guest = partial(GuestConfig, memory_bytes=1 << 26, debug=partial(kept_debug_file, perform, code))
        config = CoreConfig(
            NODE, *roots, store, code, lambda: next(ids), guest, kept=kept, ledger=ledger, keeps=str(self.folder.kept)
        )
        self.core = NodeCore(config, net)
        databases = PackageDatabases(PackageFiles(ledger, ledger.drives), time.monotonic)
        self._perform = partial(perform, ledger=ledger, database=self._database, databases=databases)
        self._load = partial(load_program, engine, perform, code)
        self._runner = Runner(self.core, self._carry_out, lambda _: None)

    @property
    def where(self) -> tuple[str, ...]:
        """The options that name it to a command."""
        return "--node", NODE, "--dir", str(self.network)

    def nectar(self, *words: str | Path) -> Ended:
        """A command to it."""
        return nectar(*words, *self.where)

    def does(self, *words: str | Path) -> str:
        """What a command that succeeds prints."""
        ended = self.nectar(*words)
        assert ended.code == 0, ended
        return ended.out

    def fails(self, *words: str | Path, code: int = 1) -> str:
        """The one sentence with which a command fails, and does nothing else."""
        before, ended = self.running(), self.nectar(*words)
        assert (ended.code, ended.out, ended.err.count("\n"), ended.err[-2:]) == (code, "", 1, ".\n"), ended
        assert self.running() == before
        return ended.err

    def rows(self) -> dict[str, dict[str, Any]]:
        """Its processes, by name, as the command line shows them."""
        with LocalNetwork(self.network).connect(NODE) as client:
            return {row["address"].removeprefix(f"{NODE}@"): row for row in client.request("ps")["processes"]}

    def running(self) -> set[str]:
        """The names of its processes."""
        return {*self.rows()}

    def held(self, process: str) -> list[str] | None:
        """What a process holds; None: it does not run."""
        row = self.rows().get(process)
        return None if row is None else list(row["capabilities"])

    async def serve(self, packages: tuple[str, ...], ready: threading.Event, end: threading.Event) -> None:
        """Run until `end` is set."""
        commands = control.Control(
            self.core,
            self.folder.path,
            lambda: {"endpoint": ["127.0.0.1", 1]},
            self._runner.turn,
            self._booted,
            lambda _, error: self.log.append(repr(error)),
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._runner.run)
            listener = server.bind(self.folder.control)
            nursery.start_soon(server.serve, commands, listener, control.MAX_LINE_BYTES)
            self.core.boot(Boot(tuple(read_startable(PACKAGES / name, NODE) for name in packages)), trio.current_time())
            self._runner.turn()
            ready.set()
            await trio.to_thread.run_sync(end.wait)
            nursery.cancel_scope.cancel()
        self._database.close()

    def _carry_out(self, now: float, _: bool) -> None:
        while actions := self.core.settle(now):
            match action := actions.popleft():
                case LoadCode():
                    self.core.code_loaded(action, self._load(action.source), trio.current_time())
                case Job():
                    self.core.job_done(action, self._perform(action.operation), trio.current_time())
                case Answered(token, answer):
                    assert isinstance(token, Waiter)
                    token.set(answer)
                case Installed(Waiter() as token):
                    token.set(action)
                case Traced():
                    control.traced(action)
                case DiskUsed():
                    control.disk_used(action)
                case Printed():
                    control.printed(action)
                case Probed():
                    control.probed(action)
                case Kept():
                    control.kept(action)
                case Ready():
                    self._booted.set()
                case LogLine(source, _, text):
                    self.log.append(f"{source}: {text}")
                case _:
                    pass  # there is no network


@contextmanager
def real_node(network: Path, engine: Engine, *packages: str, known: tuple[Identity, ...] = ()) -> Iterator[RealNode]:
    """The node `a.nec`, running in the folder `network` with some of the packages that come with the node; it knows the
    keys of the nodes `known`."""
    make_network(network)
    folder = NodeFolder(network / NODES_FOLDER / NODE)
    folder.create()
    lock = folder.acquire()
    node = RealNode(network, engine, *known)
    ready, end = threading.Event(), threading.Event()
    thread = threading.Thread(target=trio.run, args=(node.serve, packages, ready, end))
    thread.start()
    try:
        assert ready.wait(30)
        yield node
    finally:
        end.set()
        thread.join()
        os.close(lock)


def copy_package(name: str, target: Path) -> Path:
    """A copy of one of the packages that come with the node, to be changed."""
    shutil.copytree(PACKAGES / name / "pkg", target)
    return target


def zipped(folder: Path, path: Path | None = None) -> Path:
    """A zip of all files in the folder, beside it if no other path is given."""
    path = path or folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    return path
