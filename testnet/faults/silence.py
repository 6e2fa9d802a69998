"""The behaviour of a network that is gone, for several faults."""

from __future__ import annotations

from testnet.model.rule import PASS, RESEND, Event, Verdict
from testnet.model.where import Where


def swallow(where: Where, event: Event) -> Verdict:
    """Let nothing pass there: no bytes, no dial, no end of a connection. TCP sends it again some time after the fault
    ends."""
    return RESEND if where.covers(event.link) else PASS
