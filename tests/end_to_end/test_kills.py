"""G26 and G27 on real nodes: what was acknowledged survives kill -9 at any moment."""

from __future__ import annotations

from pathlib import Path

from tests.end_to_end.kills import play

KILLS, MOST = 3, 40
"""How many there are at least, and at most: on a busy machine little is acknowledged between two of them."""
SEED = 20261130
EVERYTHING = {"set-state", "spawn", "exit", "kill", "grant", "ticket", "revoke", "install", "upgrade", "transfer"}
"""What must have been acknowledged at least once."""


def test_g27_nothing_that_was_acknowledged_is_lost_when_a_node_is_killed(tmp_path: Path) -> None:
    acknowledged = play(tmp_path, SEED, KILLS, wanted=EVERYTHING, most=MOST)
    assert set(+acknowledged) >= EVERYTHING
