"""The names of system processes: what happens at those that a node does not have (G21)."""

from __future__ import annotations

from kernel.contract.address import Address, ProcessId
from kernel.contract.events import DeadLetter, FromPeer, Polled, Reply, Start
from kernel.contract.guest import Arrival, Failure, Poll, SendRequest, Spawn
from kernel.contract.message import ON_EXIT_NONE, Envelope, Reason, ReplyTo, Request, Response
from kernel.contract.process import Launch
from tests.kernel.rig import CLOCK, OUR, THEIR, NoProgram, Rig, here, pid

LACKED = ProcessId("new", "distro", "sys")


def test_g21_its_user_alone_puts_a_process_at_a_name_that_the_node_lacks_and_at_none_that_it_has(rig: Rig) -> None:
    assert rig.kernel.lacks(LACKED)
    assert not rig.kernel.lacks(CLOCK)
    rig.start("a")
    for name in (LACKED, CLOCK):
        rig.tell(Start(Launch(name, NoProgram(), ON_EXIT_NONE, public=False), ()))
    assert set(rig.kernel.processes) == {pid("a"), LACKED}
    assert not rig.kernel.lacks(LACKED)
    rig.tell(Polled(LACKED, Poll.CALL, [Spawn("x", "/x.wasm", ON_EXIT_NONE, (), (), False)], None))
    assert set(rig.kernel.processes) == {pid("a"), LACKED}


def test_a_request_to_a_name_that_the_node_lacks_is_the_nodes_to_answer_until_a_process_stands_in(rig: Rig) -> None:
    rig.start("a")
    request = SendRequest(Address(OUR, LACKED), Request(False, 5, b"x"), None, None)
    (envelope,) = [each for each in rig.poll("a", request) if isinstance(each, Envelope)]
    assert envelope.target.process == LACKED
    rig.tell(Reply(LACKED, ReplyTo(here("a"), envelope.id), Response(False, b"no"), None))
    assert isinstance(answer := rig.handed("a")[-1], Arrival)
    assert answer.source == Address(OUR, LACKED)
    rig.tell(Start(Launch(LACKED, NoProgram(), ON_EXIT_NONE, public=False), ()))
    rig.poll("a", request)
    assert isinstance(failure := rig.handed("a")[-1], Failure)
    assert failure.error.reason is Reason.NO_CAPABILITY


def test_another_nodes_message_to_a_name_that_this_node_lacks_reaches_nobody(rig: Rig) -> None:
    source = Address(THEIR, pid("b"))
    envelope = Envelope(7, source, Address(OUR, LACKED), ReplyTo(source, 7), Request(False, 5, b"x"), None)
    actions = rig.tell(FromPeer(envelope, 1))
    assert [each.reason for each in actions if isinstance(each, DeadLetter)] == [Reason.NO_SUCH_PROCESS]
    assert not [each for each in actions if isinstance(each, Envelope)]
