"""Requests of the control socket's clients, read from the JSON that they sent; raises BadInput and nothing else."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, TypeVar

from msgspec import Meta, Struct

from kernel.contract import limits
from kernel.contract.address import OUR_NODE, Address, PackageId, ProcessId, check_node
from kernel.contract.errors import BadAddress
from kernel.contract.message import LazyLoadBlob, Request
from nectar_node.base.consent import Consent
from nectar_node.base.errors import BadInput
from nectar_node.releases.errors import BadRelease
from nectar_node.releases.versions import Version
from nectar_node.storage.operations import is_part

T = TypeVar("T")

MAX_TIMEOUT = (1 << 64) - 1
"""The longest timeout that a message can express, in seconds (G7)."""
FOR_EVER = 1 << 40
"""The longest timeout of a command, in seconds; a longer one is cut to this, so that sums stay finite."""
MAX_LINE_BYTES = 1 << 20
"""Bytes of a script's command line."""

Texts = Annotated[tuple[str, ...], Meta(max_length=limits.MAX_CAPABILITIES)]


class Fields(Struct, frozen=True):
    """One request: the command, and what the commands read, each as far as it needs it."""

    command: str = ""
    address: str | None = None
    """A process's address or id, or a package's id."""
    after: int = 0
    """Number of the first dead letter."""
    tree: bool = False
    name: str = ""
    """Another node's, or a remote's."""
    timeout: int | float | None = 30
    """Seconds; None: no response is expected."""

    target: str = ""
    """Where a message goes, with the fields below."""
    body: str = ""
    blob: bytes | None = None
    mime: Annotated[str, Meta(max_length=limits.MAX_NAME_BYTES)] | None = None
    blob_file: str = ""
    """A file with the blob (`nectar_node.control.blob_files`)."""
    tells: bool = False
    """Whether events say that a message has been sent, or what is compiled for a start."""
    answer_file: str = ""
    """A file for the answer's blob."""

    line: str = ""
    """What a user typed to run a script."""
    file: str = ""
    """The host's file to share."""
    path: str = ""
    """Where it is shared."""

    package: str = ""
    """The folder of a package to start, with the fields below."""
    origin: str | None = None
    grant: Texts = ()
    deny: Texts = ()
    replace: bool = False
    allow_sys: bool = False
    stands_in: Annotated[str, Meta(max_length=limits.MAX_NAME_BYTES)] = ""
    """The name of a system process that it takes."""
    single: bool = False
    """Whether it is one .wasm file, which replaces no process but its own."""
    keep: bool = False
    """Whether a new version that traps at once is kept."""
    unsigned: bool = False
    """Whether it may be installed although nothing proves whose it is."""
    upgrade: bool = False
    """Whether it must be installed already."""
    version: Annotated[str, Meta(max_length=limits.MAX_NAME_BYTES)] = ""
    """Of a release; empty: the newest."""
    purge: bool = False
    """Whether what a package leaves is removed, too."""

    quota: int = 0
    """Bytes that another node may have here, which `name` names."""
    append_only: bool = False
    """Whether it may not remove any."""
    removes: bool = False
    """Whether what it has is to be removed."""

    upload: Annotated[str, Meta(max_length=32)] = ""
    """A file that was uploaded: to be sent, or to be started as a package."""
    size: int = 0
    """Bytes of a file that is to be uploaded, which `name` names."""
    transfer: Annotated[str, Meta(max_length=32)] = ""
    """A file's way to another node."""

    progress: int = 0
    """How far a backup has come, in bytes: it must grow now and then."""


def shared_file_untrusted(given: str) -> tuple[Path, Path]:
    """Return the path of a file or folder as the user gave it, and the absolute path without links."""
    if not given.startswith("/") or "\0" in given:
        raise BadInput("share needs the absolute path of a file or folder.")
    path = Path(given)
    try:
        real = path.resolve(strict=True)
        if real.is_dir():
            with os.scandir(real):
                pass
        elif not real.is_file():  # and not a pipe: opening one would wait for a writer
            raise BadInput(f"{given} is neither a file nor a folder.")
        else:
            with real.open("rb"):
                pass
    except OSError as error:
        raise BadInput(f"{given} cannot be read: {error.strerror}.") from error
    except (RuntimeError, ValueError) as error:  # a link to itself; a name that is not text
        raise BadInput(f"{given!r} cannot be read: {error}.") from error
    if not is_part(path.name):
        raise BadInput(f"{given} has a name that no drive can hold.")
    return path, real


