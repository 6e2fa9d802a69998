"""Capabilities between nodes whose networks are real: what is proven is kept, what is not is left out (G20, G21)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kernel.capabilities.grants import Grants
from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import Capability
from kernel.contract.message import Envelope, Request
from nectar_node.peers.grant_rows import GRANTS, REVOKED, KeptGrants, decode_untrusted
from nectar_node.peers.vouching import (
    FORGOTTEN_REVOCATIONS,
    MAX_CLAIM_BYTES,
    MAX_CLAIMS,
    MAX_LOOKUPS,
    MAX_WAITING_CLAIMS,
    Claim,
    Vouching,
)
from net.contract.events import LookedUp
from net.names.directory import grant_record, sign_record
from tests.net.joined import join, registrar_in
from tests.net.world import REGISTRAR, Node, World, identity_of

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
        self.accepting = {TARGET}
        """Processes that are there and may have messages of other nodes."""
        self.vouching = Vouching(name, self.node.network, self.grants, self.lines.append, self.accepting.__contains__)
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


def test_g20_a_signed_capability_arrives_from_its_issuer_from_a_third_node_and_back(members: Three) -> None:
    ann, bob, _ = members
    assert ann.send(bob, issued_by(ann)) == [(issued_by(ann),)]
    ann, bob, _ = members
    ann.send(bob, issued_by(ann))
    assert bob.send(ann, issued_by(ann)) == [(issued_by(ann),)]
    ann, bob, cid = members
    ann.send(bob, issued_by(ann))
    assert bob.send(cid, issued_by(ann)) == [(issued_by(ann),)]


def test_g20_what_nobody_has_signed_so_is_left_out_and_logged(members: Three) -> None:
    ann, bob, _ = members
    invented = Claim(Address(ann.name, ISSUER), KEY, 1, bytes(64))
    assert ann.take(bob, (invented,)) == [()]
    assert [line for line in ann.lines if "not proven" in line]
    ann, bob, _ = members
    (claim,) = ann.vouching.sign(ann.envelope(bob, issued_by(ann)))
    assert bob.take(ann, (claim._replace(params='"more"'),)) == [()]
    ann, bob, cid = members
    (claim,) = bob.vouching.sign(bob.envelope(cid, issued_by(bob)))
    assert cid.take(bob, (claim._replace(issuer=Address(ann.name, ISSUER)),)) == [()]
    ann, bob, _ = members
    claim = Claim(Address("nobody.test", ISSUER), KEY, 1, bytes(64))
    assert bob.take(ann, (claim,)) == [()]
    ann, bob, _ = members
    claims = tuple(Claim(Address(f"{name}.test", ISSUER), KEY, 1, bytes(64)) for name in ("nobody", "noone"))
    assert bob.take(ann, claims) == [()]


def test_g20_what_a_node_cannot_prove_does_not_leave_it(members: Three) -> None:
    ann, bob, cid = members
    assert ann.vouching.sign(ann.envelope(bob, issued_by(cid))) == ()
    assert [line for line in ann.lines if "cannot be proven" in line]


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


def told_of(member: Member, issuer: Member, epoch: int) -> None:
    """The member learns a record of the issuer with this epoch."""
    known = member.node.network.record(issuer.name)
    assert known is not None
    record = replace(known, sequence=known.sequence + 1, epoch=epoch)
    granted = grant_record(sign_record(record, identity_of(issuer.name)), REGISTRAR)
    learned = member.node.network._directory.learn_untrusted(granted.encode(), member.world.now)
    assert learned is not None
    member.vouching.record_learned(learned)


def test_g21_a_ticket_of_an_epoch_that_is_over_is_refused_from_its_issuer_and_from_a_third_node(members: Three) -> None:
    ann, bob, cid = members
    ann.send(bob, issued_by(ann))
    bob.grants.grant(TARGET, [issued_by(ann)])
    (old,) = bob.vouching.sign(bob.envelope(cid, issued_by(ann)))
    bob.send(cid, issued_by(ann))
    told_of(cid, ann, old.issue)
    assert cid.take(bob, (old,)) == [()]
    assert cid.take(ann, (old,)) == [()]
    ann.grants.revoke_everything(old.issue)
    assert ann.take(bob, (old,)) == [()]
    assert ann.send(cid, issued_by(ann)) == [(issued_by(ann),)]


def test_g21_what_is_held_of_an_epoch_that_is_over_is_taken_and_does_not_leave(members: Three) -> None:
    ann, bob, cid = members
    ann.send(bob, issued_by(ann), issued_by(ann, "2"))
    ann.send(cid, issued_by(ann))
    bob.grants.grant(TARGET, [issued_by(ann)])
    bob.grants.receive(SENDER, [issued_by(ann)])
    told_of(bob, ann, 1)
    assert bob.grants.of(TARGET) == ()
    assert bob.grants.savable(Address(bob.name, SENDER), (issued_by(ann),)) == ()
    assert bob.send(cid, issued_by(ann)) == [()]
    told_of(cid, ann, 0)
    assert cid.grants.issue() == 1
    assert cid.vouching.sign(cid.envelope(bob, issued_by(ann))) != ()


def test_g21_a_revoked_everything_at_the_issuer_outlives_any_number_that_it_had_forgotten(members: Three) -> None:
    ann, _, _ = members
    epoch = ann.vouching.revoke_everything(3, 1000.0)
    assert epoch >= max(1_000_000, FORGOTTEN_REVOCATIONS)
    assert ann.grants.issue() == epoch + 1
    assert ann.vouching.revoke_everything(epoch + 5, 0.0) > epoch + 5


def kept(member: Member) -> KeptGrants:
    """What the member's store holds."""
    rows = [(row.kind, row.key, row.value) for row in member.vouching.rows.changes()]
    tables = ({key: value for kind, key, value in rows if kind == table and value} for table in (GRANTS, REVOKED))
    return decode_untrusted(*tables)


