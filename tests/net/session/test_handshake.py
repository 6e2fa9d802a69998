"""The Noise handshake against published vectors, and the proof of a node's name in it."""

import gc
import warnings
import weakref

import pytest

from net.base.ciphers import ALWAYS, Cipher
from net.base.errors import BadHandshake
from net.session.handshake import (
    Accept,
    Connect,
    Greeting,
    Handshake,
    Noise,
    decode_greeting_untrusted,
    encode_greeting,
)
from net.session.sealing import Opener, Sealer
from tests.net.frames import (
    INITIATOR_EPHEMERAL,
    INITIATOR_STATIC,
    PROLOGUE,
    PUBLISHED,
    RESPONDER_EPHEMERAL,
    RESPONDER_STATIC,
)
from tests.net.world import entropy_of, identity_of

both_ciphers = pytest.mark.parametrize("cipher", Cipher, ids=lambda cipher: cipher.value)


def noise_pair(cipher: Cipher = ALWAYS) -> tuple[Noise, Noise]:
    """Initiator and responder of the vectors."""
    secrets = ((INITIATOR_STATIC, INITIATOR_EPHEMERAL), (RESPONDER_STATIC, RESPONDER_EPHEMERAL))
    first, second = (
        Noise(initiator=not index, static=static, ephemeral=ephemeral, cipher=cipher, prologue=PROLOGUE)
        for index, (static, ephemeral) in enumerate(secrets)
    )
    return first, second


@both_ciphers
def test_the_handshake_is_that_of_the_published_vectors(cipher: Cipher) -> None:
    sides = noise_pair(cipher)
    hashes = []
    for index, (payload, ciphertext) in enumerate(PUBLISHED[cipher].handshake):
        writer, reader = sides[index % 2], sides[1 - index % 2]
        message = writer.write(bytes.fromhex(payload))
        assert message.hex() == ciphertext
        assert reader.read_untrusted(message).hex() == payload
        assert writer.hash == reader.hash
        hashes.append(writer.hash.hex())
    after, published = PUBLISHED[cipher].hash
    assert hashes[after - 1] == published
    assert all(side.finished for side in sides)


@both_ciphers
def test_the_records_are_those_of_the_published_vectors(cipher: Cipher) -> None:
    initiator, responder = noise_pair(cipher)
    for index, (payload, _) in enumerate(PUBLISHED[cipher].handshake):
        writer, reader = (initiator, responder) if index % 2 == 0 else (responder, initiator)
        reader.read_untrusted(writer.write(bytes.fromhex(payload)))
    channels = [responder.split(), initiator.split()]
    for index, (payload, ciphertext) in enumerate(PUBLISHED[cipher].transport):
        sealer: Sealer = channels[index % 2][0]
        opener: Opener = channels[1 - index % 2][1]
        plaintext = bytes.fromhex(payload)
        buffer = bytearray(2) + plaintext + bytes(16)
        assert sealer.seal(memoryview(buffer), 0, len(plaintext)) == len(buffer)
        assert buffer[2:].hex() == ciphertext
        out = bytearray(len(plaintext))
        assert opener.open_untrusted(memoryview(buffer)[2:], memoryview(out)) == len(plaintext)
        assert out == plaintext


def test_setting_the_ephemeral_key_prints_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, _ = noise_pair()
        assert len(first.write(b"")) == 32


def handshakes(seed: str = "") -> tuple[Handshake, Handshake]:
    """Ann dials Bob."""
    ann, bob = entropy_of(f"ann{seed}"), entropy_of(f"bob{seed}")
    return (
        Handshake(identity_of("ann.test"), b"a record", initiator=True, static=ann(32), entropy=ann),
        Handshake(identity_of("bob.test"), None, initiator=False, static=bob(32), entropy=bob),
    )


def test_each_side_learns_and_proves_the_others_name() -> None:
    ann, bob = handshakes()
    assert bob.read_untrusted(ann.begin()) is None
    greeting = ann.read_untrusted(bob.write())
    assert greeting is not None
    assert (greeting.name, greeting.record) == ("bob.test", None)
    assert ann.proves(identity_of("bob.test").public_key)
    assert not ann.proves(identity_of("bob.test", "another key").public_key)
    greeting = bob.read_untrusted(ann.write())
    assert greeting is not None
    assert (greeting.name, greeting.record) == ("ann.test", b"a record")
    assert bob.proves(identity_of("ann.test").public_key)
    assert not bob.proves(identity_of("bob.test").public_key)
    assert ann.finished
    assert bob.finished


def test_nothing_is_proven_before_the_greeting() -> None:
    ann, _ = handshakes()
    ann.begin()
    assert not ann.proves(identity_of("bob.test").public_key)


