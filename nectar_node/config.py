"""What a node is told at its start: frozen values, and the genesis file that the nodes of one network share."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from nectar_node.errors import CannotJoin
from nectar_node.folder import NodeFolder

GENESIS_FILE = "testnet.json"
NODES_FOLDER = "nodes"
REGISTRAR_NAME = "registrar.nec"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Genesis:
    """What every node of a network must know beforehand: who grants names."""

    registrar: str
    """The registrar's node id."""
    public_key: bytes
    """Its Ed25519 key, 32 bytes."""
    host: str
    port: int

    def save(self, folder: Path) -> None:
        """Write the genesis file of the network in `folder`."""
        value = {
            "registrar": self.registrar,
            "public_key": self.public_key.hex(),
            "host": self.host,
            "port": self.port,
        }
        (folder / GENESIS_FILE).write_text(json.dumps(value, indent=2) + "\n")

    @staticmethod
    def load(folder: Path) -> Genesis:
        """Read the genesis file of the network in `folder`; raises CannotJoin."""
        path = folder / GENESIS_FILE
        try:
            value = json.loads(path.read_text())
            key = bytes.fromhex(value["public_key"])
            genesis = Genesis(str(value["registrar"]), key, str(value["host"]), int(value["port"]))
        except FileNotFoundError:
            raise CannotJoin(f"There is no testnet in {folder}: start one with `nectar testnet up`.") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CannotJoin(f"{path} is damaged ({error}): remove the folder and start the testnet again.") from error
        if len(key) != 32:
            raise CannotJoin(f"{path} is damaged: the registrar's key has {len(key)} bytes instead of 32.")
        return genesis


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """How one node runs."""

    name: str
    """Its node id."""
    folder: NodeFolder
    genesis: Genesis | None
    """None: this node is the registrar, and writes the genesis file of `network_folder` when it listens."""
    network_folder: Path
    host: str = LOOPBACK
    """Where it listens."""
    port: int = 0
    """0: any free port."""
    advertise: tuple[str, int] | None = None
    """The endpoint in its name record, where that is not the one it listens on (a proxy stands before it)."""
    packages: tuple[Path, ...] = ()
    """Package folders (each with a manifest.json) whose processes run from the start."""
    ready_descriptor: int | None = None
    """Written to, and closed, when the node is ready: one line of JSON, {"endpoint": [host, port]}, or
    {"error": sentence}."""
    password: bytes | None = field(default=None, repr=False)
    """Of the key file; None: the file is not encrypted."""
