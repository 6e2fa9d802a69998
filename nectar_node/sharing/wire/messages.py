"""The messages of `packages:distro:sys`, both sides: what other nodes ask and get, and what a node's own user orders.

A request's body is JSON, `{"Head": {"package": …}}` and so on; heads, documents and pieces are the blob of the answer.
What is wrong is `{"Err": {kind: {"error": half a sentence}}}`. Readers raise RequestRefused for a request and BadAnswer
for an answer, and nothing else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from kernel.contract.address import PackageId
from kernel.contract.errors import BadAddress
from kernel.contract.message import Buffer
from nectar_node.contract.json_shapes import (
    RequestRefused,
    bad_request,
    field_untrusted,
    load_untrusted,
    number_untrusted,
    text_untrusted,
    variant_untrusted,
)
from nectar_node.releases.errors import BadRelease
from nectar_node.releases.files import HASH_BYTES
from nectar_node.releases.limits import MAX_FILES, MAX_VERSION_BYTES
from nectar_node.releases.versions import Version
from nectar_node.sharing.wire.limits import (
    MAX_ANSWER_BYTES,
    MAX_BODY_BYTES,
    MAX_LINE_BYTES,
    MAX_PACKAGE_BYTES,
    MAX_SOURCES,
    MAX_WORD_BYTES,
    PAGE_RELEASES,
)
from net.base.node_names import is_node_name

NOT_FOUND = "NotFound"
BUSY = "Busy"
REFUSED = "Refused"
FAILED = "Failed"
OFFLINE = "Offline"
FULL = "Full"
CANCELLED = "Cancelled"
"""Kinds of errors in answers; each comes with half a sentence, those of a fetch with a whole one."""

_MAX_ID = 64
"""Characters of the id of an order."""


class BadAnswer(Exception):
    """Another node answers what it must not; carries half a sentence that begins with a verb."""


@dataclass(frozen=True, slots=True)
class HeadWanted:
    """Return the head of a package, as the blob."""

    package: PackageId


@dataclass(frozen=True, slots=True)
class DocumentWanted:
    """Return a release document by its hash, or by the version that it has, as the blob."""

    package: PackageId
    hash: bytes | None
    version: Version | None


@dataclass(frozen=True, slots=True)
class PieceWanted:
    """Return a piece of a file of a release, as the blob."""

    release: bytes
    """The hash of its document."""
    file: int
    """The number of the file in the document, from 0."""
    piece: int
    """The number of the piece in the file, from 0."""


@dataclass(frozen=True, slots=True)
class SearchWanted:
    """Return the packages with a word in their names or descriptions, a page of them."""

    word: str
    """Empty: all packages."""
    after: str
    """The package after which the page begins."""


PeerRequest = HeadWanted | DocumentWanted | PieceWanted | SearchWanted
"""What other nodes may ask, too."""


@dataclass(frozen=True, slots=True)
class FetchOrder:
    """Fetch a release; what comes of it is the answer."""

    id: str
    """By which the order can be looked at, and cancelled."""
    package: PackageId
    version: Version | None
    """None: the newest."""
    sources: tuple[str, ...]
    """Nodes to ask beside the publisher."""
    files: bool
    """Whether its files are wanted, and not only its document."""


@dataclass(frozen=True, slots=True)
class ProgressWanted:
    """Return how far an order is."""

    id: str


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """End an order; what has come stays for the next one."""

    id: str


UserRequest = FetchOrder | ProgressWanted | CancelOrder
"""What the node's own user asks."""


def read_request_untrusted(body: bytes) -> PeerRequest | UserRequest:
    """Return the request; raises RequestRefused."""
    kind, fields = variant_untrusted(load_untrusted(body, MAX_BODY_BYTES))
    match kind:
        case "Head":
            return HeadWanted(_package(fields))
        case "Release":
            hash, version = field_untrusted(fields, "hash"), field_untrusted(fields, "version")
            if (hash is None) == (version is None):
                raise bad_request("a release is named by its hash or by its version, and the other one is null")
            return DocumentWanted(_package(fields), None if hash is None else _hash(hash), _version(version))
        case "Piece":
            release = _hash(field_untrusted(fields, "release"))
            file, piece = (number_untrusted(field_untrusted(fields, name), MAX_FILES) for name in ("file", "piece"))
            return PieceWanted(release, file, piece)
        case "Search":
            word = _short(field_untrusted(fields, "word"), MAX_WORD_BYTES)
            return SearchWanted(word, _short(field_untrusted(fields, "after"), MAX_PACKAGE_BYTES))
        case "Fetch":
            return _order(fields)
        case "Progress":
            return ProgressWanted(_short(field_untrusted(fields, "id"), _MAX_ID))
        case "Cancel":
            return CancelOrder(_short(field_untrusted(fields, "id"), _MAX_ID))
    raise bad_request("expected Head, Release, Piece or Search")