def test_the_same_entropy_gives_the_same_messages() -> None:
    def run() -> list[bytes]:
        ann, bob = handshakes()
        messages = [ann.begin()]
        bob.read_untrusted(messages[0])
        messages.append(bob.write())
        ann.read_untrusted(messages[1])
        return [*messages, ann.write()]

    assert run() == run()


def test_a_message_of_another_handshake_does_not_fit() -> None:
    ann, bob = handshakes()
    _, other = handshakes("another boot")
    first = ann.begin()
    bob.read_untrusted(first)
    other.read_untrusted(first)
    other.write()
    ann.read_untrusted(bob.write())
    with pytest.raises(BadHandshake):
        other.read_untrusted(ann.write())


def test_a_point_of_small_order_is_bad() -> None:
    _, bob = handshakes()
    bob.read_untrusted(bytes(32))
    with pytest.raises(BadHandshake):
        bob.write()


def test_a_first_message_with_a_payload_is_bad() -> None:
    _, bob = handshakes()
    with pytest.raises(BadHandshake):
        bob.read_untrusted(bytes(range(33)))


@pytest.mark.parametrize("size", [0, 1, 31, 9000])
def test_messages_of_impossible_length_are_bad(size: int) -> None:
    _, bob = handshakes()
    with pytest.raises(BadHandshake):
        bob.read_untrusted(bytes(size))


@pytest.mark.parametrize(
    "greeting",
    [
        Greeting("NOT A NAME", bytes(64), None),
        Greeting("ann.test", bytes(63), None),
        Greeting("ann.test", bytes(64), bytes(5000)),
        Greeting("ann.test", bytes(64), None, Connect("not a name")),
        Greeting("ann.test", bytes(64), None, Accept(bytes(15))),
    ],
)
def test_malformed_greetings_are_bad(greeting: Greeting) -> None:
    with pytest.raises(BadHandshake):
        decode_greeting_untrusted(encode_greeting(greeting))


@pytest.mark.parametrize("circuit", [None, Connect("bob.test"), Accept(bytes(16))])
def test_a_greeting_survives_encoding(circuit: Connect | Accept | None) -> None:
    greeting = Greeting("ann.test", bytes(64), b"record", circuit)
    assert decode_greeting_untrusted(encode_greeting(greeting)) == greeting


def test_whoever_is_dialed_cannot_make_the_connection_a_leg_of_a_circuit() -> None:
    dialer, acceptor = handshakes()
    acceptor.circuit = Connect("ann.test")
    acceptor.read_untrusted(dialer.begin())
    with pytest.raises(BadHandshake):
        dialer.read_untrusted(acceptor.write())


def test_a_greeting_with_a_tag_a_length_that_is_announced_later_or_too_few_fields_is_bad() -> None:
    good = encode_greeting(Greeting("ann.test", bytes(64), None))
    for data in (b"\x85\xc2\x41\x01" + good[2:], b"\x9f" + good[1:] + b"\xff", b"\x82\x01\x02"):
        with pytest.raises(BadHandshake):
            decode_greeting_untrusted(data)


def test_after_the_split_the_handshakes_state_is_gone_and_the_proof_is_not() -> None:
    dialer, acceptor = handshakes()
    acceptor.read_untrusted(dialer.begin())
    dialer.read_untrusted(acceptor.write())
    acceptor.read_untrusted(dialer.write())
    state = weakref.ref(acceptor._noise)
    acceptor.split()
    assert state() is None
    assert (acceptor.finished, acceptor.proves(identity_of("ann.test").public_key)) == (True, True)
    assert not acceptor.proves(identity_of("bob.test").public_key)


@pytest.mark.parametrize("messages", range(4))
def test_a_handshake_that_is_given_up_leaves_nothing_that_only_the_collector_frees(messages: int) -> None:
    dialer, acceptor = handshakes()
    if messages > 0:
        acceptor.read_untrusted(dialer.begin())
    if messages > 1:
        dialer.read_untrusted(acceptor.write())
    if messages > 2:
        acceptor.read_untrusted(dialer.write())
    protocols = [weakref.ref(each._noise._connection.noise_protocol) for each in (dialer, acceptor)]
    gc.disable()  # a flood of dials would make garbage by the hundred thousand, whose collection stops the node
    try:
        del dialer, acceptor
        assert [each() for each in protocols] == [None, None]
    finally:
        gc.enable()


def test_whoever_is_dialed_makes_no_keys_before_the_first_message_is_there() -> None:
    _, acceptor = handshakes()
    assert acceptor._state is None
    assert not acceptor.finished
