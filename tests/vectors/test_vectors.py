"""The vectors are those that the code makes, and an implementation that shares no code with it makes the same."""

from __future__ import annotations

import base64
import json
import re
import struct
from typing import Any

import cbor2
import pytest
from cddl_verifier import schema_diagnostics, validate
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from net.base import frames
from net.base.errors import BadFrame
from net.names.directory import decode_record_untrusted
from net.names.invitation import parse_invitation_untrusted, read_invitation_untrusted
from net.session.handshake import Accept, Connect, Greeting, encode_greeting
from tests.net.frames import (
    DOCUMENT,
)
from tests.net.independent import NO_BLOB, Cipher, Memory, Noise, Peer, frames_of, marks, public
from tests.vectors.generate import FILE, PAIR, vectors

STORED: dict[str, Any] = json.loads(FILE.read_text())


def unhex(value: str | None) -> bytes | None:
    """The bytes, or none."""
    return None if value is None else bytes.fromhex(value)


def test_the_file_is_what_the_code_makes() -> None:
    assert vectors() == STORED, "run `make vectors`, and look at what it changes"


@pytest.mark.parametrize("vector", STORED["frames"], ids=lambda each: f"{each['frame']} {each['bytes'][:24]}")
def test_a_frame_is_read_by_both(vector: dict[str, str]) -> None:
    data = bytes.fromhex(vector["bytes"])
    (frame,) = frames.decode_frames_untrusted(memoryview(data), {0: PAIR})
    assert type(frame).__name__.lower() == vector["frame"]
    if isinstance(frame, frames.Data):
        assert frame.pair == (PAIR if "version 2" in vector.get("what", "") else None)
    ((head, body),) = frames_of(data)
    assert head + body == data
    if not isinstance(frame, frames.Data):
        assert frames.encode_control(frame) == data


def test_every_kind_of_frame_has_a_vector() -> None:
    kinds = {each.__name__.lower() for each in frames._FIELDS}
    assert {each["frame"] for each in STORED["frames"]} == kinds | {"data", "ack"}


@pytest.mark.parametrize("vector", STORED["records"], ids=lambda each: each["what"])
def test_the_signatures_of_a_name_record_are_those_of_the_keys_that_it_names(vector: dict[str, str]) -> None:
    body, data = bytes.fromhex(vector["body"]), bytes.fromhex(vector["bytes"])
    signatures = [unhex(vector[name]) for name in ("signature", "change", "grant")]
    assert cbor2.loads(data) == [body, *signatures]
    assert decode_record_untrusted(data).encode() == data
    fields = cbor2.loads(body)
    makers = ("key seed", "previous key seed", "registrar seed")
    domains = (b"nectar/1 name record", b"nectar/1 key change", b"nectar/1 grant")
    for maker, domain, signature in zip(makers, domains, signatures, strict=True):
        seed = unhex(vector[maker])
        made = None if seed is None else Ed25519PrivateKey.from_private_bytes(seed).sign(domain + b"\0" + body)
        assert made == signature
    assert signatures[0] is not None
    Ed25519PublicKey.from_public_bytes(fields[2]).verify(signatures[0], domains[0] + b"\0" + body)
    read = decode_record_untrusted(data).record
    assert marks(data) == (read.epoch, read.copy)
    assert ("epoch" in vector["what"]) == (marks(data) != (0, 0))


def side(secrets: dict[str, str], other: dict[str, str]) -> Peer:
    """The independent peer with the secrets of a vector."""
    aes = cbor2.loads(cbor2.loads(bytes.fromhex(secrets["record"]))[0])[10:] == [["AESGCM"]]
    noise = Noise(bytes.fromhex(secrets["static"]), bytes.fromhex(secrets["ephemeral"]), aes=aes)
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(other["seed"]))
    keys = {other["name"]: public(key)}
    peer = Peer(secrets["name"], bytes.fromhex(secrets["seed"]), keys, noise, Memory(bytes(16)))
    peer.record = bytes.fromhex(secrets["record"])
    peer.begin = lambda: None  # type: ignore[method-assign]
    return peer


