"""Which system processes a node has, and what each is made with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kernel.contract.address import ProcessId
from kernel.contract.events import Event
from kernel.router.kernel import Kernel
from nectar_node.contract.actions import DriverAction
from nectar_node.core.config import CoreConfig
from nectar_node.core.kernel_view import KernelView
from nectar_node.databases.kv import Kv
from nectar_node.databases.sqlite import Sqlite
from nectar_node.http.bodies.body_files import BodyPlaces
from nectar_node.http.origins import OurNames
from nectar_node.packages.installer import Installer
from nectar_node.sharing.process import ReleaseSharing
from nectar_node.system.http_client import HttpClient
from nectar_node.system.http_server import HttpServer
from nectar_node.system.keeper import Keeper
from nectar_node.system.kernel import KernelProcess
from nectar_node.system.net import Net
from nectar_node.system.process import SystemProcess
from nectar_node.system.state import State
from nectar_node.system.terminal import Terminal
from nectar_node.system.timer import Timer
from nectar_node.system.vfs import Vfs
from net.base.timers import Timers
from net.peering.network import Network

_KINDS: tuple[type[SystemProcess], ...]
_KINDS = (Vfs, Kv, Sqlite, State, Timer, Net, KernelProcess, Terminal, Keeper, HttpServer, HttpClient, ReleaseSharing)
SYSTEM_NAMES = tuple((id, each.public) for each in _KINDS for id in (each.id, *each.other_names))
"""All their ids, and whether every local process may message each (G18)."""


class SystemSet:
    """The system processes of one node, and what installs packages into their vfs."""

    def __init__(
        self,
        config: CoreConfig,
        network: Network,
        kernel: Kernel,
        peers: Callable[[], list[dict[str, object]]],
        act: Callable[[Event], None],
        emit: Callable[[DriverAction], None],
        timers: Timers[Any],
    ) -> None:
        """`peers` returns the nodes that this one has a session with; `act` gives the kernel an event, `emit` the
        driver an action; `timers` has the earliest deadline of each part.
        """
        our, kept, memory = config.our, config.kept, config.memory
        view = KernelView(our, kernel, network)
        self._kernel = kernel
        self.vfs = Vfs(our, config.drives, view.holds, view.awaited_until, memory, view.generation)
        kv, sqlite = (kind(our, config.drives, view.holds, view.generation, memory) for kind in (Kv, Sqlite))
        self.state = State(config.store, kept.states, config.ledger, memory)
        self.installer = Installer(our, kernel, act, emit, self.vfs.mount, self.vfs.unmount, kept.packages, timers)
        self.terminal = Terminal(
            our,
            config.fresh_id,
            self.installer.locate,
            self._everybody,
            self.installer.may_script,
            kept.aliases,
            view.generation,
        )
        net = Net(our, peers, network.record, network.statistics)
        self.keeper = Keeper(our, config.keeps, kept.owners, config.fresh_id, view.key_of, memory)
        self.sharing = ReleaseSharing(
            our, config.packages, kept.shelf, view.key_of, network.unix, memory, config.releases_quota
        )
        self.http_server = HttpServer(
            our,
            OurNames(frozenset(config.http_hosts), frozenset(config.http_proxied)),
            config.fresh_id,
            config.page_files,
            kernel.processes.__contains__,
            memory,
            self.vfs.readable,
            BodyPlaces(config.drives, self.vfs.receiving),
            sockets=config.sockets,
            has_password=config.has_password,
            rpc_open=config.rpc_open,
        )
        self.http_client = HttpClient(our, config.http_client, view.awaited_until, view.has_room, memory)
        self.all: tuple[SystemProcess, ...] = (
            self.vfs,
            kv,
            sqlite,
            self.state,
            Timer(),
            net,
            KernelProcess(our, kernel),
            self.terminal,
            self.keeper,
            self.http_server,
            self.http_client,
            self.sharing,
        )

    def _everybody(self) -> tuple[ProcessId, ...]:
        """Return the processes of this node, the system processes first."""
        return (*(id for id, _ in SYSTEM_NAMES), *self._kernel.processes)
