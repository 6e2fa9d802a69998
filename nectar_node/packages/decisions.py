"""The user's decisions about packages, so that nobody is asked twice: what each may have, and what not.

Rows of the node's store: JSON, by the package's id. A package is known by its id and by where it came from, because
anybody can give a folder any id.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from kernel.contract.address import Address, PackageId, ProcessId
from kernel.contract.capability import Capability, canonical_untrusted
from kernel.contract.errors import BadAddress
from nectar_node.base.errors import NodeError
from nectar_node.storage.operations import Row

MAX_DECISIONS = 4096
"""Packages that are remembered; beyond that, those that were started first are forgotten, and asked about again."""
DECISIONS = "decisions"
"""The store's table."""


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
        self._known = dict(known or {})
        self._changed: dict[PackageId, None] = {}
        """Packages about which something else was decided than is kept."""

    def of(self, package: PackageId) -> Decision | None:
        """Return the latest decision about a package; None: it was never started."""
        return self._known.get(package)

    def packages(self) -> Iterator[PackageId]:
        """Yield the packages about which something was decided."""
        yield from self._known

    def decide(self, package: PackageId, decision: Decision | None) -> None:
        """Replace the decision about a package; None: forget it."""
        if self._known.get(package) == decision:
            return
        self._known.pop(package, None)
        if decision is not None:
            self._known[package] = decision
        self._changed[package] = None
        while len(self._known) > MAX_DECISIONS:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._changed[oldest] = None

    @property
    def has_changed(self) -> bool:
        """Whether `changes` returns any."""
        return bool(self._changed)

    def changes(self) -> list[Row]:
        """Return the rows that are to be written since this was called last."""
        changed, self._changed = self._changed, {}
        return [Row(DECISIONS, str(package), _encoded(self._known.get(package))) for package in changed]


def _encoded(decision: Decision | None) -> bytes | None:
    return None if decision is None else json.dumps(decision_row(decision), separators=(",", ":")).encode()


def decision_row(decision: Decision) -> dict[str, Any]:
    """Return a decision as JSON."""
    origin, granted, denied = decision
    return {"origin": origin, "granted": _listed(granted), "denied": _listed(denied)}


def decode_untrusted(rows: Mapping[str, bytes], our: str) -> Decisions:
    """Return the decisions on the node `our`; raises DamagedDecisions."""
    try:
        known = {
            PackageId.parse(package): read_decision_untrusted(json.loads(value), our) for package, value in rows.items()
        }
    except _WRONG as error:
        raise DamagedDecisions(f"these are not decisions: {error}") from error
    return Decisions(known)


def decode_file_untrusted(data: bytes, our: str) -> Decisions:
    """Return the decisions in the file that held them before there was a store; raises DamagedDecisions."""
    try:
        value = json.loads(data)
        if value["version"] != _FILE_VERSION:
            raise ValueError("another version")
        known = {
            PackageId.parse(package): read_decision_untrusted(fields, our)
            for package, fields in value["packages"].items()
        }
    except _WRONG as error:
        raise DamagedDecisions(f"these are not decisions: {error}") from error
    decisions = Decisions()
    for package, decision in known.items():
        decisions.decide(package, decision)
    return decisions


_WRONG = (BadAddress, ValueError, KeyError, TypeError, AttributeError, RecursionError)
_FILE_VERSION = 1


def read_decision_untrusted(fields: Any, our: str) -> Decision:
    """Return a decision on the node `our`; raises BadAddress, ValueError, KeyError, TypeError and AttributeError."""
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
