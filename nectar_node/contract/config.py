"""A node's configuration as frozen values, and the genesis file that the nodes of one network share."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from kernel.contract.address import PackageId
from nectar_node.base import folder, own_files
from nectar_node.base.consent import NOTHING_SAID, Consent
from nectar_node.base.decoding import (
    BadShape,
    HexBytes,
    NewerVersion,
    check_version_untrusted,
    convert_untrusted,
    decode_untrusted,
)
from nectar_node.base.errors import BadFolder, CannotJoin
from nectar_node.base.folder import NodeFolder
from nectar_node.storage.ledger import DEFAULT_QUOTAS, Quotas
from net.base.limits import MAX_RESERVATIONS
from net.names.directory import Genesis

GENESIS_FILE = folder.GENESIS_FILE
NODES_FOLDER = folder.NODES_FOLDER
REGISTRAR_NAME = folder.REGISTRAR_NAME
LOOPBACK = "127.0.0.1"
_MAX_GENESIS_BYTES = 1 << 16
_VERSION = 1
"""The version of the genesis file; one without a number is of this version, too."""


class NewerNetwork(CannotJoin):
    """The genesis file is of a version that only newer releases know."""


@dataclass(frozen=True, slots=True)
class GenesisFile:
    """What every node of a network must know beforehand: who grants names."""

    registrar: str
    """The registrar's node id."""
    public_key: HexBytes
    """The registrar's Ed25519 key, 32 bytes."""
    host: str
    port: Annotated[int, Meta(ge=1, lt=1 << 16)]
    by_invitation: bool = False
    """Whether a new name requires an invitation. This is for people: the registrar enforces it."""

    def genesis(self) -> Genesis:
        """Return what its nodes' networks know of the registrar."""
        return Genesis(self.registrar, self.public_key, self.host, self.port)

    def save(self, folder: Path) -> None:
        """Write the genesis file of the network in `folder`, whole or not at all. Raises NotOurs and OSError."""
        value = {"version": _VERSION, **asdict(self), "public_key": self.public_key.hex()}
        own_files.write(folder / GENESIS_FILE, (json.dumps(value, indent=2) + "\n").encode())

    @staticmethod
    def load(folder: Path) -> GenesisFile:
        """Read the genesis file of the network in `folder`; raises CannotJoin and NotOurs."""
        path = folder / GENESIS_FILE
        try:
            value = decode_untrusted(own_files.read(path, _MAX_GENESIS_BYTES), dict[str, Any])
            check_version_untrusted(value, _VERSION)
            genesis = convert_untrusted(value, GenesisFile)
        except FileNotFoundError:
            raise CannotJoin(f"There is no testnet in {folder}: start one with `{_up(folder)}`.") from None
        except NewerVersion as error:
            raise NewerNetwork(f"{path} cannot be used: {error}. Use the newer one.") from error
        except (OSError, BadShape) as error:
            raise CannotJoin(f"{path} is damaged ({error}). {_mend(folder)}") from error
        if len(genesis.public_key) != 32 or not any(genesis.public_key):
            raise CannotJoin(f"{path} is damaged: it does not hold a registrar's key. {_mend(folder)}")
        return genesis


def _mend(folder: Path) -> str:
    return f"Remove this one file and run `{_up(folder)}`: the registrar writes it again, and nothing is lost."


def _up(folder: Path) -> str:
    return f"nectar testnet up --dir {shlex.quote(str(folder))}"


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A signed directory, in place of a registrar."""

    path: Path
    authority: bytes
    """The Ed25519 key that has signed it, 32 bytes."""


@dataclass(frozen=True, slots=True)
class HttpPlace:
    """Where a node listens for browsers."""

    host: str
    port: int
    """0: any free port."""
    tls: tuple[str, str] | None = None
    """The files of the certificate and its key, PEM; None: without TLS."""
    name: str | None = None
    """A domain for the node, and below it for packages, where a proxy in front of the node takes TLS."""
    rpc_open: bool = False
    """Whether programs on this machine may send messages in the user's name without a token."""


@dataclass(frozen=True, slots=True)
class RecordPlace:
    """Where a node records what its core is told (`nectar_node.recording`)."""

    folder: Path
    """For the recordings of any number of nodes."""
    keep: int
    """Bytes that are kept of this node's."""


