"""The proof by which a node that has nothing but the recovery phrase may read what another node keeps.

The phrase gives a signing key. Its public half lies at the keeper, put there by the node whose backup it is. A visitor
signs the names of the keeper, of itself and of the backup's node, and a nonce of the keeper's: so a proof is of use to
nobody else, and at no other time.
"""

from __future__ import annotations

import cbor2
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from nectar_node.backup.format.keys import KEY_BYTES, derive

NONCE_BYTES = 32
SIGNATURE_BYTES = 64
_MAGIC = "nectar-backup access 1"


def access_key(key: bytes) -> bytes:
    """Return the public key that the phrase with this `key` (`keys.phrase_key`) can prove to know, 32 bytes."""
    return bytes(_signing(key).verify_key)


def prove(key: bytes, keeper: str, visitor: str, owner: str, nonce: bytes) -> bytes:
    """Return the proof that `visitor` knows the phrase of `owner`, 64 bytes, for the keeper that gave the `nonce`."""
    return bytes(_signing(key).sign(_statement(keeper, visitor, owner, nonce)).signature)


def is_proof_untrusted(public: bytes, keeper: str, visitor: str, owner: str, nonce: bytes, proof: bytes) -> bool:
    """Whether somebody with the phrase of this public key has made the proof. Raises nothing."""
    if len(public) != KEY_BYTES or len(proof) != SIGNATURE_BYTES:
        return False
    try:
        VerifyKey(public).verify(_statement(keeper, visitor, owner, nonce), proof)
    except BadSignatureError:
        return False
    return True


def _signing(key: bytes) -> SigningKey:
    return SigningKey(derive("access", key))


def _statement(keeper: str, visitor: str, owner: str, nonce: bytes) -> bytes:
    return cbor2.dumps([_MAGIC, keeper, visitor, owner, nonce])
