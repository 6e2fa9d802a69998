"""What the links of one machine must know of a testnet over several machines: a file in the links' folder.

Without the file all nodes are here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from nectar_node.base import own_files
from nectar_node.base.decoding import BadShape, HexBytes, Port, decode_untrusted
from nectar_node.base.errors import BadFolder
from testnet.real.links.claim import links_folder

SECRET_BYTES = 32
_FILE = "machines.json"
_MAX_FILE_BYTES = 1 << 17

Endpoints = dict[str, tuple[str, int]]
"""Where the links of the machine listen on which a node is, by the node's name."""


@dataclass(frozen=True, slots=True)
class LabMachine:
    """One machine of a testnet over several."""

    here: tuple[str, ...]
    """The nodes of this machine."""
    secret: HexBytes
    """What the links of all machines share (`SECRET_BYTES`): they show each other that they know it."""
    seed: Annotated[int, Meta(ge=0, lt=1 << 32)]
    """The chance of faults follows from it: another one on each machine."""
    port: Port = 0
    """Where these links listen for those of other machines; 0: at a free port."""


def write_machine(folder: Path, machine: LabMachine) -> None:
    """Write the file for the links of the testnet in `folder`, which exists; raises OSError and BadFolder."""
    value = {**asdict(machine), "secret": machine.secret.hex()}
    own_files.write(links_folder(folder).path / _FILE, msgspec.json.encode(value))


def read_machine(folder: Path) -> LabMachine | None:
    """Return what the file says, or None; raises BadFolder if it is damaged."""
    path = links_folder(folder).path / _FILE
    try:
        machine = decode_untrusted(own_files.read(path, _MAX_FILE_BYTES), LabMachine)
        if len(machine.secret) != SECRET_BYTES:
            raise BadShape(f"secret must be {SECRET_BYTES} bytes")
        return machine
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise BadFolder(f"{path} is damaged ({error}): remove it, and start the testnet again.") from error
