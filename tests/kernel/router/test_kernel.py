"""The kernel's promises, shown on the pure router: part by part in the files beside this one, and here what is the
router's own. The same promises with real guests are in tests/nectar_node."""

from __future__ import annotations

import pytest

from kernel.contract.address import Address
from kernel.contract.events import PeerFailed
from kernel.contract.guest import Arrival
from kernel.contract.message import Reason
from tests.kernel.rig import Rig, here, parcel, pid, respond, send, there


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_g3_the_kernel_writes_the_source_of_a_local_message(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", send(Address("our", pid("b"))))
    (arrival,) = rig.handed("b")
    assert isinstance(arrival, Arrival)
    assert arrival.source == here("a")


def test_g4_messages_between_two_processes_arrive_in_the_order_of_their_sending(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", *(send(here("b"), bytes([n])) for n in range(20)))
    for _ in range(19):
        rig.receive("b")
    assert rig.bodies("b") == [bytes([n]) for n in range(20)]


def test_g5_statistics_count_what_was_handed_over_and_how_requests_ended_also_of_processes_that_have_ended(
    rig: Rig,
) -> None:
    rig.start("a", "b")
    rig.poll("a", *(send(here("b"), expects=5) for _ in range(3)), send(here("nobody"), expects=5))
    rig.poll("b", respond())
    rig.receive("a")
    rig.poll("a", send(there("b"), expects=5))
    rig.tell(PeerFailed(parcel(rig), Reason.UNREACHABLE))
    rig.receive("a")
    figures = rig.kernel.statistics()
    assert {name: figures[name] for name in ("messages", "answered", "offline", "timeout")} == {
        "messages": 5,
        "answered": 1,
        "offline": 1,
        "timeout": 1,
    }
    rig.end("a")
    rig.end("b")
    after = rig.kernel.statistics()
    assert (after["processes"], after["messages"], after["answered"]) == (0, 5, 1)
