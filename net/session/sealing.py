"""Records: the encrypted units of a connection after its handshake, and the cutting of a byte stream into records.

A record is a big-endian u16 length and that many bytes of ciphertext (`net.base.ciphers`); the nonce is the number of
the record in its direction (Noise section 12). This does what noiseprotocol's CipherState does, with the same library
below, but in the caller's buffers, which saves a copy and an allocation for each record on each side. A key of AES-GCM
is good for so many records; then both sides compute the next one from it (Noise sections 4.2 and 11.3), and the numbers
of the records go on.
"""

import struct

from cryptography.exceptions import InvalidTag

from net.base.ciphers import ALWAYS, Aead, Cipher
from net.base.errors import BadRecord
from net.base.limits import MAX_PLAINTEXT_BYTES, TAG_BYTES
from net.contract.events import Buffer

LENGTH = struct.Struct(">H")
"""The length before every record, and before every handshake message."""
_REKEY_NONCE = (1 << 64) - 1
"""No record has it: it makes the next key (Noise section 4.2)."""
_LAST_NONCE = _REKEY_NONCE - 1
_KEY_BYTES = 32


class _Keys:
    """The key of one direction, and those that follow it."""

    __slots__ = ("_cipher", "_count", "_nonce", "_per_key", "_renew_at", "cipher")

    def __init__(self, key: bytes, cipher: Cipher = ALWAYS, records_per_key: int | None = None) -> None:
        """`records_per_key` is for tests, which cannot wait for so many records."""
        self.cipher = cipher
        """What the records are encrypted with."""
        self._cipher: Aead = cipher.aead(key)
        self._nonce = cipher.nonce.pack
        self._count = 0
        self._per_key = records_per_key or cipher.records_per_key or _LAST_NONCE + 1
        self._renew_at = self._per_key

    def _renew(self) -> None:
        """Take the next key, which no record has been encrypted with."""
        key = self._cipher.encrypt(self._nonce(_REKEY_NONCE), bytes(_KEY_BYTES), b"")[:_KEY_BYTES]
        self._cipher = self.cipher.aead(key)
        self._renew_at += self._per_key


class Sealer(_Keys):
    """Encrypts the records of one direction. Not for concurrent use."""

    __slots__ = ()

    def seal(self, buffer: memoryview, start: int, length: int) -> int:
        """Make a record of the `length` bytes of plaintext at `start + 2`, in place; return the position behind it.

        `buffer` has space for the tag behind the plaintext.
        """
        assert length <= MAX_PLAINTEXT_BYTES
        assert self._count <= _LAST_NONCE
        if self._count == self._renew_at:
            self._renew()
        nonce = self._nonce(self._count)
        self._count += 1
        begin = start + 2
        end = begin + length
        stop = end + TAG_BYTES
        self._cipher.encrypt_into(nonce, buffer[begin:end], None, buffer[begin:stop])
        LENGTH.pack_into(buffer, start, length + TAG_BYTES)
        return stop


class Opener(_Keys):
    """Decrypts the records of one direction. Not for concurrent use."""

    __slots__ = ()

    def open_untrusted(self, record: Buffer, into: memoryview) -> int:
        """Decrypt `record` (without its length) into `into`; return the number of bytes of plaintext.

        Raises BadRecord if it is too short, or is not the next record that the peer encrypted.
        """
        length = len(record) - TAG_BYTES
        if length < 1 or self._count > _LAST_NONCE:
            raise BadRecord("a record is empty")
        if self._count == self._renew_at:
            self._renew()
        try:
            self._cipher.decrypt_into(self._nonce(self._count), record, None, into[:length])
        except InvalidTag as error:
            raise BadRecord("a record does not decrypt") from error
        self._count += 1
        return length


class Splitter:
    """Cuts a stream of bytes into length-prefixed pieces. Keeps at most one incomplete piece (64 KiB)."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    @property
    def held(self) -> int:
        """Bytes of an incomplete piece that are kept."""
        return len(self._rest)

    def expected(self) -> int | None:
        """The length that the incomplete piece announces, or None if not even that is there."""
        return LENGTH.unpack_from(self._rest)[0] if len(self._rest) >= 2 else None

    def split(self, data: Buffer) -> list[Buffer]:
        """Return every piece that `data` completes, without its length; the pieces are views of `data` where they can
        be."""
        pieces: list[Buffer] = []
        rest = self._rest
        view = memoryview(data)
        position = 0
        if rest:
            if len(rest) == 1:
                rest += view[:1]
                position = min(1, len(view))
                if len(rest) == 1:
                    return pieces
            missing = LENGTH.unpack_from(rest)[0] + 2 - len(rest)
            rest += view[position : position + missing]
            if len(view) - position < missing:
                return pieces
            position += missing
            self._rest = bytearray()
            pieces.append(memoryview(rest)[2:])
        size = len(view)
        while size - position >= 2:
            begin = position + 2
            end = begin + LENGTH.unpack_from(view, position)[0]
            if end > size:
                break
            pieces.append(view[begin:end])
            position = end
        if position < size:
            self._rest += view[position:]
        return pieces
