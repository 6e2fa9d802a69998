"""Outcomes as a story has them, made up: for tests of what it makes of them."""

from __future__ import annotations

from typing import Any, NamedTuple

from testnet.model.lab import Outcome


class Told(NamedTuple):
    """See `testnet.model.lab.SentRequest`."""

    outcome: Outcome | None
    ended: float | None = 1.0
    begun: float | None = None


def answered(body: Any) -> Told:
    """A response."""
    return Told(Outcome("response", body))


NOTHING = Told(Outcome("timeout", reason="the node has ended"))
