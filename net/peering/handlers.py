"""What each control frame does: one table from frame to its handler and the stages in which it is legal."""

from collections.abc import Callable

from net.base.errors import BadFrame, BadNameRecord, GoodbyeCode
from net.base.frames import (
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
)
from net.contract.events import Delivered, Failed, FailureReason, Log
from net.peering.circuits import Circuits
from net.peering.context import Context
from net.peering.registrar_service import Service
from net.peering.relay import Relay
from net.peering.sessions import Sessions
from net.session.channel import Stage
from net.session.session import Connection, Session

_new = tuple.__new__


class Handlers:
    """What each frame of a peer, or of a leg of a circuit, does."""

    def __init__(
        self, context: Context, sessions: Sessions, relay: Relay, circuits: Circuits, service: Service | None
    ) -> None:
        self._events = context.events
        self._switchboard = context.switchboard
        self._sessions = sessions
        self._relay = relay
        self._circuits = circuits
        self._service = service
        self._directory = context.directory
        self._registrar = context.directory.genesis.name if context.directory.genesis is not None else None
        self._wall_clock = context.wall_clock

    def handle(self, connection: Connection, session: Session, frame: Control, now: float) -> None:
        """Handle a control frame of a peer that is believed. Raises ProtocolViolation."""
        stages, handler = HANDLERS[type(frame)]
        if connection.stage not in stages:
            raise BadFrame(f"a {type(frame).__name__.lower()} frame out of place")
        handler(self, connection, session, frame, now)

    def handle_on_leg(self, leg: Connection, frame: Data | Control, now: float) -> None:
        """Handle a frame on a leg of a circuit: only its router says anything there. Raises ProtocolViolation."""
        if isinstance(frame, Spliced):
            self._circuits.spliced(leg, frame, now)
        elif isinstance(frame, Goodbye):
            self._events.append(self._circuits.goodbye(leg, frame))
            leg.why = f"the router says: {code_name(frame.code)}"
            self._switchboard.close(leg, None)
            self._sessions.gone(leg, FailureReason.UNREACHABLE, now)
        else:
            raise BadFrame("a frame that has no place on a leg of a circuit")

    def _on_resume(self, connection: Connection, session: Session, frame: Control, now: float) -> None:
        assert isinstance(frame, Resume)
        if not session.arbiter and not session.accepts(frame, connection.met):
            connection.why = None
            self._switchboard.close(connection, GoodbyeCode.REPLACED)
            self._sessions.gone(connection, FailureReason.UNREACHABLE, now)
            return
        delivered, failed = session.resumed(frame)
        if not session.arbiter:
            old = session.connection
            connection.queue(session.answer(connection, frame.binding))
            self._sessions.replaced(session, old)
        if delivered:
            self._events.append(Delivered(delivered))
        self._events.extend(Failed(token, FailureReason.PEER_RESTARTED) for token in failed)
        session.outbox.leaving = ()
        self._sessions.spell_out(session)
        self._relay.withdraw(session)  # on each connection it asks anew for its place, if it still wants one
        self._sessions.live(session, connection, now)

    def _on_ack(self, connection: Connection, session: Session, frame: Control, now: float) -> None:
        assert isinstance(frame, Ack)
        self._events.append(_new(Delivered, (session.outbox.acknowledge(frame.sequences),)))
        session.outbox.leaving = ()
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
        was_only = session.connection is connection and not session.guest
        if not meant:
            self._events.append(Log(f"{session.name} ends connection {connection.number}: {code_name(frame.code)}"))
        connection.why = None if frame.code == GoodbyeCode.REPLACED else f"the peer says: {code_name(frame.code)}"
        self._switchboard.close(connection, None)
        disbelieved = frame.code in (GoodbyeCode.NOT_BELIEVED, GoodbyeCode.UNKNOWN_NAME)
        reason = FailureReason.NOT_BELIEVED if disbelieved else FailureReason.UNREACHABLE
        self._sessions.gone(connection, reason, now, farewell=meant)
        if frame.code == GoodbyeCode.REPLACED and was_only:
            self._sessions.replaced_elsewhere(session, now)

    def _on_request(self, connection: Connection, session: Session, frame: Control, now: float) -> None:
        """Answer a lookup or a registration, if this node is the registrar."""
        assert isinstance(frame, Lookup | Register)
        if self._service is None:
            if not isinstance(frame, Lookup) or frame.name != session.name:
                raise BadFrame("a request to a node that is not a registrar")
            self._switchboard.reply(connection, Found(frame.request, self._directory.signed(frame.name)))
            return
        self._switchboard.check_reads(connection)  # also for a grant, whose answer comes later
        reply = self._service.answer(frame, connection, session.name, self._wall_clock.unix(now))
        if reply is None:
            return
        if session.guest and isinstance(reply, Granted):
            self._sessions.admit(session, connection, now)
        self._switchboard.reply(connection, reply)

    def _on_reserve(self, connection: Connection, session: Session, frame: Control, now: float) -> None:
        record = self._directory.find(session.name)
        if session.guest or record is None or session.connection is None:
            reserved = Reserved(accepted=False)  # it is about to register, and asks again
        else:
            reserved = self._relay.reserve(session, record.public_key)
        self._switchboard.reply(connection, reserved)

    def _on_reserved(self, connection: Connection, session: Session, frame: Control, now: float) -> None:
        assert isinstance(frame, Reserved)
        if session.name not in self._sessions.routers:
            raise BadFrame("a place at a node that is not our router")
        self._sessions.reserved(session, now, accepted=frame.accepted)

    def _on_incoming(self, connection: Connection, session: Session, frame: Control, now: float) -> None:
        assert isinstance(frame, Incoming)
        self._circuits.call(session, frame, now)

    def _on_answer(self, connection: Connection, session: Session, frame: Control, now: float) -> None:
        """Pass the registrar's answer to the resolver."""
        assert isinstance(frame, Found | Granted | Refused)
        shown = isinstance(frame, Found) and self._sessions.doubts.is_answer(session.name, frame)
        if session.name != self._registrar and not shown:
            raise BadFrame("an answer from a node that is not our registrar")
        try:
            if not shown:
                self._sessions.resolver.receive_untrusted(frame, now)
            elif isinstance(frame, Found) and frame.record is not None:
                self._sessions.resolver.shown_untrusted(frame.record, now)
        except BadNameRecord as error:
            raise BadFrame(f"a record that is not valid: {error}") from error
        self._sessions.serve_resolver(now)


