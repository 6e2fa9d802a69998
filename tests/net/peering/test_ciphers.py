"""Two nodes use AES-GCM if the name records of both list it, and nobody else can make them use another cipher."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cbor2
import pytest

from net.base.ciphers import Cipher, choose
from net.base.errors import RecordInvalid
from net.contract.events import FailureReason, Log
from net.names.directory import (
    Endpoint,
    HeldRecord,
    RegistrarDirectory,
    SignedRecord,
    decode_record_untrusted,
    grant_record,
    sign_record,
)
from net.names.identity import Identity
from net.names.registrar import Registrar
from net.peering.network import NetworkConfig
from net.session.reach import LookUp, Reach, Route, Try
from tests.net.joined import join, joined, registrar_in, stored
from tests.net.world import (
    GENESIS,
    PORT,
    REGISTRAR,
    Node,
    Wire,
    World,
    host_of,
    identity_of,
    record_of,
    static_directory,
)

ANN, BOB, ROD = (identity_of(f"{name}.test") for name in ("ann", "bob", "rod"))
AES = (Cipher.AES_GCM,)
BY_AES, BY_CHACHA = "AES-GCM", "ChaCha20-Poly1305"


def listing(identity: Identity, *ciphers: Cipher, sequence: int = 1) -> SignedRecord:
    """A granted record that lists these."""
    record = replace(record_of(identity, sequence).record, ciphers=ciphers)
    return grant_record(sign_record(record, identity), REGISTRAR)


def ciphers_of(node: Node) -> dict[str, str | None]:
    """What its sessions are encrypted with, by the peer."""
    return {peer.name: peer.cipher for peer in node.network.peers()}


def registered(node: Node) -> tuple[Cipher, ...]:
    """What the record lists that it was granted last."""
    return stored(node)[-1].read().ciphers


def dials_of(node: Node, peer: Identity) -> int:
    """How often it has dialed that peer."""
    return [host for _, host, _ in node.dials].count(host_of(peer.name))


@pytest.mark.parametrize("first", [(), AES])
@pytest.mark.parametrize("second", [(), AES])
def test_two_nodes_use_aes_gcm_if_both_list_it(first: tuple[Cipher, ...], second: tuple[Cipher, ...]) -> None:
    world, registrar, _ = joined()
    ann, bob = join(world, ANN, ciphers=first), join(world, BOB, ciphers=second)
    world.settle()
    world.send(ann, BOB.name, b"hello")
    world.settle()
    assert bob.headers() == [b"hello"]
    expected = BY_AES if first and second else BY_CHACHA
    assert ciphers_of(ann) == {BOB.name: expected, REGISTRAR.name: BY_CHACHA}
    assert ciphers_of(bob) == {ANN.name: expected, REGISTRAR.name: BY_CHACHA}
    assert choose(first, second) is choose(second, first)
    assert set(ciphers_of(registrar).values()) == {BY_CHACHA}


@pytest.mark.parametrize("had", [(), AES])
def test_an_outdated_record_of_the_peer_costs_one_handshake_and_not_the_cipher(had: tuple[Cipher, ...]) -> None:
    world, _, _ = joined()
    stale = RegistrarDirectory(GENESIS, [listing(BOB, *had).held()])
    now_has = () if had else AES
    ann = join(world, ANN, stale, ciphers=AES)
    bob = join(world, BOB, RegistrarDirectory(GENESIS, [listing(BOB, *had).held()]), ciphers=now_has)
    world.settle()
    world.send(ann, BOB.name, b"hello")
    world.settle()
    assert bob.headers() == [b"hello"]
    assert world.now == 0.0
    assert ciphers_of(ann)[BOB.name] == (BY_AES if now_has else BY_CHACHA)
    lines = [event.text for event in ann.of(Log) if isinstance(event, Log) and "outdated" in event.text]
    assert len(lines) == 1
    assert dials_of(ann, BOB) == 2


def test_a_lying_registrar_cannot_make_two_nodes_use_the_weaker_cipher() -> None:
    """It goes on giving out a record of before, and the peer, which has a newer one, is believed about itself."""
    world = World()
    registrar_in(world, [listing(BOB).held()])
    ann = join(world, ANN, ciphers=AES)
    newer = RegistrarDirectory(GENESIS, [listing(BOB, *AES, sequence=7).held()])
    bob = world.add(BOB, newer, NetworkConfig(ciphers=AES))
    world.settle()
    for text in (b"first", b"second"):
        world.send(ann, BOB.name, text)
        world.settle()
    assert bob.headers() == [b"first", b"second"]
    assert ciphers_of(ann)[BOB.name] == BY_AES


def test_without_the_registrar_a_changed_list_is_learned_from_the_peer_itself() -> None:
    """Nobody grants its new record, so that is not in the directory; what it shows counts."""
    world = World()
    ann = world.add(ANN, RegistrarDirectory(GENESIS, [listing(each, *AES).held() for each in (ANN, BOB)]))
    kept = RegistrarDirectory(GENESIS, [listing(each, *AES).held() for each in (ANN, BOB)])
    bob = join(world, BOB, kept, ciphers=())
    world.settle()
    world.send(ann, BOB.name, b"hello")
    world.settle()
    assert bob.headers() == [b"hello"]
    assert ciphers_of(ann)[BOB.name] == BY_CHACHA
    world.cut(world.wires[-1])
    dials = dials_of(ann, BOB)
    world.send(ann, BOB.name, b"again")
    world.run(1.0)
    assert bob.headers() == [b"hello", b"again"]
    assert dials_of(ann, BOB) == dials + 1, "it remembers what the peer has shown"


@pytest.mark.parametrize("choice", [b"", b"\1"])
def test_who_changes_the_choice_on_the_way_breaks_the_handshake_alone(choice: bytes) -> None:
    """Message 1 is not encrypted. The dialer never dials with another cipher for that: it reaches the peer, with the
    right one, when the attacker is gone."""
    listed = AES if not choice else ()
    world, _, _ = joined()
    ann, bob = join(world, ANN, ciphers=listed), join(world, BOB, ciphers=listed)
    world.settle()

    def alter(data: bytes, to: int) -> bytes:
        size = 32 + (not choice)
        if to == 1 and data[:2] == size.to_bytes(2, "big"):
            return (32 + len(choice)).to_bytes(2, "big") + data[2:34] + choice
        return data

    def attack(wire: Wire) -> None:
        wire.alter = alter

    world.on_wire = attack
    world.send(ann, BOB.name, b"hello")
    world.run(1.0)
    assert bob.headers() == []
    world.on_wire = lambda wire: None
    world.run(3.0)
    assert bob.headers() == [b"hello"]
    assert ciphers_of(ann)[BOB.name] == (BY_AES if listed else BY_CHACHA)


def test_a_peer_that_shows_another_list_each_time_is_dialed_no_more_often_than_one_that_fails() -> None:
    reach = Reach(5.0, reviving=False)
    route = Route(Endpoint(host_of(BOB.name), PORT))
    step = reach.begin((route,), 0.0, 0.5)
    assert isinstance(step, Try)
    reach.repeat()
    assert reach.failed(FailureReason.UNREACHABLE, 0.0, 0.5) == step
    reach.repeat()
    assert isinstance(reach.failed(FailureReason.UNREACHABLE, 0.0, 0.5), LookUp)


def test_a_node_on_another_machine_registers_what_that_lists() -> None:
    world, _, (ann,) = joined(ANN, ciphers=AES)
    kept = stored(ann)
    assert registered(ann) == AES
    world.crash(ann)
    ann = join(world, ANN, RegistrarDirectory(GENESIS, kept), ciphers=())
    world.settle()
    assert registered(ann) == ()


def test_in_a_network_of_a_static_file_nodes_go_by_what_they_show_each_other() -> None:
    """The file is signed where nobody knows what is fast on their machines."""
    world = World()
    ann, _ = (world.add(each, static_directory(ANN, BOB), NetworkConfig(ciphers=AES)) for each in (ANN, BOB))
    world.send(ann, BOB.name, b"hello")
    world.settle()
    assert ciphers_of(ann)[BOB.name] == BY_AES


@pytest.mark.parametrize("stale", ["router", "peer"])
def test_through_a_router_both_sessions_have_their_own_cipher(stale: str) -> None:
    """The router's record counts for the leg to it, the peer's for the session within; either may be outdated."""
    world, _, _ = joined()
    rod = join(world, ROD, ciphers=AES)
    bob = world.add(BOB, RegistrarDirectory(GENESIS), NetworkConfig(routers=(ROD.name,), register=True, ciphers=AES))
    world.run(2.0)
    known = {each.name: each for each in rod.network.records() + bob.network.records()}
    old = ROD if stale == "router" else BOB
    record = replace(known[old.name].read(), sequence=0, ciphers=())
    known[old.name] = grant_record(sign_record(record, old), REGISTRAR).held()
    ann = join(world, ANN, RegistrarDirectory(GENESIS, known.values()), ciphers=AES)
    world.settle()
    world.send(ann, BOB.name, b"hello")
    world.run(1.0)
    assert bob.headers() == [b"hello"]
    assert ciphers_of(ann)[BOB.name] == BY_AES
    assert ciphers_of(bob) == {ANN.name: BY_AES, ROD.name: BY_AES, REGISTRAR.name: BY_CHACHA}


def test_a_node_shows_what_it_lists_before_it_is_registered_again() -> None:
    """Others meet it as soon as it is back, perhaps before the registrar has granted its new record."""
    world, registrar, _ = joined()
    ann, bob = join(world, ANN, ciphers=AES), join(world, BOB, ciphers=AES)
    world.settle()
    world.send(ann, BOB.name, b"hello")
    world.settle()
    kept = stored(bob)
    world.crash(bob)
    world.crash(registrar)
    bob = world.add(BOB, RegistrarDirectory(GENESIS, kept), NetworkConfig(ciphers=()))
    world.send(ann, BOB.name, b"again")
    world.run(1.0)
    assert bob.headers() == [b"again"]
    assert ciphers_of(ann)[BOB.name] == BY_CHACHA


@pytest.mark.parametrize(("fields", "epoch"), [(10, 7), (8, 0)])
def test_with_a_registrar_from_before_ciphers_nodes_register_and_meet_without_them(
    monkeypatch: pytest.MonkeyPatch, fields: int, epoch: int
) -> None:
    """It takes a record with more fields than it knows for malformed: first one without ciphers, before that one
    without the number of revocations, too."""
    world = World()
    registrar = registrar_in(world)
    register = Registrar.register_untrusted

    def check(data: bytes) -> None:
        if len(cbor2.loads(cbor2.loads(data)[0])) > fields:
            raise RecordInvalid("a name record has other fields")

    def registering(self: Registrar, data: bytes, *others: Any) -> HeldRecord:
        check(data)
        return register(self, data, *others)

    def decoding(data: bytes) -> SignedRecord:
        check(data)
        return decode_record_untrusted(data)

    monkeypatch.setattr(Registrar, "register_untrusted", registering)
    monkeypatch.setattr("net.peering.admission.decode_record_untrusted", decoding)
    ann = join(world, ANN, ciphers=AES, epoch=7)
    bob = join(world, BOB, ciphers=AES, epoch=7)
    world.settle()
    granted = [stored(each)[-1].read() for each in (ann, bob)]
    assert [(each.ciphers, each.epoch) for each in granted] == [((), epoch)] * 2
    world.send(ann, BOB.name, b"hello")
    world.settle()
    assert bob.headers() == [b"hello"]
    assert ciphers_of(ann) == {BOB.name: BY_CHACHA, REGISTRAR.name: BY_CHACHA}
    assert dials_of(ann, BOB) == 1
    assert set(ciphers_of(registrar).values()) == {BY_CHACHA}
