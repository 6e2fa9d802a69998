"""Small objects, each encrypted as a whole and padded: key rings, index objects and heads."""

from __future__ import annotations

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt as _decrypt,
)
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_encrypt as _encrypt,
)
from nacl.exceptions import CryptoError

from nectar_node.backup.format.padding import padded

NONCE_BYTES = 24
TAG_BYTES = 16
_LENGTH_BYTES = 4
_FRAME_BYTES = NONCE_BYTES + TAG_BYTES + _LENGTH_BYTES


def seal(name: str, payload: bytes, key: bytes, nonce: bytes) -> bytes:
    """Return the object `name`: nonce, and the encrypted length, payload and zeros up to a padded size."""
    zeros = padded(_FRAME_BYTES + len(payload)) - _FRAME_BYTES - len(payload)
    plain = len(payload).to_bytes(_LENGTH_BYTES, "little") + payload + bytes(zeros)
    return nonce + _encrypt(plain, name.encode(), nonce, key)


def unseal(name: str, data: bytes, key: bytes) -> bytes | None:
    """Return the payload of the object `name`; None: it is not one that was sealed with this name and key."""
    if len(data) < _FRAME_BYTES:
        return None
    plain = decrypt(data[NONCE_BYTES:], name.encode(), data[:NONCE_BYTES], key)
    if plain is None:
        return None
    end = _LENGTH_BYTES + int.from_bytes(plain[:_LENGTH_BYTES], "little")
    return plain[_LENGTH_BYTES:end] if end <= len(plain) else None


def encrypt(plain: bytes, nonce: bytes, key: bytes) -> bytes:
    """Return `plain` encrypted with XChaCha20-Poly1305, 16 bytes longer."""
    return _encrypt(plain, None, nonce, key)


def decrypt(data: bytes, context: bytes | None, nonce: bytes, key: bytes) -> bytes | None:
    """Return what `data` encrypts; None: it was not encrypted so, or was altered."""
    if len(data) < TAG_BYTES:
        return None
    try:
        return _decrypt(data, context, nonce, key)
    except CryptoError:
        return None