def code_name(code: int) -> str:
    """Return the name of a goodbye's code."""
    try:
        return GoodbyeCode(code).name.lower().replace("_", " ")
    except ValueError:
        return f"code {code}"


_Handler = Callable[[Handlers, Connection, Session, Control, float], None]
_LIVE = (Stage.LIVE,)
HANDLERS: dict[type, tuple[tuple[Stage, ...], _Handler]] = {
    Resume: ((Stage.WAITING,), Handlers._on_resume),
    Goodbye: ((Stage.WAITING, Stage.LIVE), Handlers._on_goodbye),
    Ack: (_LIVE, Handlers._on_ack),
    Credit: (_LIVE, Handlers._on_credit),
    Ping: (_LIVE, Handlers._on_ping),
    Pong: (_LIVE, Handlers._on_pong),
    Lookup: (_LIVE, Handlers._on_request),
    Register: (_LIVE, Handlers._on_request),
    Found: (_LIVE, Handlers._on_answer),
    Granted: (_LIVE, Handlers._on_answer),
    Refused: (_LIVE, Handlers._on_answer),
    Reserve: (_LIVE, Handlers._on_reserve),
    Reserved: (_LIVE, Handlers._on_reserved),
    Incoming: (_LIVE, Handlers._on_incoming),
    Spliced: ((), Handlers._on_incoming),
}
"""Stages in which each frame is legal, and its handler."""
