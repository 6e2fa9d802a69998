"""Checks what people name on a command line: nodes, packages, endpoints, sizes, routers. Raises BadInput."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from kernel.contract.address import PackageId
from kernel.contract.errors import BadAddress
from nectar_node.base.errors import BadInput
from nectar_node.console import output
from nectar_node.console.sizes import parse_size
from nectar_node.contract.config import LEAST_KEEP, LOOPBACK
from nectar_node.contract.memory_budget import LEAST_BYTES
from nectar_node.launcher.local_network import check_name
from nectar_node.storage.ledger import DEFAULT_BYTES, DEFAULT_QUOTAS, Quotas
from net.base.ciphers import Cipher
from net.base.errors import BadInvitation
from net.base.limits import MAX_ENDPOINTS
from net.names.directory import is_host
from net.names.identity import KEY_BYTES
from net.names.invitation import parse_invitation_untrusted
from net.names.joining import MAX_TEXT_CHARACTERS, PREFIX, parse_join_text_untrusted


def pasted(text: str, what: str) -> str:
    """Return `text`, or what the file holds that it names after an @, as far as a text to join with can go; raises
    BadInput, which says that `what` cannot be read.
    """
    if not text.startswith("@"):
        return text
    try:
        with Path(text[1:]).open("rb") as file:
            return file.read(MAX_TEXT_CHARACTERS + 1).decode(errors="replace")
    except OSError as error:
        raise BadInput(f"Cannot read {what} in {text[1:]}: {error.strerror}.") from error


def parse_invitation(text: str) -> bytes:
    """Return the token in `text`, or in the file that it names after an @; raises BadInput.

    It is there alone, or within a text with which others join.
    """
    text = pasted(text, "the invitation")
    try:
        if text.strip().startswith(PREFIX):
            token = parse_join_text_untrusted(text).invitation
            if token is None:
                raise BadInvitation("the text holds none")
            return token
        return parse_invitation_untrusted(text)
    except BadInvitation as error:
        raise BadInput(
            f"That is not an invitation ({error}): copy it as `nectar testnet invite` has printed it."
        ) from error


def parse_memory(text: str) -> int:
    """Return the node's budget of memory in `text`, in bytes; raises BadInput."""
    size = parse_size(text)
    if size < LEAST_BYTES:
        raise BadInput(f"--memory {text} is too little: a node needs {output.size(LEAST_BYTES)} for its messages.")
    return size


def parse_keep(text: str) -> int:
    """Return how much of a recording is kept, in bytes; raises BadInput."""
    size = parse_size(text)
    if size < LEAST_KEEP:
        raise BadInput(f"--keep {text} is too little: a recording takes {output.size(LEAST_KEEP)}.")
    return size


def parse_endpoint(text: str) -> tuple[str, int]:
    """Return the HOST:PORT in `text`; raises BadInput."""
    host, _, port = text.rpartition(":")
    if not is_host(host) or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise BadInput(f"{text!r} is not an endpoint: expected HOST:PORT, such as 127.0.0.1:9000.")
    return host, int(port)


def parse_http(text: str) -> tuple[str, int]:
    """Return the [HOST:]PORT in `text`, on loopback if it has no host; raises BadInput."""
    host, colon, port = text.rpartition(":")
    if not colon:
        host = LOOPBACK
    host = host.removeprefix("[").removesuffix("]")
    if not is_host(host) or not port.isascii() or not port.isdigit() or int(port) >= 65536:
        raise BadInput(
            f"{text!r} is no place for an HTTP server: expected [HOST:]PORT, such as 8080; 0 is any free port."
        )
    return host, int(port)


