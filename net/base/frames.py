"""The frames inside records: `docs/wire.md` gives their bytes. Pure functions; only BadFrame escapes the decoders.

A record holds one or more frames. A control frame is a CBOR array with a leading kind. Data frames, which carry the
bulk, and acknowledgements, one for every message, are binary: as CBOR they took three times as long.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, final

import cbor2

from net.base.cbor import loads_untrusted
from net.base.errors import BadCbor, BadFrame
from net.base.limits import (
    MAX_BLOB_BYTES,
    MAX_CONTROLS,
    MAX_CREDIT_BYTES,
    MAX_HEADER_BYTES,
    MAX_INVITATION_BYTES,
    MAX_NAME_RECORD_BYTES,
    MAX_PAIRS,
    SESSION_CREDIT_MESSAGES,
)
from net.base.node_names import is_node_name

VERSION = 1
"""The protocol's version, as both sides say it in the handshake."""
PAIRS_VERSION = 2
"""The version of the frames that has numbers for pairs of processes, as the incarnation in the resume frame tells it.
It is spoken with who speaks it; with all others, version 1."""
PAIRS_MARK = b"nectar/2"
"""The last bytes of the incarnation of who speaks `PAIRS_VERSION`. To version 1 they are as random as the others; TLS
1.3 tells versions in the same way in its server random (RFC 8446, section 4.1.3)."""
LINEAGES_VERSION = 3
"""The version of the frames of a node that takes lineages in the headers of messages: version 2 in all else."""
LINEAGES_EPOCH = 1 << 32
"""The epoch at which who speaks `LINEAGES_VERSION` begins. A side of an earlier version begins at 0, and would have to
give up four thousand million times to get there; it takes any number."""
CONTROL, DATA, ACK = 0, 1, 2
FIRST = 1
"""The flag of a data frame with which a message begins."""
NUMBERED = 2
"""The flag beside `FIRST` if the frame has the number of the message's pair."""
NAMED = 4
"""The flag beside `FIRST` if the frame gives the message's pair a number."""
NO_BLOB = 0xFFFFFFFF
"""The blob's length that stands for a message without a blob; an empty blob has length 0."""
FRAME = struct.Struct(">BBH")
"""Kind, flags, and length of what follows the frame's own header."""
DATA_HEADER = struct.Struct(">BBHQ")
"""The same fields and the message's sequence number."""
FIRST_HEADER = struct.Struct(">BBHQII")
"""The same fields and the lengths of the message's header and blob."""
NUMBERED_HEADER = struct.Struct(">BBHQIIB")
"""The same fields and the pair's number."""
NAMED_HEADER = struct.Struct(">BBHQIIBB")
"""The same fields and the length of the pair's name, which follows."""
_NUMBERED, _NAMED = FIRST | NUMBERED, FIRST | NAMED
_NUMBERED_BYTES, _NAMED_BYTES = NUMBERED_HEADER.size, NAMED_HEADER.size
_FRAME_BYTES, _DATA_BYTES, _FIRST_BYTES = FRAME.size, DATA_HEADER.size, FIRST_HEADER.size
_NUMBER_BYTES = 8
"""Bytes of one number of an acknowledgement."""
INCARNATION_BYTES = 16
TICKET_BYTES = 16
"""Bytes of the ticket that a router gives the node that is called, to show in its greeting."""
_MAX_U64 = (1 << 64) - 1
_new = tuple.__new__
"""Used wherever something is built for each message: a named tuple's own constructor takes 100 nanoseconds more."""
_MAX_ITEMS = 3 * SESSION_CREDIT_MESSAGES + 16
"""Items of a control frame: those of a resume frame with as many partial messages as there can be."""


