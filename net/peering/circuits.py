"""The ends' part of circuits through routers: the legs that this node dials, and what becomes of them.

A leg is a connection to a router. Once it is spliced, its bytes belong to another connection with the same number: one
to the node at the other end, which begins with a handshake like any other. The router's part is in `relay`.
"""

from net.base.errors import BadFrame, NoCircuit
from net.base.frames import Goodbye, Incoming, Spliced
from net.base.limits import HANDSHAKE_SECONDS, MAX_CALLS_PER_ROUTER
from net.contract.events import Log
from net.peering.connections import Switchboard
from net.peering.relay import Relay
from net.peering.sessions import Sessions
from net.session.channel import Stage
from net.session.handshake import Accept, Circuit, Connect
from net.session.session import Connection, Session


class Circuits:
    """The circuits that this node has through routers, as the caller or as the node that is called."""

    def __init__(self, sessions: Sessions, switchboard: Switchboard, relay: Relay) -> None:
        self._sessions = sessions
        self._switchboard = switchboard
        self._relay = relay
        self._answering: dict[int, str] = {}
        """The router of each leg that was dialed because a peer calls, by connection number."""

    def admit(self, connection: Connection, circuit: Circuit, peer: str, now: float) -> None:
        """Admit a leg whose peer has proven its name: one that this node dialed, or one whose peer asks this node as a
        router. Raises NoCircuit."""
        connection.stage = Stage.LEG
        if connection.dialed is not None:
            return
        if isinstance(circuit, Connect):
            self._relay.connect(connection, peer, circuit.target, now)
        else:
            self._relay.accept(connection, peer, circuit.ticket, now)

    def call(self, session: Session, frame: Incoming, now: float) -> None:
        """Dial the router again for this node's leg, since it says that a peer calls. Raises BadFrame if it is not a
        router of this node."""
        if session.guest or session.name not in self._sessions.routers:
            raise BadFrame("a call from a node that is not our router")
        endpoint = self._sessions.endpoint(session)
        there = {number: by for number, by in self._answering.items() if self._switchboard.get(number) is not None}
        self._answering = there
        if endpoint is None or sum(by == session.name for by in there.values()) >= MAX_CALLS_PER_ROUTER:
            return  # the caller tries again, or another router
        handshake = self._sessions.handshake(initiator=True, peer=session.name, circuit=Accept(frame.ticket))
        until = now + HANDSHAKE_SECONDS
        leg = self._switchboard.dial(session.name, endpoint, handshake, until=until, now=now)
        leg.owner = None
        self._answering[leg.number] = session.name

    def spliced(self, leg: Connection, frame: Spliced, now: float) -> None:
        """Begin the handshake with the other end, to which the router has connected this leg.

        Raises BadFrame if the router could not have spliced this leg, NoCircuit if there is no capacity for the
        connection.
        """
        circuit = leg.handshake.circuit
        if circuit is None or leg.dialed is None:
            raise BadFrame("a spliced frame out of place")
        calling = isinstance(circuit, Connect)
        if not calling and not self._sessions.make_room(leg.host, now):
            raise NoCircuit("too many unfinished handshakes")
        handshake = self._sessions.handshake(initiator=calling, peer=leg.owner if calling else None)
        inner = Connection(leg.number, handshake, dialed=leg.owner if calling else None, host=leg.host, now=now)
        inner.via = leg.dialed
        self._switchboard.replace(leg, inner, now)
        if calling:
            inner.begin()
            self._switchboard.signal(inner)

    def goodbye(self, leg: Connection, frame: Goodbye) -> Log:
        """Handle the router's goodbye on a leg of this node; return what to log about it."""
        wanted = f" to {leg.owner}" if leg.owner is not None else ""
        return Log(f"{leg.dialed or leg.host} makes no circuit{wanted}")
