"""Whether small messages go beside a flow of large ones, on one session.

A driver may then hold less in advance of what it reads and writes, so that a small message waits for less; that costs a
flow some processor time, so it is not done for a flow alone. Nothing is counted for it at small messages: it goes by
numbers that inbox and outbox have anyway, or count at the pieces of large messages, and is asked only beside much.

A flow brings small messages of its own: what asks for a large message, or answers one. So a small message counts only
if there is no large one for it. It begins as soon as there are enough, and ends when there were not enough in a whole
span of SPAN_SECONDS; so, whatever a peer sends, it changes twice in a span at most.

Pure. Tests: tests/net/session/test_mixture.py.
"""

from net.session.inbox import Inbox
from net.session.outbox import Outbox

SPAN_SECONDS = 1.0
"""The span of time, in seconds, in which messages are counted."""
LEAST_SMALL = 16
"""Small messages in a span, both ways together, that a flow does not explain: eight questions and their answers. A flow
is some messages ahead of what answers them."""
LEAST_FLOW_BYTES = 1 << 20
"""Bytes of large messages in a span, both ways together, that make a flow."""


class Mixture:
    """What was seen of one session, from `look` to `look`."""

    __slots__ = ("_bytes", "_small", "mixed", "since")

    def __init__(self) -> None:
        self.mixed = False
        """Whether small messages went beside a flow, when that was last looked at."""
        self.since = float("-inf")
        """When the span began, in seconds."""
        self._small = 0
        """What `_unexplained` was then."""
        self._bytes = 0
        """What `_flow_bytes` was then."""

    def look(self, inbox: Inbox, outbox: Outbox, now: float) -> bool:
        """Return whether small messages go beside a flow; both boxes are the session's at this time."""
        small, flow = _unexplained(inbox, outbox), _flow_bytes(inbox, outbox)
        enough = small - self._small >= LEAST_SMALL and flow - self._bytes >= LEAST_FLOW_BYTES
        over = now - self.since >= SPAN_SECONDS
        self.mixed = enough and self.mixed if over else enough or self.mixed
        if over:
            self.since, self._small, self._bytes = now, small, flow
        return self.mixed


def _unexplained(inbox: Inbox, outbox: Outbox) -> int:
    """Return how many more messages were small than large. It falls when a box begins anew, or goes back."""
    return inbox.begun + outbox.begun - 2 * (inbox.large + outbox.large)


def _flow_bytes(inbox: Inbox, outbox: Outbox) -> int:
    return inbox.partial_bytes + outbox.partial_bytes
