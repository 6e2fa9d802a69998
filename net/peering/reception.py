"""What comes on connections, from the first byte to the last: handshakes, then names that are believed, then frames.

A connection reaches a session in these steps: dialed or accepted, handshake, name believed (`admission`), resume
frames. This module takes it through them, hands each frame to `handlers`, and cleans up when the connection ends.
Tests: tests/net/peering/test_network.py and its neighbours.
"""

from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap

from net.base.errors import (
    BadFrame,
    GoodbyeCode,
    NoCircuit,
    NoCredit,
    NoMemory,
    NoRoom,
    NotBelieved,
    NotRead,
    OtherCipher,
    OtherVersion,
    ProtocolViolation,
    Stalled,
)
from net.base.frames import PAIRS_VERSION, Control, Data, decode_frames_untrusted
from net.base.limits import (
    FRAMES_AT_ONCE,
    HANDSHAKE_SECONDS,
    HELD_PIECE_OVERHEAD_BYTES,
    KEEPALIVE_SECONDS,
    LONG_RECORD_SECONDS,
    MAX_PLAINTEXT_BYTES,
    MAX_UNREAD_BYTES,
    PING_SECONDS,
    VERIFY_SECONDS,
)
from net.contract.events import Buffer, FailureReason, Log, Received, RecordStored
from net.peering.admission import Admission, AdmissionVerdict, Ruling
from net.peering.backlog import Backlog
from net.peering.circuits import Circuits
from net.peering.context import Context
from net.peering.handlers import Handlers
from net.peering.registrar_service import Service
from net.peering.relay import Relay
from net.peering.sessions import Sessions
from net.session.channel import Deferred, HoldReason, Stage
from net.session.dropped import Dropped
from net.session.progress import Progress
from net.session.reach import Answer
from net.session.session import Connection, Receipt, Session

_LEG, _LIVE, _SPLICED = Stage.LEG, Stage.LIVE, Stage.SPLICED
_new = tuple.__new__
_TOLD = {NotBelieved: FailureReason.BAD_KEY, OtherVersion: FailureReason.OTHER_VERSION}
"""The failure that a peer's violation is to those that wait for that peer; others are UNREACHABLE, since they may pass.
"""


