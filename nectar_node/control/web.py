"""The commands about browsers that sign in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from nectar_node.base.errors import NodeError
from nectar_node.control.requests import Fields
from nectar_node.core.core import NodeCore
from nectar_node.http.entrance import LOGIN
from nectar_node.http.rpc import RPC_PATH
from nectar_node.http.sessions import LINK_SECONDS, SESSION_SECONDS


class NotServed(NodeError):
    """The node serves no browsers, or has no such session."""


class Web:
    """Those commands of one node."""

    def __init__(self, core: NodeCore, status: Callable[[], dict[str, object]]) -> None:
        """`status` returns the driver's status, with the address for browsers."""
        self._core = core
        self._status = status
        self.commands: dict[str, Callable[[object, Fields], Awaitable[dict[str, object]]]] = {
            "open": self._on_open,
            "link": self._on_link,
            "sessions": self._on_sessions,
            "revoke_session": self._on_revoke,
            "session_token": self._on_token,
        }

    async def _on_open(self, _: object, __: Fields) -> dict[str, object]:
        """Return a link that signs in once; `&to=` and a path may be added to it."""
        reached, domain = self._reached(), self._status().get("http_name")
        if domain is not None:
            reached = f"https://{domain}"  # where a proxy passes on to it
        link = self._core.sessions.make_link(trio.current_time())
        return {"url": f"{reached}{LOGIN}?link={link}", "seconds": LINK_SECONDS}

    async def _on_link(self, _: object, fields: Fields) -> dict[str, object]:
        """Return whether the link of that text can still be used."""
        return {"good": self._core.sessions.is_good(fields.name, trio.current_time())}

    def _reached(self) -> str:
        url = self._status().get("http")
        if not isinstance(url, str):
            raise NotServed(f"{self._core.our} serves no browsers: boot it with --http PORT.")
        return url.replace("//0.0.0.0:", "//localhost:").replace("//[::]:", "//localhost:")

    async def _on_token(self, _: object, __: Fields) -> dict[str, object]:
        """Return a token for programs on this machine, and where they send messages."""
        reached = self._reached()
        token = self._core.sessions.make_token(trio.current_time())
        return {"token": token, "url": f"{reached}{RPC_PATH}", "seconds": SESSION_SECONDS}

    async def _on_sessions(self, _: object, __: Fields) -> dict[str, object]:
        now = trio.current_time()
        rows = [
            {"id": each.id, "source": each.source, "age": round(now - each.began), "left": round(each.ends - now)}
            for each in self._core.sessions.all(now)
        ]
        return {"sessions": rows}

    async def _on_revoke(self, _: object, fields: Fields) -> dict[str, object]:
        """End the session of that name, or all of them."""
        ended = self._core.sessions.revoke(fields.name or None)
        if fields.name and not ended:
            raise NotServed(f"There is no session {fields.name[:20]!r}: `nectar sessions list` shows them.")
        return {"ended": ended}
