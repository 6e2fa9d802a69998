"""Who has signed in: links that sign in once, the sessions that come of them, and codes that carry one to an origin.

A session has a secret that stays in the node's memory. What a browser keeps as a cookie is derived from it for one
origin alone (HMAC, RFC 2104), so the cookie of a package's origin opens no other's, and none can be made of another. A
session can be revoked, ends by itself, and ends with the node: a token that is signed with a key of the node could do
no more, and would be good for as long as that key.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import NamedTuple

LINK_SECONDS = 60.0
"""Seconds in which a link can be used, once."""
MAX_LINKS = 16
"""Links that have not been used yet; the oldest goes."""
CODE_SECONDS = 30.0
"""Seconds in which a browser has to follow where it was sent."""
MAX_CODES = 64
"""Codes that have not been used yet; the oldest goes. Only who has signed in gets any."""
SESSION_SECONDS = 7 * 86_400
"""Seconds for which a browser stays signed in."""
MAX_SESSIONS = 64
"""Sessions of browsers at the same time, and tokens of programs; the oldest goes."""
NODE_ORIGIN = ""
"""The node's own origin; others are named by their labels (`nectar_node.http.origins`)."""
RPC = "rpc"
"""What a program's token is for, in place of an origin: it is no label, since it has no package in it."""
_PROGRAM = "a program, by a token"
_MAX_TEXT = 100
"""Characters of a text that may be one of ours."""


class WebSession(NamedTuple):
    """One browser that has signed in, or one token for programs."""

    id: str
    """For people, who can revoke it; it signs nobody in."""
    began: float
    ends: float
    source: str
    """The address that it was signed in from."""


class _Kept(NamedTuple):
    session: WebSession
    key: bytes
    """Its secret."""


class _Code(NamedTuple):
    session: str
    origin: str
    ends: float


class WebSessions:
    """The links, codes and sessions of one node."""

    def __init__(self, fresh_id: Callable[[], int]) -> None:
        """`fresh_id` returns unpredictable u64s."""
        self._fresh_id = fresh_id
        self._links: dict[bytes, float] = {}
        """When each link ends, by the hash of its text, the oldest first."""
        self._codes: dict[bytes, _Code] = {}
        """By the hash of the text, the oldest first."""
        self._sessions: dict[str, _Kept] = {}
        """By their ids, the oldest first."""

    # --- ways in ----------------------------------------------------------------------------------------------------

    def make_link(self, now: float) -> str:
        """Return a text that signs in once, within LINK_SECONDS."""
        text = self._fresh_text()
        self._links[_hash(text)] = now + LINK_SECONDS
        if len(self._links) > MAX_LINKS:
            del self._links[next(iter(self._links))]
        return text

    def is_good(self, link: str, now: float) -> bool:
        """Whether a link can still be used."""
        return now <= self._links.get(_hash(link), float("-inf"))

    def sign_in(self, link: str, source: str, now: float) -> str | None:
        """Use up a link; return the cookie of the session, or None if there is no such link any more."""
        ends = self._links.pop(_hash(link), None)
        return None if ends is None or ends < now else self.begin(source, now)

    def begin(self, source: str, now: float) -> str:
        """Begin the session of somebody who has shown who they are; return its cookie for the node's own origin."""
        return self._token(self._begin(source, now), NODE_ORIGIN)

    def make_token(self, now: float) -> str:
        """Return a token with which a program may send messages in the user's name; it is listed among the sessions."""
        return self._token(self._begin(_PROGRAM, now), RPC)

    def make_code(self, cookie: str, origin: str, now: float) -> str | None:
        """Return a text that signs in once at another origin, for who has this cookie of the node's own."""
        session = self.holder(cookie, now)
        if session is None:
            return None
        text = self._fresh_text()
        self._codes[_hash(text)] = _Code(session, origin, now + CODE_SECONDS)
        if len(self._codes) > MAX_CODES:
            del self._codes[next(iter(self._codes))]
        return text

    def use_code(self, text: str, origin: str, now: float) -> str | None:
        """Use up a code; return the cookie for that origin, or None if it is not good for that."""
        code = self._codes.pop(_hash(text), None)
        if code is None or code.origin != origin or code.ends < now:
            return None
        return self._token(self._sessions[code.session], origin) if self.lasts(code.session, now) else None

    # --- who is in --------------------------------------------------------------------------------------------------

    def holder(self, cookie: str, now: float, origin: str = NODE_ORIGIN) -> str | None:
        """Return the id of the session whose cookie for an origin that is, if it goes on."""
        id, _, _ = cookie[:_MAX_TEXT].partition(".")
        if not self.lasts(id, now):
            return None
        token = self._token(self._sessions[id], origin)
        return id if hmac.compare_digest(token.encode(), cookie[:_MAX_TEXT].encode(errors="replace")) else None

    def holds(self, cookie: str, now: float, origin: str = NODE_ORIGIN) -> bool:
        """Whether a cookie is that of a session that goes on, for that origin."""
        return self.holder(cookie, now, origin) is not None

    def lasts(self, id: str, now: float) -> bool:
        """Whether the session of that id goes on, for what has begun in it and ends with it."""
        kept = self._sessions.get(id)
        return kept is not None and now < kept.session.ends

    def all(self, now: float) -> tuple[WebSession, ...]:
        """Return the sessions that go on, the oldest first."""
        self._sessions = {id: each for id, each in self._sessions.items() if now < each.session.ends}
        return tuple(each.session for each in self._sessions.values())

    def end(self, cookie: str, now: float) -> bool:
        """End the session of a cookie of the node's own origin; return whether there was one."""
        session = self.holder(cookie, now)
        return session is not None and self.revoke(session) == 1

    def revoke(self, id: str | None) -> int:
        """End the session of that id, or all of them, all links and all codes; return how many sessions there were."""
        found = [each for each in self._sessions if id is None or each == id]
        for each in found:
            del self._sessions[each]
        if id is None:
            self._links.clear()
            self._codes.clear()
        return len(found)

    # --- the texts --------------------------------------------------------------------------------------------------

    def _begin(self, source: str, now: float) -> _Kept:
        id = f"{self._fresh_id():016x}"[-8:]
        while id in self._sessions:
            id = f"{self._fresh_id():016x}"[-8:]
        kept = _Kept(WebSession(id, now, now + SESSION_SECONDS, source), self._fresh_text().encode())
        of_its_kind = [
            each for each, other in self._sessions.items() if (other.session.source == _PROGRAM) == (source == _PROGRAM)
        ]
        if len(of_its_kind) >= MAX_SESSIONS:
            del self._sessions[of_its_kind[0]]
        self._sessions[id] = kept
        return kept

    def _token(self, kept: _Kept, origin: str) -> str:
        return f"{kept.session.id}.{hmac.new(kept.key, origin.encode(), hashlib.sha256).hexdigest()}"

    def _fresh_text(self) -> str:
        return "".join(f"{self._fresh_id():016x}" for _ in range(3))


def _hash(text: str) -> bytes:
    """Return what a text is looked up by: how long that takes says nothing about texts that are there."""
    return hashlib.sha256(text[:_MAX_TEXT].encode(errors="replace")).digest()
