"""When TCP sends lost bytes again: after ever longer pauses, not as soon as the network works again.

So bytes that a broken network has kept arrive some time after it is mended, at most as long again as it was broken.
Pauses double (RFC 6298, 5.5). The first ones are those of Linux: its minimum is below the second of the RFC (tcp(7),
TCP_RTO_MIN), and its maximum is two minutes (TCP_RTO_MAX).
"""

from __future__ import annotations

DIAL_SECONDS = 1.0
"""The first pause of a dial (RFC 6298, 2.1)."""
DATA_SECONDS = 0.2
"""The first pause of bytes, on links where answers take less than that."""
MOST_SECONDS = 120.0


def sent_again(first: float, now: float, pause: float) -> float:
    """Return the earliest time from `now` on at which what was sent at `first` is sent again; `pause` is the first
    pause."""
    due = first
    while due < now:
        due += min(pause, MOST_SECONDS)
        pause *= 2
    return due