class Reception:
    """The handling of all that comes on the connections of a node."""

    def __init__(
        self, context: Context, sessions: Sessions, relay: Relay, circuits: Circuits, service: Service | None
    ) -> None:
        self._events = context.events
        self._switchboard = context.switchboard
        self._sessions = sessions
        self._relay = relay
        self._circuits = circuits
        self._directory = context.directory
        self._wall_clock = context.wall_clock
        self._containment = context.containment
        self._admission = Admission(context.identity, context.directory)
        self._handlers = Handlers(context, sessions, relay, circuits, service)
        self._verifying: dict[str, list[int]] = {}
        """Connections that wait for the lookup of a name, by that name."""
        # Pages that no record has reached take no memory: a simulation has hundreds of nodes.
        self._scratch = memoryview(mmap(-1, MAX_PLAINTEXT_BYTES, flags=MAP_PRIVATE | MAP_ANONYMOUS))
        self._speaks_pairs = context.config.frames_version >= PAIRS_VERSION
        self._dropped = Dropped(context.timers)
        self._progress = Progress(context.config.memory, context.timers)
        self._left = FRAMES_AT_ONCE
        """Frames that may still be handled before other connections have their turn."""
        self._stirred = False
        """Whether more has come in this call of `receive` than a further piece of a message."""
        self._backlog = Backlog(context.switchboard, context.timers)

    def receive(self, connection: int, data: Buffer, now: float) -> bool:
        """Handle bytes that have come. Raises nothing, whatever they are; `data` is not kept. Return whether the owner
        has anything to do for it, as it has not if all that came is a further piece of a message."""
        item = self._switchboard.get(connection)
        if item is None:
            return False
        self._stirred = item.session is None
        if item.session is not None:
            item.session.bytes_received += len(data)
            if now >= item.murmurs_at and now - item.last_heard >= LONG_RECORD_SECONDS:
                self._switchboard.murmur(item, item.session.bytes_sent, now)
        elif item.partner is not None:
            item.last_heard = now
            self._switchboard.relay(item, data)
            return True
        self._begin_turn()
        try:
            for piece in item.splitter.split(data):
                if item.deferred is not None:
                    self._stirred = True
                    self._backlog.put(item, piece)
                    continue
                self._piece(item, piece, now)
                if item.closed:
                    # A leg that was spliced has a successor, whose first piece may be here already.
                    successor = self._switchboard.get(connection)
                    if successor is None:
                        return True
                    item = successor
            item.check_expected()
        except ProtocolViolation as violation:
            self.violated(item, violation, now)
            return True
        return self._stirred or bool(self._events)

    def _begin_turn(self) -> None:
        self._left = self._backlog.frames_at_once()

    # --- connections end --------------------------------------------------------------------------------------------

    def ended(self, number: int, reason: FailureReason, now: float, why: str) -> None:
        """Handle the driver's report that a connection has ended, or did not come about; `why` is for people."""
        connection = self._switchboard.get(number)
        if connection is not None:
            if connection.stage is Stage.LIVE:
                self._events.append(Log(f"{connection} has broken"))
            connection.why = why
            self._switchboard.forget(connection)
            self._sessions.gone(connection, reason, now)

    def violated(self, connection: Connection, violation: ProtocolViolation, now: float) -> None:
        """End the connection of a peer that has broken the protocol, and let all that relied on it carry on."""
        self._tell_end(connection, str(violation), now)
        connection.why = str(violation)
        session = connection.session
        if session is not None and session.connection is connection and isinstance(violation, (Stalled, NoRoom)):
            session.inbox.shrink()  # at once: others wait for the memory
        self._switchboard.close(connection, violation.code)
        if isinstance(violation, OtherCipher):
            self._sessions.chosen_anew(connection, now)
        if connection.session is not None and not connection.session.guest:
            self._sessions.punish(connection.session, violation, now)
        self._sessions.gone(connection, _TOLD.get(type(violation), FailureReason.UNREACHABLE), now)
        if connection.session is not None and isinstance(violation, NoCredit):
            self._sessions.refuse(connection.session, now)

    def _tell_end(self, connection: Connection, why: str, now: float) -> None:
        line = self._dropped.add(connection, why, now) if connection.half_open else f"{connection} ends: {why}"
        if line is not None:
            self._events.append(Log(line))

    def due(self, connection: Connection, now: float) -> None:
        """Act on a connection's deadline: of the handshake, of the lookup of its name, or of the keepalive."""
        timers = self._switchboard.timers
        if connection.stage is Stage.VERIFYING:
            self._verify_or_end(connection, now, Answer.UNAVAILABLE)
        elif connection.stage is Stage.SPLICED:
            if self._relay.due(connection, now):
                self._switchboard.close(connection, None)
                self._sessions.gone(connection, FailureReason.UNREACHABLE, now)
        elif connection.holds & HoldReason.BACKLOG:
            timers.set(connection.number, now + KEEPALIVE_SECONDS)  # `on_timer` sees to it
        elif connection.holds and not self._writes_on(connection):
            self.violated(connection, NotRead("it does not read its answers"), now)
        elif connection.stage is not Stage.LIVE or (connection.pinged and not self._is_slow(connection, now)):
            connection.why = "no answer in time"
            self._tell_end(connection, "silent for too long", now)
            unanswered = connection.stage is Stage.LEG
            self._switchboard.close(connection, GoodbyeCode.NO_CIRCUIT if unanswered else GoodbyeCode.SILENT)
            self._sessions.gone(connection, FailureReason.UNREACHABLE, now)
        elif not self._gets_on(connection, now):
            pass
        elif connection.pinged:
            timers.set(connection.number, now + PING_SECONDS)
        elif now < connection.last_heard + KEEPALIVE_SECONDS:
            timers.set(connection.number, connection.last_heard + KEEPALIVE_SECONDS)
        else:
            connection.expect_answer()
            self._switchboard.ping(connection, now)
            timers.set(connection.number, now + PING_SECONDS)

    def _is_slow(self, connection: Connection, now: float) -> bool:
        """Return whether a pong may yet come to a live connection: on a slow link the ping is behind much else, or the
        pong is."""
        return connection.record_grows(now) or self._writes_on(connection)

    def _writes_on(self, connection: Connection) -> bool:
        assert connection.session is not None
        return connection.watch.writes_on(connection.session.bytes_sent, writing=connection.signalled)

    def _gets_on(self, connection: Connection, now: float) -> bool:
        """Return whether a live connection makes progress; if not, it has ended now."""
        session = connection.session
        assert session is not None
        try:
            connection.watch.look(session.outbox, session.bytes_sent, writing=connection.signalled, now=now)
        except ProtocolViolation as violation:
            self.violated(connection, violation, now)
            return False
        return True

    # --- handshake and admission ------------------------------------------------------------------------------------

    def _piece(self, connection: Connection, piece: Buffer, now: float) -> None:
        """Handle one record, or one handshake message. Raises ProtocolViolation."""
        if connection.stage is _SPLICED:
            raise BadFrame("bytes that came before the circuit was there")
        if connection.stage >= _LEG:
            self._record(connection, piece, self._scratch, now)
        elif connection.stage is Stage.HANDSHAKE:
            self._switchboard.spoke(connection)
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
        """Decide whether the peer is the node it names. `answer` is the outcome of the lookup of its name. Raises
        ProtocolViolation if it is not."""
        ruling = self._admission.judge(connection, answer, self._wall_clock.unix(now))
        if ruling.learned is not None:
            self._events.append(RecordStored(ruling.learned))
            self._distrust(ruling.name, now)
        if ruling.verdict is AdmissionVerdict.LOOK_UP:
            self._verifying.setdefault(ruling.name, []).append(connection.number)
            self._switchboard.timers.set(connection.number, now + VERIFY_SECONDS)
            self._sessions.look_up(ruling.name, now)
            return
        if ruling.verdict is AdmissionVerdict.BELIEVED:
            self._sessions.check_pause(ruling.name, now)
        self._sessions.cipher_lists.check(connection, ruling.name)
        self._check_room(connection, ruling.name)
        if answer is not None:
            self._switchboard.timers.set(connection.number, now + HANDSHAKE_SECONDS)
        if connection.dialed is not None:
            connection.finish_handshake()
        if ruling.verdict is AdmissionVerdict.BELIEVED:
            self._switchboard.handshake_done(connection)
        if self._is_leg(connection, ruling, now):
            return
        connection.stage = Stage.WAITING
        connection.pairs = {} if self._speaks_pairs else None
        connection.session = session = self._session_of(ruling.name, guest=ruling.verdict is AdmissionVerdict.GUEST)
        if ruling.verdict is AdmissionVerdict.BELIEVED:
            self._sessions.probes.proven(connection, self._directory.find(ruling.name))
        if session.arbiter:
            self._sessions.choose(session, connection)
        self._switchboard.signal(connection)
        self._read_held(connection, now)

    def _check_room(self, connection: Connection, name: str) -> None:
        """Raise NoRoom if there is no capacity for a connection that has come. It may replace another one of
        this peer.
        """
        session = self._sessions.table.get(name)
        replaces = session is not None and session.connection is not None
        if connection.dialed is None and not replaces and self._switchboard.is_full:
            raise NoRoom("no room for another connection")

    def _is_leg(self, connection: Connection, ruling: Ruling, now: float) -> bool:
        """Return whether the connection is a leg of a circuit; if so, it is admitted. Raises ProtocolViolation."""
        assert connection.greeting is not None
        circuit = connection.handshake.circuit or connection.greeting.circuit
        if circuit is None:
            return False
        if ruling.verdict is not AdmissionVerdict.BELIEVED:
            raise NoCircuit("a circuit is for nodes with a registered name")
        self._circuits.admit(connection, circuit, ruling.name, now)
        self._switchboard.signal(connection)
        self._read_held(connection, now)
        return True

    def _session_of(self, name: str, *, guest: bool) -> Session:
        session = self._sessions.table.guest(name) if guest else self._sessions.table.obtain(name)
        if session is None:
            raise NoRoom("no room for another peer")
        return session

    def _read_held(self, connection: Connection, now: float) -> None:
        held, connection.held = connection.held, []
        for record in held:
            if connection.deferred is not None:
                self._backlog.put(connection, record)
                continue
            # Not in the scratch: this may run from within the handling of another connection's record.
            self._record(connection, record, memoryview(bytearray(len(record))), now)
            if connection.closed:
                return

    def _verify_or_end(self, connection: Connection, now: float, answer: Answer) -> None:
        try:
            self._verify(connection, now, answer)
        except ProtocolViolation as violation:
            self.violated(connection, violation, now)

    def answered(self, name: str, answer: Answer, now: float) -> None:
        """Judge the connections that wait for the lookup of `name`, which has ended."""
        if answer is Answer.KNOWN:
            self._distrust(name, now)
        for number in self._verifying.pop(name, []):
            connection = self._switchboard.get(number)
            if connection is not None and connection.stage is Stage.VERIFYING:
                try:
                    self._verify_or_end(connection, now, answer)
                except Exception as error:
                    self._containment.within(number, error, now)

    def mend(self, now: float) -> None:
        """Repair the tables (see `containment`)."""
        waiting = {name: [*map(self._switchboard.get, numbers)] for name, numbers in self._verifying.items()}
        self._verifying = {}
        for name, connections in waiting.items():
            left = [each.number for each in connections if each is not None and each.stage is Stage.VERIFYING]
            if left:
                self._verifying[name] = left
        self._backlog.mend()

    def _distrust(self, name: str, now: float) -> None:
        """End the connections whose key is no longer that of `name`, since a new record was learned. Of two nodes that
        claim one name, one is believed."""
        session = self._sessions.table.get(name)
        connection = session.connection if session is not None else None
        if connection is not None and not self._admission.proven(connection, name):
            self.violated(connection, NotBelieved(f"{name} has another key by now"), now)

    # --- records ----------------------------------------------------------------------------------------------------

    def _record(self, connection: Connection, record: Buffer, into: memoryview, now: float) -> None:
        """Decrypt a record and handle its frames. Raises ProtocolViolation."""
        opener, session = connection.opener, connection.session
        assert opener is not None
        length = opener.open_untrusted(record, into)
        connection.last_heard = now
        if connection.pinged:
            connection.pinged = False
            self._switchboard.timers.set(connection.number, now + KEEPALIVE_SECONDS)
        frames = decode_frames_untrusted(into[:length], connection.pairs)
        if session is not None:
            self._frames(connection, frames, now)
            return
        for frame in frames:
            self._handlers.handle_on_leg(connection, frame, now)
            if connection.closed:
                return

    def _frames(self, connection: Connection, frames: list[Data | Control], now: float) -> None:
        """Handle the frames of a peer, as far as its turn and the memory allow; the rest is put off. Raises
        ProtocolViolation."""
        session = connection.session
        assert session is not None
        left, handled, stirred = self._left, 0, False
        if len(frames) > left and not self._backlog.has_turns():
            left = len(frames)
        try:
            for frame in frames:
                if handled == left:
                    self._left, self._stirred = 0, True
                    self._backlog.queue(connection, frames[handled:], now)
                    return
                if type(frame) is not Data:
                    stirred = True
                    self._handlers.handle(connection, session, frame, now)
                elif connection.stage is not _LIVE:
                    raise BadFrame("a message before the resume frames")
                else:
                    arrived = session.receive(frame)
                    if arrived is not None:
                        sequence, header, blob, pair = arrived
                        receipt = Receipt(session, session.inbox, sequence)
                        self._events.append(_new(Received, (session.name, header, blob, receipt, pair)))
                    elif self._progress.watch(session, now):
                        stirred = True  # for a deadline that its owner does not know
                if connection.closed:
                    self._stirred = True
                    return
                handled += 1
        except NoMemory:
            greediest = self._backlog.crowded_out(connection)
            if greediest is not None:
                self.violated(greediest, NoRoom("too many peers wait for memory, and it holds most"), now)
            stirred = True
            self._backlog.starve(connection, frames[handled:], now)
        self._left = max(0, left - handled)
        self._stirred = self._stirred or stirred

    # --- what waited ------------------------------------------------------------------------------------------------

    @property
    def starves(self) -> bool:
        """Whether `feed` may have anything to do."""
        return self._backlog.starves

    def feed(self, now: float) -> None:
        """There may be memory by now for connections that wait for it. This is called whenever a message is taken."""
        for connection in self._backlog.fed(now):
            self._resume(connection, now)

    def _resume(self, connection: Connection, now: float) -> None:
        deferred = connection.deferred
        if connection.closed or deferred is None:
            return
        try:
            self._go_on(connection, deferred, now)
        except ProtocolViolation as violation:
            self.violated(connection, violation, now)
        except Exception as error:
            self._containment.within(connection.number, error, now)
        if not connection.closed and connection.deferred is None:
            self._switchboard.release(connection, HoldReason.BACKLOG)
            if connection.session is not None:
                self._progress.excuse(connection.session, deferred.began, now)

    def _go_on(self, connection: Connection, deferred: Deferred, now: float) -> None:
        """Handle what waited, until something of it has to wait again. Raises ProtocolViolation."""
        frames, since = len(deferred.frames), deferred.since
        connection.deferred = None
        self._frames(connection, deferred.frames, now)
        while deferred.pieces and connection.deferred is None and not connection.closed:
            frames, since = 0, now
            self._record(connection, deferred.take_piece(), self._scratch, now)
        self._backlog.resumed(connection, deferred, frames, since, now)

    # --- time passes ------------------------------------------------------------------------------------------------

    def on_timer(self, now: float) -> None:
        """Give up on peers that do not finish their messages, and retry what had to wait for memory."""
        for session in self._progress.on_timer(now):
            if session.connection is not None:
                slow = Stalled("it does not go on with the messages that it has begun")
                self.violated(session.connection, slow, now)
        if (connection := self._backlog.next_turn()) is not None:
            self._begin_turn()
            self._resume(connection, now)
        if self._backlog.looks_again(now):
            self.feed(now)
        if (line := self._dropped.on_timer(now)) is not None:
            self._events.append(Log(line))
