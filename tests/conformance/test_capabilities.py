"""G17 to G21: what a process may do, and that nothing makes a capability out of nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import MESSAGING, NETWORK, Capability
from kernel.contract.events import Parcel
from kernel.contract.message import Envelope, Reason, ReplyTo, Request
from kernel.wasm.engine import Engine
from nectar_node.packages.manifest import read_package
from nectar_node.peers.envelope import encode_header
from nectar_node.peers.vouching import Claim
from net.contract.events import Outgoing
from tests.conformance import spanning, two_nodes
from tests.conformance.lab import OUR, THEIR, THIRD, SimLab, SimProbe, SocketLab
from tests.conformance.steps import (
    OUR_CAPABILITIES,
    SAVE_RECEIVED,
    capability,
    drop,
    message,
    respond,
    save,
    script,
    send,
    set_on_exit,
    spawn,
)

VFS = f"{OUR}@vfs:distro:sys"
NET = capability(f"{OUR}@kernel:distro:sys", NETWORK)
MAY_READ = '{"may":"read"}'


@pytest.fixture
def three(engine: Engine, tmp_path: Path) -> SimLab:
    return SimLab(engine, tmp_path, 3)


# --- G17 --------------------------------------------------------------------------------------------------------------


def test_g17_a_process_makes_its_own_capabilities(lab: SimLab) -> None:
    a = lab.probe("a", network=False)
    a.tell(save(capability(a, MAY_READ)), OUR_CAPABILITIES)
    assert [seen.capabilities for seen in a.seen("capabilities")] == [[capability(a, MAY_READ)]]


def test_g17_capabilities_are_compared_as_parsed_json(lab: SimLab) -> None:
    a = lab.probe("a", network=False)
    a.tell(save(capability(a, '{"b": [1, 2], "a": null}'), capability(a, ' {"a":null,"b":[1,2]} ')))
    assert a.held() == [f'{a} {{"a":null,"b":[1,2]}}']
    a.tell(drop(capability(a, '{"a" : null, "b" : [1,2]}')))
    assert a.held() == []


@pytest.mark.parametrize("issuer", ["kernel:distro:sys", "vfs:distro:sys", "b:probes:sys", "a:other:sys"])
@pytest.mark.parametrize("params", [MESSAGING, NETWORK, MAY_READ])
def test_g17_a_process_makes_nobody_elses(lab: SimLab, issuer: str, params: str) -> None:
    a, _ = lab.probe("a", network=False), lab.probe("b", public=False)
    a.tell(save(capability(f"{OUR}@{issuer}", params), capability(f"our@{issuer}", params)))
    assert a.held() == []


def test_g17_params_that_are_no_json_are_no_capability(lab: SimLab) -> None:
    a = lab.probe("a", network=False)
    a.tell(save(capability(a, "{"), capability(a, ""), capability(a, "NaN")))
    assert a.held() == []
    assert a.running


UNKEEPABLE = ["1e999", "[" * 950 + "]" * 950, json.dumps("é" * 8000, ensure_ascii=False)]
"""Params that are JSON to many a parser, but not of the kind, depth or length that can be kept and passed on."""


@spanning
@pytest.mark.parametrize("params", UNKEEPABLE)
def test_g17_params_that_cannot_be_kept_are_left_out_and_harm_nobody(lab: SimLab, params: str) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    bad = capability(a, params)
    a.tell(save(bad), send(b, "", SAVE_RECEIVED, capabilities=[bad, capability(a, MAY_READ)]))
    assert attached(b) == [[capability(a, MAY_READ)]]
    assert a.running
    assert b.running


@two_nodes
@pytest.mark.parametrize("params", UNKEEPABLE)
def test_g17_params_of_another_node_that_cannot_be_kept_harm_nobody(lab: SimLab, params: str) -> None:
    victim = lab.probe("a")
    lab.probe("b", far=True).tell(send(victim, "to have a session"))
    claim = Claim(Address(THEIR, ProcessId.parse("b:probes:sys")), params, 1, bytes(64))
    hello = Request(False, None, script(SAVE_RECEIVED))
    deliver(lab, Envelope(7, claim.issuer, Address(OUR, victim.id), None, hello), 1, (claim,))
    lab.rest()
    assert attached(victim) == [[], []]
    assert victim.running


# --- G18 --------------------------------------------------------------------------------------------------------------


def test_g18_a_public_process_is_reached_by_every_local_process(lab: SimLab) -> None:
    a, b = lab.probe("a", network=False), lab.probe("b")
    a.tell(send(b, "hello"))
    assert b.bodies() == ["hello"]


def test_g18_one_that_is_not_public_is_reached_with_its_messaging_capability_only(lab: SimLab) -> None:
    stranger, friend = lab.probe("a"), lab.probe("c")
    b = lab.probe("b", public=False, grants=("c:probes:sys",))
    stranger.tell(send(b, "let me in", expects=20))
    friend.tell(send(b, "it is me"))
    assert b.bodies() == ["it is me"]
    assert [seen.failure for seen in stranger.seen("error")] == ["timeout"]
    assert lab.dead() == [Reason.NO_CAPABILITY]


def test_g18_an_answer_needs_no_capability(lab: SimLab) -> None:
    a, b, c = lab.probe("a", public=False), lab.probe("b"), lab.probe("c", network=False)
    a.tell(send(b, "", send(c, "", respond("yes"), inherit=True), expects=20))
    assert a.bodies("response") == ["yes"]


def test_g18_parent_and_child_may_message_each_other_and_siblings_may_not(lab: SimLab) -> None:
    parent = lab.probe("a", public=False)
    parent.tell(spawn("one"), spawn("two"))
    one, two = parent.child("one"), parent.child("two")
    parent.tell(send(one, "to the child"))
    one.tell(send(parent, "to the parent"), send(two, "to the sibling"))
    assert (one.bodies(), parent.bodies(), two.bodies()) == (["to the child"], ["to the parent"], [])


def test_g18_a_system_process_is_reached_with_its_messaging_capability(lab: SimLab) -> None:
    with_it, without = lab.probe("a", capabilities=("vfs:distro:sys",)), lab.probe("b")
    for probe in (with_it, without):
        probe.tell(send(VFS, "no action", expects=20), send("our@timer:distro:sys", '{"SetTimer":1}', expects=20))
    assert [seen.source for seen in with_it.seen("response")] == [VFS, f"{OUR}@timer:distro:sys"]
    assert [seen.source for seen in without.seen("response")] == [f"{OUR}@timer:distro:sys"]
    assert [seen.failure for seen in without.seen("error")] == ["timeout"]


# --- G19 --------------------------------------------------------------------------------------------------------------


@two_nodes
def test_g19_without_the_network_capability_nothing_leaves(lab: SimLab) -> None:
    a, b = lab.probe("a", network=False), lab.probe("b", far=True)
    sent = a.tell(send(b, "out", expects=20))
    assert [(seen.failure, seen.at) for seen in a.seen("error")] == [("timeout", sent)]
    assert (b.seen(), lab.dead()) == ([], [Reason.NO_CAPABILITY])


@two_nodes
def test_g19_without_the_network_capability_nothing_comes_in(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True, network=False)
    a.tell(send(b, "in"))
    assert (b.seen(), lab.dead(lab.other)) == ([], [Reason.NO_CAPABILITY])


@two_nodes
def test_g19_nor_does_an_answer_leave(lab: SimLab) -> None:
    a, b, c = lab.probe("a"), lab.probe("b", far=True), lab.probe("c", far=True, network=False)
    a.tell(send(b, "", send(c, "", respond("psst"), inherit=True), expects=20))
    assert a.seen("response") == []
    assert [seen.failure for seen in c.seen("returned")] == ["timeout"]


@two_nodes
def test_g19_an_answer_that_was_under_way_finds_the_capability_dropped(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    a.tell(send(b, "", respond("in"), expects=20), drop(NET))
    assert a.seen("response") == []
    assert lab.dead() == [Reason.NO_CAPABILITY]


# --- G20 --------------------------------------------------------------------------------------------------------------


def attached(probe: SimProbe) -> list[list[dict[str, str]]]:
    """The capabilities that came with each request a probe has seen from another."""
    return [seen.capabilities for seen in probe.seen("request") if "@terminal:" not in str(seen.source)]


@spanning
def test_g20_a_process_can_attach_what_it_issues(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    a.tell(send(b, "take", capabilities=[capability(a, MAY_READ)]))
    assert attached(b) == [[capability(a, MAY_READ)]]


@spanning
def test_g20_a_response_carries_them_too(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    a.tell(send(b, "", respond(capabilities=[capability(b, MAY_READ)]), expects=20))
    assert [seen.capabilities for seen in a.seen("response")] == [[capability(b, MAY_READ)]]


@spanning
def test_g20_a_process_can_attach_what_it_holds(lab: SimLab) -> None:
    lab.probe("owner", public=False, grants=("a:probes:sys",))
    a, b = lab.probe("a"), lab.probe("b", far=True)
    held = capability(f"{OUR}@owner:probes:sys")
    lab.our.core.kernel.grants.grant(a.id, [Capability(Address(OUR, ProcessId.parse("owner:probes:sys")), MESSAGING)])
    a.tell(send(b, "take", capabilities=[held]))
    assert attached(b) == [[held]]


@spanning
def test_g20_what_it_neither_issues_nor_holds_is_left_out_and_logged(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    a.tell(send(b, "take", capabilities=[capability(VFS), capability(a, MAY_READ), capability(b), capability(a, "{")]))
    assert attached(b) == [[capability(a, MAY_READ)]]
    assert a.lines() == ["attached a capability that it neither issues nor holds; it was left out"]


@spanning
def test_g20_what_was_received_can_be_saved_and_attached_again(lab: SimLab) -> None:
    a, b, c = lab.probe("a"), lab.probe("b", far=True), lab.probe("c", far=True)
    given = capability(a, MAY_READ)
    a.tell(send(b, "", SAVE_RECEIVED, send(c, "take", capabilities=[given]), capabilities=[given]))
    assert f"{a} {MAY_READ}" in b.held()
    assert attached(c) == [[given]]


def test_g20_a_messaging_capability_that_was_handed_over_opens_the_door(lab: SimLab) -> None:
    a, b, c = lab.probe("a", public=False), lab.probe("b"), lab.probe("c")
    a.tell(send(b, "", SAVE_RECEIVED, capabilities=[capability(a)]))
    b.tell(send(a, "from b"))
    c.tell(send(a, "from c"))
    assert a.bodies() == ["from b"]


@spanning
def test_g20_what_was_not_received_cannot_be_saved(lab: SimLab) -> None:
    a, b = lab.probe("a", public=False), lab.probe("b", far=True)
    before = b.held()
    a.tell(send(b, "", save(capability(a), capability(a, '"other"'), NET), capabilities=[capability(a, MAY_READ)]))
    assert b.held() == before


@two_nodes
def test_g20_our_own_capability_is_known_when_it_comes_back_from_another_node(lab: SimLab) -> None:
    a, b, c = lab.probe("a"), lab.probe("b", far=True), lab.probe("c")
    given = capability(a, MAY_READ)
    a.tell(send(b, "", SAVE_RECEIVED, send(c, "", SAVE_RECEIVED, capabilities=[given]), capabilities=[given]))
    assert attached(c) == [[given]]
    assert f"{a} {MAY_READ}" in c.held()


def test_g20_a_capability_of_a_third_node_is_verified_with_that_nodes_key(three: SimLab) -> None:
    a, b, c = three.probe("a"), three.probe("b", on=1), three.probe("c", on=2)
    given = capability(a, MAY_READ)
    a.tell(send(b, "", SAVE_RECEIVED, send(c, "", SAVE_RECEIVED, capabilities=[given]), capabilities=[given]))
    three.rest()
    assert attached(c) == [[given]]
    assert f"{a} {MAY_READ}" in c.held()


@pytest.mark.parametrize("issuer", [OUR, THIRD])
def test_g20_what_another_node_cannot_prove_is_left_out_and_logged(three: SimLab, issuer: str) -> None:
    holder, victim = three.probe("b", on=1), three.probe("a")
    unproven = Capability(Address(issuer, ProcessId.parse("c:probes:sys")), MESSAGING)
    three.nodes[1].core.kernel.grants.grant(holder.id, [unproven])
    holder.tell(send(victim, "", SAVE_RECEIVED, capabilities=[capability(unproven.issuer)]))
    assert attached(victim) == [[]]
    assert victim.held() == [f"{OUR}@kernel:distro:sys {NETWORK}"]
    said = f"kernel: left out a capability that cannot be proven to {OUR}"
    assert [line for line in three.nodes[1].log if line.startswith(said)]


@pytest.mark.parametrize("issuer", [OUR, THEIR, THIRD, "nobody.nec"])
@pytest.mark.parametrize("issue", [0, 1])
def test_g20_a_node_that_lies_about_capabilities_is_not_believed(three: SimLab, issuer: str, issue: int) -> None:
    victim = three.probe("a")
    three.probe("b", on=1).tell(send(victim, "to have a session"))
    claim = Claim(Address(issuer, ProcessId.parse("a:probes:sys")), MESSAGING, issue, bytes(64))
    source = Address(THEIR, ProcessId.parse("b:probes:sys"))
    steals = Request(False, None, script(SAVE_RECEIVED))
    deliver(three, Envelope(7, source, Address(OUR, victim.id), None, steals), 1, (claim,))
    three.until(three.now + 20)
    assert attached(victim) == [[], []]
    assert victim.held() == [f"{OUR}@kernel:distro:sys {NETWORK}"]
    assert f"kernel: {source} (claim) attached a capability that is not proven; it was left out" in three.our.log


def test_g20_drop_capabilities_drops(lab: SimLab) -> None:
    a = lab.probe("a", network=False, capabilities=("vfs:distro:sys",))
    a.tell(save(capability(a, "1"), capability(a, "2")), drop(capability(a, "1"), capability(VFS)))
    assert a.held() == [f"{a} 2"]


# --- G21 --------------------------------------------------------------------------------------------------------------


def test_g21_a_child_gets_what_its_parent_holds_and_asks_for_it(lab: SimLab) -> None:
    parent = lab.probe("a", capabilities=("vfs:distro:sys",))
    parent.tell(spawn("child", capabilities=[capability("our@vfs:distro:sys"), capability(parent, MAY_READ)]))
    assert parent.child("child").held() == sorted([f"{VFS} {MESSAGING}", f"{parent} {MAY_READ}"])


def test_g21_a_child_gets_nothing_that_its_parent_does_not_hold(lab: SimLab) -> None:
    parent, _ = lab.probe("a", network=False), lab.probe("b", public=False)
    parent.tell(spawn("child", capabilities=[NET, capability(VFS), capability(f"{OUR}@b:probes:sys")]))
    assert parent.child("child").held() == []
    assert parent.lines() == ["asked for a child to hold what it does not hold itself"]


def test_g21_a_kill_revokes_what_the_process_issued(lab: SimLab) -> None:
    a, b = lab.probe("a", public=False), lab.probe("b", public=False, grants=("c:probes:sys",))
    c = lab.probe("c", network=False)
    lab.our.core.kernel.grants.grant(c.id, [Capability(Address(OUR, each.id), MESSAGING) for each in (a, b)])
    lab.kill(a)
    assert c.held() == [f"{b} {MESSAGING}"]


@two_nodes
def test_g21_what_a_killed_process_issued_is_worth_nothing_when_it_comes_back(lab: SimLab) -> None:
    a, b, c = lab.probe("a", public=False), lab.probe("b", far=True), lab.probe("c", network=True)
    a.tell(send(b, "", SAVE_RECEIVED, capabilities=[capability(a)]))
    lab.kill(a)
    lab.probe("a", public=False)
    b.tell(send(c, "", SAVE_RECEIVED, send(a, "let me in"), capabilities=[capability(a)]))
    assert attached(c) == [[]]
    assert a.bodies() == []


def test_g21_what_a_process_holds_survives_a_reboot(sockets: SocketLab) -> None:
    sockets.forget()
    a = sockets.probe("a")
    mine = capability(a, MAY_READ)
    a.ask(save(mine), respond())
    sockets.nodes.restart(OUR)
    a.ask(OUR_CAPABILITIES, respond())
    assert [mine in seen.capabilities for seen in a.seen("capabilities")] == [True]


@pytest.mark.parametrize("name", ["kernel", "net", "vfs", "terminal", "new"])
def test_g21_the_package_of_the_system_processes_is_reserved(lab: SimLab, name: str) -> None:
    (lab.folder / "metadata.json").write_text('{"package": "distro", "publisher": "sys"}')
    lab.probe(name)
    assert read_package(lab.folder, OUR).id.package == "distro"
    assert lab.our.core.kernel.processes == {}


def test_g21_a_public_process_that_is_named_kernel_is_not_the_kernel(lab: SimLab) -> None:
    fake, a = lab.probe("kernel", network=False), lab.probe("a", network=False)
    fake.tell(send(a, "", SAVE_RECEIVED, capabilities=[capability(fake, NETWORK), NET]))
    a.tell(send("our@kernel:distro:sys", "to the real one"), send(f"{THEIR}@b:probes:sys", "out", expects=20))
    assert fake.bodies() == []
    assert not lab.our.core.kernel.grants.may_use_network(a.id)
    assert [seen.failure for seen in a.seen("error")] == ["timeout"]
    assert Reason.NO_CAPABILITY in lab.dead()


def test_g21_a_process_named_like_a_system_process_gets_none_of_its_requests(lab: SimLab) -> None:
    fake, a = lab.probe("vfs"), lab.probe("a", capabilities=("vfs:distro:sys",))
    a.tell(send(VFS, "no action", expects=20))
    assert fake.bodies() == []
    assert [seen.source for seen in a.seen("response")] == [VFS]


def test_g21_an_ended_process_sends_nothing_with_capabilities_it_did_not_hold(lab: SimLab) -> None:
    a, b = lab.probe("a", network=False), lab.probe("b", public=False)
    a.tell(set_on_exit(message(b, "boo"), message(f"{THEIR}@b:probes:sys", "boo")), "Return")
    assert b.bodies() == []
    assert lab.dead() == [Reason.NO_CAPABILITY, Reason.NO_CAPABILITY]


def test_g21_a_restart_keeps_what_was_held_and_an_end_without_one_does_not(lab: SimLab) -> None:
    a, b = lab.probe("a", on_exit="Restart", network=False), lab.probe("b", network=False)
    for probe in (a, b):
        probe.tell(save(capability(probe, MAY_READ)), "Trap")
    assert (a.held(), b.held()) == ([f"{a} {MAY_READ}"], [])


def deliver(lab: SimLab, envelope: Envelope, by: int, claims: tuple[Claim, ...] = ()) -> None:
    """A node whose kernel keeps no rules sends a message to `OUR`."""
    node = lab.nodes[by]
    parcel = Parcel(envelope, None, None, None, 0, node.core.kernel.in_flight.sent(envelope, None, 0))
    outgoing = Outgoing(OUR, b"stream", encode_header(envelope, claims), None, parcel)
    node.core.network.send(outgoing, lab.now)
    node.go_on()
    lab.rest()


def test_g21_a_peer_cannot_send_through_us_to_a_third_node(three: SimLab) -> None:
    c = three.probe("c", on=2)
    three.probe("b", on=1).tell(send(f"{OUR}@nobody:probes:sys", "to have a session"))
    source = Address(THEIR, ProcessId.parse("b:probes:sys"))
    target = Address(THIRD, ProcessId.parse("c:probes:sys"))
    deliver(three, Envelope(7, source, target, None, Request(False, None, b"pass it on")), by=1)
    assert c.seen() == []
    assert three.dead() == [Reason.NO_SUCH_PROCESS, Reason.NO_SUCH_PROCESS]


def test_g21_an_answer_that_a_peer_directs_to_a_third_node_reaches_nobody_there(three: SimLab) -> None:
    b, c = three.probe("b"), three.probe("c", on=2)
    three.probe("a", on=1).tell(send(b, "to have a session"))
    source = Address(THEIR, ProcessId.parse("a:probes:sys"))
    reply_to = ReplyTo(Address(THIRD, c.id), 7)
    asks = Request(False, None, b'[{"Respond": {"body": "unasked"}}]')
    deliver(three, Envelope(8, source, Address(OUR, b.id), reply_to, asks), by=1)
    assert c.seen() == []
    assert three.dead(three.nodes[2]) == [Reason.NOT_AWAITED]
