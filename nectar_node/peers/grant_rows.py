"""Who holds what, as rows of the node's store (G21): capabilities, revocations, the proofs of what other nodes issued.

A row of `grants` has a holder's id as its key; its value is a CBOR array of what it holds, what it was given unasked,
and proofs. A capability is its issuer and params, a proof is those with the number and the signature. The only row of
`revoked` has the number, the floor of everything, those of packages and those of processes.

Until there was a store, all this was one file, a CBOR array of a version, holders, revocations and proofs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import cbor2

from kernel.capabilities.grants import Grants, Held, Listed
from kernel.capabilities.revocations import Revoked
from kernel.contract.address import Address, PackageId, ProcessId
from kernel.contract.capability import Capability, canonical_untrusted
from kernel.contract.errors import BadAddress
from nectar_node.base.errors import NodeError
from nectar_node.peers.proofs import Proof, Proofs
from nectar_node.storage.operations import Row
from net.base.cbor import loads_untrusted
from net.base.errors import BadCbor

GRANTS = "grants"
REVOKED = "revoked"
"""The tables."""
_ALL = "all"
_FILE_VERSION = 2
_MAX_ITEMS = 1 << 24
"""Items of one row, or of the former file: more than every process of a full node can hold."""
_U64 = 1 << 64


class DamagedGrants(NodeError):
    """These bytes do not tell who holds what."""


class KeptGrants(NamedTuple):
    """What earlier boots have kept."""

    held: Held
    revoked: Revoked
    proofs: dict[Capability, Proof]


class GrantRows:
    """Follows the grants of one node: what has changed of them is to be written."""

    def __init__(self, grants: Grants, proofs: Proofs) -> None:
        self._grants = grants
        self._proofs = proofs
        self._proven: dict[ProcessId, set[Capability]] = {}
        """What each holder's row has proofs of."""
        self._revokes = False
        """Whether a revocation is being written, or was since `take_revoked` was called."""

    @property
    def has_changed(self) -> bool:
        """Whether `changes` returns any."""
        return self._grants.has_changed or bool(self._proofs.changed)

    def changes(self) -> list[Row]:
        """Return the rows that are to be written since this was called last."""
        holders, revoked = self._grants.take_changes()
        for capability in self._proofs.changed:
            holders.update(self._grants.holders(capability))
        self._proofs.changed.clear()
        before = [self._proven.pop(holder, set()) for holder in holders]
        rows = [Row(GRANTS, str(holder), self._value(holder)) for holder in sorted(holders)]
        self._proofs.forget_unheld({each for proven in before for each in proven})
        if revoked is not None:
            rows.append(revoked_row(revoked))
            self._revokes = True
        return rows

    def take_revoked(self) -> int | None:
        """Return the revocation epoch if a revocation has been written since this was called last, now that it has."""
        revokes, self._revokes = self._revokes, False
        return self._grants.epoch if revokes else None

    def restore(self, kept: KeptGrants) -> None:
        """Continue with what the rows of earlier boots have."""
        for holder, listed in kept.held.items():
            self._note(holder, {each for part in listed for each in part if each in kept.proofs})

    def _value(self, holder: ProcessId) -> bytes | None:
        listed = self._grants.listed(holder)
        if listed == ((), ()):
            return None
        found = {each: self._proofs.peek(each) for part in listed for each in part}
        proofs = {each: proof for each, proof in found.items() if proof is not None}
        self._note(holder, set(proofs))
        return encode(listed, proofs)

    def _note(self, holder: ProcessId, proven: set[Capability]) -> None:
        if proven:
            self._proven[holder] = proven


def encode(listed: Listed, proofs: dict[Capability, Proof]) -> bytes:
    """Return the value of one holder's row."""
    parts: list[object] = [[[str(each.issuer), each.params] for each in part] for part in listed]
    parts.append([[str(each.issuer), each.params, *proof] for each, proof in proofs.items()])
    return cbor2.dumps(parts)


def revoked_row(revoked: Revoked) -> Row:
    """Return the row of the revocations."""
    number, everything, packages, issuers = revoked
    fields = [
        number,
        everything,
        [[str(package), each] for package, each in packages],
        [[str(issuer), each] for issuer, each in issuers],
    ]
    return Row(REVOKED, _ALL, cbor2.dumps(fields))


def rows_of(kept: KeptGrants) -> list[Row]:
    """Return rows with all that was kept."""
    rows = [revoked_row(kept.revoked)]
    for holder, listed in kept.held.items():
        proofs = {each: kept.proofs[each] for part in listed for each in part if each in kept.proofs}
        rows.append(Row(GRANTS, str(holder), encode(listed, proofs)))
    return rows


def decode_untrusted(grants: Mapping[str, bytes], revoked: Mapping[str, bytes]) -> KeptGrants:
    """Return what the two tables hold; raises DamagedGrants."""
    held: Held = {}
    proofs: dict[Capability, Proof] = {}
    try:
        for holder, value in grants.items():
            saved, given, proven = loads_untrusted(value, items=_MAX_ITEMS, depth=4)
            held[ProcessId.parse(holder)] = (_capabilities(saved), _capabilities(given))
            proofs.update({_capability(issuer, params): _proof(*rest) for issuer, params, *rest in proven})
        floors = Revoked(1, 0, (), ())
        for value in revoked.values():
            floors = _revoked(*loads_untrusted(value, items=_MAX_ITEMS, depth=4))
        return KeptGrants(held, floors, proofs)
    except _WRONG as error:
        raise DamagedGrants("the rows do not tell who holds what") from error


def decode_file_untrusted(data: bytes) -> KeptGrants:
    """Return what the former file held; raises DamagedGrants."""
    try:
        version, holders, revoked, proofs = loads_untrusted(data, items=_MAX_ITEMS, depth=5)
        if version != _FILE_VERSION:
            raise ValueError("another version")
        held = {
            ProcessId.parse(holder): (_capabilities(saved), _capabilities(given)) for holder, saved, given in holders
        }
        known = {_capability(issuer, params): _proof(*rest) for issuer, params, *rest in proofs}
        return KeptGrants(held, _revoked(*revoked), known)
    except _WRONG as error:
        raise DamagedGrants("the file is not a capability store") from error


_WRONG = (BadCbor, BadAddress, ValueError, TypeError, AttributeError)


def _revoked(number: Any, everything: Any, packages: Any, issuers: Any) -> Revoked:
    return Revoked(
        _number(number),
        _number(everything),
        tuple((PackageId.parse(package), _number(each)) for package, each in packages),
        tuple((ProcessId.parse(issuer), _number(each)) for issuer, each in issuers),
    )


def _capabilities(listed: Iterable[Any]) -> tuple[Capability, ...]:
    return tuple(_capability(*each) for each in listed)


def _capability(issuer: Any, params: Any) -> Capability:
    return canonical_untrusted(Capability(Address.parse(issuer), params))


def _proof(issue: Any, signature: Any) -> Proof:
    if not isinstance(signature, bytes):
        raise TypeError("a signature is bytes")
    return Proof(_number(issue), signature)


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _U64:
        raise ValueError("not a number of that kind")
    return value
