"""Real nodes as a Lab: each is a process; the links between them have faults, on loopback or between separate hosts.

Actions of `at` run while the scenario waits, in its thread. Requests wait in threads of their own, and so do starts of
nodes: a node that a fault has crashed boots while the scenario goes on, as in a simulation.
"""

from __future__ import annotations

import base64
import json
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from random import Random

from nectar_node.base.consent import EVERYTHING
from nectar_node.base.errors import NodeError
from nectar_node.base.folder import NodeFolder, is_paused
from nectar_node.contract.config import LOOPBACK, REGISTRAR_NAME
from nectar_node.contract.memory_budget import LEAST_BYTES
from nectar_node.launcher.arguments import check_package
from nectar_node.launcher.boot_options import DEFAULT_OPTIONS, keep_options, kept_options
from nectar_node.launcher.local_network import LocalNetwork
from nectar_node.storage.database import Contents, Database
from nectar_node.storage.operations import Row
from testnet.check.history import Histories
from testnet.journal.entries import fault_begins, fault_ends
from testnet.journal.journal import NOBODY, line_of
from testnet.model.backups import LabBackups
from testnet.model.browsers import Browsers
from testnet.model.folder_tree import FolderTree, read_tree, write_tree
from testnet.model.hostile_names import is_hostile
from testnet.model.lab import ASK_SECONDS, WAIT_SECONDS, Json, Lab, Level, NodeHolding, NodePlan, Outcome, OutOfTime
from testnet.model.releases import LabReleases
from testnet.model.rule import Attack, Fault, NodeFault, NotAtThisLevel, held
from testnet.model.where import Where
from testnet.real.lifeline import hold_lifeline
from testnet.real.links.hosts import run_host_links
from testnet.real.links.thread import ThreadedLinks, run_loopback_links
from testnet.real.local import LocalTestnet
from testnet.real.nodes import attackers, impostors
from testnet.real.nodes.processes import NodeProcesses, resident_bytes
from testnet.real.traces import TRACES_FOLDER, TracePipes

_TAKEN_WITHIN = 5.0
"""Seconds that a request may take to reach a node; requests that are begun one after the other reach it so."""
_GLANCE = 0.02
"""Seconds between two checks of a condition."""
_GONE = Outcome("timeout", reason="the node has ended")
_STARTS_AT_ONCE = 16
BESIDES_BYTES = 1 << 30
"""Memory that a node may use besides its budget: code, guests, and memory that is freed and not given back."""
_SHOWN = 200
"""Characters of a body in the journal."""


@dataclass(slots=True)
class RealRequest:
    """A request on a real node; a thread waits for its outcome."""

    begun: float
    """When it was sent, as `SocketLab.now` counts."""
    outcome: Outcome | None = None
    ended: float | None = None
    """When the outcome came, as `SocketLab.now` counts."""
    taken: threading.Event = field(default_factory=threading.Event)
    """Set when the node has sent it, or never will."""


