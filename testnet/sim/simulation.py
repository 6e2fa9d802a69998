"""Node cores on an event heap: virtual time, one seed, a journal.

This module owns the time, the nodes and the journal; `fabric` has the links between nodes. Everything random comes from
the seed: keys, ids, guest randomness, link delays, what faults draw. No clock, thread, socket or trio is involved, so
the same seed writes the same journal, byte for byte. Lines hold hashes of the bytes that moved: two journals agree only
if all encryption and all guests agree.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import count
from pathlib import Path

from blake3 import blake3

from kernel.contract.address import ProcessId
from kernel.router.trace import TraceRecord
from kernel.wasm.engine import Engine
from net.base.frames import VERSION
from net.contract.events import Unforeseen
from net.names.directory import Genesis
from net.names.identity import Identity
from testnet.hostile.behaviours import MODEST, AttackOrder
from testnet.journal.entries import fault_begins, fault_ends, message
from testnet.model.fields import nodes_of
from testnet.model.invariants import Watch
from testnet.model.lab import OutOfTime
from testnet.model.rule import Attack, Fault, LinkFault, NodeFault, Rule, fresh, held
from testnet.sim.attacker import SimAttacker
from testnet.sim.fabric import Fabric, LinkBehaviour
from testnet.sim.names import PORT, REGISTRAR, NodeFailure, SimulationError
from testnet.sim.node import NodeSpec, SimNode
from testnet.sim.programs import Programs

__all__ = ["REGISTRAR", "LinkBehaviour", "NodeSpec", "SimNode", "Simulation", "SimulationError"]

NOBODY = "-"
"""The journal's word for what happens to no particular node."""

MAX_AT_ONCE = 1_000_000
"""Things that happen while no time passes: more than that never end."""


