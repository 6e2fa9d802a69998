"""Segments: the files of a recording, sealed with a key that is derived from the node's.

A segment begins with `MAGIC`, one line of JSON that anybody may read (`SegmentHeader`), and 16 random bytes. Frames
follow, each a length in 4 bytes and so many bytes of AES-256-GCM. The key of a segment is the hash of those random
bytes under the recording's key; a frame's nonce is its number. Frames are appended, so a process that is killed at any
moment leaves whole frames and at most one that is cut off, and what follows a damaged byte is refused.

The plaintext is a row of entries: a byte for the kind, a length in 4 bytes, a body. The body of an entry whose kind has
the bit `RECEIVED` goes on in the segment's second file, where received bytes stand one behind the other, as they came;
its last 4 bytes say how many. These are records of sessions, ciphertext with authenticators of their own: sealing or
authenticating them once more hides and proves nothing, since a session refuses a changed one when it is replayed.

Pure. Tests: tests/nectar_node/recording/test_segments.py.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from hashlib import blake2b

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct, json

from nectar_node.base.decoding import BadShape, decode_untrusted
from nectar_node.recording.errors import BadRecording

MAGIC = b"nectar recording 3: it holds secrets of the node, sealed with its key\n"
SALT_BYTES = 16
TAG_BYTES = 16
MAX_HEADER_BYTES = 1 << 14
MAX_ENTRY_BYTES = 256 << 20
"""Bytes of one entry: three of the largest messages."""
MAX_FRAME_BYTES = MAX_ENTRY_BYTES + (1 << 20)
PURPOSE = b"recording"
"""For `Identity.derive`."""
_ENTRY = struct.Struct("<BI")
_LENGTH = struct.Struct("<I")
RECEIVED = 0x80
"""Of a kind: the body goes on in the file of what was received."""


class SegmentHeader(Struct, frozen=True):
    """What anybody may read of a segment."""

    node: str
    """The node's name."""
    boot: int
    """Which boot of it was recorded, from 1 on."""
    segment: int
    """Its number within that boot, from 1 on: only a row from 1 on can be replayed."""
    version: str
    """The release of the node."""
    began: float
    """Unix time of its first entry."""


class TapeEntry:
    """One step of a recording: its kind, its body, and its number from 0 on."""

    __slots__ = ("body", "kind", "number")

    def __init__(self, number: int, kind: int, body: bytes) -> None:
        self.number = number
        self.kind = kind
        self.body = body


def entry(kind: int, body: bytes) -> bytes:
    """Return an entry as bytes."""
    return beginning_of(kind, len(body)) + body


def beginning_of(kind: int, length: int) -> bytes:
    """Return what stands before the body of an entry, which has that length."""
    return _ENTRY.pack(kind, length)


def received_entry(kind: int, body: bytes, size: int) -> bytes:
    """Return an entry as bytes whose body goes on with `size` received ones."""
    return entry(kind | RECEIVED, body + _LENGTH.pack(size))


class SegmentSealer:
    """Makes the bytes of one segment."""

    def __init__(self, key: bytes, header: SegmentHeader, salt: bytes) -> None:
        """`key`: 32 bytes (`Identity.derive`); `salt`: SALT_BYTES fresh random bytes."""
        self.beginning = MAGIC + json.encode(header) + b"\n" + salt
        """What the file begins with."""
        self._cipher = _cipher(key, salt)
        self._frames = 0

    def frame(self, plaintext: bytes | bytearray) -> bytes:
        """Return the next frame."""
        sealed = self._cipher.encrypt(_nonce(self._frames), plaintext, None)
        self._frames += 1
        return _LENGTH.pack(len(sealed)) + sealed


def header_untrusted(data: bytes) -> tuple[SegmentHeader, int]:
    """Return the header at the beginning of a segment, and where its salt begins; raises BadRecording."""
    if not data.startswith(MAGIC):
        raise BadRecording("That is no recording of a node, or one of another release.")
    end = data.find(b"\n", len(MAGIC), len(MAGIC) + MAX_HEADER_BYTES)
    try:
        if end < 0:
            raise BadShape("it is cut off")
        return decode_untrusted(data[len(MAGIC) : end], SegmentHeader), end + 1
    except BadShape as error:
        raise BadRecording(f"The recording's header is damaged: {error}.") from error


def open_untrusted(data: bytes, key: bytes, *, last: bool) -> Iterator[bytes]:
    """Yield the plaintexts of the frames of a segment, one after the other; raises BadRecording at what is damaged.

    A frame that is cut off ends the `last` segment of a recording: so a node leaves it that is killed.
    """
    header, at = header_untrusted(data)
    where = f"segment {header.segment} of {header.node}"
    if len(data) < at + SALT_BYTES:
        if last:
            return
        raise BadRecording(f"The recording is damaged: {where} is cut off.")
    cipher, number = _cipher(key, data[at : at + SALT_BYTES]), 0
    at += SALT_BYTES
    while at < len(data):
        begins = at + _LENGTH.size
        (length,) = _LENGTH.unpack_from(data, at) if begins <= len(data) else (1,)
        if not length or length > MAX_FRAME_BYTES:
            raise BadRecording(f"The recording is damaged: {where}, byte {at}.")
        if begins + length > len(data):
            if last:
                return
            raise BadRecording(f"The recording is damaged: {where} is cut off.")
        try:
            yield cipher.decrypt(_nonce(number), data[begins : begins + length], None)
        except (InvalidTag, ValueError) as error:
            key_or_damage = "it is damaged, or another key has sealed it" if number == 0 else "it is damaged"
            raise BadRecording(f"The recording cannot be read: {where}, byte {at}: {key_or_damage}.") from error
        at = begins + length
        number += 1


def entries_untrusted(
    plaintexts: Iterator[bytes], received: Callable[[int], bytes], *, last: bool, first: int = 0
) -> Iterator[TapeEntry]:
    """Yield the entries of a segment, numbered from `first` on; raises BadRecording. An entry is within one frame.

    `received` returns that many of the next received bytes, or fewer: the last segment ends there.
    """
    number = first
    for plaintext in plaintexts:
        at = 0
        while at < len(plaintext):
            if at + _ENTRY.size > len(plaintext):
                raise BadRecording("The recording is damaged: an entry is cut off.")
            kind, length = _ENTRY.unpack_from(plaintext, at)
            at += _ENTRY.size
            if at + length > len(plaintext):
                raise BadRecording("The recording is damaged: an entry is cut off.")
            body = plaintext[at : at + length]
            if kind & RECEIVED:
                (size,) = _LENGTH.unpack(body[-_LENGTH.size :]) if length >= _LENGTH.size else (MAX_ENTRY_BYTES + 1,)
                if size > MAX_ENTRY_BYTES:
                    raise BadRecording("The recording is damaged: an entry is too long.")
                data = received(size)
                if len(data) < size:
                    if last:
                        return
                    raise BadRecording("The recording is damaged: what was received is cut off.")
                body = body[: -_LENGTH.size] + data
            yield TapeEntry(number, kind & ~RECEIVED, body)
            number += 1
            at += length


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(blake2b(salt, key=key, digest_size=32, person=b"nectar segment").digest())


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "little")
