"""Events and chances for the verdicts of single faults."""

from __future__ import annotations

from random import Random

from testnet.model.rule import Answering, Closing, Dialing, Event, Link, LinkFault, Passing, Verdict

A, B, C = "a.nec", "b.nec", "c.nec"
AB = Link(A, B)
DIAL, ANSWER = Dialing(AB, 0.0), Answering(AB.back, 0.0)
END = Closing(AB, 1, 0.0)


def piece(data: bytes = b"x" * 100, offset: int = 0, connection: int = 1, now: float = 0.0, link: Link = AB) -> Passing:
    """Bytes from a.nec to b.nec."""
    return Passing(link, connection, offset, data, now)


def verdict(fault: LinkFault, event: Event, seed: int = 1) -> Verdict:
    """What the fault says, with a chance of its own."""
    return fault.judge(event, Random(seed))


def verdicts(fault: LinkFault, *events: Event) -> list[Verdict]:
    """What it says to one after the other, with one chance."""
    chance = Random(1)
    return [fault.judge(event, chance) for event in events]
