"""The client of the links: starts their process, and sends it commands."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from nectar_node.base import own_files
from nectar_node.base.errors import NotRunning
from nectar_node.launcher import launch
from nectar_node.launcher.boot_options import BootOptions, kept_options
from nectar_node.launcher.client import ControlClient
from nectar_node.launcher.local_network import LocalNetwork
from testnet.real.links.claim import links_folder, read
from testnet.real.nodes.addresses import NodePlace

FAULT_TIMEOUT = 120.0
"""Seconds in which a fault begins or ends: a node may have to boot."""
LINKS_ENDED = "the links between the nodes have ended, or the testnet was stopped, during the run"
_NAME = "the links"

Row = dict[str, Any]


def behind_links(network: LocalNetwork, name: str, options: BootOptions) -> BootOptions:
    """Return the options of a node that joins a testnet: behind links, if those of the others run; raises NodeError."""
    links = LinksProcess(network)
    return links.connect(name).options(options) if links.pid is not None and links.left() else options


@dataclass(frozen=True, slots=True)
class LinksProcess:
    """The process that runs the links of a testnet on loopback, if it runs."""

    network: LocalNetwork

    @property
    def pid(self) -> int | None:
        """Return its process id, or None if it does not run."""
        return links_folder(self.network.folder).owner()

    def start(self, lifeline: int | None = None) -> bool:
        """Start the process if it does not run, and return whether it was started. It, and the nodes that it starts,
        end with `lifeline` (`testnet.real.lifeline`), if there is one. Raises CannotStart."""
        if self.pid is not None:
            return False
        folder = links_folder(self.network.folder)
        self.network.secure()
        own_files.make_folder(folder.path)
        command = [sys.executable, "-P", "-m", "testnet.real.links"]
        launch.start_beside(_NAME, folder, command, [str(self.network.folder)], lifeline)
        return True

    def stop(self) -> str | None:
        """End the process; return "stopped" or "killed", or None if it did not run."""
        folder = links_folder(self.network.folder)
        return launch.stop([folder]).get(folder.path.name)

    def connect(self, name: str) -> NodePlace:
        """Make the node `name` reachable for the others, and return its place; raises NodeError."""
        answer = self.ask("add", name=name)
        host, port = answer["front"]
        return NodePlace(answer["host"], answer["port"], (host, port))

    def ask(self, command: str, **arguments: object) -> Row:
        """Send a command and return the answer; raises NotRunning with what to do, and as `ControlClient.request`."""
        try:
            client = ControlClient.connect(_NAME, links_folder(self.network.folder))
        except OSError as error:
            raise NotRunning(self.why_not()) from error
        with client:
            return client.request(command, patience=FAULT_TIMEOUT, **arguments)

    def why_not(self) -> str:
        """Return why the links cannot be asked, and what to do, as a sentence."""
        up, down = self.network.command("testnet up"), self.network.command("testnet down")
        if (pid := self.pid) is not None:
            return f"The links run as process {pid} but do not answer: see {links_folder(self.network.folder).log}."
        running = [name for name in self.network.names() if self.network.place(name).owner() is not None]
        if not running:
            return f"The testnet in {self.network.folder} is down: start it with `{up}`."
        if self.left():
            return f"The links between the nodes have ended, so no node reaches another: `{up}` starts them again."
        return (
            "These nodes reach each other directly, so nothing stands between them where faults could be: "
            f"stop them with `{down}`, and start them with `{up}`, without --direct."
        )

    def left(self) -> list[str]:
        """Return the running nodes that others are told to reach through the links."""
        allocation = read(self.network.folder)
        if allocation is None:
            return []
        running = [name for name in allocation.names if self.network.place(name).owner() is not None]
        return [name for name in running if kept_options(self.network.place(name)).host == allocation.place(name).host]
