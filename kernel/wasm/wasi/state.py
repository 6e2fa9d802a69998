"""What one guest has of WASI 0.2: its resources by their handles, its clocks, its entropy, its open files, and what it
has asked of servers.

A handle is a number that the guest passes; each one that comes in is checked for what it stands for. Pure: clocks,
entropy, the drive and what becomes of output and of requests are given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from kernel.contract.drive import Drive, DriveError, Errno
from kernel.contract.errors import GuestLimit, GuestTrap
from kernel.contract.guest import SendAndHear, StopHearing
from kernel.contract.http import HttpFailure
from kernel.contract.limits import MAX_BLOB_BYTES
from kernel.files.open_files import OpenFile, OpenFiles, OpenFolder
from kernel.wasm.wasi.exchanges import Exchange, Exchanges, OutgoingContent

MAX_HANDLES = 4096
"""Resources that a guest has at a time; a Python guest has a dozen."""
MAX_LISTED = 1 << 16
"""Names that a guest's listings of folders hold at a time, all together; ten megabytes at most."""
MAX_HELD_BYTES = MAX_BLOB_BYTES
"""What a guest's resources hold of headers and bodies at a time, all together: two bodies of the largest size that a
node's HTTP client takes."""
NANOSECONDS = 1_000_000_000
LOOK_NANOSECONDS = 1_000_000
"""How long a guest waits that looks for an answer of a server."""
MAX_MOMENT = (1 << 64) - 1
"""The last time of a clock, in nanoseconds."""


NO_BYTES = memoryview(b"")


class GuestExit(GuestTrap):
    """The guest has ended itself."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exited with code {code}")
        self.code = code


@dataclass(slots=True)
class Pollable:
    """What a guest can wait for: a time, an answer that comes until then, or nothing that would take any."""

    kind: ClassVar[str] = "wasi:io/poll.pollable"
    deadline: int | None
    """In nanoseconds of the monotonic clock; None: it is always ready."""
    exchange: Exchange | None = None
    """What has an answer."""
    owners: int = 1
    """How often the guest has its handle."""


@dataclass(slots=True)
class IoError:
    """Why a stream failed."""

    kind: ClassVar[str] = "wasi:io/error.error"
    errno: Errno
    http: HttpFailure | None = None
    """What was wrong with a body."""


@dataclass(slots=True)
class InputStream:
    """A file that is read from a place on, or an answer's body; standard input is at its end from the start."""

    kind: ClassVar[str] = "wasi:io/streams.input-stream"
    file: OpenFile | None
    position: int = 0
    data: memoryview = NO_BYTES
    """What is read where there is no file."""
    held: int = 0


@dataclass(slots=True)
class OutputStream:
    """Standard output or error, a file that is written, or a request's body."""

    kind: ClassVar[str] = "wasi:io/streams.output-stream"
    verbosity: int
    """Of what becomes a print; a file is not printed."""
    file: OpenFile | None = None
    position: int | None = None
    """None: at the file's end."""
    content: OutgoingContent | None = None


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


def _ask_nobody(_: SendAndHear | StopHearing) -> None:
    pass


@dataclass(frozen=True, slots=True)
class WasiWait:
    """The answer of a call that takes time: it comes when one of the pollables is ready."""

    pollables: tuple[Pollable, ...]
    then: Callable[[], Any] | None = None
    """Makes the answer; None: it is which of them are ready."""
    is_flat: bool = False
    """Whether the answer is one number, a u32 or a bool, and not in memory."""

    def answer(self, ready: tuple[int, ...]) -> Any:
        """Return what the guest gets when these are ready."""
        return ready if self.then is None else self.then()

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
        exchanges: Exchanges | None = None,
    ) -> None:
        """`write` takes a verbosity and what was written; the clocks give nanoseconds; `most_files` is how many files
        and folders may be open at once; `exchanges` are those with servers, by default with none."""
        self.write = write
        self.entropy = entropy
        self.clock = clock
        self.monotonic = monotonic
        self.has_drive = drive is not None
        self.files = OpenFiles(drive)
        self.exchanges = exchanges or Exchanges(None, _ask_nobody)
        self.most_files = most_files
        self._open: Counter[int] = Counter()
        """How many resources keep each open file or folder open, by its identity."""
        self._resources: dict[int, Any] = {}
        self._held = 0
        self._ready = 0
        """The handle of the pollable that is always ready, if the guest has it."""
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
        held = getattr(resource, "held", 0)
        if held:
            self.hold(held)
        handle = self._free.pop() if self._free else len(resources) + 1
        resources[handle] = resource
        return handle

    def add_ready(self) -> int:
        """Return the handle of a pollable that is always ready. There is one: engines subscribe before each read, and
        some drop none of what they get."""
        known = self._resources.get(self._ready)
        if type(known) is Pollable and known.deadline is None:
            known.owners += 1
        else:
            self._ready = self.add(Pollable(None))
        return self._ready

    def get(self, handle: int, kind: str) -> Any:
        """Return the resource of a handle. Raises GuestTrap if it is none of that kind."""
        found = self._resources.get(handle)
        if found is None or found.kind != kind:
            raise GuestTrap(f"{handle} is no handle of {kind}")
        return found

    def drop(self, handle: int, kind: str) -> None:
        """Forget a resource. Raises GuestTrap if the handle is none of that kind."""
        found = self.take(handle, kind)
        if type(found) is Descriptor:
            self.files.close(found.number)
        elif hasattr(found, "dropped"):
            found.dropped(self)

    def take(self, handle: int, kind: str) -> Any:
        """Return the resource of a handle that the guest gives away. Raises GuestTrap as `get` does."""
        found = self.get(handle, kind)
        if type(found) is Pollable and found.owners > 1:
            found.owners -= 1
            return found
        opened = self._opened(found)
        if opened is not None:
            self._open[id(opened)] -= 1
            if not self._open[id(opened)]:
                del self._open[id(opened)]
        del self._resources[handle]
        self._free.append(handle)
        self._held -= getattr(found, "held", 0)
        return found

    def has_space(self, size: int) -> bool:
        """Whether resources may hold so many more bytes."""
        return self._held + size <= MAX_HELD_BYTES

    def hold(self, size: int) -> None:
        """Note that resources hold so many more bytes, or fewer. Raises GuestLimit."""
        if size > 0 and not self.has_space(size):
            raise GuestLimit(f"its resources hold more than {MAX_HELD_BYTES} bytes, and that is the limit")
        self._held += size

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
        if pollable.exchange is not None:
            self.exchanges.listen()
            if pollable.exchange.is_over:
                return True
        return pollable.deadline is None or pollable.deadline <= self.now()

    def look(self, pollable: Pollable, then: Callable[[], Any], *, is_flat: bool = False) -> Any:
        """Return the answer of a call that does not wait, but for a moment: one that looks again and again whether an
        answer of a server is there lets others run, and time pass."""
        if pollable.exchange is None or self.is_ready(pollable):
            return then()
        return WasiWait((pollable, Pollable(self.now() + LOOK_NANOSECONDS)), then, is_flat)

    def slept(self, until: int) -> None:
        """Note that a time has come."""
        self._slept_until = max(self._slept_until, until)
