"""The user's decisions about packages, so that nobody is asked twice: what each may have, and what not.

One file in the node's folder: JSON with a version. A package is known by its id and by where it came from, because
anybody can give a folder any id.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kernel.contract.address import Address, PackageId, ProcessId
from kernel.contract.capability import Capability, canonical_untrusted
from kernel.contract.errors import BadAddress
from nectar_node.base.errors import NodeError

MAX_DECISIONS = 4096
"""Packages that are remembered; beyond that, those that were started first are forgotten, and asked about again."""
MAX_DECISIONS_BYTES = 64 << 20
"""Bytes that are read of the file."""
_VERSION = 1


class DamagedDecisions(NodeError):
    """These bytes are not the user's decisions."""


class Decision(NamedTuple):
    """The decision about one package."""

    origin: str
    """The folder or file that it came from."""
    granted: frozenset[Capability] = frozenset()
    """Powerful capabilities that it may have."""
    denied: frozenset[Capability] = frozenset()
    """Capabilities of any kind that it may not have."""


class Decisions:
    """The decisions of one node's user."""

    def __init__(self, known: Mapping[PackageId, Decision] | None = None) -> None:
        self.version = 0
        """Counts up with every change."""
        self._known = dict(known or {})

    def of(self, package: PackageId) -> Decision | None:
        """Return the latest decision about a package; None: it was never started."""
        return self._known.get(package)

    def decide(self, package: PackageId, decision: Decision) -> None:
        """Replace the decision about a package."""
        if self._known.get(package) == decision:
            return
        self._known.pop(package, None)
        self._known[package] = decision
        while len(self._known) > MAX_DECISIONS:
            del self._known[next(iter(self._known))]
        self.version += 1

    def encode(self) -> bytes:
        """Return the bytes that `decode_untrusted` reads."""
        packages = {
            str(package): {
                "origin": origin,
                "granted": _listed(granted),
                "denied": _listed(denied),
            }
            for package, (origin, granted, denied) in self._known.items()
        }
        return json.dumps({"version": _VERSION, "packages": packages}, indent=1).encode()


def decode_untrusted(data: bytes, our: str) -> Decisions:
    """Return the decisions on the node `our`; raises DamagedDecisions."""
    try:
        if len(data) > MAX_DECISIONS_BYTES:
            raise ValueError("too large")
        value = json.loads(data)
        if value["version"] != _VERSION:
            raise ValueError("another version")
        known = {PackageId.parse(package): _decision(fields, our) for package, fields in value["packages"].items()}
    except (BadAddress, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedDecisions(f"these are not decisions: {error}") from error
    return Decisions(known)


def _decision(fields: Any, our: str) -> Decision:
    origin = fields["origin"]
    if not isinstance(origin, str):
        raise TypeError("an origin is a text")
    return Decision(origin, _capabilities(fields["granted"], our), _capabilities(fields["denied"], our))


def _listed(capabilities: Iterable[Capability]) -> list[list[str]]:
    return sorted([str(each.issuer.process), each.params] for each in capabilities)


def _capabilities(listed: Any, our: str) -> frozenset[Capability]:
    return frozenset(
        canonical_untrusted(Capability(Address(our, ProcessId.parse(issuer)), params)) for issuer, params in listed
    )
