"""Fetches a release into a node's folder, as a client of its process packages:distro:sys.

The order goes on one control connection, which also brings the outcome; on a second one the progress is asked for, and
the order cancelled when the user wants that.
"""

from __future__ import annotations

import base64
import contextlib
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from msgspec import Struct, field

from kernel.contract.address import PackageId
from kernel.contract.errors import BadAddress
from nectar_node.base import decoding
from nectar_node.base.errors import BadInput, NodeError
from nectar_node.console import output, progress
from nectar_node.console.progress import TransferDisplay
from nectar_node.launcher.client import Answer, ControlClient, ControlError
from nectar_node.launcher.file_transfer import POLL_INTERVAL, Interrupts, interrupts
from nectar_node.launcher.local_network import LocalNetwork, check_name
from nectar_node.releases.document import Release, decode_release_untrusted
from nectar_node.releases.errors import BadRelease
from nectar_node.releases.versions import Version
from nectar_node.sharing.wire.limits import MAX_SOURCES
from nectar_node.sharing.wire.messages import CANCELLED, OFFLINE, CancelOrder, FetchOrder, ProgressWanted, request_body

PROCESS = "our@packages:distro:sys"
FETCH_TIMEOUT = 365 * 24 * 3600
"""Seconds for a whole fetch, without a real bound: the node itself notices sources that are gone."""
QUESTION_TIMEOUT = 5
"""Seconds for the node to tell how far it is."""
_OFFLINE = 3
_INTERRUPTED = 130
_FAILED = 1
_EXIT_CODES = {OFFLINE: _OFFLINE, CANCELLED: _INTERRUPTED}


class FetchRefused(NodeError):
    """A release has not been fetched; the sentence says why. What has come stays for the next time."""

    def __init__(self, kind: str, sentence: str, dropped: tuple[DroppedSource, ...] = ()) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.dropped = dropped

    @property
    def exit_code(self) -> int:
        """The command's exit code."""
        return _EXIT_CODES.get(self.kind, _FAILED)


@dataclass(frozen=True, slots=True)
class WantedRelease:
    """A release that the user names, such as `chess:ann.nec@1.2.0`."""

    package: PackageId
    version: Version | None
    """None: the newest."""


class DroppedSource(Struct, frozen=True, array_like=True):
    """A source that is not asked any more."""

    node: str
    why: str
    """Half a sentence after its name."""
    false: bool
    """Whether what it served was not what was published."""


class FetchTold(Struct, frozen=True):
    """A release that is proven, as the node tells it."""

    package: str
    version: str
    number: int
    newest: int
    """The number of the newest release of the package."""
    hash: str = field(name="release")
    """That of its document, in hexadecimal digits."""
    folder: str | None
    """The folder with its files in the node's own; None: only its document was asked for, and they are not there."""
    size: int = field(name="bytes")
    fetched: int
    """Bytes that came from other nodes."""
    dropped: tuple[DroppedSource, ...]


class _Progress(Struct, frozen=True):
    state: str
    bytes: int
    size: int | None
    note: str


class _Error(Struct, frozen=True):
    error: str
    dropped: tuple[DroppedSource, ...] = ()


class _Told(Struct, frozen=True):
    """An answer: one of these."""

    fetched: FetchTold | None = field(name="Fetched", default=None)
    progress: _Progress | None = field(name="Progress", default=None)
    error: dict[str, _Error] = field(name="Err", default_factory=dict)


def parse_release(text: str) -> WantedRelease:
    """Return the release that `text` names; raises BadInput."""
    id, at, version = text.partition("@")
    try:
        return WantedRelease(PackageId.parse(id), Version(version) if at else None)
    except (BadAddress, BadRelease) as error:
        sentence = f"{str(error).rstrip('.')}: name a release as chess:ann.nec or chess:ann.nec@1.2.0."
        raise BadInput(sentence) from error


def fetch_release(
    network: LocalNetwork, node: str, wanted: WantedRelease, sources: tuple[str, ...] = (), *, files: bool = True
) -> tuple[FetchTold, Release]:
    """Have a running node fetch a release from its publisher, or from these nodes too, and return it.

    Without `files` only its document is fetched. Progress is shown on stderr; Ctrl-C ends it, and what has come stays
    for the next time. Raises FetchRefused, BadInput and NodeError.
    """
    for source in sources:
        check_name(source)
    if len(sources) >= MAX_SOURCES:
        raise BadInput(f"{len(sources)} sources are too many: name fewer than {MAX_SOURCES} with --from.")
    order = FetchOrder(secrets.token_hex(8), wanted.package, wanted.version, sources, files)
    with (
        interrupts() as stop,
        network.connect(node) as outcome,
        network.connect(node) as questions,
        _shown(node, wanted, files) as display,
    ):
        _send(outcome, request_body(order), FETCH_TIMEOUT)
        _follow(outcome, questions, order.id, display, stop)
        return _fetched(outcome.receive())


@contextlib.contextmanager
def _shown(node: str, wanted: WantedRelease, files: bool) -> Iterator[TransferDisplay | None]:
    if not files:
        yield None
        return
    title = f"{wanted.package} → {node}"
    with progress.display(output.console(sys.stderr), title, progress.TRANSFER_LINE_INTERVAL) as display:
        yield TransferDisplay(display)


def _follow(
    outcome: ControlClient, questions: ControlClient, id: str, display: TransferDisplay | None, stop: Interrupts
) -> None:
    """Show how far it is until the outcome is there; cancel it when the user wants that."""
    told, cancelled = "", False
    while not outcome.has_answer(POLL_INTERVAL):
        if stop.count and not cancelled:
            cancelled = True
            _ask(questions, request_body(CancelOrder(id)))
        now = _decoded(_ask(questions, request_body(ProgressWanted(id)))).progress
        if now is None or display is None:
            continue
        if now.note and now.note != told:
            display.note(f"{output.sentence(now.note)} Waiting; Ctrl-C gives up.")
        told = now.note
        display.show(now.state, now.bytes, now.size or 0)


def _fetched(answer: Answer) -> tuple[FetchTold, Release]:
    told = _decoded(answer)
    for kind, error in told.error.items():
        raise FetchRefused(kind, output.sentence(error.error), error.dropped)
    blob = answer.get("blob")
    if told.fetched is None or not isinstance(blob, str):
        raise ControlError("The node gives an answer of unknown shape: it may be another version.")
    try:
        return told.fetched, decode_release_untrusted(base64.b64decode(blob, validate=True))
    except ValueError as error:
        raise ControlError("The node gives an answer of unknown shape: it may be another version.") from error


def _decoded(answer: Answer) -> _Told:
    if answer.get("outcome") != "response":
        raise ControlError(f"The node does not answer ({answer.get('reason')}): it may be another version.")
    try:
        return decoding.decode_untrusted(str(answer.get("body")), _Told)
    except decoding.BadShape as error:
        raise ControlError("The node gives an answer of unknown shape: it may be another version.") from error


def _ask(client: ControlClient, body: bytes) -> Answer:
    _send(client, body, QUESTION_TIMEOUT)
    return client.receive()


def _send(client: ControlClient, body: bytes, timeout: int) -> None:
    client.send("message", target=PROCESS, body=body.decode(), timeout=timeout, blob=None, mime=None)
