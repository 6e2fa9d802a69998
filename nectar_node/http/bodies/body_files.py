"""Bodies of requests that go to files of packages, written to the disk piece by piece as they come.

Theory of operation. A body is asked for one piece at a time (`HttpReadPiece`), and the next when the disk has the one
before: so it holds one piece of memory, and a browser sends no faster than the disk takes. Until all of it is there and
durable, the file lies in `BODIES`, a folder of the package's that no process reaches: it counts in the package's
quota, and what a crash leaves there is removed at the next boot. A length that the browser says is claimed at once, by
making the file so long: so two that fit one by one, but not together, are not both begun. At last the file gets its
place in the folder that the process has named, and the process is asked. From then on the file is the package's; until
then whatever happens removes it. Only so many bodies are read at a time: further ones wait, unread.
"""

from __future__ import annotations

import enum
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from blake3 import blake3

from kernel.contract.address import PackageId, ProcessId
from kernel.contract.message import Reason
from nectar_node.contract.actions import LogLine
from nectar_node.contract.http import HttpBodyPiece, HttpReadPiece
from nectar_node.contract.json_shapes import RequestRefused
from nectar_node.http.bindings import BodyFolder
from nectar_node.http.file_answers import Locate
from nectar_node.http.pages import PageAnswer, error_page
from nectar_node.storage.operations import (
    BODIES,
    Create,
    DiskError,
    DiskFault,
    Job,
    Location,
    MakeFolder,
    Operation,
    Outcome,
    RemoveFile,
    RemoveFolder,
    Rename,
    SetLength,
    Sync,
    WriteAt,
)
from net.base.timers import Timers

PIECE_BYTES = 256 << 10
"""Bytes of a piece, and at most what is read at once on top: one visit to the disk."""
MAX_FILE_BYTES = 1 << 40
"""Bytes of one body, unless its process says less: the package's quota and the disk are limits in any case."""
MAX_OF_ONE = 16
"""Bodies of one package that are read at a time: a disk is not faster with more."""
MAX_ALL = 64
"""Those of all packages. Each has a piece in memory, and what the connection has read ahead."""
WAIT_SECONDS = 60.0
"""Seconds for which a body waits to be read."""
PIECE_SECONDS = 60.0
"""Seconds for one piece of a body: at 256 KiB, the slowest has 4 KiB a second."""
CROWDED_SECONDS = 10.0
"""The same while other bodies wait to be read in its place: 26 KB a second."""

_TOO_LONG = "The body is longer than the process behind this page takes."
_NO_ROOM = "There is no room on the node's disk for this: the package's quota, or the disk, is full."
_BROKEN = "The file cannot be written."
_FAILED = "The node failed: its log says why."
_ENDED = "The process behind this page does not run."


class BodyPlaces(NamedTuple):
    """Where files lie."""

    drives: str
    """The root of all drives."""
    locate: Locate
    """Returns where a folder lies in which a process may make files, or raises RequestRefused."""


class WantedBody(NamedTuple):
    """A body that is to go to a file."""

    process: ProcessId
    """Who is asked when it is there."""
    folder: BodyFolder
    length: int | None
    """Bytes that it is said to have; None: nobody says."""


class ReceivedFile(NamedTuple):
    """A body that has become a file."""

    path: str
    """As the vfs has it."""
    length: int
    hash: str
    """BLAKE3, in hex."""


class _Step(enum.Enum):
    WAITS = "until it may be read"
    OPENS = "for the disk to make the file"
    READS = "for the browser"
    WRITES = "for the disk to write a piece"
    SYNCS = "for the disk to make it durable"
    PLACES = "for the disk to give it its place"
    OFFERED = "for the process's answer"
    REMOVES = "for the disk to remove it"
    OVER = "for nothing"


_HAS_FILE = (_Step.OPENS, _Step.READS, _Step.WRITES, _Step.SYNCS, _Step.PLACES, _Step.OFFERED)


