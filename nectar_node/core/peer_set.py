"""What the core has for other nodes: whom it believes, what it keeps of their names and its own, and the bridge."""

from __future__ import annotations

from collections.abc import Callable

from kernel.contract.message import Envelope
from kernel.machine import Machine
from kernel.router.kernel import Kernel
from nectar_node.contract.actions import DriverAction, LogLine
from nectar_node.core.config import CoreConfig
from nectar_node.core.kernel_view import KernelView
from nectar_node.packages.boot import StartUp
from nectar_node.peers.bridge import Peers
from nectar_node.peers.name_rows import NameRows
from nectar_node.peers.own_row import OwnRow
from nectar_node.peers.vouching import Vouching
from net.peering.network import Network


class PeerSet:
    """One node's side of the net."""

    def __init__(
        self,
        config: CoreConfig,
        network: Network,
        kernel: Kernel,
        machine: Machine,
        start_up: StartUp,
        emit: Callable[[DriverAction], None],
        serve: Callable[[Envelope, float], bool],
    ) -> None:
        """`start_up` waits for the registrar; `emit` gives the driver an action; `serve` gives a request to a system
        process that is there for other nodes, False: it is for none of them.
        """
        our, kept = config.our, config.kept
        accepts = KernelView(our, kernel, network).accepts
        vouching = Vouching(our, network, kernel.grants, lambda text: emit(LogLine("kernel", 0, text)), accepts)
        names = NameRows(kept.names, config.registrar, network.records)
        self.own = OwnRow(kept.own)
        """What the node says in its own record."""
        self.bridge = Peers(our, network, vouching, names, self.own, start_up, machine, emit, serve, kernel.root_of)
        vouching.restore(kept.grants)
        self.rows = (vouching.rows, names, self.own)
        """What of all this the store follows."""
