"""Capabilities between nodes whose networks are real: what is proven is kept, what is not is left out (G20, G21)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.address import Address, ProcessId
from kernel.capability import Capability
from kernel.grants import Grants
from kernel.message import Envelope, Request
from nectar_node.vouching import MAX_CLAIMS, Claim, Vouching
from net.events import LookedUp
from tests.net.test_peers_registrar import join, registrar_in
from tests.net.world import Node, World, identity_of

ISSUER = ProcessId("vault", "tests", "sys")
SENDER, TARGET = ProcessId("a", "tests", "sys"), ProcessId("b", "tests", "sys")
KEY = '"key"'


class Member:
    """A node's network, what its processes hold, and its vouching."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.node: Node = join(world, identity_of(name))
        self.grants = Grants(name)
        self.lines: list[str] = []
        self.vouching = Vouching(name, self.node.network, self.grants, self.lines.append)
        self._seen = 0

    def envelope(self, other: Member, *capabilities: Capability) -> Envelope:
        request = Request(False, None, b"", None, capabilities)
        return Envelope(1, Address(self.name, SENDER), Address(other.name, TARGET), None, request)

    def send(self, other: Member, *capabilities: Capability) -> list[tuple[Capability, ...]]:
        """What `other` makes of a message with these."""
        return other.take(self, self.vouching.sign(self.envelope(other, *capabilities)))

    def take(self, sender: Member, claims: tuple[Claim, ...]) -> list[tuple[Capability, ...]]:
        self.vouching.receive(sender.envelope(self)._replace(claimed=True), claims, None, self.world.now)
        return self.ready()

    def ready(self) -> list[tuple[Capability, ...]]:
        self.world.settle()
        lookups = [event for event in self.node.of(LookedUp) if isinstance(event, LookedUp)]
        for event in lookups[self._seen :]:
            self.vouching.looked_up(event.name, self.world.now)
        self._seen = len(lookups)
        messages = iter(self.vouching.next, None)
        return [envelope.message.capabilities for envelope, _ in messages]


@pytest.fixture
def members() -> tuple[Member, Member, Member]:
    world = World()
    registrar_in(world)
    ann, bob, cid = (Member(world, f"{name}.test") for name in ("ann", "bob", "cid"))
    world.settle()
    return ann, bob, cid


def issued_by(member: Member, params: str = KEY) -> Capability:
    return Capability(Address(member.name, ISSUER), params)


Three = tuple[Member, Member, Member]


def test_g20_a_capability_that_the_senders_node_has_signed_arrives(members: Three) -> None:
    ann, bob, _ = members
    assert ann.send(bob, issued_by(ann)) == [(issued_by(ann),)]


def test_g20_one_that_comes_back_to_its_issuer_is_verified(members: Three) -> None:
    ann, bob, _ = members
    ann.send(bob, issued_by(ann))
    assert bob.send(ann, issued_by(ann)) == [(issued_by(ann),)]


def test_g20_one_from_a_third_node_is_verified_with_that_nodes_key(members: Three) -> None:
    ann, bob, cid = members
    ann.send(bob, issued_by(ann))
    assert bob.send(cid, issued_by(ann)) == [(issued_by(ann),)]


def test_g20_one_that_nobody_has_signed_is_left_out_and_logged(members: Three) -> None:
    ann, bob, _ = members
    invented = Claim(Address(ann.name, ISSUER), KEY, 1, bytes(64))
    assert ann.take(bob, (invented,)) == [()]
    assert [line for line in ann.lines if "not proven" in line]


def test_g20_a_signature_is_worth_nothing_for_other_params(members: Three) -> None:
    ann, bob, _ = members
    (claim,) = ann.vouching.sign(ann.envelope(bob, issued_by(ann)))
    assert bob.take(ann, (claim._replace(params='"more"'),)) == [()]


