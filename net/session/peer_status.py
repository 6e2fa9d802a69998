"""The state of each peer, for people: since when it is in it, the round-trip time, the last error. Nothing is decided
by it.

The round-trip time is the last one measured, from the moment a ping is queued to its pong: once when a session comes to
life, whenever a ping is sent after silence, and whenever a probe asks. A peer that answers late seems far away, so the
figure is the peer's word and no proof. Tests: tests/net/session/test_peer_status.py.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class PeerState(StrEnum):
    """How this node stands with a peer. The values are words for people."""

    UP = "up"
    """Messages pass."""
    CONNECTING = "connecting"
    """A connection is being sought, or the peer is expected to seek one."""
    DOWN = "down"
    """No connection could be had; one is sought again when there is something to send."""
    IDLE = "idle"
    """No connection has been wanted yet."""


class PeerError(NamedTuple):
    """The last thing that went wrong with a peer."""

    text: str
    """What went wrong, without a full stop."""
    at: float
    """When, in the network's seconds."""


class Vitals:
    """What a session notes about its peer for people."""

    __slots__ = ("error", "failures", "gave_up", "round_trip", "since", "state")

    def __init__(self) -> None:
        self.state = PeerState.IDLE
        self.since: float | None = None
        """When the peer came into this state; None: it has never been in another."""
        self.round_trip: float | None = None
        """The last round trip measured, in seconds."""
        self.error: PeerError | None = None
        self.failures = 0
        """How often this node's own code has failed while it dealt with the peer."""
        self.gave_up = False
        """Whether the last search for a connection found none."""

    def enter(self, state: PeerState, now: float) -> None:
        """Note that the peer is in that state now, if it was not before."""
        if state is not self.state:
            self.state = state
            self.since = now

    def failed(self, text: str, now: float) -> None:
        """Note that something went wrong."""
        self.error = PeerError(text, now)

    @property
    def explained(self) -> bool:
        """Whether something has gone wrong since the peer came into this state."""
        return self.error is not None and self.since is not None and self.error.at >= self.since


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """The state of one peer, for status pages; times are in the network's seconds."""

    name: str
    state: PeerState
    since: float | None
    """When the peer came into that state."""
    router: str | None
    """The node that carries the session's bytes; None: the session is direct, or there is none."""
    host: str | None
    """The address at the other end."""
    cipher: str | None
    """What the session's records are encrypted with; None: there is no connection."""
    round_trip: float | None
    """The last round trip measured, in seconds, as told by the peer."""
    bytes_sent: int
    """Bytes sent on all connections with the peer, with all overhead."""
    bytes_received: int
    """Bytes received on all connections with the peer, with all overhead."""
    queued_messages: int
    """Messages that the peer has not acknowledged."""
    queued_bytes: int
    """Bytes of these messages."""
    failures: int
    """How often this node's own code has failed while it dealt with the peer (`containment`)."""
    error: PeerError | None
    """The last error; it stays when the peer is back."""
