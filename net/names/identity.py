"""The identity of a node: its name and its Ed25519 key. Knows no file (see `keyfile`) and no record (see
`directory`)."""

from hashlib import blake2b, sha256

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from net.base.node_names import is_node_name

KEY_BYTES = 32
"""Bytes of an Ed25519 seed, and of an Ed25519 public key."""
SIGNATURE_BYTES = 64
"""Bytes of an Ed25519 signature."""
_FINGERPRINT_BYTES = 10
"""80 bits: short enough to be compared by eye, too long to be hit by trying keys."""


class Identity:
    """A node's name and signing key. The repr shows no secret."""

    __slots__ = ("_key", "name", "public_key")

    def __init__(self, name: str, seed: bytes) -> None:
        """`seed` is 32 secret bytes. Raises ValueError if it has another length, or `name` is not a node name (G1)."""
        if not is_node_name(name):
            raise ValueError(f"not a node name: {name!r}")
        if len(seed) != KEY_BYTES:
            raise ValueError("a node key's seed is 32 bytes")
        self.name = name
        self._key = SigningKey(seed)
        self.public_key: bytes = bytes(self._key.verify_key)

    @property
    def seed(self) -> bytes:
        """The 32 secret bytes, for the key file."""
        return bytes(self._key)

    def sign(self, domain: bytes, message: bytes) -> bytes:
        """Return the 64-byte signature of `message` for the purpose that `domain` names."""
        return self._key.sign(domain + b"\0" + message).signature

    def derive(self, purpose: bytes) -> bytes:
        """Return 32 secret bytes that only the holder of this key can compute, different ones for each `purpose`."""
        return blake2b(purpose, key=bytes(self._key), digest_size=KEY_BYTES, person=b"nectar/1 derive").digest()

    def __repr__(self) -> str:
        return f"Identity({self.name}, {self.public_key.hex()[:16]})"


def fingerprint(public_key: bytes) -> str:
    """Return a key's fingerprint for people to compare: the beginning of its SHA-256 hash, in groups of four
    hexadecimal digits."""
    return sha256(public_key).digest()[:_FINGERPRINT_BYTES].hex(" ", 2)


def verify_untrusted(public_key: bytes, domain: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether `signature` is `public_key`'s over `message` for the purpose `domain`. Raises nothing."""
    if len(public_key) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        VerifyKey(public_key).verify(domain + b"\0" + message, signature)
    except BadSignatureError:
        return False
    return True
