"""What one guest has of WASI 0.2: its resources by their handles, its clocks, its entropy, and its open files.

A handle is a number that the guest passes; each one that comes in is checked for what it stands for. Pure: clocks,
entropy, the drive and what becomes of output are given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from kernel.contract.drive import Drive, DriveError, Errno
from kernel.contract.errors import GuestLimit, GuestTrap
from kernel.files.open_files import OpenFile, OpenFiles, OpenFolder

MAX_HANDLES = 4096
"""Resources that a guest has at a time; a Python guest has a dozen."""
MAX_LISTED = 1 << 16
"""Names that a guest's listings of folders hold at a time, all together; ten megabytes at most."""
NANOSECONDS = 1_000_000_000
MAX_MOMENT = (1 << 64) - 1
"""The last time of a clock, in nanoseconds."""


class GuestExit(GuestTrap):
    """The guest has ended itself."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exited with code {code}")
        self.code = code


@dataclass(slots=True)
class Pollable:
    """What a guest can wait for: a time, or nothing that would take any."""

    kind: ClassVar[str] = "wasi:io/poll.pollable"
    deadline: int | None
    """In nanoseconds of the monotonic clock; None: it is always ready."""


@dataclass(slots=True)
class IoError:
    """Why a stream failed."""

    kind: ClassVar[str] = "wasi:io/error.error"
    errno: Errno


@dataclass(slots=True)
class InputStream:
    """A file that is read from a place on; standard input is at its end from the start."""

    kind: ClassVar[str] = "wasi:io/streams.input-stream"
    file: OpenFile | None
    position: int = 0


@dataclass(slots=True)
class OutputStream:
    """Standard output or error, or a file that is written."""

    kind: ClassVar[str] = "wasi:io/streams.output-stream"
    verbosity: int
    """Of what becomes a print; a file is not printed."""
    file: OpenFile | None = None
    position: int | None = None
    """None: at the file's end."""


@dataclass(slots=True)
class Descriptor:
    """A file or folder, by its number among the open ones."""

    kind: ClassVar[str] = "wasi:filesystem/types.descriptor"
    number: int
    flags: int


@dataclass(slots=True)
class DirectoryEntries:
    """What is still to be listed of a folder: types and names, the last ones first."""

    kind: ClassVar[str] = "wasi:filesystem/types.directory-entry-stream"
    rest: list[tuple[int, str]]


@dataclass(slots=True)
class WasiNetwork:
    """The network that a guest may not use."""

    kind: ClassVar[str] = "wasi:sockets/network.network"


@dataclass(frozen=True, slots=True)
class WasiWait:
    """The answer of a call that takes time: it comes when one of the pollables is ready."""

    pollables: tuple[Pollable, ...]

    def ready(self, state: WasiState) -> tuple[int, ...]:
        """Return which of them are ready, by their places."""
        return tuple(i for i, pollable in enumerate(self.pollables) if state.is_ready(pollable))


class WasiState:
    """One guest's."""

    def __init__(
        self,
        write: Callable[[int, bytes], object],
        entropy: Callable[[int], bytes],
        clock: Callable[[], int],
        monotonic: Callable[[], int],
        drive: Drive | None,
        most_files: int,
    ) -> None:
        """`write` takes a verbosity and what was written; the clocks give nanoseconds; `most_files` is how many files
        and folders may be open at once."""
        self.write = write
        self.entropy = entropy
        self.clock = clock
        self.monotonic = monotonic
        self.has_drive = drive is not None
        self.files = OpenFiles(drive)
        self.most_files = most_files
        self._open: Counter[int] = Counter()
        """How many resources keep each open file or folder open, by its identity."""
        self._resources: dict[int, Any] = {}
        self._free: list[int] = []
        self._slept_until = 0
        """The time for which the guest has slept last; a clock that is a little behind changes nothing."""

    def add(self, resource: Any) -> int:
        """Return the handle of a new resource. Raises GuestLimit."""
        resources = self._resources
        if len(resources) >= MAX_HANDLES:
            raise GuestLimit(f"it has {MAX_HANDLES} resources, and that is the limit")
        opened = self._opened(resource)
        if opened is not None:
            self._open[id(opened)] += 1
        handle = self._free.pop() if self._free else len(resources) + 1
        resources[handle] = resource
        return handle

    def get(self, handle: int, kind: str) -> Any:
        """Return the resource of a handle. Raises GuestTrap if it is none of that kind."""
        found = self._resources.get(handle)
        if found is None or found.kind != kind:
            raise GuestTrap(f"{handle} is no handle of {kind}")
        return found

    def drop(self, handle: int, kind: str) -> None:
        """Forget a resource. Raises GuestTrap if the handle is none of that kind."""
        found = self.get(handle, kind)
        opened = self._opened(found)
        if opened is not None:
            self._open[id(opened)] -= 1
            if not self._open[id(opened)]:
                del self._open[id(opened)]
        del self._resources[handle]
        self._free.append(handle)
        if type(found) is Descriptor:
            self.files.close(found.number)

    def _opened(self, resource: Any) -> Any:
        """Return what a resource keeps open."""
        match resource:
            case Descriptor(number):
                found = self.files.get(number)
                return None if isinstance(found, OpenFolder) and found.is_drive else found
            case InputStream(file) | OutputStream(_, file):
                return file
        return None

    def check_room(self) -> None:
        """Check that one more file or folder may be opened: each takes a descriptor of the whole node, for as long as a
        descriptor or stream of the guest's keeps it. Raises DriveError."""
        if len(self._open) >= self.most_files:
            raise DriveError(Errno.NOMEM)

    def check_listing(self, names: int) -> None:
        """Check that so many more names may be listed. Raises DriveError."""
        held = sum(len(each.rest) for each in self._resources.values() if type(each) is DirectoryEntries)
        if held + names > MAX_LISTED:
            raise DriveError(Errno.NOMEM)

    def handles(self) -> int:
        """Return how many resources there are."""
        return len(self._resources)

    def now(self) -> int:
        """Return the time of the monotonic clock, not earlier than what the guest has slept for."""
        return min(max(self.monotonic(), self._slept_until), MAX_MOMENT)

    def is_ready(self, pollable: Pollable) -> bool:
        """Whether waiting for it takes no time."""
        return pollable.deadline is None or pollable.deadline <= self.now()

    def slept(self, until: int) -> None:
        """Note that a time has come."""
        self._slept_until = max(self._slept_until, until)