@dataclass(slots=True, eq=False)
class _Body:
    """A body that is under way."""

    token: object
    wanted: WantedBody
    at: Location
    """Where the file lies."""
    name: str
    step: _Step = _Step.WAITS
    jobs: deque[Operation] = field(default_factory=deque)
    """What the disk has to do until the step is done; the first is being done."""
    given_up: bool = False
    """Whether the file is to be removed when the disk is done with it."""
    reads: bool = False
    """Whether it counts as one that is read."""
    asked: float = 0.0
    """When the browser was asked for the piece that it is to send."""
    written: int = 0
    is_whole: bool = False
    hash: blake3 = field(default_factory=blake3)


class BodyFiles:
    """All such bodies of a node."""

    def __init__(
        self,
        places: BodyPlaces,
        fresh_id: Callable[[], int],
        emit: Callable[[Job | HttpReadPiece | LogLine], None],
        ask: Callable[[object, ReceivedFile | None, float], PageAnswer | None],
        refuse: Callable[[object, PageAnswer], None],
    ) -> None:
        """`fresh_id` returns unpredictable u64s; `emit` takes what is to be done. `ask` is given the token of a request
        whose file is there (None: the body was empty) and asks the process, or returns the answer if it may not be
        asked; `refuse` gives the browser an answer, where nothing is kept.
        """
        self._drives, self._locate = places
        self._fresh_id = fresh_id
        self._emit = emit
        self._ask = ask
        self._refuse = refuse
        self._bodies: dict[object, _Body] = {}
        self._waiting: deque[_Body] = deque()
        self._reading: Counter[PackageId] = Counter()
        """How many are read, or being removed."""
        self._timers: Timers[_Body] = Timers()

    def __len__(self) -> int:
        """How many have a file that is not their package's yet, or wait to have one."""
        return len(self._waiting) + self._reading.total()

    # --- what browsers do -------------------------------------------------------------------------------------------

    def begin(self, token: object, wanted: WantedBody, now: float) -> None:
        """Take the body of a request when there is room for it, or refuse it."""
        name = f"{self._fresh_id():016x}"
        at = Location(self._drives, (str(wanted.process.package_id), BODIES, name))
        body = self._bodies[token] = _Body(token, wanted, at, name)
        if wanted.length is not None and wanted.length > wanted.folder.limit:
            self._end(body, error_page(413, _TOO_LONG))
            return
        self._timers.set(body, now + WAIT_SECONDS)
        self._waiting.append(body)
        self._go_on(now)
        if body.step is _Step.WAITS:
            for each in self._bodies.values():
                if each.step is _Step.READS and self._is_in_the_way(each):
                    self._timers.set(each, max(now, each.asked + CROWDED_SECONDS))

    def piece(self, event: HttpBodyPiece, now: float) -> None:
        """Write a piece that has come."""
        body = self._bodies.get(event.token)
        if body is None or body.step is not _Step.READS:
            return
        self._timers.set(body, None)
        length, size = body.wanted.length, body.written + len(event.data)
        body.is_whole = event.is_last
        if length is not None and (size > length or (body.is_whole and size < length)):
            self._end(body, error_page(400, "A request has the length that it says."))
        elif size > body.wanted.folder.limit:
            self._end(body, error_page(413, _TOO_LONG))
        elif event.data:
            body.hash.update(event.data)
            offset, body.written = body.written, size
            self._do(body, _Step.WRITES, WriteAt(body.at, offset, event.data))
        else:
            self._written(body, now)

    def gone(self, token: object) -> None:
        """Give up a body whose browser has gone, unless its file is the package's already."""
        body = self._bodies.get(token)
        if body is not None and body.step is not _Step.OFFERED:
            self._end(body, error_page(500, _FAILED))

    # --- what the process does --------------------------------------------------------------------------------------

    def answered(self, token: object, failure: Reason | None) -> None:
        """Learn what has come of the question to the process."""
        body = self._bodies.get(token)
        if body is None or body.step is not _Step.OFFERED:
            return
        if failure in (None, Reason.EXPIRED, Reason.PROCESS_ENDED):
            self._forget(body)  # it has been told of the file, or may have been
        else:
            self._remove(body)

    def ended(self, process: ProcessId) -> None:
        """Give up what is for a process that has ended."""
        for body in [each for each in self._bodies.values() if each.wanted.process == process]:
            if body.step is not _Step.OFFERED:
                self._end(body, error_page(503, _ENDED))

    # --- time and the disk ------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """Return when `on_timer` is due, or None."""
        return self._timers.next()

    def on_timer(self, now: float) -> None:
        """Give up what takes too long."""
        while (body := self._timers.pop_due(now)) is not None:
            if body.step is _Step.WAITS:
                self._end(body, error_page(503, "Too many bodies are being sent to the package behind this page."))
            elif now < body.asked + PIECE_SECONDS and not self._is_in_the_way(body):
                self._timers.set(body, body.asked + PIECE_SECONDS)  # of those that waited, none does any more
            else:
                seconds = min(PIECE_SECONDS, now - body.asked)
                self._end(body, error_page(408, f"The next {PIECE_BYTES} bytes did not come in {seconds:.0f} seconds."))

    def done(self, job: Job, outcome: Outcome, now: float) -> None:
        """Take what the disk says."""
        body = job.owner
        assert isinstance(body, _Body)
        if isinstance(job.operation, RemoveFolder):
            return  # it was empty, or another body has come in between
        if body.jobs:  # else its handling has failed
            body.jobs.popleft()
        if body.step is _Step.REMOVES:
            self._removed(body, outcome, now)
        elif isinstance(job.operation, Rename) and not isinstance(outcome, DiskError):
            body.at = job.operation.target
            self._goes_on(body, outcome, now)
        else:
            self._goes_on(body, outcome, now)

    def _goes_on(self, body: _Body, outcome: Outcome, now: float) -> None:
        if body.given_up:
            body.jobs.clear()
            self._remove(body)
        elif isinstance(outcome, DiskError):
            self._failed(body, outcome)
        elif body.jobs:
            self._submit(body)
        elif body.step in (_Step.OPENS, _Step.WRITES):
            self._written(body, now)
        elif body.step is _Step.SYNCS:
            self._place(body)
        else:
            self._offer(body, now)

    def recover(self, owner: object) -> None:
        """End a body whose handling has failed, given by its token or its job's owner."""
        if isinstance(owner, _Body):
            owner.jobs.clear()
        body = owner if isinstance(owner, _Body) else self._bodies.get(owner)
        if body is not None and body.step is not _Step.OVER:
            self._end(body, error_page(500, _FAILED))

    # --- one body ---------------------------------------------------------------------------------------------------

    def _go_on(self, now: float) -> None:
        """Begin to read those for which there is room, the first that has come first."""
        for body in tuple(self._waiting):
            package = body.wanted.process.package_id
            if self._reading.total() >= MAX_ALL:
                return
            if self._reading[package] < MAX_OF_ONE:
                self._waiting.remove(body)
                self._timers.set(body, None)
                body.reads = True
                self._reading[package] += 1
                opening: list[Operation] = [MakeFolder(body.at._replace(parts=body.at.parts[:-1])), Create(body.at)]
                if body.wanted.length:
                    opening.append(SetLength(body.at, body.wanted.length))
                self._do(body, _Step.OPENS, *opening)

    def _is_in_the_way(self, body: _Body) -> bool:
        """Whether another body waits for the place of one that is read."""
        package, all_taken = body.wanted.process.package_id, self._reading.total() >= MAX_ALL
        return any(all_taken or each.wanted.process.package_id == package for each in self._waiting)

    def _written(self, body: _Body, now: float) -> None:
        """Ask for the next piece, or end the file."""
        if not body.is_whole:
            body.step = _Step.READS
            body.asked = now
            self._timers.set(body, now + (CROWDED_SECONDS if self._is_in_the_way(body) else PIECE_SECONDS))
            self._emit(HttpReadPiece(body.token))
        elif body.written:
            self._do(body, _Step.SYNCS, Sync(body.at))
        else:
            self._offer(body, now)

    def _place(self, body: _Body) -> None:
        """Give a file that is whole its place, if the process may still have it there."""
        wanted = body.wanted
        try:
            folder = self._locate(wanted.process, wanted.folder.path)
        except RequestRefused as refused:
            self._log(body, f"may make no file in {wanted.folder.path[:200]} any more: {refused}")
            self._end(body, error_page(500, _BROKEN))
            return
        target = folder._replace(parts=(*folder.parts, body.name))
        self._do(body, _Step.PLACES, MakeFolder(folder), Rename(body.at, target), Sync(target))

    def _offer(self, body: _Body, now: float) -> None:
        """Ask the process."""
        body.step = _Step.OFFERED
        received = None
        if body.written:
            path = f"{body.wanted.folder.path.rstrip('/')}/{body.name}"
            received = ReceivedFile(path, body.written, body.hash.hexdigest())
        page = self._ask(body.token, received, now)
        if page is not None:
            self._end(body, page)
        elif received is None:
            self._remove(body)  # an empty file is none
        else:
            self._free(body)
            self._go_on(now)

    def _do(self, body: _Body, step: _Step, *operations: Operation) -> None:
        body.step = step
        body.jobs.extend(operations)
        self._submit(body)

    def _submit(self, body: _Body) -> None:
        operation = body.jobs[0]
        shared = isinstance(operation, (MakeFolder, Create, RemoveFolder))
        lane = f"{self._drives}/{body.wanted.process.package_id}/{BODIES}" if shared else str(body.at)
        self._emit(Job(operation, lane, body, str(body.wanted.process.package_id)))

    def _failed(self, body: _Body, error: DiskError) -> None:
        page = error_page(507, _NO_ROOM) if error.fault is DiskFault.FULL else error_page(500, _BROKEN)
        self._log(body, f"gets no file of what a browser sends: {error.text}")
        body.jobs.clear()
        self._end(body, page)

    def _log(self, body: _Body, line: str) -> None:
        self._emit(LogLine(str(body.wanted.process), 0, line))

    def _end(self, body: _Body, page: PageAnswer) -> None:
        """Answer the browser, and keep nothing."""
        if body.given_up:
            return
        if self._remove(body):
            self._refuse(body.token, page)

    def _remove(self, body: _Body) -> bool:
        """Remove a file as soon as the disk has nothing else to do with it; False: that is under way already."""
        self._timers.set(body, None)
        if body.step in (_Step.REMOVES, _Step.OVER):
            return False
        if body.jobs:
            body.given_up = True
        elif body.step in _HAS_FILE:
            self._do(body, _Step.REMOVES, RemoveFile(body.at))
        else:
            self._forget(body)
        return True

    def _removed(self, body: _Body, outcome: Outcome, now: float) -> None:
        if isinstance(outcome, DiskError) and outcome.fault is not DiskFault.NOT_FOUND:
            self._log(body, f"has a part of a body on the disk until the next boot: {outcome.text}")
        self._forget(body)
        self._go_on(now)

    def _free(self, body: _Body) -> None:
        """Count a body no longer as one that is read; the last one takes the folder along."""
        if not body.reads:
            return
        body.reads = False
        package = body.wanted.process.package_id
        self._reading -= Counter([package])
        if not self._reading[package]:
            folder = Location(self._drives, (str(package), BODIES))
            lane = f"{self._drives}/{package}/{BODIES}"
            self._emit(Job(RemoveFolder(folder, recursive=False), lane, body, str(package)))

    def _forget(self, body: _Body) -> None:
        body.step = _Step.OVER
        self._timers.set(body, None)
        self._bodies.pop(body.token, None)
        if body in self._waiting:
            self._waiting.remove(body)
        self._free(body)


def owns(job: Job) -> bool:
    """Whether a disk job is for a body."""
    return isinstance(job.owner, _Body)


def body_folder_untrusted(fields: dict[str, object]) -> BodyFolder | None:
    """Return where the bodies of requests to a path are to go, {"body_to": folder, "body_limit": bytes}; None: they are
    blobs. Raises ValueError.
    """
    path, limit = fields.get("body_to"), fields.get("body_limit")
    if path is None:
        if limit is not None:
            raise ValueError("there is a body_limit, and no body_to")
        return None
    if not isinstance(path, str):
        raise ValueError("body_to is no text")
    if limit is None:
        return BodyFolder(path, MAX_FILE_BYTES)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 0 < limit <= MAX_FILE_BYTES:
        raise ValueError(f"body_limit is no number of bytes between 1 and {MAX_FILE_BYTES}")
    return BodyFolder(path, limit)
