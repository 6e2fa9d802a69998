"""One node as an operating system process: trio around a `NodeCore`.

One nursery holds the kernel's runner, a driver for each connection, the disk's lanes, the listener and the control
socket. Nothing is decided here: the driver carries out the core's actions, and tells it what happens.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import struct
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import trio

from kernel.contract.address import Address
from kernel.contract.errors import KernelError
from kernel.contract.events import Answered
from kernel.contract.guest import GuestConfig
from kernel.contract.limits import MAX_MEMORY_BYTES
from kernel.runner import Runner
from kernel.wasm.engine import Engine, check_recursion, self_check
from nectar_node.base import descriptors, lifeline, log, own_files
from nectar_node.base.descriptors import Budget
from nectar_node.base.errors import (
    BadFolder,
    BadPackage,
    CannotJoin,
    CannotListen,
    CannotStart,
    NeedsConsent,
    NodeError,
    OwnFailure,
    exit_code,
    first,
)
from nectar_node.base.refusals import why_refused
from nectar_node.contract.actions import (
    BadCode,
    DiskUsed,
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
from nectar_node.contract.config import GENESIS_FILE, GenesisFile, NewerNetwork, NodeConfig, module_cache
from nectar_node.contract.http import (
    BROWSER_ACTIONS,
    BrowserAction,
    CheckPassword,
    HttpCommand,
    HttpEvent,
    PasswordChecked,
    StartUpload,
    UploadStarted,
)
from nectar_node.contract.http_client import (
    HangUp,
    HttpClientConfig,
    HttpClientEvent,
    ServerCall,
    SocketHold,
    SocketPush,
)
from nectar_node.contract.memory_budget import MemoryBudget
from nectar_node.contract.traces import Traced
from nectar_node.control import commands as control
from nectar_node.control import server
from nectar_node.control.backups import known_remotes
from nectar_node.control.clients import Waiter
from nectar_node.core.config import CoreConfig
from nectar_node.core.core import NodeCore
from nectar_node.driver.allocator import (
    LOOK_SECONDS,
    Ebb,
    Pace,
    collect_by_pace,
    default_budget,
    give_back,
    keep_freed_memory,
)
from nectar_node.driver.backup_runs import BackupRuns
from nectar_node.driver.code_loading import Loader
from nectar_node.driver.disk_threads import Lanes
from nectar_node.driver.http_client import HttpClientDriver
from nectar_node.driver.http_door import HttpDoor, open_door
from nectar_node.driver.log_budget import LogBudget
from nectar_node.driver.membership import (
    forget_former_key,
    former_names,
    has_password,
    is_password,
    open_directory,
    read_keys,
    registrar_key,
)
from nectar_node.driver.node_api import NodeApi, page_files
from nectar_node.driver.node_store import OpenStore, open_store
from nectar_node.driver.node_trace import NodeTrace
from nectar_node.driver.program_code import load_program
from nectar_node.driver.snapshots import NodeSnapshots, forget_snapshot
from nectar_node.driver.uploads import start_upload
from nectar_node.packages.boot import Boot
from nectar_node.packages.contents import discard_unused, with_copy
from nectar_node.packages.manifest import Package
from nectar_node.packages.review import demand, review
from nectar_node.packages.startable import read_startable
from nectar_node.storage.disk import perform
from nectar_node.storage.ledger import Ledger
from nectar_node.storage.operations import Job, Location, MakeFolder, Outcome, StopJob
from nectar_node.system.process import SORRY
from net.base.errors import ListenFailed
from net.base.limits import FAREWELL_SECONDS, MAX_CONNECTIONS
from net.base.origins import is_this_machine
from net.contract.events import Close, Dial, FailureReason, Hold, Probed, Unforeseen, Writable
from net.io.driver import Driver
from net.io.tcp import TcpListener, TcpTransport
from net.names.directory import Directory, Endpoint
from net.names.keyfile import Keys
from net.peering.containment import told
from net.peering.network import Network, NetworkConfig

CLOCK_SECONDS = 5.0
"""Seconds between two looks at the machine's clock: name records live for days."""
AGAIN_SECONDS = 1.0
"""Seconds before a task at which our own code has failed begins again."""
MAX_TRACEBACK_LINES = 100
"""Lines of one failure in the log."""
_IDS_AT_ONCE = 512


