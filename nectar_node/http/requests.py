"""Requests of browsers, read: whom they are for, and whether they may come in at all.

A page of a stranger's site can make its visitor's browser send requests to this machine. It cannot choose the Host
header, which is the name in the address bar: so a name that the node does not know is refused, also where its DNS says
that it is this machine (DNS rebinding).
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from kernel.contract.address import ProcessId
from kernel.contract.errors import BadAddress
from nectar_node.contract.http import HttpRequest
from nectar_node.http.origins import OurNames, WebPlace, is_browser, is_digest, is_foreign, place_untrusted, process_of

MAX_PATH_CHARACTERS = 8192
"""Characters of path and query together; browsers send no longer ones."""
MAX_HEADERS = 100
"""Headers of one request; browsers send about twenty."""
MAX_HEADER_CHARACTERS = 32 << 10
"""Characters of all headers of one request."""
MAX_PARAMETERS = 256
"""Parameters in one query."""
_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_METHOD = re.compile(r"[A-Z]{1,20}")
_PROXY_HEADERS = frozenset(
    {
        *("forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "x-original-host", "x-remote-ip"),
        *("true-client-ip", "cf-connecting-ip", "fastly-client-ip", "fly-client-ip", "cdn-loop"),
        "x-envoy-external-address",
    }
)
"""What proxies, tunnels and content delivery networks add, beside `x-forwarded-…`. A request with one of them comes
from somewhere else than its connection does.
"""


class HttpRefused(Exception):
    """A request gets an error page; carries its status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class ReadRequest(NamedTuple):
    """A request, read."""

    method: str
    host: str
    """As in the Host header, with the port."""
    place: WebPlace
    """What that names: the node, or a package on it."""
    secure: bool
    """Whether the browser has come by TLS, to the node or to a proxy in front of it."""
    process: ProcessId | None
    """Whom it is for; None: the node itself, or the package that the place names."""
    segments: tuple[str, ...]
    """The path below the process's own, decoded."""
    path: str
    """The whole path, as it was sent."""
    query: str
    """As it was sent."""
    parameters: dict[str, str]
    """Those of the query; of several with one name, the last."""
    headers: dict[str, str]
    """Of several with one name, the values in one text, as RFC 9110 5.3 and RFC 6265 5.4 say."""
    source: tuple[str, int]
    is_local: bool
    """Whether it comes from this machine, and from no proxy there."""
    is_browser: bool
    """Whether it says that a browser sends it."""
    is_foreign: bool
    """Whether a page of another origin has made the browser send it."""

    @property
    def source_address(self) -> str:
        """Where it comes from, with the port; an IPv6 address in brackets."""
        host, port = self.source
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def url(self, label: str | None, path: str) -> str:
        """Return the address of a path at another origin of this node."""
        return f"{'https' if self.secure else 'http'}://{self.place.at(label)}{path}"


def read_untrusted(request: HttpRequest, names: OurNames) -> ReadRequest:
    """Read a request that is for one of our `names` or for this machine; raises HttpRefused."""
    if not _METHOD.fullmatch(request.method):
        raise HttpRefused(400, "The method is not one of HTTP.")
    headers = _headers_untrusted(request)
    host = headers.get("host", "")
    place = place_untrusted(host, names.hosts | names.proxied)
    if place is None or (place.label is not None and not _may_be_label(place.label)):
        raise HttpRefused(
            421, "This node is not called so: open it by the address that `nectar boot --http` was given."
        )
    proxied = place.name in names.proxied
    secure = request.secure or proxied
    process, segments = _path_untrusted(request)
    return ReadRequest(
        request.method,
        host,
        place,
        secure,
        process,
        segments,
        request.path,
        request.query,
        _parameters_untrusted(request.query),
        headers,
        request.source,
        is_local=not proxied and _is_loopback(request.source[0]) and not _is_forwarded(headers),
        is_browser=is_browser(headers),
        is_foreign=is_foreign(request.method, headers, host, secure=secure),
    )


def _may_be_label(label: str) -> bool:
    return process_of(label) is not None or is_digest(label)


def cookies(headers: dict[str, str], name: str) -> list[str]:
    """Return the values of all cookies of one name: another host below the same domain can add some (RFC 6265, 8.6)."""
    sent = (each.strip().partition("=") for each in headers.get("cookie", "").split(";"))
    return [value for found, _, value in sent if found == name]


def _is_forwarded(headers: dict[str, str]) -> bool:
    return any(name in _PROXY_HEADERS or name.startswith("x-forwarded") for name in headers)


@lru_cache(256)
def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _headers_untrusted(request: HttpRequest) -> dict[str, str]:
    if len(request.headers) > MAX_HEADERS:
        raise HttpRefused(431, f"There are more than {MAX_HEADERS} headers.")
    if sum(len(name) + len(value) for name, value in request.headers) > MAX_HEADER_CHARACTERS:
        raise HttpRefused(431, f"The headers are longer than {MAX_HEADER_CHARACTERS} characters.")
    headers: dict[str, str] = {}
    for name, value in request.headers:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise HttpRefused(400, "A header is not one of HTTP.")
        if name in headers:
            if name in ("host", "content-length", "transfer-encoding"):
                raise HttpRefused(400, f"There are two headers {name}.")
            headers[name] += ("; " if name == "cookie" else ", ") + value
        else:
            headers[name] = value
    return headers


def _path_untrusted(request: HttpRequest) -> tuple[ProcessId | None, tuple[str, ...]]:
    """Return whom a path names, and its segments below that."""
    path = request.path
    if len(path) + len(request.query) > MAX_PATH_CHARACTERS:
        raise HttpRefused(414, f"The address is longer than {MAX_PATH_CHARACTERS} characters.")
    if not path.startswith("/"):
        raise HttpRefused(400, "A path begins with a slash.")
    segments = tuple(_decoded_untrusted(each) for each in path[1:].removesuffix("/").split("/"))
    if segments == ("",):
        segments = ()
    if any(each in (".", "..") for each in segments):
        raise HttpRefused(400, "A path does not go up.")
    if segments and ":" in segments[0]:
        try:
            return ProcessId.parse(segments[0]), segments[1:]
        except BadAddress:
            raise HttpRefused(404, "There is no process of that name.") from None
    return None, segments


def _decoded_untrusted(text: str) -> str:
    try:
        decoded = unquote_to_bytes(text).decode()
    except ValueError:
        raise HttpRefused(400, "The path is not UTF-8.") from None
    if not decoded.isprintable():
        raise HttpRefused(400, "The path holds what cannot be printed.")
    return decoded


def _parameters_untrusted(query: str) -> dict[str, str]:
    parts = [each for each in query.split("&", MAX_PARAMETERS) if each]
    if len(parts) > MAX_PARAMETERS:
        raise HttpRefused(414, f"There are more than {MAX_PARAMETERS} parameters.")
    parameters = {}
    for part in parts:
        name, _, value = part.replace("+", " ").partition("=")
        parameters[_text_untrusted(name)] = _text_untrusted(value)
    return parameters


def _text_untrusted(text: str) -> str:
    try:
        return unquote_to_bytes(text).decode()
    except ValueError:
        raise HttpRefused(400, "The query is not UTF-8.") from None
