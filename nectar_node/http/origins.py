"""Which origin is whose: the node's own, and one for each process that has pages.

A browser keeps apart what comes from different origins (RFC 6454): scheme, host name and port. So each package is
served under names of its own, `chess--chess--sys.localhost:8080` for the process chess:chess:sys, and no other package
there; the bare name is the node's. A name in front is the process's id, written so that it is one DNS label (RFC 1035,
2.3.1) and no two ids have the same one. An id that is too long for that has a digest of its package's in place of it.

A host that is an address has no names below it. What a process serves there is shown in an origin that is nobody's
(CSP level 3, `sandbox`).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from kernel.contract.address import PackageId, ProcessId
from kernel.contract.errors import BadAddress

MAX_LABEL_CHARACTERS = 63
"""Characters of one label of a DNS name."""
EVERYWHERE = frozenset({"0.0.0.0", "::"})
"""The hosts that stand for all addresses of a machine."""
SANDBOX = "sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads"
"""The policy under which a browser gives a page an origin that is nobody's."""
_ESCAPES = {"-": "-0", ".": "-1", "_": "-2"}
_UNESCAPES = {escape: character for character, escape in _ESCAPES.items()}
_PLAIN = re.compile(r"[a-z0-9:._-]+")
_TOKEN = re.compile(r"--|-[0-2]|-?[a-z]|[0-9]")
_SHIELD = "e-9"
"""In front of what is no beginning of a label, or is one that means something else (`xn--`)."""
_DIGEST = "e-8"
"""In front of the digest of a package's name."""
_DIGESTED = re.compile(rf"{_DIGEST}[a-z2-7]{{40}}")
_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*")


@lru_cache(4096)
def label_of(process: ProcessId) -> str:
    """Return the label under which a process is served: no other package has the same.

    A colon becomes `--`. A hyphen before a letter stays, unless it follows what ends in one; `-0`, `-1` and `-2` are
    other hyphens, dots and underscores.
    """
    text = str(process)
    if _PLAIN.fullmatch(text):
        label = _escaped(text)
        if label.startswith(("-", "xn--")):
            label = _SHIELD + label
        if len(label) <= MAX_LABEL_CHARACTERS:
            return label
    return _digest_of(process.package_id)


def serves(label: str, process: ProcessId) -> bool:
    """Whether the origin of that label is one of a process's package."""
    if label.startswith(_DIGEST):
        return label == _digest_of(process.package_id)
    named = process_of(label)
    return named is not None and named.package_id == process.package_id


def is_digest(label: str) -> bool:
    """Whether a label has the form of one with a package's digest."""
    return _DIGESTED.fullmatch(label) is not None


@lru_cache(4096)
def process_of(label: str) -> ProcessId | None:
    """Return the process whose label that is; None: it is none, or has a digest in it."""
    body, text, at = label.removeprefix(_SHIELD), "", 0
    while at < len(body):
        token = _TOKEN.match(body, at)
        if token is None:
            return None
        text += ":" if token[0] == "--" else _UNESCAPES.get(token[0], token[0])
        at = token.end()
    try:
        process = ProcessId.parse(text)
    except BadAddress:
        return None
    return process if label_of(process) == label else None


def _escaped(text: str) -> str:
    label = ""
    for at, character in enumerate(text):
        if character == ":":
            label += "--"
        elif character == "-" and not label.endswith("-") and text[at + 1 : at + 2].isalpha():
            label += "-"
        else:
            label += _ESCAPES.get(character, character)
    return label


@lru_cache(4096)
def _digest_of(package: PackageId) -> str:
    digest = hashlib.sha256(str(package).encode(errors="replace")).digest()
    return _DIGEST + base64.b32encode(digest[:25]).decode().lower()


class WebPlace(NamedTuple):
    """What a Host header names: the node, or a package on it."""

    name: str
    """The node's own name there, or its address, without a port."""
    port: str
    """With its colon; empty: the scheme's own."""
    label: str | None
    """Of the origin for a package; None: it is the node's."""
    has_labels: bool
    """Whether packages have origins below that name; not below an address."""

    @property
    def host(self) -> str:
        """The Host header of this place."""
        return self.at(self.label)

    def at(self, label: str | None) -> str:
        """Return the Host header of another origin of this node."""
        return f"{'' if label is None else f'{label}.'}{self.name}{self.port}"


class OurNames(NamedTuple):
    """How the node may be called in a Host header, beside the names of its loopback."""

    hosts: frozenset[str] = frozenset()
    """Names and addresses at which it listens itself."""
    proxied: frozenset[str] = frozenset()
    """Names at which a proxy passes on what comes to it by TLS. Nothing that comes there is local, whatever it says."""


