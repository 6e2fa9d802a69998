"""Who has signed in: links that sign in once, and the sessions that come of them.

A session is an unpredictable text that a browser keeps as a cookie; the node keeps its hash and trusts nothing else.
So a session can be revoked, and there is no key that signs. Sessions end with the node.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

LINK_SECONDS = 60.0
"""Seconds in which a link can be used, once."""
MAX_LINKS = 16
"""Links that have not been used yet; the oldest goes."""
SESSION_SECONDS = 7 * 86_400
"""Seconds for which a browser stays signed in."""
MAX_SESSIONS = 64
"""Sessions at the same time; the oldest goes."""
_MAX_TEXT = 100
"""Characters of a text that may be one of ours."""


class WebSession(NamedTuple):
    """One browser that has signed in."""

    id: str
    """For people, who can revoke it; it signs nobody in."""
    began: float
    ends: float
    source: str
    """The address that it was signed in from."""


class WebSessions:
    """The links and sessions of one node."""

    def __init__(self, fresh_id: Callable[[], int]) -> None:
        """`fresh_id` returns unpredictable u64s."""
        self._fresh_id = fresh_id
        self._links: dict[bytes, float] = {}
        """When each link ends, by the hash of its text, the oldest first."""
        self._sessions: dict[bytes, WebSession] = {}
        """By the hash of the cookie, the oldest first."""

    def make_link(self, now: float) -> str:
        """Return a text that signs in once, within LINK_SECONDS."""
        text = self._fresh_text()
        self._links[_hash(text)] = now + LINK_SECONDS
        if len(self._links) > MAX_LINKS:
            del self._links[next(iter(self._links))]
        return text

    def sign_in(self, link: str, source: str, now: float) -> str | None:
        """Use up a link; return the cookie of the session, or None if there is no such link any more."""
        ends = self._links.pop(_hash(link), None)
        if ends is None or ends < now:
            return None
        cookie = self._fresh_text()
        id = f"{self._fresh_id():016x}"[:8]
        self._sessions[_hash(cookie)] = WebSession(id, now, now + SESSION_SECONDS, source)
        if len(self._sessions) > MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return cookie

    def holds(self, cookie: str, now: float) -> bool:
        """Whether a cookie is that of a session that goes on."""
        session = self._sessions.get(_hash(cookie))
        return session is not None and now < session.ends

    def all(self, now: float) -> tuple[WebSession, ...]:
        """Return the sessions that go on, the oldest first."""
        self._sessions = {key: each for key, each in self._sessions.items() if now < each.ends}
        return tuple(self._sessions.values())

    def revoke(self, id: str | None) -> int:
        """End the session of that id, or all of them and all links; return how many sessions there were."""
        found = [key for key, each in self._sessions.items() if id is None or each.id == id]
        for key in found:
            del self._sessions[key]
        if id is None:
            self._links.clear()
        return len(found)

    def _fresh_text(self) -> str:
        return "".join(f"{self._fresh_id():016x}" for _ in range(3))


def _hash(text: str) -> bytes:
    """Return what a text is looked up by: how long that takes says nothing about texts that are there."""
    return hashlib.sha256(text[:_MAX_TEXT].encode(errors="replace")).digest()
