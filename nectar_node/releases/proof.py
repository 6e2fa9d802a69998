"""What proves a package that comes as a folder or a zip: its publisher's head, and the documents from there back to it.

A file of CBOR beside the package's own files: `[magic, signed head, [document, …]]`, the newest document first.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

import cbor2

from nectar_node.releases.document import Release
from nectar_node.releases.errors import BadRelease
from nectar_node.releases.head import SignedHead, read_head_untrusted
from nectar_node.releases.limits import MAX_CHAIN, MAX_DOCUMENT_BYTES, MAX_HEAD_BYTES
from nectar_node.releases.rules import Chain
from net.base.cbor import loads_untrusted
from net.base.errors import BadCbor

MAX_PROOF_BYTES = 4 * MAX_DOCUMENT_BYTES
"""Bytes of it: some documents of the largest kind, or a long chain of usual ones."""
_MAGIC = "nectar release proof 1"
_OVERHEAD = 16
"""Bytes that CBOR adds to a document, at most."""


class ReleaseProof(NamedTuple):
    """A head and the documents that it leads to; whether the publisher has signed it is still to be checked."""

    head: SignedHead
    documents: tuple[bytes, ...]
    """The newest first."""
    releases: tuple[Release, ...]
    """What they describe."""


def encode_proof(head: SignedHead, documents: Iterable[bytes]) -> bytes:
    """Return the bytes that `read_proof_untrusted` reads. Of a history that is too long for it the oldest `documents`
    are left out, which come last: the newest one says what the package consists of.
    """
    room, kept = MAX_PROOF_BYTES - MAX_HEAD_BYTES, list[bytes]()
    for document in islice(documents, MAX_CHAIN):
        room -= len(document) + _OVERHEAD
        if room < 0:
            break
        kept.append(document)
    return cbor2.dumps([_MAGIC, head.encode(), kept])


def read_proof_untrusted(data: bytes) -> ReleaseProof:
    """Return what is in the file of a proof; raises BadRelease."""
    try:
        fields = loads_untrusted(data, items=MAX_CHAIN + 4, depth=3) if len(data) <= MAX_PROOF_BYTES else None
    except BadCbor as error:
        raise BadRelease("Its file .release is damaged.") from error
    match fields:
        case [str(magic), bytes(head), list(documents)] if magic == _MAGIC:
            signed = read_head_untrusted(head)
            chain = Chain(signed.head)
            texts = tuple(each for each in documents if isinstance(each, bytes))
            return ReleaseProof(signed, texts, tuple(map(chain.add_untrusted, texts)))
    raise BadRelease("Its file .release is damaged.")
