"""One fetch of a release: the newest head that its publisher has signed, the documents from there to the version that
is wanted, and then the pieces that are missing, from several sources at once. Pure.

No source is trusted. A head counts if the publisher's key has signed it and it goes not back behind what this node has
seen; a document and a piece, if they have the hash that the head leads to. A source that gives anything else is not
asked any more, and named; one that is away is asked again, until nobody has given anything for PATIENCE_SECONDS.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from kernel.contract.address import PackageId
from kernel.contract.guest import Arrival, Failure
from kernel.contract.message import Reason
from nectar_node.releases.document import Release, document_hash
from nectar_node.releases.errors import BadRelease
from nectar_node.releases.files import piece_hash
from nectar_node.releases.head import SignedHead, can_be_proven
from nectar_node.releases.limits import MAX_DOCUMENT_BYTES, MAX_HEAD_BYTES, PIECE_BYTES
from nectar_node.releases.rules import Chain, check_link
from nectar_node.sharing.heads import Heads
from nectar_node.sharing.parts import Parts, PartsStage, PartToken
from nectar_node.sharing.pieces import Piece
from nectar_node.sharing.sources import ReleaseSource, Sources
from nectar_node.sharing.wire.limits import (
    DOCUMENT_PATIENCE_SECONDS,
    DOCUMENT_SECONDS,
    GRACE_SECONDS,
    HEAD_SECONDS,
    MAX_HEAD_ASKS,
    MAX_LATER_BYTES,
    MAX_PIECES,
    PATIENCE_SECONDS,
    PIECE_SECONDS,
)
from nectar_node.sharing.wire.messages import (
    BUSY,
    CANCELLED,
    FAILED,
    FULL,
    NOT_FOUND,
    OFFLINE,
    BadAnswer,
    DocumentWanted,
    FetchOrder,
    HeadWanted,
    PieceWanted,
    SourceError,
    read_blob_untrusted,
    request_body,
)
from nectar_node.storage.operations import DiskError, FreeSpace, Location, Operation, Outcome

_RESTARTED = frozenset((Reason.PEER_RESTARTED, Reason.CONNECTION_LOST))
"""Reasons for no head after which the same source is asked again."""


class HeadToken(NamedTuple):
    """The token of a request for a head."""

    package: PackageId


class DocumentToken(NamedTuple):
    """The token of a request for a document."""

    hash: bytes


class RoomToken(NamedTuple):
    """The token of the question how much room there is."""

    wanted: int


AskToken = HeadToken | DocumentToken | Piece
DiskToken = PartToken | RoomToken


class FetchPhase(enum.Enum):
    """What a fetch is at."""

    HEADS = "asking for the newest release"
    DOCUMENTS = "reading what was published"
    FILES = "fetching"
    OVER = "done"


@dataclass(frozen=True, slots=True)
class FetchedRelease:
    """A release that is proven; its files are in their place, if they were wanted."""

    head: SignedHead
    """The newest one of the package."""
    release: Release
    hash: bytes
    """That of its document."""
    document: bytes
    later: tuple[bytes, ...]
    """The documents that lead to it from the head, the newest first: whoever serves it to others needs them, too."""
    fetched: int
    """Bytes of pieces that came from other nodes."""


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """A fetch that has ended without a release."""

    kind: str
    sentence: str


class FetchSurroundings(Protocol):
    """What a fetch knows of its node, and has done by it."""

    our: str

    def key_of(self, name: str) -> bytes | None:
        """Return the public key in a node's name record, if that is known here."""

    def seen(self, package: PackageId) -> SignedHead | None:
        """Return the newest head of a package that this node has believed."""

    def document(self, hash: bytes) -> bytes | None:
        """Return a document that is here."""

    def files_here(self, package: PackageId) -> Mapping[bytes, Location]:
        """Return the files of the versions that are here, by their hashes."""

    def place_of(self, release: Release) -> tuple[str, tuple[str, str]]:
        """Return the folder of copies, and where in it the copy of a release belongs."""

    def objection(self, release: Release, hash: bytes) -> tuple[str, str] | None:
        """Return why the node takes no more bytes of a release: an error's kind and a sentence; None: it does."""

    def ask(self, node: str, body: bytes, seconds: int, token: AskToken) -> None:
        """Send a request to another node; `Fetch.answered` brings what comes of it."""

    def do(self, operation: Operation, lane: str, token: DiskToken) -> None:
        """Have an operation carried out; `Fetch.done` brings what comes of it."""

    def log(self, text: str) -> None:
        """Tell the node's user."""