def run(config: NodeConfig) -> int:
    """Run one node until SIGTERM, SIGINT or a shutdown command; return the exit code, and print what went wrong."""
    keep_freed_memory()
    collect_by_pace()
    os.umask(0o077)  # what guests make is for nobody else either
    error: NodeError | None = None
    try:
        if _is_orphan(config):
            return 0  # before anything is made that nobody would remove
        budget = descriptors.allow_all()
        log.rotate(config.folder.log)
        trio.run(_main, _prepare(config, budget))
    except* NodeError as group:
        error = first(group)
    except* Exception as group:
        for line in told(group):
            log.write_line("node", line)
        error = OwnFailure(f"{config.name} goes down: its own code has failed. Its log says why.")
    if error is None:
        return 0
    _tell_ready(config, {"error": str(error)})
    sys.stderr.write(f"{error}\n")
    return exit_code(error)


def _is_orphan(config: NodeConfig) -> bool:
    """Whether the process with which the node was to end has ended already."""
    if config.lifeline is None:
        return False
    lifeline.hold(config.lifeline)
    return lifeline.has_ended(config.lifeline)


class _Prepared:
    """What a node has before it waits for anything."""

    def __init__(
        self, config: NodeConfig, budget: Budget, lock: int, keys: Keys, opened: OpenStore, directory: Directory
    ) -> None:
        self.config = config
        self.budget = budget
        self.lock = lock
        self.identity = keys.identity
        self.previous = keys.previous
        self.directory = directory
        self.registrar = registrar_key(config, keys)
        self.ledger = Ledger(str(config.folder.drives), config.quotas, str(config.folder.kept))
        self.engine = Engine(module_cache(), replayable=False)
        self.database, self.kept = opened
        self.decisions = self.kept.decisions
        named = [self._named(folder) for folder in config.packages]
        self.packages = [*map(self._decided, named), *self._started(named)]
        _forget_code(config.folder.code, {remnant.digest for remnant in self.kept.processes})
        if not config.rescue:  # after which it is not known what was used
            kept = (Path(each.folder) for each in self.kept.packages.values())
            discard_unused(config.folder.path, (*kept, *(package.folder for package in self.packages)))
        for package in self.packages:
            if package.unknown_keys:
                unknown = ", ".join(map(repr, package.unknown_keys))
                log.write_line("kernel", f"the manifest of {package.id} has unknown keys: {unknown}")

    def _named(self, folder: Path) -> Package:
        """Return the package in a folder that the options name, or its copy if that has moved away (G26)."""
        config = self.config
        try:
            return with_copy(read_startable(folder, config.name), config.folder.path)
        except BadPackage as error:
            for kept in self.kept.packages.values():
                if kept.origin is not None and Path(kept.origin) == folder:
                    log.write_line("kernel", f"{str(error).rstrip('.')}: its copy in {kept.folder} runs")
                    return replace(read_startable(Path(kept.folder), config.name), origin=folder)
            raise

    def _started(self, named: list[Package]) -> Iterator[Package]:
        """Yield the packages that the user has started at earlier boots, unless they are named now."""
        known = {package.id for package in named}
        for id, kept in self.kept.packages.items():
            if kept.started and id not in known:
                origin = None if kept.origin is None else Path(kept.origin)
                try:
                    package = replace(read_startable(Path(kept.folder), self.config.name), origin=origin)
                    yield self._decided(package)
                except (BadPackage, NeedsConsent) as error:
                    log.write_line("kernel", f"{id} does not run again: {error}")

    def _decided(self, package: Package) -> Package:
        """Return the package as its user allows it; raises NeedsConsent if they have not said enough."""
        our, before = self.config.name, self.decisions.of(package.id)
        question, allowed, decision = review(package, before, self.config.consent, our)
        if question:
            raise demand(package, question, our)
        if decision is not None:
            self.decisions.decide(package.id, decision)
        return allowed


def _forget_code(folder: Path, used: set[str]) -> None:
    """Remove the code of processes that do not run any more."""
    with suppress(OSError):
        for file in folder.iterdir():
            if file.name not in used:
                file.unlink()


