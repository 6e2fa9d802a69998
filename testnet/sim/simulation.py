"""Node cores on an event heap: virtual time, one seed, a journal.

This module has the nodes and what can be done to them; `timeline` has the time and the journal, `fabric` the links
between nodes. Everything random comes from the seed: keys, ids, guest randomness, link delays, what faults draw. No
clock, thread, socket or trio is involved, so the same seed writes the same journal, byte for byte. Lines hold hashes of
the bytes that moved: two journals agree only if all encryption and all guests agree.
"""

from __future__ import annotations

import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import NamedTuple

from kernel.contract.address import PackageId, ProcessId
from kernel.contract.guest import Arrival
from kernel.wasm.engine import Engine
from nectar_node.backup.schedule import KnownRemote
from nectar_node.contract.http import HttpAnswer
from nectar_node.contract.memory_budget import DEFAULT_BYTES
from nectar_node.releases.head import SignedHead
from nectar_node.storage.database import Contents
from nectar_node.storage.operations import Commit, Location, Row
from net.base.frames import VERSION
from net.session.peer_status import PeerState
from testnet.browsers.browsers import LOCAL, SimBrowsers
from testnet.browsers.web_socket import SimWebSocket
from testnet.check.history import Histories
from testnet.hostile.behaviours import MODEST, AttackOrder
from testnet.journal.entries import fault_begins, fault_ends
from testnet.journal.journal import NOBODY
from testnet.model.backups import RemoteTrouble
from testnet.model.fields import nodes_of
from testnet.model.folder_tree import FolderTree
from testnet.model.internet import PUBLIC_ADDRESS, Handler, SocketHandler
from testnet.model.lab import (
    ASK_SECONDS,
    READY_SECONDS,
    WAIT_SECONDS,
    Json,
    Lab,
    Level,
    NodeHolding,
    NodePlan,
    Outcome,
    OutOfTime,
)
from testnet.model.rule import Attack, Fault, LinkFault, NodeFault, Rule, fresh, held
from testnet.releases.holdings import Holdings
from testnet.remotes.keeper import CALM_SECONDS, Calm
from testnet.sim.attacker import SimAttacker
from testnet.sim.backups import SimBackups
from testnet.sim.context import NodeContext
from testnet.sim.disk.disk import SimDisk
from testnet.sim.fabric import LinkBehaviour
from testnet.sim.holding import holding
from testnet.sim.names import REGISTRAR, SimulationError
from testnet.sim.node import NodeSpec, SimNode, store_file
from testnet.sim.programs import Programs

__all__ = ["REGISTRAR", "LinkBehaviour", "NodeSpec", "SimNode", "Simulation", "SimulationError"]


_VISIT_SECONDS = 30.0
"""Seconds in which a new node joins."""
_LOOKS = 0.05
"""Seconds after which it is looked again whether it has."""


class SimRequest(NamedTuple):
    """A request in a simulation."""

    node: SimNode
    token: object
    begun: float
    """When it was sent, in seconds of virtual time."""

    @property
    def ended(self) -> float | None:
        """When the outcome came, in seconds of virtual time. That of a node that has died is not told to anybody."""
        return self.node.answered_at(self.token)

    @property
    def outcome(self) -> Outcome | None:
        """The outcome, or None. A node that has died answers nothing more."""
        answer = self.node.answer(self.token)
        if answer is None:
            return Outcome("timeout", reason="the node has ended") if self.node.crashed else None
        if isinstance(answer, Arrival):
            return Outcome("response", json.loads(answer.message.body))
        return Outcome(answer.error.kind.name.lower(), reason=answer.error.reason.value)


