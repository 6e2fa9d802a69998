"""The network as the node sees it: messages to names go in, messages from names come out, bytes pass below.

`Network` is sans-IO and pure: the driver opens and closes connections as events say, carries bytes and calls
`on_timer`; `now` is in seconds, on any monotonic clock; all randomness comes from `entropy`, so the same calls give
the same bytes.

A connection comes to a session like this: dialed or accepted, handshake, name believed (`admission`), resume frames.
This file takes it there and hands each frame to where it belongs. The rest is in parts: `switchboard` has the
connections, `sessions` the peers and how they are reached, `connection` the records, `session` what two nodes owe
each other, `resolver` what the registrar is asked. Tests: tests/net/test_peers.py and its neighbours.
"""

from collections import deque
from collections.abc import Callable
from typing import cast

from net.admission import Admission, Ruling, Verdict
from net.circuits import Circuits
from net.config import NetworkConfig
from net.connection import Connection, Stage
from net.directory import Directory, Endpoint, HeldRecord, NameRecord
from net.errors import (
    BadFrame,
    BadNameRecord,
    GoodbyeCode,
    NoCircuit,
    NoCredit,
    NoRoom,
    NotBelieved,
    OtherVersion,
    ProtocolViolation,
)
from net.events import (
    Buffer,
    Close,
    Delivered,
    DialFailure,
    Failed,
    FailureReason,
    Log,
    LookedUp,
    NetEvent,
    Outgoing,
    Probed,
    ProbeEnded,
    ProbeOutcome,
    Received,
    RecordStored,
)
from net.identity import Identity, verify_untrusted
from net.limits import (
    HANDSHAKE_SECONDS,
    HELD_PIECE_OVERHEAD_BYTES,
    KEEPALIVE_SECONDS,
    MAX_BLOB_BYTES,
    MAX_HEADER_BYTES,
    MAX_PLAINTEXT_BYTES,
    MAX_UNREAD_BYTES,
    PING_SECONDS,
    SESSION_CREDIT_MESSAGES,
    VERIFY_SECONDS,
)
from net.names import is_node_name
from net.registrar import Registrar
from net.relay import Relay
from net.resolver import Answer
from net.service import Service
from net.session import Receipt, Session
from net.sessions import Sessions
from net.switchboard import Switchboard
from net.vitals import PeerStatus
from net.wire import (
    Ack,
    Control,
    Credit,
    Data,
    Found,
    Goodbye,
    Granted,
    Incoming,
    Lookup,
    Ping,
    Pong,
    Refused,
    Register,
    Reserve,
    Reserved,
    Resume,
    Spliced,
    decode_frames_untrusted,
)

