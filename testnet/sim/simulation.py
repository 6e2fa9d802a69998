"""Node cores on an event heap: virtual time, one seed, a journal.

Owns the time, the links between nodes and the journal. Everything random comes from the seed: keys, ids, guest
randomness, link delays. No clock, thread, socket or trio takes part, so the same seed writes the same journal, byte for
byte; each line holds a hash of the bytes that moved, so it agrees only if all of the encryption and all guests do.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

from kernel.address import Address, ProcessId
from kernel.errors import BadModule
from kernel.events import Answered
from kernel.guest import Arrival, Failure, GuestConfig
from kernel.limits import MAX_MODULE_BYTES
from kernel.message import LazyLoadBlob, Request
from kernel.wasm.engine import Engine
from nectar_node.core import CoreConfig, NodeCore
from nectar_node.log import DEFAULT_VERBOSITY
from nectar_node.package import read_package
from nectar_node.storage.operations import Job, Location, ReadAt
from nectar_node.trace import Traced
from nectar_node.world import BadCode, Installed, Joined, JoinFailed, LoadCode, LogLine, Printed, ShutDown
from net.directory import Endpoint, Genesis, RegistrarDirectory
from net.events import Close, Dial, DialFailure, Hold, Probed, Writable
from net.handshake import VERSION
from net.identity import Identity
from net.peers import Network, NetworkConfig
from net.registrar import Registrar
from testnet.sim.disk import SimDisk
from testnet.sim.faults import Verdict

REGISTRAR = "registrar.nec"
PORT = 9000
MEMORY_BYTES = 64 << 20
SEGMENT_BYTES = 1 << 18
"""What a link takes from a node at once."""
POLLS = 1 << 30


class SimulationError(Exception):
    """A simulation did not do what was asked within its virtual time."""


@dataclass(frozen=True, slots=True)
class LinkBehaviour:
    """How bytes travel: seconds of delay, drawn anew for each segment between the two bounds, order kept."""

    least_delay: float = 0.0005
    most_delay: float = 0.02


@dataclass(slots=True)
class _End:
    """One node's end of a connection."""

    node: SimNode
    connection: int
    peer: _End | None = None
    arrives: float = 0.0
    """When the last segment towards this end arrives: later ones do not overtake it."""
    open: bool = True
    held: bool = False
    """Nothing is read from it for now."""
    unread: deque[bytes] = field(default_factory=deque)


