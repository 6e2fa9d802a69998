"""The network as the node sees it: messages to names go in, messages from names come out, bytes pass below.

`Network` is sans-IO and pure: the driver opens and closes connections as events say, carries bytes and calls
`on_timer`; `now` is in seconds, on any monotonic clock; all randomness comes from `entropy`, so the same calls give the
same bytes.

This file is what the node and the driver call. Its components do the work: `connections` holds the connections,
`reception` handles what comes on them, `handlers` says what each frame does, `session_table` holds the peers,
`sessions` reaches them, `session` is what two nodes owe each other, `resolver` asks the registrar. Tests:
tests/net/peering/test_network.py and its neighbours.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from net.base.errors import GoodbyeCode
from net.base.frames import LINEAGES_VERSION, Control
from net.base.limits import MAX_BLOB_BYTES, MAX_HEADER_BYTES, SESSION_CREDIT_MESSAGES
from net.base.node_names import is_node_name
from net.base.timers import Timers
from net.base.wall_clock import WallClock
from net.contract.config import NetworkConfig
from net.contract.events import (
    Buffer,
    Close,
    DialFailure,
    Failed,
    FailureReason,
    LookedUp,
    NamesFreed,
    NetEvent,
    Outgoing,
    Probed,
    ProbeEnded,
    ProbeOutcome,
    tokens_of,
)
from net.names.directory import Directory, Endpoint, HeldRecord, NameRecord
from net.names.identity import Identity, verify_untrusted
from net.names.registrar import Registrar
from net.peering.circuits import Circuits
from net.peering.connections import Switchboard
from net.peering.containment import Containment
from net.peering.context import Context
from net.peering.own_routers import Place
from net.peering.reception import Reception
from net.peering.registrar_service import Service
from net.peering.relay import Relay
from net.peering.sessions import Sessions
from net.session.channel import Stage
from net.session.peer_status import PeerStatus
from net.session.reach import Answer
from net.session.session import Receipt

__all__ = ["Network", "NetworkConfig"]


class Network:
    """All peers of one node, sans-IO. `repr` and `statistics` show the live state."""

    def __init__(
        self,
        identity: Identity,
        directory: Directory,
        config: NetworkConfig,
        entropy: Callable[[int], bytes],
        now: float,
    ) -> None:
        """`directory`: a `registrar.Registrar` makes this node the registrar. `entropy(n)` returns n fresh random
        bytes."""
        assert 0 < config.credit_messages <= SESSION_CREDIT_MESSAGES
        self._identity = identity
        self._directory = directory
        self._config = config
        self._events: deque[NetEvent] = deque()
        self._service = Service(directory, self._events.append) if isinstance(directory, Registrar) else None
        self._timers: Timers[Any] = Timers()
        """The earliest deadline of each component."""
        self._switchboard = Switchboard(self._events, entropy, config.connections, self._timers)
        self._containment = Containment(self._events, self._switchboard)
        self._wall_clock = WallClock(config.wall_clock_offset)
        context = Context(
            identity,
            directory,
            config,
            entropy,
            self._events,
            self._switchboard,
            self._wall_clock,
            self._timers,
            self._containment,
        )
        self._relay = Relay(config.reservations, self._switchboard, entropy, config.memory)
        self._sessions = self._containment.sessions = Sessions(context, self._relay, self._answered)
        self._circuits = Circuits(self._sessions, self._switchboard, self._relay)
        self._reception = Reception(context, self._sessions, self._relay, self._circuits, self._service)
        parts = (self._switchboard, self._relay, self._sessions, self._reception, self)
        self._containment.menders.extend(part.mend for part in parts)
        if self._service is not None:
            self._containment.menders.append(self._service.mend)
        self._wanted: set[str] = set()
        """Names whose lookup the node waits for."""
        self._endpoints = config.endpoints
        self._down = False
        self._now = now
        """Time of the latest call of `on_timer`."""
        self._expire(self._wall_clock.unix(now))
        if config.guest:
            self._sessions.resolver.introduce(now)
        if config.register:
            self.register(now)

    # --- from the node ----------------------------------------------------------------------------------------------

    def send(self, message: Outgoing, now: float) -> None:
        """Send a message; exactly one Delivered or Failed will carry its token."""
        node, stream, header, blob, token, target, paired = message
        try:
            session = self._sessions.table.get(node)
            reason = self._objection(message, known=session is not None)
            if reason is None:
                session = session or self._sessions.table.obtain(node)
                if session is None or session.outbox.full:
                    reason = FailureReason.QUEUE_FULL
                else:
                    session.outbox.queue(stream, header, blob, token, target, paired)
                    connection = session.connection
                    if connection is None or not connection.signalled or not session.live:
                        self._sessions.advance(session, now)
        except Exception as error:
            self.fail(node, error, now)
            told = (each for event in self._events for each in tokens_of(event))
            reason = FailureReason.CONNECTION_LOST if all(each is not token for each in told) else None
        if reason is not None:
            self._events.append(Failed(token, reason))

    def tells_pairs(self, node: str) -> bool:
        """Return whether a message to that node may be `Outgoing.paired`. If the node goes back to an earlier release
        before it has got the message, `header_of` is asked for its header."""
        session = self._sessions.table.get(node)
        return session is not None and session.tells_pairs

    @property
    def takes_lineages(self) -> bool:
        """Whether this node tells others that it takes lineages in headers (`LINEAGES_VERSION`)."""
        return self._config.frames_version >= LINEAGES_VERSION

    def tells_lineages(self, node: str) -> bool:
        """Return whether the header of a message to that node may have its lineage. What waits for a node of which that
        is not known yet, or is no longer true, goes through `reworded`."""
        session = self._sessions.table.get(node)
        return session is not None and session.tells_lineages

    @property
    def reworded(self) -> Callable[[object, bytes, bool, bool], bytes] | None:
        """What returns, for a message's token and its header, the header with its lineage or without; told whether
        the message is `Outgoing.paired`, and whether the header may have the lineage."""
        return self._sessions.reworded

    @reworded.setter
    def reworded(self, reworded: Callable[[object, bytes, bool, bool], bytes]) -> None:
        """Have headers worded anew from now on; whoever puts lineages into them sets it."""
        self._sessions.reworded = reworded

    @property
    def header_of(self) -> Callable[[object], bytes] | None:
        """What returns, for a message's token, the header that says all; whoever sends `Outgoing.paired` sets it."""
        return self._sessions.header_of

    @header_of.setter
    def header_of(self, header_of: Callable[[object], bytes]) -> None:
        """Set it."""
        self._sessions.header_of = header_of

    def fail(self, node: str, error: Exception, now: float) -> None:
        """Make the session with `node` begin anew, since what comes from or goes to it has made our own code fail."""
        session = self._sessions.table.get(node)
        if session is None:
            self._containment.part(f"a message to {node}", error, now)
        else:
            self._containment.session(session, error, now)
            self._containment.mend(now)
            self._containment.mend_at = now

    def taken(self, receipt: object, now: float) -> None:
        """Acknowledge the message of that Received event, which the kernel has taken, and return its credit to the
        peer."""
        try:
            assert isinstance(receipt, Receipt)
            session = receipt.session
            if receipt.inbox.taken(receipt.sequence) and session.inbox is receipt.inbox and session.live:
                connection = session.connection
                if connection is None or not connection.signalled:
                    self._switchboard.signal(connection)
        except Exception as error:
            self.fail(receipt.session.name if isinstance(receipt, Receipt) else "", error, now)
        if self._reception.starves:
            try:
                self._reception.feed(now)
            except Exception as error:
                self._containment.part("what waits for memory", error, now)

    def sign(self, domain: bytes, statement: bytes) -> bytes:
        """Return this node's signature of `statement` for the purpose `domain` (see `vouched_untrusted`)."""
        return self._identity.sign(domain, statement)

    def vouched_untrusted(self, name: str, domain: bytes, statement: bytes, signature: bytes) -> bool | None:
        """Return whether the node `name` has signed `statement`, or None if its key is not known here (`look_up` may
        find it)."""
        if name == self._identity.name:
            return verify_untrusted(self._identity.public_key, domain, statement, signature)
        record = self._directory.find(name)
        return None if record is None else verify_untrusted(record.public_key, domain, statement, signature)

    def sequence_kept(self, sequence: int, now: float) -> None:
        """Note that the number of a SequenceSigned event is durable, so that the record may go to the registrar."""
        self._change_own(lambda: self._sessions.resolver.sequence_kept(sequence, now), now)

    def sequence_not_kept(self, now: float) -> None:
        """Note that the disk does not take the number of a SequenceSigned event for now."""
        self._change_own(lambda: self._sessions.resolver.sequence_not_kept(now), now)

    def set_copy_number(self, number: int, now: float) -> None:
        """Note the number of this node's newest backup copy: its record tells it from its next renewal on, which comes
        within `limits.COPY_SECONDS`. A restore sees by it that a remote shows an older copy."""
        self._change_own(lambda: self._sessions.resolver.set_copy_number(number, now), now)

    def revoked(self, epoch: int, now: float) -> None:
        """Note that this node has revoked something, durably, and its revocation epoch: its record is renewed soon."""
        self._change_own(lambda: self._sessions.resolver.revoked(epoch, now), now)

    def raise_epoch(self, epoch: int, now: float) -> None:
        """Register at once with that revocation epoch, as an Outdated event asks for. It is to be durable when the
        record's number is."""
        self._change_own(lambda: self._sessions.resolver.raise_epoch(epoch, now), now)

    def _change_own(self, change: Callable[[], None], now: float) -> None:
        try:
            change()
            self._sessions.serve_resolver(now)
        except Exception as error:
            self._containment.part("the registration", error, now)

    def unix(self, now: float) -> float:
        """Return the Unix time at `now`."""
        return self._wall_clock.unix(now)

    def record(self, name: str) -> NameRecord | None:
        """Return the record of `name` if it is known here."""
        return self._directory.find(name)

    def records(self) -> list[HeldRecord]:
        """Return all records that are to be kept for the next boot."""
        return self._directory.records()

    @property
    def grants_names(self) -> bool:
        """Whether this node is the registrar: its records are nowhere else."""
        return self._service is not None

    def record_kept(self, record: HeldRecord, now: float, *, kept: bool) -> None:
        """Note that the record of a RecordStored event is durable, or (not `kept`) that the disk does not take it."""
        if self._service is None:
            return
        try:
            replies = self._service.kept(record, kept=kept)
        except Exception as error:
            self._containment.part("a record that is kept", error, now)
            replies = self._service.kept(record, kept=kept)  # otherwise nobody could ever change it
        for number, frame in replies:
            try:
                self._answer_grant(number, frame, kept, now)
            except Exception as error:
                self._containment.connection(number, error, now)

    def _answer_grant(self, number: int, frame: Control, kept: bool, now: float) -> None:
        connection = self._switchboard.get(number)
        if connection is not None and connection.session is not None:
            if connection.session.guest and kept:
                self._sessions.admit(connection.session, connection, now)
            self._switchboard.queue(connection, frame)

    def look_up(self, name: str, now: float) -> None:
        """Ask the registrar for the record of `name`; a LookedUp event tells when the record is there or
        cannot be had.
        """
        try:
            self._wanted.add(name)
            self._sessions.look_up(name, now)
        except Exception as error:
            self._containment.part(f"a lookup of {name}", error, now)

    def probe(self, name: str, token: object, now: float) -> None:
        """Find out whether the node `name` can be reached, without sending a message: open a connection as a message
        would, or ping over an existing session. A Probed event reports each step; the last one holds a ProbeEnded."""
        try:
            if self._down or not is_node_name(name) or name == self._identity.name:
                reason = FailureReason.SHUTDOWN if self._down else FailureReason.NO_SUCH_NAME
                self._events.append(Probed(token, ProbeEnded(ProbeOutcome.OFFLINE, reason)))
            else:
                self._sessions.probe(name, token, now)
        except Exception as error:
            self.fail(name, error, now)
            self._sessions.probes.stop(token)
            self._events.append(Probed(token, ProbeEnded(ProbeOutcome.OFFLINE, FailureReason.CONNECTION_LOST)))

    def stop_probe(self, token: object) -> None:
        """Stop reporting on that probe."""
        self._sessions.probes.stop(token)

    def set_endpoint(self, host: str, port: int, now: float) -> None:
        """Register that address as the only one at which this node is reachable."""
        self._endpoints = (Endpoint(host, port),)
        self.register(now)

    def register(self, now: float) -> None:
        """Register with the registrar, and get places at this node's routers. Registered or RegistrationFailed follows
        if there is a registrar."""
        resolver = self._sessions.resolver
        resolver.wanted = self._endpoints, self._config.routers  # kept even if what follows fails
        self._sessions.keeps_routers = True
        try:
            resolver.register(self._endpoints, self._config.routers, now)
            self._sessions.serve_resolver(now)
            self._sessions.keep_routers(now)
        except Exception as error:
            self._containment.part("the registration", error, now)

    def set_wall_clock(self, offset: float, now: float) -> None:
        """Take `offset` as Unix time minus `now`: the machine's clock may have been set, or the machine has slept. A
        record that has expired by it is believed no longer, and again when the clock is set back; this node's own
        record is renewed if need be."""
        try:
            if self._wall_clock.set(offset):
                self._expire(self._wall_clock.unix(now))
                self._sessions.resolver.renew(now)
                self._sessions.serve_resolver(now)
        except Exception as error:
            self._containment.part("a change of the clock", error, now)

    def shutdown(self, now: float) -> None:
        """Say goodbye to all peers and fail what is unsent or unacknowledged; from now on nothing is accepted or
        dialed."""
        self._down = True
        for connection in self._switchboard.all():
            try:
                self._switchboard.close(connection, GoodbyeCode.SHUTDOWN)
            except Exception as error:
                self._containment.within(connection.number, error, now)
        try:
            self._sessions.shut_down(now)
        except Exception as error:
            self._containment.part("the goodbye", error, now)
            for session in self._sessions.table.all():
                self._sessions.reset(session, now)

    def _objection(self, message: Outgoing, *, known: bool) -> FailureReason | None:
        """Return why a message cannot even be queued, or None; `known`: there is a session with its node."""
        if self._down:
            return FailureReason.SHUTDOWN
        if len(message.header) > MAX_HEADER_BYTES:
            return FailureReason.TOO_LARGE
        if message.blob is not None and memoryview(message.blob).nbytes > MAX_BLOB_BYTES:
            return FailureReason.TOO_LARGE
        if not known and (not is_node_name(message.node) or message.node == self._identity.name):
            return FailureReason.NO_SUCH_NAME
        return None

    def _answered(self, name: str, answer: Answer, now: float) -> None:
        """Pass on the outcome of a lookup: to the node if it asked, and to all else that waits for it."""
        if name in self._wanted:
            self._wanted.discard(name)
            self._events.append(LookedUp(name))
        self._reception.answered(name, answer, now)

    # --- from the driver --------------------------------------------------------------------------------------------

    def new_connection(self) -> int:
        """Return a number for a connection that the driver is about to report as accepted."""
        return self._switchboard.new_number()

    def accepted(self, connection: int, host: str, now: float) -> None:
        """Add a connection that has come from `host`. It is closed at once if there is no capacity for it
        (`net.session.half_open`)."""
        try:
            if self._down or not self._sessions.make_room(host, now):
                self._events.append(Close(connection))
            else:
                self._switchboard.accept(connection, host, self._sessions.handshake(initiator=False), now)
        except Exception as error:
            self._containment.connection(connection, error, now)

    def connected(self, connection: int, now: float) -> None:
        """Begin the handshake on a connection that a Dial event asked for."""
        try:
            item = self._switchboard.get(connection)
            if item is None:
                self._events.append(Close(connection))
            elif item.stage is Stage.DIALING:
                item.begin()
                self._switchboard.signal(item)
                self._sessions.probes.dialed(item)
        except Exception as error:
            self._containment.connection(connection, error, now)

    def dial_failed(self, connection: int, reason: str, now: float) -> None:
        """Give up a connection that a Dial event asked for; `reason` is a `DialFailure`."""
        refused = reason == DialFailure.REFUSED
        code = FailureReason.REFUSED if refused else FailureReason.UNREACHABLE
        try:
            self._reception.ended(connection, code, now, str(reason))
        except Exception as error:
            self._containment.connection(connection, error, now)

    def failed(self, connection: int, error: Exception, now: float) -> None:
        """Handle the end of a connection at which the driver's own code has failed."""
        self._containment.broken(connection, error, now)

    def lost(self, connection: int, now: float) -> None:
        """Handle the end of a connection, whatever its cause."""
        try:
            self._reception.ended(connection, FailureReason.UNREACHABLE, now, "the connection broke")
        except Exception as error:
            self._containment.connection(connection, error, now)

    def receive(self, connection: int, data: Buffer, now: float) -> bool:
        """Handle bytes that have come. Raises nothing, whatever they are; `data` is not kept. Return whether there may
        be events or another deadline, as there are not if all that came is a further piece of a message."""
        try:
            return self._reception.receive(connection, data, now)
        except Exception as error:
            self._containment.connection(connection, error, now)
            return True

    def peer(self, connection: int) -> str:
        """Return the node that has proven its name on that connection, or ""."""
        item = self._switchboard.get(connection)
        return item.session.name if item is not None and item.session is not None else ""

    def mixed(self, connection: int, now: float) -> bool:
        """Return whether small messages go beside a flow of large ones on that connection (`net.session.mixture`), so
        that it is worth some processor time to hold little in advance. To be asked beside much only: it goes by what
        has come and gone since the span of time began in which it was asked first."""
        item = self._switchboard.get(connection)
        session = item.session if item is not None else None
        return session is not None and session.mixture.look(session.inbox, session.outbox, now)

    def pending(self, connection: int, limit: int) -> list[Buffer]:
        """Return about `limit` bytes to write now, encrypted just now. Less than half of `limit` means that this is
        all; a Writable event tells when there is more."""
        try:
            return self._switchboard.pending(connection, limit)
        except Exception as error:
            self._containment.connection(connection, error, self._now, silent=True)
            return []

    def next_deadline(self) -> float | None:
        """Return when to call `on_timer`; calling it early or late does no harm."""
        containment = self._containment
        try:
            first, expiry = self._timers.next(), self._directory.next_expiry()
            if expiry is not None:
                expires_at = self._wall_clock.when(expiry)
                first = expires_at if first is None or expires_at < first else first
        except Exception as error:
            containment.part("the deadlines", error, self._now)
            first = containment.paused_until
        if containment.mend_at is not None:
            return containment.mend_at
        return first if first is None or first >= containment.paused_until else containment.paused_until

    def on_timer(self, now: float) -> None:
        """Act on every deadline that has passed."""
        self._now = now
        containment = self._containment
        if containment.mend_at is not None:
            containment.mend(now)
        try:
            if now >= containment.paused_until:
                self._on_shared_timers(now)
        except Exception as error:
            containment.part("what is due", error, now)
        try:
            while (number := self._switchboard.timers.pop_due(now)) is not None:
                self._on_connection_timer(number, now)
            while (name := self._sessions.timers.pop_due(now)) is not None:
                self._on_session_timer(name, now)
        except Exception as error:
            containment.part("the deadlines", error, now)

    def _on_connection_timer(self, number: int, now: float) -> None:
        try:
            connection = self._switchboard.get(number)
            if connection is not None:
                self._reception.due(connection, now)
        except Exception as error:
            self._containment.connection(number, error, now)

    def _on_session_timer(self, name: str, now: float) -> None:
        try:
            self._sessions.due(name, now)
        except Exception as error:
            self.fail(name, error, now)

    def _on_shared_timers(self, now: float) -> None:
        while (expiry := self._directory.next_expiry()) is not None and self._wall_clock.when(expiry) <= now:
            self._expire(max(expiry, self._wall_clock.unix(now)))  # however it was rounded
        self._reception.on_timer(now)
        self._sessions.on_timer(now)
        self._sessions.probes.on_timer(now)  # before the silence of its connection is dealt with
        self._sessions.resolver.on_timer(now)
        self._sessions.serve_resolver(now)

    def mend(self, now: float) -> None:
        """Repair the tables (see `containment`): each name that the node still waits for is told as ended."""
        self._timers.mend()
        for name in sorted(self._wanted):
            if not self._sessions.resolver.asks(name):
                self._wanted.discard(name)
                self._events.append(LookedUp(name))

    def _expire(self, at: float) -> None:
        freed = self._directory.expire(at)
        if freed:
            self._sessions.table.forget(freed)
            self._events.append(NamesFreed())

    # --- out --------------------------------------------------------------------------------------------------------

    @property
    def events(self) -> deque[NetEvent]:
        """The queue that `next_event` takes from, for a caller that checks it at every step."""
        return self._events

    @property
    def unsettled(self) -> bool:
        """Whether there are events that have not been fetched."""
        return bool(self._events)

    def next_event(self) -> NetEvent | None:
        """Return the oldest event that has not been fetched, or None."""
        return self._events.popleft() if self._events else None

    def peers(self) -> list[PeerStatus]:
        """Return the status of each node that there is a session with, by name."""
        return [session.status() for session in sorted(self._sessions.table.all(), key=lambda session: session.name)]

    def routers(self) -> dict[str, Place]:
        """Return what this node has at each of its routers; it is reached through those that keep a place."""
        return self._sessions.routers.places()

    def carried(self) -> list[str]:
        """Return the nodes that have a place here, as at one of their routers, oldest first."""
        return self._relay.places

    def statistics(self) -> dict[str, int]:
        """Return counters for status pages."""
        sessions = self._sessions.table.all()
        return {
            "connections": len(self._switchboard.all()),
            "sessions": len(sessions),
            "live": sum(session.live for session in sessions),
            "outgoing_messages": sum(session.outbox.messages for session in sessions),
            "outgoing_bytes": sum(session.outbox.bytes for session in sessions),
            "incoming_bytes": sum(session.inbox.held_bytes for session in sessions),
            "places": len(self.carried()),
            "circuits": self._relay.circuits,
        }

    @property
    def failures(self) -> int:
        """How often our own code has failed so far."""
        return self._containment.count

    def __repr__(self) -> str:
        return f"Network({self._identity.name}, {self._sessions}, {self._switchboard})"