def test_g20_a_node_cannot_sign_for_another(members: Three) -> None:
    ann, bob, cid = members
    (claim,) = bob.vouching.sign(bob.envelope(cid, issued_by(bob)))
    assert cid.take(bob, (claim._replace(issuer=Address(ann.name, ISSUER)),)) == [()]


def test_g20_what_a_node_cannot_prove_does_not_leave_it(members: Three) -> None:
    ann, bob, cid = members
    assert ann.vouching.sign(ann.envelope(bob, issued_by(cid))) == ()
    assert [line for line in ann.lines if "cannot be proven" in line]


def test_g20_the_issuer_of_a_name_that_nobody_has_is_not_believed(members: Three) -> None:
    ann, bob, _ = members
    claim = Claim(Address("nobody.test", ISSUER), KEY, 1, bytes(64))
    assert bob.take(ann, (claim,)) == [()]


def test_g20_two_issuers_of_names_that_nobody_has_do_not_hold_a_message_for_ever(members: Three) -> None:
    ann, bob, _ = members
    claims = tuple(Claim(Address(f"{name}.test", ISSUER), KEY, 1, bytes(64)) for name in ("nobody", "noone"))
    assert bob.take(ann, claims) == [()]


def test_g4_a_message_behind_one_that_waits_for_a_key_waits_too(members: Three) -> None:
    ann, bob, cid = members
    ann.send(bob, issued_by(ann))
    claims = bob.vouching.sign(bob.envelope(cid, issued_by(ann)))
    first, second = (bob.envelope(cid)._replace(id=id, claimed=True) for id in (1, 2))
    cid.vouching.receive(first, claims, None, 0.0)
    assert cid.vouching.next() is None
    assert cid.vouching.waits(second)
    cid.vouching.receive(second, (), None, 0.0)
    assert cid.ready() == [(issued_by(ann),), ()]
    assert not cid.vouching.waits(second)


def test_g21_a_revoked_capability_is_worth_nothing_when_it_comes_back(members: Three) -> None:
    ann, bob, _ = members
    ann.send(bob, issued_by(ann))
    ann.grants.revoke(Address(ann.name, ISSUER))
    assert bob.send(ann, issued_by(ann)) == [()]


def test_g21_a_revocation_survives_a_reboot(members: Three) -> None:
    ann, bob, _ = members
    ann.send(bob, issued_by(ann))
    ann.grants.revoke(Address(ann.name, ISSUER))
    again = Grants(ann.name)
    vouching = Vouching(ann.name, ann.node.network, again, ann.lines.append)
    assert vouching.restore_untrusted(ann.vouching.snapshot())
    ann.grants, ann.vouching = again, vouching
    assert bob.send(ann, issued_by(ann)) == [()]


def test_g21_what_a_process_holds_survives_a_reboot_with_its_proof(members: Three) -> None:
    ann, bob, cid = members
    ann.send(bob, issued_by(ann))
    bob.grants.grant(TARGET, [issued_by(ann)])
    again = Grants(bob.name)
    vouching = Vouching(bob.name, bob.node.network, again, bob.lines.append)
    assert vouching.restore_untrusted(bob.vouching.snapshot())
    assert again.of(TARGET) == (issued_by(ann),)
    bob.grants, bob.vouching = again, vouching
    assert bob.send(cid, issued_by(ann)) == [(issued_by(ann),)]


def test_a_message_carries_no_more_claims_than_a_node_will_verify(members: Three) -> None:
    ann, bob, _ = members
    many = [issued_by(ann, str(number)) for number in range(MAX_CLAIMS + 1)]
    assert len(ann.vouching.sign(ann.envelope(bob, *many))) == MAX_CLAIMS


@given(st.binary(max_size=60))
def test_whatever_lies_in_the_store_nothing_is_raised(data: bytes) -> None:
    world = World()
    registrar_in(world)
    member = Member(world, "ann.test")
    restored = member.vouching.restore_untrusted(data)
    assert restored or member.grants.snapshot() == ({}, {})
