"""The first seconds of a new version of a package: if a process of it traps in them, the version before runs again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kernel.contract.address import ProcessId
from nectar_node.packages.manifest import Package

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
    version: str = ""
    """The new version by semver; empty: it names none."""
    whole: bool = True
    """As in `NodeCore.install`."""
    until: float | None = None
    """When it is over; None: the new version has not been started yet."""
    failed: tuple[ProcessId, str] | None = None
    """The process that has trapped, and why; None: none has."""
