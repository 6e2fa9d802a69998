"""Disk jobs of a simulated node: in order within a lane, lanes beside each other, and none is whole by promise."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from nectar_node.storage.operations import Append, Create, Job, Location, Outcome
from testnet.sim.disk.disk import SimDisk
from testnet.sim.disk_lanes import DISK_SECONDS, SimLanes
from testnet.sim.programs import Programs
from testnet.sim.simulation import Simulation

F, G = Location("root", ("f",)), Location("root", ("g",))
SEEDS = range(40)


@dataclass
class Machine:
    """A disk, and what is done on it."""

    seed: int
    done: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.simulation = Simulation(self.seed, Programs())
        self.disk = SimDisk(lambda: 0.0)
        self.disk.perform(Create(F, cut_off=False))
        self.disk.perform(Create(G, cut_off=False))
        self.lanes = SimLanes(self.simulation, self.disk, Random(self.seed), self._note, self.simulation.schedule)

    def _note(self, job: Job, outcome: Outcome) -> None:
        self.done.append(job.owner)

    def append(self, location: Location, owner: object, data: bytes = b"abcd") -> None:
        self.lanes.submit(Job(Append(location, data), str(location), owner))


def test_the_jobs_of_a_lane_are_done_in_order_and_those_of_others_beside_them() -> None:
    machine = Machine(1)
    for owner in range(20):
        machine.append(F, owner)
    machine.simulation.rest(1000 * DISK_SECONDS)
    assert machine.done == list(range(20))
    orders = set()
    for seed in SEEDS:
        machine = Machine(seed)
        machine.append(F, "first")
        machine.append(G, "second")
        machine.simulation.rest(1000 * DISK_SECONDS)
        orders.add(tuple(machine.done))
    assert orders == {("first", "second"), ("second", "first")}


def test_when_a_node_ends_its_disk_has_done_what_nobody_has_heard_of_or_a_part_of_it_or_nothing() -> None:
    contents = set()
    for seed in SEEDS:
        machine = Machine(seed)
        machine.append(F, "first")
        machine.append(F, "behind it")
        machine.lanes.break_off()
        machine.simulation.rest(1000 * DISK_SECONDS)
        assert machine.done == []
        contents.add(machine.disk.get(F))
    assert {b"", b"abcd"} < contents <= {b"", b"a", b"ab", b"abc", b"abcd"}
