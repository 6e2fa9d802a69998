"""Another node as a remote: the engine's operations as requests to its process `backups:distro:sys`, and back. Pure.

A request's body is JSON, `{"Put": {"owner": …, "name": …}}` and so on; the bytes of an object are the message's blob.
Whoever carries an operation out runs an `Exchange`: it yields requests, is sent their answers, and returns the
operation's result, or raises what a remote raises. The keeper's side is `nectar_node.system.keeper`.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any, NamedTuple

from kernel.contract.message import Reason
from nectar_node.backup.format.access import NONCE_BYTES, prove
from nectar_node.backup.format.errors import ObjectExists, ObjectMissing, RemoteFailed, WrongPhrase
from nectar_node.backup.format.limits import MAX_OBJECTS
from nectar_node.backup.format.names import is_name
from nectar_node.backup.operations import DeleteObject, GetObject, Listed, ListObjects, PutObject, RemoteOperation

KEEPER_PROCESS = "backups:distro:sys"
SCHEME = "node://"
MAX_PART_BYTES = 4 << 20
"""Bytes of an object in one answer: both nodes stand still for it for some milliseconds, and no longer."""
PAGE_OBJECTS = 2048
"""Objects in one answer to List: 150 KB."""
TIMEOUT_SECONDS = 600
"""How long one request may take: a pack of 8 MiB at 15 KB/s. A keeper that cannot be reached is noticed much sooner."""

RESTARTED = frozenset((Reason.PEER_RESTARTED.value, Reason.CONNECTION_LOST.value))
"""Reasons for no answer after which the same request can be sent again."""
PAUSES = (0.1, 0.5, 2.0, 5.0)
"""Seconds before each further attempt at a request: a keeper that boots has looked around by then."""

ALREADY_EXISTS = "AlreadyExists"
NOT_FOUND = "NotFound"
NOT_KEPT = "NotKept"
WRONG_PROOF = "WrongProof"
FULL = "Full"
BUSY = "Busy"
REFUSED = "Refused"
FAILED = "Failed"
"""Kinds of errors in answers; each comes with half a sentence."""


class NodeRequest(NamedTuple):
    """A request to the keeper."""

    body: bytes
    blob: bytes | None = None
    after: float = 0.0
    """Seconds to wait before it is sent."""


class NodeAnswer(NamedTuple):
    """What has come back: an answer of the keeper's, or why there is none."""

    body: bytes = b""
    blob: bytes | None = None
    failure: str | None = None
    """Half a sentence, after the keeper's name, such as `cannot be reached`; None: it has answered."""
    restarted: bool = False
    """Whether there is none because the keeper has restarted, or the connection was lost: it can be asked again."""


Exchange = Generator[NodeRequest, NodeAnswer, Any]
"""One operation under way."""


class NothingKept(RemoteFailed):
    """The keeper does not keep anything for that node, or not any more."""


def exchange(keeper: str, owner: str, operation: RemoteOperation) -> Exchange:
    """Carry out an operation on what `keeper` keeps for `owner`; raises what a `Remote` raises."""
    match operation:
        case PutObject(name, data):
            yield from _ask(keeper, "Put", {"owner": owner, "name": name}, name, data)
            return None
        case GetObject(name, start, length):
            return (yield from _get(keeper, owner, name, start, length))
        case ListObjects(prefix):
            return (yield from _list(keeper, owner, prefix))
        case DeleteObject(name):
            yield from _ask(keeper, "Delete", {"owner": owner, "name": name}, name)
            return None


def introduce(keeper: str, owner: str, access: bytes) -> Exchange:
    """Leave a public key at the keeper (`format.access`): whoever proves to know its phrase may read what it keeps."""
    yield from _ask(keeper, "Introduce", {"owner": owner, "key": access.hex()})
    return None


def enter(keeper: str, visitor: str, owner: str, key: bytes) -> Exchange:
    """Prove to know the phrase of this `key`, so that the node `visitor` may read for a while.

    Raises WrongPhrase if it is another phrase, and NothingKept.
    """
    told, _ = yield from _ask(keeper, "Challenge", {"owner": owner})
    nonce = _nonce_untrusted(keeper, told)
    proof = prove(key, keeper, visitor, owner, nonce)
    yield from _ask(keeper, "Prove", {"owner": owner, "nonce": nonce.hex(), "proof": proof.hex()})
    return None


