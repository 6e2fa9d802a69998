"""The core's actions, as values: its driver carries them out.

Those of the net (`Dial`, `Close`, `Writable`, `Hold`, `Probed`, `Unforeseen`), of the disk (`Job`, `StopJob`) and of
traces (`Traced`) are defined where they come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from kernel.contract.address import ProcessId
from kernel.contract.events import Answered
from kernel.contract.message import Buffer
from nectar_node.contract.http import CheckPassword, HttpAnswer, HttpCommand, StartUpload
from nectar_node.contract.traces import Traced
from nectar_node.storage.operations import Job, Location, StopJob, Usage
from net.contract.events import Close, Dial, FailureReason, Hold, Probed, Unforeseen, Writable


class LogLine(NamedTuple):
    """A line for the node's log."""

    source: str
    """A process id, `net`, or `kernel`."""
    verbosity: int
    """0: always shown; up to 3: more and more detail."""
    text: str


class Printed(NamedTuple):
    """A line that a script printed, for the user who runs it; it is not in the log."""

    token: object
    """The token that was given to `NodeCore.run_script`."""
    verbosity: int
    """As in `LogLine`."""
    text: str


class LoadCode(NamedTuple):
    """Compile a process's code, after reading it if it is on the disk; the driver answers with
    `NodeCore.code_loaded`.
    """

    source: Location | Buffer
    """A file, or the code itself."""
    owner: object


@dataclass(frozen=True, slots=True)
class BadCode:
    """The outcome of a LoadCode that failed."""

    reason: str
    """One sentence."""


@dataclass(frozen=True, slots=True)
class Installed:
    """All processes of a package have been started, or could not be."""

    token: object
    """The token that was given to `NodeCore.install`."""
    failures: tuple[tuple[ProcessId, str], ...]
    """The processes that could not be started, and why."""
    ended: tuple[ProcessId, ...] = ()
    """The processes of the package that ran before and that the new one does not start: children, and what its manifest
    does not have any more.
    """


@dataclass(frozen=True, slots=True)
class Joined:
    """The registrar has granted this node its name."""


@dataclass(frozen=True, slots=True)
class NameRefused:
    """The registrar has refused this node its name at its boot: it does not run."""

    reason: FailureReason


@dataclass(frozen=True, slots=True)
class StandDown:
    """A copy of this node has taken its place in the network: this one ends, as soon as it has kept that."""

    reason: str
    """Which copy, since when, and what to do, as one sentence."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The node has booted: the processes of its packages have been started, or could not be."""

    warning: str | None
    """Why the node has no place in its network yet, as one sentence; None: it has one."""


class PackageUse(NamedTuple):
    """What one package has on the disk."""

    package: str
    used: Usage
    """Its files and states."""
    states: Usage
    """Bytes of the saved states among these, when they were last counted."""
    quota: Usage


class DiskUsed(NamedTuple):
    """The answer to `NodeCore.ask_disk_use`."""

    token: object
    packages: tuple[PackageUse, ...]
    free: int
    """Free bytes of the disk."""
    total: int
    floor: int
    """Free bytes that packages cannot have."""
    problem: str | None
    """Why disk use is not known; None: it is."""


class Kept(NamedTuple):
    """Everything that had changed when somebody asked is on the disk, or cannot be written."""

    token: object
    """The token that was given to `NodeCore.ask_kept`."""
    problem: str | None
    """Why it is not there; None: it is."""


class StartBackup(NamedTuple):
    """Make a copy of the node in each of these remotes, beside everything else; the driver answers with
    `NodeCore.backup_ended`.
    """

    remotes: tuple[str, ...]
    """Their names."""


class StopBackup(NamedTuple):
    """End what `StartBackup` has begun last, since others wait for it. What is not complete goes on in a later one, and
    comes out as None.
    """

    remotes: tuple[str, ...]
    """Those that were not complete."""


@dataclass(frozen=True, slots=True)
class Torn:
    """The node's own code has failed, and anything may be half done: it goes down in order, and starts again."""

    what: str
    """What was being done, such as `it carried out Parcel`."""
    error: Exception


@dataclass(frozen=True, slots=True)
class ShutDown:
    """A process with the right to do so has asked the node to end, as its user could."""


DriverAction = (
    Dial
    | Close
    | Writable
    | Hold
    | Job
    | StopJob
    | LoadCode
    | LogLine
    | Printed
    | Answered
    | Installed
    | Joined
    | NameRefused
    | StandDown
    | Ready
    | Traced
    | Probed
    | DiskUsed
    | Kept
    | StartBackup
    | StopBackup
    | HttpAnswer
    | HttpCommand
    | CheckPassword
    | StartUpload
    | ShutDown
    | Unforeseen
    | Torn
)