@pytest.mark.parametrize(
    "vector", STORED["handshakes"], ids=lambda each: f"{each['cipher']}, circuit {each['circuit']}"
)
def test_a_handshake_of_an_independent_peer_has_the_same_bytes_in_either_role(vector: dict[str, Any]) -> None:
    dialer, acceptor = side(vector["dialer"], vector["acceptor"]), side(vector["acceptor"], vector["dialer"])
    circuit = vector["circuit"]
    if circuit is not None:
        dialer.circuit = [0, circuit] if "." in circuit else [1, bytes.fromhex(circuit)]
    dialer.dial(vector["acceptor"]["name"])
    pieces, hashes = [dialer.take()], [dialer.noise.h]
    acceptor.feed(pieces[0])
    pieces.append(acceptor.take())
    hashes.append(acceptor.noise.h)
    dialer.feed(pieces[1])
    pieces.append(dialer.take())
    hashes.append(dialer.noise.h)
    acceptor.feed(pieces[2])
    assert [piece[2:].hex() for piece in pieces] == vector["pieces"]
    assert [struct.unpack_from(">H", piece)[0] for piece in pieces] == [len(piece) - 2 for piece in pieces]
    assert [each.hex() for each in hashes] == vector["hash after each"]
    assert acceptor.noise.h == hashes[2]
    for peer, name in ((dialer, "dialer"), (acceptor, "acceptor")):
        peer.say(4)
        assert peer.take()[2:].hex() == vector[f"first record of the {name}, a ping"]


def opened(connection: dict[str, Any]) -> list[tuple[str, bytes, bytes]]:
    """Sender, header and body of each frame of a connection, decrypted with the secrets of its handshake."""
    streams: dict[str, bytes] = {}
    order: list[tuple[str, bytes]] = []
    for part in connection["stream"]:
        stream = streams.get(part["from"], b"") + bytes.fromhex(part["bytes"])
        while len(stream) >= 2 and len(stream) >= 2 + (size := int.from_bytes(stream[:2], "big")):
            order.append((part["from"], stream[2 : 2 + size]))
            stream = stream[2 + size :]
        streams[part["from"]] = stream
    dialer = side(connection["dialer"], connection["acceptor"])
    dialer.dial(connection["acceptor"]["name"])
    first = dialer.take()
    dialer.feed(struct.pack(">H", len(order[1][1])) + order[1][1])
    assert [first[2:], dialer.take()[2:]] == [order[0][1], order[2][1]]
    assert dialer.writer is not None
    assert dialer.reader is not None
    ciphers: dict[str, Cipher] = {dialer.name: dialer.writer, connection["acceptor"]["name"]: dialer.reader}
    return [(who, *frame) for who, piece in order[3:] for frame in frames_of(ciphers[who].open(piece))]


@pytest.mark.parametrize("name", ["session", "session of version 2", "session of version 3"])
def test_all_bytes_of_the_session_can_be_read_and_make_its_messages(name: str) -> None:
    begun: dict[tuple[str, int], tuple[int, int, bytes]] = {}
    kinds: list[list[int]] = []
    acks = 0
    flags = set()
    for connection in STORED[name]["connections"]:
        controls = []
        for who, head, body in opened(connection):
            if head[0] == 0:
                controls.append(cbor2.loads(body)[0])
                continue
            if head[0] == frames.ACK:
                acks += 1
                continue
            key = (who, struct.unpack_from(">Q", head, 4)[0])
            flags.add(head[1])
            if head[1]:
                begun[key] = (*struct.unpack_from(">II", head, 12), b"")
            header, blob, there = begun[key]
            begun[key] = (header, blob, there + body)
        kinds.append(controls)
    found = {
        (who, there[:header], None if blob == NO_BLOB else there[header:])
        for (who, _), (header, blob, there) in begun.items()
    }
    names = ("ann.test", "bob.test")
    expected = {
        (names[each["to"] == names[0]], bytes.fromhex(each["header"]), unhex(each["blob"]))
        for each in STORED[name]["messages"]
    }
    assert found == expected
    assert all(controls[:2] == [1, 1] for controls in kinds), "resume frames come first"
    assert {4, 5} <= {kind for controls in kinds for kind in controls}
    assert acks
    assert flags - {0} == ({1} if name == "session" else {1, 3, 5})
    assert kinds[1][-1] == 6


