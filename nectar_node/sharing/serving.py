"""What a node serves of its releases to others: heads, documents, pieces, and what there is. Pure.

All of it is public, and none of it needs trust: whoever gets it checks it. What one node may ask for is bounded: in
requests over time, in what waits for the disk in its name, where it has its own turn, and in bytes that are on their
way to it, so that one that never reads is refused more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kernel.contract.memory import Account, Memory
from kernel.contract.message import Buffer, Envelope
from nectar_node.releases.limits import PIECE_BYTES
from nectar_node.releases.shelf import HeldRelease, Shelf
from nectar_node.sharing.parts import file_place
from nectar_node.sharing.wire.limits import (
    BURST,
    DOCUMENT_BYTES_OF_REQUEST,
    MAX_NODES,
    MAX_REQUESTS,
    MAX_WAITING_BYTES,
    PAGE_RELEASES,
    REQUEST_SECONDS,
)
from nectar_node.sharing.wire.messages import (
    BUSY,
    FAILED,
    NOT_FOUND,
    DocumentWanted,
    HeadWanted,
    PeerRequest,
    PieceWanted,
    SearchWanted,
    failure,
)
from nectar_node.storage.operations import DiskError, Job, Outcome, ReadAt
from nectar_node.system.process import bare, metadata_bytes
from net.base.token_buckets import Allowance

LANES = 4
"""Lanes of one node: as many reads as the disk does at once."""

Answer = Callable[[Envelope, object, Buffer | None], None]
"""Answers a request with a value and a blob."""


@dataclass(slots=True, eq=False)
class _Read:
    """A piece that is being read."""

    envelope: Envelope
    size: int
    weight: int


@dataclass(slots=True)
class _Guest:
    """What is being read for one node."""

    account: Account
    requests: int = 0
    bytes: int = 0
    turns: int = 0


class Serving:
    """What one node serves."""

    def __init__(self, shelf: Shelf, root: str, memory: Memory, answer: Answer, emit: Callable[[Job], None]) -> None:
        """`root` is the folder of the copies of packages; `memory` pays for what is on its way; `emit` has jobs carried
        out: `done` brings what comes of them.
        """
        self._shelf = shelf
        self._root = root
        self._memory = memory
        self._answer = answer
        self._emit = emit
        self._guests: dict[str, _Guest] = {}
        self._allowance: Allowance[str] = Allowance(BURST, REQUEST_SECONDS, MAX_NODES)

    def take(self, envelope: Envelope, request: PeerRequest, now: float) -> None:
        """Answer a request, now or when the disk has what it wants."""
        node = envelope.source.node
        if self._allowance.wait(node, now):
            self._busy(envelope)
            return
        self._allowance.take(node, now)
        match request:
            case HeadWanted(package):
                signed = self._shelf.head(package)
                if signed is None:
                    self._answer(envelope, failure(NOT_FOUND, f"has no {package}"), None)
                else:
                    self._answer(envelope, "Ok", signed.encode())
            case DocumentWanted(package, hash, version):
                held = self._shelf.version(package, version) if version is not None else self._shelf.get(hash or b"")
                if held is None or held.package != package:
                    self._answer(envelope, failure(NOT_FOUND, f"has no such release of {package}"), None)
                elif not self._memory.of_node(node).may_add(len(held.document)):
                    self._busy(envelope)
                else:
                    self._answer(envelope, "Ok", held.document)
            case SearchWanted(word, after):
                found = self._shelf.offered(word, after, PAGE_RELEASES)
                rows = [[str(each.package), each.version.text, each.about] for each in found]
                self._answer(envelope, {"Found": rows}, None)
            case PieceWanted(release, file, piece):
                held = self._shelf.get(release)
                if held is not None and held.folder is not None and not self._shelf.is_decoded(held):
                    self._allowance.take(node, now, len(held.document) // DOCUMENT_BYTES_OF_REQUEST)
                self._read(envelope, held, file, piece)

    def _read(self, envelope: Envelope, held: HeldRelease | None, number: int, piece: int) -> None:
        files = () if held is None or held.folder is None else self._shelf.release(held).files
        if held is None or held.folder is None or number >= len(files) or piece >= len(files[number].piece_hashes):
            self._answer(envelope, failure(NOT_FOUND, "has no such piece"), None)
            return
        node, file = envelope.source.node, files[number]
        size = file.piece_size(piece)
        weight = size + metadata_bytes(envelope)
        guest = self._guests.get(node) or _Guest(self._memory.of_node(node))
        full = guest.requests >= MAX_REQUESTS or guest.bytes + weight > MAX_WAITING_BYTES
        if full or not guest.account.may_add(weight):
            self._busy(envelope)
            return
        self._guests[node] = guest
        guest.requests += 1
        guest.bytes += weight
        guest.turns += 1
        guest.account.add(weight)
        location = file_place(self._root, held.folder, file.path)
        lane = f"served {node}/{guest.turns % LANES}"
        self._emit(Job(ReadAt(location, piece * PIECE_BYTES, size), lane, _Read(bare(envelope), size, weight), node))

    def done(self, job: Job, outcome: Outcome) -> bool:
        """Take the outcome of a job; False: it is not one of these."""
        read = job.owner
        if not isinstance(read, _Read):
            return False
        self._end(read)
        if isinstance(outcome, bytes | bytearray) and len(outcome) == read.size:
            self._answer(read.envelope, "Ok", outcome)
        else:
            why = outcome.text if isinstance(outcome, DiskError) else "its file has changed"
            self._answer(read.envelope, failure(FAILED, f"cannot read it: {why}"), None)
        return True

    def _end(self, read: _Read) -> None:
        node = read.envelope.source.node
        guest = self._guests[node]
        guest.requests -= 1
        guest.bytes -= read.weight
        guest.account.remove(read.weight)
        if not guest.requests:
            del self._guests[node]

    def recover(self, job: Job, sorry: str) -> bool:
        """End a read whose handling has failed; False: it is not one of these."""
        read = job.owner
        if isinstance(read, _Read):
            self._answer(read.envelope, failure(FAILED, sorry), None)
        return isinstance(read, _Read)

    def _busy(self, envelope: Envelope) -> None:
        self._answer(envelope, failure(BUSY, "has too much to do for this node: try again later"), None)
