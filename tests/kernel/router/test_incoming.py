"""Messages of other nodes and of the user: what they reach (G16, G19, G24)."""

from __future__ import annotations

import pytest

from kernel.contract import limits
from kernel.contract.address import Address
from kernel.contract.events import Answered, FromPeer, Inject, Taken
from kernel.contract.message import Envelope, Reason, Request, Response
from tests.kernel.rig import OUR, TERMINAL, VFS, Rig, from_peer, parcel, send, there


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_g16_a_system_process_is_there_but_not_for_other_nodes(rig: Rig) -> None:
    target = Address(OUR, VFS)
    rig.tell(FromPeer(Envelope(7, there("x"), target, None, Request(False, None, b""), None, claimed=True), "receipt"))
    assert rig.dead() == [Reason.NO_CAPABILITY]


def test_g24_a_remote_sender_loses_its_credit_until_there_is_room(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 1)
    rig.start("b")
    for n in range(3):
        from_peer(rig, "x", "b", Request(False, None, bytes([n])), receipt=n)
    assert [a.receipt for a in rig.actions if isinstance(a, Taken)] == [0, 1]
    rig.receive("b")
    assert [a.receipt for a in rig.actions if isinstance(a, Taken)] == [0, 1, 2]


def test_the_user_gets_the_answer_of_another_node(rig: Rig) -> None:
    rig.tell(Inject(TERMINAL, there("b"), Request(False, 5, b"q"), None, "token"))
    id = parcel(rig).envelope.id
    answer = Envelope(id, there("b"), Address(OUR, TERMINAL), None, Response(False, b"a"), None, claimed=True)
    rig.tell(FromPeer(answer, "receipt"))
    assert len([a for a in rig.actions if isinstance(a, Answered)]) == 1


def test_a_forged_response_from_another_node_reaches_nobody(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", send(there("b"), expects=9))
    id = parcel(rig).envelope.id
    from_peer(rig, "b", "b", Response(False, b"to the wrong process"), id=id)
    from_peer(rig, "b", "a", Response(False, b"with a guessed id"), id=id + 1)
    assert rig.handed("a") == []
    assert rig.dead() == [Reason.NOT_AWAITED, Reason.NOT_AWAITED]
    from_peer(rig, "b", "a", Response(False, b"true"), id=id)
    assert rig.bodies("a") == [b"true"]
