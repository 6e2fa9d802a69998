"""A browser in virtual time: it follows redirects and keeps each host's cookies to that host."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import SimpleCookie
from typing import NamedTuple
from urllib.parse import urlsplit

from testnet.sim.simulation import Simulation

MAX_REDIRECTS = 5


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
        """Open a path of a host, and whatever it leads on to."""
        for _ in range(MAX_REDIRECTS):
            cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.get(host, {}).items())
            told = {"host": host, **({"cookie": cookies} if cookies else {}), **(headers or {})}
            answer = self._lab.browse(self._node, method, path, told, body)
            assert answer is not None, "the node does not run"
            found: dict[str, str] = {}
            for name, value in answer.headers:
                found[name] = f"{found[name]}, {value}" if name in found else value
            self._keep(host, [value for name, value in answer.headers if name == "set-cookie"])
            if answer.status not in (301, 302, 303, 307, 308):
                return Page(answer.status, found, bytes(answer.body), host)
            where = urlsplit(found["location"])
            host, path = where.netloc or host, f"{where.path or '/'}{f'?{where.query}' if where.query else ''}"
        raise AssertionError(f"{path} leads on and on")

    def sign_in(self) -> None:
        """Use a link of the node's user."""
        link = self._lab.nodes[self._node].core.sessions.make_link(self._lab.now)
        self.open(f"/login?link={link}")

    def _keep(self, host: str, set_cookies: list[str]) -> None:
        for line in set_cookies:
            for name, morsel in SimpleCookie(line).items():
                self._cookies.setdefault(host, {})[name] = morsel.value
