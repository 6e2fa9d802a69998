"""The messages that go into `network.Network` and the events that come out: frozen values, no behaviour.

Values of every message are named tuples: a frozen dataclass takes four times as long to make.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from net.names.directory import HeldRecord, NameRecord

Buffer: TypeAlias = bytes | bytearray | memoryview
"""Bytes that are handed on by reference and not changed any more."""


class FailureReason(StrEnum):
    """Why a message or a registration failed (G13, G16)."""

    NO_SUCH_NAME = "no such name"
    """The directory knows no node of that name."""
    REFUSED = "refused"
    """Every endpoint of the node refused the connection."""
    UNREACHABLE = "unreachable"
    """The node could not be reached within the budget, or has no endpoint."""
    NO_REGISTRAR = "no registrar"
    """This node knows nothing of a node of that name, and the registrar could not be asked."""
    OTHER_VERSION = "other version"
    """The node at the endpoint speaks another version of the protocol."""
    BAD_KEY = "bad key"
    """The node at the endpoint failed to prove that it is the one wanted."""
    NOT_BELIEVED = "not believed"
    """The node answers, but does not believe who we are."""
    PEER_RESTARTED = "peer restarted"
    """The node lost its memory of us before it acknowledged the message; whether it took it is unknown."""
    CONNECTION_LOST = "connection lost"
    """The connection broke and did not come back within the budget; whether the message was taken is unknown."""
    TOO_LARGE = "too large"
    """The header or the blob exceeds its limit."""
    QUEUE_FULL = "queue full"
    """Too much waits for that node already."""
    NO_CREDIT = "no credit"
    """The node answers, but takes not a single message."""
    SHUTDOWN = "shutdown"
    """This node is going down."""
    NAME_TAKEN = "name taken"
    """Registration only: another key holds the name."""
    STALE_SEQUENCE = "stale sequence"
    """Registration only: the registrar has a record with the same or a higher sequence number, again and again."""
    BAD_SIGNATURE = "bad signature"
    """Registration only: the record is not signed by its own key."""
    FOREIGN_KEY = "foreign key"
    """Registration only: the record is not this node's own, or the consent to its key is not by the former key."""
    RECORD_EXPIRED = "record expired"
    """Registration only: the record has expired, by the registrar's clock."""
    RECORD_FROM_THE_FUTURE = "record from the future"
    """Registration only: the record was issued in the future, by the registrar's clock."""
    REGISTRAR_FULL = "registrar full"
    """Registration only: the registrar grants no more names."""
    RECORD_NOT_KEPT = "record not kept"
    """Registration only: the registrar's disk does not take the record."""
    TRY_LATER = "try later"
    """Registration only: too many new names have come from this node's address, or its record has changed too often."""
    KEY_HAS_NAMES = "key has names"
    """Registration only: this node's key has as many names as one may."""
    INVITATION_NEEDED = "invitation needed"
    """Registration only: the name is new, and the network takes in only nodes that show an invitation."""
    INVITATION_REFUSED = "invitation refused"
    """Registration only: the invitation is not this registrar's, has expired, or is for another name."""
    INVITATION_USED = "invitation used"
    """Registration only: the invitation has been used as often as it may."""
    RECORD_REFUSED = "record refused"
    """Registration only: the registrar does not accept the record, for a reason that this node does not know."""


class DialFailure(StrEnum):
    """Reasons that a driver gives to `Network.dial_failed`; any other text is taken as a passing failure."""

    REFUSED = "refused"
    """The other side definitively refused: retrying the same endpoint at once is pointless."""
    UNREACHABLE = "unreachable"
    """No route, no such host, or no answer."""


class Outgoing(NamedTuple):
    """A message for another node."""

    node: str
    """The name of the node it goes to."""
    stream: bytes
    """Names the pair (source process, target process); messages of one stream to one node keep their order (G4)."""
    header: bytes
    """Opaque bytes, at most `limits.MAX_HEADER_BYTES`."""
    blob: Buffer | None
    """Opaque bytes, at most `limits.MAX_BLOB_BYTES`; held by reference and not copied until they are encrypted."""
    token: object
    """A value that comes back in exactly one `Delivered` or `Failed`."""
    target: bytes | None = None
    """Names what takes the message over there, such as a process's inbox: if that takes nothing, others go on (G24).
    None: a target that no other stream leads to."""
    paired: bool = False
    """Whether the other side is to be told `stream`, which the header lacks; only while `Network.tells_pairs`."""


