"""What the tests need to know of the kinds of faults beside their classes."""

from __future__ import annotations

from tests.testnet.faults.events import A

_OF_A_NODE = (
    "crash",
    "disk_error",
    "disk_full",
    "hostile_peer",
    "impostor",
    "no_memory",
    "pause",
    "remote_fails",
    "slow_guests",
    "spawn_fails",
    "unsynced",
)
NEEDED: dict[str, dict[str, object]] = {
    "bandwidth": {"bytes_per_second": 1000.0},
    "clock_drift": {"node": A, "rate": 1.5},
    "clock_step": {"node": A, "seconds": -3600.0},
    **{kind: {"node": A} for kind in _OF_A_NODE},
}
"""Parameters that have no default, by kind."""
ONLY_IN_SIMULATIONS = (
    "break_disk",
    "cut_power",
    "drift_clock",
    "limit_memory",
    "refuse_spawns",
    "slow_guests",
    "step_clock",
    "trouble_remote",
)
"""What can be done to simulated nodes alone."""