def test_g21_a_revocation_survives_a_reboot(members: Three) -> None:
    ann, bob, _ = members
    ann.send(bob, issued_by(ann))
    ann.grants.revoke(Address(ann.name, ISSUER))
    again = Grants(ann.name)
    vouching = Vouching(ann.name, ann.node.network, again, ann.lines.append, ann.accepting.__contains__)
    vouching.restore(kept(ann))
    ann.grants, ann.vouching = again, vouching
    assert bob.send(ann, issued_by(ann)) == [()]


def test_g21_what_a_process_holds_survives_a_reboot_with_its_proof(members: Three) -> None:
    ann, bob, cid = members
    ann.send(bob, issued_by(ann))
    bob.grants.grant(TARGET, [issued_by(ann)])
    again = Grants(bob.name)
    vouching = Vouching(bob.name, bob.node.network, again, bob.lines.append, bob.accepting.__contains__)
    vouching.restore(kept(bob))
    assert again.of(TARGET) == (issued_by(ann),)
    bob.grants, bob.vouching = again, vouching
    assert bob.send(cid, issued_by(ann)) == [(issued_by(ann),)]


def test_a_message_carries_no_more_claims_than_a_node_will_verify(members: Three) -> None:
    ann, bob, _ = members
    many = [issued_by(ann, str(number)) for number in range(MAX_CLAIMS + 1)]
    assert len(ann.vouching.sign(ann.envelope(bob, *many))) == MAX_CLAIMS


