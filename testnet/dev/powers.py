"""What a package asks for that its author is asked about, before the nodes are: they would all ask the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nectar_node.base.consent import Consent
from nectar_node.packages.manifest import Package, capability_text
from nectar_node.packages.powers import wanted_powers
from nectar_node.packages.review import review


@dataclass(frozen=True, slots=True)
class Wants:
    """What is to be said of a package's powers."""

    powers: dict[str, str] = field(default_factory=dict)
    """Those that nobody has decided about, as `--grant` names them, and what each of them allows."""
    denied: tuple[str, ...] = ()
    """Those that were denied and that it still asks for, as `--deny` names them."""


def ungranted(package: Package, our: str, grants: Sequence[str], denials: frozenset[str]) -> Wants:
    """Return which powers a package asks for on the node `our` that it has been neither granted nor denied.

    Raises BadPackage if it may not be started at all, and BadInput if `grants` make no sense.
    """
    wanted = {capability_text(each.capability, our) for each in wanted_powers(package, our)}
    denied = tuple(sorted(wanted & denials))
    question = review(package, None, Consent(tuple(grants), denied), our).question
    return Wants({capability_text(each.capability, our): each.power.allows for each in question.powers}, denied)
