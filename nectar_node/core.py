"""One node, pure: kernel, guests, sessions and system processes in one object that takes events and time.

The core decides everything and waits for nothing. A driver (`nectar_node.node` with trio, `testnet.sim` with an event
heap) tells it what happened in the world, lets it run, and carries out what `next_action` gives: connections to dial,
bytes to send, disk jobs, code to compile, lines to log. Here, and nowhere else, net's names and bytes become the
kernel's messages and back.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple, Protocol

from kernel.address import Address, PackageId, ProcessId
from kernel.capability import MESSAGING, Capability
from kernel.events import (
    Answered,
    DeadLetter,
    Event,
    FromPeer,
    Inject,
    Kill,
    Launch,
    Load,
    Loaded,
    Output,
    Parcel,
    PeerFailed,
    Reply,
    Start,
    StateAction,
    StateUsed,
    Taken,
    Tick,
    ToPeer,
    ToSystem,
    UseState,
)
from kernel.guest import Guest, GuestConfig, Poll, Program, SpawnError
from kernel.kernel import Kernel
from kernel.limits import MAX_DEAD_LETTER_BODY, MAX_DEAD_LETTERS, MAX_STATE_BYTES
from kernel.machine import Machine
from kernel.message import Buffer, LazyLoadBlob, Reason, Request
from nectar_node.package import ManifestEntry, Package
from nectar_node.storage.operations import (
    DiskError,
    DiskFault,
    Job,
    Location,
    Operation,
    Outcome,
    ReadAt,
    RemoveFile,
    Replace,
)
from nectar_node.system.process import SystemProcess
from nectar_node.system.timer import Timer
from nectar_node.system.vfs import Refused, Vfs
from nectar_node.translate import BadHeader, decode_header_untrusted, encode_header, stream_name
from net.events import (
    Close,
    Delivered,
    Dial,
    Failed,
    FailureReason,
    Log,
    Outgoing,
    PeerDown,
    PeerUp,
    Received,
    RecordStored,
    Registered,
    RegistrationFailed,
    Writable,
)
from net.peers import Network

TERMINAL = ProcessId("terminal", "terminal", "sys")
"""In whose name the node's user sends messages."""

_REASONS = {
    FailureReason.NO_SUCH_NAME: Reason.NO_SUCH_NAME,
    FailureReason.BAD_KEY: Reason.BAD_KEY,
    FailureReason.PEER_RESTARTED: Reason.PEER_RESTARTED,
    FailureReason.CONNECTION_LOST: Reason.CONNECTION_LOST,
    FailureReason.TOO_LARGE: Reason.TOO_LARGE,
    FailureReason.QUEUE_FULL: Reason.INBOX_FULL,
}
"""What the net's reasons are to the kernel; the others are UNREACHABLE."""


class Timed(Protocol):
    """Something with deadlines."""

    def next_deadline(self) -> float | None:
        """When it has something to do."""


class LogLine(NamedTuple):
    """A line for the node's log."""

    source: str
    """A process id, `net`, or `kernel`."""
    verbosity: int
    """0: always shown; up to 3: more and more detail."""
    text: str


class LoadCode(NamedTuple):
    """Read and compile the file at `location`; the driver answers with `NodeCore.code_loaded`."""

    location: Location
    owner: object


@dataclass(frozen=True, slots=True)
class BadCode:
    """The outcome of a LoadCode that failed."""

    reason: str
    """One sentence."""


@dataclass(frozen=True, slots=True)
class Installed:
    """All processes of a package have been started, or could not be."""

    token: object
    """As given to `NodeCore.install`."""
    failures: tuple[tuple[ProcessId, str], ...]
    """Those that could not be started, and why."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The registrar has granted this node its name."""


@dataclass(frozen=True, slots=True)
class JoinFailed:
    """The registrar has refused this node its name, or cannot be reached."""

    reason: FailureReason
    retries: bool
    """The net goes on trying by itself."""


WorldAction = Dial | Close | Writable | Job | LoadCode | LogLine | Answered | Installed | Joined | JoinFailed


class _Installation:
    """A package whose processes are being started."""

    def __init__(self, token: object, entries: int) -> None:
        self.token = token
        self.waiting = entries
        self.started: list[ManifestEntry] = []
        self.failures: list[tuple[ProcessId, str]] = []


class _EntryOwner(NamedTuple):
    entry: ManifestEntry
    installation: _Installation


class _RecordOwner(NamedTuple):
    name: str


class _StateOwner(NamedTuple):
    token: object
    """As in the kernel's UseState."""