class Counted:
    """How often a node's network is asked for a lookup or a verification."""

    def __init__(self, member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
        self.looked_up: list[str] = []
        self.verified = 0
        network = member.node.network
        look_up, verify = network.look_up, network.vouched_untrusted

        def counted_look_up(name: str, now: float) -> None:
            self.looked_up.append(name)
            look_up(name, now)

        def counted_verify(name: str, domain: bytes, statement: bytes, signature: bytes) -> bool | None:
            self.verified += 1
            return verify(name, domain, statement, signature)

        monkeypatch.setattr(network, "look_up", counted_look_up)
        monkeypatch.setattr(network, "vouched_untrusted", counted_verify)


def unproven(*names: str) -> tuple[Claim, ...]:
    return tuple(Claim(Address(name, ISSUER), KEY, 1, bytes(64)) for name in names)


def hold(receiver: Member, sender: Member, number: int, claims: tuple[Claim, ...], target: ProcessId = TARGET) -> None:
    """A message of a process of its own."""
    source = Address(sender.name, ProcessId(f"p{number}", "tests", "sys"))
    message = Request(False, None, b"", None)
    envelope = Envelope(number, source, Address(receiver.name, target), None, message, claimed=True)
    receiver.vouching.receive(envelope, claims, number, 0.0)


def test_a_lookup_that_ends_costs_nothing_to_messages_that_wait_for_others(
    members: Three, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob, _ = members
    proven = ann.vouching.sign(ann.envelope(bob, *(issued_by(ann, str(number)) for number in range(5))))
    counted = Counted(bob, monkeypatch)
    for number in range(30):
        hold(bob, ann, number, (*proven, *unproven(f"nobody{number}.test")))
    for _ in range(100):
        bob.vouching.looked_up("unrelated.test", 0.0)
    assert counted.verified == 0
    assert len(bob.ready()) == 30
    assert counted.verified == 30 * 6  # each once


def test_a_lookup_that_ends_lets_go_all_that_wait_for_it_and_nothing_else(members: Three) -> None:
    ann, bob, _ = members
    for number, name in enumerate(["one.test", "two.test", "one.test"]):
        hold(bob, ann, number, unproven(name))
    bob.vouching.looked_up("one.test", 0.0)
    assert [receipt for _, receipt in iter(bob.vouching.next, None)] == [0, 2]
    bob.vouching.looked_up("two.test", 0.0)
    assert [receipt for _, receipt in iter(bob.vouching.next, None)] == [1]


def test_a_message_for_nobody_is_handed_on_without_a_lookup_a_verification_or_a_proof(
    members: Three, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob, cid = members
    counted = Counted(bob, monkeypatch)
    claims = ann.vouching.sign(ann.envelope(bob, issued_by(ann)))
    bob.accepting.clear()
    hold(bob, ann, 1, (*claims, *unproven("nobody.test")))
    assert bob.ready() == [()]
    assert (counted.looked_up, counted.verified) == ([], 0)
    assert bob.vouching.sign(bob.envelope(cid, issued_by(ann))) == ()


def test_a_process_that_ends_while_its_message_waits_leaves_no_proof(
    members: Three, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob, _ = members
    counted = Counted(bob, monkeypatch)
    hold(bob, ann, 1, unproven("nobody.test"))
    bob.accepting.clear()
    assert bob.ready() == [()]
    assert counted.verified == 0


def test_the_claims_of_one_peer_that_wait_are_bounded_and_the_others_messages_go_on_without_theirs(
    members: Three,
) -> None:
    ann, bob, _ = members
    full = MAX_WAITING_CLAIMS // 10
    for number in range(full + 3):
        hold(bob, ann, number, unproven(*[f"nobody{each}.test" for each in range(10)]))
    passed = [receipt for _, receipt in iter(bob.vouching.next, None)]
    assert passed == list(range(full, full + 3))
    assert [line for line in bob.lines if "too many capabilities from ann.test wait" in line]
    assert len(bob.ready()) == full
    hold(bob, ann, 99, unproven("somebody.test"))  # there is room again
    assert bob.vouching.next() is None


def test_one_peer_cannot_have_more_than_so_many_names_looked_up(
    members: Three, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob, cid = members
    counted = Counted(bob, monkeypatch)
    for number in range(4):
        hold(bob, ann, number, unproven(*[f"nobody{number}-{each}.test" for each in range(MAX_CLAIMS // 2)]))
    assert len(counted.looked_up) == MAX_LOOKUPS
    hold(bob, cid, 9, unproven("other.test"))
    assert counted.looked_up[-1] == "other.test"
    assert bob.ready()[-1] == ()
    hold(bob, ann, 10, unproven("again.test"))
    assert counted.looked_up[-1] == "again.test"


def test_what_is_no_node_name_is_never_looked_up(members: Three, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob, _ = members
    counted = Counted(bob, monkeypatch)
    hold(bob, ann, 1, unproven("our", "nodots"))
    assert bob.ready() == [()]
    assert counted.looked_up == []


def test_a_name_that_several_wait_for_is_looked_up_once(members: Three, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob, cid = members
    counted = Counted(bob, monkeypatch)
    for number, sender in enumerate((ann, ann, cid)):
        hold(bob, sender, number, unproven("nobody.test"))
    assert counted.looked_up == ["nobody.test"]
    assert bob.ready() == [(), (), ()]


def test_the_params_that_one_message_carries_are_bounded_and_the_rest_is_left_out_and_logged(members: Three) -> None:
    ann, bob, _ = members
    large = [issued_by(ann, f'"{number:05}{"x" * 16_000}"') for number in range(20)]
    claims = ann.vouching.sign(ann.envelope(bob, *large, issued_by(ann)))
    assert sum(len(claim.params) for claim in claims) <= MAX_CLAIM_BYTES
    assert [claim.params for claim in claims][-1] == KEY  # it fits still
    assert [line for line in ann.lines if "left out" in line]
