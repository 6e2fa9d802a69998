"""One node as an operating system process: trio around a `NodeCore`.

One nursery holds the kernel's runner, a driver for each connection, the disk's lanes, the listener and the control
socket. Nothing is decided here: the driver carries out the core's actions, and tells it what happens.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import trio

from kernel.contract.errors import KernelError
from kernel.contract.events import Answered
from kernel.runner import POLLS_AT_ONCE, POLLS_PER_TURN, Runner
from kernel.wasm.engine import Engine, check_recursion, self_check
from nectar_node.base import descriptors, lifeline, log, own_files
from nectar_node.base.errors import (
    CannotJoin,
    CannotStart,
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
from nectar_node.contract.config import NodeConfig, module_cache
from nectar_node.contract.http_client import (
    HangUp,
    HttpClientEvent,
    ServerCall,
    SocketHold,
    SocketPush,
)
from nectar_node.contract.traces import Traced
from nectar_node.control import commands as control
from nectar_node.control import server
from nectar_node.control.backups import known_remotes
from nectar_node.control.clients import Waiter
from nectar_node.control.clock import wall_clock_offset
from nectar_node.driver.allocator import (
    collect_by_pace,
    give_back,
    keep_freed_memory,
    watch_memory,
)
from nectar_node.driver.backup_runs import BackupRuns
from nectar_node.driver.code_loading import Ahead, Loader
from nectar_node.driver.disk_threads import Lanes
from nectar_node.driver.http_client import HttpClientDriver
from nectar_node.driver.listening import listen, open_to_all
from nectar_node.driver.membership import (
    forget_former_key,
    is_password,
)
from nectar_node.driver.node_log import NodeLog
from nectar_node.driver.node_trace import NodeTrace
from nectar_node.driver.prepared_node import PreparedNode, make_core, prepare
from nectar_node.driver.program_code import LARGE_BYTES, compile_ahead, load_program
from nectar_node.driver.recordings.node_recording import KeepingCompiler, keep_handing_over
from nectar_node.driver.snapshots import NodeSnapshots, forget_snapshot
from nectar_node.packages.boot import Boot
from nectar_node.packages.manifest import Package
from nectar_node.storage.disk import perform
from nectar_node.storage.operations import Job, Location, Outcome, StopJob
from nectar_node.system.process import SORRY
from net.base.limits import FAREWELL_SECONDS
from net.contract.events import Close, Dial, FailureReason, Hold, Probed, Unforeseen, Writable
from net.io.driver import Driver
from net.io.tcp import TcpTransport
from net.names.directory import Endpoint
from net.peering.containment import told

if TYPE_CHECKING:
    from nectar_node.driver.browsers.node_browsers import NodeBrowsers
    from nectar_node.driver.telemetry.node_telemetry import NodeTelemetry

CLOCK_SECONDS = 5.0
"""Seconds between two looks at the machine's clock: name records live for days."""
AGAIN_SECONDS = 1.0
"""Seconds before a task at which our own code has failed begins again."""


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
        trio.run(_main, prepare(config, budget))
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


async def _main(prepared: PreparedNode) -> None:
    # First of all: from here on, a signal at any moment finds the node ending in order.
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        await Node(prepared, signals).run()