DEFAULT_KEEP = 1 << 30
"""Bytes of a recording that are kept unless the user says otherwise."""
LEAST_KEEP = 16 << 20
"""Bytes of the smallest recording: some segments, so that the oldest can go."""


@dataclass(frozen=True, slots=True)
class SpanPlace:
    """Where a node sends the spans of messages."""

    url: str
    """That of the collector's traces, by OTLP over HTTP."""
    share: float
    """The share of all lineages that is sent, from 0 to 1."""


DEFAULT_SPAN_SHARE = 0.01
"""The share of all lineages whose spans are sent unless the user says otherwise: a node under load keeps its pace."""


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """How one node runs."""

    name: str
    """The node's name."""
    folder: NodeFolder
    genesis: GenesisFile | None
    """The network's genesis file. None, with `static` None too: this node is the registrar, and writes the genesis file
    of `network_folder` when it listens.
    """
    network_folder: Path
    host: str = LOOPBACK
    """The host on which it listens, and from which it dials if that is one address."""
    port: int = 0
    """The port on which it listens; 0: any free port."""
    advertise: tuple[str, int] | None = None
    """The endpoint in its name record, if that is not the one it listens on (a proxy stands before it)."""
    routers: tuple[str, ...] = ()
    """Nodes through which this one is reached; its name record then has no endpoint."""
    reservations: int = MAX_RESERVATIONS
    """How many other nodes this one is a router for."""
    packages: tuple[Path, ...] = ()
    """Package folders (each with a manifest.json) whose processes run from the start."""
    consent: Consent = NOTHING_SAID
    """What the user says of the rights of these packages."""
    ready_descriptor: int | None = None
    """The descriptor that is written to, and closed, when the node is ready: one line of JSON, {"endpoint": [host,
    port]}, or {"error": sentence}.
    """
    lifeline: int | None = None
    """A descriptor (`nectar_node.base.lifeline`): the node ends with the process that has started it."""
    password: bytes | None = field(default=None, repr=False)
    """The password of the key file; None: the file is not encrypted."""
    memory_bytes: int | None = None
    """The budget, in bytes, for everything that waits in the node; None: a quarter of the machine's memory, at most 2
    GiB.
    """
    cipher: str | None = None
    """The cipher, by its name in Noise, that its record lists; None: the one that is faster on its machine."""
    trace: bool = False
    """Whether to write what happens to every message to `folder.trace`."""
    metrics: tuple[str, int] | None = None
    """Where it serves metrics to Prometheus, port 0 for any free one; None: nowhere."""
    spans: SpanPlace | None = None
    """Where it sends spans; None: nowhere."""
    invitation: bytes | None = field(default=None, repr=False)
    """The invitation that is shown to the registrar (`net.names.invitation`)."""
    by_invitation: bool = False
    """For a registrar: whether a new name requires an invitation."""
    static: StaticFile | None = None
    """The directory of a network without a registrar."""
    quotas: Quotas = DEFAULT_QUOTAS
    """What its packages may have on the disk."""
    releases_quota: int | None = None
    """Bytes that packages from other nodes may have there; None: 16 GiB."""
    http: HttpPlace | None = None
    """Where it listens for browsers; None: nowhere."""
    http_client_private: tuple[PackageId, ...] = ()
    """The packages whose processes reach this machine and private networks by HTTP."""
    rescue: bool = False
    """Whether to start with what is left of a damaged store."""
    take_over: bool = False
    """Whether to start although a copy of the node has taken its place."""
    record: RecordPlace | None = None
    """Where it is recorded; None: nowhere."""
    boot_file: bytes | None = field(default=None, repr=False)
    """What is written to `folder.boot` once it runs, for its next boot; None: nothing."""

    @property
    def is_registrar(self) -> bool:
        """Whether this node grants names."""
        return self.genesis is None and self.static is None


def module_cache() -> Path | None:
    """Return the folder of compiled code, for all nodes and simulations of this user; None: the user has none, or
    shares it.
    """
    return user_cache("modules")


def user_cache(name: str) -> Path | None:
    """Return a folder in which this user keeps what could be made again; None: the user has none, or shares it."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        folder = (Path(base) if base else Path.home() / ".cache") / "nectar" / name
        own_files.make_folder(folder)  # what is in it is run
    except (RuntimeError, OSError):  # no HOME, and the user has no entry: so it is in some containers
        return None
    except BadFolder as error:
        print(f"Compiled code is not kept: {error}", file=sys.stderr)
        return None
    return folder
