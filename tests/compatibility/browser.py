"""A browser in virtual time: it says what it does, follows redirects, and keeps each host's cookies to that host."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from http.cookies import SimpleCookie
from typing import NamedTuple
from urllib.parse import urlsplit

from testnet.sim.simulation import Simulation

MAX_REDIRECTS = 5
OPENS = {
    "accept": "text/html,*/*;q=0.8",
    "sec-fetch-site": "none",
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
}
"""What a browser says when its user opens a page (W3C Fetch Metadata)."""
ASKS = {"accept": "*/*", "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}
"""What it says when a script of a page asks its own origin."""
_REFRESH = re.compile(rb'http-equiv=refresh content="0;url=([^"]+)"')


class Page(NamedTuple):
    """What a browser has got in the end."""

    status: int
    headers: dict[str, str]
    body: bytes
    host: str


class Browser:
    """One browser on the machine of a node."""

    def __init__(self, lab: Simulation, node: str) -> None:
        self._lab = lab
        self._node = node
        self._cookies: dict[str, dict[str, str]] = {}

    def open(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        body: bytes = b"",
        host: str = "localhost",
    ) -> Page:
        """Open a path of a host, and whatever it leads on to; anything but a GET is asked by a page of that host."""
        says = OPENS if method == "GET" else {**ASKS, "origin": f"http://{host}"}
        for _ in range(MAX_REDIRECTS):
            cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.get(host, {}).items())
            told = {"host": host, **says, **({"cookie": cookies} if cookies else {}), **(headers or {})}
            answer = self._lab.browse(self._node, method, path, told, body)
            assert answer is not None, "the node does not run"
            found: dict[str, str] = {}
            for name, value in answer.headers:
                found[name] = f"{found[name]}, {value}" if name in found else value
            self._keep(host, [value for name, value in answer.headers if name == "set-cookie"])
            refresh = _REFRESH.search(bytes(answer.body))
            if answer.status not in (301, 302, 303, 307, 308) and refresh is None:
                return Page(answer.status, found, bytes(answer.body), host)
            where = urlsplit(found["location"] if refresh is None else unescape(refresh[1].decode()))
            host, path = where.netloc or host, f"{where.path or '/'}{f'?{where.query}' if where.query else ''}"
        raise AssertionError(f"{path} leads on and on")

    def sign_in(self) -> None:
        """Use a link of the node's user."""
        link = self._lab.nodes[self._node].core.sessions.make_link(self._lab.now)
        self.open(f"/login?link={link}")

    def cookies(self, host: str) -> set[str]:
        """The names of those that are kept for a host."""
        return set(self._cookies.get(host, ()))

    def _keep(self, host: str, set_cookies: list[str]) -> None:
        for line in set_cookies:
            for name, morsel in SimpleCookie(line).items():
                self._cookies.setdefault(host, {})[name] = morsel.value