@final
class Data(NamedTuple):
    """A piece of a message: bytes of its header and, behind that, of its blob."""

    sequence: int
    """The message's number in its lineage, from 1."""
    lengths: tuple[int, int | None] | None
    """Lengths of the header and of the blob (None: no blob), in the frame with which a message begins."""
    chunk: memoryview
    """The bytes, as a view of the record, so it is consumed before the next record."""
    pair: bytes | None = None
    """The name of the message's pair of processes, in the frame with which a message begins whose header lacks that."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a side has of the messages that the other sent."""

    incarnation: bytes
    """The incarnation of the sender of these messages, to which the rest refers."""
    epoch: int
    """The epoch of the sender of these messages, to which the rest refers."""
    next: int
    """The lowest number of which no message has begun, nor of any higher number."""
    partial: tuple[tuple[int, int], ...]
    """Numbers of the messages that have begun and are not whole, each with the bytes that are there."""
    untaken: tuple[int, ...]
    """Numbers of the messages that are whole and not acknowledged yet; all others below `next` are acknowledged."""


@dataclass(frozen=True, slots=True)
class Resume:
    """The first frame of either side on a connection."""

    incarnation: bytes
    """16 random bytes, new whenever a side has forgotten what was between the two (mostly by a restart)."""
    epoch: int
    """Grows when the side has given up all that it had sent; its messages then count from 1 again."""
    binding: int
    """Counts the connections that the arbiter has chosen; the other side echoes it."""
    credit_bytes: int
    """Bytes that the other side may send without an acknowledgement."""
    credit_messages: int
    """Messages that the other side may send without an acknowledgement."""
    known: Known | None
    """What the side has; None if it has nothing and remembers nothing."""


class Ack(NamedTuple):
    """The receiver's kernel has taken these messages; their credit is free again."""

    sequences: tuple[int, ...]
    """Numbers of the messages, in the order in which they were taken."""


@dataclass(frozen=True, slots=True)
class Credit:
    """The receiver changes the credit that its resume frame gave."""

    credit_bytes: int
    """Bytes that the other side may send without an acknowledgement."""
    credit_messages: int
    """Messages that the other side may send without an acknowledgement."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks for a pong, to tell a silent peer from a dead one."""


@dataclass(frozen=True, slots=True)
class Pong:
    """Answers a ping."""


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The last frame of a connection."""

    code: int
    """A `GoodbyeCode`, or a number of a later version."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """Asks the registrar for a name's record."""

    request: int
    """A number that comes back with the answer."""
    name: str
    """The name to look up."""


@dataclass(frozen=True, slots=True)
class Found:
    """Answers a lookup."""

    request: int
    """The number of the lookup."""
    record: bytes | None
    """The granted record; None if there is no such name."""


@dataclass(frozen=True, slots=True)
class Register:
    """Asks the registrar to grant a record."""

    request: int
    """A number that comes back with the answer."""
    record: bytes
    """The signed record."""
    invitation: bytes | None = None
    """An invitation (`net.names.invitation`), if the node has one; without one, the frame is as short as it was before
    there were invitations."""


@dataclass(frozen=True, slots=True)
class Granted:
    """Answers a registration."""

    request: int
    """The number of the registration."""
    record: bytes
    """The record with the registrar's signature."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Answers a registration."""

    request: int
    """The number of the registration."""
    code: int
    """`RegistrationRefused.code`."""


@dataclass(frozen=True, slots=True)
class Reserve:
    """Asks a router to keep a place for the sender, and to connect callers to it there."""


@dataclass(frozen=True, slots=True)
class Reserved:
    """Answers a reservation."""

    accepted: bool
    """Whether the router keeps a place."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A router tells a node with a reservation that another node calls it."""

    ticket: bytes
    """16 random bytes: the node dials the router anew and shows them in its greeting."""
    caller: str
    """The caller's name, as its handshake with the router proved it."""


@dataclass(frozen=True, slots=True)
class Spliced:
    """The last record of a router on a leg of a circuit: from now on the bytes are the other end's."""


Control: TypeAlias = (
    Resume
    | Ack
    | Credit
    | Ping
    | Pong
    | Goodbye
    | Lookup
    | Found
    | Register
    | Granted
    | Refused
    | Reserve
    | Reserved
    | Incoming
    | Spliced
)


