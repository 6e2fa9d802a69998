"""A simulated node: the same `NodeCore` that runs on trio, with its guests, its disk and its ends of connections."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import apsw

from kernel.contract.address import Address, PackageId, ProcessId
from kernel.contract.events import Answered, Load
from kernel.contract.guest import Arrival, Failure, GuestConfig
from kernel.contract.limits import MAX_MEMORY_BYTES
from kernel.contract.message import LazyLoadBlob, Request
from nectar_node.base.log import DEFAULT_VERBOSITY, shown
from nectar_node.base.refusals import why_refused
from nectar_node.contract.actions import (
    BadCode,
    DiskUsed,
    DriverAction,
    Installed,
    Joined,
    Kept,
    LoadCode,
    LogLine,
    NameRefused,
    Printed,
    Ready,
    ShutDown,
    StandDown,
    StartBackup,
    StopBackup,
    Torn,
)
from nectar_node.contract.http import HttpAction, HttpEvent
from nectar_node.contract.http_client import (
    HangUp,
    HttpClientConfig,
    HttpClientEvent,
    ServerCall,
    SocketHold,
    SocketPush,
)
from nectar_node.contract.memory_budget import DEFAULT_BYTES, MemoryBudget
from nectar_node.contract.traces import Traced
from nectar_node.core.config import CoreConfig
from nectar_node.core.core import NodeCore
from nectar_node.core.kept import decode_untrusted
from nectar_node.driver.log_budget import LogBudget
from nectar_node.driver.program_code import kept_debug_file, load_program
from nectar_node.http.fetching.wasi_client import WasiHttpClient
from nectar_node.packages.boot import Boot
from nectar_node.packages.decisions import Decision
from nectar_node.packages.manifest import Package
from nectar_node.storage.database import STORE_FILE
from nectar_node.storage.ledger import DEFAULT_QUOTAS, Ledger, Quotas
from nectar_node.storage.operations import Job, Location, MakeFolder, Outcome, RemoveFile, StopJob
from net.base.ciphers import Cipher, listed
from net.base.frames import LINEAGES_VERSION, PAIRS_VERSION, VERSION
from net.base.limits import FAREWELL_SECONDS
from net.contract.events import Close, Dial, Hold, Probed, Unforeseen, Writable
from net.names.directory import Endpoint, RegistrarDirectory
from net.names.identity import Identity
from net.names.registrar import Registrar
from net.peering.network import Network, NetworkConfig
from testnet.browsers.door import SimDoor
from testnet.browsers.kits import SimKits
from testnet.hostile.forgery import claim_name
from testnet.journal.ground import Ground
from testnet.model.lab import OutOfTime
from testnet.model.points import STORE_WRITE
from testnet.sim.context import NodeContext
from testnet.sim.disk.disk import SimDisk
from testnet.sim.disk_lanes import SimLanes
from testnet.sim.fabric import BUFFER_BYTES
from testnet.sim.guest_drive import GuestDrive
from testnet.sim.names import PORT, REGISTRAR, SimulationError
from testnet.sim.programs import package_in
from testnet.sim.wired import Wired

POLLS_AT_ONCE = 1_000_000
"""Polls of a node's guests at one moment of virtual time. Beyond, they send messages to each other without end, and
time would stand still for ever."""
SLICES_AT_ONCE = 10_000
"""Slices that a guest may use up before it waits for something: 5 seconds of an interpreter, and for a loop without
anything in it as much as a minute. No virtual time passes meanwhile. On a real node one that computes for ever is
pre-empted for ever (G23)."""
_UNSEEN = (Traced, LogLine, Probed, Job, StopJob, Hold, LoadCode)
"""Actions that nobody sees but the node itself, which forgets them when it ends."""
_CIPHERS = tuple(cipher.value for cipher in Cipher)
EARLIER_RELEASES = 0.25
"""The part of all boots at which a node is of a release that speaks version 1 of the frames."""
LINEAGES = 0.25
"""The part of all boots at which a node takes lineages in headers, as if it sent spans (`LINEAGES_VERSION`)."""
KEY_FILE = "key"
"""Name of the node's key in its folder."""
PREVIOUS_KEY_FILE = "key.previous"
"""Name of its former key there, until the registrar has granted the new one."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """The settings of a node, for all of its boots."""

    name: str
    packages: tuple[Path, ...] = ()
    disk_bytes: int = 1 << 40
    routers: tuple[str, ...] = ()
    """The routers through which alone it is reached, if there are any."""
    host: str = ""
    """The host where it is dialed; its name if empty."""
    is_copy: bool = False
    """Whether it is another copy of a node, with the same key; links call it by its host."""
    key: str = ""
    """The seed of its key; another text gives another key."""
    version: int = VERSION
    """The version of the protocol."""
    cipher: str = ""
    """The cipher that its record lists; empty: each boot draws one, as if it were on another machine."""
    frames_version: int | None = None
    """The newest version of the frames that it speaks; None: the seed says which, at each boot."""
    quotas: Quotas = DEFAULT_QUOTAS
    """Disk quotas of its packages."""
    registers: bool = True
    """Whether it asks the registrar for its name. One that would be refused it does not run if it asks; so it grants
    the name itself, and shows that."""
    take_over: bool = False
    """Whether it runs although a copy has taken its place before."""
    memory_bytes: int = DEFAULT_BYTES
    """The budget for all that waits in it."""
    password: bytes | None = None
    """The password with which its user signs in; None: there is none."""
    http_client_private: tuple[str, ...] = ()
    """Packages that reach its machine and private networks by HTTP."""


class SimNode(Wired):
    """One node core with its disk and its connections, from one boot to its end."""

    core: NodeCore
    window = BUFFER_BYTES

    def __init__(self, simulation: NodeContext, spec: NodeSpec, disk: SimDisk | None = None) -> None:
        """`disk` is that of an earlier boot."""
        name = spec.name
        super().__init__(simulation, spec.host if spec.is_copy else name, spec.host or name)
        self.spec = spec
        self.log: list[str] = []
        self.shown_log: list[str] = []
        """The lines that a real node's log would have."""
        self._log_budget = LogBudget()
        self._telling_omitted = False
        self.printed: list[Printed] = []
        self.traced: list[Traced] = []
        self.probed: list[Probed] = []
        self.disk_uses: dict[object, DiskUsed] = {}
        """Disk usage, by the token of the request."""
        self.kept: dict[object, str | None] = {}
        """Why what had changed could not be kept, or None if it was, by the token of the request."""
        self.joined = False
        """Whether the registrar has granted its name."""
        self.stood_down: str | None = None
        """Which copy of it has taken its place, in one sentence; None: none that it knows of."""
        self.ready = False
        """Whether it has booted: its packages run, or cannot."""
        host = self.host
        self.disk = disk or SimDisk(lambda: simulation.wall_clock(host), spec.disk_bytes)
        self._simulation = simulation
        self._guests_started = 0
        self._polls = POLLS_AT_ONCE
        """The polls that are left at the moment `_polled_at`."""
        self._polled_at = 0.0
        self._wake_at: float | None = None
        self.door = SimDoor(
            self._tell_http,
            lambda seconds, what: self.at(simulation.now + seconds, what),
            spec.password,
            lambda: len(self.core.web_sockets.channels),
            lambda upload: self._kits.take(upload),
            lambda: len(self.core.bodies),
        )
        """The browsers on its machine."""
        self._answers: dict[object, Arrival | Failure] = {}
        """Outcomes, by the token of the request."""
        self._answered: dict[object, float] = {}
        """When they came, by the same."""
        self._thens: dict[object, Callable[[Arrival | Failure], None]] = {}
        """What takes an outcome, by the token of the request."""
        self._waiting: list[Callable[[], object]] | None = None
        """What happened while the node was paused; None if it is not paused."""
        self.life = f"{self.host}/{simulation.boots[self.host]}"
        """The host, and how often it has booted there before."""
        self._kept = decode_untrusted(self.disk.open_store(name, f"{name}/vfs"), name, self.disk.state_lengths)
        self.disk.ledger = self.ledger = Ledger(f"{name}/vfs", spec.quotas, f"{name}/kept")
        chance = simulation.chance("disk", self.life)
        self._drift = simulation.drifts[host]
        self.poll_seconds = simulation.poll_seconds[host]
        """Seconds that each poll of a guest takes."""
        self._busy_until = 0.0
        self.halted = False
        """Whether a fault has struck it just now, and ends it before anything else happens."""
        self._lanes = SimLanes(simulation, self.disk, chance, self._job_done, self.at, host, lambda: self.halted)
        self.disk.database_files.fails = self.disk.package_files.fails = self._database_write
        self.core = self._make_core(spec)
        self._kits = SimKits(
            name, self._tell_http, self.core.decisions.of, self.core.packages, self._start_kit, self._decide
        )
        self.port = self.core.network
        if simulation.watches:
            self.core.trace(None, self)

    def _make_core(self, spec: NodeSpec) -> NodeCore:
        simulation, name = self._simulation, spec.name
        self.identity = identity = Identity(name, self._own_key())
        is_registrar = name == REGISTRAR
        records = [*self._kept.names.of(simulation.genesis.public_key)]
        if not spec.registers:
            records.append(claim_name(identity, Endpoint(self.host, PORT)).held())
        directory = Registrar(identity, records) if is_registrar else RegistrarDirectory(simulation.genesis, records)
        offset = simulation.clocks[self.host]
        memory = MemoryBudget(spec.memory_bytes)
        config = NetworkConfig(
            memory=memory,
            routers=spec.routers,
            wall_clock_offset=offset,
            version=spec.version,
            frames_version=self._frames_version(),
            previous=self._previous(),
            keeps_sequence=spec.registers,
            sequence=self._kept.own.sequence,
            epoch=self._kept.grants.revoked.everything,
            ciphers=listed(spec.cipher or simulation.chance("cipher", self.life).choice(_CIPHERS)),
        )
        network = Network(identity, directory, config, simulation.chance("net", self.life).randbytes, self.time)
        ids = simulation.chance("ids", self.life)
        core_config = CoreConfig(
            our=name,
            drives=f"{name}/vfs",
            registrar=simulation.genesis.public_key,
            store=store_file(name),
            keeps=f"{name}/kept",
            packages=f"{name}/packages",
            code=f"{name}/code",
            fresh_id=lambda: ids.getrandbits(64),
            guest=self._guest_config,
            memory=memory,
            kept=self._kept,
            take_over=spec.take_over,
            http_client=HttpClientConfig(private=frozenset(map(PackageId.parse, spec.http_client_private))),
            ledger=self.ledger,
            has_password=spec.password is not None,
        )
        return NodeCore(core_config, network)

    def _frames_version(self) -> int:
        """Return the newest version of the frames that it speaks at this boot: some nodes are of an earlier release,
        and some take lineages."""
        if self.spec.frames_version is not None:
            return self.spec.frames_version
        drawn = self._simulation.chance("frames", self.life).random()
        return 1 if drawn < EARLIER_RELEASES else LINEAGES_VERSION if drawn >= 1 - LINEAGES else PAIRS_VERSION

    def _own_key(self) -> bytes:
        """Return the key on the node's disk, made at its first boot."""
        place = Location(self.spec.name, (KEY_FILE,))
        key = self.disk.get(place)
        if key is None:
            key = self._simulation.chance("key", self.spec.name, *filter(None, [self.spec.key])).randbytes(32)
            self.disk.put(place, key)
        return key

    def _previous(self) -> Identity | None:
        """Return what it was before its key was changed; None: the registrar knows the key that it has."""
        key = self.disk.get(Location(self.spec.name, (PREVIOUS_KEY_FILE,)))
        return None if key is None else Identity(self.spec.name, key)

    def rotate_key(self) -> None:
        """Give it another key from its next boot on; the former one signs the change."""
        folder = self.spec.name
        place, former = Location(folder, (KEY_FILE,)), Location(folder, (PREVIOUS_KEY_FILE,))
        key = self.disk.get(place)
        if key is not None and self.disk.get(former) is None:  # otherwise the name could be lost
            self.disk.put(former, key)
            self.disk.put(place, self._simulation.chance("key", self.life, "next").randbytes(32))

    def boot(self) -> None:
        """Begin: ask for the name, and start the packages."""
        spec = self.spec
        packages = [self._lay_down(folder) for folder in spec.packages]
        named = {package.id for package in packages}
        for id, kept in self._kept.packages.items():
            if kept.started and id not in named:
                packages.append(self.disk.packages[kept.folder])
        reached = None if spec.routers else Endpoint(self.host, PORT)
        trials = ((id, kept.trial) for id, kept in self._kept.packages.items() if kept.trial is not None)
        before = {id: self.disk.packages[trial.folder] for id, trial in trials}
        registers = spec.registers and spec.name != REGISTRAR
        self.core.boot(Boot(tuple(packages), registers, reached, before), self.time)
        if remotes := self._simulation.backup_remotes(self.host):
            self.core.set_remotes(remotes, self.time)
        self.go_on()

    def install(self, folder: Path, *, whole: bool = True, stands_in: bool = False) -> None:
        """Install a package, as the node's user would; not `whole`: what else runs of it goes on beside it;
        `stands_in`: it may take the name of a system process that the node does not have.
        """
        package = replace(self._lay_down(folder), stands_in=stands_in)
        self.core.install(package, None, self.time, whole=whole)
        self.go_on()

    def _lay_down(self, folder: Path) -> Package:
        """Copy a package to the node's disk, unless it is there, and return the copy."""
        return self._copied(replace(package_in(folder, self.spec.name), origin=self._simulation.origin_of(folder)))

    def _copied(self, package: Package) -> Package:
        copy = f"{self.spec.name}/packages/{package.id}/{package.digest[:32]}"
        if copy not in self.disk.packages:
            for path, content in self._simulation.files_of(package):
                self.disk.put(Location(copy, path.parts), content)
            self.disk.packages[copy] = replace(package, folder=Path(copy), origin=package.source)
        return self.disk.packages[copy]

    def _start_kit(self, package: Package, token: object) -> None:
        self.core.install(self._copied(package), token, self.time)
        self.go_on()

    def _decide(self, package: PackageId, decision: Decision) -> None:
        self.core.decide(package, decision, self.time)
        self.go_on()

    def ask(self, target: str, body: bytes, timeout: int, blob: bytes | None = None) -> Arrival | Failure:
        """Send a request in the user's name, let virtual time pass until its outcome is there, and return it."""
        token = self.begin_to_ask(target, body, timeout, blob)
        self._simulation.run_until(lambda: self.answer(token) is not None, self._simulation.now + timeout)
        answer = self.answer(token)
        assert answer is not None
        return answer

    def disk_use(self, seconds: float = 60.0) -> DiskUsed:
        """Count what each package has on the disk; virtual time passes meanwhile."""
        token = object()
        self.core.ask_disk_use(token)
        self.go_on()
        self._simulation.run_until(lambda: token in self.disk_uses, self._simulation.now + seconds)
        return self.disk_uses.pop(token)

    def begin_script(self, line: str, timeout: int) -> object:
        """Start a script in the user's name and return a token for it. `printed` has what it prints; `answer` has its
        outcome."""
        token = object()
        self.core.run_script(line, timeout, token, self.time)
        self.go_on()
        return token

    def begin_to_ask(self, target: str, body: bytes, timeout: int, blob: bytes | None = None) -> object:
        """Send a request in the user's name and return a token for `answer`."""
        token = object()
        carried = LazyLoadBlob(None, blob) if blob is not None else None
        self.core.inject(Address.parse(target), Request(False, timeout, body), carried, token, self.time)
        self.go_on()
        return token

    def _tell_http(self, event: HttpEvent) -> None:
        self.happens(lambda: self._take_http(event))

    def _take_http(self, event: HttpEvent) -> None:
        self.core.http(event, self.time)
        self.go_on()

    def told(self, event: HttpClientEvent) -> None:
        """Take what a server has sent to one of its processes."""

        def arrives() -> None:
            self.core.take_http_client(event, self.time)
            self.go_on()

        self.happens(arrives)

    def ask_later(
        self,
        after: float,
        target: str,
        body: bytes,
        timeout: int,
        blob: bytes | None,
        then: Callable[[Arrival | Failure], None],
    ) -> None:
        """Send a request in the user's name after so many seconds; `then` takes its outcome, unless the node ends."""

        def ask() -> None:
            token = object()
            self._thens[token] = then
            carried = LazyLoadBlob(None, blob) if blob is not None else None
            self.core.inject(Address.parse(target), Request(False, timeout, body), carried, token, self.time)
            self.go_on()

        self.at(self._simulation.now + after, ask)

    def answer(self, token: object) -> Arrival | Failure | None:
        """Return the outcome of a request, or None if it is not there yet."""
        return self._answers.get(token)

    def answered_at(self, token: object) -> float | None:
        """Return when the outcome of a request came, or None if it is not there yet."""
        return self._answered.get(token)

    # --- faults -----------------------------------------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        """Whether the node is paused."""
        return self._waiting is not None

    def pause(self) -> None:
        """Let all that happens to the node wait."""
        if self._waiting is None:
            self._waiting = []

    def resume(self) -> None:
        """Let what has waited happen now, in order."""
        waiting, self._waiting = self._waiting or [], None
        for what in waiting:
            what()

    def shut_down(self) -> None:
        """End in order: write what is to be kept, if the disk is quick enough, and say goodbye."""
        simulation = self._simulation
        end = simulation.now + FAREWELL_SECONDS
        with suppress(SimulationError):
            while not self.core.kept and not self.crashed:
                self.core.keep(self.time)
                self._carry_out()
                self._await_disk(end)
        if self.crashed:
            return
        self.door.node_ended(in_order=True)
        self.core.network.shutdown(self.time)
        self._carry_out()

    def _await_disk(self, limit: float) -> None:
        """Let virtual time pass until a disk job is done; raises SimulationError at `limit`."""
        waiting = self._lanes.waiting
        self._simulation.run_until(lambda: self.crashed or self._lanes.waiting != waiting, limit)

    def end(self) -> None:
        """Stop running."""
        self.crashed = True
        self.door.node_ended(in_order=False)
        self._simulation.internet.node_ended(self)
        self._lanes.break_off()
        self.disk.close_store()
        self.core.machine.close()

    def state(self) -> tuple[object, ...]:
        """Return how the node stands, in a few words: with its peers, its disk, and what is on its way."""
        peers = sorted({(each.state, each.queued_messages > 0) for each in self.core.network.peers()})
        return self.joined, self.ready, self.paused, self._lanes.waiting > 0, *peers

    def clock_stepped(self) -> None:
        """Take the news that the machine's clock has been set."""
        self.core.set_wall_clock(self._simulation.clocks[self.host], self.time)
        self.go_on()

    def happens(self, what: Callable[[], object]) -> None:
        """Let `what` happen now; after the pause if the node is paused, never if it has crashed."""
        if self.crashed or self.halted:
            return
        if self._waiting is None:
            what()
        else:
            self._waiting.append(what)

    # --- driving the core -------------------------------------------------------------------------------------------

    @property
    def time(self) -> float:
        return self._drift.shown(self._simulation.now)

    @property
    def unsettled(self) -> bool:
        return self.core.unsettled or self.core.can_run

    def go_on(self) -> None:
        """Let the core run until it waits, and carry out its actions. Raises OutOfTime if it never does."""
        now = self._simulation.now
        if self._polled_at != now:
            self._polled_at, self._polls = now, POLLS_AT_ONCE
        self._carry_out()
        while self.core.can_run and not self.halted:
            if self.poll_seconds:
                self._poll_slowly()
                break
            if not self._polls:
                raise OutOfTime(
                    f"time stands still at {now:.3f} s: the processes of {self.host} have gone on {POLLS_AT_ONCE:,} "
                    "times there"
                )
            self._polls = self.core.run(self.time, self._polls)
            self._carry_out()
        deadline = self.core.next_deadline()
        if deadline is not None and (self._wake_at is None or deadline < self._wake_at):
            self._wake_at = deadline
            when = max(self._drift.when(deadline), self._simulation.now)
            self.at(when, lambda: self._on_deadline(deadline))

    def _poll_slowly(self) -> None:
        """Let one guest go on, unless another one still does, and the next one when it is through."""
        now = self._simulation.now
        if now < self._busy_until:
            return
        self._busy_until = now + self.poll_seconds
        self.core.run(self.time, 1)
        self._carry_out()
        self.at(self._busy_until, self.go_on)

    def clock_drifts(self) -> None:
        """Take the news that the machine's clocks run at another rate: what is due by them is due at another time."""
        self._wake_at = None
        self.go_on()

    def _on_deadline(self, when: float) -> None:
        if when != self._wake_at:
            return  # an earlier deadline has come up since; what was due here is due at `_wake_at`, if at all
        self._wake_at = None
        self.core.on_timer(self.time)
        self.go_on()

    def _carry_out(self) -> None:
        core = self.core
        while actions := core.settle(self.time):
            self._carry_out_all(actions)
            if not core.unsettled:
                return  # what is written may let more be read

    def _carry_out_all(self, actions: deque[DriverAction]) -> None:
        fabric, points = self._simulation.fabric, self._simulation.points
        while actions:
            action = actions.popleft()
            if type(action) is Traced and action.token is self:  # the most frequent action
                self._simulation.observe(self.host, self.life, action.record)
                continue
            if self.halted:
                continue  # only what it has done until then is told, and nothing more done
            if points.active and not isinstance(action, _UNSEEN):
                points.acted(self.host)
            match action:
                case Dial(connection, host):
                    fabric.dial(self, connection, host)
                case Close(connection, farewell):
                    fabric.close(self, connection, farewell)
                case Writable(connection):
                    fabric.transmit(self, connection)
                case Hold(connection, held):
                    fabric.hold(self, connection, held)
                case Job():
                    self._lanes.submit(action)
                case StopJob():
                    self._lanes.stop(action)
                case LoadCode():
                    self.at(self._simulation.now, lambda load=action: self._load(load))  # type: ignore[misc]
                case LogLine():
                    self._log(action)
                case Answered(token, answer) if (then := self._thens.pop(token, None)) is not None:
                    self.at(self._simulation.now, lambda take=then, got=answer: take(got))  # type: ignore[misc]
                case Answered(token, answer):
                    self._answers[token] = answer
                    self._answered[token] = self._simulation.now
                case Printed(_, _, text):
                    self.printed.append(action)
                    self._simulation.record(self.host, f"printed {text}")
                case Traced():
                    self.traced.append(action)
                case Probed():
                    self.probed.append(action)
                case _ if isinstance(action, HttpAction):
                    self.door.perform(action)
                case ServerCall() | HangUp() | SocketPush() | SocketHold():
                    self.at(self._simulation.now, lambda of=action: self._simulation.internet.carry_out(self, of))  # type: ignore[misc]
                case Kept(token, problem):
                    self.kept[token] = problem
                case DiskUsed(token):
                    self.disk_uses[token] = action
                case ShutDown():
                    self.at(self._simulation.now, lambda: self._simulation.leave(self.host))
                case Installed(token, failures):
                    self._simulation.record(self.host, f"installed, {len(failures)} failed")
                    self.at(self._simulation.now, lambda t=token, f=failures: self._kits.installed(t, f))  # type: ignore[misc]
                case Joined():
                    self.joined = True
                    self.disk.perform(RemoveFile(Location(self.spec.name, (PREVIOUS_KEY_FILE,)), synced=True))
                    self._simulation.record(self.host, "Joined")
                case NameRefused(reason):
                    self._simulation.record(self.host, f"does not run: {why_refused(self.spec.name, reason)}")
                    self.at(self._simulation.now, lambda: self._simulation.crash(self.host))
                case StandDown(reason):
                    self.stood_down = reason
                    self._simulation.record(self.host, f"stands down: {reason}")
                    self.at(self._simulation.now, lambda: self._simulation.leave(self.host))
                case Ready():
                    self.ready = True
                case StartBackup(remotes):
                    self.at(self._simulation.now, lambda of=remotes: self._simulation.start_backup(self.host, of))  # type: ignore[misc]
                case StopBackup(remotes):
                    self.at(self._simulation.now, lambda of=remotes: self._simulation.stop_backup(self.host, of))  # type: ignore[misc]
                case Unforeseen():
                    self._simulation.fail(self.host, action)
                case Torn(_, error):
                    raise error

    def _log(self, line: LogLine) -> None:
        self.log.append(f"{line.source}: {line.text}")
        self._simulation.record(self.host, f"log {self.log[-1]}")
        if line.verbosity > DEFAULT_VERBOSITY:
            return
        self._show(self._log_budget.admit(line, self._simulation.now))
        self._expect_omitted()

    def _expect_omitted(self) -> None:
        deadline = self._log_budget.next_deadline()
        if deadline is not None and not self._telling_omitted:
            self._telling_omitted = True
            self.at(deadline, self._tell_omitted)

    def _tell_omitted(self) -> None:
        self._telling_omitted = False
        self._show(self._log_budget.on_timer(self._simulation.now))
        self._expect_omitted()

    def _show(self, lines: list[tuple[str, str]]) -> None:
        self.shown_log += [f"{source}: {shown(text)}" for source, text in lines]

    def _job_done(self, job: Job, outcome: Outcome) -> None:
        self._simulation.record(self.host, f"disk {type(job.operation).__name__} {job.operation.location}")
        self.core.job_done(job, outcome, self.time)
        self.go_on()

    def _database_write(self, number: int) -> type[apsw.Error] | None:
        """Return whether a write or sync of a database's file fails."""
        points = self._simulation.points
        begun = points.before(self.host, STORE_WRITE) if points.active else None
        fails = self.halted or self.disk.broken
        if begun is not None:
            points.after(begun, "write or sync", self._simulation.now)
        return apsw.IOError if fails else None

    def _load(self, load: LoadCode) -> None:
        if isinstance(load.owner, Load) and self.host in self._simulation.without_spawns:
            self.core.code_loaded(load, BadCode("nothing can be started just now"), self.time)
            self.go_on()
            return
        program = load_program(self._simulation.engine, self.disk.perform, f"{self.spec.name}/code", load.source)
        self.core.code_loaded(load, program, self.time)
        self.go_on()

    def _guest_config(self, address: Address) -> GuestConfig:
        self._guests_started += 1  # one that starts again does not draw the numbers of its last life
        chance = self._simulation.chance("guest", self.life, str(address), str(self._guests_started))
        root, package = f"{self.spec.name}/vfs", str(address.process.package_id)
        self.disk.perform(MakeFolder(Location(root, (package,))))
        drive = GuestDrive(self.disk, (root, package), self._wall_clock)
        ground = self._simulation.recording.ground
        return GuestConfig(
            address,
            MAX_MEMORY_BYTES,
            chance.randbytes,
            self._wall_clock,
            drive,
            self._monotonic_clock,
            http=WasiHttpClient(),
            slices=SLICES_AT_ONCE,
            debug=partial(kept_debug_file, self.disk.perform, f"{self.spec.name}/code"),
            blocks=None if ground is None else partial(self._pass_blocks, ground, address.process.process),
        )

    def _pass_blocks(self, ground: Ground, process: str, blocks: bytes) -> None:
        ground.blocks(self._simulation.now, self.host, process, blocks)

    def _wall_clock(self) -> int:
        simulation = self._simulation
        return max(0, round((self.time + simulation.clocks[self.host]) * 1e9))

    def _monotonic_clock(self) -> int:
        return round(self.time * 1e9)

    def process(self, name: str) -> ProcessId:
        """Return the id of the only process of that name."""
        (found,) = [id for id in self.core.kernel.processes if id.process == name]
        return found


def store_file(name: str) -> Location:
    """Return where the node of that name has its store."""
    return Location(name, (STORE_FILE,))
