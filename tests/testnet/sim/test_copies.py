"""Copies of a node in a network: one stays, and what was revoked stays so (G20, G21)."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from net.base.limits import OWN_CHECK_SECONDS
from testnet.faults.black_hole import BlackHole
from testnet.faults.partition import Partition
from testnet.faults.registrar_down import RegistrarDown
from testnet.model.lab import NodePlan
from testnet.model.where import Where
from testnet.sim.disk.disk import SimDisk
from testnet.sim.names import REGISTRAR
from testnet.sim.node import SimNode
from testnet.sim.programs import Programs
from testnet.sim.simulation import Simulation
from tests.seeds import sample

A, B, C = "a.nec", "b.nec", "c.nec"
COPY = "elsewhere"
SECONDS = 5.0
"""Within this, a node that has a connection knows of its copy."""


@pytest.fixture
def lab(programs: Programs) -> Simulation:
    lab = Simulation(20261130, programs)
    lab.boot(NodePlan(A, ("handoff",)), NodePlan(B, ("handoff",)), NodePlan(C, ("handoff",)))
    lab.settle()
    lab.rest(5.0)
    return lab


def guest(lab: Simulation, at: str, body: Any) -> Any:
    """What the guest of a node answers its user."""
    outcome = lab.ask(at, "our@guest:handoff:sys", body, 30)
    assert outcome.kind == "response", outcome
    return outcome.body


def ticket(node: str, **more: Any) -> dict[str, Any]:
    return {"node": node, "door": 1, "timeout": 5, **more}


def opens(lab: Simulation, at: str, node: str) -> bool:
    """Whether the guest at a node gets into that door of another one."""
    return "Opened" in guest(lab, at, {"Open": ticket(node)})["Door"]


def sequence(lab: Simulation, node: str = A) -> int:
    """The number of the record that the registrar has."""
    record = lab.nodes[REGISTRAR].core.network.record(node)
    assert record is not None
    return record.sequence


def epoch(lab: Simulation, node: str = A) -> int:
    record = lab.nodes[REGISTRAR].core.network.record(node)
    assert record is not None
    return record.epoch


def stood_down(lab: Simulation, host: str) -> str | None:
    """Why the node of a host has ended, if it has."""
    node = lab.nodes.get(host) or lab.down[host]
    return node.stood_down


# --- revocations ------------------------------------------------------------------------------------------------------


def test_g21_a_boot_revokes_nothing_and_a_crash_at_any_time_does_not_either(lab: Simulation) -> None:
    guest(lab, B, {"Fetch": ticket(A)})
    for pause in (0.0, 0.003, 0.006, 0.01, 0.1, 1.0):
        lab.restart(A)
        lab.rest(pause)
    lab.restart(A)
    lab.settle()
    lab.rest(1.0)
    assert epoch(lab) == 0
    assert opens(lab, B, A)
    assert stood_down(lab, A) is None


def kill_door(lab: Simulation, node: str) -> None:
    """Kill the door of a node, and with it all of its tickets."""
    assert lab.ask(node, "our@kernel:distro:sys", {"KillProcess": "door:handoff:sys"}, 10).kind == "response"
    lab.rest(1.0)


def put_back(lab: Simulation, older: SimDisk) -> None:
    """Boot the node again with another disk than it had."""
    lab.crash(A)
    lab.roll_back(A, older)
    lab.start(A)
    lab.settle()
    lab.rest(1.0)


def test_g21_what_was_revoked_stays_so_when_the_store_is_put_back_to_an_older_one(lab: Simulation) -> None:
    guest(lab, B, {"Fetch": ticket(A)})
    guest(lab, B, {"Pass": ticket(A, to=C)})
    assert opens(lab, B, A)
    assert opens(lab, C, A)
    older = lab.nodes[A].disk.copy(lambda: lab.wall_clock(A))
    kill_door(lab, A)
    put_back(lab, older)
    assert "door" in {each.process for each in lab.nodes[A].core.kernel.processes}
    assert not opens(lab, B, A)
    assert not opens(lab, C, A)
    assert any("the store is an older one" in line for line in lab.log(A))
    assert guest(lab, B, {"Fetch": ticket(A)}) == {"Fetched": [{"node": A, "door": 1}]}
    assert opens(lab, B, A)


def test_g21_other_nodes_refuse_a_ticket_of_an_epoch_that_is_over_whatever_its_issuer_says(lab: Simulation) -> None:
    guest(lab, B, {"Fetch": ticket(A)})
    held = lab.nodes[B].core.kernel.grants
    assert [each for each in held.of(lab.nodes[B].process("guest")) if each.issuer.node == A]
    older = lab.nodes[A].disk.copy(lambda: lab.wall_clock(A))
    kill_door(lab, A)
    put_back(lab, older)
    assert not [each for each in held.of(lab.nodes[B].process("guest")) if each.issuer.node == A]


# --- copies -----------------------------------------------------------------------------------------------------------


def test_the_older_of_two_copies_stands_down_within_seconds_and_stays_down(lab: Simulation) -> None:
    lab.copy(A, COPY)
    lab.rest(SECONDS)
    reason = stood_down(lab, A)
    assert reason is not None
    assert f"A copy of {A} at {COPY}:9000 has taken its place since" in reason
    assert stood_down(lab, COPY) is None
    for _ in range(3):
        lab.start(A)
        lab.rest(SECONDS)
        assert A not in lab.nodes
    assert stood_down(lab, COPY) is None


def test_a_copy_of_a_quiet_node_is_noticed_too_when_nothing_else_has_changed(lab: Simulation) -> None:
    """Behind routers, both have the same record but for its number."""
    lab.add("r.nec")
    lab.add("q.nec", routers=("r.nec",))
    lab.settle()
    lab.rest(5.0)
    lab.copy("q.nec", COPY)
    lab.rest(SECONDS)
    assert stood_down(lab, "q.nec") is not None
    assert stood_down(lab, COPY) is None


def test_the_user_decides_for_the_copy_that_stood_down(lab: Simulation) -> None:
    lab.copy(A, COPY)
    lab.rest(SECONDS)
    down = lab.down[A]
    down.spec = replace(down.spec, take_over=True)
    lab.start(A)
    lab.rest(SECONDS)
    assert stood_down(lab, COPY) is not None
    assert A in lab.nodes
    lab.nodes[A].spec = replace(down.spec, take_over=False)
    lab.restart(A)
    lab.rest(SECONDS)
    assert A in lab.nodes


def test_a_copy_that_booted_without_the_registrar_is_found_when_it_is_back(lab: Simulation) -> None:
    with lab.apply(RegistrarDown("unreachable")):
        lab.copy(A, COPY)
        lab.rest(60.0)
        assert {A, COPY} <= set(lab.nodes)
    lab.rest(OWN_CHECK_SECONDS + SECONDS)
    assert stood_down(lab, A) is not None
    assert stood_down(lab, COPY) is None


def test_one_stays_of_two_that_both_booted_without_the_registrar(lab: Simulation) -> None:
    with lab.apply(RegistrarDown("unreachable")):
        lab.copy(A, COPY)
        lab.restart(A)
        lab.rest(60.0)
    lab.rest(60.0)
    assert sum(each in lab.nodes for each in (A, COPY)) == 1


def test_a_peer_that_both_reach_tells_the_older_one_without_the_registrar(lab: Simulation) -> None:
    guest(lab, A, {"Fetch": ticket(B)})
    with lab.apply(Partition(Where(A, REGISTRAR))):
        lab.rest(30.0)
        lab.copy(A, COPY)
        lab.rest(1.0)
        guest(lab, COPY, {"Fetch": ticket(B)})
        lab.rest(SECONDS)
        assert stood_down(lab, A) is not None
    assert stood_down(lab, COPY) is None


def test_a_copy_cut_off_from_all_ends_when_the_network_is_back(lab: Simulation) -> None:
    with lab.apply(BlackHole(Where(A))):
        lab.rest(30.0)
        lab.copy(A, COPY)
        lab.rest(30.0)
        assert A in lab.nodes
    lab.rest(OWN_CHECK_SECONDS + SECONDS)
    assert stood_down(lab, A) is not None
    assert stood_down(lab, COPY) is None


def test_a_node_never_stands_down_because_of_its_own_earlier_boots(lab: Simulation) -> None:
    before = sequence(lab)
    for pause in (0.0, 0.002, 0.004, 0.008, 0.02, 0.5, 5.0):
        lab.restart(A)
        lab.rest(pause)
    lab.cut_power(A)
    lab.rest(3.0)
    lab.start(A)
    lab.settle()
    lab.rest(60.0)
    assert stood_down(lab, A) is None
    assert sequence(lab) > before
    assert epoch(lab) == 0


def test_a_node_that_breaks_off_at_any_write_of_its_boot_forgets_no_number(lab: Simulation) -> None:
    for writes in range(0, 40, 3):
        down = lab.crash(A)
        down.disk.crash_store_after(writes)
        with suppress(OSError):  # while the store is opened
            lab.start(A)
            lab.rest(1.0)
            lab.crash(A)
        lab.down[A] = down
        down.disk.crash_store_after(None)
    lab.start(A)
    lab.rest(30.0)
    assert epoch(lab) == 0
    assert stood_down(lab, A) is None


@pytest.mark.parametrize("seed", sample(range(6), 2))
def test_whatever_the_network_does_exactly_one_copy_is_left(lab: Simulation, seed: int) -> None:
    chance = Random(seed)
    guest(lab, A, {"Fetch": ticket(B)})
    lab.rest(3.0)
    lab.copy(A, COPY)
    links = [Where(each, other) for each in (A, COPY) for other in (REGISTRAR, B)]
    for _ in range(4):
        with ExitStack() as faults:
            for where in chance.sample(links, chance.randint(0, 4)):
                faults.enter_context(lab.apply(Partition(where)))
            if chance.random() < 0.5:
                host = chance.choice((A, COPY))
                lab.crash(host)
                lab.start(host)
            lab.rest(chance.uniform(1.0, 90.0))
            assert any(each in lab.nodes for each in (A, COPY)), f"seed {seed}: both have ended"
    lab.rest(OWN_CHECK_SECONDS + 60.0)
    assert sum(each in lab.nodes for each in (A, COPY)) == 1, f"seed {seed}"
    assert opens(lab, A if A in lab.nodes else COPY, B)


def test_g21_a_store_that_is_lost_beside_its_key_is_an_older_one(lab: Simulation) -> None:
    guest(lab, B, {"Fetch": ticket(A)})
    kill_door(lab, A)
    put_back(lab, SimDisk(lambda: lab.wall_clock(A)))
    assert not opens(lab, B, A)
    assert epoch(lab) > 0


def test_a_node_whose_disk_is_full_goes_on_with_the_record_that_it_has(lab: Simulation) -> None:
    before = sequence(lab)
    lab.fill_disk(A)
    lab.restart(A)
    lab.rest(8.0)
    assert lab.nodes[A].joined
    assert sequence(lab) == before
    lab.free_disk(A)
    lab.rest(8.0)
    assert sequence(lab) > before


# --- copies of what is kept -------------------------------------------------------------------------------------------


def test_the_number_of_the_newest_copy_is_in_the_record_within_the_hour(lab: Simulation) -> None:
    node: SimNode = lab.nodes[A]
    before = sequence(lab)
    for number in range(1, 60):
        node.core.backup_ended({"disk": number}, lab.now)
        node.go_on()
        lab.rest(60.0)
    lab.rest(120.0)
    record = lab.nodes[REGISTRAR].core.network.record(A)
    assert record is not None
    assert record.copy >= 59
    assert record.sequence - before <= 2
    lab.restart(A)
    lab.settle()
    lab.rest(1.0)
    again = lab.nodes[REGISTRAR].core.network.record(A)
    assert again is not None
    assert again.copy == record.copy
