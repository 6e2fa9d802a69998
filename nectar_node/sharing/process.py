"""packages:distro:sys: serves the releases that are here to other nodes, and fetches what this node's user wants.

Other nodes ask in the name of the same process, or of their user (`terminal:terminal:sys`). Orders come from this
node's user alone, as messages too, so that they work the same on a real node and in a simulation: `Fetch` is answered
when it has ended, `Progress` and `Cancel` come meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from kernel.contract.address import Address, PackageId
from kernel.contract.events import Inject
from kernel.contract.guest import Arrival, Failure
from kernel.contract.memory import UNMETERED, Memory
from kernel.contract.message import Buffer, Envelope, LazyLoadBlob, Request
from nectar_node.base.system_processes import PACKAGES, TERMINAL
from nectar_node.contract.actions import LogLine
from nectar_node.contract.json_shapes import RequestRefused, dump
from nectar_node.packages.contents import copy_name
from nectar_node.releases.document import Release, document_hash
from nectar_node.releases.head import SignedHead
from nectar_node.releases.shelf import Shelf
from nectar_node.sharing.fetch import AskToken, DiskToken, Fetch, FetchedRelease, FetchFailed
from nectar_node.sharing.leftovers import Leftovers, LeftoverToken
from nectar_node.sharing.parts import file_place
from nectar_node.sharing.serving import Serving
from nectar_node.sharing.wire.limits import DEFAULT_QUOTA, MAX_FETCHES, SWEEP_SECONDS
from nectar_node.sharing.wire.messages import (
    BUSY,
    FAILED,
    FULL,
    REFUSED,
    CancelOrder,
    FetchOrder,
    ProgressWanted,
    failure,
    read_request_untrusted,
)
from nectar_node.storage.operations import Job, Location, Operation, Outcome
from nectar_node.system.process import (
    SORRY,
    AskKept,
    Cause,
    SystemProcess,
    SystemToken,
    bare,
    reply,
)

PARTY = "releases"
"""In whose turn the disk works for fetches: no package has that name."""


class AskedSource(NamedTuple):
    """The token of a request to a source."""

    fetch: _Order
    node: str
    token: AskToken


class FetchJob(NamedTuple):
    """The token of an operation of a fetch."""

    fetch: _Order
    token: DiskToken


class _Order:
    """An order of the node's user, and what its fetch knows of the node."""

    def __init__(self, process: ReleaseSharing, envelope: Envelope, order: FetchOrder) -> None:
        self.our = process.our
        self.envelope: Envelope | None = envelope
        """The bare request; None: it has been answered."""
        self.fetch = Fetch(order, self)
        self.noted: str | None = None
        """The hash of the release whose files are being fetched, once that is noted on the disk."""
        self.jobs = 0
        """Operations that are not done."""
        self.told = False
        """Whether what was fetched is being written down."""
        self._process = process
        self.key_of = process.key_of

    def seen(self, package: PackageId) -> SignedHead | None:
        return self._process.shelf.head(package)

    def document(self, hash: bytes) -> bytes | None:
        held = self._process.shelf.get(hash)
        return None if held is None else held.document

    def files_here(self, package: PackageId) -> Mapping[bytes, Location]:
        shelf = self._process.shelf
        found: dict[bytes, Location] = {}
        for held in shelf.of(package):
            if held.folder is not None:
                for file in shelf.release(held).files:
                    found.setdefault(file.hash, file_place(self._process.root, held.folder, file.path))
        return found

    def place_of(self, release: Release) -> tuple[str, tuple[str, str]]:
        return self._process.root, (copy_name(release.digest, release.package), str(release.package))

    def objection(self, release: Release, hash: bytes) -> tuple[str, str] | None:
        return self._process.objection(release, hash)

    def ask(self, node: str, body: bytes, seconds: int, token: AskToken) -> None:
        self._process.ask(AskedSource(self, node, token), body, seconds)

    def do(self, operation: Operation, lane: str, token: DiskToken) -> None:
        self.jobs += 1
        self._process.emit(Job(operation, f"fetch {lane}", FetchJob(self, token), PARTY))

    def log(self, text: str) -> None:
        self._process.emit(LogLine("packages", 0, text))


