"""What another node may answer whoever fetches a release, and what may lie in a package as its proof."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress

from kernel.contract.address import Address, PackageId
from kernel.contract.guest import Arrival
from kernel.contract.message import LazyLoadBlob, Response
from nectar_node.base.system_processes import PACKAGES
from nectar_node.releases.document import Release, document_hash
from nectar_node.releases.errors import BadRelease
from nectar_node.releases.files import in_order
from nectar_node.releases.head import SignedHead
from nectar_node.releases.proof import encode_proof, read_proof_untrusted
from nectar_node.releases.versions import Version
from nectar_node.sharing.fetch import AskToken, DiskToken, DocumentToken, Fetch, FetchedRelease, HeadToken
from nectar_node.sharing.wire.messages import FetchOrder
from nectar_node.storage.operations import Location, Operation
from testnet.sim.disk.disk import SimDisk
from tests.nectar_node.releases.samples import (
    ANN,
    CHESS,
    CHESS_DOCUMENTS,
    CHESS_HEAD,
    MANIFEST,
    SAID,
    file_of,
    head_for,
)

FILES = {"main.wasm": b"\0asm", "manifest.json": MANIFEST}
RELEASE = Release(CHESS, Version("1.0.0"), 1, None, 1000, SAID, in_order([file_of(*each) for each in FILES.items()]))
DOCUMENT, HEAD = RELEASE.encode(), head_for(RELEASE).encode()
LIAR = "bob.test"
MOST_STEPS = 1000
"""Of one fetch: it has two sources, and asks each for four things, a few times."""


class Around:
    """The node of a fetch, with a disk and two sources: the publisher, and one that says what it likes."""

    our = "cid.test"

    def __init__(self, lie: Callable[[], tuple[bytes, bytes | None] | None]) -> None:
        """`lie` says body and blob of the liar's next answer; None: the truth."""
        self.fetch = Fetch(FetchOrder("1", CHESS, None, (LIAR,), files=True), self)
        self.steps: deque[Callable[[], None]] = deque()
        self.now = 0.0
        self._lie = lie
        self._disk = SimDisk(lambda: self.now)

    def run(self) -> None:
        """Let it come to its end."""
        self.fetch.begin(self.now)
        for _ in range(MOST_STEPS):
            if self.steps:
                self.steps.popleft()()
            elif (due := self.fetch.next_deadline()) is not None:
                self.now = max(self.now, due)
                self.fetch.on_timer(self.now)
            else:
                return
        raise AssertionError(f"it has no end: {self.fetch.phase}")

    def key_of(self, name: str) -> bytes | None:
        return ANN.public_key if name == ANN.name else None

    def seen(self, package: PackageId) -> SignedHead | None:
        return None

    def document(self, hash: bytes) -> bytes | None:
        return None

    def files_here(self, package: PackageId) -> Mapping[bytes, Location]:
        return {}

    def place_of(self, release: Release) -> tuple[str, tuple[str, str]]:
        return "packages", ("copy", str(release.package))

    def objection(self, release: Release, hash: bytes) -> tuple[str, str] | None:
        return None

    def ask(self, node: str, body: bytes, seconds: int, token: AskToken) -> None:
        lie = self._lie() if node == LIAR else None
        told, blob = (b'"Ok"', _truth(token)) if lie is None else lie
        carried = None if blob is None else LazyLoadBlob(None, blob)
        answer = Arrival(Address(node, PACKAGES), Response(False, told), None, carried)
        self.steps.append(lambda: self.fetch.answered(node, token, answer, self.now))

    def do(self, operation: Operation, lane: str, token: DiskToken) -> None:
        outcome = self._disk.perform(operation)
        self.steps.append(lambda: self.fetch.done(token, outcome, self.now))

    def log(self, text: str) -> None:
        assert text.isprintable()


def _truth(token: AskToken) -> bytes:
    match token:
        case HeadToken():
            return HEAD
        case DocumentToken():
            return DOCUMENT
    return FILES[RELEASE.files[token.file].path]


def fetch(data: bytes) -> None:
    """A fetch from a publisher and a source that lies: the release comes whole, as it was published."""
    truths = data[0] % 4 if data else 0
    body, _, blob = data[1:].partition(b"\0")
    lies = iter([None] * truths)
    around = Around(lambda: next(lies, (body, blob)))
    around.run()
    outcome = around.fetch.outcome
    assert isinstance(outcome, FetchedRelease), outcome
    assert (outcome.hash, outcome.release) == (document_hash(DOCUMENT), RELEASE)


def proof(data: bytes) -> None:
    """What lies beside a package's files as its proof."""
    with suppress(BadRelease):
        found = read_proof_untrusted(data)
        assert read_proof_untrusted(encode_proof(found.head, found.documents)) == found
        assert len(found.releases) == len(found.documents)


FETCH_SEEDS = tuple(
    bytes([truths]) + answer
    for truths in range(3)
    for answer in (
        b'"Ok"\0' + HEAD,
        b'"Ok"\0' + DOCUMENT,
        b'"Ok"\0' + MANIFEST,
        b'{"Err":{"Busy":{"error":"has too much to do"}}}\0',
        b'{"Err":{"NotFound":{"error":"has no such piece"}}}\0',
    )
)
PROOF_SEEDS = (encode_proof(CHESS_HEAD, reversed(CHESS_DOCUMENTS)),)