def exchange_as_visitor(keeper: str, visitor: str, owner: str, key: bytes, operation: RemoteOperation) -> Exchange:
    """Carry out an operation for a node that may read because it knows the phrase of this `key`: it proves that once
    more if the keeper has restarted, or the time is over.
    """
    try:
        return (yield from exchange(keeper, owner, operation))
    except NothingKept:
        yield from enter(keeper, visitor, owner, key)
    return (yield from exchange(keeper, owner, operation))


def _get(keeper: str, owner: str, name: str, start: int, length: int) -> Exchange:
    parts: list[bytes] = []
    while length > 0:
        wanted = min(length, MAX_PART_BYTES)
        fields = {"owner": owner, "name": name, "start": start, "length": wanted}
        _, blob = yield from _ask(keeper, "Get", fields, name)
        part = blob or b""
        if len(part) > wanted:
            raise RemoteFailed(f"{keeper} sends more of {name} than it was asked for.")
        parts.append(part)
        start, length = start + len(part), length - len(part)
        if len(part) < wanted:
            break
    return b"".join(parts)


def _list(keeper: str, owner: str, prefix: str) -> Exchange:
    found: list[Listed] = []
    after = ""
    while len(found) <= MAX_OBJECTS:
        told, _ = yield from _ask(keeper, "List", {"owner": owner, "prefix": prefix, "after": after})
        page = _page_untrusted(keeper, told, prefix, after)
        if not page:
            break
        found += page
        after = page[-1].name
    return found


def _page_untrusted(keeper: str, told: object, prefix: str, after: str) -> list[Listed]:
    """Return the objects in an answer; raises RemoteFailed. Names increase, so that a list ends."""
    page: list[Listed] = []
    rows = told.get("Objects") if isinstance(told, dict) else None
    if isinstance(rows, list) and len(rows) <= PAGE_OBJECTS:
        for row in rows:
            match row:
                case [str(name), int(size)] if name > after and name.startswith(prefix) and is_name(name) and size >= 0:
                    page.append(Listed(name, size))
                    after = name
        if len(page) == len(rows):
            return page
    raise RemoteFailed(f"{keeper} gives a list of a shape that is not known: it may run another version.")


def _nonce_untrusted(keeper: str, told: object) -> bytes:
    match told:
        case {"Nonce": str(text)} if len(text) == 2 * NONCE_BYTES and set(text) <= set("0123456789abcdef"):
            return bytes.fromhex(text)
    raise RemoteFailed(f"{keeper} gives an answer of a shape that is not known: it may run another version.")


def _ask(
    keeper: str, kind: str, fields: dict[str, object], name: str = "", blob: bytes | None = None
) -> Generator[NodeRequest, NodeAnswer, tuple[object, bytes | None]]:
    """Send one request, and return body and blob of its answer; raises what the answer says is wrong.

    A keeper that is busy, or has restarted, is asked again: no request does harm if it is done twice.
    """
    request = NodeRequest(json.dumps({kind: fields}, separators=(",", ":")).encode(), blob)
    for pause in (*PAUSES, None):
        answer = yield request
        told = _json_untrusted(answer.body)
        if pause is None or not (answer.restarted or _is_busy_untrusted(told)):
            break
        request = request._replace(after=pause)
    if answer.failure is not None:
        raise RemoteFailed(f"{keeper} {answer.failure}.")
    match told:
        case {"Err": dict(error)} if len(error) == 1:
            raise _error_untrusted(keeper, error, name)
        case "Ok" | {"Objects": _} | {"Nonce": _}:
            return told, answer.blob
    raise RemoteFailed(f"{keeper} gives an answer of a shape that is not known: it may run another version.")


def _json_untrusted(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _is_busy_untrusted(told: object) -> bool:
    match told:
        case {"Err": {"Busy": _}}:
            return True
    return False


def _error_untrusted(keeper: str, error: dict[str, Any], name: str) -> Exception:
    ((kind, detail),) = error.items()
    if kind == ALREADY_EXISTS:
        return ObjectExists(name)
    if kind == NOT_FOUND:
        return ObjectMissing(name)
    text = detail.get("error") if isinstance(detail, dict) else None
    said = text if isinstance(text, str) and text else "refuses, and does not say why"
    sentence = f"{keeper} {''.join(each for each in said[:400] if each.isprintable())}."
    if kind == NOT_KEPT:
        return NothingKept(sentence)
    return WrongPhrase(sentence) if kind == WRONG_PROOF else RemoteFailed(sentence)