@dataclass(frozen=True, slots=True)
class Dial:
    """The driver shall open a connection and answer with `connected` or `dial_failed`."""

    connection: int
    """The id that the connection has from now on."""
    host: str
    """Name or address."""
    port: int
    """TCP port."""


@dataclass(frozen=True, slots=True)
class Close:
    """The driver shall close the connection; its id means nothing to the network any more."""

    connection: int
    """The id of the connection."""
    farewell: bytes = b""
    """Bytes to write first if that is possible without waiting for long, behind what `pending` gave before."""


class Writable(NamedTuple):
    """`pending(connection)` has something; not repeated until `pending` has returned all there is."""

    connection: int
    """The id of the connection."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The driver shall read nothing more from the connection, or go on, since a router's circuit is slower at its other
    end.

    What it has read already it may still report. A call of `pending` for the other connection brings the event to go
    on, so its caller drains the events again.
    """

    connection: int
    """The id of the connection."""
    held: bool
    """Whether to stop reading; False: go on."""


class Received(NamedTuple):
    """A message has arrived whole; it is acknowledged when its receipt is given to `taken`."""

    node: str
    """The node that sent it, as the handshake proved (G3)."""
    header: bytes
    """As the sender gave it."""
    blob: Buffer | None
    """As the sender gave it."""
    receipt: object
    """The value to give to `Network.taken`."""
    pair: bytes | None = None
    """The sender's `Outgoing.stream`, if the message is `Outgoing.paired`."""


class Delivered(NamedTuple):
    """The peer's kernel has taken messages: all that one acknowledgement names."""

    tokens: Sequence[object]
    """The tokens of the `Outgoing`s, in the order in which they were taken."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The message comes back; the node turns this into Offline (G13, G14)."""

    token: object
    """The token of the `Outgoing`."""
    reason: FailureReason
    """Why the message failed."""


@dataclass(frozen=True, slots=True)
class PeerUp:
    """A session with the node works; not repeated when a broken connection is replaced within the budget."""

    node: str
    """The name of the node."""


@dataclass(frozen=True, slots=True)
class PeerDown:
    """A session that was up has ended, and no attempt to revive it is under way any more."""

    node: str
    """The name of the node."""
    reason: FailureReason
    """Why the session ended."""


@dataclass(frozen=True, slots=True)
class Registered:
    """The registrar holds this node's record."""

    record: bytes
    """The countersigned record, encoded."""


@dataclass(frozen=True, slots=True)
class RegistrationFailed:
    """The registrar does not hold this node's record."""

    reason: FailureReason
    """Why the registration failed."""
    retries: bool
    """Whether the network tries again by itself (it does if the registrar could not be reached, its disk fails, or it
    says when to try again)."""
    seconds: int | None = None
    """With TRY_LATER, the seconds until the network tries again."""


@dataclass(frozen=True, slots=True)
class SequenceSigned:
    """This node has signed a record of itself, which goes to the registrar after `Network.sequence_kept`."""

    sequence: int
    """The record's number, to be made durable and given to the network at the next boot."""


@dataclass(frozen=True, slots=True)
class Outdated:
    """What this node has kept is older than what the network knows of it: it may have revoked more than it remembers.
    Nothing is registered before `Network.raise_epoch`."""

    record: NameRecord
    """The record that shows it."""


@dataclass(frozen=True, slots=True)
class Superseded:
    """A copy of this node has registered after it, so this one is to end; it does not register any more."""

    record: NameRecord
    """The copy's record."""


@dataclass(frozen=True, slots=True)
class RecordStored:
    """The directory has learned a record, or a registrar is about to grant one. The node makes it durable and then
    calls `Network.record_kept`; no node is told of the grant before that."""

    record: HeldRecord
    """The record; the node gives all of them to the directory at the next boot."""
    use: HeldRecord | None = None
    """The use of an invitation, to be kept together with the record, both or neither, and in the same way."""


@dataclass(frozen=True, slots=True)
class NamesFreed:
    """Some names are free, and the directory has forgotten their records: the node may drop them too."""


@dataclass(frozen=True, slots=True)
class LookedUp:
    """A `Network.look_up` has ended, whether or not the record is known now."""

    name: str
    """The node that was looked up."""


@dataclass(frozen=True, slots=True)
class Log:
    """A sentence for the node's log."""

    text: str
    """The text, without a full stop, bounded, with no bytes of a peer but its checked name."""