class ReleaseSharing(SystemProcess):
    """Serving and fetching of one node."""

    id = PACKAGES
    remote = True

    def __init__(
        self,
        our: str,
        root: str,
        shelf: Shelf,
        key_of: Callable[[str], bytes | None],
        unix: Callable[[float], float],
        memory: Memory = UNMETERED,
        quota: int = DEFAULT_QUOTA,
    ) -> None:
        """`root` is the folder of the copies of packages; `key_of` returns a node's public key, if it is known; `unix`
        the Unix time; `memory` pays for what is on its way to other nodes; `quota` is in bytes.
        """
        super().__init__()
        self.our = our
        self.root = root
        self.shelf = shelf
        self.key_of = key_of
        self._unix = unix
        self._quota = quota
        self._serving = Serving(shelf, root, memory, self._answer, self.emit)
        self._orders: dict[str, _Order] = {}
        """By id, until nothing is being done for them."""
        self._leftovers = Leftovers(root, lambda operation, lane, token: self._do(operation, lane, token))
        self._sweep_at: float | None = None

    def boot(self, now: float) -> None:
        """Find what fetches have left."""
        self._leftovers.look()
        self._sweep_at = now + SWEEP_SECONDS

    # --- the verbs --------------------------------------------------------------------------------------------------

    def receive(self, envelope: Envelope, now: float) -> None:
        """Take a request."""
        try:
            request = read_request_untrusted(envelope.message.body)
            ours = envelope.source.node == self.our
            if not ours and envelope.source.process not in (PACKAGES, TERMINAL):
                raise RequestRefused({REFUSED: {"error": "listens to nodes and their users, and not to packages"}})
            if not isinstance(request, FetchOrder | ProgressWanted | CancelOrder):
                self._serving.take(envelope, request, now)
            elif not ours or envelope.source.process != TERMINAL:
                raise RequestRefused({REFUSED: {"error": "takes orders from its own user alone"}})
            elif isinstance(request, FetchOrder):
                self._begin(envelope, request, now)
            else:
                self._attend(envelope, request, now)
        except RequestRefused as refused:
            self._answer(envelope, {"Err": refused.value}, None)

    def done(self, job: Job, outcome: Outcome, now: float) -> None:
        """Go on with whatever has waited for the disk."""
        owner = job.owner
        if self._serving.done(job, outcome):
            return
        if isinstance(owner, LeftoverToken):
            self._leftovers.done(owner, outcome, self._unix(now))
            return
        assert isinstance(owner, FetchJob)
        owner.fetch.jobs -= 1
        owner.fetch.fetch.done(owner.token, outcome, now)
        self._after(owner.fetch, now)

    def answered(self, token: object, answer: Arrival | Failure, now: float) -> None:
        """Take what a source has answered."""
        assert isinstance(token, AskedSource)
        token.fetch.fetch.answered(token.node, token.token, answer, now)
        self._after(token.fetch, now)

    def kept(self, token: object, problem: str | None, now: float) -> None:
        """Tell the user that a release is here, now that it is written down."""
        assert isinstance(token, _Order)
        outcome = token.fetch.outcome
        if problem is not None:
            self._tell(token, failure(FAILED, f"It cannot be written down that the release is here: {problem}."))
        elif isinstance(outcome, FetchedRelease):
            self._tell_fetched(token, outcome)

    def next_deadline(self) -> float | None:
        """Return when a source is to be asked again, a fetch gives up, or leftovers are looked at."""
        times = [order.fetch.next_deadline() for order in self._orders.values()]
        return min((each for each in (*times, self._sweep_at) if each is not None), default=None)

    def on_timer(self, now: float) -> None:
        """Do what is due."""
        for order in [*self._orders.values()]:
            due = order.fetch.next_deadline()
            if due is not None and due <= now:
                order.fetch.on_timer(now)
                self._after(order, now)
        if self._sweep_at is not None and self._sweep_at <= now:
            self._sweep_at = now + SWEEP_SECONDS
            busy = {order.noted for order in self._orders.values() if order.noted is not None}
            for hash in self._leftovers.sweep(self._unix(now), busy):
                self.emit(
                    LogLine("packages", 0, f"what was fetched of release {hash[:16]} is removed: it is a week old")
                )

    def recover(self, cause: Cause, now: float) -> None:
        """End what has failed here: a request, or the order that it was about."""
        owner = cause.owner if isinstance(cause, Job) else cause.token if isinstance(cause, SystemToken) else cause
        if isinstance(cause, Job) and self._serving.recover(cause, SORRY):
            return
        if isinstance(owner, Envelope):
            self._answer(owner, failure(FAILED, SORRY), None)
        order = owner if isinstance(owner, _Order) else getattr(owner, "fetch", None)
        if isinstance(order, _Order):
            self._tell(order, failure(FAILED, f"The fetch has ended: {SORRY}."))
            self._orders.pop(order.fetch.order.id, None)

    # --- orders -----------------------------------------------------------------------------------------------------

    def _begin(self, envelope: Envelope, wanted: FetchOrder, now: float) -> None:
        if len(self._orders) >= MAX_FETCHES:
            raise RequestRefused({BUSY: {"error": f"{MAX_FETCHES} releases are being fetched already: wait for one."}})
        alike = [each for each in self._orders.values() if each.fetch.order.package == wanted.package]
        if wanted.id in self._orders or (wanted.files and any(each.fetch.order.files for each in alike)):
            raise RequestRefused({BUSY: {"error": f"{wanted.package} is being fetched already: wait for that."}})
        order = _Order(self, bare(envelope), wanted)
        self._orders[wanted.id] = order
        order.fetch.begin(now)
        self._after(order, now)

    def _attend(self, envelope: Envelope, request: ProgressWanted | CancelOrder, now: float) -> None:
        order = self._orders.get(request.id)
        if isinstance(request, ProgressWanted):
            self._answer(envelope, {"Progress": None if order is None else _progress(order.fetch)}, None)
            return
        self._answer(envelope, "Ok", None)
        if order is not None:
            order.fetch.cancel()
            self._after(order, now)

    def _after(self, order: _Order, now: float) -> None:
        """Do what is to be done when something has happened to an order."""
        fetch = order.fetch
        if fetch.parts is not None and order.noted is None:
            order.noted = fetch.parts.hash.hex()
            self._leftovers.begin(order.noted, fetch.parts.release, self._unix(now))
        outcome = fetch.outcome
        if order.envelope is not None and isinstance(outcome, FetchFailed) and not order.jobs:
            error = {"error": outcome.sentence, "dropped": _dropped(fetch)}
            self._tell(order, {"Err": {outcome.kind: error}})
        elif order.envelope is not None and isinstance(outcome, FetchedRelease) and not order.told:
            order.told = True
            self._keep(order, outcome)
        if outcome is not None and not order.jobs and order.envelope is None:
            self._orders.pop(fetch.order.id, None)

    def _keep(self, order: _Order, outcome: FetchedRelease) -> None:
        """Note what is here now; what was fetched is told when that is durable."""
        before = self.shelf.get(outcome.hash)
        folder = None if before is None else before.folder
        if order.noted is not None:
            root, place = order.place_of(outcome.release)
            folder = "/".join((root, *place))
            self._leftovers.end(order.noted)
        self.shelf.believe(outcome.head)
        self.shelf.put(outcome.document, folder)
        for document in outcome.later:
            if self.shelf.get(document_hash(document)) is None:
                self.shelf.put(document, None)
        # The documents from the head back to the oldest release that is here lead others to it.
        package = outcome.release.package
        here = [each.number for each in self.shelf.of(package) if each.folder is not None or each.hash == outcome.hash]
        for held in self.shelf.of(package) if package.publisher != self.our else ():
            if held.number < min(here):
                self.shelf.remove(held.hash)
        self.emit(AskKept(order))

    def _tell_fetched(self, order: _Order, outcome: FetchedRelease) -> None:
        release, held = outcome.release, self.shelf.get(outcome.hash)
        told = {
            "package": str(release.package),
            "version": release.version.text,
            "number": release.number,
            "newest": outcome.head.head.number,
            "release": outcome.hash.hex(),
            "folder": None if held is None else held.folder,
            "bytes": release.size,
            "fetched": outcome.fetched,
            "dropped": _dropped(order.fetch),
        }
        self._tell(order, {"Fetched": told}, outcome.document)

    def _tell(self, order: _Order, value: object, blob: Buffer | None = None) -> None:
        """Answer an order, once."""
        if order.envelope is not None:
            self._answer(order.envelope, value, blob)
            order.envelope = None
        if not order.jobs:
            self._orders.pop(order.fetch.order.id, None)

    def objection(self, release: Release, hash: bytes) -> tuple[str, str] | None:
        """Return why no more bytes of a release are taken, as the kind of the error and a sentence; None: they are."""
        if hash.hex() in self._leftovers.removing:
            what = f"What an earlier fetch has left of {release.package} {release.version}"
            return BUSY, f"{what} is being removed, since it is a week old: try again."
        held = self.shelf.get(hash)
        used = self.shelf.bytes + self._leftovers.bytes(hash.hex())
        if (held is not None and held.folder is not None) or used + release.size <= self._quota:
            return None
        return FULL, (
            f"{release.package} {release.version} has {release.size} bytes, and of the {self._quota} that fetched "
            f"packages may have on this node {used} are used: uninstall some, or raise --releases-quota."
        )

    # --- actions ----------------------------------------------------------------------------------------------------

    def emit(self, action: Job | LogLine | AskKept) -> None:
        """Have something done."""
        self._out.append(action)

    def ask(self, token: AskedSource, body: bytes, seconds: int) -> None:
        """Send a request to a source."""
        target = Address(token.node, PACKAGES)
        self._out.append(Inject(PACKAGES, target, Request(False, seconds, body), None, SystemToken(PACKAGES, token)))

    def _do(self, operation: Operation, lane: str, token: LeftoverToken) -> None:
        self.emit(Job(operation, f"leftover {lane}", token, PARTY))

    def _answer(self, envelope: Envelope, value: object, blob: Buffer | None) -> None:
        carried = None if blob is None else LazyLoadBlob(None, blob)
        answer = reply(PACKAGES, envelope, dump(value), carried)
        if answer is not None:
            self._out.append(answer)


def _dropped(fetch: Fetch) -> list[list[object]]:
    """Return the sources that are not asked any more: name, why, and whether what they served was false."""
    return [[each.name, each.dropped, each.false] for each in fetch.sources.all.values() if each.dropped is not None]


def _progress(fetch: Fetch) -> dict[str, object]:
    return {
        "state": fetch.phase.value,
        "bytes": fetch.there,
        "size": fetch.size,
        "sources": len(fetch.sources.left),
        "note": "; ".join(f"{each.name} {each.away}" for each in fetch.sources.left if each.away),
        "dropped": _dropped(fetch),
    }