class Node:
    """A running node."""

    def __init__(self, prepared: PreparedNode, signals: AsyncIterator[int]) -> None:
        self.config = prepared.config
        self._prepared = prepared
        self._signals = signals
        folder = prepared.config.folder
        tell = self._tell_of_compiling()
        self._recording = prepared.recording
        compiler = prepared.engine if self._recording is None else KeepingCompiler(prepared.engine, self._recording)
        load = partial(load_program, compiler, perform, str(folder.code), tell=tell, give_back=give_back)
        self._loader = Loader(str(folder.drives), load)
        self._started = trio.current_time()
        self._endpoint: tuple[str, int] = (prepared.config.host, 0)
        memory = None if self._recording is None else self._recording.received
        self._transport = TcpTransport(prepared.budget.connections, memory)
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
        self._browsers: NodeBrowsers | None = None
        """None: the node does not serve HTTP."""
        self._telemetry: NodeTelemetry | None = None
        """None: the node shows nothing to monitoring."""
        self._boot_id = os.urandom(8).hex()
        self._core = make_core(prepared)
        self._runner = Runner(self._core, self._carry_out, self._flush)
        self._trace = NodeTrace(self.config, self._core, trio.current_time)
        self._log = NodeLog()
        if self.config.metrics is not None or self.config.spans is not None:
            from nectar_node.driver.telemetry.node_telemetry import NodeTelemetry  # which has libraries of its own

            self._telemetry = NodeTelemetry(self.config, self._core, prepared.ledger, wall_clock_offset)
        self._lanes = Lanes(prepared.ledger, prepared.database, self._job_done)
        self._snapshots = NodeSnapshots(folder.path, prepared.ledger, prepared.database, self._lanes, self._log.note)
        self._client = HttpClientDriver(self._tell_client, self._log.note)
        self._backups = BackupRuns(folder, self.config.network_folder, self._backup_ended, self._log.note)
        self._carriers: dict[type, Callable[..., None]] = {
            Dial: self._handle_connection,
            Close: self._handle_connection,
            Hold: self._handle_connection,
            Writable: self._to_write.append,
            Job: self._lanes.submit,
            StopJob: self._lanes.stop,
            LoadCode: self._load_code,
            LogLine: self._log.add,
            Answered: self._answered,
            Installed: self._installed,
            Traced: self._traced,
            Printed: control.printed,
            Probed: control.probed,
            DiskUsed: control.disk_used,
            Kept: control.kept,
            StartBackup: self._backups.start,
            StopBackup: self._backups.cut_short,
            **dict.fromkeys((ServerCall, HangUp, SocketPush, SocketHold), self._client.carry_out),
            Joined: self._on_joined,
            NameRefused: self._on_refused,
            StandDown: self._on_standing_down,
            Ready: self._on_ready,
            ShutDown: lambda _: self._stop.set(),
            Unforeseen: self._log.add_unforeseen,
            Torn: self._tear,
        }

    async def run(self) -> None:
        """Listen, join, boot packages, report that the node is ready, and serve until told to stop."""
        prepared, config = self._prepared, self.config
        self._listen_for_browsers()  # first: a registrar that listens for nodes writes the genesis file
        listener = await listen(config, self._transport, prepared.directory, prepared.identity)
        self._endpoint = (config.host, listener.port)
        if self._telemetry is not None:
            await self._telemetry.listen()
        socket = server.bind(config.folder.control)
        path, note = config.folder.path, self._log.note
        commands = control.Control(
            self._core, path, self._status, self._turn, self._ready, note, self._snapshots, self._compile_ahead()
        )
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
                serve = partial(server.serve, commands, socket, control.MAX_LINE_BYTES, clients)
                nursery.start_soon(self._again, "the control socket", serve)
                if self._browsers is not None:
                    self._carriers |= self._browsers.begin(commands, nursery)
                    nursery.start_soon(self._again, "the HTTP server", self._browsers.serve)
                if self._telemetry is not None:
                    for what, task in self._telemetry.tasks:
                        nursery.start_soon(self._again, what, task)
                nursery.start_soon(_check_engine, self._prepared.engine)
                nursery.start_soon(self._again, "the watch over the clock", self._watch_clock)
                nursery.start_soon(self._again, "the watch over the memory", partial(watch_memory, self._core.memory))
                nursery.start_soon(self._again, "the log", self._log.run)
                if self._recording is not None:
                    nursery.start_soon(self._again, "the recording", partial(keep_handing_over, self._recording))
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
            self._log.close()
            if self._recording is not None:
                self._recording.close()
            own_files.remove(self.config.folder.control)
            socket.close()
            self._prepared.database.close()
            forget_snapshot(path)

    def _boot(self) -> None:
        """Ask for the name, if there is a registrar, and start the packages when that is settled."""
        config = self.config
        reached = None if config.routers else Endpoint(*(config.advertise or self._endpoint))
        boot = Boot(self._prepared.packages, config.genesis is not None, reached, self._prepared.before)
        self._core.boot(boot, trio.current_time())
        try:
            remotes = known_remotes(config.folder.path, wall_clock_offset())
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
            self._core.set_wall_clock(wall_clock_offset(), trio.current_time())
            self._turn()

    async def _shut_down(self) -> None:
        """Keep what must be kept, and say goodbye, so that peers need not wait to see whether this node comes back."""
        steps = (self._close_door, self._client.close, self._backups.stop, self._keep, self._say_goodbye)
        for step in (*steps, self._send_spans):
            try:
                with trio.move_on_after(FAREWELL_SECONDS):
                    await step()
            except Exception as error:
                self._log.note("the end of the node", error)

    def _listen_for_browsers(self) -> None:
        config = self.config
        if config.http is not None:
            from nectar_node.driver.browsers.node_browsers import NodeBrowsers  # hypercorn, a tenth of a node's start

            check = partial(is_password, config.folder.key)
            budget = self._prepared.budget
            self._browsers = NodeBrowsers(
                config, config.http, budget, self._core, partial(self._turn, POLLS_AT_ONCE), check, self._log.note
            )

    def _tell_client(self, event: HttpClientEvent) -> None:
        self._core.take_http_client(event, trio.current_time())
        self._turn()

    async def _close_door(self) -> None:
        if self._browsers is not None:
            await self._browsers.close()

    async def _send_spans(self) -> None:
        if self._telemetry is not None:
            await self._telemetry.close()

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
        self._carry_out(now, writes=True)
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
                self._log.note(what, error)
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
            "http": None if self._browsers is None else self._browsers.url,
            "metrics": None if self._telemetry is None else self._telemetry.url,
            "http_name": None if self.config.http is None else self.config.http.name,
            "boot_id": self._boot_id,
            "uptime": round(uptime, 3),
            "descriptors": {"used": descriptors.used(), "limit": self._prepared.budget.limit},
            "recording": None if self._recording is None else self._recording.status,
        }

    # --- the core's actions -----------------------------------------------------------------------------------------

    def _carry_out(self, now: float, writes: bool = False) -> None:
        """Carry out what the core has to have done; a turn looks only at its end whether there is something to keep."""
        actions, carriers = self._core.settle(now, writes=writes), self._carriers
        while actions:
            action = actions.popleft()
            try:
                carriers[type(action)](action)
            except Exception as error:
                self._log.note(type(action).__name__, error)

    def _tear(self, torn: Torn) -> None:
        """Shut the node down in order, since its core may be half done."""
        if self._torn is None:
            self._torn = torn
            self._log.note(f"what may be half done: {torn.what}", torn.error)
            self._stop.set()

    def _flush(self, now: float) -> None:
        """Write once for everything that a turn has brought and the last `_carry_out` has found, so that an
        acknowledgement goes with the answer behind it.
        """
        self._trace.write()
        while self._to_write:
            writable = self._to_write.copy()
            self._to_write.clear()
            for each in writable:
                self._driver.transmit(each.connection)
            if self._core.unsettled:  # what is written frees space for more to be read
                self._carry_out(now, writes=True)
            self._trace.write()
        if self._recording is not None:
            self._recording.turn(now)

    def _handle_connection(self, action: Dial | Close | Hold) -> None:
        self._driver.handle(action)

    def _traced(self, action: Traced) -> None:
        if action.token is self._trace:
            self._trace.take(action)
        elif self._telemetry is not None and action.token is self._telemetry:
            self._telemetry.take(action)
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
            self._log.note("the start of a program", error)
            program = BadCode(SORRY)
        self._core.code_loaded(load, program, trio.current_time())
        self._turn()

    def _tell_of_compiling(self) -> Callable[[str], None]:
        """Return what puts into the log what is compiled and how far that is; it is called on other threads."""
        token = trio.lowlevel.current_trio_token()
        return lambda text: token.run_sync_soon(lambda: self._log.add(LogLine(log.COMPILER, 0, text)))

    def _compile_ahead(self) -> Callable[[Package], object]:
        """Return what has a package compiled that somebody is asked about, if the engine keeps that."""
        engine = self._prepared.engine
        if self._recording is not None or not engine.keeps_code:
            return lambda package: None

        def compile(place: Location) -> None:
            if compile_ahead(engine, perform, place) >= LARGE_BYTES:
                give_back()

        return Ahead(compile, lambda *task: self._nursery.start_soon(*task), self._log.note).begin

    def _turn(self, polls: int = POLLS_PER_TURN) -> None:
        """Let the core run; a failure in there may leave anything half done."""
        try:
            self._runner.turn(polls)
        except Exception as error:
            self._tear(Torn("it let guests run", error))

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
        self._nursery.start_soon(self._report_ready, warning)

    async def _report_ready(self, warning: str | None) -> None:
        """Keep the options of this boot, since the node runs with them, and tell who started it; raises CannotStart."""
        file = self.config.folder.boot
        if self.config.boot_file is not None:
            try:
                own_files.write(file, self.config.boot_file)
            except OSError as error:
                raise CannotStart(
                    f"{self.config.name} cannot keep its options: {file}: {error.strerror}. Mend it, and start again."
                ) from error
        if self._browsers is not None:
            log.write_line("http", f"browsers reach {self.config.name} at {self._browsers.url}")
        _tell_ready(self.config, {"endpoint": list(self._endpoint), "warning": warning})


async def _check_engine(engine: Engine) -> None:
    """Check that this Wasmtime suspends, resumes, pre-empts and drops guests as the engine relies on, and that Python
    recurses on their stacks, on a worker's thread as on the main one; raises CannotStart.

    The check runs beside everything else: the first takes a tenth of a second, and no guest that it would stop harms
    anything until then. On the main thread it takes some milliseconds.
    """
    try:
        # No node's engine is replayable: those are for simulations.
        await trio.to_thread.run_sync(self_check, module_cache(), (False,), abandon_on_cancel=True)
        check_recursion(engine)
    except KernelError as error:
        raise CannotStart(
            f"This Python and its Wasmtime do not do what a node needs: {error}. Reinstall them."
        ) from error


def _tell_ready(config: NodeConfig, value: dict[str, object]) -> None:
    """Tell the process that started this node that it is ready, or why it never will be."""
    if config.ready_descriptor is None:
        return
    try:
        os.write(config.ready_descriptor, json.dumps(value).encode() + b"\n")
        os.close(config.ready_descriptor)
    except OSError:
        return  # it has gone away, or has been told already
