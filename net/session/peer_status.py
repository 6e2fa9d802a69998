"""How each peer is, for people: its state and since when, the round-trip time, the last error. Nothing decides by it.

The round-trip time is the last one measured, from the moment a ping is queued to its pong: once when a session comes to
life, whenever a ping is sent after silence, and whenever somebody asks. A peer that answers late seems far away, so
the figure is its word and no proof. Tests: tests/net/session/test_peer_status.py.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class PeerState(StrEnum):
    """The values are words for people."""

    UP = "up"
    """Messages pass."""
    CONNECTING = "connecting"
    """A connection is being sought, or the peer is expected to seek one."""
    DOWN = "down"
    """None could be had; it is sought again when there is something to send."""
    IDLE = "idle"
    """None has been wanted yet."""


class PeerError(NamedTuple):
    """The last thing that went wrong with a peer."""

    text: str
    """In words, without a full stop."""
    at: float
    """When, in the network's seconds."""


class Vitals:
    """Of one peer; belongs to its session."""

    __slots__ = ("error", "failures", "gave_up", "round_trip", "since", "state")

    def __init__(self) -> None:
        self.state = PeerState.IDLE
        self.since: float | None = None
        """When it came into this state; None: it has never been in another."""
        self.round_trip: float | None = None
        """The last one measured, in seconds."""
        self.error: PeerError | None = None
        self.failures = 0
        """How often this node's own code has failed while it dealt with the peer."""
        self.gave_up = False
        """Whether the last search for a connection found none."""

    def enter(self, state: PeerState, now: float) -> None:
        """It is in that state now, if it was not before."""
        if state is not self.state:
            self.state = state
            self.since = now

    def failed(self, text: str, now: float) -> None:
        """Something went wrong."""
        self.error = PeerError(text, now)

    @property
    def explained(self) -> bool:
        """Whether something has gone wrong since it came into this state."""
        return self.error is not None and self.since is not None and self.error.at >= self.since


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """One peer, for status pages; times are in the network's seconds."""

    name: str
    state: PeerState
    since: float | None
    """When it came into that state."""
    router: str | None
    """The node that carries the session's bytes; None: the session is direct, or there is none."""
    host: str | None
    """The address at the other end."""
    round_trip: float | None
    """The last one measured, in seconds; see the module's text."""
    bytes_sent: int
    """On all connections with it, with all overhead."""
    bytes_received: int
    """See `bytes_sent`."""
    queued_messages: int
    """That it has not acknowledged."""
    queued_bytes: int
    """Their size."""
    failures: int
    """How often this node's own code has failed while it dealt with the peer (`containment`)."""
    error: PeerError | None
    """The last one; it stays when the peer is back."""