def _prepare(config: NodeConfig, budget: Budget) -> _Prepared:
    folder = config.folder
    try:
        folder.create()
        lock = folder.acquire()
    except OSError as error:
        raise BadFolder(f"{error.filename or folder.path} cannot be used: {error.strerror}.") from error
    forget_snapshot(folder.path)
    keys = read_keys(config)
    if config.http is not None:
        budget = budget.with_browsers()
    opened = open_store(folder, config.name, lambda: former_names(config, keys), rescue=config.rescue)
    directory = open_directory(config, keys, opened.kept.names)
    return _Prepared(config, budget, lock, keys, opened, directory)


async def _main(prepared: _Prepared) -> None:
    # First of all: from here on, a signal at any moment finds the node ending in order.
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        await Node(prepared, signals).run()


class Node:
    """A running node."""

    def __init__(self, prepared: _Prepared, signals: AsyncIterator[int]) -> None:
        self.config = prepared.config
        self._prepared = prepared
        self._signals = signals
        folder = prepared.config.folder
        load = partial(load_program, prepared.engine, perform, str(folder.code))
        self._loader = Loader(str(folder.drives), load)
        self._started = trio.current_time()
        self._endpoint: tuple[str, int] = (prepared.config.host, 0)
        self._transport = TcpTransport(prepared.budget.connections)
        self._refusal: FailureReason | None = None
        """Why the registrar does not grant the name; None: it does."""
        self._stands_down: StandDown | None = None
        """Which copy of the node has taken its place; None: none that it knows of."""
        self._job_ended = trio.Event()
        self._torn: Torn | None = None
        """Why the node goes down by itself; None: it does not."""
        self._stop = trio.Event()
        self._ready = trio.Event()
        self._to_write: list[Writable] = []
        self._door: HttpDoor | None = None
        self._api: NodeApi | None = None
        self._web: str | None = None
        """The address for browsers; None: there is none."""
        self._boot_id = os.urandom(8).hex()
        self._core = _make_core(prepared)
        self._runner = Runner(self._core, self._carry_out, self._flush)
        self._trace = NodeTrace(self.config, self._core, trio.current_time)
        self._log_budget = LogBudget()
        self._telling_omitted = False
        self._lanes = Lanes(prepared.ledger, prepared.database, self._job_done)
        self._snapshots = NodeSnapshots(folder.path, prepared.ledger, prepared.database, self._lanes, self._note)
        self._client = HttpClientDriver(self._tell_client, self._note)
        self._backups = BackupRuns(folder, self.config.network_folder, self._backup_ended, self._note)
        self._carriers: dict[type, Callable[..., None]] = {
            Dial: self._handle_connection,
            Close: self._handle_connection,
            Hold: self._handle_connection,
            Writable: self._to_write.append,
            Job: self._lanes.submit,
            StopJob: self._lanes.stop,
            LoadCode: self._load_code,
            LogLine: self._log,
            Answered: self._answered,
            Installed: self._installed,
            Traced: self._traced,
            Printed: control.printed,
            Probed: control.probed,
            DiskUsed: control.disk_used,
            Kept: control.kept,
            StartBackup: self._backups.start,
            StopBackup: self._backups.cut_short,
            **dict.fromkeys(BROWSER_ACTIONS, self._browser),
            HttpCommand: self._http_command,
            CheckPassword: lambda check: self._nursery.start_soon(self._check_password, check),
            StartUpload: lambda upload: self._nursery.start_soon(self._start_upload, upload),
            **dict.fromkeys((ServerCall, HangUp, SocketPush, SocketHold), self._client.carry_out),
            Joined: self._on_joined,
            NameRefused: self._on_refused,
            StandDown: self._on_standing_down,
            Ready: self._on_ready,
            ShutDown: lambda _: self._stop.set(),
            Unforeseen: self._unforeseen,
            Torn: self._tear,
        }

    async def run(self) -> None:
        """Listen, join, boot packages, report that the node is ready, and serve until told to stop."""
        listener = await self._listen()
        self._open_door()
        socket = server.bind(self.config.folder.control)
        path = self.config.folder.path
        commands = control.Control(self._core, path, self._status, self._turn, self._ready, self._note, self._snapshots)
        self._commands = commands
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                clock = trio.lowlevel.current_clock().current_time  # what trio.current_time() returns, five calls later
                self._driver = Driver(self._core.network, self._transport, nursery, self._turn, clock)
                await nursery.start(self._lanes.run)
                await nursery.start(self._snapshots.run)
                await nursery.start(self._backups.run)
                await nursery.start(self._client.run)
                nursery.start_soon(self._watch_signals, commands)
                nursery.start_soon(self._watch_starter, commands)
                nursery.start_soon(self._run_guests)
                nursery.start_soon(self._driver.serve, listener)
                clients = self._prepared.budget.clients
                nursery.start_soon(server.serve, commands, socket, control.MAX_LINE_BYTES, clients)
                if self._door is not None:
                    self._api = NodeApi(commands, nursery, self._door.perform, self._goes_on, self._note)
                    nursery.start_soon(self._again, "the HTTP server", self._door.serve)
                nursery.start_soon(_check_engine, self._prepared.engine)
                nursery.start_soon(self._again, "the watch over the clock", self._watch_clock)
                nursery.start_soon(self._again, "the watch over the memory", self._watch_memory)
                nursery.start_soon(self._pass_on_stop, commands)
                self._boot()
                await commands.stop.wait()
                if self._refusal is not None:
                    raise CannotJoin(why_refused(self.config.name, self._refusal))
                await self._shut_down()
                if self._stands_down is not None:
                    raise CannotJoin(self._stands_down.reason)
                if self._torn is not None:
                    raise OwnFailure(f"{self.config.name} goes down: {self._torn.what}, and failed. Its log says why.")
                nursery.cancel_scope.cancel()
        finally:
            commands.uploads.clear()
            _write_lines(self._log_budget.close())
            own_files.remove(self.config.folder.control)
            socket.close()
            self._prepared.database.close()
            forget_snapshot(path)

    async def _listen(self) -> TcpListener:
        """Return a listener on the requested port; a restarted registrar takes the port in its genesis file if the host
        is the same.
        """
        config, port = self.config, self.config.port
        if config.static is not None:
            port = port or self._port_in_directory()
        elif config.is_registrar and (config.network_folder / GENESIS_FILE).exists():
            try:
                port = port or self._port_before(GenesisFile.load(config.network_folder))
            except NewerNetwork:
                raise  # it is not overwritten
            except CannotJoin as error:
                log.write_line("net", f"{error} It is rewritten now.")
        try:
            listener = await self._transport.listen(config.host, port)
        except ListenFailed as error:
            raise CannotListen(
                f"{config.name} {error}. Choose a --host of this machine, and another --port or none for a free one."
            ) from error
        self._transport.dial_from(listener.source)
        self._endpoint = (config.host, listener.port)
        if config.is_registrar:
            public_key = self._prepared.identity.public_key
            where = config.advertise or self._endpoint
            genesis = GenesisFile(config.name, public_key, *where, by_invitation=config.by_invitation)
            try:
                genesis.save(config.network_folder)
            except OSError as error:
                raise CannotStart(
                    f"{config.network_folder / GENESIS_FILE} cannot be written: {error.strerror}."
                ) from error
        return listener

    def _port_before(self, genesis: GenesisFile) -> int:
        return genesis.port if genesis.host == self.config.host and self.config.advertise is None else 0

    def _port_in_directory(self) -> int:
        record = self._prepared.directory.find(self.config.name)
        return record.endpoints[0].port if record is not None and record.endpoints else 0

    def _boot(self) -> None:
        """Ask for the name, if there is a registrar, and start the packages when that is settled."""
        config = self.config
        reached = None if config.routers else Endpoint(*(config.advertise or self._endpoint))
        boot = Boot(tuple(self._prepared.packages), config.genesis is not None, reached)
        self._core.boot(boot, trio.current_time())
        try:
            remotes = known_remotes(config.folder.path, _wall_clock_offset())
            self._core.set_remotes(remotes, trio.current_time())
        except NodeError as error:
            log.write_line("backup", f"no copies are made: {error}")
        self._turn()

    def _backup_ended(self, outcomes: Mapping[str, int | str | None]) -> None:
        self._core.backup_ended(outcomes, trio.current_time())
        self._turn()

    async def _watch_clock(self) -> None:
        """Tell the core when somebody has set the machine's clock, or the machine has slept."""
        while True:
            await trio.sleep(CLOCK_SECONDS)
            descriptors.RESERVE.refill()
            self._core.set_wall_clock(_wall_clock_offset(), trio.current_time())
            self._turn()

    async def _watch_memory(self) -> None:
        """Collect garbage at a pace, and give back what a flood has filled when it is over."""
        ebb, pace = Ebb(self._core.memory), Pace(trio.current_time())
        while True:
            await trio.sleep(LOOK_SECONDS)
            is_over, began = ebb.is_due(), trio.current_time()
            if is_over or pace.is_due(began):
                gc.collect()
                pace.collected(trio.current_time() - began, trio.current_time())
            if is_over:
                await trio.to_thread.run_sync(give_back, abandon_on_cancel=True)

    async def _shut_down(self) -> None:
        """Keep what must be kept, and say goodbye, so that peers need not wait to see whether this node comes back."""
        for step in (self._close_door, self._client.close, self._backups.stop, self._keep, self._say_goodbye):
            try:
                with trio.move_on_after(FAREWELL_SECONDS):
                    await step()
            except Exception as error:
                self._note("the end of the node", error)

    def _open_door(self) -> None:
        """Listen for browsers, if that is wanted."""
        if self.config.http is not None:
            opened = open_door(self.config.http)
            self._web = opened.url
            budget, memory = self._prepared.budget, self._core.memory
            self._door = HttpDoor(opened, budget.browsers, self._tell_http, self._note, memory, budget.sockets)

    def _tell_http(self, event: HttpEvent) -> None:
        self._core.http(event, trio.current_time())
        self._turn()

    def _tell_client(self, event: HttpClientEvent) -> None:
        self._core.take_http_client(event, trio.current_time())
        self._turn()

    def _goes_on(self, command: HttpCommand) -> bool:
        return self._core.sessions.lasts(command.session, trio.current_time())

    def _browser(self, action: BrowserAction) -> None:
        if self._door is not None:
            self._door.perform(action)

    def _http_command(self, command: HttpCommand) -> None:
        if self._api is not None:
            self._api.take(command)

    async def _check_password(self, check: CheckPassword) -> None:
        right = await trio.to_thread.run_sync(
            is_password, self.config.folder.key, check.password, abandon_on_cancel=True
        )
        self._tell_http(PasswordChecked(check.token, right))

    async def _start_upload(self, upload: StartUpload) -> None:
        folder, client = self.config.folder.path, self._commands.connected(_say_nothing)
        answer = partial(self._commands.answer_untrusted, client)
        problem = await start_upload(upload, self.config.name, folder, answer)
        if problem is not None:
            log.write_line("http", f"a package that was sent is not started: {problem}")
        self._tell_http(UploadStarted(upload.token, problem))

    async def _close_door(self) -> None:
        if self._door is not None:
            await self._door.close()

    async def _keep(self) -> None:
        while not self._core.kept:
            now = trio.current_time()
            self._core.keep(now)
            self._carry_out(now)
            await self._job_ended.wait()

    async def _say_goodbye(self) -> None:
        self._trace.end()
        now = trio.current_time()
        self._core.network.shutdown(now)
        while self._core.torn is None and self._core.network.events:
            self._carry_out(now)
        if self._torn is not None:  # the core passes nothing on any more
            for event in self._core.network.events:
                if isinstance(event, Close):
                    self._driver.handle(event)
        self._carry_out(now)
        self._flush(now)
        await self._driver.closed()

    async def _run_guests(self) -> None:
        try:
            await self._runner.run()
        except Exception as error:
            self._tear(Torn("it ran guests", error))

    async def _again(self, what: str, task: Callable[[], Awaitable[None]]) -> None:
        """Run a task beside all else, and begin it again when our own code fails at it."""
        while True:
            try:
                return await task()
            except Exception as error:
                self._note(what, error)
                await trio.sleep(AGAIN_SECONDS)

    async def _watch_signals(self, commands: control.Control) -> None:
        async for _ in self._signals:
            commands.stop.set()

    async def _watch_starter(self, commands: control.Control) -> None:
        if self.config.lifeline is not None:
            await lifeline.ended(self.config.lifeline)
            log.write_line("kernel", "the process that started this node is gone, so the node ends")
            commands.stop.set()

    async def _pass_on_stop(self, commands: control.Control) -> None:
        await self._stop.wait()
        commands.stop.set()

    def _status(self) -> dict[str, object]:
        uptime = trio.current_time() - self._started
        return {
            "endpoint": list(self._endpoint),
            "http": self._web,
            "http_name": None if self.config.http is None else self.config.http.name,
            "boot_id": self._boot_id,
            "uptime": round(uptime, 3),
            "descriptors": {"used": descriptors.used(), "limit": self._prepared.budget.limit},
        }

    # --- the core's actions -----------------------------------------------------------------------------------------

    def _carry_out(self, now: float) -> None:
        actions, carriers = self._core.settle(now), self._carriers
        while actions:
            action = actions.popleft()
            try:
                carriers[type(action)](action)
            except Exception as error:
                self._note(type(action).__name__, error)

    def _note(self, what: str, error: BaseException) -> None:
        """Log a failure of our own code at something that nothing else depends on."""
        self._unforeseen(Unforeseen(what, tuple(told(error))))

    def _unforeseen(self, failure: Unforeseen) -> None:
        self._log(LogLine("node", 0, f"failed at {failure.what}, please report it:"))
        for line in failure.traceback[:MAX_TRACEBACK_LINES]:
            self._log(LogLine("node", 0, line))

    def _tear(self, torn: Torn) -> None:
        """Shut the node down in order, since its core may be half done."""
        if self._torn is None:
            self._torn = torn
            self._note(f"what may be half done: {torn.what}", torn.error)
            self._stop.set()

    def _flush(self, now: float) -> None:
        """Write once for everything that a turn has brought, so that an acknowledgement goes with the answer
        behind it.
        """
        self._trace.write()
        while self._to_write:
            writable = self._to_write.copy()
            self._to_write.clear()
            for each in writable:
                self._driver.transmit(each.connection)
            self._carry_out(now)  # what is written frees space for more to be read
            self._trace.write()

    def _handle_connection(self, action: Dial | Close | Hold) -> None:
        self._driver.handle(action)

    def _traced(self, action: Traced) -> None:
        if action.token is self._trace:
            self._trace.take(action)
        else:
            control.traced(action)

    def _job_done(self, job: Job, outcome: Outcome) -> None:
        self._core.job_done(job, outcome, trio.current_time())
        self._turn()
        self._job_ended.set()
        self._job_ended = trio.Event()

    def _load_code(self, load: LoadCode) -> None:
        self._nursery.start_soon(self._load_elsewhere, load)

    async def _load_elsewhere(self, load: LoadCode) -> None:
        try:
            program = await self._loader.load(load.source)
        except Exception as error:
            self._note("the start of a program", error)
            program = BadCode(SORRY)
        self._core.code_loaded(load, program, trio.current_time())
        self._turn()

    def _turn(self) -> None:
        """Let the core run; a failure in there may leave anything half done."""
        try:
            self._runner.turn()
        except Exception as error:
            self._tear(Torn("it let guests run", error))

    def _log(self, line: LogLine) -> None:
        if line.verbosity > log.DEFAULT_VERBOSITY:
            return
        _write_lines(self._log_budget.admit(line, trio.current_time()))
        if self._log_budget.next_deadline() is not None and not self._telling_omitted:
            self._telling_omitted = True
            self._nursery.start_soon(self._again, "the log", self._tell_omitted)

    async def _tell_omitted(self) -> None:
        """Log what the log's budget has left out, as long as there is anything."""
        try:
            while (deadline := self._log_budget.next_deadline()) is not None:
                await trio.sleep_until(deadline)
                _write_lines(self._log_budget.on_timer(trio.current_time()))
        finally:
            self._telling_omitted = False

    def _answered(self, action: Answered) -> None:
        waiter = action.token
        assert isinstance(waiter, Waiter)
        waiter.set(action.answer)

    def _installed(self, action: Installed) -> None:
        if action.token is not None:
            assert isinstance(action.token, Waiter)
            action.token.set(action)

    def _on_joined(self, _: Joined) -> None:
        if self._prepared.previous is not None:
            self._prepared.previous = None
            self._nursery.start_soon(trio.to_thread.run_sync, forget_former_key, self.config.folder.key)

    def _on_refused(self, refused: NameRefused) -> None:
        self._refusal = refused.reason
        self._stop.set()

    def _on_standing_down(self, action: StandDown) -> None:
        self._stands_down = action
        self._stop.set()

    def _on_ready(self, ready: Ready) -> None:
        self._ready.set()
        warning = ready.warning or open_to_all(self.config)
        _tell_ready(self.config, {"endpoint": list(self._endpoint), "warning": warning})