def encode_control(frame: Control) -> bytes:
    """Return the whole frame, its header included."""
    if type(frame) is Ack:
        return encode_acks(frame.sequences)
    body = cbor2.dumps(_FIELDS[type(frame)](frame))
    return FRAME.pack(CONTROL, 0, len(body)) + body


def encode_acks(sequences: Sequence[int]) -> bytes:
    """Return the bytes of an `Ack` without building one."""
    count = len(sequences)
    return struct.pack(f">BBH{count}Q", ACK, 0, _NUMBER_BYTES * count, *sequences)


def _resume_fields(frame: Control) -> list[object]:
    assert isinstance(frame, Resume)
    known = frame.known
    state = None
    if known is not None:
        partial = [list(pair) for pair in known.partial]
        state = [known.incarnation, known.epoch, known.next, partial, list(known.untaken)]
    return [1, frame.incarnation, frame.epoch, frame.binding, frame.credit_bytes, frame.credit_messages, state]


def _register_fields(frame: Control) -> list[object]:
    assert isinstance(frame, Register)
    shown = [] if frame.invitation is None else [frame.invitation]
    return [9, frame.request, frame.record, *shown]


def _fields(kind: int, *names: str) -> Callable[[Control], list[object]]:
    return lambda frame: [kind, *(getattr(frame, name) for name in names)]


_FIELDS: dict[type, Callable[[Control], list[object]]] = {
    Resume: _resume_fields,
    Credit: _fields(3, "credit_bytes", "credit_messages"),
    Ping: _fields(4),
    Pong: _fields(5),
    Goodbye: _fields(6, "code"),
    Lookup: _fields(7, "request", "name"),
    Found: _fields(8, "request", "record"),
    Register: _register_fields,
    Granted: _fields(10, "request", "record"),
    Refused: _fields(11, "request", "code"),
    Reserve: _fields(12),
    Reserved: _fields(13, "accepted"),
    Incoming: _fields(14, "ticket", "caller"),
    Spliced: _fields(15),
}


def decode_frames_untrusted(plaintext: memoryview, pairs: dict[int, bytes] | None = None) -> list[Data | Control]:
    """Return all frames of a record, in order. Raises BadFrame if any is malformed or there is none.

    `pairs` are the names of the pairs that have a number, to which are added those that get one; None: this side speaks
    version 1.
    """
    frames: list[Data | Control] = []
    position = controls = 0
    size = len(plaintext)
    while position < size:
        if size - position < _FRAME_BYTES:
            raise BadFrame("a frame's header is cut off")
        kind, flags, length = FRAME.unpack_from(plaintext, position)
        if kind == DATA and flags > FIRST and pairs is not None:
            frame, position = _paired_untrusted(plaintext, position, flags, pairs)
            frames.append(frame)
            continue
        begin = position + (_FRAME_BYTES if kind != DATA else _FIRST_BYTES if flags == FIRST else _DATA_BYTES)
        end = begin + length
        if end > size:
            raise BadFrame("a frame is longer than its record")
        if kind == DATA:
            frames.append(_data_untrusted(plaintext, position, flags, plaintext[begin:end]))
        elif flags or kind > ACK:
            raise BadFrame("a frame of an unknown kind")
        elif kind == ACK:
            frames.append(_ack_untrusted(plaintext[begin:end]))
        else:
            controls += 1
            if controls > MAX_CONTROLS:
                raise BadFrame("a record with too many control frames")
            frames.append(decode_control_untrusted(bytes(plaintext[begin:end])))
        position = end
    if not frames:
        raise BadFrame("a record without a frame")
    return frames


def _data_untrusted(plaintext: memoryview, position: int, flags: int, chunk: memoryview) -> Data:
    """Return the data frame at `position`, all of which is there; `chunk` is what follows its header."""
    if flags == 0:
        _, _, length, sequence = DATA_HEADER.unpack_from(plaintext, position)
        if length == 0:
            raise BadFrame("a data frame without data")
        return _new(Data, (sequence, None, chunk, None))
    if flags != FIRST:
        raise BadFrame("a data frame with unknown flags")
    _, _, length, sequence, header, blob = FIRST_HEADER.unpack_from(plaintext, position)
    return _new(Data, (sequence, _lengths_untrusted(length, header, blob), chunk, None))


