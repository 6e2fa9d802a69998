"""How each session gets and keeps a connection: dial, look up, back off, give up.

It carries out what `reach` decides, and carries the `resolver`'s frames, since the registrar is a peer like others.
"""

from collections.abc import Callable

from net.base.ciphers import ALWAYS, choose
from net.base.errors import GoodbyeCode, Paused, ProtocolViolation
from net.base.frames import Lookup, Reserve
from net.base.limits import FORGET_SECONDS, KEEPALIVE_SECONDS, MAX_ENDPOINTS, PING_SECONDS, ROUTER_RETRY_SECONDS
from net.base.timers import Timers
from net.contract.events import (
    DialStatus,
    Failed,
    FailureReason,
    Log,
    NameFound,
    PeerDown,
    PeerUp,
    ProbeOutcome,
    tokens_of,
)
from net.names.directory import Endpoint
from net.names.own_records import OwnRecords
from net.peering.containment import WHY
from net.peering.context import Context
from net.peering.own_routers import OwnRouters
from net.peering.penalties import Penalties
from net.peering.probes import Probes
from net.peering.relay import Relay
from net.peering.resolver import Resolver
from net.peering.routes import Routes
from net.peering.session_table import SessionTable
from net.session.channel import Stage
from net.session.cipher_lists import CipherLists
from net.session.doubts import OWN_REQUEST, Doubts
from net.session.handshake import Circuit, Connect, Handshake
from net.session.peer_status import PeerState
from net.session.reach import Answer, GiveUp, LookUp, Reach, Step, Try, Wait
from net.session.session import Connection, Session


