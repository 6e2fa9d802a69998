"""G3: the process id of a remote source is a claim. For each check that the kernel makes, a hostile node sends one that
would pass if it were believed; nothing is granted. And wherever a claim is shown, it is marked as one.

The hostile node is a whole node with a real session, whose kernel keeps no rules: its headers are made by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.contract import limits
from kernel.contract.address import OUR_NODE, Address, ProcessId
from kernel.contract.capability import MESSAGING, NETWORK, Capability
from kernel.contract.events import Parcel
from kernel.contract.message import Envelope, Reason, ReplyTo, Request, Response
from kernel.wasm.engine import Engine
from nectar_node.cli.errors import shown_source
from nectar_node.control import status
from nectar_node.peers.envelope import encode_header
from nectar_node.peers.vouching import DOMAIN, Claim, _statement
from net.contract.events import Outgoing
from tests.conformance.lab import OUR, THEIR, SimLab, SimProbe
from tests.conformance.steps import (
    SAVE_RECEIVED,
    TRAP,
    capability,
    drop,
    message,
    respond,
    script,
    send,
    send_many,
    spawn,
    wait_for,
)

NET = capability(f"{OUR}@kernel:distro:sys", NETWORK)
SYSTEM = ("kernel:distro:sys", "terminal:terminal:sys", "vfs:distro:sys", "net:distro:sys")
_REMOTE_SOURCE = re.compile(rf"(?<!to ){re.escape(THEIR)}@[^\s\"]+(.{{0,8}})")


@pytest.fixture
def lab(engine: Engine, tmp_path: Path) -> Iterator[SimLab]:
    """Two nodes, the second of which is hostile; afterwards, no line of the first one's log shows a claim unmarked."""
    lab = SimLab(engine, tmp_path, 2)
    yield lab
    for line in lab.our.log:
        if ": saw " not in line:  # what a guest prints is its own affair: it knows the node
            assert all(rest.startswith(" (claim)") for rest in _REMOTE_SOURCE.findall(line)), line


def process(name: str) -> ProcessId:
    return ProcessId.parse(name if ":" in name else f"{name}:probes:sys")


def forge(
    lab: SimLab,
    source: str,
    target: SimProbe | str,
    body: Request | Response,
    *,
    id: int = 7,
    reply_to: ReplyTo | None = None,
    claims: tuple[Claim, ...] = (),
) -> None:
    """The hostile node sends this in the name of its process `source`, whether or not there is one."""
    aim = target.id if isinstance(target, SimProbe) else process(target)
    envelope = Envelope(id, Address(THEIR, process(source)), Address(OUR, aim), reply_to, body)
    node = lab.nodes[1]
    parcel = Parcel(envelope, None, None, None, 0, node.core.kernel.in_flight.sent(envelope, None, 0))
    node.core.network.send(Outgoing(OUR, b"stream", encode_header(envelope, claims), None, parcel), lab.now)
    node.go_on()
    lab.rest()


def signed(lab: SimLab, issuer: Address, params: str) -> Claim:
    """A capability with the hostile node's own good signature."""
    statement = _statement(issuer, params, 0)
    return Claim(issuer, params, 0, lab.nodes[1].core.network.sign(DOMAIN, statement))


HELLO = Request(False, None, b"let me in")


# --- who may send a request (G18, G19) --------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["friend", "c", *SYSTEM])
def test_g3_no_claim_passes_the_door_of_a_process_without_the_network(lab: SimLab, source: str) -> None:
    c = lab.probe("c", public=False, network=False)
    lab.probe("friend", network=False, capabilities=("c:probes:sys",)).tell(send(c, "mine"))
    assert c.bodies() == ["mine"]
    forge(lab, source, c, HELLO)
    assert (c.bodies(), lab.dead()) == (["mine"], [Reason.NO_CAPABILITY])


def test_g3_a_claim_to_be_the_parent_does_not_reach_the_child(lab: SimLab) -> None:
    parent = lab.probe("a")
    parent.tell(spawn("kid", path="/probe.wasm"))
    kid = parent.child("kid")
    parent.tell(send(kid, "mine"))
    forge(lab, "a", kid, HELLO)
    assert (kid.bodies(), lab.dead()) == (["mine"], [Reason.NO_CAPABILITY])


