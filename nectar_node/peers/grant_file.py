"""The bytes of the capability store (G21): who holds what, what is revoked, the proofs of what other nodes issued.

A CBOR array: version, holders, revocations, proofs. A holder is its id, what it holds, and what it was given unasked,
each capability as issuer and params. Revocations are the number, the floor of everything, those of packages and those
of processes. What has not changed since the last time is not encoded again.
"""

from __future__ import annotations

from itertools import chain
from typing import Any, NamedTuple

import cbor2

from kernel.capabilities.grants import Grants, Held
from kernel.capabilities.revocations import Revoked
from kernel.contract.address import Address, PackageId, ProcessId
from kernel.contract.capability import Capability, canonical_untrusted
from kernel.contract.errors import BadAddress
from nectar_node.base.errors import NodeError
from nectar_node.peers.proofs import Proof, Proofs
from net.base.cbor import loads_untrusted
from net.base.errors import BadCbor

_VERSION = 2
_MAX_ITEMS = 1 << 24
"""Bytes of the file: more than every process of a full node can hold."""
_U64 = 1 << 64

_Listed = tuple[tuple[Capability, ...], tuple[Capability, ...]]


class DamagedGrants(NodeError):
    """These bytes are not a capability store."""


class _Encoded(NamedTuple):
    listed: _Listed
    """What a holder holds."""
    foreign: tuple[Capability, ...]
    """Capabilities among these that other nodes issued."""
    bytes: bytes


class GrantFile:
    """Writes the store of one node."""

    def __init__(self, our: str, grants: Grants, proofs: Proofs) -> None:
        self._our = our
        self._grants = grants
        self._proofs = proofs
        self._written: dict[ProcessId, _Encoded] = {}

    def encode(self) -> bytes:
        """Return the bytes that `decode_untrusted` reads."""
        held, revoked = self._grants.snapshot()
        self._written = {holder: self._encoded(holder, listed) for holder, listed in held.items()}
        proofs = self._proofs.of_held(chain.from_iterable(each.foreign for each in self._written.values()))
        return b"".join(
            (
                _array(4),
                cbor2.dumps(_VERSION),
                _array(len(held)),
                *(each.bytes for each in self._written.values()),
                cbor2.dumps(_revoked_fields(revoked)),
                _array(len(proofs)),
                *(cbor2.dumps([str(each.issuer), each.params, *proof]) for each, proof in proofs.items()),
            )
        )

    def _encoded(self, holder: ProcessId, listed: _Listed) -> _Encoded:
        known = self._written.get(holder)
        if known is not None and known.listed is listed:
            return known
        foreign = tuple(each for each in chain(*listed) if each.issuer.node != self._our)
        parts = [[[str(each.issuer), each.params] for each in part] for part in listed]
        return _Encoded(listed, foreign, cbor2.dumps([str(holder), *parts]))


def decode_untrusted(data: bytes) -> tuple[Held, Revoked, dict[Capability, Proof]]:
    """Return what the store held; raises DamagedGrants."""
    try:
        version, holders, revoked, proofs = loads_untrusted(data, items=_MAX_ITEMS, depth=5)
        if version != _VERSION:
            raise ValueError("another version")
        held = {
            ProcessId.parse(holder): (_capabilities(saved), _capabilities(given)) for holder, saved, given in holders
        }
        known = {_capability(issuer, params): _proof(*rest) for issuer, params, *rest in proofs}
        return held, _revoked(*revoked), known
    except (BadCbor, BadAddress, ValueError, TypeError, AttributeError) as error:
        raise DamagedGrants("the file is not a capability store") from error


def _revoked_fields(revoked: Revoked) -> list[object]:
    number, everything, packages, issuers = revoked
    return [
        number,
        everything,
        [[str(package), each] for package, each in packages],
        [[str(issuer), each] for issuer, each in issuers],
    ]


def _revoked(number: Any, everything: Any, packages: Any, issuers: Any) -> Revoked:
    return Revoked(
        _number(number),
        _number(everything),
        tuple((PackageId.parse(package), _number(each)) for package, each in packages),
        tuple((ProcessId.parse(issuer), _number(each)) for issuer, each in issuers),
    )


def _capabilities(listed: Any) -> tuple[Capability, ...]:
    return tuple(_capability(*each) for each in listed)


def _capability(issuer: Any, params: Any) -> Capability:
    return canonical_untrusted(Capability(Address.parse(issuer), params))


def _proof(issue: Any, signature: Any) -> Proof:
    if not isinstance(signature, bytes):
        raise TypeError("a signature is bytes")
    return Proof(_number(issue), signature)


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _U64:
        raise ValueError("a number that is none")
    return value


def _array(count: int) -> bytes:
    """Return the beginning of a CBOR array of `count` elements (RFC 8949, 3)."""
    return b"\x9b" + count.to_bytes(8, "big")
