"""What this node and one peer owe each other, over any number of connections.

Theory of operation. A session has an outbox and an inbox (`outbox`) and, at most times, one live connection. Both sides
begin a connection with a resume frame that says what they have; then each sends the rest. Nothing is sent before the
other's resume frame has come, so a side always knows which *incarnation* of the other its messages went to. An
incarnation is 16 random bytes, made anew when a side has forgotten what was between the two: it restarted, or dropped
an idle peer. Then nobody knows what became of messages that were sent and not acknowledged; they fail, and are not sent
again, so nothing arrives twice. When a side gives up on a peer, its own *epoch* grows, and what the peer has of the old
epoch counts for nothing.

Which of several connections carries the session? The side with the lower name, the *arbiter*, decides alone: it takes
the newest one whose handshake is finished and speaks first on it. The other side follows. So one survives when both
dial at once, and a dead connection that only one side has noticed stops nothing. A rule that compares who dialed, the
usual one, fails in that second case. The binding number keeps a delayed choice from undoing a newer one, and the order
in which the handshakes began keeps a choice of a process that has ended from undoing those of the process after it.

Tests: tests/net/session/test_session.py, tests/net/peering/test_network_faults.py.
"""

from __future__ import annotations

from collections.abc import Callable

from net.base.errors import BadFrame
from net.base.frames import (
    INCARNATION_BYTES,
    LINEAGES_EPOCH,
    LINEAGES_VERSION,
    PAIRS_MARK,
    PAIRS_VERSION,
    Credit,
    Data,
    Resume,
)
from net.base.memory import Account
from net.session.channel import Channel
from net.session.handshake import Handshake
from net.session.inbox import Arrived, Inbox
from net.session.mixture import Mixture
from net.session.outbox import Outbox
from net.session.peer_status import PeerState, PeerStatus, Vitals
from net.session.reach import Answer, Reach


class Receipt:
    """Stands for one received message; see `network.Network.taken`."""

    __slots__ = ("inbox", "sequence", "session")

    def __init__(self, session: Session, inbox: Inbox, sequence: int) -> None:
        self.session = session
        self.inbox = inbox
        self.sequence = sequence


class Connection(Channel):
    """A connection and the session that it carries, which `reception` sets once the peer is believed."""

    __slots__ = ("partner",)
    session: Session | None

    def __init__(self, number: int, handshake: Handshake, *, dialed: str | None, host: str, now: float) -> None:
        """The parameters are those of a `Channel`."""
        super().__init__(number, handshake, dialed=dialed, host=host, now=now)
        self.partner: Connection | None = None
        """At a router: the circuit's other leg."""