def test_g3_a_claim_to_be_the_child_does_not_reach_the_parent(lab: SimLab) -> None:
    parent = lab.probe("a", public=False, network=False)
    parent.tell(spawn("kid", path="/probe.wasm"))
    forge(lab, "kid", parent, HELLO)
    assert (parent.bodies(), lab.dead()) == ([], [Reason.NO_CAPABILITY])


@pytest.mark.parametrize("source", ["a", *SYSTEM])
def test_g3_whoever_a_source_claims_to_be_its_node_is_the_one_that_was_proven(lab: SimLab, source: str) -> None:
    a = lab.probe("a")
    forge(lab, source, a, HELLO)
    assert [(seen.source, seen.body) for seen in a.seen("request")] == [(f"{THEIR}@{process(source)}", "let me in")]


# --- system processes -------------------------------------------------------------------------------------------------


REQUESTS = [
    ("kernel", {"KillProcess": "victim:probes:sys"}),
    ("kernel", {"GrantCapabilities": {"target": "friend:probes:sys", "capabilities": [NET]}}),
    ("kernel", {"DropCapabilities": {"target": "victim:probes:sys", "capabilities": [NET]}}),
    ("kernel", {"SetOnExit": {"target": "victim:probes:sys", "on_exit": "Restart"}}),
    ("kernel", "Shutdown"),
    ("kernel", {"Debug": "ProcessMap"}),
    ("vfs", {"path": "/probes:sys/mine", "action": "CreateDrive"}),
    ("state", {"SetState": "victim:probes:sys"}),
    ("state", {"GetState": "victim:probes:sys"}),
    ("timer", {"SetTimer": 1000}),
    ("terminal:terminal:sys", "GetAliases"),
    ("terminal:terminal:sys", "hi two.nec hello"),
]


def stored(lab: SimLab) -> set[object]:
    """The drives, states and capabilities on our disk: all but the name records."""
    return {path for path in lab.our.disk.paths() if path[0] != f"{OUR}/records"}


@pytest.mark.parametrize("source", ["friend", "victim", "kernel:distro:sys", "terminal:terminal:sys"])
def test_g3_no_claim_moves_a_system_process(lab: SimLab, source: str) -> None:
    everything = tuple(f"{name}:distro:sys" for name in ("kernel", "vfs", "state", "net", "timer"))
    lab.probe("friend", capabilities=everything)
    victim = lab.probe("victim")
    held, files = victim.held(), stored(lab)
    for name, asked in REQUESTS:
        text = asked if isinstance(asked, str) and " " in asked else json.dumps(asked)
        target = name if ":" in name else f"{name}:distro:sys"
        forge(lab, source, target, Request(False, 5, text.encode()), reply_to=ReplyTo(Address(THEIR, process("b")), 9))
    assert lab.dead() == [Reason.NO_CAPABILITY] * len(REQUESTS)
    assert (victim.running, victim.held(), bool(lab.simulation.down)) == (True, held, False)
    assert stored(lab) == files
    assert lab.dead(lab.nodes[1]) == []  # nothing was answered


def test_g3_the_same_request_is_granted_to_the_one_whose_name_was_forged(lab: SimLab) -> None:
    friend, victim = lab.probe("friend", capabilities=("kernel:distro:sys",)), lab.probe("victim")
    name, asked = REQUESTS[0]
    friend.tell(send(f"{OUR}@{name}:distro:sys", json.dumps(asked), expects=5))
    assert not victim.running


def test_g3_a_hello_is_shown_with_its_node_alone(lab: SimLab) -> None:
    forge(lab, "terminal:terminal:sys", "net:distro:sys", Request(False, None, b"hello"))
    assert [line for line in lab.our.log if "hello" in line] == [f"net: {THEIR}: hello"]


def test_g3_a_remote_question_to_net_is_a_hello_whoever_asks(lab: SimLab) -> None:
    forge(lab, "kernel:distro:sys", "net:distro:sys", Request(False, None, b'"GetPeers"'))
    assert [line for line in lab.our.log if "GetPeers" in line] == [f'net: {THEIR}: "GetPeers"']