def _order(fields: object) -> FetchOrder:
    sources, files = field_untrusted(fields, "from"), field_untrusted(fields, "files")
    if not isinstance(sources, list) or len(sources) >= MAX_SOURCES:
        raise bad_request(f"from is an array of fewer than {MAX_SOURCES} nodes' names")
    named = tuple(dict.fromkeys(map(text_untrusted, sources)))
    if not all(map(is_node_name, named)) or not isinstance(files, bool):
        raise bad_request("from is an array of nodes' names, files is true or false")
    id = _short(field_untrusted(fields, "id"), _MAX_ID)
    return FetchOrder(id, _package(fields), _version(field_untrusted(fields, "version")), named, files)


def _package(fields: object) -> PackageId:
    try:
        return PackageId.parse(text_untrusted(field_untrusted(fields, "package")))
    except BadAddress as error:
        raise bad_request(str(error)) from None


def _version(value: object) -> Version | None:
    try:
        return None if value is None else Version(_short(value, MAX_VERSION_BYTES))
    except BadRelease as error:
        raise bad_request(str(error).rstrip(".")) from None


def _hash(value: object) -> bytes:
    text = text_untrusted(value)
    if len(text) != 2 * HASH_BYTES or not set(text) <= set("0123456789abcdef"):
        raise bad_request(f"a hash has {2 * HASH_BYTES} lower-case hexadecimal digits")
    return bytes.fromhex(text)


def _short(value: object, most: int) -> str:
    text = text_untrusted(value)
    if len(text.encode()) > most:
        raise bad_request(f"a text has more than {most} bytes")
    return text


def request_body(request: PeerRequest | UserRequest) -> bytes:
    """Return the body that `read_request_untrusted` reads."""
    match request:
        case HeadWanted(package):
            value: dict[str, Any] = {"Head": {"package": str(package)}}
        case DocumentWanted(package, hash, version):
            named = {"hash": None if hash is None else hash.hex(), "version": None if version is None else version.text}
            value = {"Release": {"package": str(package), **named}}
        case PieceWanted(release, file, piece):
            value = {"Piece": {"release": release.hex(), "file": file, "piece": piece}}
        case SearchWanted(word, after):
            value = {"Search": {"word": word, "after": after}}
        case FetchOrder(id, package, version, sources, files):
            text = None if version is None else version.text
            of = {"id": id, "package": str(package), "version": text, "from": list(sources), "files": files}
            value = {"Fetch": of}
        case ProgressWanted(id):
            value = {"Progress": {"id": id}}
        case CancelOrder(id):
            value = {"Cancel": {"id": id}}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


# --- answers ----------------------------------------------------------------------------------------------------------


def failure(kind: str, text: str) -> dict[str, object]:
    """Return the value of an answer that says what is wrong."""
    return {"Err": {kind: {"error": text}}}


@dataclass(frozen=True, slots=True)
class SourceError:
    """What another node says is wrong."""

    kind: str
    text: str
    """Printable, and short."""


def read_blob_untrusted(body: bytes, blob: Buffer | None, most: int) -> Buffer | SourceError:
    """Return the blob of an answer, of at most `most` bytes; raises BadAnswer."""
    told = _json_untrusted(body)
    if isinstance(error := _error_untrusted(told), SourceError):
        return error
    if told != "Ok" or blob is None:
        raise BadAnswer("gives an answer of a shape that is not known: it may run another version")
    if len(blob) > most:
        raise BadAnswer(f"sends {len(blob)} bytes where there can be {most}")
    return blob


@dataclass(frozen=True, slots=True)
class FoundRelease:
    """A package that somebody offers."""

    package: PackageId
    version: str
    about: str
    """The first line of its description, printable."""


def read_page_untrusted(body: bytes, after: str) -> list[FoundRelease] | SourceError:
    """Return the packages in the answer to a search; raises BadAnswer. Their ids increase, so that pages end."""
    told = _json_untrusted(body)
    if isinstance(error := _error_untrusted(told), SourceError):
        return error
    rows = told.get("Found") if isinstance(told, dict) else None
    found: list[FoundRelease] = []
    if isinstance(rows, list) and len(rows) <= PAGE_RELEASES:
        for row in rows:
            match row:
                case [str(id), str(version), str(about)] if id > after and len(about) <= MAX_LINE_BYTES:
                    try:
                        found.append(FoundRelease(PackageId.parse(id), Version(version).text, _printable(about)))
                    except (BadAddress, BadRelease):
                        break
                    after = id
        if len(found) == len(rows):
            return found
    raise BadAnswer("gives a list of a shape that is not known: it may run another version")


def _json_untrusted(body: bytes) -> object:
    try:
        return load_untrusted(body, MAX_ANSWER_BYTES)
    except RequestRefused:
        return None


def _error_untrusted(told: object) -> SourceError | None:
    match told:
        case {"Err": dict(error)} if len(error) == 1:
            ((kind, detail),) = error.items()
            text = detail.get("error") if isinstance(detail, dict) else None
            said = _printable(text[:400]) if isinstance(text, str) else ""
            return SourceError(str(kind)[:32], said or "refuses, and does not say why")
    return None


def _printable(text: str) -> str:
    return "".join(each for each in text if each.isprintable())
