"""When TCP sends again what was lost on its way: after ever longer pauses, and not when the network is well again.

So what a broken network has kept arrives some time after it is mended, at most as long again as it was broken. Pauses
double, as RFC 6298 (5.5) has it; the first ones are those of Linux, whose least is shorter than the second that the RFC
asks for (tcp(7), TCP_RTO_MIN) and whose most is two minutes (TCP_RTO_MAX).
"""

from __future__ import annotations

DIAL_SECONDS = 1.0
"""The first pause of a dial (RFC 6298, 2.1)."""
DATA_SECONDS = 0.2
"""The first pause of bytes, where answers take less than that."""
MOST_SECONDS = 120.0


def sent_again(first: float, now: float, pause: float) -> float:
    """The earliest time from `now` on at which is sent again what was sent at `first`; `pause` is the first one."""
    due = first
    while due < now:
        due += min(pause, MOST_SECONDS)
        pause *= 2
    return due
