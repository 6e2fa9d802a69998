"""Which nodes may read what is kept for another: those that have proved to know its recovery phrase, for a while.

A nonce is a keyed hash of who asks, for whose backup, and when: so nothing is remembered until a proof is right, and no
number of strangers fills anything.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from blake3 import blake3

from nectar_node.backup.format.access import NONCE_BYTES, is_proof_untrusted

NONCE_SECONDS = 60.0
"""A nonce is good for as long as this, and at most twice as long."""
ACCESS_SECONDS = 24 * 3600.0
"""How long a visitor may read: 900 GB at 10 MB/s. It can prove the same once more."""
MAX_READERS = 256
"""Visitors at the same time, each of whom knows a phrase; the oldest goes first."""
_NUMBERS = 4
"""Of eight bytes, in the key of the nonces."""


class KeptAccess:
    """The visitors of one keeper."""

    def __init__(self, our: str, fresh_id: Callable[[], int]) -> None:
        """`fresh_id` is a source of unpredictable u64s."""
        self._our = our
        self._fresh_id = fresh_id
        self._secret = b""
        """The key of the nonces, once there is one."""
        self._readers: OrderedDict[tuple[str, str], float] = OrderedDict()
        """When access ends, by visitor and owner."""

    def nonce(self, visitor: str, owner: str, now: float) -> bytes:
        """Return the nonce that a visitor is to sign."""
        return self._nonce(visitor, owner, int(now // NONCE_SECONDS))

    def enter_untrusted(
        self, visitor: str, owner: str, access: tuple[bytes, ...], nonce: bytes, proof: bytes, now: float
    ) -> bool:
        """Let a visitor read if it has signed a nonce of the last minutes; return whether it has.

        `access` is the public keys of the owner's phrases.
        """
        period = int(now // NONCE_SECONDS)
        if nonce not in (self._nonce(visitor, owner, period), self._nonce(visitor, owner, period - 1)):
            return False
        if not any(is_proof_untrusted(key, self._our, visitor, owner, nonce, proof) for key in access):
            return False
        self._readers.pop((visitor, owner), None)
        self._readers[visitor, owner] = now + ACCESS_SECONDS
        if len(self._readers) > MAX_READERS:
            self._readers.popitem(last=False)
        return True

    def may_read(self, visitor: str, owner: str, now: float) -> bool:
        """Whether a visitor may read what is kept for `owner`."""
        return now < self._readers.get((visitor, owner), 0.0)

    def forget(self, owner: str) -> None:
        """End the access of all its visitors: its phrase has changed, or nothing is kept for it any more."""
        for key in [key for key in self._readers if key[1] == owner]:
            del self._readers[key]

    def _nonce(self, visitor: str, owner: str, period: int) -> bytes:
        if not self._secret:
            self._secret = b"".join(self._fresh_id().to_bytes(8, "big") for _ in range(_NUMBERS))
        return blake3(f"{visitor} {owner} {period}".encode(), key=self._secret).digest(NONCE_BYTES)