@dataclass(frozen=True, slots=True)
class CoreConfig:
    """What a core needs to know."""

    our: str
    """Its node id."""
    drives: str
    """Root of the vfs."""
    state: str
    """Root of the saved states."""
    records: str
    """Root of the name records, kept for the next boot."""
    fresh_id: Callable[[], int]
    """Unpredictable u64s."""
    guest: Callable[[Address], GuestConfig]
    """What a guest of that address is started with."""


class NodeCore:
    """A whole node without its driver."""

    def __init__(self, config: CoreConfig, network: Network) -> None:
        self.our = config.our
        self.network = network
        self.vfs = Vfs(config.our, config.drives, lambda holder, wanted: wanted in self.kernel.grants.of(holder))
        self._system: dict[ProcessId, SystemProcess] = {each.id: each for each in (self.vfs, Timer())}
        known = [(each.id, each.public) for each in self._system.values()]
        self.kernel = Kernel(config.our, config.fresh_id, [*known, (TERMINAL, False)])
        self.machine = Machine(self.kernel, config.guest)
        self.dead_letters: deque[DeadLetter] = deque(maxlen=MAX_DEAD_LETTERS)
        self.starting = 0
        """Packages whose processes' code is still being read or compiled."""
        self._peers: dict[str, str] = {}
        self._stirred: deque[SystemProcess] = deque()
        """System processes that have been told something since they were asked what they want."""
        self._state_root = config.state
        self._records_root = config.records
        self._out: deque[WorldAction] = deque()
        self._timed: tuple[Timed, ...] = (self.machine, network, *self._system.values())
        self._kernel_actions: dict[type, Callable[..., None]] = {
            ToPeer: self._to_peer,
            ToSystem: self._to_system,
            Taken: self._taken,
            Load: self._load,
            UseState: self._use_state,
            Output: self._output,
            DeadLetter: self._dead_letter,
            Answered: self._pass_on,
        }
        self._net_events: dict[type, Callable[..., None]] = {
            Received: self._received,
            Failed: self._failed,
            Delivered: self._delivered,
            Dial: self._pass_on,
            Close: self._pass_on,
            Writable: self._pass_on,
            Log: lambda event: self._log("net", 1, event.text),
            PeerUp: self._peer_up,
            PeerDown: self._peer_down,
            Registered: lambda _: self._out.append(Joined()),
            RegistrationFailed: lambda event: self._out.append(JoinFailed(event.reason, event.retries)),
            RecordStored: self._keep_record,
        }
        self._now = 0.0

    # --- what the world tells ---------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """When `on_timer` has something to do; None: not before the next event."""
        earliest = math.inf
        for each in self._timed:
            deadline = each.next_deadline()
            if deadline is not None and deadline < earliest:
                earliest = deadline
        return None if earliest == math.inf else earliest

    def on_timer(self, now: float) -> None:
        """Do what is due."""
        due = self.machine.next_deadline()
        if due is not None and due <= now:
            self.machine.handle(Tick(), now)
        for each in self._system.values():
            each.on_timer(now)
            self._stirred.append(each)
        self.network.on_timer(now)
        self.settle(now)

    def next_action(self) -> WorldAction | None:
        """What the driver has to do, in order; None: nothing more."""
        return self._out.popleft() if self._out else None

    @property
    def can_run(self) -> bool:
        """Whether `run` has anything to do."""
        return self.machine.can_run

    def run(self, now: float, polls: int) -> None:
        """Let guests run, at most so many polls."""
        self.machine.run(now, polls)
        self.settle(now)

    def take_busy(self) -> Guest | None:
        """A guest that keeps using up its slices, to be polled on another thread; None: there is none."""
        return self.machine.take_busy()

    def polled(self, guest: Guest, poll: Poll, now: float) -> None:
        """A busy guest that was lent out has been polled."""
        self.machine.polled(guest, poll, now)
        self.settle(now)

    def job_done(self, job: Job, outcome: Outcome, now: float) -> None:
        """A disk job is done."""
        self._now = now
        if isinstance(job.owner, _StateOwner):
            self._state_used(job.owner, outcome)
        elif isinstance(job.owner, _RecordOwner):
            if isinstance(outcome, DiskError):
                self._log("net", 0, f"the record of {job.owner.name} cannot be kept: {outcome.text}")
        else:
            self.vfs.done(job, outcome, now)
            self._stirred.append(self.vfs)
        self.settle(now)

    def code_loaded(self, load: LoadCode, program: Program | BadCode, now: float) -> None:
        """Code is there, or is not."""
        self._now = now
        self._code_loaded(load, program)
        self.settle(now)

    def _code_loaded(self, load: LoadCode, program: Program | BadCode) -> None:
        owner = load.owner
        if isinstance(owner, Load):
            if isinstance(program, BadCode):
                self._log(str(owner.process), 0, f"cannot be started: {program.reason}")
            outcome = SpawnError.NO_FILE_AT_PATH if isinstance(program, BadCode) else program
            self._kernel(Loaded(owner.process, outcome))
            return
        assert isinstance(owner, _EntryOwner)
        entry, installation = owner
        if isinstance(program, BadCode):
            self._log(str(entry.process), 0, f"cannot be started: {program.reason}")
            installation.failures.append((entry.process, program.reason))
        else:
            self._start(entry, program)
            installation.started.append(entry)
        installation.waiting -= 1
        if not installation.waiting:
            self._installed(installation)

    def _installed(self, installation: _Installation) -> None:
        # Only now: starting a process in place of an older one revokes what that had issued and drops what it held.
        for entry in installation.started:
            issued = Capability(Address(self.our, entry.process), MESSAGING)
            for holder in entry.grants:
                self.kernel.grants.grant(holder, [issued])
        self.starting -= 1
        self._out.append(Installed(installation.token, tuple(installation.failures)))

    # The same names as `net.peers.Network` gives them: a connection's driver serves either.

    def new_connection(self) -> int:
        """An id for a connection that is about to be accepted."""
        return self.network.new_connection()

    def accepted(self, connection: int, host: str, now: float) -> None:
        """A peer has connected to us."""
        self.network.accepted(connection, host, now)
        self.settle(now)

    def connected(self, connection: int, now: float) -> None:
        """A connection that we dialed is there."""
        self.network.connected(connection, now)
        self.settle(now)

    def dial_failed(self, connection: int, reason: str, now: float) -> None:
        """A connection that we dialed did not come about."""
        self.network.dial_failed(connection, reason, now)
        self.settle(now)

    def lost(self, connection: int, now: float) -> None:
        """A connection is gone."""
        self.network.lost(connection, now)
        self.settle(now)

    def receive(self, connection: int, data: Buffer, now: float) -> None:
        """Bytes from a connection."""
        self.network.receive(connection, data, now)
        self.settle(now)

    def pending(self, connection: int, limit: int) -> list[Buffer]:
        """Bytes for a connection, about `limit` of them; none: nothing now."""
        return self.network.pending(connection, limit)

    # --- what the user asks -----------------------------------------------------------------------------------------

    def install(self, package: Package, token: object, now: float) -> None:
        """Make a package's folder its drive `pkg`, and start its processes with what the manifest asks for;
        `Installed` tells when that is done."""
        self._now = now
        self.vfs.mount(f"/{package.id}/pkg", Location(str(package.folder), ()))
        installation = _Installation(token, len(package.entries))
        self.starting += 1
        for entry in package.entries:
            self._load_code(_EntryOwner(entry, installation), package.id, entry.wasm_path)
        if not package.entries:
            self._installed(installation)
        self.settle(now)

    def inject(self, target: Address, request: Request, blob: LazyLoadBlob | None, token: object, now: float) -> None:
        """Send a request in the user's name; `Answered` brings the outcome if it expects a response."""
        self._now = now
        self._kernel(Inject(TERMINAL, target, request, blob, token))
        self.settle(now)

    def kill(self, process: ProcessId, now: float) -> None:
        """End a process; no on-exit runs."""
        self._now = now
        self._kernel(Kill(process))
        self.settle(now)

    # --- moving things on -------------------------------------------------------------------------------------------

    def settle(self, now: float) -> None:
        """Pass on what kernel, net and system processes want of each other, until nobody wants anything more."""
        self._now = now
        actions, stirred, next_event = self.machine.actions, self._stirred, self.network.next_event
        while True:
            while actions:
                action = actions.popleft()
                self._kernel_actions[type(action)](action)
            while stirred:
                self._drain(stirred.popleft())
            event = next_event()
            if event is not None:
                self._net_events[type(event)](event)
            elif not actions:
                return

    def _drain(self, process: SystemProcess) -> None:
        while (wish := process.next_action()) is not None:
            if isinstance(wish, Reply):
                self._kernel(wish)
            else:
                self._out.append(wish)

    def _kernel(self, event: Event) -> None:
        self.machine.handle(event, self._now)

    def _pass_on(self, action: WorldAction) -> None:
        self._out.append(action)

    def _log(self, source: str, verbosity: int, text: str) -> None:
        self._out.append(LogLine(source, verbosity, text))

    # --- the kernel's actions ---------------------------------------------------------------------------------------

    def _to_peer(self, action: ToPeer) -> None:
        parcel = action.parcel
        envelope = parcel.envelope
        stream = stream_name(envelope.source.process, envelope.target.process)
        blob: Buffer | None = envelope.blob.bytes if envelope.blob is not None else None
        outgoing = Outgoing(envelope.target.node, stream, encode_header(envelope), blob, parcel)
        self.network.send(outgoing, self._now)

    def _to_system(self, action: ToSystem) -> None:
        process = self._system.get(action.envelope.target.process)
        if process is not None:
            process.receive(action.envelope, self._now)
            self._stirred.append(process)

    def _taken(self, action: Taken) -> None:
        self.network.taken(action.receipt, self._now)

    def _load(self, action: Load) -> None:
        self._load_code(action, action.package, action.path)

    def _load_code(self, owner: Load | _EntryOwner, package: PackageId, path: str) -> None:
        try:
            location = self.vfs.locate(package, path)
        except Refused as refusal:
            load = LoadCode(Location(self.our, ()), owner)
            self._code_loaded(load, BadCode(f"{path} is no path: {refusal.value}"))
        else:
            self._out.append(LoadCode(location, owner))

    def _start(self, entry: ManifestEntry, program: Program) -> None:
        capabilities = list(entry.capabilities)
        if entry.networking:
            capabilities.append(self.kernel.grants.network)
        launch = Launch(entry.process, program, entry.on_exit, entry.public)
        self._kernel(Start(launch, tuple(capabilities)))

    def _use_state(self, action: UseState) -> None:
        location = Location(self._state_root, (str(action.process),))
        operations: dict[StateAction, Operation] = {
            StateAction.GET: ReadAt(location, 0, MAX_STATE_BYTES),
            StateAction.SET: Replace(location, action.state),
            StateAction.CLEAR: RemoveFile(location),
        }
        operation = operations[action.action]
        self._out.append(Job(operation, f"state {action.process}", _StateOwner(action.token)))

    def _state_used(self, owner: _StateOwner, outcome: Outcome) -> None:
        state, problem = None, None
        if isinstance(outcome, DiskError):
            if outcome.fault is not DiskFault.NOT_FOUND:
                problem = f"its state cannot be used: {outcome.text}"
        elif isinstance(outcome, bytes):
            state = outcome
        self._kernel(StateUsed(owner.token, state, problem))

    def _output(self, action: Output) -> None:
        self._log(str(action.process), action.verbosity, action.text)

    def _dead_letter(self, letter: DeadLetter) -> None:
        envelope = letter.envelope
        # Anybody can make these, other nodes too: what is kept of each is bounded.
        short = envelope.message._replace(body=envelope.message.body[:MAX_DEAD_LETTER_BODY], capabilities=())
        self.dead_letters.append(replace(letter, envelope=envelope._replace(message=short, blob=None)))
        claim = " (claim)" if envelope.claimed else ""
        kind = "request" if isinstance(envelope.message, Request) else "response"
        # An answer that came too late is ordinary; a message that reached nobody may be what somebody looks for.
        verbosity = 2 if letter.reason is Reason.NOT_AWAITED else 1
        self._log(
            "kernel", verbosity, f"{kind} from {envelope.source}{claim} to {envelope.target}: {letter.reason.value}"
        )

    # --- the net's events -------------------------------------------------------------------------------------------

    def _received(self, event: Received) -> None:
        try:
            envelope = decode_header_untrusted(self.our, event.node, event.header, event.blob)
        except BadHeader as error:
            self._log("net", 0, f"{event.node} sent a message that cannot be read: {error}")
            self.network.taken(event.receipt, self._now)
            return
        self._kernel(FromPeer(envelope, event.receipt))

    def peers(self) -> list[dict[str, object]]:
        """The nodes this one has a session with, for status pages."""
        rows: list[dict[str, object]] = []
        for peer in self.network.peers():
            state = "up" if peer.connected else "connecting" if peer.reaching else self._peers.get(peer.name, "idle")
            rows.append({"state": state, **asdict(peer)})
        return rows

    def _peer_up(self, event: PeerUp) -> None:
        self._peers[event.node] = "up"
        self._log("net", 1, f"connected to {event.node}")

    def _peer_down(self, event: PeerDown) -> None:
        self._peers[event.node] = f"down: {event.reason}"
        self._log("net", 1, f"lost {event.node}: {event.reason}")

    def _keep_record(self, event: RecordStored) -> None:
        location = Location(self._records_root, (event.name,))
        self._out.append(Job(Replace(location, event.record), f"record {event.name}", _RecordOwner(event.name)))

    def _failed(self, event: Failed) -> None:
        parcel = event.token
        assert isinstance(parcel, Parcel)
        self._kernel(PeerFailed(parcel, _REASONS.get(event.reason, Reason.UNREACHABLE)))

    def _delivered(self, event: Delivered) -> None:
        """The peer's kernel has it; nothing of it is kept here."""
