"""The node's own page, at the node's own origin: its files, and which commands it may give.

The files are for all who reach the node, since they hold nothing of it. All that the page shows and does it asks for
below `/api/`, by commands of the control socket: those that are in `COMMANDS`, and of their fields those that are named
there. They are for who is signed in, from the page itself and from no other.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from typing import NamedTuple

from kernel.contract.message import Buffer
from nectar_node.contract.http import Headers, HttpCommand
from nectar_node.contract.json_shapes import RequestRefused, load_untrusted
from nectar_node.http.pages import PageAnswer, StaticPage, serve, static_page
from nectar_node.http.requests import HttpRefused, ReadRequest

API = "/api/"
"""How the paths of commands begin."""
ASSETS = "/assets/"
"""How the paths of the page's files begin."""
UPLOAD_DATA = "upload_data"
"""The one command whose body is no JSON but a piece of a file."""
MAX_FIELDS_BYTES = 64 << 10
"""Bytes of a command's fields."""
MAX_PIECE_BYTES = 8 << 20
"""Bytes of a piece of a file."""
MAX_ADDRESSED = 256
"""Characters of a field in a path's query."""
_FEWEST_BYTES = 1024
"""Bytes of a file below which compressing it saves no packet."""
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


_POLICY: Headers = (
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
)
"""Nothing that others wrote becomes a script, a style or a request to elsewhere, whatever the page does with it; and no
page of another origin has a hand on it.
"""


class PageCommand(NamedTuple):
    """A command that the page may give."""

    fields: frozenset[str] = frozenset()
    streams: bool = False
    """Whether it goes on telling what happens until the page leaves."""


def _command(*fields: str, streams: bool = False) -> PageCommand:
    return PageCommand(frozenset(fields), streams)


COMMANDS: Mapping[str, PageCommand] = {
    # `package`, a folder of the machine, is for the control socket alone.
    "packages": _command(),
    "review": _command("address", "upload", "grant", "deny", "replace"),
    "start": _command("address", "upload", "grant", "deny", "replace", "keep"),
    "kill": _command("address", "tree"),
    "df": _command(),
    "states": _command(),
    "remove_state": _command("address"),
    "errors": _command("after"),
    "backups": _command(),
    "back_up": _command("name"),
    "upload": _command("name", "size"),
    UPLOAD_DATA: _command("upload", "offset"),
    "discard_upload": _command("upload"),
    "send": _command("upload", "name"),
    "transfers": _command(),
    "cancel_transfer": _command("transfer"),
    "watch": _command(streams=True),
    "logs": _command("after", streams=True),
    "trace": _command("address", streams=True),
}


class NodePage:
    """The page of one node."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """`files` are those of the page by path, such as `index.html` and `vendor/htm.js`."""
        self._plain: dict[str, StaticPage] = {}
        self._packed: dict[str, StaticPage] = {}
        for name, data in files.items():
            kind = _TYPES.get(name.rpartition(".")[2])
            if kind is None:
                continue
            path = "/" if name == "index.html" else f"{ASSETS}{name}"
            self._plain[path] = static_page(kind, data)
            if len(data) >= _FEWEST_BYTES:
                self._packed[path] = static_page(kind, gzip.compress(data, mtime=0))

    def answer_untrusted(
        self, token: object, read: ReadRequest, body: Buffer, session: str | None
    ) -> PageAnswer | HttpCommand | None:
        """Return the answer of a path of the node's own, or the command that answers it; None: there is no such path.

        `session` is the id of the session of who is signed in. Raises HttpRefused.
        """
        if read.path.startswith(API):
            return self._command_untrusted(token, read, body, session)
        page = self._plain.get(read.path)
        if page is None:
            return None
        if read.method not in ("GET", "HEAD"):
            raise HttpRefused(405, "This is a page of the node: it is opened with GET.")
        common = (("vary", "accept-encoding"), *_POLICY)
        packed = self._packed.get(read.path)
        if packed is not None and _takes_gzip(read.headers):
            return _with(serve(packed, read.headers), ("content-encoding", "gzip"), *common)
        return _with(serve(page, read.headers), *common)

    def _command_untrusted(
        self, token: object, read: ReadRequest, body: Buffer, session: str | None
    ) -> PageAnswer | HttpCommand:
        name = read.path.removeprefix(API)
        command = COMMANDS.get(name)
        if command is None:
            return refusal(404, "NoSuchCommand", "The node's page has no such command.")
        if _is_from_elsewhere(read):
            return refusal(403, "Foreign", "A page of another site has sent this.")
        if read.method != ("GET" if command.streams else "POST"):
            return refusal(405, "BadMethod", "What streams is asked for with GET, all else with POST.")
        if session is None:
            return refusal(401, "NotSignedIn", "You are not signed in: sign in once more.")
        if name == UPLOAD_DATA and len(body) > MAX_PIECE_BYTES:
            return refusal(413, "TooLarge", f"A piece of a file has at most {MAX_PIECE_BYTES} bytes.")
        if name == UPLOAD_DATA or command.streams:
            fields = _addressed(read.parameters, command.fields)
        else:
            told = _fields_untrusted(read.headers, body)
            if isinstance(told, PageAnswer):
                return told
            fields = {key: value for key, value in told.items() if key in command.fields}
        line = json.dumps({"command": name, **fields}).encode()
        piece = body if name == UPLOAD_DATA else b""
        return HttpCommand(token, line, piece, command.streams, session)


def refusal(status: int, kind: str, sentence: str) -> PageAnswer:
    """Return an error in the shape of the control socket's."""
    return json_answer(status, {"error": {"kind": kind, "sentence": sentence}})


def json_answer(status: int, value: object) -> PageAnswer:
    """Return an answer for the page."""
    headers: Headers = (
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),
    )
    return PageAnswer(status, headers, json.dumps(value).encode())


def _is_from_elsewhere(read: ReadRequest) -> bool:
    """Whether anything but the page itself has sent a request, as far as the browser says; a package's origin is
    another one.
    """
    return read.is_foreign or read.headers.get("sec-fetch-site", "same-origin") != "same-origin"


def _addressed(parameters: Mapping[str, str], known: frozenset[str]) -> dict[str, object]:
    """Return the fields in a path's query: numbers where digits are."""
    return {
        key: int(value) if key in ("after", "offset") and value.isascii() and value.isdecimal() else value
        for key, value in parameters.items()
        if key in known and len(value) <= (15 if key in ("after", "offset") else MAX_ADDRESSED)
    }


def _fields_untrusted(headers: Mapping[str, str], body: Buffer) -> dict[str, object] | PageAnswer:
    """Return the fields in a body: a page of another site cannot send JSON without asking (Fetch, 3.2.2)."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return refusal(415, "BadInput", "A command comes as application/json.")
    try:
        value = load_untrusted(bytes(body), MAX_FIELDS_BYTES)
    except RequestRefused as refused:
        return refusal(400, "BadInput", f"The command cannot be understood: {refused}.")
    if not isinstance(value, dict):
        return refusal(400, "BadInput", "A command is an object.")
    return value


def _takes_gzip(headers: Mapping[str, str]) -> bool:
    parts = headers.get("accept-encoding", "").lower().split(",")
    return any(each.strip() in ("gzip", "gzip;q=1", "gzip;q=1.0") for each in parts)


def _with(answer: PageAnswer, *headers: tuple[str, str]) -> PageAnswer:
    return answer._replace(headers=(*answer.headers, *headers))