# --- the grammar ----------------------------------------------------------------------------------------------------


def grammar() -> str:
    """All rules of the page; the types that it uses without defining them are CDDL's own."""
    return "\n".join(re.findall(r"```cddl\n(.*?)```", DOCUMENT.read_text(), re.S))


def test_the_grammar_itself_is_sound() -> None:
    assert schema_diagnostics(grammar()) == ()


def accepts(rule: str, data: bytes) -> bool:
    """Whether a CBOR value is as one rule of the page says."""
    return bool(validate(grammar(), data, rule))


def test_the_grammar_has_a_rule_for_each_control_frame() -> None:
    (choice,) = re.findall(r"^control = ([a-z/\s]*?)\n\n", grammar(), re.M)
    assert set(re.split(r"[/\s]+", choice)) == {each.__name__.lower() for each in frames._FIELDS}


def test_the_frames_records_and_greetings_are_as_the_grammar_says() -> None:
    for vector in STORED["frames"]:
        if vector["frame"] not in ("data", "ack"):
            assert accepts("control", bytes.fromhex(vector["bytes"])[4:]), vector
            assert accepts(vector["frame"], bytes.fromhex(vector["bytes"])[4:]), vector
    for vector in STORED["records"]:
        assert accepts("record", bytes.fromhex(vector["body"])), vector
        assert accepts("signed-fields", bytes.fromhex(vector["bytes"])), vector
    for circuit in (None, Connect("cid.test"), Accept(bytes(16))):
        assert accepts("greeting", encode_greeting(Greeting("ann.test", bytes(64), b"record", circuit)))
    for vector in STORED["invitations"]:
        token = bytes.fromhex(vector["bytes"])
        assert accepts("signed-invitation", token), vector
        assert accepts("terms", cbor2.loads(token)[0]), vector


@pytest.mark.parametrize(
    "fields",
    [
        [6],
        [4, 1],
        [99],
        [7, 1, "NO NAME"],
        [14, b"short", "ann.test"],
        [3, 1, 2049],
        [1, bytes(15), 0, 1, 1, 1, None],
        [1, bytes(16), 0, 1, 1, 1, [bytes(16), 0, 1, [[1]], []]],
    ],
    ids=lambda each: repr(each)[:40],
)
def test_the_grammar_refuses_what_the_code_refuses(fields: list[object]) -> None:
    with pytest.raises(BadFrame):
        frames.decode_control_untrusted(cbor2.dumps(fields))
    assert not accepts("control", cbor2.dumps(fields))


@pytest.mark.parametrize("vector", STORED["invitations"], ids=lambda each: str(each["name"]))
def test_an_invitation_is_what_its_fields_say_signed_by_the_registrar(vector: dict[str, Any]) -> None:
    token, key = bytes.fromhex(vector["bytes"]), bytes.fromhex(vector["public_key"])
    body, signature = cbor2.loads(token)
    Ed25519PublicKey.from_public_bytes(key).verify(signature, b"nectar/1 invitation\0" + body)
    fields = [1, bytes.fromhex(vector["id"]), vector["uses"], vector["expires_at"], vector["name"]]
    assert cbor2.loads(body) == fields
    text = base64.urlsafe_b64encode(token).decode().rstrip("=")
    assert vector["text"] == f"nectar-invitation-1.{text}"
    assert parse_invitation_untrusted(vector["text"]) == token
    invitation = read_invitation_untrusted(token, key)
    assert [1, invitation.id, invitation.uses, invitation.expires_at, invitation.name] == fields
