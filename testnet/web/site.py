"""What the testnet's page answers to browsers: who may come in, its files, and what is to be done for the rest. Pure.

Whoever has opened a link of the user's is signed in, by a cookie. An order needs a session, comes from a page of the
same origin, and is JSON, which no page of a stranger can send. Cookies are the same for all ports of a host, so the
cookie's name has the port.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

from nectar_node.base.errors import BadInput, NodeError
from nectar_node.contract.http import Headers, HttpRequest
from nectar_node.http.origins import OurNames
from nectar_node.http.pages import SAFETY, PageAnswer, StaticPage, error_page, serve
from nectar_node.http.requests import HttpRefused, ReadRequest, cookies, read_untrusted
from nectar_node.http.sessions import SESSION_SECONDS, WebSessions
from testnet.faults.catalogue import BadParameter
from testnet.web.asked import ORDERS, Asked, order_untrusted

EVENTS = "/api/events"
"""The path of the snapshots, as they come."""
VIEWS = ("faults", "journals", "journal", "chaos")
"""What can be looked at, by the last part of its path but for a name."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
"""Scripts and styles are files of ours, and nothing comes from elsewhere."""
REPORT_POLICY = "sandbox allow-scripts allow-downloads"
"""A report shows what guests have said: it gets an origin of its own, which has no session."""
_SIGN_IN = (
    "Open this page with the link that `nectar testnet watch --web` prints; Enter, typed there, gives another one."
)


class Follows(NamedTuple):
    """The page is to be sent snapshots as they come."""


class PageOrder(NamedTuple):
    """Something is to be done."""

    name: str
    asked: Asked


class PageView(NamedTuple):
    """Something is to be looked up."""

    name: str
    argument: str


Wanted = PageAnswer | Follows | PageOrder | PageView


@dataclass(slots=True)
class PageSite:
    """The pages of one `nectar testnet watch --web`."""

    port: int
    files: Mapping[str, StaticPage]
    """By path; "/" is the page itself."""
    sessions: WebSessions

    def link(self, base: str, now: float) -> str:
        """Return a link that signs in once."""
        return f"{base}/login?link={self.sessions.make_link(now)}"

    def take(self, request: HttpRequest, now: float) -> Wanted:
        """Return the answer to a request, or what is wanted for it."""
        try:
            return self._take_untrusted(request, now)
        except HttpRefused as refused:
            if request.path.startswith("/api/"):
                return refusal(refused.status, "Refused", refused.sentence)
            return error_page(refused.status, refused.sentence)
        except BadInput as error:
            return failure(error)

    def _take_untrusted(self, request: HttpRequest, now: float) -> Wanted:
        read = read_untrusted(request, OurNames())
        if read.place.label is not None:
            raise HttpRefused(421, "No package is served here.")
        if read.path == "/login":
            return self._sign_in(read, now)
        if read.path != "/" and (file := self.files.get(read.path)) is not None:
            return _served(file, read)
        if not any(self.sessions.holds(each, now) for each in cookies(read.headers, self._cookie)):
            raise HttpRefused(401, _SIGN_IN)
        if read.path == "/":
            return _served(self.files["/"], read)
        if read.headers.get("sec-fetch-site", "none") not in ("none", "same-origin") or read.is_foreign:
            raise HttpRefused(403, "A page of another site has sent this.")
        return self._asked_untrusted(read, bytes(request.body))

    def _asked_untrusted(self, read: ReadRequest, body: bytes) -> Wanted:
        match read.segments:
            case ("api", name) if name in ORDERS:
                if read.method != "POST":
                    raise HttpRefused(405, "An order is given with POST.")
                if read.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
                    raise HttpRefused(415, "An order is JSON.")
                return PageOrder(name, order_untrusted(name, body))
            case _ if read.method not in ("GET", "HEAD"):
                raise HttpRefused(405, "This is looked at with GET.")
            case _ if read.path == EVENTS and read.method == "GET":
                return Follows()
            case ("api", name) if name in VIEWS:
                return PageView(name, "")
            case ("report", name, argument) if name in VIEWS:
                return PageView(name, argument)
        raise HttpRefused(404, "Nothing is here.")

    @property
    def _cookie(self) -> str:
        return f"nectar-testnet-{self.port}"

    def _sign_in(self, read: ReadRequest, now: float) -> PageAnswer:
        if read.method != "GET":
            raise HttpRefused(405, "A link that signs in is opened with GET.")
        session = self.sessions.sign_in(read.parameters.get("link", ""), read.source[0], now)
        if session is None:
            raise HttpRefused(401, f"This link has been used, or is too old. {_SIGN_IN}")
        cookie = f"{self._cookie}={session}; Path=/; Max-Age={SESSION_SECONDS}; HttpOnly; SameSite=Strict"
        headers: Headers = (("location", "/"), ("set-cookie", cookie), ("cache-control", "no-store"), *SAFETY)
        return PageAnswer(303, headers, b"")


def _served(file: StaticPage, read: ReadRequest) -> PageAnswer:
    if read.method not in ("GET", "HEAD"):
        raise HttpRefused(405, "This is looked at with GET.")
    answer = serve(file, read.headers)
    apart: Headers = (("content-security-policy", POLICY), ("cross-origin-opener-policy", "same-origin"))
    return answer._replace(headers=(*answer.headers, *apart))


def value(told: object, status: int = 200) -> PageAnswer:
    """Return an answer of JSON."""
    headers: Headers = (("content-type", "application/json"), ("cache-control", "no-store"), *SAFETY)
    return PageAnswer(status, headers, json.dumps(told).encode())


def failure(error: NodeError) -> PageAnswer:
    """Return the answer to an order that could not be carried out, with the field that it is about, if it is one."""
    field = error.parameter if isinstance(error, BadParameter) else None
    status = 400 if isinstance(error, BadInput) else 409
    return refusal(status, type(error).__name__, str(error), field)


def refusal(status: int, kind: str, sentence: str, field: str | None = None) -> PageAnswer:
    """Return an error as JSON."""
    more = {} if field is None else {"field": field}
    return value({"error": {"kind": kind, "sentence": sentence, **more}}, status)


def report(text: str, kind: str = "text/html; charset=utf-8") -> PageAnswer:
    """Return a report, in an origin of its own."""
    headers: Headers = (("content-type", kind), ("cache-control", "no-store"), *SAFETY)
    return PageAnswer(200, (*headers, ("content-security-policy", REPORT_POLICY)), text.encode(errors="replace"))


def journal_path(name: str) -> str:
    """Return where the report of a journal is looked at."""
    return f"/report/journal/{quote(name, safe='')}"