@dataclass(frozen=True, slots=True)
class Unforeseen:
    """Our own code has failed, and what was being done has ended (`containment`)."""

    what: str
    """What was being done, in words."""
    traceback: tuple[str, ...]
    """The traceback, line by line."""


# --- the steps of a probe (`Network.probe`) -------------------------------------------------------------------------


class ProbeOutcome(StrEnum):
    """How a probe ended."""

    REACHED = "reached"
    """A pong has come."""
    OFFLINE = "offline"
    """The search for a connection was given up: a message would come back as Offline (G13)."""
    TIMEOUT = "timeout"
    """No pong came in time."""
    BUSY = "busy"
    """There are too many probes, or too many peers; nothing was tried."""


class AttemptStage(StrEnum):
    """How far a connection had come when it ended."""

    DIAL = "dial"
    """The connection did not come about."""
    ROUTER = "router"
    """The connection reached a router, which did not connect it with the node."""
    HANDSHAKE = "handshake"
    """The connection ended before the peer had proven its name."""
    ADMISSION = "admission"
    """The connection ended before the peer had let us in."""
    SESSION = "session"
    """Messages passed."""


@dataclass(frozen=True, slots=True)
class NameFound:
    """The name record is known."""

    record: NameRecord
    """The record."""
    fresh: bool
    """Whether the registrar gave it just now; if not, it was known here."""


@dataclass(frozen=True, slots=True)
class NameMissing:
    """The registrar gave no record; the node must make do with the record it knows, if it knows one."""

    reason: FailureReason
    """NO_SUCH_NAME: the registrar knows none; NO_REGISTRAR: the registrar cannot be asked."""


@dataclass(frozen=True, slots=True)
class DialStatus:
    """A connection is being opened."""

    host: str
    port: int | None
    router: str | None
    """The router at that address that is to connect us with the node; None: the route is direct."""


@dataclass(frozen=True, slots=True)
class Dialed:
    """The connection is open; the handshake begins."""

    host: str
    port: int | None
    router: str | None
    """The router at that address; None: the route is direct."""


@dataclass(frozen=True, slots=True)
class Proven:
    """The peer has proven that it is that node."""

    version: int
    """The version of the protocol that both speak."""
    public_key: bytes
    """The Ed25519 key that the peer has shown to hold."""
    host: str
    """The address at the other end."""
    dialed: bool
    """Whether this node dialed; if not, the peer did."""


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """A connection has ended, or did not come about."""

    host: str
    port: int | None
    """The port that was dialed; None: the peer had dialed, or this was a circuit."""
    router: str | None
    """The router of the connection; None: the route was direct."""
    stage: AttemptStage
    """How far the connection had come."""
    reason: FailureReason
    """The reason, as the search for a connection counts it."""
    text: str
    """The reason in words, without a full stop."""


@dataclass(frozen=True, slots=True)
class Pinging:
    """The session is there, and a ping is out."""

    host: str
    """The address at the other end."""


@dataclass(frozen=True, slots=True)
class Pinged:
    """The pong has come."""

    seconds: float
    """Seconds since the ping was queued."""


@dataclass(frozen=True, slots=True)
class ProbeEnded:
    """The last step of a probe."""

    outcome: ProbeOutcome
    reason: FailureReason | None
    """With OFFLINE, the reason."""


ProbeStep: TypeAlias = (
    NameFound | NameMissing | DialStatus | Dialed | Proven | AttemptFailed | Pinging | Pinged | ProbeEnded
)


@dataclass(frozen=True, slots=True)
class Probed:
    """A step of a probe."""

    token: object
    """The token given to `Network.probe`."""
    step: ProbeStep
    """What has happened."""


NetEvent: TypeAlias = (
    Dial
    | Close
    | Writable
    | Hold
    | Received
    | Delivered
    | Failed
    | PeerUp
    | PeerDown
    | Registered
    | RegistrationFailed
    | SequenceSigned
    | Outdated
    | Superseded
    | RecordStored
    | NamesFreed
    | LookedUp
    | Probed
    | Log
    | Unforeseen
)
"""Everything that `Network.next_event` returns."""


def tokens_of(event: NetEvent) -> Sequence[object]:
    """Return the tokens of the messages whose outcome an event tells."""
    if isinstance(event, Delivered):
        return event.tokens
    return (event.token,) if isinstance(event, Failed) else ()
