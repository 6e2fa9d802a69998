"""`POST /rpc:distro:sys/message`: programs on the node's machine send messages in its user's name.

The shapes are those of the public developer kits (`inject-message`, `start-package`, `run-tests`): a message comes as
JSON, its blob in base64, and the answer goes back as numbers, its blob's bytes in base64 first.
"""

from __future__ import annotations

import base64
import json
from typing import NamedTuple

import msgspec

from kernel.contract import limits
from kernel.contract.address import OUR_NODE, Address
from kernel.contract.errors import BadAddress
from kernel.contract.guest import Arrival, Failure
from kernel.contract.message import Buffer, LazyLoadBlob, Reason, Request, SendErrorKind
from nectar_node.contract.http import Headers
from nectar_node.http.pages import SAFETY, PageAnswer, error_page
from nectar_node.http.requests import HttpRefused, ReadRequest
from nectar_node.http.sessions import RPC, WebSessions

RPC_PATH = "/rpc:distro:sys/message"
MAX_SECONDS = 3600
"""Seconds for which a program waits for an answer at most: the connection is held so long."""
MAX_ANSWER_BYTES = 8 << 20
"""Bytes of an answer's body and blob together, which take five times as many in this form."""


class RpcMessage(NamedTuple):
    """A message that a program sends."""

    target: Address
    request: Request
    blob: LazyLoadBlob | None


class _Fields(msgspec.Struct, frozen=True):
    process: str
    node: str | None = None
    inherit: bool = False
    expects_response: int | None = None
    body: str = ""
    metadata: str | None = None
    context: msgspec.Raw | None = None
    mime: str | None = None
    data: bytes | None = None


def check_program(read: ReadRequest, sessions: WebSessions, now: float, *, is_open: bool) -> None:
    """Let a program on the node's machine pass that has a token, or needs none where that is `is_open`; raises
    HttpRefused.

    No page of a browser comes here: it says that it is one, and to send JSON it would have to ask before (Fetch, 4.8).
    """
    if not read.is_local or read.place.label is not None:
        raise HttpRefused(403, "Messages are taken from programs on this machine alone, and through no proxy.")
    if read.is_browser:
        raise HttpRefused(403, "Messages are taken from programs, and not from a browser's pages.")
    if not is_open and not sessions.holds(_token_untrusted(read.headers.get("authorization", "")), now, RPC):
        raise HttpRefused(
            401,
            "A message needs a token: `nectar sessions token` prints one for the header `Authorization: Bearer TOKEN`, "
            "or for an address like http://rpc:TOKEN@localhost:8080. "
            "A node that is booted with --rpc-open takes messages without.",
        )
    if read.method != "POST":
        raise HttpRefused(405, "A message is sent with POST.")
    if read.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HttpRefused(415, "A message comes as application/json.")


def _token_untrusted(header: str) -> str:
    """Return the token in an Authorization header (RFC 6750, 2.1), or as a password in it (RFC 7617, 2): a kit that is
    given http://rpc:TOKEN@localhost:8080 sends it so.
    """
    scheme, _, text = header.partition(" ")
    if scheme.lower() == "bearer":
        return text.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(text.strip(), validate=True).decode("latin-1").partition(":")[2]
    except ValueError:
        return ""


def message_untrusted(body: Buffer, our: str) -> RpcMessage:
    """Return the message in a program's JSON; raises HttpRefused."""
    try:
        fields = msgspec.json.decode(body, type=_Fields)
        target = Address.parse(f"{OUR_NODE if fields.node is None else fields.node}@{fields.process}")
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise HttpRefused(400, f"This is no message: {error}.") from None
    except BadAddress as error:
        raise HttpRefused(400, f"{error}.") from None
    text, seconds = fields.body.encode(errors="replace"), fields.expects_response
    if len(text) > limits.MAX_BODY_BYTES:
        raise HttpRefused(413, f"A body is a text of at most {limits.MAX_BODY_BYTES >> 20} MiB.")
    if seconds is not None and not 0 <= seconds < 1 << 64:
        raise HttpRefused(400, "A timeout is a number of seconds.")
    if fields.mime is not None and not (fields.mime.isascii() and len(fields.mime) <= limits.MAX_NAME_BYTES):
        raise HttpRefused(400, "A mime is a short text of ASCII characters.")
    metadata = fields.metadata
    if metadata is not None and len(metadata.encode(errors="replace")) > limits.MAX_METADATA_BYTES:
        raise HttpRefused(413, f"Metadata has at most {limits.MAX_METADATA_BYTES} bytes.")
    if target.node == OUR_NODE:
        target = target._replace(node=our)
    request = Request(False, None if seconds is None else min(seconds, MAX_SECONDS), text, metadata)
    blob = None if fields.data is None else LazyLoadBlob(fields.mime, fields.data)
    return RpcMessage(target, request, blob)


def sent() -> PageAnswer:
    """Return the answer to a message that expects none."""
    return _json({"body": [], "lazy_load_blob": None})


def outcome(answer: Arrival | Failure) -> PageAnswer:
    """Return what a program is told of the outcome of its message."""
    if isinstance(answer, Failure):
        reason = answer.error.reason
        if answer.error.kind is SendErrorKind.OFFLINE:
            return error_page(503, f"The node of that process cannot be reached: {reason.value}.")
        if reason is Reason.EXPIRED:
            return error_page(408, "The process has not answered in time.")
        return error_page(503, f"The process has not answered: {reason.value}.")
    blob = answer.blob
    size = len(answer.message.body) + (0 if blob is None else len(blob.bytes))
    if size > MAX_ANSWER_BYTES:
        return error_page(500, f"The answer has more than {MAX_ANSWER_BYTES >> 20} MiB: ask with `nectar message`.")
    return answered(bytes(answer.message.body), blob)


def answered(body: bytes, blob: LazyLoadBlob | None = None) -> PageAnswer:
    """Return an answer in the form that the kits parse."""
    told = None if blob is None else {"mime": blob.mime, "bytes": list(base64.b64encode(blob.bytes))}
    return _json({"body": list(body), "lazy_load_blob": told})


def _json(value: object) -> PageAnswer:
    kind: Headers = (("content-type", "application/json"), ("cache-control", "no-store"))
    return PageAnswer(200, (*kind, *SAFETY), json.dumps(value, separators=(",", ":")).encode())
