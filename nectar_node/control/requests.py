"""Requests of the control socket's clients, read from the JSON that they sent; raises BadInput and nothing else."""

from __future__ import annotations

import base64
import binascii
import math
from pathlib import Path
from typing import Any

from kernel.contract import limits
from kernel.contract.address import OUR_NODE, Address, PackageId, ProcessId, check_node
from kernel.contract.errors import BadAddress
from kernel.contract.message import LazyLoadBlob, Request
from nectar_node.base.consent import Consent
from nectar_node.base.errors import BadInput
from nectar_node.storage.operations import is_part

MAX_TIMEOUT = (1 << 64) - 1
"""The longest timeout that a message can express, in seconds (G7)."""
FOR_EVER = 1 << 40
"""The longest timeout of a command, in seconds; a longer one is cut to this, so that sums stay finite."""
MAX_LINE_BYTES = 1 << 20
"""Bytes of a script's command line."""

Fields = dict[str, Any]
"""The fields of one request."""


def shared_file_untrusted(given: object) -> tuple[Path, Path]:
    """Return the path as the user gave it, and the absolute path without links."""
    if not isinstance(given, str) or not given.startswith("/") or "\0" in given:
        raise BadInput("share needs the absolute path of a file.")
    path = Path(given)
    try:
        real = path.resolve(strict=True)
        if not real.is_file():  # and not a pipe: opening one would wait for a writer
            raise BadInput(f"{given} is not a file.")
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
    timeout = None if fields.get("timeout", 30) is None else timeout_untrusted(fields, 30)
    body = fields.get("body", "")
    if not isinstance(body, str) or len(body.encode(errors="replace")) > limits.MAX_BODY_BYTES:
        raise BadInput(f"A body is a text of at most {limits.MAX_BODY_BYTES >> 20} MiB.")
    try:
        target = Address.parse(str(fields.get("target")))
        data = base64.b64decode(fields["blob"], validate=True) if fields.get("blob") is not None else None
    except BadAddress as error:
        raise BadInput(f"{error}.") from error
    except (binascii.Error, TypeError, ValueError) as error:
        raise BadInput("The blob is not base64.") from error
    if data is not None and len(data) > limits.MAX_BLOB_BYTES:
        raise BadInput(f"A blob has at most {limits.MAX_BLOB_BYTES >> 20} MiB.")
    mime = fields.get("mime")
    if mime is not None and (not isinstance(mime, str) or not mime.isascii() or len(mime) > limits.MAX_NAME_BYTES):
        raise BadInput("A mime is a short text of ASCII characters.")
    blob = LazyLoadBlob(mime, data) if data is not None else None
    return target, Request(False, timeout, body.encode(errors="replace")), blob


def timeout_untrusted(fields: Fields, default: int) -> int:
    """Return whole seconds, at most FOR_EVER."""
    timeout = fields.get("timeout", default)
    if not isinstance(timeout, (int, float)) or isinstance(timeout, bool) or not 0 <= timeout <= MAX_TIMEOUT:
        raise BadInput(f"A timeout is a number of seconds from 0 to {MAX_TIMEOUT}.")
    return min(math.ceil(timeout), FOR_EVER)


def process_untrusted(fields: Fields, our: str) -> ProcessId:
    """Return the process of this node whose id or address is given."""
    text = str(fields.get("address"))
    try:
        if "@" not in text:
            return ProcessId.parse(text)
        address = Address.parse(text)
    except BadAddress as error:
        raise BadInput(f"{error}.") from error
    if address.node not in (OUR_NODE, our):
        raise BadInput(f"{text} is on another node: ask that one, with --node {address.node}.")
    return address.process


def killed_untrusted(fields: Fields, our: str) -> ProcessId | PackageId:
    """Return the process of this node, or the package, that is to end."""
    text = str(fields.get("address"))
    if "@" in text or text.count(":") != 1:
        return process_untrusted(fields, our)
    try:
        return PackageId.parse(text)
    except BadAddress as error:
        raise BadInput(f"{error}.") from error


def address_untrusted(fields: Fields, our: str) -> Address:
    """Return an address of any node; a process id means one of this node's."""
    text = str(fields.get("address"))
    try:
        address = Address.parse(text if "@" in text else f"{OUR_NODE}@{text}")
    except BadAddress as error:
        raise BadInput(f"{error}.") from error
    return Address(our, address.process) if address.node == OUR_NODE else address


def node_untrusted(fields: Fields, our: str) -> str:
    """Return the name of another node."""
    name = fields.get("name")
    try:
        check_node(str(name))
    except BadAddress as error:
        raise BadInput(f"{error}.") from error
    if name == our:
        raise BadInput(f"{name} is this very node: name another one.")
    return str(name)


def line_untrusted(fields: Fields) -> str:
    """Return the line that a user typed to run a script."""
    line = fields.get("line")
    if not isinstance(line, str) or not line.strip() or len(line.encode(errors="replace")) > MAX_LINE_BYTES:
        raise BadInput(f"A script's line is a text that begins with its name, of at most {MAX_LINE_BYTES >> 20} MiB.")
    return line.encode(errors="replace").decode()


def consent_untrusted(fields: Fields) -> Consent:
    """Return what the user says about rights when starting a package."""
    replaces, allows_sys = fields.get("replace", False), fields.get("allow_sys", False)
    if not isinstance(replaces, bool) or not isinstance(allows_sys, bool):
        raise BadInput("replace and allow_sys are true or false.")
    return Consent(_texts(fields, "grant"), _texts(fields, "deny"), replaces, allows_sys)


def _texts(fields: Fields, key: str) -> tuple[str, ...]:
    texts = fields.get(key, [])
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        raise BadInput(f"{key} is an array of texts.")
    if len(texts) > limits.MAX_CAPABILITIES:
        raise BadInput(f"{key} names at most {limits.MAX_CAPABILITIES} capabilities.")
    return tuple(texts)


def package_untrusted(fields: Fields) -> tuple[Path, Path | None]:
    """Return the folder of a package, and the zip or .wasm file that it was made from, if any."""
    folder, origin = fields.get("package"), fields.get("origin")
    if not isinstance(folder, str) or not isinstance(origin, str | None):
        raise BadInput("package is the path of a folder, and origin that of a file.")
    return Path(folder), None if origin is None else Path(origin)