def open_to_all(config: NodeConfig) -> str | None:
    """Return what strangers can reach, as a warning to a registrar's owner in one sentence; None: nothing."""
    host, _ = config.advertise or (config.host, 0)
    if not config.is_registrar or config.by_invitation or is_this_machine(host):
        return None
    text = (
        f"Anyone who reaches {host} can take names in this network: start {config.name} with --invite-only, "
        "and let people in with `nectar testnet invite`."
    )
    log.write_line("net", text)
    return text


def _wall_clock_offset() -> float:
    return time.time() - trio.current_time()


def _write_lines(lines: Iterable[tuple[str, str]]) -> None:
    for source, text in lines:
        log.write_line(source, text)


def _make_core(prepared: _Prepared) -> NodeCore:
    config = prepared.config
    memory = MemoryBudget(config.memory_bytes or default_budget())
    network_config = NetworkConfig(
        memory=memory,
        routers=config.routers,
        reservations=config.reservations,
        previous=prepared.previous,
        wall_clock_offset=_wall_clock_offset(),
        keeps_sequence=True,
        sequence=prepared.kept.own.sequence,
        epoch=prepared.kept.grants.revoked.everything,
        invitation=config.invitation,
        connections=min(MAX_CONNECTIONS, prepared.budget.accepted),
    )
    network = Network(prepared.identity, prepared.directory, network_config, os.urandom, trio.current_time())
    folder = config.folder
    core_config = CoreConfig(
        our=config.name,
        drives=str(folder.drives),
        registrar=prepared.registrar,
        store=Location(str(folder.path), (folder.store.name,)),
        keeps=str(folder.kept),
        code=str(folder.code),
        fresh_id=_FreshIds().take,
        guest=partial(_guest_config, folder.drives, prepared.budget.files_of_a_guest),
        memory=memory,
        clock=trio.current_time,
        kept=prepared.kept,
        take_over=config.take_over,
        page_files={} if config.http is None else page_files(),
        http_hosts=() if config.http is None else (config.http.host.lower(),),
        http_proxied=() if config.http is None or config.http.name is None else (config.http.name,),
        has_password=has_password(folder.key),
        rpc_open=config.http is not None and config.http.rpc_open,
        sockets=prepared.budget.sockets,
        http_client=HttpClientConfig(prepared.budget.calls, frozenset(config.http_client_private)),
        ledger=prepared.ledger,
    )
    return NodeCore(core_config, network)


