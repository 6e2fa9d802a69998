"""The network of nodes in a folder: which exist, which run, and how to connect to one."""

from __future__ import annotations

import os
import shlex
import time
from dataclasses import dataclass
from pathlib import Path

from kernel.contract.address import check_node
from kernel.contract.errors import BadAddress
from nectar_node.base import own_files
from nectar_node.base.errors import BadInput, CannotJoin, NotRunning
from nectar_node.base.folder import GENESIS_FILE, HOSTS_FILE, NODES_FOLDER, REGISTRAR_NAME, NodeFolder
from nectar_node.launcher import client
from nectar_node.launcher.client import ControlClient, ControlError

_GLANCE_SECONDS = 0.02
"""Seconds between two looks at whether a booting node listens on its control socket."""

DEFAULT_FOLDER = Path(".nectar")
"""The testnet's folder unless the user names another, below the current folder."""
DIRECTORY_VARIABLE = "NECTAR_DIR"
"""The environment variable that names another folder."""


@dataclass(frozen=True, slots=True)
class LocalNetwork:
    """The nodes whose folders lie below one folder."""

    folder: Path

    @staticmethod
    def find(folder: Path) -> LocalNetwork:
        """Return the network in `folder`; raises CannotJoin if there is none, NotOurs if it is another user's."""
        network = LocalNetwork(folder)
        network.secure()
        network.check_here()
        if not network.exists():
            raise CannotJoin(f"There is no testnet in {folder}: start one with `{network.command('testnet up')}`.")
        return network

    def create(self) -> None:
        """Make the folder, or check that it is ours. Raises NotOurs and OSError."""
        self.secure()
        self.check_here()
        own_files.make_folder(self.folder / NODES_FOLDER)

    def secure(self) -> None:
        """Check that the folder, if it exists, is ours, and that nobody else writes into it. Raises NotOurs and
        OSError.
        """
        own_files.tighten(self.folder)
        own_files.tighten(self.folder / NODES_FOLDER)

    def check_here(self) -> None:
        """Raise CannotJoin if the nodes of the network are on other machines."""
        if (self.folder / HOSTS_FILE).is_file():
            raise CannotJoin(
                "The nodes of this testnet are on other machines, and this command does not go there: "
                f"`{self.command('testnet on')} NODE COMMAND …` runs it where a node is."
            )

    def exists(self) -> bool:
        """Whether a registrar has ever listened, or a node been made, here."""
        return (self.folder / GENESIS_FILE).is_file() or (self.folder / NODES_FOLDER).is_dir()

    def is_static(self) -> bool:
        """Whether nodes have run here without a registrar: they know each other from a signed file."""
        return not (self.folder / GENESIS_FILE).is_file() and any(
            self.place(name).records.is_dir() for name in self.names()
        )

    def names(self) -> list[str]:
        """Return the nodes that have a folder here, the registrar first."""
        nodes = self.folder / NODES_FOLDER
        found = sorted(path.name for path in nodes.iterdir() if path.is_dir()) if nodes.is_dir() else []
        return sorted(found, key=lambda name: name != REGISTRAR_NAME)

    def place(self, name: str) -> NodeFolder:
        """Return the folder of the node `name`, whether or not it exists."""
        return NodeFolder(self.folder / NODES_FOLDER / name)

    def node(self, name: str) -> NodeFolder:
        """Return the folder of the existing node `name`; raises BadInput, listing those that exist."""
        names = self.names()
        if name not in names:
            self.check_here()
            known = f"the nodes here are {', '.join(names)}" if names else "there are no nodes here yet"
            raise BadInput(
                f"There is no node {name} in {self.folder}: {known}; start a new one with `{self.boot(name)}`."
            )
        return self.place(name)

    def connect(self, name: str) -> ControlClient:
        """Connect to the running node `name`, waiting for one that boots to listen; raises BadInput, NotRunning or
        ControlError.
        """
        folder = self.node(name)
        deadline = time.monotonic() + client.CONNECT_TIMEOUT
        while True:
            try:
                return ControlClient.connect(name, folder, self.command)
            except PermissionError as error:
                raise ControlError(f"The control socket {folder.control} belongs to another user.") from error
            except OSError as error:
                owner = folder.owner()
                if owner is None:
                    start = self.boot(name, "--detach")
                    raise NotRunning(f"{name} is not running: start it with `{start}`.") from error
                if time.monotonic() >= deadline:
                    raise ControlError(
                        client.paused(name, folder, self.command)
                        or f"{name} runs as process {owner} but does not answer on its control socket: "
                        f"see its log {folder.log}, or end it with `{self.command('testnet down')}`."
                    ) from error
            time.sleep(_GLANCE_SECONDS)

    def boot(self, name: str, *options: str) -> str:
        """Return the command line that starts the node `name`; a signed file, if it takes one, is for the user
        to add.
        """
        options = (*options, "--directory", "FILE", "--authority", "HEX") if self.is_static() else options
        return self.command("boot", name, *options, option="--join")

    def command(self, command: str, *arguments: str, option: str = "--dir") -> str:
        """Return a `nectar` command line for this network, ready to be pasted into a shell."""
        where = [] if self.folder == usual_folder() and option == "--dir" else [option, str(self.folder)]
        return f"nectar {command}{''.join(' ' + shlex.quote(word) for word in (*arguments, *where))}"


def usual_folder() -> Path:
    """Return the folder of the testnet if the user does not name one."""
    return Path(os.environ.get(DIRECTORY_VARIABLE) or DEFAULT_FOLDER)


def check_name(name: str) -> None:
    """Raise BadInput if `name` is not a node id (G1), which also keeps it from naming a folder elsewhere."""
    try:
        check_node(name)
    except BadAddress as error:
        raise BadInput(
            f"{name!r} is not a node name: expected labels of a-z, 0-9 and '-' joined by dots, such as some-user.nec."
        ) from error