def _lengths_untrusted(length: int, header: int, blob: int) -> tuple[int, int | None]:
    """Return the lengths of a message's header and blob; `length` is that of what its first frame has of them."""
    blob_length = None if blob == NO_BLOB else blob
    total = header if blob_length is None else header + blob
    if header > MAX_HEADER_BYTES or total - header > MAX_BLOB_BYTES:
        raise BadFrame("a message that is too large")
    if length > total or (length == 0 and total > 0):
        raise BadFrame("a data frame whose length does not fit its message")
    return header, blob_length


def _paired_untrusted(plaintext: memoryview, position: int, flags: int, pairs: dict[int, bytes]) -> tuple[Data, int]:
    """Return the data frame at `position`, with which a message begins whose pair has or gets a number, and the
    position behind it."""
    size = len(plaintext)
    if flags == _NUMBERED:
        begin = position + _NUMBERED_BYTES
        if begin > size:
            raise BadFrame("a frame's header is cut off")
        _, _, length, sequence, header, blob, number = NUMBERED_HEADER.unpack_from(plaintext, position)
        name = pairs.get(number)
        if name is None:
            raise BadFrame("a pair's number that has not been given")
    elif flags == _NAMED:
        begin = position + _NAMED_BYTES
        if begin > size:
            raise BadFrame("a frame's header is cut off")
        _, _, length, sequence, header, blob, number, name_length = NAMED_HEADER.unpack_from(plaintext, position)
        if not name_length or number >= MAX_PAIRS:
            raise BadFrame("a pair's number that is too high, or a pair without a name")
        name = pairs[number] = bytes(plaintext[begin : begin + name_length])
        begin += name_length
    else:
        raise BadFrame("a data frame with unknown flags")
    end = begin + length
    if end > size:
        raise BadFrame("a frame is longer than its record")
    return _new(Data, (sequence, _lengths_untrusted(length, header, blob), plaintext[begin:end], name)), end


def _ack_untrusted(body: memoryview) -> Ack:
    count = len(body) // _NUMBER_BYTES
    if len(body) % _NUMBER_BYTES or not 0 < count <= SESSION_CREDIT_MESSAGES:
        raise BadFrame("a malformed ack frame")
    return _new(Ack, (struct.unpack(f">{count}Q", body),))


def decode_control_untrusted(body: bytes) -> Control:
    """Return the control frame in `body`, which has no header. Raises BadFrame if it is malformed."""
    try:
        fields = loads_untrusted(body, items=_MAX_ITEMS, depth=4)
    except BadCbor as error:
        raise BadFrame("a control frame that is not CBOR") from error
    if not isinstance(fields, list) or not fields or type(fields[0]) is not int:
        raise BadFrame("a control frame that is not an array with a kind")
    decoder = _DECODERS.get(fields[0])
    if decoder is None:
        raise BadFrame("a control frame of an unknown kind")
    return decoder(fields[1:])


def _decode_resume(fields: list[object]) -> Control:
    match fields:
        case [bytes(incarnation), epoch, binding, credit_bytes, credit_messages, known]:
            return Resume(
                _incarnation(incarnation),
                _number(epoch),
                _number(binding),
                _number(credit_bytes, MAX_CREDIT_BYTES),
                _number(credit_messages, SESSION_CREDIT_MESSAGES),
                None if known is None else _decode_known(known),
            )
    raise BadFrame("a malformed resume frame")


def _decode_known(fields: object) -> Known:
    match fields:
        case [bytes(incarnation), epoch, following, list(partial), list(untaken)]:
            pass
        case _:
            raise BadFrame("a malformed resume frame")
    if len(partial) + len(untaken) > SESSION_CREDIT_MESSAGES:
        raise BadFrame("a resume frame with too many messages")
    end = _number(following)
    pairs = []
    for pair in partial:
        if not isinstance(pair, list) or len(pair) != 2:
            raise BadFrame("a malformed resume frame")
        pairs.append((_number(pair[0], end - 1), _number(pair[1], MAX_HEADER_BYTES + MAX_BLOB_BYTES)))
    numbers = tuple(_number(item, end - 1) for item in untaken)
    if len({number for number, _ in pairs} | set(numbers)) != len(partial) + len(untaken):
        raise BadFrame("a resume frame that names a message twice")
    return Known(_incarnation(incarnation), _number(epoch), end, tuple(pairs), numbers)


