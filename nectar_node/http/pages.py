"""What browsers are given: pages that are served without asking a process, answers of processes, and errors.

Every answer says to browsers that its type is not to be guessed, that no other site may frame it, and that addresses
within the node are not told to other sites.
"""

from __future__ import annotations

import hashlib
import re
from html import escape
from http import HTTPStatus
from typing import NamedTuple

from kernel.contract.message import Buffer
from nectar_node.contract.http import Headers

SAFETY: Headers = (
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "frame-ancestors 'self'"),
    ("referrer-policy", "same-origin"),
)
"""Beside a policy of the process's own, a browser obeys this one too (CSP level 3, 3.1)."""
MAX_HEADERS = 100
"""Headers of a process's answer."""
MAX_HEADER_CHARACTERS = 16 << 10
"""Characters of these."""
_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?|")
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_TYPE = re.compile(r"[\w!#$&^.+-]{1,100}/[\w!#$&^.+-]{1,100}(?:\s*;[\x20-\x7e]{0,200})?", re.ASCII)
_OURS = frozenset(
    {
        *("connection", "content-length", "keep-alive", "proxy-authenticate", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade", "date", "server"),
        *("alt-svc", "clear-site-data", "service-worker-allowed", "strict-transport-security"),
        *(name for name, _ in SAFETY if name != "content-security-policy"),
    }
)
"""Headers that a process does not choose: those of the connection, and those that hold for pages of others too."""


class PageAnswer(NamedTuple):
    """What a browser is given, as in `nectar_node.contract.http.HttpAnswer`."""

    status: int
    headers: Headers
    body: Buffer


def with_policy(answer: PageAnswer, policy: Headers) -> PageAnswer:
    """Return an answer under a policy of the node's beside its own. Of several policies for its content, browsers obey
    each (CSP level 3, 3.1); in place of another one a process may say its own.
    """
    said = {name for name, _ in answer.headers} - {"content-security-policy"}
    more = tuple(each for each in policy if each[0] not in said)
    return answer._replace(headers=(*answer.headers, *more)) if more else answer


class StaticPage(NamedTuple):
    """A page that a process has given once and for all."""

    type: str
    bytes: Buffer
    etag: str
    """With its quotation marks."""


def static_page(mime: str | None, data: Buffer) -> StaticPage:
    """Return a page; a type that is none becomes that of mere bytes."""
    kind = mime if mime is not None and _TYPE.fullmatch(mime) else "application/octet-stream"
    return StaticPage(kind, data, f'"{hashlib.sha256(data).hexdigest()[:32]}"')


def serve(page: StaticPage, headers: dict[str, str]) -> PageAnswer:
    """Return the answer to a GET or HEAD with these headers: the page, a range of it, or that it has not changed
    (RFC 9110, 13 and 14).
    """
    told: Headers = (("content-type", page.type), ("cache-control", "no-cache"), *SAFETY)
    wanted = selected(headers, page.etag, len(page.bytes))
    return PageAnswer(
        wanted.status, described(told, page.etag, wanted), memoryview(page.bytes)[wanted.begin : wanted.end]
    )


class Selected(NamedTuple):
    """What a browser gets of a page or file."""

    status: int
    """200, 206, 304 or 416."""
    begin: int
    end: int
    """The bytes; none of what has not changed, or where there is no such range."""
    size: int
    """Bytes of the whole."""


NOTHING = Selected(200, 0, 0, 0)
"""Before it is known."""


def selected(headers: dict[str, str], etag: str | None, size: int) -> Selected:
    """Return what a GET or HEAD with these headers asks for (RFC 9110, 13 and 14). Several ranges at once are not
    served, but the whole; nor is a range of what has changed (`If-Range`). `etag`: with its marks; None: there is none.
    """
    if "if-none-match" in headers and _names(headers["if-none-match"], etag):
        return Selected(304, 0, 0, size)
    asked = _RANGE.fullmatch(headers.get("range", "").strip())
    if asked is None or asked.groups() == ("", "") or headers.get("if-range", etag) != etag:
        return Selected(200, 0, size, size)
    first, last = asked.groups()
    begin, end = (int(first), min(size, int(last) + 1 if last else size)) if first else (max(0, size - int(last)), size)
    return Selected(416, 0, 0, size) if begin >= end else Selected(206, begin, end, size)


_NOT_OF_304 = ("content-type", "accept-ranges")


def described(told: Headers, etag: str | None, wanted: Selected) -> Headers:
    """Return the headers of an answer with what was selected, beside those that are `told` with the whole."""
    if wanted.status == 416:
        return (("content-range", f"bytes */{wanted.size}"), *SAFETY)
    whole: Headers = (("accept-ranges", "bytes"), *told)
    if etag is not None:
        whole = (("etag", etag), *whole)
    if wanted.status == 304:
        return tuple(each for each in whole if each[0] not in _NOT_OF_304)
    if wanted.status == 206:
        return (*whole, ("content-range", f"bytes {wanted.begin}-{wanted.end - 1}/{wanted.size}"))
    return whole


def _names(text: str, etag: str | None) -> bool:
    return text.strip() == "*" or any(each.strip().removeprefix("W/") == etag for each in text.split(","))


def answer_untrusted(value: object, mime: str | None, body: Buffer) -> PageAnswer:
    """Return what a process has answered, {"status": n, "headers": {}} and a blob; raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError("it is not an object")
    status, headers = value.get("status"), value.get("headers", {})
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        raise ValueError("its status is not a number from 200 to 599")
    if not isinstance(headers, dict) or len(headers) > MAX_HEADERS:
        raise ValueError(f"its headers are not an object of at most {MAX_HEADERS}")
    told, size = [], 0
    for name, text in headers.items():
        if not isinstance(text, str):
            raise ValueError("a header is not a text")
        lower, text = name.lower(), text.strip(" \t")
        size += len(lower) + len(text)
        if not _NAME.fullmatch(lower) or not _VALUE.fullmatch(text) or size > MAX_HEADER_CHARACTERS:
            raise ValueError("its headers are not such as HTTP has, or too long")
        if lower not in _OURS and not (lower == "set-cookie" and _is_of_node(text)):
            told.append((lower, text))
    if not any(name == "content-type" for name, _ in told) and mime is not None and _TYPE.fullmatch(mime):
        told.append(("content-type", mime))
    return PageAnswer(status, (*told, *SAFETY), b"" if status in (204, 205, 304) else body)


def _is_of_node(cookie: str) -> bool:
    """Whether a cookie would take the place of the one with which somebody has signed in."""
    return cookie.lstrip().lower().startswith(("kinode-auth_", "hyperware-auth_"))


def error_page(status: int, sentence: str) -> PageAnswer:
    """Return a short page that says what is wrong."""
    title = f"{status} {HTTPStatus(status).phrase}"
    text = (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<meta name=color-scheme content='light dark'><link rel=icon href='data:,'>"
        f"<title>{title}</title><h1>{title}</h1>"
    )
    body = f"{text}<p>{escape(sentence)}</p></html>\n".encode()
    headers: Headers = (("content-type", "text/html; charset=utf-8"), ("cache-control", "no-store"), *SAFETY)
    if status == 503:
        headers = (*headers, ("retry-after", "1"))
    return PageAnswer(status, headers, body)