def parse_otlp(text: str) -> str:
    """Return the URL for the traces of the OpenTelemetry collector at `text`; raises BadInput."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not text.isascii() or not text.isprintable() or " " in text or len(text) > 1024:
        raise BadInput(f"{text!r} is no collector: expected a URL such as http://127.0.0.1:4318.")
    if parts.username is not None or parts.query or parts.fragment:
        raise BadInput("--otlp takes a URL without a password and a query: have a collector here pass spans on.")
    path = parts.path.rstrip("/")
    return urlunsplit(parts._replace(path=path if path.endswith(_TRACES_PATH) else path + _TRACES_PATH))


_TRACES_PATH = "/v1/traces"
"""Where a collector takes traces below its endpoint, by the specification of OTLP over HTTP."""


def parse_share(text: str) -> float:
    """Return the share of lineages in `text`, from 0 to 1; raises BadInput."""
    if not re.fullmatch(r"[0-9]{0,3}\.?[0-9]{0,12}", text) or not any(map(str.isdigit, text)) or float(text) > 1:
        raise BadInput(f"{text!r} is no share: expected a number from 0 to 1, such as 0.1 for every tenth lineage.")
    return float(text)


def parse_http_name(text: str) -> str:
    """Return the domain in `text`, in lower case; raises BadInput."""
    name = text.lower()
    labels = name.split(".")
    if (
        len(name) > 189  # with a package's label in front of it, at most 253
        or not all(re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", label) for label in labels)
        or labels[-1].isdigit()
        or labels[-1] == "localhost"
    ):
        raise BadInput(f"{text!r} is no domain for the node: expected a name without a port, such as example.org.")
    return name


def parse_tls(text: str) -> tuple[Path, Path]:
    """Return the files of a certificate and its key in `text`, separated by a comma; raises BadInput."""
    files = [Path(each.strip()).absolute() for each in text.split(",") if each.strip()]
    if len(files) != 2:
        raise BadInput(f"{text!r} does not name two files: expected CERT,KEY, such as cert.pem,key.pem.")
    for file in files:
        if not file.is_file():
            raise BadInput(f"There is no file {file} for --tls.")
    return files[0], files[1]


def parse_package_ids(text: str) -> tuple[str, ...]:
    """Return the package ids in `text`, separated by commas; raises BadInput."""
    try:
        return tuple(str(PackageId.parse(each.strip())) for each in text.split(",") if each.strip())
    except BadAddress as error:
        raise BadInput(f"{str(error).rstrip('.')}, such as app:some.nec; several are separated by commas.") from error


def parse_cipher(text: str) -> str:
    """Return the name of a cipher; raises BadInput."""
    names = [cipher.value for cipher in Cipher]
    if text not in names:
        raise BadInput(f"{text!r} is no cipher: give {' or '.join(names)}.")
    return text


def parse_routers(name: str, text: str) -> tuple[str, ...]:
    """Return the names in `text`, separated by commas, for the node `name`; raises BadInput."""
    routers = tuple(filter(None, (each.strip() for each in text.split(","))))
    for router in routers:
        check_name(router)
    if text and not routers:
        raise BadInput(f"{text!r} does not name a router: leave out --routers for a node that others can dial.")
    if name in routers or len(set(routers)) < len(routers):
        raise BadInput(f"{text!r} names {name} itself, or a router twice.")
    if len(routers) > MAX_ENDPOINTS:
        raise BadInput(f"A node has at most {MAX_ENDPOINTS} routers.")
    return routers


def parse_quotas(texts: Sequence[str], files: int, floor: str) -> Quotas:
    """Return what packages may have, from the texts of --quota and --disk-floor; raises BadInput."""
    size, packages = DEFAULT_BYTES, list(DEFAULT_QUOTAS.packages)
    for text in texts:
        package, equals, number = text.rpartition("=")
        if not equals:
            size = parse_size(number)
            continue
        try:
            packages.append((str(PackageId.parse(package)), parse_size(number)))
        except BadAddress as error:
            raise BadInput(f"{package!r} is not a package: expected one such as app:some.nec=10GiB.") from error
    return Quotas(size, files, parse_size(floor) if floor else None, tuple(packages))


def parse_directory(file: Path | None, authority: str) -> tuple[Path, bytes] | None:
    """Return the signed directory and its authority's key; raises BadInput if one of the two is missing or
    malformed.
    """
    if file is None and not authority:
        return None
    try:
        key = bytes.fromhex(authority)
    except ValueError:
        key = b""
    if file is None or len(key) != KEY_BYTES:
        raise BadInput(
            "A network without a registrar takes --directory FILE and --authority HEX, 64 digits, "
            "as `nectar directory sign` prints them."
        )
    return file.resolve(), key


def check_package(folder: Path) -> Path:
    """Return the absolute folder that holds the manifest of the package in `folder`; raises BadInput if there
    is none.
    """
    for candidate in (folder, folder / "pkg"):
        if (candidate / "manifest.json").is_file():
            return candidate.resolve()
    raise BadInput(f"{folder} is not a package: it holds no manifest.json.")