class Session:
    """The session with one peer. `reach`, `attempt` and the flags are set by `sessions`."""

    __slots__ = (
        "_account",
        "_binding",
        "_credit",
        "_epoch",
        "_incarnation",
        "_met",
        "_peer_credit",
        "_peer_incarnation",
        "_peer_lineage",
        "_speaks_lineages",
        "_speaks_pairs",
        "arbiter",
        "attempt",
        "bytes_received",
        "bytes_sent",
        "connection",
        "distrusted",
        "guest",
        "inbox",
        "live",
        "looked_up",
        "looked_up_names",
        "looking",
        "mixture",
        "name",
        "outbox",
        "reach",
        "tells_lineages",
        "tells_pairs",
        "up",
        "vitals",
    )

    def __init__(
        self,
        name: str,
        *,
        arbiter: bool,
        guest: bool,
        credit: tuple[int, int],
        account: Account,
        entropy: Callable[[int], bytes],
        frames_version: int = PAIRS_VERSION,
    ) -> None:
        """`guest`: the peer has no registered name yet and may only register. `credit` is the bytes and messages that
        the peer may have unacknowledged; `account` pays for them. `frames_version` is the newest that this side speaks.
        """
        self.name = name
        self.arbiter = arbiter
        self.guest = guest
        self._credit = credit
        self._account = account
        self._speaks_pairs = frames_version >= PAIRS_VERSION
        self._speaks_lineages = frames_version >= LINEAGES_VERSION
        self._incarnation = entropy(INCARNATION_BYTES)
        if self._speaks_pairs:
            self._incarnation = self._incarnation[: -len(PAIRS_MARK)] + PAIRS_MARK
        self.tells_pairs = False
        """Whether both sides speak `PAIRS_VERSION`, as far as this side has heard of the other."""
        self.tells_lineages = False
        """The same of `LINEAGES_VERSION`."""
        self._epoch = LINEAGES_EPOCH if self._speaks_lineages else 0
        self._binding = 0
        self._met = 0
        """The highest `Connection.met` of the connections on which the peer's present incarnation has spoken."""
        self._peer_incarnation: bytes | None = None
        self._peer_lineage: tuple[bytes, int] | None = None
        self._peer_credit = (0, 0)
        self.outbox = Outbox()
        self.inbox = Inbox(*credit, account)
        self.mixture = Mixture()
        self.bytes_sent = 0
        """Bytes sent on all connections with the peer, with all overhead."""
        self.bytes_received = 0
        """Bytes received on all connections with the peer, with all overhead."""
        self.connection: Connection | None = None
        """The connection that the arbiter has chosen."""
        self.live = False
        """Whether messages may be sent on the connection."""
        self.up = False
        """Whether PeerUp was told and PeerDown was not."""
        self.reach: Reach | None = None
        """The episode of getting a connection, if one is under way."""
        self.attempt: int | None = None
        """The connection that this episode is dialing."""
        self.looking: set[str] = set()
        """Names whose lookup the episode waits for: the peer's, and its routers'."""
        self.distrusted: list[str] = []
        """Routers whose circuits to the peer broke, the last one last: others are tried before them."""
        self.looked_up_names: set[str] = set()
        """Names that the episode has looked up."""
        self.looked_up: Answer | None = None
        """How the last lookup of the peer's own name ended."""
        self.vitals = Vitals()
        """Notes about the peer for people."""

    def note(self, now: float) -> None:
        """Note the peer's present state in its vitals."""
        if self.live:
            self.vitals.gave_up = False
            state = PeerState.UP
        elif self.connection is not None or self.reach is not None or self.looking:
            state = PeerState.CONNECTING
        else:
            state = PeerState.DOWN if self.vitals.gave_up else PeerState.IDLE
        self.vitals.enter(state, now)

    def status(self) -> PeerStatus:
        """Return the peer's status, for status pages."""
        vitals, connection = self.vitals, self.connection
        return PeerStatus(
            self.name,
            state=vitals.state,
            since=vitals.since,
            router=connection.via if connection is not None else None,
            host=connection.host if connection is not None else None,
            cipher=connection.handshake.cipher.title if connection is not None else None,
            round_trip=vitals.round_trip,
            bytes_sent=self.bytes_sent,
            bytes_received=self.bytes_received,
            queued_messages=self.outbox.messages,
            queued_bytes=self.outbox.bytes,
            failures=vitals.failures,
            error=vitals.error,
        )

    @property
    def idle(self) -> bool:
        """Whether the peer can be forgotten at no cost."""
        quiet = self.connection is None and self.reach is None and not self.looking and not self.up
        return quiet and not self.outbox.messages and self.inbox.idle

    def choose(self, connection: Connection) -> Resume:
        """Take `connection`, as the arbiter; return what to say first on it."""
        assert self.arbiter
        self._binding += 1
        self.connection = connection
        self.live = False
        return self._resume()

    def accepts(self, frame: Resume, met: int) -> bool:
        """Return whether `frame` is a newer choice of the arbiter than the one this side knows; `met` is that of its
        connection.

        Another incarnation is newer only on a connection that came about later: what a process said before it ended may
        come late, when the one after it has spoken.
        """
        if frame.incarnation != self._peer_incarnation:
            return met > self._met
        return frame.binding > self._binding

    def answer(self, connection: Connection, binding: int) -> Resume:
        """Take the connection on which the arbiter spoke; return what to answer."""
        assert not self.arbiter
        self._met = max(self._met, connection.met)
        self._binding = binding
        self.connection = connection
        return self._resume()

    def resumed(self, frame: Resume) -> tuple[list[object], list[object]]:
        """Handle the other side's resume frame; return the tokens of what it has taken, and of what failed since it has
        forgotten us.

        Raises BadFrame if it claims what cannot be; no token is lost then.
        """
        if self.arbiter and frame.binding != self._binding:
            raise BadFrame("a resume frame that answers another")
        lineage = self._peer_lineage
        if lineage is not None and lineage[0] == frame.incarnation and lineage[1] > frame.epoch:
            raise BadFrame("a resume frame of an earlier epoch")
        restarted = self._peer_incarnation not in (None, frame.incarnation)
        failed = self.outbox.fail_begun() if restarted else []
        self._peer_incarnation = frame.incarnation
        self.tells_pairs = self._speaks_pairs and frame.incarnation.endswith(PAIRS_MARK)
        self.tells_lineages = self._speaks_lineages and self.tells_pairs and frame.epoch >= LINEAGES_EPOCH
        if lineage != (frame.incarnation, frame.epoch):
            self._peer_lineage = (frame.incarnation, frame.epoch)
            self.inbox.shrink()
            self.inbox = Inbox(*self._credit, self._account)
        known = None if restarted else frame.known
        if known is not None and (known.incarnation, known.epoch) != (self._incarnation, self._epoch):
            known = None
        delivered = self.outbox.resume(known)
        self._peer_credit = (frame.credit_bytes, frame.credit_messages)
        self.outbox.set_credit(*((0, 0) if self.guest else self._peer_credit))
        return delivered, failed

    def promote(self) -> Credit:
        """Make a peer of a guest that has a registered name now; return what to tell it."""
        self.guest = False
        self.outbox.set_credit(*self._peer_credit)
        return Credit(*self._credit)

    def inherit(self, former: Session) -> list[object]:
        """Take the place of another session with the same name; return the tokens of what the peer may have seen of it,
        which fail. The rest of what waited there waits here."""
        assert not self.outbox.messages
        former.inbox.shrink()
        failed = former.outbox.fail_begun()
        self.outbox = former.outbox
        self.up = former.up
        return failed

    def succeed(self, former: Session) -> None:
        """Take the place of a session that has failed: keep what is for people, and the order of connections."""
        self.vitals = former.vitals
        self.bytes_sent, self.bytes_received = former.bytes_sent, former.bytes_received
        self._met = former._met

    def receive(self, frame: Data) -> Arrived | None:
        """Take in a piece of a message; return the message if it is whole now. Raises BadFrame or CreditOverrun."""
        if self.guest:
            raise BadFrame("a message from a node without a registered name")
        if frame.pair is not None and not self.tells_pairs:
            raise BadFrame("a pair's number from a node that speaks version 1")
        return self.inbox.receive(frame)

    def unbind(self) -> None:
        """Note that the connection is gone."""
        self.connection = None
        self.live = False

    def give_up(self) -> list[object]:
        """Fail everything; return the tokens. What the peer has of it counts for nothing from now on."""
        self._epoch += 1
        self.inbox.shrink()
        return self.outbox.fail_all()

    def _resume(self) -> Resume:
        known = self.inbox.known(*self._peer_lineage) if self._peer_lineage is not None else None
        credit = (0, 0) if self.guest else self._credit
        return Resume(self._incarnation, self._epoch, self._binding, *credit, known)

    def __repr__(self) -> str:
        state = "live" if self.live else "bound" if self.connection else "reaching" if self.reach else "apart"
        return f"Session({self.name}, {state}, {self.outbox}, {self.inbox})"