def message_untrusted(fields: Fields) -> tuple[Address, Request, LazyLoadBlob | None]:
    """Return the request to inject, and its blob; with a timeout of null it expects no response."""
    timeout = None if fields.timeout is None else timeout_untrusted(fields)
    body, data, mime = fields.body.encode(errors="replace"), fields.blob, fields.mime
    if len(body) > limits.MAX_BODY_BYTES:
        raise BadInput(f"A body is a text of at most {limits.MAX_BODY_BYTES >> 20} MiB.")
    if data is not None and len(data) > limits.MAX_BLOB_BYTES:
        raise BadInput(f"A blob has at most {limits.MAX_BLOB_BYTES >> 20} MiB.")
    if mime is not None and not mime.isascii():
        raise BadInput("A mime is a short text of ASCII characters.")
    blob = LazyLoadBlob(mime, data) if data is not None else None
    return _parsed(Address.parse, fields.target), Request(False, timeout, body), blob


def timeout_untrusted(fields: Fields) -> int:
    """Return whole seconds, at most FOR_EVER."""
    if fields.timeout is None or not 0 <= fields.timeout <= MAX_TIMEOUT:
        raise BadInput(f"A timeout is a number of seconds from 0 to {MAX_TIMEOUT}.")
    return min(math.ceil(fields.timeout), FOR_EVER)


def _parsed(parse: Callable[[str], T], text: str | None) -> T:
    try:
        return parse(text or "")
    except BadAddress as error:
        raise BadInput(f"{error}.") from error


def process_untrusted(text: str | None, our: str) -> ProcessId:
    """Return the process of this node whose id or address is given."""
    if text is None or "@" not in text:
        return _parsed(ProcessId.parse, text)
    address = _parsed(Address.parse, text)
    if address.node not in (OUR_NODE, our):
        raise BadInput(f"{text} is on another node: ask that one, with --node {address.node}.")
    return address.process


def package_untrusted(text: str) -> PackageId:
    """Return the id of a package."""
    return _parsed(PackageId.parse, text)


def version_untrusted(text: str) -> Version | None:
    """Return the version that is wanted; None: the newest."""
    try:
        return Version(text) if text else None
    except BadRelease as error:
        raise BadInput(str(error)) from error


def installed_untrusted(text: str | None, known: Iterable[PackageId]) -> PackageId:
    """Return the package among those that are `known` whose id, or name alone, this is."""
    wanted = text or ""
    found = sorted(each for each in set(known) if wanted in (str(each), each.package))
    if len(found) == 1:
        return found[0]
    if found:
        raise BadInput(
            f"There are {len(found)} packages {wanted}, of several publishers: {', '.join(map(str, found))}."
        )
    raise BadInput(f"No package {wanted[:128]!r} is installed: `nectar list` shows those that are.")


def killed_untrusted(text: str | None, our: str) -> ProcessId | PackageId:
    """Return the process of this node, or the package, that is to end."""
    if text is None or "@" in text or text.count(":") != 1:
        return process_untrusted(text, our)
    return _parsed(PackageId.parse, text)


def address_untrusted(text: str | None, our: str) -> Address:
    """Return an address of any node; a process id means one of this node's."""
    if text is None or "@" not in text:
        return Address(our, _parsed(ProcessId.parse, text))
    address = _parsed(Address.parse, text)
    return Address(our, address.process) if address.node == OUR_NODE else address


def node_untrusted(name: str, our: str) -> str:
    """Return the name of another node."""
    if name == our:
        raise BadInput(f"{name} is this very node: name another one.")
    return _parsed(check_node, name)


def line_untrusted(line: str) -> str:
    """Return the line that a user typed to run a script."""
    line = line.encode(errors="replace").decode()
    if not line.strip() or len(line.encode()) > MAX_LINE_BYTES:
        raise BadInput(f"A script's line is a text that begins with its name, of at most {MAX_LINE_BYTES >> 20} MiB.")
    return line


def consent_of(fields: Fields) -> Consent:
    """Return what the user says about rights when starting a package."""
    return Consent(fields.grant, fields.deny, fields.replace, fields.allow_sys, fields.stands_in)
