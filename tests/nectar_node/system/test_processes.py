"""Who is told something is asked what it wants, and nobody else is."""

from __future__ import annotations

import pytest

from kernel.contract.address import Address, ProcessId
from kernel.contract.message import Envelope, ReplyTo, Request
from nectar_node.storage.ledger import Ledger
from nectar_node.storage.operations import Location
from nectar_node.system.processes import SystemProcesses
from nectar_node.system.state import State
from nectar_node.system.timer import TIMER, Timer
from net.base.timers import Timers

OUR = "our.nec"
APP = Address(OUR, ProcessId("main", "app", "sys"))


@pytest.fixture
def timer() -> Timer:
    return Timer()


@pytest.fixture
def processes(timer: Timer) -> SystemProcesses:
    return SystemProcesses((timer, State(Location("one.nec", ("store",)), {}, Ledger())), lambda _: None, Timers())


def request(target: ProcessId) -> Envelope:
    return Envelope(1, APP, Address(OUR, target), ReplyTo(APP, 1), Request(False, 9, b'{"SetTimer": 1000}'))


def test_whoever_gets_a_request_is_stirred_and_nobody_else(processes: SystemProcesses, timer: Timer) -> None:
    processes.receive(request(APP.process), 0.0)
    assert not processes.pending
    processes.receive(request(TIMER), 0.0)
    assert list(processes.pending) == [timer]
    assert timer.next_deadline() == 1.0


def test_another_node_is_not_served_by_whoever_serves_this_one_alone(processes: SystemProcesses, timer: Timer) -> None:
    assert not processes.serve_peer(request(TIMER), 0.0)
    assert not processes.serve_peer(request(APP.process), 0.0)
    assert (list(processes.pending), timer.next_deadline()) == ([], None)


def test_the_end_of_a_process_is_told_to_all(processes: SystemProcesses, timer: Timer) -> None:
    processes.receive(request(TIMER), 0.0)
    processes.pending.clear()
    processes.ended(APP.process, 0.5)
    assert list(processes.pending) == list(processes.by_id.values())
    assert timer.next_deadline() is None  # nobody is left to be answered


def test_when_time_has_passed_whoever_is_due_is_told_and_nobody_else(processes: SystemProcesses, timer: Timer) -> None:
    processes.receive(request(TIMER), 0.0)
    processes.pending.clear()
    assert processes.next_action(timer, 0.0) is None
    processes.on_timer(0.5)
    assert not processes.pending
    processes.on_timer(1.0)
    assert list(processes.pending) == [timer]
