"""hosts.toml: the machines of a testnet, and which nodes run where. Keys that are not known are refused."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from nectar_node.base.decoding import BadShape, Port, convert_untrusted
from nectar_node.base.errors import BadInput
from nectar_node.contract.config import REGISTRAR_NAME
from nectar_node.launcher.local_network import check_name
from testnet.real.nodes.addresses import MAX_NODES

MAX_HOSTS = 100
"""The most hosts of a testnet: each is a connection that stays open."""
MAX_FILE_BYTES = 1 << 20
SSH_PORT = 22
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

Text = Annotated[str, Meta(min_length=1, max_length=4096)]


class Host(Struct, frozen=True, forbid_unknown_fields=True):
    """One machine."""

    name: Text
    """What commands call it: a-z, 0-9 and inner '-'."""
    address: Text
    """Where ssh, and the links of other hosts, reach it: an IPv4 address or a name of the DNS."""
    nodes: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=MAX_NODES)]
    """The nodes that run there."""
    user: str | None = None
    """The user there; None: of the same name as here."""
    key: Path | None = None
    """The file of the private key; None: those of ssh-agent, and the usual ones in ~/.ssh."""
    port: Port = SSH_PORT
    """The port of its ssh server."""
    folder: Text = "nectar-testnet"
    """The testnet's folder there; a relative one lies in the user's home."""
    python: Text = "python3"
    """A Python there. If it has this release of the project, nodes run with it; if not, it makes an environment."""
    links_port: Port = 0
    """The port where its links listen for those of other hosts; 0: one that is free."""


class HostsFile(Struct, frozen=True, forbid_unknown_fields=True):
    """The file."""

    hosts: Annotated[tuple[Host, ...], Meta(min_length=1, max_length=MAX_HOSTS)]
    known_hosts: Path | None = None
    """The keys of the hosts; None: ~/.ssh/known_hosts."""
    wheels: Path | None = None
    """A folder of wheels here, from which environments are made; None: hosts have a package registry."""

    def names(self) -> list[str]:
        """Return all nodes, the registrar first."""
        return sorted((name for host in self.hosts for name in host.nodes), key=lambda name: name != REGISTRAR_NAME)


def read_hosts_file(path: Path) -> HostsFile:
    """Return what the file says; paths in it begin at its folder. Raises BadInput."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BadInput(f"The hosts file {path} cannot be read: {error.strerror}.") from error
    if len(data) > MAX_FILE_BYTES:
        raise BadInput(f"The hosts file {path} is longer than {MAX_FILE_BYTES} bytes.")
    return parse_hosts_untrusted(data, path)


def parse_hosts_untrusted(data: bytes, path: Path) -> HostsFile:
    """Return what the bytes of the file at `path` say; raises BadInput, which names the file."""
    try:
        found = convert_untrusted(tomllib.loads(data.decode()), HostsFile)
        _check(found)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, BadShape) as error:
        raise BadInput(f"The hosts file {path} is not valid: {error}.") from None
    except BadInput as error:
        raise BadInput(f"The hosts file {path} is not valid: {error}") from None
    return _with_registrar(_absolute(found, path.absolute().parent))


def _check(file: HostsFile) -> None:
    hosts = [host.name for host in file.hosts]
    for name in hosts:
        if _NAME.fullmatch(name) is None:
            raise BadShape(f"{name!r} is not a name of a host: expected a-z, 0-9 and inner '-', such as one")
        if hosts.count(name) > 1:
            raise BadShape(f"two hosts are called {name}")
    names = file.names()
    for name in names:
        check_name(name)
        if names.count(name) > 1:
            raise BadShape(f"{name} is named twice: a node runs on one host")
    if len(names) + (REGISTRAR_NAME not in names) > MAX_NODES:
        raise BadShape(f"it has more than {MAX_NODES} nodes")
    for host in file.hosts:
        for key, value in (("address", host.address), ("user", host.user or ""), ("folder", host.folder)):
            if not value.isprintable() or value.startswith("-"):
                raise BadShape(f"{key} of {host.name} must be printable, and not begin with '-'")
        if not host.port:
            raise BadShape(f"port of {host.name} must be at least 1")


def _absolute(file: HostsFile, folder: Path) -> HostsFile:
    def path(given: Path | None) -> Path | None:
        return None if given is None else folder / given.expanduser()

    hosts = tuple(_changed(host, key=path(host.key)) for host in file.hosts)
    return HostsFile(hosts, path(file.known_hosts), path(file.wheels))


def _with_registrar(file: HostsFile) -> HostsFile:
    """Let the registrar run on the first host, unless one has it."""
    if REGISTRAR_NAME in file.names():
        return file
    first, *others = file.hosts
    return HostsFile((_changed(first, nodes=(REGISTRAR_NAME, *first.nodes)), *others), file.known_hosts, file.wheels)


def _changed(host: Host, **fields: object) -> Host:
    import msgspec

    return msgspec.structs.replace(host, **fields)
