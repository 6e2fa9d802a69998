"""A node's key: signs for a purpose, shows no secret."""

import pytest

from net.names.identity import Identity, verify_untrusted
from tests.net.world import identity_of

IDENTITY = Identity("ann.test", bytes(32))


def test_a_signature_holds_for_its_message_its_purpose_and_its_key() -> None:
    signature = IDENTITY.sign(b"purpose", b"message")
    key = IDENTITY.public_key
    assert verify_untrusted(key, b"purpose", b"message", signature)
    assert not verify_untrusted(key, b"purpose", b"another", signature)
    assert not verify_untrusted(key, b"another", b"message", signature)
    assert not verify_untrusted(Identity("ann.test", bytes([1] * 32)).public_key, b"purpose", b"message", signature)


def test_the_seed_makes_the_key() -> None:
    assert Identity("bob.test", IDENTITY.seed).public_key == IDENTITY.public_key


def test_the_repr_shows_no_secret() -> None:
    identity = Identity("ann.test", bytes(range(32)))
    assert identity.seed.hex()[:8] not in repr(identity)


@pytest.mark.parametrize(("name", "seed"), [("no dot", bytes(32)), ("ann.test", bytes(31))])
def test_what_is_no_name_or_no_seed_is_refused(name: str, seed: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a node name|32 bytes"):
        Identity(name, seed)


def test_what_is_derived_from_a_key_depends_on_key_and_purpose_alone() -> None:
    ann, bob = identity_of("ann.test"), identity_of("bob.test")
    derived = {each.derive(purpose) for each in (ann, bob) for purpose in (b"one", b"two")}
    assert len(derived) == 4
    assert ann.derive(b"one") == Identity("other.test", ann.seed).derive(b"one")
    assert ann.seed not in derived


def test_a_check_that_is_made_again_has_the_same_outcome_also_of_a_message_that_is_not_remembered() -> None:
    ours = Identity("a.nec", bytes(32))
    for message in (b"short", bytes(1 << 20)):
        signature = ours.sign(b"purpose", message)
        forged = bytes([signature[0] ^ 1]) + signature[1:]
        for _ in range(2):
            assert verify_untrusted(ours.public_key, b"purpose", message, signature)
            assert not verify_untrusted(ours.public_key, b"purpose", message, forged)
            assert not verify_untrusted(ours.public_key, b"other", message, signature)
