"""The network as the node sees it: messages to names go in, messages from names come out, bytes pass below.

`Network` owns all connections and sessions and joins the parts: `connection` (handshake and records), `session` (what two
nodes owe each other), `reach` (how a peer is reached), `resolver` (what the registrar is asked). It is sans-IO and pure:
the driver opens and closes connections as events say, carries bytes and calls `on_timer`; `now` is in seconds, on any
monotonic clock; all randomness comes from `entropy`, so the same calls give the same bytes.

A connection comes to a session like this: dialed or accepted, handshake, name believed (`admission`), resume frames.
Wherever it breaks, `_gone` puts the pieces where they belong. Tests: tests/net/test_peers.py and its neighbours.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from net.admission import Admission, Verdict
from net.connection import Connection, Stage
from net.directory import Directory, Endpoint, NameRecord
from net.errors import BadFrame, BadNameRecord, GoodbyeCode, NoRoom, NotBelieved, ProtocolViolation
from net.events import (
    Buffer,
    Close,
    Delivered,
    Dial,
    DialFailure,
    Failed,
    FailureReason,
    Log,
    NetEvent,
    Outgoing,
    PeerDown,
    PeerUp,
    Received,
    RecordStored,
    Writable,
)
from net.handshake import Handshake
from net.identity import Identity
from net.limits import (
    HANDSHAKE_SECONDS,
    KEEPALIVE_SECONDS,
    MAX_BLOB_BYTES,
    MAX_HALF_OPEN,
    MAX_HALF_OPEN_PER_HOST,
    MAX_HEADER_BYTES,
    MAX_PLAINTEXT_BYTES,
    MAX_SESSIONS,
    MAX_UNREAD_BYTES,
    PING_SECONDS,
    RECOVERY_SECONDS,
    SESSION_CREDIT_BYTES,
    SESSION_CREDIT_MESSAGES,
)
from net.names import is_node_name
from net.reach import GiveUp, LookUp, Reach, Step, Try, Wait
from net.registrar import Registrar
from net.resolver import Answer, Resolver
from net.service import serve
from net.session import Receipt, Session
from net.timers import Timers
from net.wire import (
    Ack,
    Control,
    Credit,
    Data,
    Found,
    Goodbye,
    Granted,
    Lookup,
    Ping,
    Pong,
    Refused,
    Register,
    Resume,
    decode_frames_untrusted,
)


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """What a node may choose about its network."""

    endpoints: tuple[Endpoint, ...] = ()
    """Where this node accepts connections, for its name record; `set_endpoint` changes it later."""
    routers: tuple[str, ...] = ()
    """For its name record."""
    register: bool = False
    """Whether to register with the registrar right away (`set_endpoint` does it in any case)."""
    previous: Identity | None = None
    """The identity with the node's former key, if this boot changes the key."""
    recovery_seconds: float = RECOVERY_SECONDS
    """Budget for reaching a peer, and for reviving a broken session."""
    wall_clock_offset: float = 0.0
    """Unix time minus `now`, for the issue time of records."""
    credit_bytes: int = SESSION_CREDIT_BYTES
    """What each peer may have unacknowledged here; bounds memory per peer."""
    credit_messages: int = SESSION_CREDIT_MESSAGES
    """The same in messages, at most `limits.SESSION_CREDIT_MESSAGES`."""


