"""One node as a pure object: kernel, guests, sessions and system processes, driven by events and time.

The core decides everything and waits for nothing. A driver (`nectar_node.driver.node` with trio, `testnet.sim` with an
event heap) tells it what has happened and lets its guests run. At the end of its turn it calls `settle`, which carries
everything to rest, and carries out the actions: connections to dial, bytes to send, disk jobs, code to compile, lines
to log. Connections report to `network`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from kernel.contract.address import SYSTEM, Address, PackageId, ProcessId
from kernel.contract.errors import BadAddress
from kernel.contract.events import Event, Inject, Kill, KillAll, Tick
from kernel.contract.guest import Guest, GuestConfig, Poll, Program
from kernel.contract.message import LazyLoadBlob, Request
from kernel.machine import Machine
from kernel.router.kernel import Kernel
from nectar_node.backup.schedule import KnownRemote
from nectar_node.base.system_processes import HOMEPAGE, TERMINAL
from nectar_node.contract.actions import (
    BadCode,
    DriverAction,
    Kept,
    LoadCode,
    LogLine,
    StandDown,
    Torn,
)
from nectar_node.contract.http import HttpEvent
from nectar_node.contract.http_client import HttpClientEvent
from nectar_node.contract.traces import Traces
from nectar_node.core.backups import Backups
from nectar_node.core.code_loads import CodeLoads
from nectar_node.core.config import CoreConfig
from nectar_node.core.disk_use import DISK_USE, DiskUse
from nectar_node.core.former_processes import FormerProcesses
from nectar_node.core.kernel_actions import KernelActions
from nectar_node.core.peer_set import PeerSet
from nectar_node.core.process_table import ProcessRows
from nectar_node.core.published import Published
from nectar_node.core.store import Store
from nectar_node.core.system_set import SYSTEM_NAMES, SystemSet
from nectar_node.packages.boot import Boot, StartUp
from nectar_node.packages.decisions import Decision, Decisions
from nectar_node.packages.manifest import Package
from nectar_node.packages.reboot import plan
from nectar_node.packages.review import without_denied
from nectar_node.packages.trial import Trial, again
from nectar_node.storage.operations import DiskError, Job, Outcome
from nectar_node.system.process import AskKept, CompileCode, FetchCode, PassedOn, SystemProcess, SystemToken
from nectar_node.system.processes import SystemProcesses
from net.base.timers import Timers
from net.peering.network import Network

EVENTS_AT_ONCE = 1024
"""Events of the net that are passed on in one turn of the driver: some tens of milliseconds of work."""
KEEPS_AT_ONCE = 2
"""How often a turn looks at what is to be written: again for what came of the first time, if our own code failed."""

P = ParamSpec("P")


def _guarded(method: Callable[Concatenate[NodeCore, P], None]) -> Callable[Concatenate[NodeCore, P], None]:
    """Tear the node down if `method` fails, since the failure may leave anything half done.

    `settle` and `run`, which are called for every message, do this themselves.
    """

    @wraps(method)
    def guarded(core: NodeCore, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(core, *args, **kwargs)
        except Exception as error:
            core._tear(f"it was told {method.__name__}", error)

    return guarded


class NodeCore:
    """A whole node without its driver.

    A failure of the node's own code ends the smallest thing that can end: a connection (`net.peering.containment`), or
    the request that a system process was handling (`system.processes`). Where that thing is not known, the whole node
    is `torn`.
    """

    def __init__(self, config: CoreConfig, network: Network) -> None:
        self.our = config.our
        self.network = network
        self._events = network.events
        self.memory = config.memory
        self.kernel = Kernel(config.our, config.fresh_id, SYSTEM_NAMES, config.memory, (HOMEPAGE,))
        self.machine = Machine(self.kernel, self._configure)
        self._out: deque[DriverAction] = deque()
        self._timers: Timers[Any] = Timers()
        """The earliest deadline of each part that sets it here; the kernel, the net and the store have their own."""
        made = SystemSet(config, network, self.kernel, self.peers, self._act, self._out.append, self._timers)
        self._state, self._terminal, self._installer = made.state, made.terminal, made.installer
        self._http_server, self._sharing = made.http_server, made.sharing
        self.shelf = made.sharing.shelf
        """The releases that are here."""
        self.vfs, self.keeper, self.http_client = made.vfs, made.keeper, made.http_client
        self.sessions, self.web_sockets = made.http_server.sessions, made.http_server.sockets
        self.page_of, self.bodies = made.http_server.page_of, made.http_server.bodies
        self._system = SystemProcesses(made.all, self._out.append, self._timers)
        self._configuration = config.guest
        self._disk_use = DiskUse(config.ledger, self.machine.statistics, self._timers)
        self.backups = Backups(config.our, self._out.append, self._timers, grants=network.grants_names)
        self._traces = Traces(config.our, config.clock)
        self._start_up = StartUp(config.our, config.code, self._installer, self._act, self._out.append, self._timers)
        self._take_over = config.take_over
        peers = PeerSet(
            config, network, self.kernel, self.machine, self._start_up, self._out.append, self._system.serve_peer
        )
        self._peers, self._own = peers.bridge, peers.own
        self._kept = config.kept
        self.decisions: Decisions = config.kept.decisions
        """The user's decisions; only `decide` changes them."""
        processes, terminal = ProcessRows(self.kernel.lifecycle), self._terminal
        self.installed = config.kept.installed
        """Which versions of packages are installed."""
        self.published = Published(config.our, network, self.shelf)
        followed = (
            *(*peers.rows, processes, self._installer, self.decisions, terminal.aliases, self.keeper.objects),
            *(self.shelf, self.installed),
        )
        self._store = Store(config.store, followed, self._system.saver(self._state), config.kept.rows)
        self._former = FormerProcesses(
            config.kept, self.kernel.grants, self._store.put, lambda source, text: self._log(source, 0, text)
        )
        self.not_running = self._former.not_running
        """Processes that ran before the node went down and do not run again at this boot, and why."""
        self._code = CodeLoads(
            config.our, made, self._system, self._start_up, self._former, self._act, self._out.append
        )
        self._deadlines = (
            self._timers.next,
            self.machine.next_deadline,
            network.next_deadline,
            self._store.next_deadline,
        )
        self._kernel_actions = KernelActions(
            config.our, network, self._peers, made, self._system, self._code, self._disk_use, self._out.append
        )
        self.dead_letters, self.traps = self._kernel_actions.dead_letters, self._kernel_actions.traps
        self._now = 0.0
        self.torn: Torn | None = None
        """Why the core has stopped passing anything on, so that the node must restart; events are ignored from then on.
        None: it works.
        """

    # --- events of the driver ---------------------------------------------------------------------------------------

    @_guarded
    def boot(self, boot: Boot, now: float) -> None:
        """Ask the registrar for the name, then start the packages once it has answered or has taken too long.

        Processes keep the capabilities they held when the node went down (G21). `Ready` tells when they have been
        started.
        """
        self._now = now
        if self._take_over:
            self._own.take_over()
        elif self._own.successor is not None:
            self._out.append(StandDown(self._own.successor.sentence(self.our)))
            return
        if boot.registers and boot.endpoint is not None:
            self.network.set_endpoint(boot.endpoint.host, boot.endpoint.port, now)
        elif boot.registers:
            self.network.register(now)
        kept, packages = self._kept, tuple(map(self._without_denied, boot.packages))
        planned = plan(packages, kept.packages, kept.processes)
        self._former.begin(planned, packages)
        self._system.begin(self.keeper, self.keeper.boot, now)
        self._system.begin(self._sharing, lambda: self._sharing.boot(now), now)
        self.published.sign_anew(now)
        for package in planned.resumed:
            trial, before = kept.packages[package.id].trial, boot.before.get(package.id)
            if trial is not None and before is not None:
                former = without_denied(before, trial.decided, self.our)
                self._installer.try_again(package.id, again(trial, package, former, self.decisions, self.installed))
        self._start_up.begin(boot, planned, now)

    def _without_denied(self, package: Package) -> Package:
        """Return the package without what the user denied: the capability store may be older than the last decision."""
        decision = self.decisions.of(package.id)
        if decision is not None:
            for process in package.processes:
                self.kernel.grants.drop(process, decision.denied)
        return without_denied(package, decision, self.our)

    @_guarded
    def set_wall_clock(self, offset: float, now: float) -> None:
        """Learn that Unix time is `now + offset`: somebody may have set the machine's clock."""
        self.network.set_wall_clock(offset, now)

    def next_deadline(self) -> float | None:
        """Return when `on_timer` is due; None: not before the next event."""
        if self.torn is not None:
            return None
        if self._events or self._system.pending:
            return self._now  # `settle` has left some
        earliest: float | None = None
        for ask in self._deadlines:
            deadline = ask()
            if deadline is not None and (earliest is None or deadline < earliest):
                earliest = deadline
        return earliest

    @_guarded
    def on_timer(self, now: float) -> None:
        """Do everything that is due."""
        self._now = now
        due = self.machine.next_deadline()
        if due is not None and due <= now:
            self.machine.handle(Tick(), now)
        self._system.on_timer(now)
        self.network.on_timer(now)
        self._start_up.on_timer(now)
        self._installer.on_timer(now)
        self._disk_use.on_timer(now)
        self._look_at_disk_use()
        self.backups.on_timer(now)

    def _keep(self, now: float) -> None:
        """Write what has changed, if nothing is being written."""
        while (action := self._store.next_action(now)) is not None:
            if isinstance(action, Kept):
                self._tell_kept(action, now)
            else:
                self._out.append(action)

    def _tell_kept(self, kept: Kept, now: float) -> None:
        """Tell who has asked what has become of the changes."""
        if isinstance(kept.token, SystemToken):
            self._system.kept(kept.token, kept.problem, now)
        else:
            self._out.append(kept)

    @_guarded
    def ask_kept(self, token: object, now: float) -> None:
        """Ask for a `Kept` when everything that has changed so far is on the disk, or cannot be written."""
        self._store.ask(token)

    @property
    def states(self) -> Mapping[str, int]:
        """The saved states: their lengths in bytes by the processes' ids; for some with long ids, by their hashes."""
        return self._state.lengths

    def runs(self, key: str) -> bool:
        """Whether the process with this key in `states` runs, or is about to."""
        try:
            process = ProcessId.parse(key)
        except BadAddress:
            return any(self._state.key_of(each) == key for each in self.kernel.processes)
        return process in self.kernel.processes or process in self.kernel.starting

    @_guarded
    def remove_state(self, key: str, token: object, now: float) -> None:
        """Remove a saved state; `Kept` says when that is done."""
        self._now = now
        self._system.remove_state(self._state, key, token, now)

    @property
    def kept(self) -> bool:
        """Whether everything that must survive a reboot is on the disk."""
        return self._store.kept

    def keep(self, now: float) -> None:
        """Start writing everything that must survive a reboot, without delay, because the node goes down."""
        self._store.hurry()
        self._keep(now)

    @property
    def can_run(self) -> bool:
        """Whether `run` has anything to do."""
        return self.torn is None and self.machine.can_run

    def run(self, now: float, polls: int) -> int:
        """Let guests run, for at most `polls` polls; return how many of these are left."""
        try:
            return self.machine.run(now, polls)
        except Exception as error:
            self._tear("guests ran", error)
            return 0

    def take_busy(self) -> Guest | None:
        """Lend out a guest that keeps using up its slices, to be polled on another thread; None: there is none."""
        return self.machine.take_busy()

    @_guarded
    def polled(self, guest: Guest, poll: Poll, now: float) -> None:
        """Take back a busy guest that was lent out and has been polled."""
        self.machine.polled(guest, poll, now)

    @_guarded
    def job_done(self, job: Job, outcome: Outcome, now: float) -> None:
        """Learn the outcome of a disk job."""
        self._now = now
        self.backups.job_done(job, outcome, now)
        owner = job.owner
        if isinstance(owner, SystemToken):
            self._system.job_done(owner, job, outcome, now)
        elif isinstance(owner, Store):
            answers, problem = owner.done(outcome, now)
            for answer in answers:
                self._tell_kept(answer, now)
            self._system.states_written(self._state, outcome, now)
            if owner.problem is not None or not isinstance(outcome, DiskError):  # or it is tried again at once
                self._peers.records_written(owner.problem, now)
            if problem is not None:
                self._log("kernel", 0, problem)
        else:
            assert isinstance(owner, DISK_USE)
            self._disk_use.done(job, outcome, now)
            self._look_at_disk_use()

    @_guarded
    def set_remotes(self, remotes: Iterable[KnownRemote], now: float, asked: str = "") -> None:
        """Learn the remotes for backups: at the boot, and when somebody has changed them, or has made a copy.

        The one that was `asked` for is tried again at once after failures.
        """
        known = tuple(remotes)
        self.backups.set_remotes(known, now, asked)
        self._tell_copies((remote.copy for remote in known), now)

    def _tell_copies(self, numbers: Iterable[object], now: float) -> None:
        """Let the node's name record tell the number of its newest copy, so that a restore misses none."""
        newest = max((number for number in numbers if isinstance(number, int)), default=0)
        if newest:
            self.network.set_copy_number(newest, now)

    @_guarded
    def backup_ended(self, outcomes: Mapping[str, int | str | None], now: float) -> None:
        """Learn what has become of copies of a `StartBackup`, all at once or one by one.

        For each remote this is the number of its new copy, why it has none, or None after a `StopBackup`.
        """
        self.backups.ended(outcomes, now)
        self._tell_copies(outcomes.values(), now)

    @_guarded
    def code_loaded(self, load: LoadCode, program: Program | BadCode, now: float) -> None:
        """Learn that code has been loaded, or why it cannot be."""
        self._now = now
        self._code.loaded(load, program, now)

    @property
    def packages(self) -> dict[PackageId, Package]:
        """The installed packages; read-only."""
        return self._installer.packages

    @property
    def failed_versions(self) -> Mapping[PackageId, Trial]:
        """Of each package the new version that has failed last in its first seconds."""
        return self._installer.failed

    # --- requests of the user ---------------------------------------------------------------------------------------

    @_guarded
    def install(
        self,
        package: Package,
        token: object,
        now: float,
        *,
        anew: bool = True,
        whole: bool = True,
        note: Callable[[], None] = lambda: None,
        trial: Trial | None = None,
    ) -> None:
        """Mount a package's folder as its drive `pkg`, and start its processes, all or none, with the rights in the
        manifest.

        `Installed` tells when that is done. With `anew` all that runs of the package ends first, with its children
        (not `whole`: only what has the same names), they hold nothing else, and what earlier processes of their names
        issued is revoked; otherwise they keep what they held when the node went down (G21). The package comes back at
        every boot from now on.

        Requests that the former processes have not taken go to the new ones. `note` is called in the step that starts
        these, to change what is kept together with that. With a `trial` the version before comes back if a process of
        this one traps in its first seconds.
        """
        self._now = now
        for process in package.processes:
            self.traps.pop(process, None)
        self._installer.install(package, token, anew=anew, whole=whole, started=True, note=note, trial=trial)

    @_guarded
    def uninstall(self, package: PackageId, now: float) -> None:
        """End all that runs of a package, and forget it, its versions, what was decided about it and what it held.

        Its drives and saved states stay, and where it came from is remembered: another of its name is asked about
        before it gets them.
        """
        self._now = now
        known = self.packages.get(package)
        former = tuple(each for each in self.not_running if each.package_id == package)
        processes = dict.fromkeys((*(known.processes if known is not None else ()), *self.tree(package)))
        if processes:
            self._act(KillAll(tuple(processes)))
        for process in former:
            self._former.forget(process)
        self._installer.forget(package)
        self.installed.remove(package)
        decided = self.decisions.of(package)
        known_origin = decided is not None and package.publisher != SYSTEM.publisher
        self.decisions.decide(package, Decision(decided.origin) if decided is not None and known_origin else None)

    @_guarded
    def decide(self, package: PackageId, decision: Decision | None, now: float) -> None:
        """Keep the user's decision about a package, for the next boot too: the package does not get what the user
        denied. None: forget it.
        """
        self.decisions.decide(package, decision)

    @_guarded
    def inject(self, target: Address, request: Request, blob: LazyLoadBlob | None, token: object, now: float) -> None:
        """Send a request in the user's name; `Answered` brings the outcome if the request expects a response."""
        self.machine.handle(Inject(TERMINAL, target, request, blob, token), now)

    @_guarded
    def http(self, event: HttpEvent, now: float) -> None:
        """Take what a browser does. An `HttpAnswer` or `SocketAccept` answers its request, or the driver does for an
        `HttpCommand`.
        """
        self._system.take_http(self._http_server, event, now)

    @_guarded
    def take_http_client(self, event: HttpClientEvent, now: float) -> None:
        """Take what a server has sent that a process has asked, or that it cannot be asked."""
        self._system.take_http_client(self.http_client, event, now)

    @_guarded
    def kill(self, process: ProcessId, now: float) -> None:
        """End a process, without its on-exit."""
        self.machine.handle(Kill(process), now)

    def kill_tree(self, target: ProcessId | PackageId, now: float) -> int:
        """End a process, or all of a package, and their descendants, in one step. Return how many have ended."""
        ended = self.tree(target)
        if ended:
            self._kill_all(ended, now)
        return len(ended)

    @_guarded
    def _kill_all(self, processes: tuple[ProcessId, ...], now: float) -> None:
        self.machine.handle(KillAll(processes), now)

    @_guarded
    def forget_former(self, processes: tuple[ProcessId, ...], now: float) -> None:
        """Forget processes among `not_running`: they do not come back at later boots either."""
        for process in processes:
            self._former.forget(process)

    def tree(self, target: ProcessId | PackageId) -> tuple[ProcessId, ...]:
        """Return a process, or those of a package, and their descendants that run or wait for a restart, parents first.

        A process that has ended is allowed: it may have left children.
        """
        if isinstance(target, PackageId):
            return self.kernel.lifecycle.tree(lambda process: process.package_id == target)
        return self.kernel.lifecycle.tree(lambda process: process == target)

    @_guarded
    def run_script(self, line: str, timeout: int, token: object, now: float) -> None:
        """Run the script that `line` names, for at most `timeout` seconds.

        `Printed` brings what it prints, `Answered` its answer, or Timeout.
        """
        request = Request(False, timeout, line.encode(errors="replace"), self._terminal.expect(token))
        self.machine.handle(Inject(TERMINAL, Address(self.our, TERMINAL), request, None, token), now)

    @_guarded
    def stop_script(self, token: object, now: float) -> None:
        """End the script that was run with this token, if it has not answered yet; `Answered` confirms it."""
        self._system.stop_script(self._terminal, token, now)

    def ask_disk_use(self, token: object) -> None:
        """Measure what each package has on the disk; `DiskUsed` brings the result."""
        self._disk_use.ask(token)
        self._look_at_disk_use()

    @_guarded
    def refuse_owner(self, owner: str, token: object, now: float) -> None:
        """Keep nothing more for another node, and remove its backup; `Kept` says when that is done."""
        self._now = now
        self._system.refuse_owner(self.keeper, owner, token, now)

    @_guarded
    def trace(self, address: Address | None, token: object, share: float = 1.0) -> None:
        """Follow all lineages that touch `address`, or every lineage if it is None, or that share of them.

        `Traced` brings their records until `untrace`, and those of more lineages while others follow more.
        """
        self._out.extend(self._traces.take())  # another tracer may begin anew
        self._traces.follow(address, token, share)
        self.kernel.tracer = self._traces.tracer

    @_guarded
    def untrace(self, token: object) -> None:
        """End a trace."""
        self._out.extend(self._traces.take())  # what others follow, while there is a tracer
        self._traces.leave(token)
        self.kernel.tracer = self._traces.tracer

    @_guarded
    def probe(self, name: str, token: object, now: float) -> None:
        """Find out how another node is reached, without sending it a message.

        `Probed` brings each step, until `ProbeEnded` or `stop_probe`.
        """
        self.network.probe(name, token, now)

    @_guarded
    def stop_probe(self, token: object) -> None:
        """End a probe."""
        self.network.stop_probe(token)

    # --- turns ------------------------------------------------------------------------------------------------------

    def settle(self, now: float, *, writes: bool = True) -> deque[DriverAction]:
        """Pass on everything that kernel, net and system processes have for each other, until none has anything more.

        Return the queue of actions, in order, which the driver empties. The driver calls this at the end of its turn,
        after it has told the core, or its network, what has happened, and after each `run`. After EVENTS_AT_ONCE events
        of the net the rest waits for `on_timer`: a peer that has gone may leave thousands. Without `writes` it does not
        look whether something is to be written: a driver that calls this several times a turn needs that once.
        """
        self._now = now
        if self.torn is not None:
            return self._out
        left, keeps = EVENTS_AT_ONCE, 0
        actions, pending, events = self.machine.actions, self._system.pending, self._events
        handlers, carries_out = self._peers.handlers_at(now), self._kernel_actions.handlers
        at: object = None
        try:
            while True:
                while actions:
                    at = action = actions.popleft()
                    carries_out[type(action)](action, now)
                while pending:
                    at = process = pending.popleft()
                    self._drain(process)
                if events and left:
                    left -= 1
                    at = event = events.popleft()
                    handlers[type(event)](event)
                elif not actions:
                    if not writes:
                        break
                    self._keep(now)
                    keeps += 1
                    if not pending or keeps == KEEPS_AT_ONCE:
                        break
            if self._traces.waiting:
                self._out.extend(self._traces.take())
        except Exception as error:
            self._tear(f"it carried out {type(at).__name__}", error)
        return self._out

    @property
    def unsettled(self) -> bool:
        """Whether anything has come up since `settle`."""
        return bool(self._out or self._events or self.machine.actions or self._system.pending)

    def _tear(self, what: str, error: Exception) -> None:
        """Stop the node: its own code has failed in a place where nobody knows what is half done."""
        if self.torn is None:
            self.torn = Torn(what, error)
            self._out.append(self.torn)

    def _drain(self, process: SystemProcess) -> None:
        while (action := self._system.next_action(process, self._now)) is not None:
            if isinstance(action, Job):
                self._out.append(action._replace(owner=SystemToken(process.id, action.owner)))
            elif isinstance(action, PassedOn):
                self._out.append(action)
            elif isinstance(action, AskKept):
                self._store.ask(SystemToken(process.id, action.token))
            elif isinstance(action, FetchCode):
                self._code.load(SystemToken(process.id, action.token), action.package, action.path, self._now)
            elif isinstance(action, CompileCode):
                self._out.append(LoadCode(action.code, SystemToken(process.id, action.token)))
            else:
                self._act(action)

    def _look_at_disk_use(self) -> None:
        while (action := self._disk_use.next_action()) is not None:
            if isinstance(action, Kill):
                self._act(action)
            else:
                self._out.append(action)

    def _configure(self, address: Address) -> GuestConfig:
        """Return the configuration of a guest that is about to run."""
        config, process = self._configuration(address), address.process
        if config.drive is not None and self.kernel.processes[process].launch.program.opens_files:
            self._disk_use.starts(process, self._now)
        return config

    def _act(self, event: Event) -> None:
        self.machine.handle(event, self._now)

    def _log(self, source: str, verbosity: int, text: str) -> None:
        self._out.append(LogLine(source, verbosity, text))

    @property
    def failures(self) -> dict[str, int]:
        """How often the node's own code has failed, in its net and in each of its system processes."""
        counted = {str(process): count for process, count in self._system.failures.items()}
        return {"net": self.network.failures, **counted}

    def peers(self) -> list[dict[str, object]]:
        """The nodes that this one has a session with, for status pages."""
        return self._peers.status()
