"""All that waits in a kernel is paid for by its holders' accounts, and nothing is left of it (G23, G24)."""

from __future__ import annotations

from itertools import count

from kernel.contract import limits
from kernel.contract.events import DeadLetter, FromPeer, Kill, Parcel, PeerTook, Taken
from kernel.contract.guest import Arrival, Failure, Poll
from kernel.contract.message import Envelope, Reason, Request
from kernel.contract.process import Waiting
from kernel.router.kernel import Kernel
from nectar_node.contract.memory_budget import MemoryBudget
from tests.kernel.rig import CLOCK, OUR, TERMINAL, VFS, Rig, here, pid, respond, send, there

MIB = 1 << 20


class Metered(Rig):
    """A kernel with a budget."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        ids = count(1)
        self.budget = MemoryBudget(capacity)
        self.kernel = Kernel(OUR, lambda: next(ids), [(VFS, False), (CLOCK, True), (TERMINAL, False)], self.budget)

    def of(self, name: str) -> int:
        """Bytes that wait for a process."""
        return self.budget.of("process", str(pid(name)))


def test_what_waits_in_an_inbox_is_paid_for_by_its_process_until_it_takes_it() -> None:
    rig = Metered(1024 * MIB)
    rig.start("a", "b")
    rig.poll("b", poll=busy())
    rig.poll("a", *(send(here("b"), bytes(1000)) for _ in range(10)))
    assert rig.of("b") == 10 * (1001 + limits.MESSAGE_MEMORY_BYTES)
    for _ in range(10):
        rig.receive("b")
    assert (rig.of("b"), rig.budget.used) == (0, 0)


def test_a_process_that_ends_pays_for_nothing_any_more() -> None:
    rig = Metered(1024 * MIB)
    rig.start("a", "b")
    rig.poll("b", poll=busy())
    rig.poll("a", *(send(here("b"), bytes(100_000), expects=60) for _ in range(10)))
    assert rig.of("a") > 900_000
    rig.tell(Kill(pid("b")))
    rig.tell(Kill(pid("a")))
    assert rig.budget.used == 0


def test_g24_a_sender_waits_when_the_inbox_has_no_more_memory_and_goes_on_when_it_has() -> None:
    rig = Metered(8 * MIB)
    rig.start("a", "b")
    rig.poll("b", poll=busy())
    rig.poll("a", *(send(here("b"), bytes(MIB)) for _ in range(9)))
    assert rig.kernel.processes[pid("a")].waiting is Waiting.ROOM
    assert rig.budget.used < 8 * MIB
    for _ in range(9):
        rig.receive("b")
    assert len(rig.handed("b")) == 9
    assert rig.budget.used == 0


def test_g24_a_process_whose_inbox_is_empty_is_always_given_something_small() -> None:
    rig = Metered(MIB)
    rig.budget.of_node("greedy.nec").add(MIB)
    rig.start("a", "b")
    rig.poll("b", poll=busy())
    rig.poll("a", send(here("b"), bytes(10_000)))
    assert rig.kernel.processes[pid("a")].waiting is Waiting.RECEIVE
    assert rig.of("b") > 10_000


def test_many_processes_that_take_nothing_have_no_more_than_there_is_memory() -> None:
    rig = Metered(256 * MIB)
    names = [f"c{number}" for number in range(40)]
    rig.start("a", *names)
    for name in names:
        rig.poll(name, poll=busy())
        rig.poll("a", send(here(name), bytes(10 * MIB)))
    assert rig.kernel.processes[pid("a")].waiting is Waiting.RECEIVE
    assert 64 * MIB < rig.budget.used < 128 * MIB  # half of it is for one package
    assert set(reasons(rig)) == {Reason.INBOX_FULL}


def test_a_process_that_waits_for_a_message_gets_it_however_little_memory_there_is() -> None:
    rig = Metered(MIB)
    rig.budget.of_node("greedy.nec").add(MIB)
    rig.start("a", "b")
    rig.poll("a", send(here("b"), bytes(MIB), expects=60))
    rig.poll("b", respond(bytes(MIB)))
    assert (len(rig.handed("b")), len(rig.handed("a")), rig.all(DeadLetter)) == (1, 1, [])


def test_g24_who_waits_for_memory_keeps_its_place_and_goes_on_in_order() -> None:
    rig = Metered(64 * MIB)
    rig.start("a", "b", "c", "d")
    rig.poll("b", poll=busy())
    rig.poll("d", send(here("b"), b"small"), send(here("b"), b"another"))
    others = rig.budget.of_process(pid("e"))
    others.add(20 * MIB)
    rig.poll("a", send(here("b"), bytes(8 * MIB)))
    rig.poll("c", send(here("b"), b"behind"))
    assert [rig.kernel.processes[pid(name)].waiting for name in "ac"] == [Waiting.ROOM] * 2
    rig.receive("b")
    assert [rig.kernel.processes[pid(name)].waiting for name in "ac"] == [Waiting.ROOM] * 2
    others.remove(20 * MIB)
    for _ in range(4):
        rig.receive("b")
    bodies = [answer.message.body for answer in rig.handed("b") if isinstance(answer, Arrival)]
    assert bodies == [b"small", b"another", bytes(8 * MIB), b"behind"]
    assert rig.budget.used == 0


def test_messages_for_any_number_of_nodes_are_no_more_than_there_is_memory() -> None:
    rig = Metered(256 * MIB)
    rig.start("a")
    for number in range(100):
        rig.poll("a", send(there("b")._replace(node=f"n{number}.nec"), bytes(10 * MIB)))
    assert rig.kernel.processes[pid("a")].waiting is Waiting.RECEIVE
    assert 64 * MIB < rig.budget.used < 192 * MIB  # three quarters of it are for peers
    assert set(reasons(rig)) == {Reason.INBOX_FULL}


def test_g24_a_large_message_waits_for_those_on_their_way_to_that_node_when_there_is_no_memory_beside_them() -> None:
    rig = Metered(64 * MIB)
    rig.start("a", "c")
    rig.poll("a", send(there("b"), b"small"))
    (leaving,) = rig.all(Parcel)
    others = rig.budget.of_node("others.nec")
    others.add(40 * MIB)
    rig.poll("a", send(there("b"), bytes(8 * MIB)))
    assert rig.kernel.processes[pid("a")].waiting is Waiting.ROOM
    others.remove(40 * MIB)
    assert isinstance(leaving, Parcel)
    rig.tell(PeerTook((leaving,)))
    assert rig.kernel.processes[pid("a")].waiting is Waiting.RECEIVE
    assert len(rig.all(Parcel)) == 2


def test_answers_that_wait_for_any_number_of_processes_are_no_more_than_there_is_memory() -> None:
    rig = Metered(256 * MIB)
    names = [f"c{number}" for number in range(50)]
    rig.start("b", *names)
    for name in names:
        rig.poll(name, send(here("b"), b"q", expects=60), poll=busy())
    for _ in names:
        rig.poll("b", respond(bytes(10 * MIB)))
    assert 64 * MIB < rig.budget.used < 128 * MIB
    assert set(reasons(rig)) == {Reason.INBOX_FULL}


def test_g24_a_message_of_a_peer_stays_with_the_peer_until_there_is_room() -> None:
    rig = Metered(8 * MIB)
    rig.start("a")
    rig.poll("a", poll=busy())
    for number in range(9):
        body = Request(False, None, bytes(MIB))
        rig.tell(FromPeer(Envelope(number, there("b"), here("a"), None, body, None, claimed=True), number))
    taken = len(rig.all(Taken))
    assert 0 < taken < 9
    rig.receive("a")
    assert len(rig.all(Taken)) == taken + 1


def test_what_is_on_its_way_to_a_node_is_paid_for_by_that_node() -> None:
    rig = Metered(1024 * MIB)
    rig.start("a")
    rig.poll("a", send(there("b"), bytes(1000)))
    assert rig.budget.of("peer", there("b").node) == 1000 + limits.MESSAGE_MEMORY_BYTES
    (leaving,) = rig.all(Parcel)
    assert isinstance(leaving, Parcel)
    rig.tell(PeerTook((leaving,)))
    assert rig.budget.used == 0


def test_g24_a_node_that_has_all_that_peers_may_have_holds_up_what_is_for_it_alone() -> None:
    rig = Metered(16 * MIB)
    rig.start("a", "c")
    rig.poll("a", *(send(there("b"), bytes(MIB)) for _ in range(16)))
    assert rig.kernel.processes[pid("a")].waiting is Waiting.ROOM
    third = there("b")._replace(node="third.nec")
    rig.poll("c", send(third, b"small"))
    assert rig.kernel.processes[pid("c")].waiting is Waiting.RECEIVE
    assert rig.budget.of("peer", "third.nec") > 0


def test_g23_who_keeps_too_much_outstanding_for_its_package_ends_and_quiet_processes_of_it_go_on() -> None:
    rig = Metered(8 * MIB)
    rig.start("greedy", "quiet", "sink")
    for number in range(8):
        rig.poll("greedy", send(here("sink"), bytes(MIB), expects=60))
        rig.receive("sink")
        rig.poll("quiet", send(here("sink"), b"%d" % number, expects=60))
        rig.receive("sink")
    assert pid("greedy") not in rig.kernel.processes
    assert pid("quiet") in rig.kernel.processes
    assert any("all the memory" in str(action) for action in rig.actions)


def test_an_answer_for_which_there_is_no_memory_is_a_timeout() -> None:
    rig = Metered(8 * MIB)
    rig.start("a", "b")
    rig.poll("a", *(send(here("b"), b"q", expects=60) for _ in range(9)), poll=busy())
    for _ in range(9):
        rig.poll("b", respond(bytes(MIB)))
    late = reasons(rig)
    assert set(late) == {Reason.INBOX_FULL}
    for _ in range(9):
        rig.receive("a")
    failures = [answer for answer in rig.handed("a") if isinstance(answer, Failure)]
    assert len(failures) == len(late)
    assert rig.budget.used == 0


def reasons(rig: Rig) -> list[Reason]:
    """Why messages have reached nobody."""
    return [action.reason for action in rig.all(DeadLetter) if isinstance(action, DeadLetter)]


def busy() -> Poll:
    """It does something else, and takes no message."""
    return Poll.PREEMPTED