class Network:
    """All peers of one node; see the module's text. `repr` and `statistics` show the live state."""

    def __init__(
        self,
        identity: Identity,
        directory: Directory,
        config: NetworkConfig,
        entropy: Callable[[int], bytes],
        now: float,
    ) -> None:
        """`directory`: a `registrar.Registrar` makes this node the registrar. `entropy(n)`: n fresh random bytes."""
        assert 0 < config.credit_messages <= SESSION_CREDIT_MESSAGES
        self._identity = identity
        self._directory = directory
        self._config = config
        self._entropy = entropy
        self._static = entropy(32)
        self._registrar = directory if isinstance(directory, Registrar) else None
        self._genesis = directory.genesis
        self._events: deque[NetEvent] = deque()
        self._connections: dict[int, Connection] = {}
        self._next_connection = 1
        self._half_open: dict[str, int] = {}
        self._sessions: dict[str, Session] = {}
        self._timers: Timers[int | str] = Timers()
        """Under a connection's number and under a session's name."""
        self._scratch = memoryview(bytearray(MAX_PLAINTEXT_BYTES))
        self._admission = Admission(identity, directory)
        self._verifying: dict[str, list[int]] = {}
        """Connections that wait for the lookup of a name."""
        self._down = False
        self._resolver = Resolver(
            identity,
            directory,
            self._events.append,
            previous=config.previous,
            wall_clock_offset=config.wall_clock_offset,
        )
        self._endpoints = config.endpoints
        if config.register:
            self.register(now)

    # --- from the node ----------------------------------------------------------------------------------------------

    def send(self, message: Outgoing, now: float) -> None:
        """Send a message; exactly one Delivered or Failed will carry its token."""
        reason = self._objection(message)
        if reason is None:
            session = self._session(message.node)
            if session is None or session.outbox.full:
                reason = FailureReason.QUEUE_FULL
            else:
                session.outbox.queue(message.stream, message.header, message.blob, message.token)
                self._advance(session, now)
        if reason is not None:
            self._events.append(Failed(message.token, reason))

    def taken(self, receipt: object, now: float) -> None:
        """The kernel has taken the message of that Received event: acknowledge it, give its credit back."""
        assert isinstance(receipt, Receipt)
        session = receipt.session
        if session.inbox is receipt.inbox and session.inbox.taken(receipt.sequence) and session.live:
            self._signal(session.connection)

    def backlog(self, node: str) -> int:
        """Bytes of messages to `node` that are not acknowledged, for whoever wants to slow down before QUEUE_FULL."""
        session = self._sessions.get(node)
        return session.outbox.bytes if session is not None else 0

    def set_endpoint(self, host: str, port: int, now: float) -> None:
        """This node is reachable there, and nowhere else: register it so."""
        self._endpoints = (Endpoint(host, port),)
        self.register(now)

    def register(self, now: float) -> None:
        """Register with the registrar; Registered or RegistrationFailed follows. Without a registrar: nothing."""
        self._resolver.register(self._endpoints, self._config.routers, now)
        self._serve_resolver(now)

    def shutdown(self, now: float) -> None:
        """Say goodbye to all and fail what is unsent or unacknowledged; nothing is accepted or dialed any more."""
        self._down = True
        for connection in list(self._connections.values()):
            self._close(connection, GoodbyeCode.SHUTDOWN)
        for session in list(self._sessions.values()):
            session.unbind()
            self._give_up(session, FailureReason.SHUTDOWN, now)

    # --- from the world ---------------------------------------------------------------------------------------------

    def new_connection(self) -> int:
        """An id for a connection that the driver is about to report as accepted."""
        number = self._next_connection
        self._next_connection += 1
        return number

    def accepted(self, connection: int, host: str, now: float) -> None:
        """Somebody at `host` has connected. It may be closed at once, if too many handshakes are unfinished."""
        total = sum(self._half_open.values())
        if self._down or total >= MAX_HALF_OPEN or self._half_open.get(host, 0) >= MAX_HALF_OPEN_PER_HOST:
            self._events.append(Close(connection))
            return
        self._half_open[host] = self._half_open.get(host, 0) + 1
        handshake = self._handshake(initiator=False)
        self._connections[connection] = Connection(connection, handshake, dialed=None, host=host, now=now)
        self._timers.set(connection, now + HANDSHAKE_SECONDS)

    def connected(self, connection: int, now: float) -> None:
        """The connection that a Dial event asked for is there."""
        item = self._connections.get(connection)
        if item is None:
            self._events.append(Close(connection))
        elif item.stage is Stage.DIALING:
            item.begin()
            self._signal(item)

    def dial_failed(self, connection: int, reason: str, now: float) -> None:
        """The connection that a Dial event asked for could not be had; see `DialFailure`."""
        item = self._connections.get(connection)
        if item is not None:
            self._forget(item)
            refused = reason == DialFailure.REFUSED
            self._gone(item, FailureReason.REFUSED if refused else FailureReason.UNREACHABLE, now)

    def lost(self, connection: int, now: float) -> None:
        """The connection has ended, in whatever way."""
        item = self._connections.get(connection)
        if item is not None:
            self._forget(item)
            self._gone(item, FailureReason.UNREACHABLE, now)

    def receive(self, connection: int, data: Buffer, now: float) -> None:
        """Bytes have come. Raises nothing, whatever they are; `data` is not kept."""
        item = self._connections.get(connection)
        if item is None:
            return
        try:
            for piece in item.splitter.split(data):
                self._piece(item, piece, now)
                if item.closed:
                    return
            item.check_expected()
        except ProtocolViolation as violation:
            self._violated(item, violation, now)

    def pending(self, connection: int, limit: int) -> list[Buffer]:
        """About `limit` bytes that are to be written now, encrypted just now; nothing if there is nothing."""
        item = self._connections.get(connection)
        if item is None:
            return []
        buffers = item.fill(limit)
        if not buffers:
            item.signalled = False
        return buffers

    def next_deadline(self) -> float | None:
        """When `on_timer` is to be called; calling it early or late does no harm."""
        deadlines = [when for when in (self._timers.next(), self._resolver.next_deadline()) if when is not None]
        return min(deadlines, default=None)

    def on_timer(self, now: float) -> None:
        """Time has passed."""
        self._resolver.on_timer(now)
        self._serve_resolver(now)
        while (key := self._timers.pop_due(now)) is not None:
            if isinstance(key, int):
                if (connection := self._connections.get(key)) is not None:
                    self._connection_due(connection, now)
            elif (session := self._sessions.get(key)) is not None and session.reach is not None:
                if session.connection is not None:
                    continue  # Its handshake is nearly through; should it fail after all, `_gone` carries on.
                record = self._directory.find(session.name)
                self._step(session, session.reach.woken(record, now, self._jitter()), now)

    # --- out --------------------------------------------------------------------------------------------------------

    def next_event(self) -> NetEvent | None:
        """The oldest event that has not been fetched."""
        return self._events.popleft() if self._events else None

    def statistics(self) -> dict[str, int]:
        """Numbers for status pages."""
        sessions = self._sessions.values()
        return {
            "connections": len(self._connections),
            "sessions": len(self._sessions),
            "live": sum(session.live for session in sessions),
            "outgoing_messages": sum(session.outbox.messages for session in sessions),
            "outgoing_bytes": sum(session.outbox.bytes for session in sessions),
            "incoming_bytes": sum(session.inbox.cost for session in sessions),
        }

    def __repr__(self) -> str:
        return f"Network({self._identity.name}, {list(self._sessions.values())}, {list(self._connections.values())})"

    # --- connections ------------------------------------------------------------------------------------------------

    def _handshake(self, *, initiator: bool) -> Handshake:
        record = self._resolver.own_record
        return Handshake(self._identity, record, initiator=initiator, static=self._static, entropy=self._entropy)

    def _signal(self, connection: Connection | None) -> None:
        if connection is not None and not connection.closed and not connection.signalled and connection.writable:
            connection.signalled = True
            self._events.append(Writable(connection.number))

    def _queue(self, connection: Connection, frame: Control) -> None:
        connection.queue(frame)
        self._signal(connection)

    def _forget(self, connection: Connection) -> None:
        """It is not ours any more; its session still has to be told (`_gone`)."""
        del self._connections[connection.number]
        connection.closed = True
        self._timers.set(connection.number, None)
        self._leave_half_open(connection)

    def _leave_half_open(self, connection: Connection) -> None:
        if connection.half_open:
            connection.half_open = False
            self._half_open[connection.host] -= 1
            if not self._half_open[connection.host]:
                del self._half_open[connection.host]

    def _close(self, connection: Connection, code: GoodbyeCode | None) -> None:
        farewell = connection.farewell(code)
        self._forget(connection)
        self._events.append(Close(connection.number, farewell))

    def _violated(self, connection: Connection, violation: ProtocolViolation, now: float) -> None:
        peer = connection.session.name if connection.session is not None else connection.dialed or connection.host
        self._events.append(Log(f"connection {connection.number} with {peer} ends: {violation}"))
        self._close(connection, violation.code)
        bad_key = isinstance(violation, NotBelieved)
        self._gone(connection, FailureReason.BAD_KEY if bad_key else FailureReason.UNREACHABLE, now)

    def _gone(self, connection: Connection, reason: FailureReason, now: float, *, farewell: bool = False) -> None:
        """A connection is forgotten: carry on with whoever relied on it. `farewell`: the peer meant it to end."""
        session = connection.session
        if session is not None and session.connection is connection:
            session.unbind()
            if session.reach is None and not session.looking:
                self._revive(session, now, dialer=connection.dialed is not None and not farewell)
            elif session.attempt in (None, connection.number):
                self._attempt_failed(session, reason, now)
        elif connection.dialed is not None:
            owner = self._sessions.get(connection.dialed)
            if owner is not None and owner.attempt == connection.number:
                self._attempt_failed(owner, reason, now)

    def _attempt_failed(self, session: Session, reason: FailureReason, now: float) -> None:
        session.attempt = None
        if session.reach is not None and not session.looking:
            self._step(session, session.reach.failed(reason, now, self._jitter()), now)

    def _connection_due(self, connection: Connection, now: float) -> None:
        """Its deadline has come: of the handshake, or of the keepalive."""
        if connection.stage is Stage.LIVE and not connection.pinged:
            silent_at = connection.last_heard + KEEPALIVE_SECONDS
            if now < silent_at:
                self._timers.set(connection.number, silent_at)
                return
            connection.pinged = True
            self._queue(connection, Ping())
            self._timers.set(connection.number, now + PING_SECONDS)
            return
        self._events.append(Log(f"connection {connection.number} ends: silent for too long"))
        self._close(connection, GoodbyeCode.SILENT)
        self._gone(connection, FailureReason.UNREACHABLE, now)

    # --- handshake and admission ------------------------------------------------------------------------------------

    def _piece(self, connection: Connection, piece: Buffer, now: float) -> None:
        """One record, or one handshake message."""
        if connection.stage >= Stage.WAITING:
            self._record(connection, piece, self._scratch, now)
        elif connection.stage is Stage.HANDSHAKE:
            greeting = connection.read_handshake_untrusted(piece)
            if greeting is not None:
                connection.stage = Stage.VERIFYING
                self._verify(connection, now)
            self._signal(connection)
        elif connection.stage is Stage.VERIFYING:
            connection.held.append(bytes(piece))
            connection.held_bytes += len(piece)
            if connection.held_bytes > MAX_UNREAD_BYTES:
                raise BadFrame("too much was sent before the handshake was answered")
        else:
            raise BadFrame("bytes on a connection that is not there")

    def _verify(self, connection: Connection, now: float, answer: Answer | None = None) -> None:
        """Decide whether the peer is the node it names. Raises ProtocolViolation if not. `answer`: of its lookup."""
        ruling = self._admission.judge(connection, answer)
        if ruling.learned is not None:
            self._events.append(RecordStored(ruling.name, ruling.learned))
        if ruling.verdict is Verdict.LOOK_UP:
            self._verifying.setdefault(ruling.name, []).append(connection.number)
            self._resolver.look_up(ruling.name, now)
            self._serve_resolver(now)
            return
        if connection.dialed is not None:
            connection.finish_handshake()
        if ruling.verdict is Verdict.BELIEVED:
            self._leave_half_open(connection)
        connection.stage = Stage.WAITING
        connection.session = self._session_of(ruling.name, guest=ruling.verdict is Verdict.GUEST)
        if connection.session.arbiter:
            self._choose(connection.session, connection)
        self._signal(connection)
        held, connection.held = connection.held, []
        for record in held:
            # Not in the scratch: this may run from within the handling of another connection's record.
            self._record(connection, record, memoryview(bytearray(len(record))), now)
            if connection.closed:
                return

    def _session_of(self, name: str, *, guest: bool) -> Session:
        if guest:
            return self._new_session(name, guest=True)
        session = self._session(name)
        if session is None:
            raise NoRoom("no room for another peer")
        return session

    def _choose(self, session: Session, connection: Connection) -> None:
        """As the arbiter: this connection carries the session from now on."""
        old = session.connection
        self._queue(connection, session.choose(connection))
        self._replace(session, old)

    def _replace(self, session: Session, old: Connection | None) -> None:
        """Close what `session.connection` makes superfluous."""
        if old is not None and old is not session.connection and not old.closed:
            self._close(old, GoodbyeCode.REPLACED)
        attempt = self._connections.get(session.attempt) if session.attempt is not None else None
        if attempt is not None and attempt is not session.connection and attempt.stage < Stage.WAITING:
            session.attempt = None
            self._close(attempt, None)

    # --- records ----------------------------------------------------------------------------------------------------

    def _record(self, connection: Connection, record: Buffer, into: memoryview, now: float) -> None:
        """Decrypt a record and handle its frames. Raises ProtocolViolation."""
        length = connection.open_untrusted(record, into)
        connection.last_heard = now
        if connection.pinged:
            connection.pinged = False
            self._timers.set(connection.number, now + KEEPALIVE_SECONDS)
        session = connection.session
        assert session is not None
        for frame in decode_frames_untrusted(into[:length]):
            if type(frame) is Data:
                if connection.stage is not Stage.LIVE:
                    raise BadFrame("a message before the resume frames")
                arrived = session.receive(frame)
                if arrived is not None:
                    receipt = Receipt(session, session.inbox, arrived.sequence)
                    self._events.append(Received(session.name, arrived.header, arrived.blob, receipt))
                continue
            stages, handler = _HANDLERS[type(frame)]
            if connection.stage not in stages:
                raise BadFrame(f"a {type(frame).__name__.lower()} frame out of place")
            handler(self, connection, cast(Control, frame), now)
            if connection.closed:
                return

    def _on_resume(self, connection: Connection, frame: Control, now: float) -> None:
        session = connection.session
        assert isinstance(frame, Resume)
        assert session is not None
        if not session.arbiter and not session.accepts(frame):
            self._close(connection, GoodbyeCode.REPLACED)
            self._gone(connection, FailureReason.UNREACHABLE, now)
            return
        delivered, failed = session.resumed(frame)
        if not session.arbiter:
            old = session.connection
            connection.queue(session.answer(connection, frame.binding))
            self._replace(session, old)
        self._events.extend(Delivered(token) for token in delivered)
        self._events.extend(Failed(token, FailureReason.PEER_RESTARTED) for token in failed)
        connection.stage = Stage.LIVE
        session.live = True
        session.reach = None
        session.attempt = None
        session.looking = False
        self._timers.set(connection.number, now + KEEPALIVE_SECONDS)
        self._signal(connection)
        if not session.guest:
            self._is_up(session, now)

    def _is_up(self, session: Session, now: float) -> None:
        self._timers.set(session.name, None)
        if not session.up:
            session.up = True
            self._events.append(PeerUp(session.name))
        if self._genesis is not None and session.name == self._genesis.name:
            self._resolver.connected()
            self._serve_resolver(now)

    def _on_ack(self, connection: Connection, frame: Control, now: float) -> None:
        assert isinstance(frame, Ack)
        assert connection.session is not None
        tokens = connection.session.outbox.acknowledge(frame.sequences)
        self._events.extend(Delivered(token) for token in tokens)
        self._signal(connection)

    def _on_credit(self, connection: Connection, frame: Control, now: float) -> None:
        assert isinstance(frame, Credit)
        assert connection.session is not None
        connection.session.outbox.set_credit(frame.credit_bytes, frame.credit_messages)
        self._signal(connection)

    def _on_ping(self, connection: Connection, frame: Control, now: float) -> None:
        self._queue(connection, Pong())

    def _on_pong(self, connection: Connection, frame: Control, now: float) -> None:
        """Its arrival alone was the point."""

    def _on_goodbye(self, connection: Connection, frame: Control, now: float) -> None:
        assert isinstance(frame, Goodbye)
        session = connection.session
        assert session is not None
        if frame.code not in (GoodbyeCode.SHUTDOWN, GoodbyeCode.REPLACED):
            self._events.append(Log(f"{session.name} ends connection {connection.number}: {_code_name(frame.code)}"))
        self._close(connection, None)
        disbelieved = frame.code in (GoodbyeCode.NOT_BELIEVED, GoodbyeCode.UNKNOWN_NAME)
        reason = FailureReason.NOT_BELIEVED if disbelieved else FailureReason.UNREACHABLE
        meant = frame.code in (GoodbyeCode.SHUTDOWN, GoodbyeCode.REPLACED)
        self._gone(connection, reason, now, farewell=meant)

    def _on_request(self, connection: Connection, frame: Control, now: float) -> None:
        """A lookup or a registration: only a registrar answers."""
        assert isinstance(frame, Lookup | Register)
        if self._registrar is None:
            raise BadFrame("a request to a node that is no registrar")
        reply, granted = serve(self._registrar, frame)
        if granted is not None:
            name = granted.record.name
            self._events.append(RecordStored(name, granted.encode()))
            self._promote(connection, granted.record, now)
        self._queue(connection, reply)

    def _promote(self, connection: Connection, record: NameRecord, now: float) -> None:
        """A name was granted: if it is that of this connection's guest, who proved the key, it is a peer from now on."""
        session = connection.session
        assert session is not None
        name = record.name
        if not session.guest or session.name != name or name in self._sessions:
            return
        if connection.handshake.proves(record.public_key):
            self._sessions[name] = session
            self._leave_half_open(connection)
            self._queue(connection, session.promote())
            self._is_up(session, now)

    def _on_answer(self, connection: Connection, frame: Control, now: float) -> None:
        """The registrar's answer to us."""
        assert isinstance(frame, Found | Granted | Refused)
        assert connection.session is not None
        if self._genesis is None or connection.session.name != self._genesis.name:
            raise BadFrame("an answer from a node that is not our registrar")
        try:
            self._resolver.receive_untrusted(frame, now)
        except BadNameRecord as error:
            raise BadFrame(f"a record that is not valid: {error}") from error
        self._serve_resolver(now)

    # --- sessions ---------------------------------------------------------------------------------------------------

    def _objection(self, message: Outgoing) -> FailureReason | None:
        """Why a message cannot even be queued."""
        if self._down:
            return FailureReason.SHUTDOWN
        if len(message.header) > MAX_HEADER_BYTES:
            return FailureReason.TOO_LARGE
        if message.blob is not None and memoryview(message.blob).nbytes > MAX_BLOB_BYTES:
            return FailureReason.TOO_LARGE
        if not is_node_name(message.node) or message.node == self._identity.name:
            return FailureReason.NO_SUCH_NAME
        return None

    def _session(self, name: str) -> Session | None:
        """The session with `name`, made if need be; None if there is no room."""
        session = self._sessions.get(name)
        if session is None:
            if len(self._sessions) >= MAX_SESSIONS:
                idle = next((item for item in self._sessions.values() if item.idle), None)
                if idle is None:
                    return None
                del self._sessions[idle.name]
            session = self._sessions[name] = self._new_session(name, guest=False)
        return session

    def _new_session(self, name: str, *, guest: bool) -> Session:
        credit = (self._config.credit_bytes, self._config.credit_messages)
        arbiter = self._identity.name < name
        return Session(name, arbiter=arbiter, guest=guest, credit=credit, entropy=self._entropy)

    def _advance(self, session: Session, now: float) -> None:
        """There is something to send: send it, or see to a connection."""
        if session.live:
            self._signal(session.connection)
            return
        if session.connection is not None or session.looking:
            return
        if session.reach is not None and not session.reach.passive:
            return
        record = self._directory.find(session.name)
        if record is not None:
            session.reach = self._new_reach(session, now, reviving=False)
            self._step(session, session.reach.begin(record, now, self._jitter()), now)
        elif self._genesis is not None:
            session.reach = None
            self._look_up(session, now)
        else:
            self._give_up(session, FailureReason.NO_SUCH_NAME, now)

    def _new_reach(self, session: Session, now: float, *, reviving: bool, fresh: bool = False) -> Reach:
        """`fresh`: the record was fetched from the registrar just now."""
        is_registrar = self._genesis is not None and session.name == self._genesis.name
        may_look_up = self._genesis is not None and not is_registrar and not fresh
        deadline = now + self._config.recovery_seconds
        return Reach(deadline, reviving=reviving, patient=is_registrar, may_look_up=may_look_up)

    def _look_up(self, session: Session, now: float) -> None:
        session.looking = True
        self._resolver.look_up(session.name, now)
        self._serve_resolver(now)

    def _revive(self, session: Session, now: float, *, dialer: bool) -> None:
        """Its connection broke: whoever dialed it, or has something to send, dials; the other waits for that."""
        if session.guest or self._down:
            return
        asking = self._genesis is not None and session.name == self._genesis.name and self._resolver.busy
        session.reach = reach = self._new_reach(session, now, reviving=True)
        if session.outbox.messages or dialer or asking:
            record = self._directory.find(session.name)
            self._step(session, reach.pause(record, now, self._jitter(), dialer=dialer), now)
        else:
            self._step(session, reach.expect(), now)

    def _step(self, session: Session, step: Step, now: float) -> None:
        """Do what the episode of reaching the peer wants next."""
        match step:
            case Try(endpoint, until):
                self._dial(session, endpoint, until, now)
            case LookUp():
                self._look_up(session, now)
            case Wait(until):
                self._timers.set(session.name, until)
            case GiveUp(reason):
                self._give_up(session, reason, now)

    def _dial(self, session: Session, endpoint: Endpoint, until: float, now: float) -> None:
        number = self.new_connection()
        handshake = self._handshake(initiator=True)
        connection = Connection(number, handshake, dialed=session.name, host=endpoint.host, now=now)
        self._connections[number] = connection
        session.attempt = number
        self._timers.set(session.name, None)
        self._timers.set(number, until)
        self._events.append(Dial(number, endpoint.host, endpoint.port))

    def _give_up(self, session: Session, reason: FailureReason, now: float) -> None:
        """The peer cannot be reached: fail all that was for it."""
        session.reach = None
        session.looking = False
        session.attempt = None
        self._timers.set(session.name, None)
        self._events.extend(Failed(token, reason) for token in session.give_up())
        if session.up:
            session.up = False
            self._events.append(PeerDown(session.name, reason))
        if self._genesis is not None and session.name == self._genesis.name:
            self._resolver.unreachable(now)
            self._serve_resolver(now)

    def _jitter(self) -> float:
        return int.from_bytes(self._entropy(2), "big") / 65536

    # --- the registrar ----------------------------------------------------------------------------------------------

    def _serve_resolver(self, now: float) -> None:
        """Carry the resolver's frames and answers to where they belong."""
        while self._resolver.has_frames and self._genesis is not None and not self._down:
            session = self._session(self._genesis.name)
            if session is None:
                self._resolver.unreachable(now)
            elif not session.live:
                self._advance(session, now)
                break
            elif (frame := self._resolver.next_frame()) is not None and session.connection is not None:
                self._queue(session.connection, frame)
        while (answer := self._resolver.next_answer()) is not None:
            self._looked_up(*answer, now)

    def _looked_up(self, name: str, answer: Answer, now: float) -> None:
        """A lookup has ended: go on with whoever waits for it."""
        if name == self._identity.name:
            self._resolver.answer_registration(answer, now)
            self._serve_resolver(now)
        session = self._sessions.get(name)
        if session is not None and session.looking:
            session.looking = False
            self._reach_on(session, answer, now)
        for number in self._verifying.pop(name, []):
            connection = self._connections.get(number)
            if connection is not None and connection.stage is Stage.VERIFYING:
                try:
                    self._verify(connection, now, answer)
                except ProtocolViolation as violation:
                    self._violated(connection, violation, now)

    def _reach_on(self, session: Session, answer: Answer, now: float) -> None:
        """The episode's lookup has ended."""
        record = self._directory.find(session.name)
        if session.reach is not None:
            news = record if answer is Answer.KNOWN else None
            self._step(session, session.reach.looked_up(news, now, self._jitter()), now)
        elif record is not None:
            session.reach = self._new_reach(session, now, reviving=False, fresh=True)
            self._step(session, session.reach.begin(record, now, self._jitter()), now)
        else:
            unknown = answer is Answer.UNKNOWN
            self._give_up(session, FailureReason.NO_SUCH_NAME if unknown else FailureReason.UNREACHABLE, now)


def _code_name(code: int) -> str:
    try:
        return GoodbyeCode(code).name.lower().replace("_", " ")
    except ValueError:
        return f"code {code}"


_Handler = Callable[[Network, Connection, Control, float], None]
_LIVE = (Stage.LIVE,)
_HANDLERS: dict[type, tuple[tuple[Stage, ...], _Handler]] = {
    Resume: ((Stage.WAITING,), Network._on_resume),
    Goodbye: ((Stage.WAITING, Stage.LIVE), Network._on_goodbye),
    Ack: (_LIVE, Network._on_ack),
    Credit: (_LIVE, Network._on_credit),
    Ping: (_LIVE, Network._on_ping),
    Pong: (_LIVE, Network._on_pong),
    Lookup: (_LIVE, Network._on_request),
    Register: (_LIVE, Network._on_request),
    Found: (_LIVE, Network._on_answer),
    Granted: (_LIVE, Network._on_answer),
    Refused: (_LIVE, Network._on_answer),
}
"""Frame -> stages in which it is legal, and who handles it."""