# --- who may answer (G5, G10) -----------------------------------------------------------------------------------------


def outstanding(probe: SimProbe) -> int:
    """The id under which it waits, which a hostile node can only guess: here it has guessed right."""
    (id,) = probe.process.outstanding
    return id


def test_g3_a_request_that_never_left_the_node_is_not_answered_from_outside(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    a.begin(send(b, "keep it", expects=30))
    lab.rest()
    forge(lab, "b", a, Response(False, b"forged"), id=outstanding(a))
    assert (a.bodies("response"), lab.dead()) == ([], [Reason.NOT_AWAITED])


def test_g10_a_request_that_was_passed_on_to_a_node_is_answered_by_that_node(lab: SimLab) -> None:
    a, b, far = lab.probe("a"), lab.probe("b"), lab.probe("c", far=True)
    a.begin(send(b, "", send(far, "keep it", inherit=True), expects=30))
    lab.rest()
    forge(lab, "nobody", a, Response(False, b"for c"), id=outstanding(a))
    assert [(seen.source, seen.body) for seen in a.seen("response")] == [(f"{THEIR}@nobody:probes:sys", "for c")]


def test_g3_an_answer_under_another_id_is_worth_nothing_whoever_it_claims_to_be_from(lab: SimLab) -> None:
    a, far = lab.probe("a"), lab.probe("b", far=True)
    a.begin(send(far, "keep it", expects=30))
    lab.rest()
    forge(lab, "b", a, Response(False, b"forged"), id=outstanding(a) ^ 1)
    assert (a.bodies("response"), lab.dead()) == ([], [Reason.NOT_AWAITED])


def test_g3_an_answer_reaches_nobody_but_the_one_who_asked(lab: SimLab) -> None:
    a, other, far = lab.probe("a"), lab.probe("d"), lab.probe("b", far=True)
    a.begin(send(far, "keep it", expects=30))
    lab.rest()
    forge(lab, "b", other, Response(False, b"forged"), id=outstanding(a))
    assert (a.bodies("response"), other.seen(), lab.dead()) == ([], [], [Reason.NOT_AWAITED])


# --- where an answer goes (G9, G10) -----------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["victim", "kernel:distro:sys", "terminal:terminal:sys"])
def test_g3_a_reply_to_that_names_one_of_ours_brings_it_nothing(lab: SimLab, named: str) -> None:
    a, victim = lab.probe("a"), lab.probe("victim")
    asks = Request(False, None, script(respond("unasked")))
    forge(lab, named, a, asks, reply_to=ReplyTo(Address(OUR, process(named)), 99))
    assert (victim.seen(), lab.dead()) == ([], [Reason.NOT_AWAITED])


def test_g3_a_reply_to_cannot_say_our(lab: SimLab) -> None:
    a = lab.probe("a")
    forge(lab, "a", a, HELLO, reply_to=ReplyTo(Address(OUR_NODE, a.id), 99))
    assert a.seen() == []
    assert [line for line in lab.our.log if "cannot be read" in line]


# --- capabilities (G17, G20, G21) -------------------------------------------------------------------------------------


def test_g3_a_claim_to_be_the_issuer_vouches_for_nothing(lab: SimLab) -> None:
    a, c = lab.probe("a"), lab.probe("c", public=False, network=False)
    forged = signed(lab, Address(OUR, c.id), MESSAGING)
    forge(lab, "c", a, Request(False, None, script(SAVE_RECEIVED, send(c, "in"))), claims=(forged,))
    assert (c.seen(), a.held()) == ([], [f"{OUR}@kernel:distro:sys {NETWORK}"])
    assert f"kernel: {THEIR}@{c.id} (claim) attached a capability that is not proven; it was left out" in lab.our.log


def test_g3_a_capability_of_a_like_named_process_elsewhere_opens_no_door_here(lab: SimLab) -> None:
    a, c = lab.probe("a"), lab.probe("c", public=False, network=False)
    theirs = signed(lab, Address(THEIR, c.id), MESSAGING)
    forge(lab, "c", a, Request(False, None, script(SAVE_RECEIVED, send(c, "in", expects=5))), claims=(theirs,))
    assert f"{THEIR}@{c.id} {MESSAGING}" in a.held()
    assert (c.seen(), lab.dead()) == ([], [Reason.NO_CAPABILITY])


def test_g3_another_nodes_kernel_grants_no_network_here(lab: SimLab) -> None:
    a, far = lab.probe("a"), lab.probe("b", far=True)
    theirs = signed(lab, Address(THEIR, process("kernel:distro:sys")), NETWORK)
    steps = script(SAVE_RECEIVED, drop(NET), send(far, "out"))
    forge(lab, "kernel:distro:sys", a, Request(False, None, steps), claims=(theirs,))
    assert a.held() == [f"{THEIR}@kernel:distro:sys {NETWORK}"]
    assert (far.seen(), lab.dead()) == ([], [Reason.NO_CAPABILITY])


# --- where claims are shown -------------------------------------------------------------------------------------------


def errors(lab: SimLab) -> list[tuple[str, object]]:
    """Of each dead letter: its source as people see it, and whether the row says that it is a claim."""
    rows = status.error_rows(lab.our.core, 0, 0.0)["errors"]
    assert isinstance(rows, list)
    return [(shown_source(row), row["claim"]) for row in rows]


MARKED = (f"{THEIR}@b:probes:sys (claim)", True)


def test_g3_a_dead_letter_of_another_node_is_marked(lab: SimLab) -> None:
    forge(lab, "b", "nobody", HELLO)
    forge(lab, "b", "nobody", Response(False, b"late"))
    assert errors(lab) == [MARKED, MARKED]


def test_g3_a_request_of_another_node_that_its_receiver_never_took_is_marked(lab: SimLab) -> None:
    a, far = lab.probe("a"), lab.probe("d", far=True)
    a.begin(wait_for(far, "keep it", expects=30), TRAP)
    lab.rest()
    forge(lab, "b", a, HELLO)
    lab.kill(a)
    assert errors(lab)[:1] == [MARKED]


def test_g3_an_answer_of_another_node_for_which_there_is_no_room_is_marked(
    lab: SimLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, far = lab.probe("a"), lab.probe("b", far=True)
    monkeypatch.setattr(limits, "MAX_ANSWER_BYTES", 1)
    many = [message(far, "", respond("x" * 10), expects=20) for _ in range(3)]
    a.begin(send_many(*many), wait_for(far, "keep it", expects=5))
    lab.rest(9)
    assert MARKED in errors(lab)


def test_g3_a_local_dead_letter_is_not_marked(lab: SimLab) -> None:
    a = lab.probe("a")
    a.tell(send(f"{OUR}@nobody:probes:sys", "lost"))
    assert errors(lab) == [(str(a), False)]


def test_g3_a_trace_marks_the_requests_and_the_answers_of_another_node(lab: SimLab) -> None:
    a, far = lab.probe("a"), lab.probe("b", far=True)
    lab.our.core.trace(Address(OUR, a.id), "token")
    a.begin(send(far, "", respond("yes"), expects=5))
    lab.rest()
    forge(lab, "b", a, HELLO)
    rows = [status.trace_row(each.record, 0.0) for each in lab.our.traced]
    remote = [row for row in rows if str(row["source"]).startswith(THEIR)]
    assert len(remote) >= 3
    assert all(row["claim"] for row in remote)
    assert not any(row["claim"] for row in rows if row not in remote)


def test_g3_a_capability_of_a_process_that_is_no_address_is_refused_before_it_is_shown(lab: SimLab) -> None:
    a = lab.probe("a")
    unissued = Claim(Address(OUR_NODE, a.id), MESSAGING, 0, bytes(64))
    forge(lab, "a", a, HELLO, claims=(unissued,))
    assert a.seen() == []
    assert Capability(Address(OUR, a.id), MESSAGING) not in lab.our.core.kernel.grants.of(a.id)


def test_g3_the_mark_of_a_claim_is_made_in_one_place() -> None:
    root = Path(__file__).resolve().parents[2]
    files = [file for room in ("kernel", "net", "nectar_node") for file in (root / room).rglob("*.py")]
    assert [file.name for file in files if " (claim)" in file.read_text()] == ["message.py"]