def place_untrusted(host: str, names: Collection[str]) -> WebPlace | None:
    """Return what a Host header names; None: not this node.

    It is called `localhost`, any address of loopback, and by its `names`, at any port. If one of these stands for all
    addresses, so does any address: no DNS is asked for it.
    """
    name, colon, port = host.rpartition(":")
    if not colon or "]" in port:
        name, colon, port = host, "", ""
    if colon and not (port.isascii() and port.isdecimal() and len(port) <= 5):
        return None
    name, suffix = name.lower().removesuffix("."), f"{colon}{port}"
    if "%" in name:
        return None  # a zone: no browser sends one (RFC 9110, 4.2), and any text may stand in it
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    try:
        address = ip_address(bare)
    except ValueError:
        return _named(name, suffix, names)
    known = address.is_loopback or bare in names or not EVERYWHERE.isdisjoint(names)
    return WebPlace(name, suffix, None, has_labels=False) if known else None


def _named(name: str, port: str, names: Collection[str]) -> WebPlace | None:
    if not _HOST.fullmatch(name):
        return None
    if name == "localhost" or name in names:
        return WebPlace(name, port, None, has_labels=True)
    label, _, parent = name.partition(".")
    if len(label) > MAX_LABEL_CHARACTERS:
        return None
    if parent == "localhost" or parent in names:
        return WebPlace(parent, port, label, has_labels=True)
    return None


def is_browser(headers: dict[str, str]) -> bool:
    """Whether a request says that it comes from a browser.

    Browsers send `Sec-Fetch-…` to loopback and by TLS alone (Fetch Metadata, 2), and have all begun to call themselves
    so in 1994. Whoever says otherwise gets pages that do no harm in a browser.
    """
    return (
        "sec-fetch-site" in headers
        or "sec-fetch-mode" in headers
        or "sec-fetch-dest" in headers
        or "origin" in headers
        or headers.get("user-agent", "").startswith("Mozilla/")
    )


def is_foreign(method: str, headers: dict[str, str], host: str, *, secure: bool) -> bool:
    """Whether a page of another origin is behind a request, or a handshake for a WebSocket, or may be.

    Browsers say so by `Origin` and by Fetch Metadata, the latter to loopback and by TLS alone. Elsewhere `Referer` is
    left, which a page can keep from being sent: then only what a person may have opened counts as theirs. `Origin`
    comes with every method but GET and HEAD (Fetch, 3.1). What is no browser says nothing of the kind, and has no
    cookies that anybody else could use.
    """
    own = f"{'https' if secure else 'http'}://{host.lower()}"
    if "origin" in headers and headers["origin"].lower() != own:
        return True
    if "sec-fetch-site" in headers:
        return headers["sec-fetch-site"] not in ("none", "same-origin")
    if "origin" in headers or not is_browser(headers):
        return False
    if method not in ("GET", "HEAD"):
        return True
    referer = headers.get("referer", "").lower()
    return not referer.startswith(f"{own}/") if referer else not is_navigation(headers)


def is_untold(method: str, headers: dict[str, str], host: str, *, secure: bool) -> bool:
    """Whether a browser opens a page without saying where it is shown, or that a page of this origin leads there."""
    own = f"{'https' if secure else 'http'}://{host.lower()}/"
    return (
        method in ("GET", "HEAD")
        and is_browser(headers)
        and not any(name.startswith("sec-fetch-") for name in headers)
        and "origin" not in headers
        and not headers.get("referer", "").lower().startswith(own)
    )


def is_ahead(headers: dict[str, str]) -> bool:
    """Whether a browser fetches what its user may open later, and perhaps never does (HTML, 7.4.5; the older names are
    those of browsers before `Sec-Purpose`).
    """
    return any(
        word in headers.get(name, "").lower()
        for name in ("sec-purpose", "purpose", "x-purpose", "x-moz")
        for word in ("prefetch", "prerender", "preview")
    )


def is_navigation(headers: dict[str, str]) -> bool:
    """Whether a browser opens a page in a window of its own, and not in a frame or a part of another page.

    Without Fetch Metadata a script can ask for `text/html` too, but then the browser says of which origin it is. It
    never says that when it opens a page with GET (Fetch, 4.1).
    """
    if "sec-fetch-mode" in headers or "sec-fetch-dest" in headers:
        return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest", "document") == "document"
    return "text/html" in headers.get("accept", "") and "origin" not in headers