class SocketLab(NodeProcesses, Lab):
    """Real nodes as a `Lab`; made by `open_socket_lab`."""

    def __init__(self, nodes: LocalTestnet, links: ThreadedLinks, level: Level, seed: int, traces: TracePipes) -> None:
        """`traces`: those of all nodes, from their first boot on."""
        super().__init__(nodes.network, links.connect, nodes.lifeline)
        self.nodes = nodes
        self.links = links
        self.level = level
        self.seed = seed
        self.traces = traces
        self.journal: list[str] = []
        """A line for each action, as in a simulation's journal."""
        self.listener: Callable[[str], None] | None = None
        """Is given each of these lines when it is written, in whatever thread."""
        self.histories = Histories(lambda: self.now, self._tell)
        self._faults: dict[int, Fault] = {}
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count(1)
        self._impostors: dict[str, str] = {}
        """By the host of an impostor, the name that it has taken."""
        self._paused: set[str] = set()
        self._starting: dict[str, Future[None]] = {}
        self._pool = ThreadPoolExecutor(_STARTS_AT_ONCE, "starts")

    @property
    def now(self) -> float:
        return time.monotonic() - self.traces.began

    def chance(self, *purpose: str) -> Random:
        return Random(f"{self.seed}/{'/'.join(purpose)}")

    # --- nodes ------------------------------------------------------------------------------------------------------

    def boot(self, *nodes: NodePlan) -> None:
        options = {}
        self._expect(REGISTRAR_NAME)
        for plan in nodes:
            self._tell(plan.name, "boots")
            self._expect(plan.name)
            packages = tuple(map(check_package, plan.folders()))
            memory = None if plan.memory_bytes is None else max(plan.memory_bytes, LEAST_BYTES)
            options[plan.name] = replace(
                self.nodes.options,
                packages=packages,
                routers=plan.routers,
                consent=EVERYTHING,
                memory_bytes=memory,
                http=(LOOPBACK, 0) if plan.http else None,
                cipher=plan.cipher or None,
            )
        self.nodes.boot(options)

    def running(self, name: str) -> bool:
        return self._folder(name).owner() is not None

    def ready(self, name: str) -> bool:
        """Return whether the node has booted: its packages run, and the registrar has granted its name or has taken too
        long. A paused node is not."""
        start = self._starting.get(name)
        return self.running(name) and name not in self._paused and (start is None or start.done())

    def crash(self, host: str) -> bool:
        self._await_start(host)
        self._paused.discard(host)
        ran = super().crash(host)
        if ran:
            self._tell(host, "crashes")
        return ran

    def start(self, host: str) -> None:
        """Boot the node again, if it does not run, with its key, its disk and its packages. Returns at once."""
        self._await_start(host)
        if not self.running(host):
            self._tell(host, "boots")
            self._starting[host] = self._pool.submit(self.nodes.restart, host)

    def leave(self, name: str) -> None:
        self.resume(name)
        self.nodes.stop(name)
        self._tell(name, "leaves")

    def pause(self, host: str) -> bool:
        self._await_start(host)
        runs = super().pause(host)
        if runs:
            self._paused.add(host)
            self._tell(host, "pauses")
        return runs

    def resume(self, host: str) -> bool:
        self._await_start(host)
        paused = host in self._paused
        if paused:
            self._paused.discard(host)
            super().resume(host)
            self._tell(host, "resumes")
        return paused

    def cut(self, name: str) -> None:
        self.links.cut(Where(name))

    def impersonate(self, host: str, by: str) -> None:
        """Boot a node at the host `by` with the name and the packages of `host`, and another key. Returns at once."""
        self._await_start(by)
        self._tell(by, "boots")
        self._impostors[by] = host
        self._expect(by)
        self._starting[by] = self._pool.submit(super().impersonate, host, by)

    def dismiss(self, host: str) -> None:
        self._await_start(host)
        super().dismiss(host)
        self._tell(host, "leaves")

    def attack(self, attack: Attack, by: str) -> None:
        super().attack(attack, by)
        self._tell(by, "boots")
        self._tell(by, f"note attacks {attack.node}")

    def call_off(self, by: str) -> None:
        super().call_off(by)
        self._tell(by, "leaves")

    def holding(self, node: str) -> NodeHolding:
        with self._network(node).connect(node) as client:
            told, processes = client.request("peers"), client.request("ps")["processes"]
        live = [peer["name"] for peer in told["peers"] if peer["state"] == "up"]
        counts = {
            "live sessions": len(live),
            "live sessions with hostile peers": sum(map(is_hostile, live)),
            "processes": len(processes),
        }
        most = told["memory"]["budget_bytes"] + BESIDES_BYTES
        owner = self._folder(node).owner()
        return NodeHolding(0 if owner is None else resident_bytes(owner), most, counts)

    def _expect(self, host: str) -> None:
        self.traces.expect(host, self._folder(host))

    def _await_start(self, name: str) -> None:
        """Wait for a node that is about to start, before anything is done to it; raises what has kept it from
        starting."""
        start = self._starting.pop(name, None)
        if start is not None:
            start.result()

    # --- faults -----------------------------------------------------------------------------------------------------

    def apply(self, fault: Fault) -> AbstractContextManager[None]:
        return held(fault, self.inject, self.withdraw)

    def inject(self, fault: Fault) -> int:
        """Begin the fault and return its number. Raises NotAtThisLevel."""
        if isinstance(fault, NodeFault) and fault not in self._faults.values():
            fault.begin(self)
        number = self.links.apply(fault)
        self._tell(NOBODY, fault_begins(number, fault))
        self._faults[number] = fault
        return number

    def withdraw(self, number: int) -> None:
        fault = self._faults.pop(number)
        self._tell(NOBODY, fault_ends(number))
        self.links.remove(number)
        if isinstance(fault, NodeFault) and fault not in self._faults.values():
            fault.end(self)

    def at(self, seconds: float, what: Callable[[], None]) -> None:
        heappush(self._later, (self.now + seconds, next(self._order), what))

    # --- requests ---------------------------------------------------------------------------------------------------

    def begin(
        self, node: str, target: str, body: Json, timeout: int = ASK_SECONDS, blob: bytes | None = None
    ) -> RealRequest:
        sent = RealRequest(self.now)
        request = {"target": target, "body": json.dumps(body), "timeout": timeout, "mime": None}
        request["blob"] = None if blob is None else base64.b64encode(blob).decode()
        self._tell(node, f"user asks {target}: {json.dumps(body)[:_SHOWN]}")
        # A daemon: a scenario may end before the outcome is there, and that comes when the node ends.
        threading.Thread(target=self._ask, args=(sent, node, request), name=f"asks {target}", daemon=True).start()
        end = self.now + _TAKEN_WITHIN
        while not sent.taken.wait(_GLANCE) and self.now < end and not self._is_paused(node):
            pass
        return sent

    def _is_paused(self, node: str) -> bool:
        return (pid := self._folder(node).owner()) is not None and is_paused(pid)

    def ask(self, node: str, target: str, body: Json, timeout: int = ASK_SECONDS, blob: bytes | None = None) -> Outcome:
        sent, what = self.begin(node, target, body, timeout, blob), f"the outcome of {json.dumps(body)[:60]} on {node}"
        self.wait(lambda: sent.outcome is not None, timeout + 15.0, what)
        assert sent.outcome is not None
        return sent.outcome

    def _ask(self, sent: RealRequest, node: str, request: dict[str, object]) -> None:
        try:
            with self._network(node).connect(self._impostors.get(node, node)) as client:
                client.send("message", tells=True, **request)
                answer = client.follow_to_answer(str(request["target"]), math.inf, lambda _: sent.taken.set())
        except NodeError:
            sent.outcome = _GONE
        else:
            body = json.loads(answer["body"]) if answer["outcome"] == "response" else None
            sent.outcome = Outcome(answer["outcome"], body, answer.get("reason") or "")
        sent.ended = self.now
        told = f"user is told {sent.outcome.kind} of {request['target']}"
        self._tell(node, f"{told}: {json.dumps(sent.outcome.body)[:_SHOWN]}")
        sent.taken.set()

    def wait(self, done: Callable[[], bool], limit: float = WAIT_SECONDS, what: str = "what was waited for") -> None:
        end = self.now + limit
        while not done():
            if self.now >= end:
                raise OutOfTime(f"{what} did not come within {limit:g} s")
            self._glance(end)

    def rest(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self._glance(end)

    def _glance(self, end: float) -> None:
        while self._later and self._later[0][0] <= self.now:
            heappop(self._later)[2]()
        due = self._later[0][0] if self._later else end
        time.sleep(max(0.0, min(_GLANCE, end - self.now, due - self.now)))

    # --- files and logs ---------------------------------------------------------------------------------------------

    def share(self, node: str, data: bytes, name: str) -> str:
        number = next(self._order)
        folder = self._drive(node) / "outgoing" / str(number)
        folder.mkdir(parents=True)
        (folder / name).write_bytes(data)
        return f"/file_transfer:sys/outgoing/{number}/{name}"

    def received(self, node: str, name: str) -> bytes | None:
        with suppress(FileNotFoundError):
            return (self._drive(node) / "inbox" / name).read_bytes()
        return None

    def share_folder(self, node: str, tree: FolderTree, name: str) -> str:
        number = next(self._order)
        folder = self._drive(node) / "outgoing" / str(number)
        folder.mkdir(parents=True)
        write_tree(folder / name, tree)
        return f"/file_transfer:sys/outgoing/{number}/{name}"

    def received_folder(self, node: str, name: str) -> FolderTree | None:
        return read_tree(self._drive(node) / "inbox" / name)

    def tamper(self, node: str, change: Callable[[Contents], Iterable[Row]]) -> None:
        database, contents = Database.open(str(self._folder(node).store))
        database.commit(change(contents))
        database.close()
        self._tell(node, "finds other capabilities in its store")

    def backups(self, node: str) -> LabBackups:
        """Raise NotAtThisLevel: here, the commands `nectar backup` make copies, and nothing sees what is in them."""
        raise NotAtThisLevel("Backups are played in a simulation only.")

    def releases(self, node: str) -> LabReleases:
        """Raise NotAtThisLevel: here, the commands `nectar publish` and `nectar install` move releases."""
        raise NotAtThisLevel("Releases are played in a simulation only.")

    def rotate_key(self, node: str) -> None:
        """Raise NotAtThisLevel: here, `nectar keys rotate` does that."""
        raise NotAtThisLevel(f"The key of {node} is changed in a simulation only.")

    def set_cipher(self, node: str, cipher: str) -> None:
        folder = self._folder(node)
        keep_options(folder, replace(kept_options(folder), cipher=cipher or None))

    def ciphers(self, node: str) -> dict[str, str]:
        with self._network(node).connect(node) as client:
            peers = client.request("peers")["peers"]
        return {peer["name"]: peer["cipher"] for peer in peers if peer["state"] == "up"}

    def browsers(self, node: str) -> Browsers:
        """Raise NotAtThisLevel: here, a browser is a program of its own."""
        raise NotAtThisLevel("Browsers are played in a simulation only.")

    def log(self, node: str) -> list[str]:
        with suppress(FileNotFoundError):
            return [line.partition(" ")[2] for line in self._folder(node).log.read_text(errors="replace").splitlines()]
        return []

    def note(self, text: str) -> None:
        self._tell(NOBODY, f"note {text}")

    def close(self) -> None:
        """End the whole network."""
        self._pool.shutdown(cancel_futures=True)
        try:
            impostors.dismiss_all(self.network)
            attackers.call_off_all(self.network)
        finally:
            try:
                self.nodes.close()
            finally:
                self.traces.close()

    def _drive(self, node: str) -> Path:
        return self._folder(node).drives / "file_transfer:sys"

    def _folder(self, node: str) -> NodeFolder:
        return self._network(node).place(self._impostors.get(node, node))

    def _network(self, node: str) -> LocalNetwork:
        return impostors.network_of(self.network, node) if node in self._impostors else self.network

    def _tell(self, node: str, what: str) -> None:
        line = line_of(self.now, node, what)
        self.journal.append(line)
        if self.listener is not None:
            self.listener(line)


@contextmanager
def open_socket_lab(
    folder: Path, seed: int, level: Level = Level.LOOPBACK, temporary: Path | None = None
) -> Iterator[SocketLab]:
    """Yield a network in `folder` in which nothing runs yet but its links.

    If this process is killed, the whole network ends, and `temporary` is removed (`testnet.real.lifeline`).

    Raises NoNamespaces (`testnet.real.nodes.namespaces.unavailable` says it beforehand) and CannotListen.
    """
    assert level is not Level.SIMULATION
    with (
        hold_lifeline(folder, () if temporary is None else (temporary,)) as lifeline,
        run_host_links(seed) if level is Level.NAMESPACES else run_loopback_links(folder, seed) as links,
    ):
        nodes = LocalTestnet(folder, replace(DEFAULT_OPTIONS, trace=True), links, lifeline)
        lab = SocketLab(nodes, links, level, seed, TracePipes(folder / TRACES_FOLDER))
        try:
            yield lab
        finally:
            lab.close()
