"""A simulation as a scenario sees it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from random import Random
from typing import NamedTuple

from kernel.contract.guest import Arrival
from nectar_node.contract.memory_budget import DEFAULT_BYTES
from nectar_node.storage.database import Contents
from nectar_node.storage.operations import Commit, Location, Row
from testnet.model.lab import READY_SECONDS, Json, Level, NodeHolding, NodePlan, Outcome, OutOfTime
from testnet.model.rule import Attack, Fault
from testnet.sim.holding import holding
from testnet.sim.names import SimulationError
from testnet.sim.node import NodeSpec, SimNode, store_file
from testnet.sim.simulation import NOBODY, Simulation


class SimRequest(NamedTuple):
    """A request in a simulation."""

    node: SimNode
    token: object

    @property
    def outcome(self) -> Outcome | None:
        """The outcome, or None. A node that has died answers nothing more."""
        answer = self.node.answer(self.token)
        if answer is None:
            return Outcome("timeout", reason="the node has ended") if self.node.crashed else None
        if isinstance(answer, Arrival):
            return Outcome("response", json.loads(answer.message.body))
        return Outcome(answer.error.kind.name.lower(), reason=answer.error.reason.value)


class SimLab:
    """A simulation as a `Lab`."""

    level = Level.SIMULATION

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self._shared = 0

    @property
    def seed(self) -> int:
        """The number that everything random follows from, as far as the level allows."""
        return self.simulation.seed

    @property
    def now(self) -> float:
        """Seconds since the network began."""
        return self.simulation.now

    def chance(self, *purpose: str) -> Random:
        """Return a source of randomness of its own for each purpose, from the seed."""
        return self.simulation.chance(*purpose)

    # --- nodes ------------------------------------------------------------------------------------------------------

    def boot(self, *nodes: NodePlan) -> None:
        """Start these nodes, and wait until they are `ready`; raises OutOfTime."""
        for plan in nodes:
            memory = DEFAULT_BYTES if plan.memory_bytes is None else plan.memory_bytes
            self.simulation.boot(NodeSpec(plan.name, plan.folders(), routers=plan.routers, memory_bytes=memory))
        self.wait(lambda: all(self.ready(plan.name) for plan in nodes), READY_SECONDS, "the start of all nodes")

    def running(self, name: str) -> bool:
        """Return whether the node is there: neither crashed nor left; a paused node is there."""
        return name in self.simulation.nodes

    def ready(self, name: str) -> bool:
        """Return whether the node has booted: its packages run, and the registrar has granted its name or has taken too
        long."""
        node = self.simulation.nodes.get(name)
        return node is not None and node.ready

    def crash(self, host: str) -> None:
        """End the node as kill -9 does, if it runs; its host lives."""
        self.simulation.crash(host)

    def leave(self, name: str) -> None:
        """End the node in order, as SIGTERM does; `start` boots it again."""
        self.simulation.leave(name)

    def start(self, host: str) -> None:
        """Boot the node again, if it does not run, with its key, its disk and its packages."""
        self.simulation.start(host)

    def pause(self, host: str) -> None:
        """Stop the node as SIGSTOP does; its host accepts connections."""
        self.simulation.pause(host)

    def resume(self, host: str) -> None:
        """Let a paused node go on."""
        self.simulation.resume(host)

    def cut_power(self, host: str) -> None:
        """Cut the power of the node's machine: nobody is told, and at its next boot the disk has what was synced."""
        self.simulation.cut_power(host)

    def step_clock(self, host: str, seconds: float) -> None:
        """Let the machine's wall clock jump by `seconds` from where it is, for good."""
        self.simulation.step_clock(host, seconds)

    def fill_disk(self, host: str) -> None:
        """Let the node's disk take no more bytes."""
        self.simulation.fill_disk(host)

    def free_disk(self, host: str) -> None:
        """Give the node's disk its usual capacity again."""
        self.simulation.free_disk(host)

    def impersonate(self, host: str, by: str) -> None:
        """Boot a node at the host `by` with the name and the packages of `host`, and another key."""
        self.simulation.impersonate(host, by)

    def dismiss(self, host: str) -> None:
        """End the node that `impersonate` has booted at `host`, for good."""
        self.simulation.dismiss(host)

    def attack(self, attack: Attack, by: str) -> None:
        """Start a hostile peer named `by`."""
        self.simulation.attack(attack, by)

    def call_off(self, by: str) -> None:
        """Let the hostile peer leave, with all of its connections."""
        self.simulation.call_off(by)

    def cut(self, name: str) -> None:
        """Break all connections of the node, for both ends."""
        if name in self.simulation.nodes:
            self.simulation.nodes[name].cut()

    # --- faults -----------------------------------------------------------------------------------------------------

    @contextmanager
    def apply(self, fault: Fault) -> Iterator[None]:
        """Hold the fault within a `with` block."""
        with self.simulation.apply(fault):
            yield

    def inject(self, fault: Fault) -> int:
        """Begin the fault and return its number."""
        return self.simulation.inject(fault)

    def withdraw(self, number: int) -> None:
        """End the fault of that number."""
        self.simulation.withdraw(number)

    def at(self, seconds: float, what: Callable[[], None]) -> None:
        """Do something after so many seconds, while the scenario waits."""
        self.simulation.at(self.simulation.now + seconds, what)

    # --- messages ---------------------------------------------------------------------------------------------------

    def begin(self, node: str, target: str, body: Json, timeout: int, blob: bytes | None = None) -> SimRequest:
        """Send a request in the name of the user of `node`."""
        at = self.simulation.nodes.get(node) or self.simulation.down[node]
        token = object() if at.crashed else at.begin_to_ask(target, json.dumps(body).encode(), timeout, blob)
        return SimRequest(at, token)

    def ask(self, node: str, target: str, body: Json, timeout: int, blob: bytes | None = None) -> Outcome:
        """Send a request and wait for its outcome."""
        request = self.begin(node, target, body, timeout, blob)
        self.wait(
            lambda: request.outcome is not None, timeout + 1.0, f"the outcome of {json.dumps(body)[:60]} on {node}"
        )
        outcome = request.outcome
        assert outcome is not None
        return outcome

    def wait(self, done: Callable[[], bool], limit: float, what: str = "what was waited for") -> None:
        """Let time pass until `done`; raises OutOfTime after `limit` seconds."""
        try:
            self.simulation.run_until(done, self.simulation.now + limit)
        except SimulationError as error:
            raise OutOfTime(f"{what} did not come within {limit:g} s") from error
        except OutOfTime as error:  # the deadline of all
            raise OutOfTime(f"{error}; {what} had not come") from error

    def rest(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.simulation.rest(seconds)

    # --- files and logs ---------------------------------------------------------------------------------------------

    def share(self, node: str, data: bytes, name: str) -> str:
        """Put a file where the package file_transfer of `node` can read it, and return its path there."""
        self._shared += 1
        at = self.simulation.nodes[node]
        host = Location("/home/user", (f"{self._shared}",))
        at.disk.put(host, data)
        path = f"/file_transfer:sys/outgoing/{self._shared}/{name}"
        at.core.vfs.mount(path, host)
        return path

    def received(self, node: str, name: str) -> bytes | None:
        """Return the file that file_transfer of `node` has received under that name, or None."""
        at = self.simulation.nodes.get(node) or self.simulation.down[node]
        return at.disk.get(Location(f"{node}/vfs", ("file_transfer:sys", "inbox", name)))

    def tamper(self, node: str, change: Callable[[Contents], Iterable[Row]]) -> None:
        """Write rows into the store of a node that is down, as the owner of its machine can; `change` is given what it
        holds (`testnet.hostile.forgery`)."""
        disk = self.simulation.down[node].disk
        rows = change(disk.open_store(node))
        disk.perform(Commit(store_file(node), tuple(rows)))
        disk.close_store()

    def log(self, node: str) -> list[str]:
        """Return what the node has logged, over all of its boots."""
        now = self.simulation.nodes.get(node)
        return [*self.simulation.logs[node], *(now.shown_log if now is not None else [])]

    def holding(self, node: str) -> NodeHolding:
        """Return what a running node holds just now."""
        return holding(self.simulation.nodes[node])

    def note(self, text: str) -> None:
        """Write a remark into the journal."""
        self.simulation.note(NOBODY, f"note {text}")
