"""What a sweep tells the workers of a cluster, and what they answer: JSON, decoded within bounds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Annotated, Any

from msgspec import Meta

from nectar_node.base.decoding import BadShape, decode_untrusted
from testnet.journal.journal import JournalEnd

DECIDING = ("nectar-node", "wasmtime", "apsw")
"""The distributions whose versions must be the same everywhere: other ones may play the same plan in another way."""
MAX_TEXT = 16_384
"""The most characters of a verdict's text that come back; the journal, which is written here, has all of it."""
MAX_ANSWER_BYTES = 8 << 20
MAX_BATCH = 64
"""Seeds of one order."""

_Hash = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class ClusterOrder:
    """Plans to play, one after another."""

    code: _Hash
    """The zip of the project's code, by its hash."""
    own: _Hash
    """The zip of the user's files."""
    folder: str
    """The folder in which the sweep was begun."""
    versions: dict[str, str]
    """What the worker must have (DECIDING)."""
    plans: Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=MAX_BATCH)]


@dataclass(frozen=True, slots=True)
class ClusterAnswer:
    """The results of the plans, in their order; or why none was played."""

    ends: tuple[JournalEnd, ...] = ()
    seconds: Annotated[float, Meta(ge=0)] = 0.0
    """Real seconds that the worker took."""
    refused: Annotated[str, Meta(max_length=1000)] = ""


def encode(message: ClusterOrder | ClusterAnswer) -> bytes:
    """Return the bytes of a message."""
    return json.dumps(asdict(message)).encode()


def read_order_untrusted(data: bytes) -> ClusterOrder:
    """Read an order. Raises BadShape."""
    return decode_untrusted(data, ClusterOrder)


def read_answer_untrusted(data: object, plans: int) -> ClusterAnswer:
    """Read the answer to an order of so many plans. Raises BadShape."""
    if not isinstance(data, bytes):
        raise BadShape("it is not bytes")
    if len(data) > MAX_ANSWER_BYTES:
        raise BadShape(f"it has {len(data):,} bytes, and {MAX_ANSWER_BYTES:,} are the most")
    answer = decode_untrusted(data, ClusterAnswer)
    if not answer.refused and len(answer.ends) != plans:
        raise BadShape(f"it has {len(answer.ends)} verdicts for {plans} plans")
    if any(len(each.text) > MAX_TEXT or not re.fullmatch("[a-z]{1,20}", each.result) for each in answer.ends):
        raise BadShape("it has a verdict that no run has")
    return answer


def versions() -> dict[str, str]:
    """Return the versions of DECIDING here."""
    return dict(zip(DECIDING, map(version_of, DECIDING), strict=True))


def version_of(distribution: str) -> str:
    """Return the version of a distribution here, or an empty text."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def objection(wanted: dict[str, str], found: Sequence[str] | Iterable[str]) -> str:
    """Return what is wrong with the versions that a worker has, in the order of `wanted`; empty: nothing."""
    for (name, version), there in zip(wanted.items(), found, strict=True):
        if there != version:
            return f"has {name} {there}, and this is {version}" if there else f"does not have {name} {version}"
    return ""
