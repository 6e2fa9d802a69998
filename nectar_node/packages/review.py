"""Decides whether a package may be started, and with what: from what its user says now, and decided before.

Pure. Two things need an answer of the user: a powerful capability (`nectar_node.packages.powers`), and the place of a
package that came from elsewhere, whose files and state the new one takes over. A package that calls itself one of the
node's own is refused. What comes with the node needs no question.

The command line asks the user; a node starts a package only if the command says what this module demands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace as changed
from typing import NamedTuple

from kernel.contract.address import SYSTEM, ProcessId
from kernel.contract.capability import Capability
from nectar_node.base.consent import ALL, Consent
from nectar_node.base.errors import BadInput, BadPackage, NeedsConsent
from nectar_node.base.shipped import OUR_PUBLISHER, is_shipped
from nectar_node.base.system_processes import RPC
from nectar_node.packages.decisions import Decision
from nectar_node.packages.manifest import Package, capability_text, parse_capability, requested_capabilities, withhold
from nectar_node.packages.powers import POWERS, WantedPower, wanted_powers

_NAMES = tuple(power.name for power in POWERS)


class Question(NamedTuple):
    """What the user must still be asked before a package is started."""

    powers: tuple[WantedPower, ...]
    """Powerful capabilities that nobody has granted it."""
    replaces: str | None
    """Where the package of its id came from whose place it would take; None: there is none."""

    def __bool__(self) -> bool:
        return bool(self.powers) or self.replaces is not None


class Reviewed(NamedTuple):
    """The result of a review."""

    question: Question
    package: Package
    """The package as it may be started once there is no question: without what is denied."""
    decision: Decision | None
    """The decision to keep then; None: nothing is kept of a package that comes with the node."""


def review(
    package: Package, known: Decision | None, said: Consent, our: str, installed: Package | None = None
) -> Reviewed:
    """Return what the user must be asked about a package, and what follows from the answers so far.

    `known` is the earlier decision about its id, `installed` what runs under that id now. Raises BadPackage if it may
    not be started at all, and BadInput if `said` makes no sense.
    """
    is_ours, origin = is_shipped(package.folder), str(package.source)
    same = known is not None and known.origin == origin
    if package.id == SYSTEM:
        said_so = [str(each) for each in package.processes] == [said.stands_in]
        if RPC in package.processes or not (same or said_so):
            raise BadPackage(_stands_in(package))
    elif package.id.publisher == OUR_PUBLISHER and not (is_ours or said.allows_sys or same):
        raise BadPackage(_not_ours(package))
    denied, wanted = _denied(package, known, said, our)
    granted = wanted | (known.granted if known is not None and same else frozenset())
    powerful = [each for each in wanted_powers(package, our) if each.capability not in denied]
    missing = tuple(each for each in powerful if each.capability not in granted and not is_ours)
    before = origin if known is None else known.origin
    if installed is not None:
        others = package.id == SYSTEM and set(package.processes).isdisjoint(installed.processes)
        before = origin if others else str(installed.source)
    replaces = None if before == origin or is_ours or said.replaces else before
    decision = None
    if known is not None or denied or not is_ours:
        decision = Decision(origin, frozenset(each.capability for each in powerful), denied)
    rights = None if is_ours else frozenset(each.capability for each in powerful) & frozenset(package.scripts)
    allowed = changed(_without(package, denied, our), script_rights=rights, stands_in=package.id == SYSTEM)
    return Reviewed(Question(missing, replaces), allowed, decision)


def without_denied(package: Package, known: Decision | None, our: str) -> Package:
    """Return the package without what its user has denied it for good."""
    return package if known is None else _without(package, known.denied, our)


def _without(package: Package, denied: frozenset[Capability], our: str) -> Package:
    return withhold(package, denied & _requested_by_processes(package, our), our)


def _requested_by_processes(package: Package, our: str) -> frozenset[Capability]:
    return frozenset(capability for entry in package.entries for capability in requested_capabilities(entry, our))


def _denied(
    package: Package, known: Decision | None, said: Consent, our: str
) -> tuple[frozenset[Capability], frozenset[Capability]]:
    """Return what the package does not get, as was said now or before, and what the user has named to be given."""
    requested = _requested_by_processes(package, our) | frozenset(package.scripts)
    wanted = requested if ALL in said.grant else _named(said.grant, package, our) & requested
    denied = _named(said.deny, package, our)
    withhold(package, denied - frozenset(package.scripts), our)  # raises for what it does not ask for
    before = frozenset() if known is None else known.denied & requested
    return denied | (before - wanted), wanted - denied


def _named(words: Iterable[str], package: Package, our: str) -> frozenset[Capability]:
    """Return, for names of powers, all powerful capabilities that they cover; other words as they are. Raises
    BadInput.
    """
    found: set[Capability] = set()
    for word in words:
        if word in _NAMES:
            found |= {each.capability for each in wanted_powers(package, our) if each.power.name == word}
        elif word != ALL:
            found.add(_parsed(word, our))
    return frozenset(found)


def _parsed(text: str, our: str) -> Capability:
    try:
        return parse_capability(text, our)
    except BadInput as error:
        raise BadInput(f"{str(error).rstrip('.')}, or one of {', '.join(_NAMES)}.") from error


def _stands_in(package: Package) -> str:
    process = package.processes[0] if package.processes else package.id
    return (
        f"{process} cannot be started: the name is a system process's. Choose another; or, if the "
        "node has none of that name and yours is to be taken for it, say `--as NAME` with a single .wasm file."
    )


def _not_ours(package: Package) -> str:
    return (
        f"{package.id} in {package.source} is refused: packages of the publisher {OUR_PUBLISHER} come with the node, "
        "and this one does not. Name another publisher in its metadata.json; whoever changes the node's own packages "
        "says --allow-sys."
    )


def demand(package: Package, question: Question, our: str) -> NeedsConsent:
    """Return the refusal if nobody can be asked: what is missing, and exactly what to type for it."""
    parts = list(_missing(package, question, our))
    return NeedsConsent(f"{package.id} is not started: {' '.join(parts)}")


def _missing(package: Package, question: Question, our: str) -> Iterator[str]:
    if question.powers:
        requested = "; ".join(power_text(each, our) for each in question.powers)
        names = tuple(dict.fromkeys(each.power.name for each in question.powers))
        grant, deny = (" ".join(f"--{option} {name}" for name in names) for option in ("grant", "deny"))
        yield f"it asks for {requested}. Add {grant} to give it that, or {deny} to start it without."
    if question.replaces is not None:
        yield (
            f"it would take the place of the {package.id} that came from {question.replaces}, with its files and "
            "state. Add --replace to allow that."
        )


def power_text(wanted: WantedPower, our: str) -> str:
    """Return a powerful capability for people: its power's name, itself if that says more, and what it allows."""
    return f"{wanted.power.name} ({capability_text(wanted.capability, our)}), which is to {wanted.power.allows}"


def why_not(package: Package, failures: tuple[tuple[ProcessId, str], ...]) -> str:
    """Return why a package has not been started, as the installer says of its processes; there is one at least."""
    process, why = failures[0]
    path = next(entry.wasm_path for entry in package.entries if entry.process == process)
    others = len(package.entries) - 1
    rest = f", and none of the {others + 1} processes of {package.id} has been started" if others else ""
    return f"{process} cannot be started from {path}: {why}{rest}."


def question_row(package: Package, question: Question, our: str) -> dict[str, object]:
    """Return a question as JSON, with the sentence for when nobody can be asked."""
    asks = [
        {
            "power": each.power.name,
            "capability": capability_text(each.capability, our),
            "allows": each.power.allows,
        }
        for each in question.powers
    ]
    demanded = str(demand(package, question, our)) if question else None
    return {"package": str(package.id), "asks": asks, "replaces": question.replaces, "demand": demanded}
