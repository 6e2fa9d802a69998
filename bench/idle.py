"""`idle`: a thousand idle sessions on one node.

What one takes, by Python's own accounts: 13 KiB, of which the tasks, events and scopes of its two directions are the
larger half, then the session with its empty queues. The rest is OpenSSL's, for the two ciphers, and what many
handshakes at once leave behind in freed memory. Done: one receive buffer for all streams of a transport, where each had
512 KiB of its own, and the handshake's state is dropped when it is through.
"""

from __future__ import annotations

import trio

from bench.crowd import arrive, directory, server
from bench.measure import Result, absolute

GOAL = 30.0
COUNT = 1000
WAVE = 250
"""Dials at once: enough, since nothing but what stays is measured here."""
RUNS = 5


def run() -> list[Result]:
    """Run each time in a process of its own, so that its memory is that of these sessions."""
    return [absolute("idle", [trio.run(_kib) for _ in range(RUNS)], "KiB a session", GOAL)]


async def _kib() -> float:
    with server(COUNT) as dialed:
        known = directory(COUNT, dialed.port)
        before = await dialed.report()
        async with trio.open_nursery() as nursery:
            for first in range(0, COUNT, WAVE):
                await arrive(known, WAVE, nursery, first=first)
            after = await dialed.report()
            nursery.cancel_scope.cancel()
        assert after["live"] == COUNT, after
        return (after["kib"] - before["kib"]) / COUNT