__all__ = ["Network", "NetworkConfig"]


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
        self._genesis = directory.genesis
        self._events: deque[NetEvent] = deque()
        self._service = Service(directory, self._events.append) if isinstance(directory, Registrar) else None
        self._switchboard = Switchboard(self._events)
        self._sessions = Sessions(
            identity,
            directory,
            config,
            entropy,
            events=self._events,
            switchboard=self._switchboard,
            answered=self._answered,
        )
        self._admission = Admission(identity, directory)
        self._relay = Relay(config.reservations, self._switchboard, entropy)
        self._circuits = Circuits(self._sessions, self._switchboard, self._relay)
        self._verifying: dict[str, list[int]] = {}
        """Connections that wait for the lookup of a name."""
        self._wanted: set[str] = set()
        """Names that the node has asked for."""
        self._scratch = memoryview(bytearray(MAX_PLAINTEXT_BYTES))
        self._endpoints = config.endpoints
        self._down = False
        directory.expire(now + config.wall_clock_offset)
        if config.register:
            self.register(now)

    # --- from the node ----------------------------------------------------------------------------------------------

    def send(self, message: Outgoing, now: float) -> None:
        """Send a message; exactly one Delivered or Failed will carry its token."""
        reason = self._objection(message)
        if reason is None:
            session = self._sessions.obtain(message.node)
            if session is None or session.outbox.full:
                reason = FailureReason.QUEUE_FULL
            else:
                session.outbox.queue(message.stream, message.header, message.blob, message.token, message.target)
                self._sessions.advance(session, now)
        if reason is not None:
            self._events.append(Failed(message.token, reason))

    def taken(self, receipt: object, now: float) -> None:
        """The kernel has taken the message of that Received event: acknowledge it, give its credit back."""
        assert isinstance(receipt, Receipt)
        session = receipt.session
        if session.inbox is receipt.inbox and session.inbox.taken(receipt.sequence) and session.live:
            self._switchboard.signal(session.connection)

    def sign(self, domain: bytes, statement: bytes) -> bytes:
        """This node's signature of `statement` for the purpose `domain`; see `vouched_untrusted`."""
        return self._identity.sign(domain, statement)

    def vouched_untrusted(self, name: str, domain: bytes, statement: bytes, signature: bytes) -> bool | None:
        """Whether the node `name` has signed `statement`; None: its key is not known here, `look_up` may find it."""
        if name == self._identity.name:
            return verify_untrusted(self._identity.public_key, domain, statement, signature)
        record = self._directory.find(name)
        return None if record is None else verify_untrusted(record.public_key, domain, statement, signature)

    def record(self, name: str) -> NameRecord | None:
        """The record of `name`, if it is known here."""
        return self._directory.find(name)

    def records(self) -> list[HeldRecord]:
        """All records that are to be kept for the next boot."""
        return self._directory.records()

    def record_kept(self, record: HeldRecord, now: float, *, kept: bool) -> None:
        """What a RecordStored event has brought is durable, or (not `kept`) the disk does not take it."""
        replies = self._service.kept(record, kept=kept) if self._service is not None else ()
        for number, frame in replies:
            connection = self._switchboard.get(number)
            if connection is not None and connection.session is not None:
                if connection.session.guest and kept:
                    self._sessions.admit(connection.session, connection, now)
                self._switchboard.queue(connection, frame)

    def look_up(self, name: str, now: float) -> None:
        """Ask the registrar for the record of `name`; `LookedUp` tells when it is there, or is not to be had."""
        self._wanted.add(name)
        self._sessions.look_up(name, now)

    def probe(self, name: str, token: object, now: float) -> None:
        """See whether the node `name` can be reached, without a message: as a message would seek a connection, or by a
        ping on the session that is there. `Probed` events tell each step, the last one is a `ProbeEnded`."""
        if self._down or not is_node_name(name) or name == self._identity.name:
            reason = FailureReason.SHUTDOWN if self._down else FailureReason.NO_SUCH_NAME
            self._events.append(Probed(token, ProbeEnded(ProbeOutcome.OFFLINE, reason)))
        else:
            self._sessions.probe(name, token, now)

    def stop_probe(self, token: object) -> None:
        """Tell nothing more about that probe."""
        self._sessions.probes.stop(token)

    def backlog(self, node: str) -> int:
        """Bytes of messages to `node` that are not acknowledged, for whoever wants to slow down before QUEUE_FULL."""
        session = self._sessions.get(node)
        return session.outbox.bytes if session is not None else 0

    def set_endpoint(self, host: str, port: int, now: float) -> None:
        """This node is reachable there, and nowhere else: register it so."""
        self._endpoints = (Endpoint(host, port),)
        self.register(now)

    def register(self, now: float) -> None:
        """Register with the registrar, and get places at this node's routers; Registered or RegistrationFailed follows,
        if there is a registrar."""
        self._sessions.resolver.register(self._endpoints, self._config.routers, now)
        self._sessions.serve_resolver(now)
        self._sessions.keep_routers(now)

    def shutdown(self, now: float) -> None:
        """Say goodbye to all and fail what is unsent or unacknowledged; nothing is accepted or dialed any more."""
        self._down = True
        for connection in self._switchboard.all():
            self._switchboard.close(connection, GoodbyeCode.SHUTDOWN)
        self._sessions.shut_down(now)

    # --- from the world ---------------------------------------------------------------------------------------------

    def new_connection(self) -> int:
        """An id for a connection that the driver is about to report as accepted."""
        return self._switchboard.new_number()

    def accepted(self, connection: int, host: str, now: float) -> None:
        """Somebody at `host` has connected. It may be closed at once, if too many handshakes are unfinished."""
        if self._down or not (self._switchboard.has_room(host) or self._made_room(host, now)):
            self._events.append(Close(connection))
        else:
            self._switchboard.accept(connection, host, self._sessions.handshake(initiator=False), now)

    def _made_room(self, host: str, now: float) -> bool:
        """End a handshake that takes too long, for one with that host; whether there was any."""
        stale = self._switchboard.in_the_way(host, now)
        if stale is None:
            return False
        self._switchboard.close(stale, GoodbyeCode.BUSY)
        self._gone(stale, FailureReason.UNREACHABLE, now)
        return True

    def connected(self, connection: int, now: float) -> None:
        """The connection that a Dial event asked for is there."""
        item = self._switchboard.get(connection)
        if item is None:
            self._events.append(Close(connection))
        elif item.stage is Stage.DIALING:
            item.begin()
            self._switchboard.signal(item)
            self._sessions.probes.dialed(item)

    def dial_failed(self, connection: int, reason: str, now: float) -> None:
        """The connection that a Dial event asked for could not be had; see `DialFailure`."""
        refused = reason == DialFailure.REFUSED
        self._ended(connection, FailureReason.REFUSED if refused else FailureReason.UNREACHABLE, now, str(reason))

    def lost(self, connection: int, now: float) -> None:
        """The connection has ended, in whatever way."""
        self._ended(connection, FailureReason.UNREACHABLE, now, "the connection broke")

    def receive(self, connection: int, data: Buffer, now: float) -> None:
        """Bytes have come. Raises nothing, whatever they are; `data` is not kept."""
        item = self._switchboard.get(connection)
        if item is None:
            return
        if item.session is not None:
            item.session.bytes_received += len(data)
        elif item.partner is not None:
            item.last_heard = now
            self._switchboard.relay(item, data)
            return
        try:
            for piece in item.splitter.split(data):
                self._piece(item, piece, now)
                if item.closed:
                    # A leg that was spliced has a successor, whose first piece may be here already.
                    successor = self._switchboard.get(connection)
                    if successor is None:
                        return
                    item = successor
            item.check_expected()
        except ProtocolViolation as violation:
            self._violated(item, violation, now)

    def pending(self, connection: int, limit: int) -> list[Buffer]:
        """About `limit` bytes that are to be written now, encrypted just now. Less than half of that: it is all there
        is, and a Writable event tells when there is more."""
        return self._switchboard.pending(connection, limit)

    def next_deadline(self) -> float | None:
        """When `on_timer` is to be called; calling it early or late does no harm."""
        clocks = (
            self._switchboard.timers.next(),
            self._sessions.timers.next(),
            self._sessions.resolver.next_deadline(),
            self._sessions.probes.next_deadline(),
            self._next_expiry(),
        )
        return min((when for when in clocks if when is not None), default=None)

    def on_timer(self, now: float) -> None:
        """Time has passed."""
        while (expiry := self._next_expiry()) is not None and expiry <= now:
            self._directory.expire(expiry + self._config.wall_clock_offset)
        self._sessions.probes.on_timer(now)  # before the silence of its connection is dealt with
        self._sessions.resolver.on_timer(now)
        self._sessions.serve_resolver(now)
        while (number := self._switchboard.timers.pop_due(now)) is not None:
            connection = self._switchboard.get(number)
            if connection is not None:
                self._connection_due(connection, now)
        while (name := self._sessions.timers.pop_due(now)) is not None:
            self._sessions.due(name, now)

    def _next_expiry(self) -> float | None:
        expiry = self._directory.next_expiry()
        return None if expiry is None else expiry - self._config.wall_clock_offset

    # --- out --------------------------------------------------------------------------------------------------------

    @property
    def events(self) -> deque[NetEvent]:
        """What `next_event` takes from: for whoever asks at every step, and takes by itself."""
        return self._events

    def next_event(self) -> NetEvent | None:
        """The oldest event that has not been fetched."""
        return self._events.popleft() if self._events else None

    def peers(self) -> list[PeerStatus]:
        """What is known of each node that there is a session with, by name."""
        return [session.status() for session in sorted(self._sessions.all(), key=lambda session: session.name)]

    def statistics(self) -> dict[str, int]:
        """Numbers for status pages."""
        sessions = self._sessions.all()
        return {
            "connections": len(self._switchboard.all()),
            "sessions": len(sessions),
            "live": sum(session.live for session in sessions),
            "outgoing_messages": sum(session.outbox.messages for session in sessions),
            "outgoing_bytes": sum(session.outbox.bytes for session in sessions),
            "incoming_bytes": sum(session.inbox.cost for session in sessions),
            "places": len(self._relay.places),
            "circuits": self._relay.circuits,
        }

    def __repr__(self) -> str:
        return f"Network({self._identity.name}, {self._sessions}, {self._switchboard})"

    # --- connections end --------------------------------------------------------------------------------------------

    def _ended(self, number: int, reason: FailureReason, now: float, why: str) -> None:
        connection = self._switchboard.get(number)
        if connection is not None:
            if connection.stage is Stage.LIVE:
                self._events.append(Log(f"{connection} has broken"))
            connection.why = why
            self._switchboard.forget(connection)
            self._gone(connection, reason, now)

    def _gone(self, connection: Connection, reason: FailureReason, now: float, *, farewell: bool = False) -> None:
        """It is forgotten: carry on with whoever relied on it. `farewell`: the peer meant it to end."""
        self._relay.gone(connection)
        self._sessions.gone(connection, reason, now, farewell=farewell)
        session = connection.session
        if session is not None and session.connection is None:
            self._relay.withdraw(session)

    def _violated(self, connection: Connection, violation: ProtocolViolation, now: float) -> None:
        self._events.append(Log(f"{connection} ends: {violation}"))
        connection.why = str(violation)
        self._switchboard.close(connection, violation.code)
        if connection.session is not None and not connection.session.guest:
            self._sessions.punish(connection.session, violation, now)
        self._gone(connection, _TOLD.get(type(violation), FailureReason.UNREACHABLE), now)
        if connection.session is not None and isinstance(violation, NoCredit):
            self._sessions.refuse(connection.session, now)

    def _connection_due(self, connection: Connection, now: float) -> None:
        """Its deadline has come: of the handshake, of the lookup of its name, or of the keepalive."""
        timers = self._switchboard.timers
        if connection.stage is Stage.VERIFYING:
            self._verify_or_end(connection, now, Answer.UNAVAILABLE)
        elif connection.stage is Stage.SPLICED:
            if self._relay.due(connection, now):
                self._switchboard.close(connection, None)
                self._gone(connection, FailureReason.UNREACHABLE, now)
        elif connection.stage is not Stage.LIVE or connection.pinged:
            connection.why = "no answer in time"
            self._events.append(Log(f"{connection} ends: silent for too long"))
            unanswered = connection.stage is Stage.LEG
            self._switchboard.close(connection, GoodbyeCode.NO_CIRCUIT if unanswered else GoodbyeCode.SILENT)
            self._gone(connection, FailureReason.UNREACHABLE, now)
        elif not self._gets_on(connection, now):
            pass
        elif now < connection.last_heard + KEEPALIVE_SECONDS:
            timers.set(connection.number, connection.last_heard + KEEPALIVE_SECONDS)
        else:
            connection.pinged = True
            self._switchboard.ping(connection, now)
            timers.set(connection.number, now + PING_SECONDS)

    def _gets_on(self, connection: Connection, now: float) -> bool:
        """Whether a live connection does; otherwise it has ended now."""
        assert connection.session is not None
        try:
            connection.watch.look(connection.session, writing=connection.signalled, now=now)
        except ProtocolViolation as violation:
            self._violated(connection, violation, now)
            return False
        return True

    # --- handshake and admission ------------------------------------------------------------------------------------

    def _piece(self, connection: Connection, piece: Buffer, now: float) -> None:
        """One record, or one handshake message. Raises ProtocolViolation."""
        if connection.stage is Stage.SPLICED:
            raise BadFrame("bytes that came before the circuit was there")
        if connection.stage >= Stage.LEG:
            self._record(connection, piece, self._scratch, now)
        elif connection.stage is Stage.HANDSHAKE:
            connection.met = connection.met or self._switchboard.new_meeting()
            greeting = connection.read_handshake_untrusted(piece)
            if greeting is not None:
                connection.stage = Stage.VERIFYING
                self._verify(connection, now)
            self._switchboard.signal(connection)
        elif connection.stage is Stage.VERIFYING:
            connection.held.append(bytes(piece))
            connection.held_bytes += len(piece) + HELD_PIECE_OVERHEAD_BYTES
            if connection.held_bytes > MAX_UNREAD_BYTES:
                raise BadFrame("too much was sent before the handshake was answered")
        else:
            raise BadFrame("bytes on a connection that is not there")

    def _verify(self, connection: Connection, now: float, answer: Answer | None = None) -> None:
        """Decide whether the peer is the node it names. Raises ProtocolViolation if not. `answer`: of its lookup."""
        ruling = self._admission.judge(connection, answer, now + self._config.wall_clock_offset)
        if ruling.learned is not None:
            self._events.append(RecordStored(ruling.learned))
            self._distrust(ruling.name, now)
        if ruling.verdict is Verdict.LOOK_UP:
            self._verifying.setdefault(ruling.name, []).append(connection.number)
            self._switchboard.timers.set(connection.number, now + VERIFY_SECONDS)
            self._sessions.look_up(ruling.name, now)
            return
        if ruling.verdict is Verdict.BELIEVED:
            self._sessions.check_pause(ruling.name, now)
        if answer is not None:
            self._switchboard.timers.set(connection.number, now + HANDSHAKE_SECONDS)
        if connection.dialed is not None:
            connection.finish_handshake()
        if ruling.verdict is Verdict.BELIEVED:
            self._switchboard.handshake_done(connection)
        if self._is_leg(connection, ruling, now):
            return
        connection.stage = Stage.WAITING
        connection.session = session = self._session_of(ruling.name, guest=ruling.verdict is Verdict.GUEST)
        if ruling.verdict is Verdict.BELIEVED:
            self._sessions.probes.proven(connection, self._directory.find(ruling.name))
        if session.arbiter:
            self._sessions.choose(session, connection)
        self._switchboard.signal(connection)
        self._read_held(connection, now)

    def _is_leg(self, connection: Connection, ruling: Ruling, now: float) -> bool:
        """Whether the connection is to be a leg of a circuit; then it is seen to. Raises ProtocolViolation."""
        assert connection.greeting is not None
        circuit = connection.handshake.circuit or connection.greeting.circuit
        if circuit is None:
            return False
        if ruling.verdict is not Verdict.BELIEVED:
            raise NoCircuit("a circuit is for nodes with a registered name")
        self._circuits.admit(connection, circuit, ruling.name, now)
        self._switchboard.signal(connection)
        self._read_held(connection, now)
        return True

    def _session_of(self, name: str, *, guest: bool) -> Session:
        session = self._sessions.guest(name) if guest else self._sessions.obtain(name)
        if session is None:
            raise NoRoom("no room for another peer")
        return session

    def _read_held(self, connection: Connection, now: float) -> None:
        held, connection.held = connection.held, []
        for record in held:
            # Not in the scratch: this may run from within the handling of another connection's record.
            self._record(connection, record, memoryview(bytearray(len(record))), now)
            if connection.closed:
                return

    def _verify_or_end(self, connection: Connection, now: float, answer: Answer) -> None:
        try:
            self._verify(connection, now, answer)
        except ProtocolViolation as violation:
            self._violated(connection, violation, now)

    def _answered(self, name: str, answer: Answer, now: float) -> None:
        """A lookup has ended: judge the connections that wait for it, tell the node if it asked."""
        if answer is Answer.KNOWN:
            self._distrust(name, now)
        if name in self._wanted:
            self._wanted.discard(name)
            self._events.append(LookedUp(name))
        for number in self._verifying.pop(name, []):
            connection = self._switchboard.get(number)
            if connection is not None and connection.stage is Stage.VERIFYING:
                self._verify_or_end(connection, now, answer)

    def _distrust(self, name: str, now: float) -> None:
        """A record was learned: a connection with a key that the name has no longer ends. Of two nodes that claim one
        name, one is believed."""
        session = self._sessions.get(name)
        connection = session.connection if session is not None else None
        if connection is not None and not self._admission.proven(connection, name):
            self._violated(connection, NotBelieved(f"{name} has another key by now"), now)

    def _objection(self, message: Outgoing) -> FailureReason | None:
        """Why a message cannot even be queued."""
        if self._down:
            return FailureReason.SHUTDOWN
        if len(message.header) > MAX_HEADER_BYTES:
            return FailureReason.TOO_LARGE
        if message.blob is not None and memoryview(message.blob).nbytes > MAX_BLOB_BYTES:
            return FailureReason.TOO_LARGE
        if self._sessions.get(message.node) is None and (
            not is_node_name(message.node) or message.node == self._identity.name
        ):
            return FailureReason.NO_SUCH_NAME
        return None

    # --- records ----------------------------------------------------------------------------------------------------

    def _record(self, connection: Connection, record: Buffer, into: memoryview, now: float) -> None:
        """Decrypt a record and handle its frames. Raises ProtocolViolation."""
        length = connection.open_untrusted(record, into)
        connection.last_heard = now
        if connection.pinged:
            connection.pinged = False
            self._switchboard.timers.set(connection.number, now + KEEPALIVE_SECONDS)
        session = connection.session
        for frame in decode_frames_untrusted(into[:length]):
            if session is None:
                self._leg_frame(connection, frame, now)
                if connection.closed:
                    return
                continue
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
            handler(self, connection, session, cast(Control, frame), now)
            if connection.closed:
                return

    def _leg_frame(self, leg: Connection, frame: Data | Control, now: float) -> None:
        """A frame on a leg of a circuit: only its router says anything there. Raises ProtocolViolation."""
        if isinstance(frame, Spliced):
            self._circuits.spliced(leg, frame, now)
        elif isinstance(frame, Goodbye):
            self._events.append(self._circuits.goodbye(leg, frame))
            leg.why = f"the router says: {_code_name(frame.code)}"
            self._switchboard.close(leg, None)
            self._gone(leg, FailureReason.UNREACHABLE, now)
        else:
            raise BadFrame("a frame that has no place on a leg of a circuit")

    def _on_resume(self, connection: Connection, session: Session, frame: Control, now: float) -> None:
        assert isinstance(frame, Resume)
        if not session.arbiter and not session.accepts(frame, connection.met):
            connection.why = None
            self._switchboard.close(connection, GoodbyeCode.REPLACED)
            self._gone(connection, FailureReason.UNREACHABLE, now)
            return
        delivered, failed = session.resumed(frame)
        if not session.arbiter:
            old = session.connection
            connection.queue(session.answer(connection, frame.binding))
            self._sessions.replaced(session, old)
        self._events.extend(Delivered(token) for token in delivered)
        self._events.extend(Failed(token, FailureReason.PEER_RESTARTED) for token in failed)
        self._relay.withdraw(session)  # on each connection it asks anew for its place, if it still wants one
        self._sessions.live(session, connection, now)

    def _on_ack(self, connection: Connection, session: Session, frame: Control, now: float) -> None:
        assert isinstance(frame, Ack)
        tokens = session.outbox.acknowledge(frame.sequences)
        for token in tokens:
            self._events.append(Delivered(token))
        if session.outbox.writable:
            self._switchboard.signal(connection)

    def _on_credit(self, connection: Connection, session: Session, frame: Control, now: float) -> None:
        assert isinstance(frame, Credit)
        session.outbox.set_credit(frame.credit_bytes, frame.credit_messages)
        self._switchboard.signal(connection)

    def _on_ping(self, connection: Connection, session: Session, frame: Control, now: float) -> None:
        self._switchboard.reply(connection, Pong())

    def _on_pong(self, connection: Connection, session: Session, frame: Control, now: float) -> None:
        if connection.ping_sent is not None:
            session.vitals.round_trip = seconds = now - connection.ping_sent
            connection.ping_sent = None
            if not session.guest:
                self._sessions.probes.ponged(session.name, seconds)

    def _on_goodbye(self, connection: Connection, session: Session, frame: Control, now: float) -> None:
        assert isinstance(frame, Goodbye)
        meant = frame.code in (GoodbyeCode.SHUTDOWN, GoodbyeCode.REPLACED)
        if not meant:
            self._events.append(Log(f"{session.name} ends connection {connection.number}: {_code_name(frame.code)}"))
        connection.why = None if frame.code == GoodbyeCode.REPLACED else f"the peer says: {_code_name(frame.code)}"
        self._switchboard.close(connection, None)
        disbelieved = frame.code in (GoodbyeCode.NOT_BELIEVED, GoodbyeCode.UNKNOWN_NAME)
        reason = FailureReason.NOT_BELIEVED if disbelieved else FailureReason.UNREACHABLE
        self._gone(connection, reason, now, farewell=meant)

    def _on_request(self, connection: Connection, session: Session, frame: Control, now: float) -> None:
        """A lookup or a registration: only a registrar answers."""
        assert isinstance(frame, Lookup | Register)
        if self._service is None:
            raise BadFrame("a request to a node that is no registrar")
        reply = self._service.answer(frame, connection, session.name, now + self._config.wall_clock_offset)
        if reply is None:
            return
        if session.guest and isinstance(reply, Granted):
            self._sessions.admit(session, connection, now)
        self._switchboard.reply(connection, reply)

    def _on_reserve(self, connection: Connection, session: Session, frame: Control, now: float) -> None:
        # A guest is about to register, and asks again.
        reserved = Reserved(accepted=False) if session.guest else self._relay.reserve(session)
        self._switchboard.reply(connection, reserved)

    def _on_reserved(self, connection: Connection, session: Session, frame: Control, now: float) -> None:
        assert isinstance(frame, Reserved)
        if not self._sessions.is_router(session.name):
            raise BadFrame("a place at a node that is not our router")
        if not frame.accepted:
            self._events.append(Log(f"{session.name} has no place for this node; it is asked again"))
            self._sessions.not_reserved(session, now)

    def _on_incoming(self, connection: Connection, session: Session, frame: Control, now: float) -> None:
        assert isinstance(frame, Incoming)
        self._circuits.call(session, frame, now)

    def _on_answer(self, connection: Connection, session: Session, frame: Control, now: float) -> None:
        """The registrar's answer to us."""
        assert isinstance(frame, Found | Granted | Refused)
        if self._genesis is None or session.name != self._genesis.name:
            raise BadFrame("an answer from a node that is not our registrar")
        try:
            self._sessions.resolver.receive_untrusted(frame, now)
        except BadNameRecord as error:
            raise BadFrame(f"a record that is not valid: {error}") from error
        self._sessions.serve_resolver(now)


def _code_name(code: int) -> str:
    try:
        return GoodbyeCode(code).name.lower().replace("_", " ")
    except ValueError:
        return f"code {code}"


_TOLD = {NotBelieved: FailureReason.BAD_KEY, OtherVersion: FailureReason.OTHER_VERSION}
"""What a violation of the peer's is to who waits for it; others are UNREACHABLE, since they may pass."""

_Handler = Callable[[Network, Connection, Session, Control, float], None]
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
    Reserve: (_LIVE, Network._on_reserve),
    Reserved: (_LIVE, Network._on_reserved),
    Incoming: (_LIVE, Network._on_incoming),
    Spliced: ((), Network._on_incoming),
}
"""Frame -> stages in which it is legal, and who handles it."""
