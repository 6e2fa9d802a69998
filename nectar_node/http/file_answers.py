"""Files of packages as answers to browsers, read from the disk piece by piece.

Theory of operation. An answer is described (`Stat`), then read piece by piece (`ReadAt`): the next piece when the
browser has taken the one before. So it holds one piece of memory, and between two pieces nothing of the disk: no lane,
no descriptor. A package's answers take its turns. Each piece is read only if the file has the version that the
answer began with, and if the process may still read it there; otherwise the connection ends. A file that was changed a
moment ago has no version that says so yet: one piece of it is read at once, and a larger one waits.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from kernel.contract.address import PackageId, ProcessId
from kernel.contract.message import Buffer
from nectar_node.contract.actions import LogLine
from nectar_node.contract.http import Headers, HttpAnswer, HttpBroken, HttpPiece, HttpStart
from nectar_node.contract.json_shapes import RequestRefused
from nectar_node.http.pages import (
    NOTHING,
    SAFETY,
    PageAnswer,
    Selected,
    described,
    error_page,
    selected,
    with_policy,
)
from nectar_node.http.requests import HttpRefused
from nectar_node.storage.operations import (
    CHANGED,
    DiskError,
    DiskFault,
    FileStat,
    FileType,
    Job,
    Location,
    Outcome,
    ReadAt,
    Stat,
)

PIECE_BYTES = 256 << 10
"""Bytes of a piece: four writes to a connection, for one visit to the disk."""
WHOLE_BYTES = 64 << 10
"""Bytes up to which an answer is given in one, and counts no longer once it is."""
MAX_OF_ONE = 128
"""Answers of one package that are under way: with a piece each, 32 MiB."""
MAX_ALL = 512
"""Those of all packages: 128 MiB."""
SETTLE_SECONDS = 0.06
"""Seconds after which a file that has just changed is looked at again: a little more than it takes to settle."""
MAX_TRIES = 50
"""Looks at a file that changes all the time: three seconds, while its browser waits."""
INDEX = "index.html"
"""What is served for a folder."""

_TYPES = {
    end: kind
    for kind, ends in (
        *(("text/html", "html htm"), ("text/css", "css"), ("text/javascript", "js mjs"), ("text/plain", "txt")),
        *(("text/markdown", "md"), ("text/csv", "csv"), ("application/xml", "xml"), ("application/json", "json map")),
        *(("application/manifest+json", "webmanifest"), ("application/wasm", "wasm"), ("application/pdf", "pdf")),
        *(("image/svg+xml", "svg"), ("image/png", "png"), ("image/jpeg", "jpg jpeg"), ("image/gif", "gif")),
        *(("image/webp", "webp"), ("image/avif", "avif"), ("image/x-icon", "ico"), ("image/bmp", "bmp")),
        *(("font/woff", "woff"), ("font/woff2", "woff2"), ("font/ttf", "ttf"), ("font/otf", "otf")),
        *(("audio/mpeg", "mp3"), ("audio/ogg", "ogg opus"), ("audio/wav", "wav"), ("audio/flac", "flac")),
        *(("audio/mp4", "m4a"), ("video/mp4", "mp4"), ("video/webm", "webm"), ("video/ogg", "ogv")),
        *(("application/zip", "zip"), ("application/gzip", "gz"), ("application/x-tar", "tar")),
    )
    for end in ends.split()
}
"""Media types by the ends of names, as IANA registers them: one table, so that all nodes say the same."""

Locate = Callable[[ProcessId, str], Location]
"""Returns where a file lies that a process may read; raises RequestRefused."""
_GONE = (DiskFault.NOT_FOUND, DiskFault.NOT_PERMITTED)
"""What the disk says where there is no such file; a link counts as none."""


class WantedFile(NamedTuple):
    """What a browser is answered with."""

    process: ProcessId
    """Whose rights hold."""
    path: str
    asked: dict[str, str] | None
    """The headers of a GET or HEAD, which may ask for a part; None: the whole, whatever they say."""
    head_only: bool
    policy: Headers
    """What the answer's headers say beside the others."""
    status: int = 200
    headers: Headers = SAFETY
    """What is said with it, as a process wants it."""
    folder_url: str | None = None
    """Where a browser is sent that has asked for a folder, so that what its page links to lies in there; None: it is
    there."""
    has_index: bool = False
    """Whether of a folder its index is served."""


@dataclass(slots=True, eq=False)
class _Open:
    """An answer that is under way."""

    token: object
    wanted: WantedFile
    at: Location
    """Where the file lies."""
    tries: int = 0
    version: str | None = None
    """The version that is sent; None: nobody knows, and what is sent fits into one piece."""
    selected: Selected = NOTHING
    position: int = 0
    """The first byte that has not been given to the driver."""
    started: bool = False
    busy: bool = False
    """Whether the disk or the time has to come back to it."""
    gone: bool = False
    """Whether nobody waits for it any more."""
    over: bool = False


