"""The options of `nectar boot` beyond the node's name and network: as given now, and as given the last time."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from nectar_node.base import own_files
from nectar_node.base.consent import NOTHING_SAID, Consent
from nectar_node.base.errors import BadFolder, CannotJoin
from nectar_node.base.folder import NodeFolder
from nectar_node.contract.config import LOOPBACK, GenesisFile
from nectar_node.storage.ledger import DEFAULT_QUOTAS, Quotas
from net.base.limits import MAX_RESERVATIONS

MAX_TOLD_BYTES = 1 << 20
"""Bytes that are read of an options file, which somebody may have edited."""


@dataclass(frozen=True, slots=True)
class BootOptions:
    """The options of `nectar boot` beyond the node's name and network."""

    host: str = LOOPBACK
    port: int = 0
    advertise: tuple[str, int] | None = None
    packages: tuple[Path, ...] | None = None
    """Package folders; None: the packages that come with the node."""
    password_file: Path | None = None
    routers: tuple[str, ...] = ()
    reservations: int = MAX_RESERVATIONS
    directory: tuple[Path, bytes] | None = None
    """The signed file of a network without a registrar, and the key of its authority."""
    memory_bytes: int | None = None
    """The budget of memory (`NodeConfig.memory_bytes`)."""
    trace: bool = False
    """Whether a trace is written (`NodeConfig.trace`)."""
    consent: Consent = NOTHING_SAID
    """What the user says of the packages' rights. It is not kept with the rest: a node keeps its user's decisions."""
    quotas: Quotas = DEFAULT_QUOTAS
    """What its packages may have on the disk."""
    rescue: bool = False
    """Whether to start with what is left of a damaged store; not kept."""
    invitation: bytes | None = field(default=None, repr=False)
    """The invitation for the registrar (`NodeConfig.invitation`)."""
    invite_only: bool | None = None
    """For a registrar: whether a new name requires an invitation; None: as it was the last time."""
    once: bool = False
    """Whether the node stays down when its own code has failed (`supervisor`)."""
    password: bytes | None = field(default=None, repr=False)
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
    """Write the options of the node in `folder` to its boot file, for the next start, without password and lifeline."""
    own_files.write(folder.boot, (json.dumps(_value(options), indent=2) + "\n").encode())


def kept_options(folder: NodeFolder) -> BootOptions:
    """Return the options of the last start of the node in `folder` by a command; raises BadFolder if the file is
    damaged.
    """
    try:
        return decode_options_untrusted(own_files.read(folder.boot, MAX_TOLD_BYTES))
    except FileNotFoundError:
        return DEFAULT_OPTIONS
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
    """Return all options but the password and the lifeline, as JSON."""
    return {
        "host": options.host,
        "port": options.port,
        "advertise": options.advertise,
        "packages": None if options.packages is None else [str(path) for path in options.packages],
        "password_file": None if options.password_file is None else str(options.password_file.absolute()),
        "routers": options.routers,
        "reservations": options.reservations,
        "directory": None if options.directory is None else [str(options.directory[0]), options.directory[1].hex()],
        "memory": options.memory_bytes,
        "trace": options.trace,
        "quotas": asdict(options.quotas),
        "invitation": None if options.invitation is None else options.invitation.hex(),
        "invite_only": options.invite_only,
        "once": options.once,
        "prefix": options.prefix,
    }


def encode_told(options: BootOptions) -> bytes:
    """Return the input of `nectar_node.launcher.child`: the options with password and consent, without the lifeline."""
    password = None if options.password is None else options.password.hex()
    told = {"password": password, "consent": asdict(options.consent), "rescue": options.rescue}
    return json.dumps({**_value(options), **told}).encode()


def decode_told_untrusted(data: bytes) -> BootOptions:
    """Return what `encode_told` has written; raises ValueError."""
    options, told = decode_options_untrusted(data), json.loads(data)
    password = told.get("password")
    options = replace(options, rescue=told.get("rescue") is True)
    options = options if password is None else replace(options, password=bytes.fromhex(str(password)))
    return replace(options, consent=_consent(told["consent"])) if "consent" in told else options


def _consent(value: Any) -> Consent:
    try:
        return Consent(
            grant=tuple(map(_text, value["grant"])),
            deny=tuple(map(_text, value["deny"])),
            replaces=value["replaces"] is True,
            allows_sys=value["allows_sys"] is True,
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"it has an unknown shape: {error!r}") from error


def decode_options_untrusted(data: bytes) -> BootOptions:
    """Return what `keep_options` has written; raises ValueError."""
    try:
        value = json.loads(data)
        advertise, packages, directory = (value[key] for key in ("advertise", "packages", "directory"))
        invitation, invite_only = value.get("invitation"), value.get("invite_only")
        return BootOptions(
            host=_text(value["host"]),
            port=_number(value["port"]),
            advertise=None if advertise is None else (_text(advertise[0]), _number(advertise[1])),
            packages=None if packages is None else tuple(Path(_text(path)) for path in packages),
            password_file=None if value["password_file"] is None else Path(_text(value["password_file"])),
            routers=tuple(map(_text, value["routers"])),
            reservations=_number(value["reservations"]),
            directory=None if directory is None else (Path(_text(directory[0])), bytes.fromhex(directory[1])),
            memory_bytes=None if value.get("memory") is None else _number(value["memory"], 1 << 63),
            trace=value.get("trace", False) is True,
            quotas=_quotas(value["quotas"]) if "quotas" in value else DEFAULT_QUOTAS,
            invitation=None if invitation is None else bytes.fromhex(_text(invitation)),
            invite_only=None if invite_only is None else invite_only is True,
            once=value.get("once", False) is True,
            prefix=tuple(map(_text, value["prefix"])),
        )
    except (KeyError, IndexError, TypeError, RecursionError) as error:
        raise ValueError(f"it has an unknown shape: {error!r}") from error


def _quotas(value: Any) -> Quotas:
    floor = value["floor"]
    return Quotas(
        bytes=_number(value["bytes"], 1 << 63),
        files=_number(value["files"], 1 << 63),
        floor=None if floor is None else _number(floor, 1 << 63),
        packages=tuple((_text(each[0]), _number(each[1], 1 << 63)) for each in value["packages"]),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _number(value: Any, end: int = 1 << 16) -> int:
    if not isinstance(value, int) or not 0 <= value < end:
        raise TypeError(f"{value!r} is not a number below {end}")
    return value
