"""A simulation as a scenario sees it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import NamedTuple

from kernel.contract.guest import Arrival
from nectar_node.contract.memory_budget import DEFAULT_BYTES
from nectar_node.storage.operations import Location
from testnet.model.lab import READY_SECONDS, Holding, Json, Level, NodePlan, Outcome, OutOfTime
from testnet.model.rule import Attack, Fault
from testnet.sim.holding import holding
from testnet.sim.names import SimulationError
from testnet.sim.node import NodeSpec, SimNode, capability_store
from testnet.sim.simulation import NOBODY, Simulation


class SimAsked(NamedTuple):
    """See `Asked`."""

    node: SimNode
    token: object

    @property
    def outcome(self) -> Outcome | None:
        """See `Asked`; a node that has died answers nothing more."""
        answer = self.node.answer(self.token)
        if answer is None:
            return Outcome("timeout", reason="the node has ended") if self.node.crashed else None
        if isinstance(answer, Arrival):
            return Outcome("response", json.loads(answer.message.body))
        return Outcome(answer.error.kind.name.lower(), reason=answer.error.reason.value)


class SimLab:
    """See `Lab`."""

    level = Level.SIMULATION

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self._shared = 0

    @property
    def seed(self) -> int:
        """See `Lab`."""
        return self.simulation.seed

    @property
    def now(self) -> float:
        """See `Lab`."""
        return self.simulation.now

    def chance(self, *purpose: str) -> Random:
        """See `Lab`."""
        return self.simulation.chance(*purpose)

    # --- nodes ------------------------------------------------------------------------------------------------------

    def boot(self, *nodes: NodePlan) -> None:
        """See `Lab`."""
        for plan in nodes:
            memory = DEFAULT_BYTES if plan.memory_bytes is None else plan.memory_bytes
            self.simulation.boot(NodeSpec(plan.name, plan.folders(), routers=plan.routers, memory_bytes=memory))
        self.wait(lambda: all(self.ready(plan.name) for plan in nodes), READY_SECONDS, "the start of all nodes")

    def running(self, name: str) -> bool:
        """See `Lab`."""
        return name in self.simulation.nodes

    def ready(self, name: str) -> bool:
        """See `Lab`."""
        node = self.simulation.nodes.get(name)
        return node is not None and node.ready

    def crash(self, host: str) -> None:
        """See `Nodes`."""
        self.simulation.crash(host)

    def leave(self, name: str) -> None:
        """See `Lab`."""
        self.simulation.leave(name)

    def start(self, host: str) -> None:
        """See `Nodes`."""
        self.simulation.start(host)

    def pause(self, host: str) -> None:
        """See `Nodes`."""
        self.simulation.pause(host)

    def resume(self, host: str) -> None:
        """See `Nodes`."""
        self.simulation.resume(host)

    def cut_power(self, host: str) -> None:
        """See `Nodes`."""
        self.simulation.cut_power(host)

    def step_clock(self, host: str, seconds: float) -> None:
        """See `Nodes`."""
        self.simulation.step_clock(host, seconds)

    def fill_disk(self, host: str) -> None:
        """See `Nodes`."""
        self.simulation.fill_disk(host)

    def free_disk(self, host: str) -> None:
        """See `Nodes`."""
        self.simulation.free_disk(host)

    def impersonate(self, host: str, by: str) -> None:
        """See `Nodes`."""
        self.simulation.impersonate(host, by)

    def dismiss(self, host: str) -> None:
        """See `Nodes`."""
        self.simulation.dismiss(host)

    def attack(self, attack: Attack, by: str) -> None:
        """See `Nodes`."""
        self.simulation.attack(attack, by)

    def call_off(self, by: str) -> None:
        """See `Nodes`."""
        self.simulation.call_off(by)

    def cut(self, name: str) -> None:
        """See `Lab`."""
        if name in self.simulation.nodes:
            self.simulation.nodes[name].cut()

    # --- faults -----------------------------------------------------------------------------------------------------

    @contextmanager
    def apply(self, fault: Fault) -> Iterator[None]:
        """See `Lab`."""
        with self.simulation.apply(fault):
            yield

    def inject(self, fault: Fault) -> int:
        """See `Lab`."""
        return self.simulation.inject(fault)

    def withdraw(self, number: int) -> None:
        """See `Lab`."""
        self.simulation.withdraw(number)

    def at(self, seconds: float, what: Callable[[], None]) -> None:
        """Do something after so many seconds, in the midst of whatever the scenario waits for."""
        self.simulation.at(self.simulation.now + seconds, what)

    # --- messages ---------------------------------------------------------------------------------------------------

    def begin(self, node: str, target: str, body: Json, timeout: int, blob: bytes | None = None) -> SimAsked:
        """See `Lab`."""
        at = self.simulation.nodes.get(node) or self.simulation.down[node]
        token = object() if at.crashed else at.begin_to_ask(target, json.dumps(body).encode(), timeout, blob)
        return SimAsked(at, token)

    def ask(self, node: str, target: str, body: Json, timeout: int, blob: bytes | None = None) -> Outcome:
        """See `Lab`."""
        asked = self.begin(node, target, body, timeout, blob)
        self.wait(lambda: asked.outcome is not None, timeout + 1.0, f"the outcome of {json.dumps(body)[:60]} on {node}")
        outcome = asked.outcome
        assert outcome is not None
        return outcome

    def wait(self, done: Callable[[], bool], limit: float, what: str = "what was waited for") -> None:
        """See `Lab`."""
        try:
            self.simulation.run_until(done, self.simulation.now + limit)
        except SimulationError as error:
            raise OutOfTime(f"{what} did not come within {limit:g} s") from error
        except OutOfTime as error:  # the deadline of all
            raise OutOfTime(f"{error}; {what} had not come") from error

    def rest(self, seconds: float) -> None:
        """See `Lab`."""
        self.simulation.rest(seconds)

    # --- files and logs ---------------------------------------------------------------------------------------------

    def share(self, node: str, data: bytes, name: str) -> str:
        """See `Lab`."""
        self._shared += 1
        at = self.simulation.nodes[node]
        host = Location("/home/user", (f"{self._shared}",))
        at.disk.put(host, data)
        path = f"/file_transfer:sys/outgoing/{self._shared}/{name}"
        at.core.vfs.mount(path, host)
        return path

    def received(self, node: str, name: str) -> bytes | None:
        """See `Lab`."""
        at = self.simulation.nodes.get(node) or self.simulation.down[node]
        return at.disk.get(Location(f"{node}/vfs", ("file_transfer:sys", "inbox", name)))

    def tamper(self, node: str, change: Callable[[bytes | None], bytes]) -> None:
        """See `Lab`."""
        disk, store = self.simulation.down[node].disk, capability_store(node)
        disk.put(store, change(disk.get(store)))

    def log(self, node: str) -> list[str]:
        """See `Lab`."""
        now = self.simulation.nodes.get(node)
        return [*self.simulation.logs[node], *(now.shown_log if now is not None else [])]

    def holding(self, node: str) -> Holding:
        """See `Lab`."""
        return holding(self.simulation.nodes[node])

    def note(self, text: str) -> None:
        """See `Lab`."""
        self.simulation.note(NOBODY, f"note {text}")
