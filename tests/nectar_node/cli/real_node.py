"""A node in this process for the command line to ask: real core, guests, disk and control socket, but no network."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

from kernel.contract.errors import BadModule
from kernel.contract.events import Answered
from kernel.contract.guest import GuestConfig, Program
from kernel.runner import Runner
from kernel.wasm.engine import Engine
from nectar_node.base.folder import NodeFolder
from nectar_node.contract.actions import BadCode, Installed, LoadCode, LogLine, Printed, Ready
from nectar_node.contract.config import NODES_FOLDER
from nectar_node.contract.traces import Traced
from nectar_node.control import commands as control
from nectar_node.control import server
from nectar_node.core.config import CoreConfig
from nectar_node.core.core import NodeCore
from nectar_node.packages.boot import Boot
from nectar_node.packages.manifest import read_package
from nectar_node.storage.disk import perform
from nectar_node.storage.operations import Job, Location, ReadAt
from net.contract.events import Probed
from net.names.directory import StaticDirectory
from net.names.identity import Identity
from net.peering.network import Network, NetworkConfig
from tests.nectar_node.cli.served_node import make_network

NODE = "a.nec"
PACKAGES = Path(__file__).resolve().parents[3] / "packages"
MAX_CODE = 1 << 24


class RealNode:
    """What a test may look at while the node runs in its thread."""

    def __init__(self, network: Path, engine: Engine) -> None:
        self.network = network
        self.folder = NodeFolder(network / NODES_FOLDER / NODE)
        self.log: list[str] = []
        self._engine = engine
        self._booted = trio.Event()
        roots = (str(self.folder.drives), str(self.folder.state), str(self.folder.records))
        kept = (self._file("capabilities"), self._file("decisions"))
        net = Network(Identity(NODE, bytes(32)), StaticDirectory({}), NetworkConfig(), os.urandom, 0.0)
        ids = iter(range(1, 1 << 30))
        config = CoreConfig(NODE, *roots, *kept, lambda: next(ids), lambda address: GuestConfig(address, 1 << 26))
        self.core = NodeCore(config, net)
        self._runner = Runner(self.core, self._carry_out, lambda _: None)

    def _file(self, name: str) -> Location:
        return Location(str(self.folder.path), (name,))

    async def serve(self, packages: tuple[str, ...], ready: threading.Event, end: threading.Event) -> None:
        """Run until `end` is set."""
        commands = control.Control(
            self.core,
            lambda: {"endpoint": ["127.0.0.1", 1]},
            self._runner.turn,
            self._booted,
            lambda _, error: self.log.append(repr(error)),
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._runner.run)
            listener = server.bind(self.folder.control)
            nursery.start_soon(server.serve, commands, listener, control.MAX_LINE_BYTES)
            self.core.boot(Boot(tuple(read_package(PACKAGES / name, NODE) for name in packages)), trio.current_time())
            self._runner.turn()
            ready.set()
            await trio.to_thread.run_sync(end.wait)
            nursery.cancel_scope.cancel()

    def _carry_out(self, now: float) -> None:
        while actions := self.core.settle(now):
            match action := actions.popleft():
                case LoadCode():
                    self.core.code_loaded(action, self._load(action), trio.current_time())
                case Job():
                    self.core.job_done(action, perform(action.operation), trio.current_time())
                case Answered(token, answer):
                    assert isinstance(token, control.Waiter)
                    token.set(answer)
                case Installed(control.Waiter() as token, failures):
                    token.set(failures)
                case Traced():
                    control.traced(action)
                case Printed():
                    control.printed(action)
                case Probed():
                    control.probed(action)
                case Ready():
                    self._booted.set()
                case LogLine(source, _, text):
                    self.log.append(f"{source}: {text}")
                case _:
                    pass  # there is no network

    def _load(self, load: LoadCode) -> Program | BadCode:
        code = perform(ReadAt(load.source, 0, MAX_CODE)) if isinstance(load.source, Location) else bytes(load.source)
        if not isinstance(code, bytes):
            return BadCode("there is no such file")
        try:
            return self._engine.load(code)
        except BadModule as error:
            return BadCode(str(error))


@contextmanager
def real_node(network: Path, engine: Engine, *packages: str) -> Iterator[RealNode]:
    """The node `a.nec`, running in the folder `network` with some of the packages that come with the node."""
    make_network(network)
    folder = NodeFolder(network / NODES_FOLDER / NODE)
    folder.create()
    lock = folder.acquire()
    node = RealNode(network, engine)
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
