"""A node starts its packages when the registrar has answered, or has taken too long."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest

from kernel.contract.guest import Arrival
from kernel.contract.message import Reason
from kernel.router.kernel import Kernel
from nectar_node.base.refusals import why_refused
from nectar_node.contract.actions import BadCode, DriverAction, Installed, Joined, LoadCode, LogLine, NameRefused, Ready
from nectar_node.packages.boot import JOIN_SECONDS, Boot, StartUp
from nectar_node.packages.installer import EntryOwner, Installer
from nectar_node.packages.manifest import Package, read_package
from nectar_node.packages.reboot import plan
from nectar_node.storage.operations import Location
from net.base.limits import CREDIT_SHARES, RECOVERY_SECONDS, SESSION_CREDIT_MESSAGES
from net.base.timers import Timers
from net.contract.events import FailureReason, RegistrationFailed
from testnet.faults.refusal import Refusal
from testnet.model.lab import PACKAGES
from testnet.model.where import Where
from testnet.scenarios.witnesses import RunTally, Witnesses, WitnessRun
from testnet.sim.node import NodeSpec, SimNode
from testnet.sim.programs import Programs
from testnet.sim.simulation import REGISTRAR, LinkBehaviour, Simulation

OUR = "our.nec"
HELLO = PACKAGES / "hello"
HELLO_PACKAGE = read_package(HELLO, OUR)
HELLO_PROCESS = "hello:hello:sys"
DOWN = why_refused(OUR, FailureReason.UNREACHABLE)


@dataclass
class Booting:
    """A start-up, and what it has asked for."""

    asked: list[DriverAction] = field(default_factory=list)

    def __post_init__(self) -> None:
        ids = count()
        kernel = Kernel(OUR, lambda: next(ids), [])
        self.timers: Timers[object] = Timers()
        self.installer = Installer(
            OUR, kernel, lambda _: None, self.asked.append, lambda *_: None, lambda _: None, {}, self.timers
        )
        self.start_up = StartUp(OUR, "code", self.installer, lambda _: None, self.asked.append, self.timers)

    def begin(self, *packages: Package, registers: bool) -> None:
        """Begin with these packages, which are new."""
        self.start_up.begin(Boot(packages, registers), plan(packages, {}, ()), 100.0)

    def kinds(self) -> list[type]:
        """Of what was asked for since the last time."""
        kinds = [type(each) for each in self.asked]
        self.asked.clear()
        return kinds

    def load_all(self) -> None:
        """The code of everything turns out to be bad."""
        for action in [each for each in self.asked if isinstance(each, LoadCode)]:
            assert isinstance(action.owner, EntryOwner)
            self.installer.code_loaded(action.owner, BadCode("bad"))
        self.start_up.installed()


@pytest.fixture
def booting() -> Booting:
    return Booting()


def test_a_node_that_asks_nobody_starts_its_packages_at_once(booting: Booting) -> None:
    booting.begin(HELLO_PACKAGE, registers=False)
    assert booting.kinds() == [LoadCode]
    assert booting.timers.next() is None


def test_one_that_asks_the_registrar_waits_for_its_answer(booting: Booting) -> None:
    booting.begin(HELLO_PACKAGE, registers=True)
    assert booting.kinds() == []
    booting.start_up.registered()
    assert booting.kinds() == [Joined, LoadCode]


def test_but_not_for_ever(booting: Booting) -> None:
    booting.begin(HELLO_PACKAGE, registers=True)
    assert booting.timers.next() == 100.0 + JOIN_SECONDS
    booting.start_up.on_timer(100.0 + JOIN_SECONDS - 0.1)
    assert booting.asked == []
    booting.start_up.on_timer(100.0 + JOIN_SECONDS)
    assert booting.asked[0] == LogLine("net", 0, DOWN)
    assert booting.kinds() == [LogLine, LoadCode]
    assert booting.timers.next() is None


def test_nor_when_it_knows_that_there_will_be_none_soon(booting: Booting) -> None:
    booting.begin(HELLO_PACKAGE, registers=True)
    booting.start_up.registration_failed(RegistrationFailed(FailureReason.UNREACHABLE, retries=True))
    assert booting.kinds() == [LogLine, LoadCode]


def test_a_node_that_is_refused_its_name_starts_nothing(booting: Booting) -> None:
    booting.begin(HELLO_PACKAGE, registers=True)
    booting.start_up.registration_failed(RegistrationFailed(FailureReason.NAME_TAKEN, retries=False))
    booting.start_up.on_timer(1000.0)
    assert booting.asked == [NameRefused(FailureReason.NAME_TAKEN)]


def test_it_is_ready_when_its_packages_run_or_cannot_and_says_what_is_wrong(booting: Booting) -> None:
    booting.begin(HELLO_PACKAGE, registers=True)
    booting.start_up.registration_failed(RegistrationFailed(FailureReason.UNREACHABLE, retries=True))
    booting.load_all()
    assert booting.kinds() == [LogLine, LoadCode, LogLine, Installed, Ready]


def test_a_registration_that_fails_later_is_logged_and_ends_nothing(booting: Booting) -> None:
    booting.begin(registers=True)
    booting.start_up.registered()
    booting.start_up.registration_failed(RegistrationFailed(FailureReason.NAME_TAKEN, retries=False))
    assert booting.kinds() == [Joined, Ready, LogLine]


@pytest.fixture
def simulation() -> Simulation:
    return Simulation(3, Programs(), LinkBehaviour(0.0, 0.0))


def test_a_node_whose_registrar_refuses_dials_runs_its_packages_after_five_seconds(simulation: Simulation) -> None:
    simulation.rest(1.0)
    simulation.inject(Refusal(Where(REGISTRAR)))
    began = simulation.now
    node = simulation.add(OUR, (HELLO,))
    simulation.run_until(lambda: node.ready, began + 60.0)
    assert simulation.now == began + 5.0
    assert [str(each) for each in node.core.kernel.processes] == ["hello:hello:sys"]
    assert f"net: {DOWN}" in node.shown_log


def test_a_node_whose_name_another_key_holds_does_not_run(simulation: Simulation) -> None:
    simulation.add(OUR)
    simulation.settle()
    simulation.boot_node(NodeSpec(OUR, (HELLO,), host="other", key="another"))
    simulation.rest(1.0)
    assert "other" not in simulation.nodes
    lines = [line for line in simulation.journal if " other does not run: " in line]
    assert [line.partition(": ")[2] for line in lines] == [why_refused(OUR, FailureReason.NAME_TAKEN)]


# --- whoever reaches a node before its packages run ------------------------------------------------------------------

PEER = "peer.nec"
WAIT = 5.0
"""Seconds that a node waits for a registrar that refuses dials."""
WITNESS = PACKAGES / "witness"


@pytest.fixture
def node(simulation: Simulation) -> SimNode:
    """A node that a peer knows boots anew, and starts its packages in WAIT."""
    simulation.add(PEER, (HELLO, WITNESS))
    simulation.add(OUR, (HELLO, WITNESS))
    simulation.rest(10.0)
    simulation.inject(Refusal(Where(REGISTRAR)))
    return simulation.restart(OUR)


def ask_as_user(simulation: Simulation, node: str, body: object, timeout: int) -> object:
    """What hello of that node answers its user, or why it does not."""
    outcome = simulation.nodes[node].ask(f"our@{HELLO_PROCESS}", json.dumps(body).encode(), timeout)
    return json.loads(outcome.message.body) if isinstance(outcome, Arrival) else outcome.error.reason


def ask_from_peer(simulation: Simulation, timeout: int) -> object:
    """What hello of the peer says of its request to hello of ours."""
    return ask_as_user(simulation, PEER, {"Ask": {"node": OUR, "name": "Ada", "timeout": timeout}}, 60)


def test_g5_a_request_of_another_node_is_answered_as_soon_as_the_packages_run(
    simulation: Simulation, node: SimNode
) -> None:
    began = simulation.now
    assert ask_from_peer(simulation, 30) == {"Answered": {"body": {"Greeting": f"Hello, Ada, from {OUR}"}}}
    assert simulation.now == began + WAIT
    assert node.core.dead_letters.count == 0


def test_g5_a_request_of_its_user_is_answered_then_too(simulation: Simulation, node: SimNode) -> None:
    began = simulation.now
    assert ask_as_user(simulation, OUR, {"Greet": "Ada"}, 30) == {"Greeting": f"Hello, Ada, from {OUR}"}
    assert simulation.now == began + WAIT


def test_g7_neither_waits_longer_than_it_said(simulation: Simulation, node: SimNode) -> None:
    began = simulation.now
    assert ask_as_user(simulation, OUR, {"Greet": "Ada"}, 2) is Reason.EXPIRED
    assert simulation.now == began + 2.0
    assert ask_from_peer(simulation, 2) == {"Failed": {"kind": "Timeout"}}
    assert simulation.now == began + 4.0


def test_g14_a_request_for_a_package_that_cannot_be_started_finds_no_such_process_then(
    simulation: Simulation, node: SimNode
) -> None:
    began = simulation.now
    code = Path(str(HELLO_PACKAGE.code(HELLO_PACKAGE.entries[0]))).read_bytes()
    node.disk.put(Location(f"{OUR}/code", (sha256(code).hexdigest(),)), b"damaged")
    assert ask_as_user(simulation, OUR, {"Greet": "Ada"}, 30) is Reason.NO_SUCH_PROCESS
    assert simulation.now == began + WAIT
    assert HELLO_PROCESS not in map(str, node.core.kernel.processes)
    assert ask_as_user(simulation, OUR, {"Greet": "Ada"}, 30) is Reason.NO_SUCH_PROCESS
    assert simulation.now == began + WAIT


def test_g13_what_waits_in_a_node_that_crashes_was_not_taken_so_its_sender_is_told(
    simulation: Simulation, node: SimNode
) -> None:
    began = simulation.now

    def crash() -> None:
        simulation.crash(OUR)

    simulation.at(1.0, crash)
    assert ask_from_peer(simulation, 30) == {"Failed": {"kind": "Offline"}}
    assert began + 1.0 < simulation.now <= began + 1.0 + RECOVERY_SECONDS


def test_g24_a_flood_waits_within_the_peers_credit_and_comes_in_order(simulation: Simulation, node: SimNode) -> None:
    lab = simulation
    witness = Witnesses(lab)
    run = WitnessRun("flood", PEER, (OUR,), count=1000, timeout=30)
    witness.begin(run)
    lab.rest(WAIT - 1.0)
    assert [len(queue) for queue in node.core.kernel.starting.queues()] == [0, SESSION_CREDIT_MESSAGES // CREDIT_SHARES]
    lab.rest(2.0)
    assert witness.report(PEER).of(run) == [RunTally(1000, 1000, 0, 0, 0)]
    witness.nothing_wrong((OUR, PEER))
    assert list(node.core.kernel.starting.queues()) == []
