"""What the folder of a testnet over several machines holds here: its hosts, and what they share."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from nectar_node.base import own_files
from nectar_node.base.decoding import BadShape, HexBytes, NewerVersion, check_version_untrusted, decode_untrusted
from nectar_node.base.errors import BadFolder, BadInput
from nectar_node.base.folder import HOSTS_FILE
from nectar_node.launcher.local_network import LocalNetwork
from testnet.hosts.file import Host, HostsFile
from testnet.real.links.elsewhere import SECRET_BYTES
from testnet.real.nodes.addresses import LoopbackNetwork

_VERSION = 1
_MAX_FILE_BYTES = 1 << 22


class KeptHosts(Struct, frozen=True):
    """The file in that folder."""

    file: HostsFile
    names: tuple[str, ...]
    """All nodes that have ever been there, in the order in which they got their places."""
    prefix: str
    """The loopback network of the nodes, the same on every host."""
    secret: HexBytes
    """What the links of the hosts share."""
    pythons: dict[str, str] = {}
    """The Python with the project on each host, by the host's name."""
    version: int = _VERSION

    def host_of(self, node: str) -> Host:
        """Return the host of a node; raises BadInput."""
        for host in self.file.hosts:
            if node in host.nodes:
                return host
        there = ", ".join(self.file.names())
        raise BadInput(f"There is no node {node} in this testnet: there are {there}.")

    def host(self, name: str) -> Host:
        """Return the host of that name; raises BadInput."""
        for host in self.file.hosts:
            if host.name == name:
                return host
        raise BadInput(f"There is no host {name}: there are {', '.join(host.name for host in self.file.hosts)}.")


def read_kept(folder: Path) -> KeptHosts | None:
    """Return what the folder holds; None: it is no testnet over several machines. Raises BadFolder."""
    path = folder / HOSTS_FILE
    try:
        data = own_files.read(path, _MAX_FILE_BYTES)
        check_version_untrusted(decode_untrusted(data, dict), _VERSION)
        kept = decode_untrusted(data, KeptHosts)
        if len(kept.secret) != SECRET_BYTES:
            raise BadShape(f"secret must be {SECRET_BYTES} bytes")
        return kept
    except FileNotFoundError:
        return None
    except NewerVersion as error:
        raise BadFolder(f"{path} cannot be used: {error}. Use the newer one.") from error
    except (OSError, ValueError) as error:
        raise BadFolder(f"{path} is damaged ({error}): remove it, and start the testnet again with --hosts.") from error


def keep(folder: Path, kept: KeptHosts) -> None:
    """Write the file; raises BadFolder."""
    try:
        own_files.make_folder(folder)
        value = msgspec.to_builtins(kept, enc_hook=str) | {"secret": kept.secret.hex()}
        own_files.write(folder / HOSTS_FILE, msgspec.json.encode(value))
    except OSError as error:
        raise BadFolder(f"{folder} cannot be used: {error.strerror}.") from error


def kept_for(folder: Path, file: HostsFile) -> KeptHosts:
    """Return what is kept of a testnet in `folder` with these hosts: places of nodes stay. Raises BadInput where
    another testnet is."""
    before = read_kept(folder)
    if before is None and LocalNetwork(folder).exists():
        raise BadInput(f"In {folder} there is a testnet on this machine: name another folder with --dir.")
    names = list(before.names) if before is not None else []
    names += [name for name in file.names() if name not in names]
    if before is None:
        secret = HexBytes(os.urandom(SECRET_BYTES))
        return KeptHosts(file, tuple(names), LoopbackNetwork.of(folder).prefix, secret)
    return KeptHosts(file, tuple(names), before.prefix, before.secret, before.pythons)