class Simulation:
    """A network in virtual time."""

    def __init__(self, seed: int, engine: Engine, behaviour: LinkBehaviour | None = None) -> None:
        """`engine` must be replayable."""
        self.seed = seed
        self.now = 0.0
        self.journal: list[str] = []
        self.nodes: dict[str, SimNode] = {}
        self.rules: list[tuple[str, Verdict]] = []
        """Faults that hold now; see `faults`."""
        self.boots: Counter[str] = Counter()
        """By name: how often the node has booted before."""
        self.engine = engine
        self.behaviour = behaviour or LinkBehaviour()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = 0
        self._random = self.chance("links")
        key = Identity(REGISTRAR, self.chance("key", REGISTRAR).randbytes(32))
        self.genesis = Genesis(REGISTRAR, key.public_key, REGISTRAR, PORT)
        self.add(REGISTRAR)

    def chance(self, *purpose: str) -> random.Random:
        """A source of randomness of its own for each purpose, so that one does not shift another."""
        return random.Random(f"{self.seed}/{'/'.join(purpose)}")

    def add(
        self,
        name: str,
        packages: tuple[Path, ...] = (),
        disk_bytes: int = 1 << 40,
        routers: tuple[str, ...] = (),
    ) -> SimNode:
        """Boot a node that runs `packages`; with `routers` it is reached through these alone."""
        node = SimNode(self, name, disk_bytes, routers)
        self.nodes[name] = node
        node.boot(packages)
        return node

    def crash(self, name: str) -> SimNode:
        """The node ends without a word, and its host closes its connections."""
        node = self.nodes.pop(name)
        node.cut()
        node.pause()
        return node

    def restart(self, name: str, version: int = VERSION) -> SimNode:
        """The node crashes, and boots again with its key and its disk; it runs no packages until it is told to."""
        old = self.crash(name)
        self.boots[name] += 1
        node = self.nodes[name] = SimNode(self, name, 0, old.routers, version)
        node.disk = old.disk
        node.boot(())
        return node

    def verdict(self, *nodes: str) -> Verdict:
        """On what these nodes send each other."""
        return next((kind for node, kind in reversed(self.rules) if node in nodes), Verdict.PASS)

    def settle(self, deadline: float = 60.0) -> None:
        """Let virtual time pass until all nodes have joined and run their packages."""
        ready = [node for name, node in self.nodes.items() if name != REGISTRAR]
        self.run_until(lambda: all(node.joined and not node.core.starting for node in ready), self.now + deadline)

    def note(self, node: str, what: str) -> None:
        """A line in the journal."""
        self.journal.append(f"{self.now:.9f} {node} {what}")

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Do something later."""
        self._sequence += 1
        heapq.heappush(self._heap, (when, self._sequence, what))

    def delay(self) -> float:
        """Of one segment."""
        return self._random.uniform(self.behaviour.least_delay, self.behaviour.most_delay)

    def step(self) -> bool:
        """Let the next thing happen; False: nothing will ever happen again."""
        if not self._heap:
            return False
        when, _, what = heapq.heappop(self._heap)
        assert when >= self.now, "time runs backwards"
        self.now = when
        what()
        return True

    def run_until(self, done: Callable[[], bool], deadline: float) -> None:
        """Let things happen until `done`; raises SimulationError at the virtual `deadline`."""
        while not done():
            if not self._heap or self._heap[0][0] > deadline:
                raise SimulationError(f"seed {self.seed}: not done at {self.now:.3f} s of virtual time")
            self.step()

    def settle_instant(self) -> None:
        """Let everything happen that happens before time passes."""
        while self._heap and self._heap[0][0] <= self.now:
            self.step()

    def digest(self) -> str:
        """One number for the whole journal."""
        return blake3("\n".join(self.journal).encode()).hexdigest()


class SimNode:
    """One node core and its part of the world."""

    def __init__(
        self,
        simulation: Simulation,
        name: str,
        disk_bytes: int,
        routers: tuple[str, ...] = (),
        version: int = VERSION,
    ) -> None:
        """`version`: of the protocol."""
        self.name = name
        self.log: list[str] = []
        self.shown_log: list[str] = []
        """What of it a real node's log has, less what its log's budget leaves out."""
        self.printed: list[Printed] = []
        self.traced: list[Traced] = []
        self.probed: list[Probed] = []
        self.joined = False
        self.ends = False
        """Whether a process has asked the node to shut down."""
        self.disk = SimDisk(lambda: simulation.now, disk_bytes)
        self._simulation = simulation
        self._ends: dict[int, _End] = {}
        self._wake_at: float | None = None
        self._answers: deque[Answered] = deque()
        self._waiting: list[Callable[[], None]] | None = None
        """What happened while it was paused; None: it is not."""
        identity = Identity(name, simulation.chance("key", name).randbytes(32))
        is_registrar = name == REGISTRAR
        directory = Registrar(identity) if is_registrar else RegistrarDirectory(simulation.genesis)
        self.routers = routers
        endpoints = () if routers else (Endpoint(name, PORT),)
        config = NetworkConfig(endpoints=endpoints, routers=routers, register=not is_registrar, version=version)
        life = f"{name}/{simulation.boots[name]}" if simulation.boots[name] else name
        network = Network(identity, directory, config, simulation.chance("net", life).randbytes, simulation.now)
        ids = simulation.chance("ids", life)
        roots = (f"{name}/vfs", f"{name}/state", f"{name}/records", Location(name, ("capabilities",)))
        self.core = NodeCore(CoreConfig(name, *roots, lambda: ids.getrandbits(64), self._guest_config), network)

    def boot(self, packages: tuple[Path, ...]) -> None:
        """Install packages and begin."""
        for folder in packages:
            package = read_package(folder, self.name)
            for file in sorted(package.folder.iterdir()):
                self.disk.put(Location(str(package.folder), (file.name,)), file.read_bytes())
            self.core.install(package, None, self._simulation.now)
        self.core.settle(self._simulation.now)
        self.go_on()

    def ask(self, target: str, body: bytes, timeout: int, blob: bytes | None = None) -> Arrival | Failure:
        """Send a request in the user's name and let virtual time pass until its outcome is there."""
        token = self.begin_to_ask(target, body, timeout, blob)
        self._simulation.run_until(lambda: self.answer(token) is not None, self._simulation.now + timeout)
        answer = self.answer(token)
        assert answer is not None
        return answer

    def begin_script(self, line: str, timeout: int) -> object:
        """Run a script in the user's name; `printed` has what it prints, and `answer` the outcome of what is returned,
        once it is there."""
        token = object()
        self.core.run_script(line, timeout, token, self._simulation.now)
        self.go_on()
        return token

    def begin_to_ask(self, target: str, body: bytes, timeout: int, blob: bytes | None = None) -> object:
        """The same without waiting; `answer` has the outcome of what is returned, once it is there."""
        token = object()
        carried = LazyLoadBlob(None, blob) if blob is not None else None
        self.core.inject(Address.parse(target), Request(False, timeout, body), carried, token, self._simulation.now)
        self.go_on()
        return token

    def answer(self, token: object) -> Arrival | Failure | None:
        """The outcome of a request; None: it is not there yet."""
        return next((each.answer for each in self._answers if each.token is token), None)

    # --- faults -----------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Whatever happens to it from now on waits."""
        if self._waiting is None:
            self._waiting = []

    def resume(self) -> None:
        """What has waited happens now, in order."""
        waiting, self._waiting = self._waiting or [], None
        for what in waiting:
            what()

    def cut(self) -> None:
        """All its connections break, for both ends."""
        for end in list(self._ends.values()):
            if end.peer is not None:
                end.peer.node.lose(end.peer)
            self.lose(end)

    def _at(self, when: float, what: Callable[[], None]) -> None:
        """Let something happen to this node then."""
        self._simulation.at(when, lambda: self._happens(what))

    def _happens(self, what: Callable[[], None]) -> None:
        if self._waiting is None:
            what()
        else:
            self._waiting.append(what)

    # --- driving the core -------------------------------------------------------------------------------------------

    def go_on(self) -> None:
        """Let the core run until it waits, and carry out what it wants."""
        self._carry_out()
        while self.core.can_run:
            self.core.run(self._simulation.now, POLLS)
            self._carry_out()
        deadline = self.core.next_deadline()
        if deadline is not None and (self._wake_at is None or deadline < self._wake_at):
            self._wake_at = max(deadline, self._simulation.now)
            self._at(self._wake_at, self._on_deadline)

    def _on_deadline(self) -> None:
        self._wake_at = None
        self.core.on_timer(self._simulation.now)
        self.go_on()

    def _carry_out(self) -> None:
        while (action := self.core.next_action()) is not None:
            match action:
                case Dial():
                    self._dial(action)
                case Close(connection, farewell):
                    self._close(connection, farewell)
                case Writable(connection):
                    self._transmit(connection)
                case Hold(connection, held):
                    self._hold(connection, held)
                case Job():
                    self._at(self._simulation.now, lambda job=action: self._perform(job))  # type: ignore[misc]
                case LoadCode():
                    self._at(self._simulation.now, lambda load=action: self._load(load))  # type: ignore[misc]
                case LogLine(source, verbosity, text):
                    self.log.append(f"{source}: {text}")
                    if verbosity <= DEFAULT_VERBOSITY:
                        self.shown_log.append(f"{source}: {text}")
                    self._simulation.note(self.name, f"log {source}: {text}")
                case Answered():
                    self._answers.append(action)
                case Printed(_, _, text):
                    self.printed.append(action)
                    self._simulation.note(self.name, f"printed {text}")
                case Traced():
                    self.traced.append(action)
                case Probed():
                    self.probed.append(action)
                case ShutDown():
                    self.ends = True
                case Installed(_, failures):
                    self._simulation.note(self.name, f"installed, {len(failures)} failed")
                case Joined() | JoinFailed():
                    self.joined = isinstance(action, Joined)
                    self._simulation.note(self.name, type(action).__name__)

    def _perform(self, job: Job) -> None:
        outcome = self.disk.perform(job.operation)
        self._simulation.note(self.name, f"disk {type(job.operation).__name__} {job.operation.location}")
        self.core.job_done(job, outcome, self._simulation.now)
        self.go_on()

    def _load(self, load: LoadCode) -> None:
        source = load.source
        code = self.disk.perform(ReadAt(source, 0, MAX_MODULE_BYTES)) if isinstance(source, Location) else bytes(source)
        try:
            program = (
                self._simulation.engine.load(code) if isinstance(code, bytes) else BadCode("there is no such file")
            )
        except BadModule as error:
            program = BadCode(str(error))
        self.core.code_loaded(load, program, self._simulation.now)
        self.go_on()

    def _guest_config(self, address: Address) -> GuestConfig:
        chance = self._simulation.chance("guest", str(address))
        return GuestConfig(address, MEMORY_BYTES, chance.randbytes, lambda: round(self._simulation.now * 1e9))

    # --- links ------------------------------------------------------------------------------------------------------

    def _dial(self, dial: Dial) -> None:
        simulation = self._simulation
        mine = _End(self, dial.connection)
        self._ends[dial.connection] = mine
        simulation.note(self.name, f"dials {dial.host}")
        simulation.at(simulation.now + simulation.delay(), lambda: self._arrive_at(mine, dial.host))

    def _arrive_at(self, mine: _End, host: str) -> None:
        simulation = self._simulation
        other, verdict = simulation.nodes.get(host), simulation.verdict(self.name, host)
        if verdict is Verdict.SWALLOW:
            return
        if other is None or verdict is not Verdict.PASS:
            failure = DialFailure.UNREACHABLE if verdict is Verdict.NO_ROUTE else DialFailure.REFUSED
            self._at(simulation.now + simulation.delay(), lambda: self._dial_failed(mine, failure))
            return
        theirs = _End(other, other.core.new_connection(), mine)
        mine.peer = theirs
        other._ends[theirs.connection] = theirs
        other._happens(lambda: other._accepted(theirs, self.name))
        self._at(simulation.now + simulation.delay(), lambda: self._connected(mine))

    def _accepted(self, mine: _End, host: str) -> None:
        self.core.accepted(mine.connection, host, self._simulation.now)
        self.go_on()

    def _connected(self, mine: _End) -> None:
        if mine.open:
            self.core.connected(mine.connection, self._simulation.now)
            self.go_on()

    def _dial_failed(self, mine: _End, failure: DialFailure) -> None:
        self._ends.pop(mine.connection, None)
        self.core.dial_failed(mine.connection, failure, self._simulation.now)
        self.go_on()

    def _transmit(self, connection: int) -> None:
        end = self._ends.get(connection)
        if end is None or end.peer is None:
            return
        data = b"".join(self.core.pending(connection, SEGMENT_BYTES))
        if not data:
            return
        self._send(end, data)
        # The link takes the next segment when this one has left: until then the core may think again.
        self._at(self._simulation.now, lambda: self._transmit_on(connection))

    def _transmit_on(self, connection: int) -> None:
        self._transmit(connection)
        self.core.settle(self._simulation.now)
        self.go_on()

    def _send(self, end: _End, data: bytes) -> None:
        peer, simulation = end.peer, self._simulation
        assert peer is not None
        simulation.note(self.name, f"sends {len(data)} {blake3(data).hexdigest(8)} to {peer.node.name}")
        if simulation.verdict(self.name, peer.node.name) is Verdict.SWALLOW:
            return
        peer.arrives = max(peer.arrives, simulation.now + simulation.delay())
        peer.node._at(peer.arrives, lambda: peer.node.receive(peer, data))

    def _hold(self, connection: int, held: bool) -> None:
        end = self._ends.get(connection)
        if end is None:
            return
        end.held = held
        if not held:
            self._at(self._simulation.now, lambda: self._read(end))

    def receive(self, end: _End, data: bytes) -> None:
        """Bytes have arrived at this node's end of a connection; where that is closed, the other end hears of it."""
        if not end.open and end.peer is not None:
            end.peer.node.lose(end.peer)
        end.unread.append(data)
        self._read(end)

    def _read(self, end: _End) -> None:
        while end.open and end.unread and not end.held:
            self.core.receive(end.connection, end.unread.popleft(), self._simulation.now)
            self.go_on()

    def _close(self, connection: int, farewell: bytes) -> None:
        end = self._ends.pop(connection, None)
        if end is None:
            return
        end.open = False
        peer = end.peer
        if peer is None:
            return
        if farewell:
            self._send(end, farewell)
        if self._simulation.verdict(self.name, peer.node.name) is Verdict.SWALLOW:
            return
        peer.arrives = max(peer.arrives, self._simulation.now + self._simulation.delay())
        self._simulation.at(peer.arrives, lambda: peer.node.lose(peer))

    def lose(self, end: _End) -> None:
        """The other side has closed, or the link has broken."""
        self._happens(lambda: self._lose(end))

    def _lose(self, end: _End) -> None:
        if not end.open:
            return
        end.open = False
        self._ends.pop(end.connection, None)
        self.core.lost(end.connection, self._simulation.now)
        self.go_on()

    def process(self, name: str) -> ProcessId:
        """The id of the only process of that name."""
        (found,) = [id for id in self.core.kernel.processes if id.process == name]
        return found