class Simulation(NodeContext, Lab):
    """A network in virtual time, as a scenario sees it; the verbs are those of `Lab`."""

    level = Level.SIMULATION

    def __init__(
        self,
        seed: int,
        engine: Engine | Programs,
        behaviour: LinkBehaviour | None = None,
        *,
        watches: bool = False,
        journal: bool = True,
    ) -> None:
        """`engine` must be deterministic; with `watches` the journal has every step of every message. Without a
        `journal` there is only its fingerprint.
        """
        self.nodes: dict[str, SimNode] = {}
        """The nodes that run, by host."""
        super().__init__(seed, engine, behaviour or LinkBehaviour(), self.nodes, watches, journal)
        self.down: dict[str, SimNode] = {}
        """Nodes that have crashed or left, by host, as they were."""
        self.logs: defaultdict[str, list[str]] = defaultdict(list)
        """What all nodes of a host have logged until they ended, by host."""
        self.attackers: dict[str, SimAttacker] = {}
        """The hostile peers that are active, by name."""
        self.histories = Histories(lambda: self.now, self.record)
        self._faults: dict[int, Fault] = {}
        """The faults that hold, by number."""
        self._numbers = count(1)
        self._alike: Counter[str] = Counter()
        """The number of faults so far, by their words."""
        self._signed_heads: dict[PackageId, list[SignedHead]] = {}
        """All heads that publishers have signed, the oldest first."""
        self._shared = 0
        """The number of files that have been shared."""
        self._backups: dict[str, SimBackups] = {}
        self._happened: defaultdict[str, Calm] = defaultdict(lambda: Calm(0, -CALM_SECONDS))
        """What has happened to each host; to the network itself under an empty name."""
        self.add(REGISTRAR)

    # --- nodes ------------------------------------------------------------------------------------------------------

    def boot(self, *nodes: NodePlan) -> None:
        for plan in nodes:
            memory = DEFAULT_BYTES if plan.memory_bytes is None else plan.memory_bytes
            spec = NodeSpec(plan.name, plan.folders(), routers=plan.routers, memory_bytes=memory, cipher=plan.cipher)
            self.boot_node(spec)
        self.wait(lambda: all(self.ready(plan.name) for plan in nodes), READY_SECONDS, "the start of all nodes")

    def add(
        self,
        name: str,
        packages: tuple[Path, ...] = (),
        disk_bytes: int = 1 << 40,
        routers: tuple[str, ...] = (),
    ) -> SimNode:
        """Boot a node that runs `packages`; with `routers` it is reached through these alone."""
        return self.boot_node(NodeSpec(name, packages, disk_bytes, routers))

    def boot_node(self, spec: NodeSpec) -> SimNode:
        """Boot a node for the first time."""
        return self._begin(SimNode(self, spec))

    def _begin(self, node: SimNode) -> SimNode:
        self.nodes[node.host] = node
        self._happens_to(node.host)
        self.fabric.power_on(node.host)
        self.record(node.host, "boots")
        node.boot()
        return node

    def crash(self, host: str) -> SimNode:
        return self._end(host, "crashes")

    def leave(self, host: str) -> SimNode:
        self.resume(host)
        node = self.nodes.get(host)
        if node is not None:
            node.shut_down()
        if node is not self.nodes.get(host):
            return self.node(host)  # it has crashed meanwhile, and may run again
        return self._end(host, "leaves")

    def _end(self, host: str, how: str) -> SimNode:
        if host not in self.nodes:
            return self.down[host]
        node = self.nodes.pop(host)
        self.down[host] = node
        self._happens_to(host)
        self.logs[host] += node.shown_log
        self.record(host, how)
        node.end()
        if host in self._backups:
            self._backups[host].node_ended()
        if self._watch is not None:
            self._watch.forget(node.life)
        self.fabric.abandon(node)
        return node

    def restart(self, host: str, version: int = VERSION) -> SimNode:
        """Crash the node if it runs, and boot it again with its key, its disk and its packages."""
        self.crash(host)
        return self.start(host, version)

    def start(self, host: str, version: int = VERSION) -> SimNode:
        if host in self.nodes:
            return self.nodes[host]
        if host in self._backups and self._backups[host].lost:
            return self.down[host]
        old = self.down.pop(host)
        self.boots[host] += 1
        spec = replace(old.spec, version=version)
        return self._begin(SimNode(self, spec, old.disk))

    def pause(self, host: str) -> None:
        if host in self.nodes and not self.nodes[host].paused:
            self.record(host, "pauses")
            self.nodes[host].pause()

    def resume(self, host: str) -> None:
        if host in self.nodes and self.nodes[host].paused:
            self.record(host, "resumes")
            self.nodes[host].resume()

    def cut_power(self, host: str) -> None:
        self.fabric.power_off(host)
        self.backups(host).power_cuts += 1
        node = self.crash(host)
        node.disk.lose_unsynced(self.chance("torn", node.life))

    def step_clock(self, host: str, seconds: float) -> None:
        self.clocks[host] += seconds
        if host in self.nodes:
            node = self.nodes[host]
            node.happens(node.clock_stepped)

    def fill_disk(self, host: str) -> None:
        self.node(host).disk.full = True

    def free_disk(self, host: str) -> None:
        self.node(host).disk.full = False

    def break_disk(self, host: str) -> None:
        self.node(host).disk.broken = True

    def mend_disk(self, host: str) -> None:
        self.node(host).disk.broken = False

    def slow_guests(self, host: str, seconds: float) -> None:
        self.poll_seconds[host] = seconds
        if host in self.nodes:
            node = self.nodes[host]
            node.poll_seconds = seconds
            node.happens(node.go_on)

    def drift_clock(self, host: str, rate: float) -> None:
        self.drifts[host].run_at(rate, self.now)
        if host in self.nodes:
            node = self.nodes[host]
            node.happens(node.clock_drifts)

    def limit_memory(self, host: str, limited: bool) -> None:
        (self.without_memory.add if limited else self.without_memory.discard)(host)
        if host in self.nodes:
            self.nodes[host].core.machine.limit_memory(limited)

    def refuse_spawns(self, host: str, refused: bool) -> None:
        (self.without_spawns.add if refused else self.without_spawns.discard)(host)

    def strike(self, node: str, what: Callable[[], None], *, ends: bool) -> None:
        """Let `what` happen before anything else does; `ends`: the node does nothing more until then."""
        if ends and node in self.nodes:
            self.nodes[node].halted = True
        self.schedule_next(what)

    def trouble_remote(self, host: str, remote: str, how: RemoteTrouble) -> None:
        self.backups(host).place(remote).trouble(how)

    def mend_remote(self, host: str, remote: str, how: RemoteTrouble) -> None:
        self.backups(host).place(remote).mend(how)

    def impersonate(self, host: str, by: str) -> None:
        self.boot_node(replace(self.node(host).spec, host=by, key=by, registers=False))

    def dismiss(self, host: str) -> None:
        self.leave(host)
        del self.down[host]
        self.boots[host] += 1

    def copy(self, host: str, to: str) -> SimNode:
        """Boot a copy of a node on another host, from what its disk has now; the node may run on."""
        node = self.node(host)
        disk = node.disk.copy(lambda: self.wall_clock(to))
        return self._begin(SimNode(self, replace(node.spec, host=to, is_copy=True), disk))

    def roll_back(self, host: str, disk: SimDisk) -> None:
        """Give a node that does not run the disk that it has from now on: an older one of its own."""
        self.down[host].disk = disk

    def attack(self, attack: Attack, by: str) -> None:
        registrar = attack.node == REGISTRAR
        order = AttackOrder(attack.behaviour, attack.node, ProcessId.parse(attack.process), MODEST, registrar)
        self.record(by, "boots")
        self.record(by, f"note attacks {attack.node}")
        self.attackers[by] = SimAttacker(self, by, order)

    def call_off(self, by: str) -> None:
        attacker = self.attackers.pop(by)
        self.record(by, f"note {attacker.core.counts.words()}")
        self.record(by, "leaves")
        attacker.end()

    def cut(self, name: str) -> None:
        if name in self.nodes:
            self.fabric.cut(self.nodes[name])

    def running(self, name: str) -> bool:
        return name in self.nodes

    def ready(self, name: str) -> bool:
        node = self.nodes.get(name)
        return node is not None and node.ready

    def node(self, host: str) -> SimNode:
        """Return the node on a host, as it is or as it was when it ended."""
        return self.nodes.get(host) or self.down[host]

    def close(self) -> None:
        """Free what no garbage collector sees: gigabytes of address space that guests hold, and databases, which SQLite
        keeps together with their nodes; and what it does not see the size of, the files of disks."""
        for node in (*self.nodes.values(), *self.down.values()):
            node.core.machine.close()
            node.disk.clear()

    # --- faults -----------------------------------------------------------------------------------------------------

    def apply(self, fault: Fault) -> AbstractContextManager[None]:
        return held(fault, self.inject, self.withdraw)

    def inject(self, fault: Fault) -> int:
        """Begin a fault and return its number for `withdraw`. Raises SimulationError if it names an unknown node."""
        known = {*self.nodes, *self.down, *self.internet.hosts}
        missing = [name for name in nodes_of(fault) if name not in known]
        if missing:
            raise SimulationError(f"{fault.words()}: there is no node {missing[0]}")
        fault = fresh(fault)
        number = next(self._numbers)
        self._happens_to("")
        self.record(NOBODY, fault_begins(number, fault))
        self._tell_ground(number, type(fault).__name__, fault)
        if isinstance(fault, NodeFault) and fault not in self._faults.values():
            fault.begin(self)
        self._faults[number] = fault
        if isinstance(fault, LinkFault):
            self.fabric.rules.append(Rule(fault, self._chance_of(fault)))
            self.fabric.changed()
        return number

    def _tell_ground(self, number: int, kind: str, fault: Fault) -> None:
        """Note in what state a fault that begins, or with no `kind` ends, finds the nodes that it is about."""
        ground = self.recording.ground
        if ground is not None:
            about = [self.nodes[name] for name in nodes_of(fault) if name in self.nodes]
            ground.fault(self.now, number, kind, {node.host: node.state() for node in about})

    def _chance_of(self, fault: Fault) -> random.Random:
        """Return the same source of randomness whichever other faults there are, so that leaving one out changes no
        other."""
        words = fault.words()
        self._alike[words] += 1
        return self.chance("fault", words, str(self._alike[words]))

    def withdraw(self, number: int) -> None:
        fault = self._faults.pop(number)
        self._happens_to("")
        self.record(NOBODY, fault_ends(number))
        self._tell_ground(number, "", fault)
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

    def at(self, seconds: float, what: Callable[[], None]) -> None:
        self.schedule(self.now + seconds, what)

    def wait(self, done: Callable[[], bool], limit: float = WAIT_SECONDS, what: str = "what was waited for") -> None:
        try:
            self.run_until(done, self.now + limit)
        except SimulationError as error:
            raise OutOfTime(f"{what} did not come within {limit:g} s") from error
        except OutOfTime as error:  # the deadline of all
            raise OutOfTime(f"{error}; {what} had not come") from error

    # --- messages ---------------------------------------------------------------------------------------------------

    def begin(
        self, node: str, target: str, body: Json, timeout: int = ASK_SECONDS, blob: bytes | None = None
    ) -> SimRequest:
        at = self.node(node)
        token = object() if at.crashed else at.begin_to_ask(target, json.dumps(body).encode(), timeout, blob)
        return SimRequest(at, token, self.now)

    def ask(self, node: str, target: str, body: Json, timeout: int = ASK_SECONDS, blob: bytes | None = None) -> Outcome:
        request = self.begin(node, target, body, timeout, blob)
        self.wait(
            lambda: request.outcome is not None, timeout + 1.0, f"the outcome of {json.dumps(body)[:60]} on {node}"
        )
        outcome = request.outcome
        assert outcome is not None
        return outcome

    def get(self, node: str, path: str, headers: Mapping[str, str] | None = None) -> HttpAnswer | None:
        """Let a browser on the machine of `node` open a page there; None: its connection has broken."""
        return self.browse(node, "GET", path, headers or {}, b"")

    def post(self, node: str, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> HttpAnswer | None:
        """Let a browser there send something; as `get`."""
        return self.browse(node, "POST", path, headers or {}, body)

    def browse(
        self,
        node: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        source: tuple[str, int] = LOCAL,
    ) -> HttpAnswer | None:
        """Let a browser at the address `source` send a request, let virtual time pass until its answer is there, and
        return that; None: its connection has broken, since the node does not run any more, or has not the whole answer.
        """
        return None if node not in self.nodes else self.browsers(node).ask(method, path, headers, body, source)

    def sign_in(self, node: str, process: str) -> dict[str, str]:
        """Let a browser sign in as the user of `node`, and return the headers with which its requests come from a page
        of `process`, such as `chess:chess:sys`: `Host`, `Origin` and the cookies for that origin.
        """
        return self.browsers(node).sign_in(ProcessId.parse(process), self.nodes[node].core.sessions)

    def websocket(
        self,
        node: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        source: tuple[str, int] = LOCAL,
    ) -> SimWebSocket:
        """Let a browser ask `node` for a WebSocket, let virtual time pass until it is open or refused, and return it.
        The node must run.
        """
        return self.browsers(node).open(path, headers, source)

    def browsers(self, node: str) -> SimBrowsers:
        at = self.nodes[node]
        return SimBrowsers(self, at.door, lambda: at.crashed)

    # --- the internet -----------------------------------------------------------------------------------------------

    def serve_http(
        self,
        url: str,
        handler: Handler,
        *,
        address: str = PUBLIC_ADDRESS,
        latency: tuple[float, float] = (0.005, 0.05),
    ) -> None:
        """Let `handler` answer what processes send to the origin of `url`, such as "https://api.example.com".

        The server has that `address`; each way takes seconds between the two of `latency`.
        """
        self.internet.serve(url, handler, None, address, latency)

    def serve_websocket(
        self,
        url: str,
        handler: SocketHandler,
        *,
        address: str = PUBLIC_ADDRESS,
        latency: tuple[float, float] = (0.005, 0.05),
    ) -> None:
        """Let `handler` take the messages of WebSockets that processes open at the origin of `url`; as `serve_http`."""
        self.internet.serve(url, None, handler, address, latency)

    # --- files and logs ---------------------------------------------------------------------------------------------

    def share(self, node: str, data: bytes, name: str) -> str:
        self._shared += 1
        at = self.nodes[node]
        host = Location("/home/user", (f"{self._shared}",))
        at.disk.put(host, data)
        path = f"/file_transfer:sys/outgoing/{self._shared}/{name}"
        at.core.vfs.mount(path, host)
        return path

    def received(self, node: str, name: str) -> bytes | None:
        at = self.node(node)
        return at.disk.get(Location(f"{node}/vfs", ("file_transfer:sys", "inbox", name)))

    def share_folder(self, node: str, tree: FolderTree, name: str) -> str:
        self._shared += 1
        at = self.nodes[node]
        host = Location("/home/user", (f"{self._shared}",))
        at.disk.put_tree(host, tree)
        path = f"/file_transfer:sys/outgoing/{self._shared}/{name}"
        at.core.vfs.mount(path, host)
        return path

    def received_folder(self, node: str, name: str) -> FolderTree | None:
        at = self.node(node)
        return at.disk.tree_of(Location(f"{node}/vfs", ("file_transfer:sys", "inbox", name)))

    def tamper(self, node: str, change: Callable[[Contents], Iterable[Row]]) -> None:
        disk = self.down[node].disk
        rows = change(disk.open_store(node))
        disk.perform(Commit(store_file(node), tuple(rows)))
        disk.close_store()

    def releases(self, node: str) -> Holdings:
        at = self.nodes[node]

        def later(seconds: float, what: Callable[[], None]) -> None:
            def happens() -> None:
                what()
                at.go_on()

            self.at(seconds, lambda: at.happens(happens))

        return Holdings(
            node,
            at.disk,
            at.core.shelf,
            at.identity,
            lambda: self.wall_clock(node),
            self._signed_heads,
            lambda rows: at.disk.perform(Commit(store_file(node), rows)) is None,
            at.core._sharing,
            later,
        )

    def rotate_key(self, node: str) -> None:
        self.node(node).rotate_key()

    def set_cipher(self, node: str, cipher: str) -> None:
        at = self.node(node)
        at.spec = replace(at.spec, cipher=cipher)

    def ciphers(self, node: str) -> dict[str, str]:
        peers = self.nodes[node].core.network.peers()
        return {peer.name: peer.cipher for peer in peers if peer.state is PeerState.UP and peer.cipher is not None}

    def backups(self, node: str) -> SimBackups:
        if node not in self._backups:
            self._backups[node] = SimBackups(self, self, node, lambda: self._stored_by_others(node))
        return self._backups[node]

    def start_backup(self, host: str, remotes: tuple[str, ...]) -> None:
        if host in self._backups:  # whoever has named other remotes to the core carries it out themselves
            self._backups[host].start(remotes)

    def stop_backup(self, host: str, remotes: tuple[str, ...]) -> None:
        if host in self._backups:
            self._backups[host].stop(remotes)

    def backup_remotes(self, host: str) -> tuple[KnownRemote, ...]:
        return self._backups[host].known_remotes() if host in self._backups else ()

    def _stored_by_others(self, node: str) -> list[bytes]:
        places = [
            place for name in sorted(self._backups) if name != node for place in self._backups[name].places.values()
        ]
        return [data for place in places for _, data in sorted(place.memory.objects.items())]

    # --- nodes that keep each other's backups ---------------------------------------------------------------------

    def _happens_to(self, host: str) -> None:
        self._happened[host] = Calm(self._happened[host].happened + 1, self.now)

    def calm(self, *hosts: str) -> Calm:
        """Return what has happened to these nodes, and to the network."""
        each = [self._happened[host] for host in ("", *hosts)]
        well = not self._faults and all(map(self.ready, hosts))
        return Calm(sum(one.happened for one in each), max(one.since for one in each) if well else math.inf)

    def asking(self, host: str) -> SimNode:
        """Return the node on a host that asks a keeper."""
        return self.node(host)

    def kept_objects(self, keeper: str, owner: str) -> dict[str, bytes]:
        """Return the objects of a node that are whole on its keeper's disk."""
        node, root = self.node(keeper), f"{keeper}/kept"
        known = node.core.keeper.objects.owners.get(owner)
        found = {"/".join(path[2:]): file for path, file in node.disk.files.items() if path[:2] == (root, owner)}
        return {name: found[name].content() for name in sorted(found) if known is not None and known.has(name)}

    def disk_lost(self, host: str) -> None:
        """Let the backups of other nodes be gone with a disk."""
        for backups in self._backups.values():
            for keeper in backups.keepers.values():
                if keeper.keeper == host:
                    keeper.broken.append((self.now, "loses"))

    def visit(self, name: str, joined: Callable[[bool], None]) -> None:
        """Boot a node of a new name; say whether it has joined the network, or cannot for now."""
        node, limit = self.boot_node(NodeSpec(name)), self.now + _VISIT_SECONDS

        def look() -> None:
            if node.joined or self.now >= limit:
                joined(node.joined)
            else:
                self.at(_LOOKS, look)

        look()

    def dismiss_visitor(self, name: str) -> None:
        """End such a node, and forget it."""
        self.crash(name)
        del self.down[name]

    def log(self, node: str) -> list[str]:
        now = self.nodes.get(node)
        return [*self.logs[node], *(now.shown_log if now is not None else [])]

    def holding(self, node: str) -> NodeHolding:
        return holding(self.nodes[node])

    def note(self, text: str) -> None:
        self.record(NOBODY, f"note {text}")
