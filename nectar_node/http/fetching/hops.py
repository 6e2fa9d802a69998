"""Requests of processes to servers, read: where they go, with which headers, and where a redirect leads.

What frames a request on its connection is the node's own: a process cannot say how long its body is, whom the
connection is for, or that it becomes something else. So no server and no proxy on the way finds another request in it.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from kernel.contract.message import Buffer
from nectar_node.contract.http import Headers
from nectar_node.http.fetching.addresses import BLOCKED_PORTS

MAX_URL_CHARACTERS = 8192
"""Characters of a URL; servers take no longer ones."""
MAX_HEADERS = 100
"""Headers of one request, and of one answer."""
MAX_HEADER_CHARACTERS = 32 << 10
"""Characters of all headers of one request or answer: servers and clients take about as many."""
MAX_REDIRECTS = 10
"""Redirects of one request, as in the client of the existing node."""
SCHEMES = {"http": (False, 80), "https": (True, 443)}
SOCKET_SCHEMES = {"ws": (False, 80), "wss": (True, 443)}
USER_AGENT = "nectar-node"
"""What a process that does not name itself is to servers, some of which answer nobody without a name."""
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_METHOD = re.compile(r"[A-Za-z!#$%&'*+.^_`|~-]{1,20}")
_HOST = re.compile(r"(?=.{1,253}\.?$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*\.?")
_PATH_SAFE = "/%:@!$&'()*+,;=-._~"
_QUERY_SAFE = _PATH_SAFE + "?[]|^`{}"
_OWN = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers of the connection (RFC 9110, 7.6.1) and of a request's frame: what a process says of them is left out."""
_OF_ONE_SERVER = frozenset({"authorization", "cookie", "cookie2"})
"""Headers that a redirect to another server does not take along."""
_OF_BODY = frozenset({"content-type", "content-encoding", "content-language", "content-location"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class BadUrl(Exception):
    """A text is no URL that can be asked for."""


class BadHttpHeader(Exception):
    """A header is none of HTTP, or there are too many; carries half a sentence."""


class Url(NamedTuple):
    """A URL, read once: nothing reads its text again."""

    secure: bool
    host: str
    """In lower case and ASCII; an IPv6 address without brackets."""
    port: int
    target: str
    """Path and query, percent-encoded."""

    @property
    def authority(self) -> str:
        """The value of the header `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.authority}{self.target}"


class Hop(NamedTuple):
    """A request to one server, of which redirects make another one."""

    method: str
    url: Url
    headers: Headers
    """Those of the process."""
    body: Buffer

    def all_headers(self) -> Headers:
        """Return what is sent: the process's headers, and the node's own."""
        named = {name.lower() for name, _ in self.headers}
        defaults = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": USER_AGENT}
        sent = [("Host", self.url.authority), *self.headers]
        sent += [(name, value) for name, value in defaults.items() if name.lower() not in named]
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            sent.append(("Content-Length", str(len(self.body))))
        return (*sent, ("Connection", "close"))

    def after(self, status: int, headers: Headers) -> Hop | None:
        """Return the request that an answer redirects to; None: it redirects nowhere that can be asked."""
        location = next((value for name, value in headers if name == "location"), None)
        if status not in _REDIRECTS or location is None:
            return None
        try:
            url = url_untrusted(urljoin(str(self.url), location.encode("latin-1").decode(errors="replace")))
        except (BadUrl, ValueError):
            return None
        left_out: frozenset[str] = frozenset() if url[:3] == self.url[:3] else _OF_ONE_SERVER
        method, body = self.method, self.body
        if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
            method, body, left_out = "GET", b"", left_out | _OF_BODY
        kept = tuple((name, value) for name, value in self.headers if name.lower() not in left_out)
        return Hop(method, url, kept, body)


def is_method(text: str) -> bool:
    """Whether a text is a method that a process may use."""
    return _METHOD.fullmatch(text) is not None and text.upper() not in ("CONNECT", "TRACE")


def url_untrusted(text: str, schemes: dict[str, tuple[bool, int]] = SCHEMES) -> Url:
    """Return the URL in a text, of one of `schemes`; raises BadUrl."""
    if len(text) > MAX_URL_CHARACTERS or any(each <= " " or each in "\x7f\\" for each in text):
        raise BadUrl
    try:
        parts = urlsplit(text)
        port, name = parts.port, parts.hostname or ""
    except ValueError:
        raise BadUrl from None
    if parts.scheme not in schemes or "@" in parts.netloc:
        raise BadUrl
    secure, usual = schemes[parts.scheme]
    path = quote(parts.path, safe=_PATH_SAFE, errors="replace") or "/"
    target = f"{path}?{quote(parts.query, safe=_QUERY_SAFE, errors='replace')}" if parts.query else path
    port = usual if port is None else port
    if port in BLOCKED_PORTS:
        raise BadUrl
    return Url(secure, _host_untrusted(name), port, target)


def _host_untrusted(name: str) -> str:
    if ":" in name:
        try:
            address = ip_address(name)
        except ValueError:
            raise BadUrl from None
        if not isinstance(address, IPv6Address) or address.scope_id is not None:
            raise BadUrl
        return str(address)
    if not name.isascii():
        import idna  # its tables are large, and few ask for such names

        try:
            name = idna.encode(name, uts46=True).decode()
        except (idna.IDNAError, UnicodeError):
            raise BadUrl from None
    if not _HOST.fullmatch(name):
        raise BadUrl
    return name


def headers_untrusted(value: object, *, socket: bool = False) -> Headers:
    """Return a process's headers, from a JSON object of texts, without the node's own; raises BadHttpHeader.

    For a `socket`, the headers of its handshake are the node's own, too, but for the protocols.
    """
    if not isinstance(value, dict):
        raise BadHttpHeader("the headers are no object of texts")
    if len(value) > MAX_HEADERS:
        raise BadHttpHeader(f"there are more than {MAX_HEADERS} headers")
    found, size = [], 0
    for name, text in value.items():
        if not isinstance(text, str) or not _NAME.fullmatch(name) or not _VALUE.fullmatch(text):
            raise BadHttpHeader(f"{name[:40]!r} is no header of HTTP")
        size += len(name) + len(text)
        lower = name.lower()
        handshake = socket and lower.startswith("sec-websocket-") and lower != "sec-websocket-protocol"
        if lower not in _OWN and not handshake:
            found.append((name, text.strip(" \t")))
    if size > MAX_HEADER_CHARACTERS:
        raise BadHttpHeader(f"the headers are longer than {MAX_HEADER_CHARACTERS} characters")
    return tuple(found)


def answer_headers(headers: Headers) -> dict[str, str] | None:
    """Return an answer's headers for a process: several of one name in one text, as RFC 9110, 5.3 says. None: they are
    too many, or too long.
    """
    if len(headers) > MAX_HEADERS or sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_CHARACTERS:
        return None
    found: dict[str, str] = {}
    for name, value in headers:
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found
