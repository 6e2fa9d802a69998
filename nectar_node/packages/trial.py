"""The first seconds of a new version of a package: if a process of it traps in them, the version before runs again.

A node that dies in them goes on with the trial when it boots again, from its beginning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kernel.contract.address import ProcessId
from nectar_node.packages.decisions import Decision, Decisions
from nectar_node.packages.manifest import Package
from nectar_node.packages.reboot import KeptTrial
from nectar_node.releases.installed import InstalledVersions

TRIAL_SECONDS = 5.0
"""How long after its start a new version is on trial."""


@dataclass(eq=False, slots=True)
class Trial:
    """One new version that is on trial."""

    before: Package
    """The version that runs again if it fails."""
    token: object
    """The token of the `Installed` that tells when that one runs again."""
    go_back: Callable[[], None]
    """Takes back what was decided and noted about the new version; called in the step that starts the one before."""
    decided: Decision | None = None
    """What its user had decided about the package before."""
    version: str = ""
    """The new version by semver; empty: it names none."""
    whole: bool = True
    """As in `NodeCore.install`."""
    until: float | None = None
    """When it is over; None: the new version has not been started yet."""
    failed: tuple[ProcessId, str] | None = None
    """The process that has trapped, and why; None: none has."""

    def kept(self) -> KeptTrial:
        """Return what is kept of it, for a boot in the middle of it."""
        before = self.before
        origin = None if before.origin is None else str(before.origin)
        return KeptTrial(before.digest, str(before.folder), origin, self.version, self.whole, self.decided)


def again(
    kept: KeptTrial, package: Package, before: Package, decisions: Decisions, installed: InstalledVersions
) -> Trial:
    """Return the trial of a version that was on trial when the node died; `before` is the version before."""

    def go_back() -> None:
        decisions.decide(package.id, kept.decided)
        current = installed.current(package.id)
        if current is not None and current.digest == package.digest:
            installed.go_back(package.id)

    return Trial(before, None, go_back, kept.decided, kept.version, kept.whole)