async def _say_nothing(_: bytes) -> None:
    """Be the client of a command that sends events, and want none."""


async def _check_engine(engine: Engine) -> None:
    """Check that this Wasmtime suspends, resumes, pre-empts and drops guests as the engine relies on, and that Python
    recurses on their stacks, on a worker's thread as on the main one; raises CannotStart.

    The check runs beside everything else: it takes a tenth of a second, and no guest that it would stop harms anything
    until then. On the main thread it takes some milliseconds.
    """
    try:
        await trio.to_thread.run_sync(self_check, abandon_on_cancel=True)
        check_recursion(engine)
    except KernelError as error:
        raise CannotStart(
            f"This Python and its Wasmtime do not do what a node needs: {error}. Reinstall them."
        ) from error


class _FreshIds:
    """Unpredictable u64s, drawn in batches: asking the operating system for each costs more than the rest of a
    message.
    """

    def __init__(self) -> None:
        self._ids: list[int] = []

    def take(self) -> int:
        """Return the next one."""
        if not self._ids:
            self._ids = [number for (number,) in struct.iter_unpack("<Q", os.urandom(8 * _IDS_AT_ONCE))]
        return self._ids.pop()


def _guest_config(drives: Path, files: int, address: Address) -> GuestConfig:
    """Return the configuration of a guest: with WASI it sees its package's folder in the vfs as `/`, and no
    more (G28).
    """
    drive = drives / str(address.process.package_id)
    # A drive that cannot be made keeps the guest from starting; the engine says so.
    perform(MakeFolder(Location(str(drives), (drive.name,))))
    return GuestConfig(address, MAX_MEMORY_BYTES, drive=str(drive), files=files)


def _tell_ready(config: NodeConfig, value: dict[str, object]) -> None:
    """Tell the process that started this node that it is ready, or why it never will be."""
    if config.ready_descriptor is None:
        return
    try:
        os.write(config.ready_descriptor, json.dumps(value).encode() + b"\n")
        os.close(config.ready_descriptor)
    except OSError:
        return  # it has gone away, or has been told already
