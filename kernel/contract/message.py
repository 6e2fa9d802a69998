"""What travels between processes: immutable values, built several times per message.

They are named tuples, not frozen dataclasses: both are immutable, a tuple is built four times as fast (0.3 against
1.2 microseconds for seven fields), and a round trip builds a dozen of them.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from kernel.contract.address import Address
from kernel.contract.capability import Capability

Buffer = bytes | bytearray | memoryview


class LazyLoadBlob(NamedTuple):
    """Bytes that enter a process only when it asks for them; passed on by reference, never copied (G11, G12)."""

    mime: str | None
    bytes: Buffer
    """Read-only by agreement: the code that made the buffer never writes to it again."""


class Request(NamedTuple):
    """A message that may want an answer."""

    inherit: bool
    """Whether it continues the lineage of the message being handled: its blob (G11) and, if no response is expected,
    its reply-to (G10)."""
    expects_response: int | None
    """Seconds until the requester gets Timeout; None: no response is wanted (G7)."""
    body: bytes
    metadata: str | None = None
    """JSON text."""
    capabilities: tuple[Capability, ...] = ()


class Response(NamedTuple):
    """The answer to a request."""

    inherit: bool
    """Whether the blob of the message being handled is attached (G11)."""
    body: bytes
    metadata: str | None = None
    capabilities: tuple[Capability, ...] = ()


class ReplyTo(NamedTuple):
    """Where the answer to a request goes: the requester and the id under which it waits."""

    address: Address
    id: int


class Envelope(NamedTuple):
    """A message on its way (G2)."""

    id: int
    """A u64; for a response, the id of the request that it answers."""
    source: Address
    target: Address
    reply_to: ReplyTo | None
    message: Request | Response
    blob: LazyLoadBlob | None = None
    claimed: bool = False
    """Whether the source's process id is only claimed by another node (G3)."""
    root: int | None = None
    """Of a request from another node, what that node says of its lineage (`kernel.router.trace`): the id of the
    lineage's first request, or `UNFOLLOWED`. None: it says nothing, so the request is the first, as far as is known
    here."""


UNFOLLOWED = (1 << 64) - 1
"""Stands for the root of a lineage that the sender's node does not follow. No share but the whole has it, and where all
is followed, such a request begins a lineage."""


def is_claim(source: Address, our: str) -> bool:
    """Return whether the process in a message's source is what another node says it is: only the node is
    proven (G3).
    """
    return source.node != our


def marked(source: object, *, claim: bool) -> str:
    """Return a message's source as every log, table and trace shows it."""
    return f"{source} (claim)" if claim else str(source)


def size_of(message: Request | Response, blob: LazyLoadBlob | None) -> int:
    """Return the bytes that a message keeps alive, all of it."""
    size = len(message.body)
    if blob is not None:
        size += len(blob.bytes) + (len(blob.mime) if blob.mime is not None else 0)
    if message.metadata is not None:
        size += _BYTES_PER_CHARACTER * len(message.metadata)
    if message.capabilities:
        size += sum(_BYTES_PER_CHARACTER * len(params) for _, params in message.capabilities)
    return size


_BYTES_PER_CHARACTER = 4
"""Bytes of a character of text, at most."""


class SendErrorKind(enum.Enum):
    """What a process is told of a message that failed (G13); the values are the WIT enum's."""

    OFFLINE = 0
    TIMEOUT = 1


class Reason(enum.Enum):
    """Why a message failed: what the node knows, while a process is told only one of the two kinds above (G16)."""

    NO_SUCH_NAME = "no such name"
    NO_REGISTRAR = "the registrar could not be asked"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    BAD_KEY = "bad key"
    NOT_BELIEVED = "the node does not believe who we are"
    OTHER_VERSION = "the node speaks another version of the protocol"
    PEER_RESTARTED = "peer restarted"
    CONNECTION_LOST = "connection lost"
    NO_CAPABILITY = "no capability"
    NO_SUCH_PROCESS = "no such process"
    PROCESS_ENDED = "process ended"
    BAD_ADDRESS = "bad address"
    BAD_METADATA = "metadata is not JSON"
    INBOX_FULL = "inbox full"
    QUEUE_FULL = "too much waits for that node"
    SHUTDOWN = "this node goes down"
    TOO_LARGE = "too large"
    EXPIRED = "expired"
    NOT_AWAITED = "nobody waits for it"


_OFFLINE = frozenset(
    {
        Reason.NO_SUCH_NAME,
        Reason.NO_REGISTRAR,
        Reason.REFUSED,
        Reason.UNREACHABLE,
        Reason.BAD_KEY,
        Reason.NOT_BELIEVED,
        Reason.OTHER_VERSION,
        Reason.PEER_RESTARTED,
        Reason.CONNECTION_LOST,
    }
)
"""Reasons for which the target node cannot be reached, as far as this one can find out within its budget
(`net.base.limits`)."""


def kind_of(reason: Reason) -> SendErrorKind:
    """Return what a process is told: Offline if the node definitively cannot be reached, Timeout for all else (G13)."""
    return SendErrorKind.OFFLINE if reason in _OFFLINE else SendErrorKind.TIMEOUT


class SendError(NamedTuple):
    """A message that came back to its sender (G13, G14)."""

    kind: SendErrorKind
    target: Address
    message: Request | Response
    blob: LazyLoadBlob | None
    reason: Reason


def returned(envelope: Envelope, reason: Reason) -> SendError:
    """Return a message as it comes back to its sender."""
    return SendError(kind_of(reason), envelope.target, envelope.message, envelope.blob, reason)


class OnExitAction(enum.Enum):
    """What happens when a process returns or traps (G22); the values are the WIT variant's."""

    NONE = 0
    RESTART = 1
    REQUESTS = 2


class OnExitRequest(NamedTuple):
    """One request to be sent in the name of a process that has ended."""

    target: Address
    request: Request
    blob: LazyLoadBlob | None


class OnExit(NamedTuple):
    """A process's on-exit setting."""

    action: OnExitAction
    requests: tuple[OnExitRequest, ...] = ()
    """The requests to send, only with REQUESTS."""


ON_EXIT_NONE = OnExit(OnExitAction.NONE)
ON_EXIT_RESTART = OnExit(OnExitAction.RESTART)