class Simulation:
    """A network in virtual time."""

    def __init__(
        self, seed: int, engine: Engine | Programs, behaviour: LinkBehaviour | None = None, *, watches: bool = False
    ) -> None:
        """`engine` must be deterministic; with `watches` the journal has every step of every message."""
        self.seed = seed
        self.now = 0.0
        self.journal: list[str] = []
        self.nodes: dict[str, SimNode] = {}
        """The nodes that run, by host."""
        self.down: dict[str, SimNode] = {}
        """Nodes that have crashed or left, by host, as they were."""
        self.logs: defaultdict[str, list[str]] = defaultdict(list)
        """What all nodes of a host have logged, by host."""
        self.boots: Counter[str] = Counter()
        """How often the node on each host has booted before."""
        self.clocks: defaultdict[str, float] = defaultdict(float)
        """Seconds that each host's wall clock is ahead of the network's time."""
        self.engine = engine
        self.watches = watches
        self._watch: Watch | None = None
        self.fabric = Fabric(self, behaviour or LinkBehaviour())
        self.contained: list[Unforeseen] | None = None
        """Failures of the nodes' own code; None: the first one ends the simulation, so that it is found."""
        self.deadline = math.inf
        """Virtual seconds at which the simulation stops."""
        self.attackers: dict[str, SimAttacker] = {}
        """The hostile peers that are active, by name."""
        self._faults: dict[int, Fault] = {}
        """The faults that hold, by number."""
        self._numbers = count(1)
        self._alike: Counter[str] = Counter()
        """The number of faults so far, by their words."""
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = 0
        self._at_once = 0
        """The number of events at the present moment."""
        key = Identity(REGISTRAR, self.chance("key", REGISTRAR).randbytes(32))
        self.genesis = Genesis(REGISTRAR, key.public_key, REGISTRAR, PORT)
        self.add(REGISTRAR)

    def chance(self, *purpose: str) -> random.Random:
        """Return a source of randomness of its own for each purpose, so that one does not shift another."""
        return random.Random(f"{self.seed}/{'/'.join(purpose)}")

    # --- nodes ------------------------------------------------------------------------------------------------------

    def add(
        self,
        name: str,
        packages: tuple[Path, ...] = (),
        disk_bytes: int = 1 << 40,
        routers: tuple[str, ...] = (),
    ) -> SimNode:
        """Boot a node that runs `packages`; with `routers` it is reached through these alone."""
        return self.boot(NodeSpec(name, packages, disk_bytes, routers))

    def boot(self, spec: NodeSpec) -> SimNode:
        """Boot a node for the first time."""
        return self._begin(SimNode(self, spec))

    def _begin(self, node: SimNode) -> SimNode:
        self.nodes[node.host] = node
        self.fabric.power_on(node.host)
        self.note(node.host, "boots")
        node.boot()
        return node

    def crash(self, host: str) -> SimNode:
        """End the node as kill -9 does; its host ends its connections. The node may have ended before."""
        return self._end(host, "crashes")

    def leave(self, host: str) -> SimNode:
        """End the node in order, as SIGTERM does; a paused node ends when it is resumed."""
        self.resume(host)
        node = self.nodes.get(host)
        if node is not None:
            node.shut_down()
        if node is not self.nodes.get(host):
            return self._node(host)  # it has crashed meanwhile, and may run again
        return self._end(host, "leaves")

    def _end(self, host: str, how: str) -> SimNode:
        if host not in self.nodes:
            return self.down[host]
        node = self.nodes.pop(host)
        self.down[host] = node
        self.logs[host] += node.shown_log
        self.note(host, how)
        node.end()
        if self._watch is not None:
            self._watch.forget(node.life)
        self.fabric.abandon(node)
        return node

    def restart(self, host: str, version: int = VERSION) -> SimNode:
        """Crash the node if it runs, and boot it again with its key, its disk and its packages."""
        self.crash(host)
        return self.start(host, version)

    def start(self, host: str, version: int = VERSION) -> SimNode:
        """Boot the node again, if it does not run, with its key, its disk and its packages."""
        if host in self.nodes:
            return self.nodes[host]
        old = self.down.pop(host)
        self.boots[host] += 1
        spec = replace(old.spec, version=version)
        return self._begin(SimNode(self, spec, old.disk))

    def pause(self, host: str) -> None:
        """Stop the node as SIGSTOP does: what happens to it waits, and its host accepts connections."""
        if host in self.nodes and not self.nodes[host].paused:
            self.note(host, "pauses")
            self.nodes[host].pause()

    def resume(self, host: str) -> None:
        """Let the node go on, if it has not crashed meanwhile."""
        if host in self.nodes and self.nodes[host].paused:
            self.note(host, "resumes")
            self.nodes[host].resume()

    def cut_power(self, host: str) -> None:
        """Cut the power of the node's machine until it boots again: it sends nothing, and loses what it has not
        synced."""
        self.fabric.power_off(host)
        node = self.crash(host)
        node.disk.lose_unsynced(self.chance("torn", node.life))

    def step_clock(self, host: str, seconds: float) -> None:
        """Let the wall clock of a host jump."""
        self.clocks[host] += seconds
        if host in self.nodes:
            node = self.nodes[host]
            node.happens(node.clock_stepped)

    def wall_clock(self, host: str) -> float:
        """Return what the clock of a host shows, in seconds since 1970."""
        return self.now + self.clocks[host]

    def fill_disk(self, host: str) -> None:
        """Let the node's disk take no more bytes."""
        self._node(host).disk.full = True

    def free_disk(self, host: str) -> None:
        """Give the node's disk its usual capacity again."""
        self._node(host).disk.full = False

    def impersonate(self, host: str, by: str) -> None:
        """Boot a node at `by` with the name and the packages of `host`, and another key."""
        self.boot(replace(self._node(host).spec, host=by, key=by, registers=False))

    def dismiss(self, host: str) -> None:
        """End the impostor for good; another one may come to its host."""
        self.leave(host)
        del self.down[host]
        self.boots[host] += 1

    def attack(self, attack: Attack, by: str) -> None:
        """Start a hostile peer named `by`, just strong enough to show its effect."""
        registrar = attack.node == REGISTRAR
        order = AttackOrder(attack.behaviour, attack.node, ProcessId.parse(attack.process), MODEST, registrar)
        self.note(by, "boots")
        self.note(by, f"note attacks {attack.node}")
        self.attackers[by] = SimAttacker(self, by, order)

    def call_off(self, by: str) -> None:
        """Let the hostile peer leave, with all of its connections."""
        attacker = self.attackers.pop(by)
        self.note(by, f"note {attacker.core.counts.words()}")
        self.note(by, "leaves")
        attacker.end()

    def _node(self, host: str) -> SimNode:
        """Return the node on a host, as it is or as it was when it ended."""
        return self.nodes.get(host) or self.down[host]

    def close(self) -> None:
        """Free what the guests of all nodes hold, which no garbage collector sees: gigabytes of address space each."""
        for node in (*self.nodes.values(), *self.down.values()):
            node.core.machine.close()

    # --- faults -----------------------------------------------------------------------------------------------------

    def apply(self, fault: Fault) -> AbstractContextManager[None]:
        """Hold the fault within a `with` block; several combine, and the earliest judges first."""
        return held(fault, self.inject, self.withdraw)

    def inject(self, fault: Fault) -> int:
        """Begin a fault and return its number for `withdraw`. Raises SimulationError if it names an unknown node."""
        missing = [name for name in nodes_of(fault) if name not in self.nodes and name not in self.down]
        if missing:
            raise SimulationError(f"{fault.words()}: there is no node {missing[0]}")
        fault = fresh(fault)
        number = next(self._numbers)
        self.note(NOBODY, fault_begins(number, fault))
        if isinstance(fault, NodeFault) and fault not in self._faults.values():
            fault.begin(self)
        self._faults[number] = fault
        if isinstance(fault, LinkFault):
            self.fabric.rules.append(Rule(fault, self._chance_of(fault)))
            self.fabric.changed()
        return number

    def _chance_of(self, fault: Fault) -> random.Random:
        """Return the same source of randomness whichever other faults there are, so that leaving one out changes no
        other."""
        words = fault.words()
        self._alike[words] += 1
        return self.chance("fault", words, str(self._alike[words]))

    def withdraw(self, number: int) -> None:
        """End the fault of that number."""
        fault = self._faults.pop(number)
        self.note(NOBODY, fault_ends(number))
        if isinstance(fault, LinkFault):
            self.fabric.rules = [rule for rule in self.fabric.rules if rule.fault is not fault]
            self.fabric.changed()
        if isinstance(fault, NodeFault) and fault not in self._faults.values():
            fault.end(self)

    # --- time -------------------------------------------------------------------------------------------------------

    def settle(self, deadline: float = 60.0) -> None:
        """Let virtual time pass until all nodes have joined and run their packages."""
        nodes = [node for name, node in self.nodes.items() if name != REGISTRAR]
        self.run_until(lambda: all(node.ready and node.joined for node in nodes), self.now + deadline)

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Schedule `what` for the virtual time `when`."""
        self._sequence += 1
        heapq.heappush(self._heap, (when, self._sequence, what))

    def step(self) -> bool:
        """Let the next event happen; return False if there is none left."""
        if not self._heap:
            return False
        when, _, what = heapq.heappop(self._heap)
        assert when >= self.now, "time runs backwards"
        self._check_deadline(when)
        self._at_once = self._at_once + 1 if when == self.now else 0
        if self._at_once > MAX_AT_ONCE:
            raise OutOfTime(f"time stands still at {when:.3f} s: {MAX_AT_ONCE:,} things have happened there")
        self.now = when
        what()
        return True

    def _check_deadline(self, when: float) -> None:
        if when > self.deadline:
            raise OutOfTime(f"it was not over at its deadline, {self.deadline:g} s of virtual time")

    def run_until(self, done: Callable[[], bool], deadline: float) -> None:
        """Let events happen until `done`; raises SimulationError at the virtual `deadline`."""
        while not done():
            if not self._heap or self._heap[0][0] > deadline:
                raise SimulationError(f"seed {self.seed}: not done at {self.now:.3f} s of virtual time")
            self.step()

    def rest(self, seconds: float) -> None:
        """Let all events of the next `seconds` happen."""
        end = self.now + seconds
        while self._heap and self._heap[0][0] <= end:
            self.step()
        self._check_deadline(end)
        self.now = max(self.now, end)  # an event may itself have let time pass

    def settle_instant(self) -> None:
        """Let all events happen that are due now."""
        self.rest(0.0)

    # --- journal ----------------------------------------------------------------------------------------------------

    def note(self, node: str, what: str) -> None:
        """Write a line into the journal."""
        if not what.isprintable():
            what = what.encode("unicode_escape").decode()  # a guest may print line breaks
        self.journal.append(f"{self.now:.9f} {node} {what}")

    def watch(self, watch: Watch) -> None:
        """Check the invariants from now on; whatever lets time pass then raises Violation."""
        self._watch = watch

    def observe(self, node: SimNode, record: TraceRecord) -> None:
        """Take a step of a message on a node."""
        self.journal.append(f"{self.now:.9f} {node.host} {message(record)}")  # its JSON is always printable
        if self._watch is not None:
            self._watch.see(node.life, record)

    def fail(self, node: SimNode, failure: Unforeseen) -> None:
        """Take a failure of a node's own code, which the node outlives; raises OwnFailure unless failures are kept."""
        self.note(node.host, f"fails: {failure.what}")
        if self.contained is None:
            raise NodeFailure("\n".join((f"{node.host} failed at {failure.what}:", *failure.traceback)))
        self.contained.append(failure)

    def digest(self) -> str:
        """Return one hash of the whole journal."""
        return blake3("\n".join(self.journal).encode()).hexdigest()
