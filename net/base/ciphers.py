"""The ciphers that records may be encrypted with, and which of them two nodes use. Pure.

Every node can do both. A node *lists* AES-GCM in its name record if that is the faster one on its machine: most
processors have instructions for AES, without which ChaCha20-Poly1305 is faster. Two nodes use AES-GCM if both list it.
"""

import struct
from collections.abc import Iterable
from enum import Enum
from typing import TypeAlias

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from net.base.limits import RECORDS_PER_KEY

Aead: TypeAlias = ChaCha20Poly1305 | AESGCM


class Cipher(Enum):
    """A cipher, by the name that it has in Noise (section 12)."""

    CHACHA20_POLY1305 = "ChaChaPoly"
    AES_GCM = "AESGCM"

    def __init__(self, noise: str) -> None:
        aes = noise == "AESGCM"
        self.aead: type[ChaCha20Poly1305] | type[AESGCM] = AESGCM if aes else ChaCha20Poly1305
        """The implementation: OpenSSL's."""
        self.nonce = struct.Struct(">4xQ" if aes else "<4xQ")
        """Packs the number of a record."""
        self.records_per_key: int | None = RECORDS_PER_KEY if aes else None
        """After how many records a direction gets another key; None: a key is good for all of them."""
        self.protocol = f"Noise_XX_25519_{noise}_BLAKE2s".encode()
        """The whole Noise protocol."""
        self.prologue = b"nectar/1 AESGCM" if aes else b"nectar/1"
        """What both sides of the handshake put into its hash first. That of ChaCha20-Poly1305 is older than the
        choice."""
        self.tells = bytes((1,)) if aes else b""
        """The payload of the first handshake message: which cipher the dialer has chosen."""
        self.title = "AES-GCM" if aes else "ChaCha20-Poly1305"
        """For people."""


ALWAYS = Cipher.CHACHA20_POLY1305
"""What two nodes use unless both list another one."""
LISTED = {Cipher.AES_GCM.value: Cipher.AES_GCM}
"""What a name record may list, by the text in it."""


def listed(name: str) -> tuple[Cipher, ...]:
    """Return what the record of a node lists that is to use the cipher of that name; raises KeyError for a name that is
    none."""
    return () if name == ALWAYS.value else (LISTED[name],)


def choose(one: Iterable[Cipher], other: Iterable[Cipher]) -> Cipher:
    """Return the cipher that two nodes use, by what their records list; the same for both sides."""
    return Cipher.AES_GCM if Cipher.AES_GCM in one and Cipher.AES_GCM in other else ALWAYS


def told_untrusted(payload: bytes) -> Cipher | None:
    """Return the cipher that the payload of a first handshake message tells, or None if it tells none."""
    return next((cipher for cipher in Cipher if cipher.tells == payload), None)
