"""The errors of this package: one root, and below it one for each side that can be at fault."""

from enum import IntEnum
from typing import ClassVar


class GoodbyeCode(IntEnum):
    """Why a side ends a connection, as it says in its goodbye frame (`docs/wire.md`)."""

    SHUTDOWN = 0
    """The node is going down."""
    REPLACED = 1
    """Another connection between the same two nodes has taken over."""
    BAD_FRAME = 2
    """The peer sent a frame that is malformed or illegal in this state."""
    BAD_RECORD = 3
    """A record did not decrypt."""
    BAD_HANDSHAKE = 4
    """The handshake was malformed or of another protocol version."""
    CREDIT_OVERRUN = 5
    """The peer sent more than its credit."""
    NOT_BELIEVED = 6
    """The peer failed to prove that it is the node it names."""
    UNKNOWN_NAME = 7
    """Neither a registrar nor a directory knows the peer's name, or none could be asked."""
    BUSY = 8
    """A bound of `limits` was reached."""
    SILENT = 9
    """Nothing was heard for too long."""
    NO_CIRCUIT = 10
    """A router cannot connect the two: the node has no reservation there, does not answer, or a quota is used up."""
    STALLED = 11
    """The peer answers, but does not go on with its messages, gives no credit, or does not read."""
    PAUSED = 12
    """The peer has broken the protocol, and is not let in for a while."""
    INTERNAL = 13
    """This side failed; the peer is not to blame."""


class NetError(Exception):
    """Root of every error that leaves this package."""


class ProtocolViolation(NetError):
    """The peer broke the protocol: its connection ends with `code`, and no other peer notices."""

    code: ClassVar[GoodbyeCode] = GoodbyeCode.BAD_FRAME


class BadFrame(ProtocolViolation):
    """The peer sent bytes that are not a frame, or a frame that is illegal now."""


class BadRecord(ProtocolViolation):
    """A record is empty, too short, or does not decrypt: the peer's fault, or the network's."""

    code = GoodbyeCode.BAD_RECORD


class BadHandshake(ProtocolViolation):
    """The peer sent a handshake message that is malformed, does not decrypt, or is of another protocol version."""

    code = GoodbyeCode.BAD_HANDSHAKE


class OtherVersion(BadHandshake):
    """The peer speaks another version of the protocol; neither side is at fault."""


class OtherCipher(BadHandshake):
    """The dialer has chosen another cipher than the records of both sides ask for; that of the other side, by which it
    went, is outdated."""


class NotBelieved(ProtocolViolation):
    """The peer failed to prove that it is the node it names (G13)."""

    code = GoodbyeCode.NOT_BELIEVED


class UnknownName(ProtocolViolation):
    """It is not known whose key belongs to the peer's name, and it cannot be found out."""

    code = GoodbyeCode.UNKNOWN_NAME


class NoRoom(ProtocolViolation):
    """A bound of `limits` is reached, so the connection ends; neither side is at fault."""

    code = GoodbyeCode.BUSY


class NoCircuit(ProtocolViolation):
    """A router cannot connect the caller to the node that it wants; neither side is at fault."""

    code = GoodbyeCode.NO_CIRCUIT


class CreditOverrun(ProtocolViolation):
    """The peer sent more than its credit."""

    code = GoodbyeCode.CREDIT_OVERRUN


class Stalled(ProtocolViolation):
    """The peer answers, but does not go on with its messages."""

    code = GoodbyeCode.STALLED


class NoCredit(Stalled):
    """The peer gives no credit for a single message."""


class NotRead(ProtocolViolation):
    """The peer does not read what it is sent, or the network does not carry it."""

    code = GoodbyeCode.STALLED


class Paused(ProtocolViolation):
    """The peer has broken the protocol before, and is not let in yet."""

    code = GoodbyeCode.PAUSED


class NoMemory(NetError):
    """There is no memory for a message that begins; it has to wait."""


class BadCbor(NetError):
    """The bytes are not CBOR, or CBOR of a kind or size that the protocol does not use."""


class BadNameRecord(NetError):
    """The bytes are not a name record, or its signatures do not hold; the message says which part is wrong."""


class ForgedNameRecord(BadNameRecord):
    """The name record is not signed by its own key."""


class BadInvitation(NetError):
    """The token is not an invitation of this registrar; the message says why, without a full stop."""


class RegistrationRefused(NetError):
    """The registrar does not grant the applicant's record; `code` goes over the wire."""

    code: int = 0


class RecordInvalid(RegistrationRefused):
    """The record is malformed."""

    code = 1


class NameTaken(RegistrationRefused):
    """Another key holds the name, and it has not signed the change."""

    code = 2


class StaleSequence(RegistrationRefused):
    """The name's current record has this sequence number or a higher one."""

    code = 3


class RegistrarFull(RegistrationRefused):
    """The registrar grants no more names (`limits.MAX_REGISTERED_NAMES`)."""

    code = 4


class BadSignature(RegistrationRefused):
    """The record is not signed by the key that it names."""

    code = 5


class ForeignKey(RegistrationRefused):
    """The record is not the applicant's own: of another name or key than its session has proven, or with a consent to
    the change of the key by a key that does not hold the name."""

    code = 6


class RecordExpired(RegistrationRefused):
    """The record has expired, by the registrar's clock."""

    code = 7


class RecordFromTheFuture(RegistrationRefused):
    """The record was issued, or lasts, further in the future than `limits` allow: one of the two clocks is wrong."""

    code = 8


class RecordNotKept(RegistrationRefused):
    """The registrar's disk does not take the record, so the name is not granted. A later attempt may succeed."""

    code = 9


class RecordTooLong(RegistrationRefused):
    """The name is new, or nearly, so its record may last `limits.FIRST_RECORD_SECONDS` at most, and its body may have
    `limits.MAX_FIRST_RECORD_BYTES`."""

    code = 10


class KeyHasNames(RegistrationRefused):
    """The key holds as many names as one may (`limits.MAX_NAMES_PER_KEY`)."""

    code = 11


class InvitationNeeded(RegistrationRefused):
    """The name is new, and the registrar grants new names only to nodes that show an invitation."""

    code = 12


class InvitationRefused(RegistrationRefused):
    """The invitation is not this registrar's, has expired, or is for another name."""

    code = 13


class InvitationUsed(RegistrationRefused):
    """The invitation has been used as often as it may."""

    code = 14


RETRY_CODE = 1 << 16
"""A refusal with this code or a higher one means: not yet, but again in (code - RETRY_CODE) seconds. It is one number,
so that a node that does not know such codes reads an unknown reason, and not a malformed frame."""


class TryLater(RegistrationRefused):
    """The address has taken as many new names, or the name has changed as often, as it may for now."""

    def __init__(self, text: str, seconds: int) -> None:
        super().__init__(f"{text}: again in {seconds} s")
        self.code = RETRY_CODE + seconds


class KeyFileError(NetError):
    """The node's key file cannot be used; the message is one sentence for the user."""


class KeyFileMissing(KeyFileError):
    """The file does not exist."""


class KeyFileExists(KeyFileError):
    """The file exists already, and must not be replaced."""


class KeyFileDamaged(KeyFileError):
    """The file is not a key file, or cannot be read or written."""


class WrongPassword(KeyFileError):
    """The file is protected, and the password is missing or wrong."""


class DialFailed(NetError):
    """No connection came about; the message says why, and `refused` whether the other side definitively refused."""

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.refused = refused


class ListenFailed(NetError):
    """The address is not available to listen on."""


class StreamBroken(NetError):
    """An open stream broke, or was closed while it was in use."""
