"""The head of a package: which release is its newest, signed with the key of its publisher's node.

CBOR: `[body, signature]`, the body `[1, package, number, hash of the newest document, time]`. Whoever has a head may
serve it; a reader checks it against the key in the publisher's name record.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cbor2

from kernel.contract.address import PackageId
from kernel.contract.errors import BadAddress
from nectar_node.releases.document import Release, document_hash
from nectar_node.releases.errors import BadRelease, NotProven
from nectar_node.releases.files import HASH_BYTES
from nectar_node.releases.limits import MAX_HEAD_BYTES, MAX_NUMBER, MAX_TIME
from net.base.cbor import loads_untrusted
from net.base.errors import BadCbor
from net.base.node_names import is_node_name
from net.names.identity import SIGNATURE_BYTES, verify_untrusted

_VERSION = 1
DOMAIN = b"nectar/1 package head"
"""What signatures of heads are for, and of nothing else."""
_MAX_ITEMS = 8


@dataclass(frozen=True, slots=True)
class ReleaseHead:
    """What a head says."""

    package: PackageId
    number: int
    """The number of the newest release."""
    document: bytes
    """The hash of its document."""
    time: int
    """When the head was signed, by the publisher's clock, in Unix seconds."""

    def encode(self) -> bytes:
        """Return the body, which is signed."""
        return cbor2.dumps([_VERSION, str(self.package), self.number, self.document, self.time])


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A head and its signature, which need not have been checked."""

    head: ReleaseHead
    body: bytes
    """The signed bytes."""
    signature: bytes

    def encode(self) -> bytes:
        """Return the bytes that `read_head_untrusted` reads."""
        return cbor2.dumps([self.body, self.signature])

    def signed_by(self, key: bytes) -> bool:
        """Return whether the Ed25519 key `key` has signed it."""
        return verify_untrusted(key, DOMAIN, self.body, self.signature)


def can_be_proven(package: PackageId) -> bool:
    """Return whether a package's publisher is a node's name, so that its releases can be signed."""
    return is_node_name(package.publisher)


def head_of(release: Release, document: bytes, time: int) -> ReleaseHead:
    """Return the head that makes `release`, whose encoded `document` this is, the newest."""
    return ReleaseHead(release.package, release.number, document_hash(document), time)


def sign_head(head: ReleaseHead, our: str, sign: Callable[[bytes, bytes], bytes]) -> SignedHead:
    """Sign a head for the node `our`; `sign` returns its signature of a message for a purpose, which comes first.

    Raises BadRelease if the package is not that node's.
    """
    check_publisher(head.package, our)
    body = head.encode()
    return SignedHead(head, body, sign(DOMAIN, body))


def check_publisher(package: PackageId, our: str) -> None:
    """Raise BadRelease if a package is not the node `our`'s to publish."""
    if package.publisher != our:
        raise BadRelease(
            f"{package} is not a package of {our}, and only its publisher publishes a package: `nectar publish DIR "
            f"--node {our} --as-publisher` makes it {package.package}:{our} in all its files."
        )


def read_head_untrusted(data: bytes) -> SignedHead:
    """Return the head in `data`, whose signature is not checked yet; raises BadRelease."""
    try:
        outer = loads_untrusted(data, items=_MAX_ITEMS, depth=2) if len(data) <= MAX_HEAD_BYTES else None
        match outer:
            case [bytes(body), bytes(signature)] if len(signature) == SIGNATURE_BYTES:
                return SignedHead(_head(loads_untrusted(body, items=_MAX_ITEMS, depth=2)), body, signature)
    except (BadCbor, BadAddress) as error:
        raise BadRelease("This is not the head of a package.") from error
    raise BadRelease("This is not the head of a package.")


def check_signature(signed: SignedHead, key: bytes) -> None:
    """Raise NotProven if a head is not signed by `key`, which is the publisher's key now."""
    if not signed.signed_by(key):
        package = signed.head.package
        raise NotProven(
            f"The head of {package} is not signed by the key that {package.publisher} has now: it is forged, or of a "
            "former key."
        )


def _head(fields: object) -> ReleaseHead:
    match fields:
        case [int(version), str(package), int(number), bytes(document), int(time)] if (
            version == _VERSION and 1 <= number <= MAX_NUMBER and len(document) == HASH_BYTES and 0 <= time <= MAX_TIME
        ):
            return ReleaseHead(PackageId.parse(package), number, document, time)
    raise BadRelease("This is not the head of a package.")
