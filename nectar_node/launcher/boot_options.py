"""The options of `nectar boot` beyond the node's name and network: as given now, and as given the last time."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Set
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from nectar_node.base import own_files
from nectar_node.base.consent import NOTHING_SAID, Consent
from nectar_node.base.decoding import (
    BadShape,
    HexBytes,
    NewerVersion,
    Port,
    Size,
    check_version_untrusted,
    convert_untrusted,
    decode_untrusted,
)
from nectar_node.base.errors import BadFolder, CannotJoin
from nectar_node.base.folder import NodeFolder
from nectar_node.contract.config import LOOPBACK, GenesisFile
from nectar_node.storage.ledger import DEFAULT_QUOTAS, Quotas
from net.base.limits import MAX_RESERVATIONS

MAX_TOLD_BYTES = 1 << 20
"""Bytes that are read of an options file, which somebody may have edited."""
_VERSION = 1
"""The version of the boot file; one without a number is of this version, too."""
_NOT_KEPT = frozenset({"password", "consent", "rescue", "take_over", "lifeline"})
"""Options of one start alone."""


@dataclass(frozen=True, slots=True)
class BootOptions:
    """The options of `nectar boot` beyond the node's name and network."""

    host: str = LOOPBACK
    port: Port = 0
    advertise: tuple[str, Port] | None = None
    packages: tuple[Path, ...] | None = None
    """Package folders; None: the packages that come with the node."""
    password_file: Path | None = None
    routers: tuple[str, ...] = ()
    reservations: Port = MAX_RESERVATIONS
    directory: tuple[Path, HexBytes] | None = None
    """The signed file of a network without a registrar, and the key of its authority."""
    memory_bytes: Size | None = None
    """The budget of memory (`NodeConfig.memory_bytes`)."""
    cipher: str | None = None
    """The cipher that the record lists (`NodeConfig.cipher`)."""
    trace: bool = False
    """Whether a trace is written (`NodeConfig.trace`)."""
    record: Path | None = None
    """The folder of the recording (`NodeConfig.record`); None: nothing is recorded."""
    keep: Size | None = None
    """Bytes that are kept of it; None: 1 GiB."""
    metrics: tuple[str, Port] | None = None
    """Where the node serves metrics (`NodeConfig.metrics`)."""
    otlp: str | None = None
    """The collector that gets its spans (`SpanPlace.url`)."""
    otlp_sample: Annotated[float, Meta(ge=0, le=1)] | None = None
    """The share of lineages that it gets (`SpanPlace.share`)."""
    consent: Consent = NOTHING_SAID
    """What the user says of the packages' rights. It is not kept with the rest: a node keeps its user's decisions."""
    quotas: Quotas = DEFAULT_QUOTAS
    """What its packages may have on the disk."""
    releases_quota: Size | None = None
    """Bytes that packages from other nodes may have there (`NodeConfig.releases_quota`)."""
    http: tuple[str, Port] | None = None
    """Where the node listens for browsers; None: nowhere."""
    tls: tuple[Path, Path] | None = None
    """The certificate for that and its key; None: without TLS."""
    http_name: str | None = None
    """The domain under which a proxy makes the node known to browsers (`HttpPlace.name`)."""
    rpc_open: bool = False
    """Whether programs may send messages without a token (`HttpPlace.rpc_open`)."""
    http_client_private: tuple[str, ...] = ()
    """The packages whose processes reach this machine and private networks by HTTP."""
    rescue: bool = False
    """Whether to start with what is left of a damaged store; not kept."""
    take_over: bool = False
    """Whether to start although a copy of the node has taken its place; not kept."""
    invitation: HexBytes | None = field(default=None, repr=False)
    """The invitation for the registrar (`NodeConfig.invitation`)."""
    invite_only: bool | None = None
    """For a registrar: whether a new name requires an invitation; None: as it was the last time."""
    once: bool = False
    """Whether the node stays down when its own code has failed (`supervisor`)."""
    password: HexBytes | None = field(default=None, repr=False)
    """The key's password, if it is known already; it goes through a pipe, which no other process can look into."""
    lifeline: int | None = None
    """A descriptor of this process, with which the node ends (`nectar_node.base.lifeline`); None: it outlives us."""
    prefix: tuple[str, ...] = ()
    """Words before the command that starts the node, such as `ip netns exec NAME`. The program that they run must
    become the node: keep its process id and its descriptors.
    """


DEFAULT_OPTIONS = BootOptions()
"""The options of a node that is told nothing."""


def keep_options(folder: NodeFolder, options: BootOptions) -> None:
    """Write the options of the node in `folder` to its boot file, for the next start."""
    own_files.write(folder.boot, encode_options(options))


def encode_options(options: BootOptions) -> bytes:
    """Return the boot file with these options, without password and lifeline."""
    return (json.dumps({"version": _VERSION, **_value(options)}, indent=2, default=_text) + "\n").encode()


def kept_options(folder: NodeFolder) -> BootOptions:
    """Return the options of the last start of the node in `folder` by a command; raises BadFolder if the file is
    damaged.
    """
    try:
        return decode_options_untrusted(own_files.read(folder.boot, MAX_TOLD_BYTES))
    except FileNotFoundError:
        return DEFAULT_OPTIONS
    except NewerVersion as error:
        raise BadFolder(
            f"{folder.boot} cannot be used: {error}. Boot {folder.path.name} with the newer one."
        ) from error
    except (OSError, ValueError) as error:
        raise BadFolder(
            f"{folder.boot} is damaged ({error}): remove it, and {folder.path.name} starts with the usual options."
        ) from error


def as_before(network_folder: Path, folder: NodeFolder, options: BootOptions) -> BootOptions:
    """Complete a registrar's options, where they do not say whether new names require an invitation.

    That stays as it was the last time, by the boot file of `folder`, or by the genesis file. Raises BadFolder.
    """
    if options.invite_only is not None:
        return options
    before = kept_options(folder).invite_only
    if before is None:
        with contextlib.suppress(CannotJoin):
            before = GenesisFile.load(network_folder).by_invitation
    return replace(options, invite_only=before is True)


def _value(options: BootOptions) -> dict[str, Any]:
    """Return all options but the password, the consent and the lifeline."""
    value = {("memory" if key == "memory_bytes" else key): each for key, each in asdict(options).items()}
    if options.password_file is not None:
        value["password_file"] = options.password_file.absolute()
    return {key: each for key, each in value.items() if key not in _NOT_KEPT}


def _text(value: Path | bytes) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def encode_told(options: BootOptions) -> bytes:
    """Return the input of `nectar_node.launcher.child`: the options with password and consent, without the lifeline."""
    told = {"password": options.password, "consent": asdict(options.consent), "rescue": options.rescue}
    return json.dumps({**_value(options), **told, "take_over": options.take_over}, default=_text).encode()


def decode_told_untrusted(data: bytes) -> BootOptions:
    """Return what `encode_told` has written; raises ValueError."""
    return _decode(data, {"lifeline"})


def decode_options_untrusted(data: bytes) -> BootOptions:
    """Return what `encode_options` has written, with the usual values of options that it does not hold; raises
    ValueError.
    """
    return _decode(data, _NOT_KEPT)


def _decode(data: bytes, ignored: Set[str]) -> BootOptions:
    value: dict[str, Any] = decode_untrusted(data, dict[str, Any])
    check_version_untrusted(value, _VERSION)
    if "host" not in value:
        raise BadShape("host is missing")  # so it is no file of ours
    known = {("memory_bytes" if key == "memory" else key): each for key, each in value.items() if key not in ignored}
    return convert_untrusted(known, BootOptions)
