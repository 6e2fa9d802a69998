"""All that waits in a kernel is paid for by its holders' accounts, and nothing is left of it (G23, G24)."""

from __future__ import annotations

from itertools import count

from kernel import limits
from kernel.events import DeadLetter, FromPeer, Kill, PeerTook, Taken, ToPeer
from kernel.guest import Failure, Poll
from kernel.kernel import Kernel
from kernel.message import Envelope, Reason, Request
from kernel.process import Waiting
from nectar_node.memory_budget import MemoryBudget
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


def test_g24_a_process_whose_inbox_is_empty_is_always_given_something() -> None:
    rig = Metered(MIB)
    rig.budget.of_node("greedy.nec").add(MIB)
    rig.start("a", "b")
    rig.poll("b", poll=busy())
    rig.poll("a", send(here("b"), bytes(100_000)))
    assert rig.kernel.processes[pid("a")].waiting is Waiting.RECEIVE


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
    (leaving,) = rig.all(ToPeer)
    assert isinstance(leaving, ToPeer)
    rig.tell(PeerTook(leaving.parcel))
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
    reasons = [action.reason for action in rig.all(DeadLetter) if isinstance(action, DeadLetter)]
    assert set(reasons) == {Reason.INBOX_FULL}
    for _ in range(9):
        rig.receive("a")
    failures = [answer for answer in rig.handed("a") if isinstance(answer, Failure)]
    assert len(failures) == len(reasons)
    assert rig.budget.used == 0


def busy() -> Poll:
    """It does something else, and takes no message."""
    return Poll.PREEMPTED
