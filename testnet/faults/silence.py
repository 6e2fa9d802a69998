"""What a network that is gone does to what is sent there, whatever people call it."""

from __future__ import annotations

from testnet.model.rule import PASS, RESEND, Event, Verdict
from testnet.model.where import Where


def swallow(where: Where, event: Event) -> Verdict:
    """Nothing passes there, no bytes, no dial, no end of a connection; TCP sends again, some time after it is over."""
    return RESEND if where.covers(event.link) else PASS