class FileAnswers:
    """All answers of a node that come from files."""

    def __init__(
        self, locate: Locate, emit: Callable[[Job | HttpAnswer | HttpStart | HttpPiece | HttpBroken | LogLine], None]
    ) -> None:
        """`emit` takes what is to be done."""
        self._locate = locate
        self._emit = emit
        self._open: dict[object, _Open] = {}
        self._count: Counter[PackageId] = Counter()
        self._all = 0
        self._later: deque[tuple[float, _Open]] = deque()
        """Those that wait for a file to settle, and until when."""

    def __len__(self) -> int:
        return self._all

    def begin(self, token: object, wanted: WantedFile) -> None:
        """Answer with a file; raises HttpRefused."""
        package = wanted.process.package_id
        if self._count[package] >= MAX_OF_ONE:
            raise HttpRefused(503, "Too many files of the package behind this page are being sent.")
        if self._all >= MAX_ALL:
            raise HttpRefused(503, "The node has too much to do.")
        answer = _Open(token, wanted, self._place(wanted.process, wanted.path))
        self._open[token] = answer
        self._count[package] += 1
        self._all += 1
        self._describe(answer)

    def taken(self, token: object) -> None:
        """Read the next piece, since the browser has taken the last one."""
        answer = self._open.get(token)
        if answer is None:
            return
        if answer.position == answer.selected.end:
            self._forget(answer)
            return
        try:
            moved = self._place(answer.wanted.process, answer.wanted.path) != answer.at
        except HttpRefused:
            moved = True
        if moved:
            self._end(answer, error_page(500, "The file is elsewhere now."))
        else:
            self._read(answer)

    def gone(self, token: object) -> None:
        """Give an answer up: nobody waits for it any more."""
        answer = self._open.pop(token, None)
        if answer is not None:
            answer.gone = True
            if not answer.busy:
                self._forget(answer)

    def next_deadline(self) -> float | None:
        """Return when a file is to be looked at again, or None."""
        return self._later[0][0] if self._later else None

    def on_timer(self, now: float) -> None:
        """Look at files again that have changed a moment ago."""
        while self._later and self._later[0][0] <= now:
            _, answer = self._later.popleft()
            if self._is_wanted(answer):
                self._describe(answer)

    def done(self, job: Job, outcome: Outcome, now: float) -> None:
        """Take what the disk says."""
        answer = job.owner
        assert isinstance(answer, _Open)
        if self._is_wanted(answer):
            if isinstance(job.operation, Stat):
                self._described(answer, outcome, now)
            else:
                self._come(answer, outcome, now)

    def _is_wanted(self, answer: _Open) -> bool:
        """Go back to an answer; whether anybody waits for it still."""
        answer.busy = False
        if answer.gone:
            self._forget(answer)
        return not answer.over

    def recover(self, owner: object) -> None:
        """End an answer whose handling has failed, given by its token or its job's owner."""
        answer = owner if isinstance(owner, _Open) else self._open.get(owner)
        if answer is not None:
            self._end(answer, error_page(500, "The node failed: its log says why."))

    # --- one answer -------------------------------------------------------------------------------------------------

    def _place(self, process: ProcessId, path: str) -> Location:
        try:
            return self._locate(process, path)
        except RequestRefused as refused:
            if refused.parts()[0] != "NoCap":
                raise HttpRefused(404, "There is no such file.") from None
            self._emit(LogLine(str(process), 0, f"has no right to the file with which it answers: {refused}"))
            raise HttpRefused(403, "The process behind this page may not read this file.") from None

    def _submit(self, answer: _Open, operation: Stat | ReadAt) -> None:
        answer.busy = True
        self._emit(Job(operation, str(answer.at), answer, str(answer.wanted.process.package_id)))

    def _describe(self, answer: _Open) -> None:
        answer.tries += 1
        self._submit(answer, Stat(answer.at))

    def _described(self, answer: _Open, outcome: Outcome, now: float) -> None:
        if isinstance(outcome, DiskError):
            self._failed(answer, outcome)
            return
        assert isinstance(outcome, FileStat)
        if outcome.type is FileType.DIRECTORY and answer.wanted.has_index:
            self._enter(answer)
        elif outcome.type is not FileType.FILE:
            self._end(answer, error_page(404, "There is no such file."))
        elif not outcome.version and outcome.length > PIECE_BYTES:
            self._wait(answer, now)
        else:
            answer.version = outcome.version or None
            self._select(answer, outcome.length)

    def _enter(self, answer: _Open) -> None:
        """Go on with the index of a folder."""
        wanted = answer.wanted
        if wanted.folder_url is not None:
            to: Headers = (("location", wanted.folder_url), ("cache-control", "no-cache"), *SAFETY)
            self._end(answer, PageAnswer(302, to, b""))
            return
        answer.wanted = wanted._replace(path=f"{wanted.path}/{INDEX}", has_index=False)
        try:
            answer.at = self._place(wanted.process, answer.wanted.path)
        except HttpRefused as refused:
            self._end(answer, error_page(refused.status, refused.sentence))
        else:
            self._describe(answer)

    def _wait(self, answer: _Open, now: float) -> None:
        """Look at a file again that has changed."""
        if answer.tries >= MAX_TRIES:
            self._end(answer, error_page(503, "The file is being written."))
        else:
            answer.busy = True
            self._later.append((now + SETTLE_SECONDS, answer))

    def _select(self, answer: _Open, length: int) -> None:
        asked = answer.wanted.asked
        wanted = Selected(200, 0, length, length) if asked is None else selected(asked, _etag(answer), length)
        answer.selected, answer.position = wanted, wanted.begin
        if wanted.begin == wanted.end:
            self._end(answer, self._page(answer, b""))
        elif answer.wanted.head_only:
            self._forget(answer)
            self._start(answer, b"")
        else:
            self._read(answer)

    def _read(self, answer: _Open) -> None:
        length = min(PIECE_BYTES, answer.selected.end - answer.position)
        self._submit(answer, ReadAt(answer.at, answer.position, length, answer.version))

    def _come(self, answer: _Open, outcome: Outcome, now: float) -> None:
        """Give a piece to the driver."""
        wanted, begin = answer.selected, answer.position
        expected = min(PIECE_BYTES, wanted.end - begin)
        if not isinstance(outcome, (bytes, bytearray)) or len(outcome) != expected:
            changed = not isinstance(outcome, DiskError) or outcome.text == CHANGED
            if changed and not answer.started:
                self._wait(answer, now)
            else:
                self._failed(answer, outcome)
            return
        answer.position += expected
        if answer.started:
            self._emit(HttpPiece(answer.token, outcome))
        elif wanted.end - wanted.begin <= WHOLE_BYTES:
            self._end(answer, self._page(answer, outcome))
        else:
            answer.started = True
            self._start(answer, outcome)

    def _page(self, answer: _Open, body: Buffer) -> PageAnswer:
        """Return the answer, with this much of its body."""
        status = answer.wanted.status if answer.selected.status == 200 else answer.selected.status
        return PageAnswer(status, self._headers(answer), body)

    def _start(self, answer: _Open, piece: Buffer) -> None:
        status, headers, _ = with_policy(self._page(answer, piece), answer.wanted.policy)
        size = answer.selected.end - answer.selected.begin
        self._emit(HttpStart(answer.token, status, headers, size, piece))

    def _headers(self, answer: _Open) -> Headers:
        wanted = answer.wanted
        said = {name for name, _ in wanted.headers}
        told = tuple(each for each in wanted.headers if each[0] not in ("etag", "accept-ranges", "content-range"))
        if "content-type" not in said:
            told = (("content-type", type_of(wanted.path)), *told)
        if "cache-control" not in said:
            told = (*told, ("cache-control", "no-cache"))
        return told if wanted.asked is None else described(told, _etag(answer), answer.selected)

    def _failed(self, answer: _Open, outcome: Outcome) -> None:
        why = outcome.text if isinstance(outcome, DiskError) else CHANGED
        if isinstance(outcome, DiskError) and outcome.fault in _GONE:
            page = error_page(404, "There is no such file.")
        else:
            page = error_page(500, "The file cannot be read.")
        if answer.started:
            line = f"sends no more of {answer.wanted.path[:200]} to a browser: {why}"
            self._emit(LogLine(str(answer.wanted.process), 1, line))
        self._end(answer, page)

    def _end(self, answer: _Open, page: PageAnswer) -> None:
        """End an answer with a page, or if it has begun, with its connection."""
        self._forget(answer)
        if answer.started:
            self._emit(HttpBroken(answer.token))
        else:
            self._emit(HttpAnswer(answer.token, *with_policy(page, answer.wanted.policy)))

    def _forget(self, answer: _Open) -> None:
        if answer.over:
            return
        answer.over = True
        self._open.pop(answer.token, None)
        self._count -= Counter([answer.wanted.process.package_id])
        self._all -= 1


def _etag(answer: _Open) -> str | None:
    return None if answer.version is None else f'"{answer.version}"'


def file_untrusted(value: object) -> str | None:
    """Return the path of the file with which a process answers, {"file": path}; None: with none. Raises ValueError."""
    path = value.get("file") if isinstance(value, dict) else None
    if path is not None and not isinstance(path, str):
        raise ValueError("its file is not a text")
    return path


def type_of(path: str) -> str:
    """Return the media type of a file, by its name."""
    kind = _TYPES.get(path.rpartition("/")[2].rpartition(".")[2].lower(), "application/octet-stream")
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