class Sessions:
    """The peers of a node, and what is done so that each has a connection when it needs one."""

    def __init__(self, context: Context, relay: Relay, answered: Callable[[str, Answer, float], None]) -> None:
        """`answered` is told of every lookup that has ended: name, outcome, now."""
        identity, directory, config = context.identity, context.directory, context.config
        events, switchboard = context.events, context.switchboard
        self._identity = identity
        self._directory = directory
        self._config = config
        self._entropy = context.entropy
        self._static = context.entropy(32)
        self._events = events
        self._switchboard = switchboard
        self._containment = context.containment
        self._relay = relay
        self._answered = answered
        self._genesis = directory.genesis
        self.table = SessionTable(identity.name, config, switchboard, context.entropy)
        self.routers = OwnRouters(config.routers)
        self.keeps_routers = False
        """Whether to keep a session with each of this node's routers."""
        self._seekers: dict[str, set[str]] = {}
        """Names that are being looked up, and the peers whose sessions wait for each."""
        self._routes = Routes(identity.name, directory)
        self._penalties = Penalties()
        self._down = False
        self.probes = Probes(events.append, context.timers)
        self.timers: Timers[str] = Timers(context.timers)
        """One deadline for each session: of what `reach` waits for."""
        self._all_timers = context.timers
        """Has, with this object as its key, when peers that are gone are forgotten; it has none if none has gone since
        the last was forgotten."""
        self.resolver = Resolver(
            identity,
            directory,
            events.append,
            previous=config.previous,
            wall_clock=context.wall_clock,
            timers=context.timers,
            ciphers=config.ciphers,
            record_seconds=config.record_seconds,
            invitation=config.invitation,
            own=OwnRecords(
                tuple(each.public_key for each in (identity, config.previous) if each is not None),
                config.sequence,
                config.epoch,
                keeps_sequence=config.keeps_sequence,
            ),
        )
        self.doubts = Doubts(context.timers)
        self.cipher_lists = CipherLists(directory)
        self.header_of: Callable[[object], bytes] | None = None
        """See `network.Network.header_of`."""
        self.reworded: Callable[[object, bytes, bool, bool], bytes] | None = None
        """See `network.Network.reworded`."""

    def admit(self, session: Session, connection: Connection, now: float) -> None:
        """Make a peer of a guest that has got its name. If the name has a session already, with a former key or since
        before its record expired, that one ends, and what waits in it goes on with the guest."""
        former = self.table.get(session.name)
        if former is not None:
            self._supersede(former, session)
        self.table.admit(session)
        self._switchboard.handshake_done(connection)
        self._switchboard.queue(connection, session.promote())
        self._is_up(session, now)

    def _supersede(self, former: Session, session: Session) -> None:
        failed = session.inherit(former)
        self._events.extend(Failed(token, FailureReason.PEER_RESTARTED) for token in failed)
        session.outbox.leaving = ()
        for connection in self._switchboard.all():
            if connection.session is former or connection.number == former.attempt:
                self._switchboard.close(connection, GoodbyeCode.REPLACED)
        former.unbind()
        self.spell_out(session)

    def spell_out(self, session: Session) -> None:
        """Have the headers of what waits for a peer say what its version has no other place for, and nothing that it
        does not take."""
        if not session.tells_pairs and self.header_of is not None:
            session.outbox.spell_out(self.header_of)
        if self.reworded is not None:
            reworded, tells = self.reworded, session.tells_lineages
            session.outbox.reword(lambda token, header, paired: reworded(token, header, paired, tells))

    # --- connections come ---

    def handshake(self, *, initiator: bool, peer: str | None = None, circuit: Circuit | None = None) -> Handshake:
        """Return one side of a new handshake, with this boot's static key; `peer` is the node that is dialed, and
        `circuit` is for a leg of one."""
        is_registrar = self._genesis is not None and peer == self._genesis.name
        record = self.resolver.introduction() if is_registrar else self.resolver.own_record
        listed = () if peer is None else self.cipher_lists.of(peer)
        handshake = Handshake(
            self._identity,
            record,
            initiator=initiator,
            static=self._static,
            entropy=self._entropy,
            circuit=circuit,
            cipher=choose(self.cipher_lists.of_record(record), listed) if listed else ALWAYS,
        )
        handshake.version = self._config.version
        return handshake

    def choose(self, session: Session, connection: Connection) -> None:
        """Let this connection carry the session from now on, as the arbiter."""
        old = session.connection
        self._switchboard.queue(connection, session.choose(connection))
        self.replaced(session, old)

    def replaced(self, session: Session, old: Connection | None) -> None:
        """Close the connection that `session.connection` has made superfluous."""
        if old is not None and old is not session.connection and not old.closed:
            self._switchboard.close(old, GoodbyeCode.REPLACED)
        attempt = self._switchboard.get(session.attempt)
        if attempt is not None and attempt is not session.connection and attempt.stage < Stage.WAITING:
            session.attempt = None
            self._switchboard.close(attempt, None)

    def live(self, session: Session, connection: Connection, now: float) -> None:
        """Let messages pass: both resume frames have."""
        connection.stage = Stage.LIVE
        session.live = True
        session.reach = None
        session.attempt = None
        session.looking.clear()
        session.note(now)
        self._switchboard.timers.set(connection.number, now + KEEPALIVE_SECONDS)
        self._switchboard.signal(connection)
        self._ping(session, connection, now)
        if not session.guest:
            self._is_up(session, now)
        if self.resolver.revokes_more_than(connection.handshake.record):
            self._greet_anew(session, now)

    def _is_up(self, session: Session, now: float) -> None:
        self.timers.set(session.name, None)
        if not session.up:
            session.up = True
            self._events.append(PeerUp(session.name))
        if session.name in self.routers:
            self.reserve(session)
        is_registrar = self._is_registrar(session)
        if is_registrar:
            self.resolver.connected()
            self.resolver.check(now)
            self.serve_resolver(now)
        if self.doubts.settle(session.name) and not is_registrar and session.connection is not None:
            self._switchboard.queue(session.connection, Lookup(OWN_REQUEST, self._identity.name))

    def chosen_anew(self, connection: Connection, now: float) -> None:
        """Let a node that was dialed with the wrong cipher be dialed again at once, by the record that it has shown;
        and ask the registrar for its newest one."""
        owner = self.table.get(connection.owner) if connection.owner is not None else None
        if owner is not None and owner.attempt == connection.number and owner.reach is not None:
            owner.reach.repeat()
        if connection.dialed is not None and self._genesis is not None:
            self._ask_for(self._routes.askable({connection.dialed}), now)

    # --- copies of this node ---

    def replaced_elsewhere(self, session: Session, now: float) -> None:
        """Note that the peer has ended the session's only connection in favour of another one, which this node does not
        have: a copy of this node may have it."""
        if self._config.keeps_sequence and not self._down:
            self.doubts.begin(session.name, now)

    def _greet_anew(self, session: Session, now: float) -> None:
        """Connect anew with a peer, which then sees in the greeting what this node has revoked."""
        connection = session.connection
        if session.live and connection is not None and not self._is_registrar(session):
            self._switchboard.close(connection, GoodbyeCode.REPLACED)
            self.gone(connection, FailureReason.UNREACHABLE, now)
            self.advance(session, now)

    def _doubt(self, name: str, now: float) -> None:
        """Find out whether a copy of this node has a connection with that peer; the peer may know its record, or the
        registrar."""
        session = self.table.get(name)
        if session is not None and not session.live:
            self.doubts.ask(name)
            self.advance(session, now)
            self.resolver.check(now)
            self.serve_resolver(now)

    # --- this node's routers ---

    def endpoint(self, session: Session) -> Endpoint | None:
        """Return where the peer can be dialed: where it was, or, if it has dialed or came through a router, by its
        record."""
        if session.connection is not None and session.connection.endpoint is not None:
            return session.connection.endpoint
        record = self._directory.find(session.name)
        return record.endpoints[0] if record is not None and record.endpoints else None

    def keep_routers(self, now: float) -> None:
        """Keep a session with each router of this node from now on."""
        for name in self.routers.names:
            session = self.table.obtain(name)
            if session is not None:
                self.advance(session, now)

    def _retry_router(self, session: Session, reason: FailureReason, now: float) -> None:
        self.timers.set(session.name, now + ROUTER_RETRY_SECONDS)
        news = self.routers.fails(session.name, reason)
        if news is not None:
            self._events.append(Log(news))

    def reserve(self, session: Session) -> None:
        """Ask the router for a place."""
        self.routers.reached(session.name)
        if session.connection is not None:
            self._switchboard.queue(session.connection, Reserve())

    def reserved(self, session: Session, now: float, *, accepted: bool) -> None:
        """Note the router's answer: it keeps a place, or it has none, or none any more; then it is asked again in a
        while."""
        if not accepted:
            self.timers.set(session.name, now + ROUTER_RETRY_SECONDS)
        news = self.routers.answered(session.name, accepted=accepted)
        if news is not None:
            self._events.append(Log(news))

    # --- misbehaviour ---

    def punish(self, session: Session, violation: ProtocolViolation, now: float) -> None:
        """Punish a peer with a proven name for a violation: there may be a pause before it is let in or
        dialed again.
        """
        seconds = self._penalties.punish(session.name, violation, now)
        if seconds is not None:
            self._events.append(Log(f"{session.name} is not let in or dialed for {seconds:g} s: {violation}"))

    def refuse(self, session: Session, now: float) -> None:
        """Fail the messages to a peer that takes none, though it can be reached."""
        self._give_up(session, FailureReason.NO_CREDIT, now)

    def check_pause(self, name: str, now: float) -> None:
        """Raise Paused if a peer that proves that name is not let in now."""
        until = self._penalties.until(name, now)
        if until is not None:
            raise Paused(f"{name} broke the protocol, and is not let in for another {until - now:.0f} s")

    # --- connections go ---

    def make_room(self, host: str, now: float) -> bool:
        """Make capacity for one more handshake with that host; return whether it may begin."""
        if self._switchboard.has_room(host):
            return True
        crowded_out = self._switchboard.in_the_way(host, now)
        if crowded_out is None:
            return False
        self._switchboard.close(crowded_out, GoodbyeCode.BUSY)
        self.gone(crowded_out, FailureReason.UNREACHABLE, now)
        return True

    def gone(self, connection: Connection, reason: FailureReason, now: float, *, farewell: bool = False) -> None:
        """Let all that relied on a connection that is forgotten carry on. `farewell`: the peer meant it to end."""
        self._relay.gone(connection)
        session = connection.session
        self._left(now)
        self._note_end(connection, reason, now)
        if session is not None and session.connection is connection:
            session.unbind()
            if session.name in self.routers:
                self.routers.lost(session.name)
            if connection.via is not None and not farewell:
                self._distrust(session, connection.via)
            if session.reach is None and not session.looking:
                self._revive(session, now, dialer=connection.dialed is not None, farewell=farewell)
            elif self._switchboard.get(session.attempt) is None:
                self._attempt_failed(session, reason, now)
        elif connection.owner is not None:
            owner = self.table.get(connection.owner)
            if owner is not None and owner.attempt == connection.number:
                self._attempt_failed(owner, reason, now)
        if session is not None and session.connection is None:
            self._relay.withdraw(session)

    def _distrust(self, session: Session, router: str) -> None:
        """Prefer other routers to this one, since a circuit through it broke. It may break every circuit on purpose,
        and always after the resume frames, which end the episode that would have come to the next router."""
        others = [name for name in session.distrusted if name != router]
        session.distrusted = [*others, router][-MAX_ENDPOINTS:]

    def _note_end(self, connection: Connection, reason: FailureReason, now: float) -> None:
        """Log why a connection with a known peer ended, and report it to probes."""
        name = connection.session.name if connection.session is not None else connection.owner
        session = self.table.get(name) if name is not None else None
        if session is None or connection.why is None or connection.session not in (None, session):
            return
        session.vitals.failed(f"{connection.where}: {connection.why}", now)
        self.probes.failed(session.name, connection, reason, connection.why)

    def _attempt_failed(self, session: Session, reason: FailureReason, now: float) -> None:
        session.attempt = None
        if session.connection is None and session.reach is not None and not session.looking:
            self._step(session, session.reach.failed(reason, now, self._jitter()), now)

    def _revive(self, session: Session, now: float, *, dialer: bool, farewell: bool) -> None:
        """Seek a new connection for a session whose connection broke: the side that dialed, or has something to send,
        dials; the other waits for that. A node always dials its routers: without them it is not reached."""
        if session.guest or self._down:
            return
        dialer = (dialer and not farewell) or session.name in self.routers
        session.reach = reach = self._new_reach(session, now, reviving=True)
        reach.farewell = farewell
        asking = self._is_registrar(session) and self.resolver.busy
        session.looked_up_names.clear()
        if session.outbox.messages or dialer or asking:
            self._step(session, reach.pause(now, self._jitter(), dialer=dialer), now)
        else:
            self._step(session, reach.expect(), now)

    def _left(self, now: float) -> None:
        """Note that a peer may be gone for good."""
        if self not in self._all_timers:
            self._all_timers.set(self, now + FORGET_SECONDS)

    def on_timer(self, now: float) -> None:
        """Look whether copies of this node have taken its place; forget peers that have been gone for a while."""
        while (name := self.doubts.timers.pop_due(now)) is not None:
            self._doubt(name, now)
        if (sweep_at := self._all_timers.when(self)) is not None and sweep_at <= now:
            again = self.table.sweep(self._genesis.name if self._genesis is not None else None)
            self._all_timers.set(self, now + FORGET_SECONDS if again and not self._down else None)

    # --- connections are sought ---

    def probe(self, name: str, token: object, now: float) -> None:
        """Begin a probe of `name` (see `network.Network.probe`)."""
        if not self.probes.begin(name, token, now):
            return
        session, record = self.table.obtain(name), self._directory.find(name)
        if record is not None:
            self.probes.tell(token, NameFound(record, fresh=False))
        if session is None:
            self.probes.end(token, ProbeOutcome.BUSY, None)
        elif session.live and session.connection is not None:
            self._ping(session, session.connection, now)
        else:
            attempt = self._switchboard.get(session.attempt)
            if attempt is not None:
                self.probes.tell(token, DialStatus(attempt.host, attempt.port, attempt.router))
            self.advance(session, now)

    def _ping(self, session: Session, connection: Connection, now: float) -> None:
        """Measure the round trip to the peer; while there is a probe, the peer has to answer as after silence."""
        self._switchboard.ping(connection, now)
        if not session.guest and self.probes.watched(session.name):
            if not connection.pinged:
                connection.expect_answer()
                self._switchboard.timers.set(connection.number, now + PING_SECONDS)
            self.probes.pinging(session.name, connection.host, now)

    def advance(self, session: Session, now: float) -> None:
        """Send what there is to send, or seek a connection for it."""
        if session.live:
            self._switchboard.signal(session.connection)
            return
        if session.connection is not None or session.looking:
            return
        if session.reach is not None and not session.reach.passive:
            return
        session.looked_up_names.clear()
        record = self._directory.find(session.name)
        routes = self._routes.known(session, record)
        unknown = record is None or (not routes and self._routes.unknown_routers(session, record))
        if self._genesis is not None and unknown:
            session.reach = None
            self._look_up(session, now)
        elif session.reach is not None and not routes:
            return  # the other side is expected to dial, and nobody else can
        elif record is not None:
            # A side that only waits for the other to dial again must not take a refusal for the end either.
            broken = session.reach is not None and not session.reach.farewell
            session.reach = self._new_reach(session, now, reviving=broken)
            self._step(session, session.reach.begin(routes, now, self._jitter()), now)
        else:
            self._give_up(session, FailureReason.NO_SUCH_NAME, now)

    def due(self, name: str, now: float) -> None:
        """Act on the deadline of a session."""
        session = self.table.get(name)
        # With a connection, its handshake is nearly through; should it fail after all, `gone` carries on.
        if session is None:
            return
        if session.reach is not None and session.connection is None:
            routes = self._routes.known(session, self._directory.find(name))
            self._step(session, session.reach.woken(routes, now, self._jitter()), now)
        elif name in self.routers and not self._down:
            if session.live:
                self.reserve(session)
            else:
                self.advance(session, now)

    def shut_down(self, now: float) -> None:
        """Fail everything; nothing is sought any more."""
        self._down = True
        for session in self.table.all():
            session.unbind()
            self._give_up(session, FailureReason.SHUTDOWN, now)

    # --- what our own failures leave (`containment`) ---

    def reset(self, session: Session, now: float) -> None:
        """Let a session begin anew, whatever state it is in: its connections end, and what waits in it comes back."""
        for connection in self._switchboard.all():
            if connection.session is session or connection.number == session.attempt:
                self._switchboard.abandon(connection, GoodbyeCode.INTERNAL)
        told = {id(token) for event in self._events for token in tokens_of(event)}
        unsettled = [token for token in session.outbox.salvage() if id(token) not in told]
        self._events.extend(Failed(token, FailureReason.CONNECTION_LOST) for token in unsettled)
        session.inbox.abandon()
        session.unbind()
        session.reach, session.attempt = None, None
        session.looking.clear()
        if self.table.get(session.name) is session:  # not a guest, nor one that has begun anew before
            self.timers.set(session.name, None)
            self.table.renew(session)
        if session.up:
            session.up = False
            self._events.append(PeerDown(session.name, FailureReason.CONNECTION_LOST))
        vitals = session.vitals
        vitals.failures += 1
        vitals.failed(WHY, now)
        vitals.enter(PeerState.IDLE, now)

    def blame(self, name: str | None) -> None:
        """Note that our own code has failed while it dealt with that peer, if it has a name."""
        session = self.table.get(name) if name is not None else None
        if session is not None:
            session.vitals.failures += 1

    def mend(self, now: float) -> None:
        """Repair the tables (see `containment`)."""
        for session in self.table.all():
            if self._is_stranded(session):
                self.reset(session, now)
        for connection in self._switchboard.all():
            if connection.stage in (Stage.WAITING, Stage.LIVE) and not self._is_bound(connection):
                self._switchboard.abandon(connection, GoodbyeCode.INTERNAL)
        for name in self.routers.names if self.keeps_routers else ():
            self.table.obtain(name)
        self._seekers = {}
        for session in self.table.all():
            for name in session.looking:
                self._seekers.setdefault(name, set()).add(session.name)
            idle = session.connection is None and session.reach is None and not session.looking
            if idle and session.name in self.routers and session.name not in self.timers and not self._down:
                self.timers.set(session.name, now)
        self.resolver.mend(now)

    def _is_bound(self, connection: Connection) -> bool:
        session = connection.session
        return session is not None and (session.guest or session is self.table.get(session.name))

    def _is_stranded(self, session: Session) -> bool:
        """Return whether a session is half done, or nothing would carry it on any more."""
        connection = session.connection
        if session.outbox.leaving:
            return True
        if connection is not None:
            return self._switchboard.get(connection.number) is not connection or connection.session is not session
        if session.live:
            return True
        if session.looking:
            return not all(self.resolver.asks(name) for name in session.looking)
        if session.reach is not None:
            return self._switchboard.get(session.attempt) is None and session.name not in self.timers
        return bool(session.outbox.messages)

    def _is_registrar(self, session: Session) -> bool:
        return self._genesis is not None and session.name == self._genesis.name

    def _new_reach(self, session: Session, now: float, *, reviving: bool, fresh: bool = False) -> Reach:
        """Return a new episode of reaching the peer. `fresh`: its record was fetched from the registrar just now."""
        is_registrar = self._is_registrar(session)
        may_look_up = self._genesis is not None and not is_registrar and not fresh
        deadline = now + self._config.recovery_seconds
        return Reach(deadline, reviving=reviving, patient=is_registrar, may_look_up=may_look_up)

    def _step(self, session: Session, step: Step, now: float) -> None:
        """Do what the episode of reaching the peer wants next."""
        match step:
            case Try(route) if route.router is not None and self._penalties.until(route.router, now) is not None:
                assert session.reach is not None  # the next route, then
                self._step(session, session.reach.failed(FailureReason.UNREACHABLE, now, self._jitter()), now)
            case Try() if (paused_until := self._penalties.until(session.name, now)) is not None:
                assert session.reach is not None
                self.timers.set(session.name, min(paused_until, session.reach.deadline))
            case Try(route, until):
                circuit = Connect(session.name) if route.router is not None else None
                name = route.router or session.name
                handshake = self.handshake(initiator=True, peer=name, circuit=circuit)
                attempt = self._switchboard.dial(name, route.endpoint, handshake, until=until, now=now)
                attempt.owner = session.name
                session.attempt = attempt.number
                self.timers.set(session.name, None)
                self.probes.dialing(attempt)
            case LookUp():
                self._look_up(session, now)
            case Wait(until, look_up):
                self.timers.set(session.name, until)
                if look_up:
                    self._refresh(session, now)
            case GiveUp(reason):
                self._give_up(session, reason, now)
        session.note(now)

    def _give_up(self, session: Session, reason: FailureReason, now: float) -> None:
        """Fail all that was for a peer that cannot be reached."""
        session.reach = None
        session.looking.clear()
        session.attempt = None
        self.timers.set(session.name, None)
        if session.name in self.routers and not self._down:
            self._retry_router(session, reason, now)
        self._events.extend(Failed(token, reason) for token in session.give_up())
        self._left(now)
        session.outbox.leaving = ()
        if not session.vitals.explained:
            session.vitals.failed(reason, now)
        session.vitals.gave_up = True
        session.note(now)
        self.probes.gave_up(session.name, reason)
        if session.up:
            session.up = False
            self._events.append(PeerDown(session.name, reason))
        if self._is_registrar(session):
            self.resolver.unreachable(now)
            self.serve_resolver(now)

    def _jitter(self) -> float:
        return int.from_bytes(self._entropy(2), "big") / 65536

    # --- lookups ---

    def _look_up(self, session: Session, now: float) -> None:
        """Look up the peer, and its routers afresh: they may have moved."""
        self._seek(session, self._routes.names(session), now)

    def _refresh(self, session: Session, now: float) -> None:
        """Look up the peer and its routers, with no session that waits for the answers."""
        self._ask_for(self._routes.names(session), now)

    def _seek(self, session: Session, names: set[str], now: float) -> None:
        session.looking = self._routes.askable(names)
        session.looked_up_names |= names
        session.note(now)
        for name in session.looking:
            self._seekers.setdefault(name, set()).add(session.name)
        self._ask_for(session.looking, now)

    def _ask_for(self, names: set[str], now: float) -> None:
        for name in sorted(names):
            self.resolver.look_up(name, now)
        self.serve_resolver(now)

    def look_up(self, name: str, now: float) -> None:
        """Ask the registrar for `name`; `answered` will be called."""
        self.resolver.look_up(name, now)
        self.serve_resolver(now)

    def serve_resolver(self, now: float) -> None:
        """Carry the resolver's frames and answers to where they belong."""
        if self.resolver.greets_anew:
            self.resolver.greets_anew = False
            for each in self.table.all():
                self._greet_anew(each, now)
        if self.resolver.check_due:
            registrar = self.table.get(self._genesis.name) if self._genesis is not None else None
            self.resolver.check_due = False
            if registrar is None or not registrar.live:
                self.resolver.check(now)
        while self.resolver.has_frames and self._genesis is not None and not self._down:
            session = self.table.obtain(self._genesis.name)
            if session is None:
                self.resolver.unreachable(now)
            elif not session.live:
                self.advance(session, now)
                break
            elif (frame := self.resolver.next_frame()) is not None and session.connection is not None:
                self._switchboard.queue(session.connection, frame)
        while (answer := self.resolver.next_answer()) is not None:
            self._looked_up(*answer, now)

    def _looked_up(self, name: str, answer: Answer, now: float) -> None:
        """Let the sessions that wait for a lookup go on, now that it has ended."""
        if name == self._identity.name:
            self.resolver.answer_registration(answer, now)
            self.serve_resolver(now)
        for seeker in sorted(self._seekers.pop(name, ())):
            session = self.table.get(seeker)
            if session is None or name not in session.looking:
                continue
            try:
                self._found_for(session, name, answer, now)
            except Exception as error:
                self._containment.session(session, error, now)
        self._answered(name, answer, now)

    def _found_for(self, session: Session, name: str, answer: Answer, now: float) -> None:
        session.looking.discard(name)
        if name == session.name:
            session.looked_up = answer
            self.probes.looked_up(name, self._directory.find(name), answer)
        if not session.looking:
            self._reach_on(session, now)

    def _reach_on(self, session: Session, now: float) -> None:
        """Go on with an episode whose lookups have ended."""
        if session.connection is not None:
            return  # as in `due`; to give up would change the epoch that the resume frame on its way has told
        record = self._directory.find(session.name)
        routers = self._routes.unknown_routers(session, record) if record is not None else set()
        if routers:
            self._seek(session, routers, now)
        elif session.reach is not None:
            self._step(session, session.reach.looked_up(self._routes.known(session, record), now, self._jitter()), now)
        elif record is not None:
            session.reach = self._new_reach(session, now, reviving=False, fresh=True)
            self._step(session, session.reach.begin(self._routes.known(session, record), now, self._jitter()), now)
        else:
            unknown = session.looked_up is Answer.UNKNOWN
            self._give_up(session, FailureReason.NO_SUCH_NAME if unknown else FailureReason.NO_REGISTRAR, now)

    def __repr__(self) -> str:
        return f"Sessions({self.table.all()})"