class Fetch:
    """One order, from its beginning to its outcome."""

    def __init__(self, order: FetchOrder, around: FetchSurroundings) -> None:
        self.order = order
        self.outcome: FetchedRelease | FetchFailed | None = None
        """How it has ended; None: it has not."""
        self.phase = FetchPhase.HEADS
        self.parts: Parts | None = None
        self._around = around
        self._package = order.package
        self._publisher = order.package.publisher
        named = (self._publisher, *order.sources)
        self.sources = Sources(tuple(name for name in dict.fromkeys(named) if name != around.our))
        self._heads = Heads(
            self._package, self.sources, lambda source, why, false: self._drop(source, why, false=false)
        )
        self._head_asks: Counter[str] = Counter()
        """How often each source was asked for it."""
        self._head: SignedHead | None = None
        self._chain: Chain | None = None
        self._found: tuple[Release, bytes, bytes] | None = None
        """The release that is wanted, its hash and its document."""
        self._later: list[bytes] = []
        """The documents before it on the way from the head."""
        self._linked = False
        """Whether the chain is known to lead to the head that this node has seen before."""
        self._progress_at = 0.0
        """When anybody gave something last."""
        self._asks_again_at: float | None = None
        """When one more source is asked for the document that is wanted; None: none is under way."""
        self._asks_room = False
        self._has_room = False
        """Whether there is room for what is missing, as far as is known."""
        self.fetched = 0
        """Bytes of pieces that came from other nodes."""

    # --- what happens -----------------------------------------------------------------------------------------------

    def begin(self, now: float) -> None:
        """Ask all sources for their heads."""
        self._progress_at = now
        if not can_be_proven(self._package):
            self._fail(FAILED, f"{self._publisher} is no node's name, so no node has published {self._package}.")
        elif not self.sources.all:
            self._fail(FAILED, f"{self._publisher} is this very node: name another one that has {self._package}.")
        for source in self.sources.left:
            self._ask_head(source)

    def answered(self, node: str, token: AskToken, answer: Arrival | Failure, now: float) -> None:
        """Take what has come of a request."""
        if self.outcome is not None:
            return
        source = self.sources.all[node]
        source.asked.discard(token)
        if isinstance(answer, Failure):
            self._unanswered(source, token, answer.error.reason, now)
        else:
            try:
                self._take_untrusted(source, token, answer, now)
            except BadAnswer as wrong:
                self._drop(source, str(wrong), false=True)
        if isinstance(token, Piece) and self.parts is not None:
            self.parts.pieces.failed(token, source)  # if it has not arrived
        self._go_on(now)

    def done(self, token: DiskToken, outcome: Outcome, now: float) -> None:
        """Learn what has come of an operation."""
        if isinstance(token, RoomToken):
            self._has_room = isinstance(outcome, int) and outcome >= token.wanted
            if not self._has_room and self.outcome is None:
                self._no_room(token.wanted, outcome)
        elif self.parts is not None:
            self.parts.done(token, outcome)
            self._progress_at = now
        if self.outcome is None:
            self._go_on(now)

    def next_deadline(self) -> float | None:
        """Return when `on_timer` is due."""
        if self.outcome is not None:
            return None
        times = [self._progress_at + PATIENCE_SECONDS]
        if self.phase is FetchPhase.HEADS and self._heads.good_at is not None:
            times.append(self._heads.good_at + GRACE_SECONDS)
        else:
            again = self._asks_again_at if self.phase is FetchPhase.DOCUMENTS else None
            times += [each for each in (self.sources.next_at, again) if each is not None]
        return min(times)

    def on_timer(self, now: float) -> None:
        """Do what is due."""
        self.sources.wake(now)
        if self._writes:
            self._progress_at = max(self._progress_at, now - PATIENCE_SECONDS / 2)  # the disk is slow
        if self.outcome is None:
            self._go_on(now)

    def cancel(self) -> None:
        """End it; what has come stays."""
        if self.outcome is None:
            self._fail(CANCELLED, f"{self._package} is not fetched any more: what has come stays for the next time.")

    @property
    def idle(self) -> bool:
        """Whether nothing is being done on the disk for it."""
        return self.parts is None or self.parts.idle

    @property
    def there(self) -> int:
        """Bytes of the release that are on the disk."""
        return 0 if self.parts is None or self.parts.stage is PartsStage.LOOKING else self.parts.pieces.there

    @property
    def size(self) -> int | None:
        """Bytes of the release, once that is known."""
        return None if self._found is None else self._found[0].size

    # --- answers ----------------------------------------------------------------------------------------------------

    def _unanswered(self, source: ReleaseSource, token: AskToken, reason: Reason, now: float) -> None:
        why = f"cannot be reached ({reason.value})"
        if not isinstance(token, HeadToken):
            self.sources.fails(source, why, now)
        elif self.phase is FetchPhase.HEADS and reason in _RESTARTED and self._head_asks[source.name] < MAX_HEAD_ASKS:
            self._ask_head(source)
        else:
            source.away = why

    def _take_untrusted(self, source: ReleaseSource, token: AskToken, answer: Arrival, now: float) -> None:
        """Take an answer; raises BadAnswer."""
        most = MAX_HEAD_BYTES if isinstance(token, HeadToken) else MAX_DOCUMENT_BYTES
        blob = None if answer.blob is None else answer.blob.bytes
        told = read_blob_untrusted(answer.message.body, blob, PIECE_BYTES if isinstance(token, Piece) else most)
        if isinstance(told, SourceError):
            self._refused(source, token, told, now)
            return
        self.sources.answered(source)
        match token:
            case HeadToken():
                if self.phase is FetchPhase.HEADS:
                    self._heads.take_untrusted(source, bytes(told))
            case DocumentToken(hash):
                if document_hash(bytes(told)) != hash:
                    raise BadAnswer("sends another document than was published")
                self._progress_at = now
                if self._chain is not None and self._chain.wanted == hash:
                    self._take_document(bytes(told))
            case Piece():
                assert self.parts is not None
                if piece_hash(told) != self.parts.pieces.hash(token):
                    raise BadAnswer("sends other bytes than were published")
                if self.parts.pieces.arrived(token):
                    self._progress_at = now
                    self.fetched += len(told)
                    self.parts.write(token, told)

    def _refused(self, source: ReleaseSource, token: AskToken, error: SourceError, now: float) -> None:
        if error.kind == BUSY:
            self.sources.fails(source, f"is busy: it {error.text}", now)
        elif error.kind != NOT_FOUND:
            self._drop(source, error.text, false=False)
        elif isinstance(token, Piece):
            self._drop(source, "does not have all of the release", false=False)
        elif isinstance(token, DocumentToken) and self._heads.shows(source, self._head):
            self._drop(source, "shows a release that it does not have", false=False)
        else:
            self._drop(source, f"does not have {self._package}", false=False)

    def _take_document(self, document: bytes) -> None:
        """Take the document that the chain wants next."""
        assert self._chain is not None
        hash, wanted, seen = document_hash(document), self.order.version, self._around.seen(self._package)
        try:
            release = self._chain.add_untrusted(document)
            check_link(release, hash, None if seen is None else seen.head)
        except BadRelease as error:
            self._fail(FAILED, str(error))
            return
        if self._found is None and (wanted is None or release.version == wanted):
            self._found = release, hash, document
        elif self._found is None and wanted is not None and self._chain.has_passed(wanted):
            self._fail(NOT_FOUND, f"{self._package} has no version {wanted} that {self._publisher} has published.")
        elif self._found is None and sum(map(len, self._later)) + len(document) <= MAX_LATER_BYTES:
            self._later.append(document)
        if seen is None or release.number <= seen.head.number + 1:
            self._linked = True

    # --- what to do next --------------------------------------------------------------------------------------------

    def _go_on(self, now: float) -> None:
        if self.phase is FetchPhase.HEADS:
            self._choose(now)
        if self.phase is FetchPhase.DOCUMENTS and self.outcome is None:
            self._next_document(now)
        if self.phase is FetchPhase.FILES and self.outcome is None:
            self._go_on_with_files(now)
        if self.outcome is None and now >= self._progress_at + PATIENCE_SECONDS and not self._writes:
            self._fail(OFFLINE, f"Nobody sends {self._package} any more: {self.sources.summary()}.")

    @property
    def _writes(self) -> bool:
        return self.parts is not None and not self.parts.idle

    def _ask_head(self, source: ReleaseSource) -> None:
        token = HeadToken(self._package)
        source.asked.add(token)
        self._head_asks[source.name] += 1
        self._around.ask(source.name, request_body(HeadWanted(self._package)), HEAD_SECONDS, token)

    def _choose(self, now: float) -> None:
        """Choose the newest head, once all have shown theirs or have had their time."""
        heads = self._heads
        heads.judge(self._around.key_of(self._publisher), self._around.seen(self._package), now)
        if self.sources.asked and (heads.good_at is None or now < heads.good_at + GRACE_SECONDS):
            return
        chosen = heads.choose()
        if not isinstance(chosen, SignedHead):
            self._fail(*chosen)
            return
        self._head = chosen
        self._chain = Chain(chosen.head)
        self.phase, self._progress_at = FetchPhase.DOCUMENTS, now

    def _next_document(self, now: float) -> None:
        """Ask for the next document, or begin with the files."""
        assert self._chain is not None
        while self.outcome is None and not (self._found is not None and self._linked):
            wanted = self._chain.wanted
            if wanted is None:
                self._linked = (
                    True  # the chain has ended before it came to the head that was seen: `check_link` has judged
                )
                if self._found is None:
                    self._fail(NOT_FOUND, f"{self._package} has no version {self.order.version}.")
                continue
            known = self._around.document(wanted)
            if known is not None:
                self._take_document(known)
                continue
            self._ask_for_document(wanted, now)
            return
        if self.outcome is None and self._found is not None:
            self._begin_files(self._found[0], self._found[1], now)

    def _ask_for_document(self, wanted: bytes, now: float) -> None:
        token = DocumentToken(wanted)
        asked = any(token in each.asked for each in self.sources.left)
        if asked and self._asks_again_at is not None and now < self._asks_again_at:
            return
        if not self.sources.left:
            self._fail(FAILED, f"Nobody is left who has {self._package}: {self.sources.summary()}.")
            return
        free = [each for each in self.sources.free(now) if token not in each.asked]
        self._asks_again_at = now + DOCUMENT_PATIENCE_SECONDS if free else None
        shows = [each for each in free if self._heads.shows(each, self._head)]
        for source in (shows or free)[:1]:
            source.asked.add(token)
            body = request_body(DocumentWanted(self._package, wanted, None))
            self._around.ask(source.name, body, DOCUMENT_SECONDS, token)

    # --- files ------------------------------------------------------------------------------------------------------

    def _begin_files(self, release: Release, hash: bytes, now: float) -> None:
        self.phase, self._progress_at = FetchPhase.FILES, now
        if not self.order.files:
            self._end()
            return
        if (why := self._around.objection(release, hash)) is not None:
            self._fail(*why)
            return
        root, place = self._around.place_of(release)
        here = self._around.files_here(self._package)
        self.parts = Parts(root, release, hash, place, here, self._around.do)
        self.parts.begin()

    def _go_on_with_files(self, now: float) -> None:
        parts = self.parts
        if parts is None:
            return
        if parts.problem is not None:
            self._fail(*parts.problem)
        elif parts.stage is PartsStage.PLACED:
            if parts.idle:
                self._end()
        elif parts.stage is PartsStage.FETCHING and parts.pieces.done:
            if parts.idle:
                parts.place()
        elif parts.stage is PartsStage.FETCHING and self._has_room:
            self._ask_for_pieces(parts, now)
        elif parts.stage is PartsStage.FETCHING and not self._asks_room:
            self._look_for_room(parts)

    def _look_for_room(self, parts: Parts) -> None:
        self._asks_room = True
        root, _ = self._around.place_of(parts.release)
        self._around.do(FreeSpace(Location(root, ())), "", RoomToken(parts.release.size - parts.pieces.there))

    def _no_room(self, wanted: int, outcome: Outcome) -> None:
        if isinstance(outcome, DiskError):
            self._fail(FAILED, f"It cannot be told how much room there is: {outcome.text}.")
        else:
            self._fail(FULL, f"{self._package} needs {wanted} bytes more, and the disk has no room for them.")

    def _ask_for_pieces(self, parts: Parts, now: float) -> None:
        if not self.sources.left and parts.pieces.wanted:
            self._fail(FAILED, f"Nobody is left who has all of {self._package}: {self.sources.summary()}.")
        assert self._found is not None
        hash, asked = self._found[1], True
        while asked and self.outcome is None:
            asked = False
            for source in self.sources.free(now):
                piece = parts.pieces.take(source, MAX_PIECES)
                if piece is not None:
                    asked = True
                    body = request_body(PieceWanted(hash, piece.file, piece.number))
                    self._around.ask(source.name, body, PIECE_SECONDS, piece)

    # --- ends -------------------------------------------------------------------------------------------------------

    def _drop(self, source: ReleaseSource, why: str, *, false: bool) -> None:
        if self.sources.drop(source, why, false=false):
            self._around.log(f"{source.name} {why}: it is not asked for {self._package} any more")
            if self.parts is not None:
                self.parts.pieces.forget(source)

    def _end(self) -> None:
        assert self._found is not None
        assert self._head is not None
        release, hash, document = self._found
        self.phase = FetchPhase.OVER
        self.outcome = FetchedRelease(self._head, release, hash, document, tuple(self._later), self.fetched)

    def _fail(self, kind: str, sentence: str) -> None:
        if self.outcome is None:
            self.phase = FetchPhase.OVER
            self.outcome = FetchFailed(kind, sentence)