def _decode_credit(fields: list[object]) -> Control:
    match fields:
        case [credit_bytes, credit_messages]:
            return Credit(_number(credit_bytes, MAX_CREDIT_BYTES), _number(credit_messages, SESSION_CREDIT_MESSAGES))
    raise BadFrame("a malformed credit frame")


def _decode_empty(frame: Control) -> Callable[[list[object]], Control]:
    """Return a decoder for a frame that is its kind alone."""

    def decode(fields: list[object]) -> Control:
        if fields:
            raise BadFrame(f"a malformed {type(frame).__name__.lower()} frame")
        return frame

    return decode


def _decode_goodbye(fields: list[object]) -> Control:
    match fields:
        case [code]:
            return Goodbye(_number(code))
    raise BadFrame("a malformed goodbye frame")


def _decode_lookup(fields: list[object]) -> Control:
    match fields:
        case [request, str(name)] if is_node_name(name):
            return Lookup(_number(request), name)
    raise BadFrame("a malformed lookup frame")


def _decode_found(fields: list[object]) -> Control:
    match fields:
        case [request, bytes() | None as record] if record is None or len(record) <= MAX_NAME_RECORD_BYTES:
            return Found(_number(request), record)
    raise BadFrame("a malformed found frame")


def _decode_register(fields: list[object]) -> Control:
    match fields:
        case [request, bytes(record)] if len(record) <= MAX_NAME_RECORD_BYTES:
            return Register(_number(request), record)
        case [request, bytes(record), bytes(invitation)] if (
            len(record) <= MAX_NAME_RECORD_BYTES and len(invitation) <= MAX_INVITATION_BYTES
        ):
            return Register(_number(request), record, invitation)
    raise BadFrame("a malformed register frame")


def _decode_granted(fields: list[object]) -> Control:
    match fields:
        case [request, bytes(record)] if len(record) <= MAX_NAME_RECORD_BYTES:
            return Granted(_number(request), record)
    raise BadFrame("a malformed granted frame")


def _decode_refused(fields: list[object]) -> Control:
    match fields:
        case [request, code]:
            return Refused(_number(request), _number(code))
    raise BadFrame("a malformed refused frame")


def _decode_reserved(fields: list[object]) -> Control:
    match fields:
        case [bool(accepted)]:
            return Reserved(accepted)
    raise BadFrame("a malformed reserved frame")


def _decode_incoming(fields: list[object]) -> Control:
    match fields:
        case [bytes(ticket), str(caller)] if len(ticket) == TICKET_BYTES and is_node_name(caller):
            return Incoming(ticket, caller)
    raise BadFrame("a malformed incoming frame")


def _number(value: object, maximum: int = _MAX_U64) -> int:
    """Return `value` as an unsigned number. A bool is not one here, though it is an int in Python. Raises BadFrame."""
    if type(value) is not int or not 0 <= value <= maximum:
        raise BadFrame("a number that is not valid, or out of range")
    return value


def _incarnation(value: bytes) -> bytes:
    if len(value) != INCARNATION_BYTES:
        raise BadFrame("an incarnation that is not 16 bytes")
    return value


_DECODERS: dict[int, Callable[[list[object]], Control]] = {
    1: _decode_resume,
    3: _decode_credit,
    4: _decode_empty(Ping()),
    5: _decode_empty(Pong()),
    6: _decode_goodbye,
    7: _decode_lookup,
    8: _decode_found,
    9: _decode_register,
    10: _decode_granted,
    11: _decode_refused,
    12: _decode_empty(Reserve()),
    13: _decode_reserved,
    14: _decode_incoming,
    15: _decode_empty(Spliced()),
}
