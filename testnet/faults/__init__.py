"""Faults, one file each; `catalogue` says how one is named, `testnet.model.rule` what one is. Imports `model`."""

from __future__ import annotations

from testnet.faults.bandwidth import Bandwidth
from testnet.faults.bit_flips import BitFlips
from testnet.faults.black_hole import BlackHole
from testnet.faults.clock_drift import ClockDrift
from testnet.faults.clock_step import ClockStep
from testnet.faults.crash import Crash
from testnet.faults.disk_error import FailingDisk
from testnet.faults.disk_full import DiskFull
from testnet.faults.hostile_peer import HostilePeer
from testnet.faults.impostor import Impostor
from testnet.faults.latency import Latency
from testnet.faults.loss import Loss
from testnet.faults.no_memory import RefusedMemory
from testnet.faults.no_route import NoRoute
from testnet.faults.nonsense import Nonsense
from testnet.faults.partition import Partition
from testnet.faults.pause import Pause
from testnet.faults.refusal import Refusal
from testnet.faults.registrar_down import RegistrarDown
from testnet.faults.remote_fails import RemoteFails
from testnet.faults.replay import Replay
from testnet.faults.reset import ConnectionReset
from testnet.faults.slow_guests import SlowGuests
from testnet.faults.slow_handshake import SlowHandshake
from testnet.faults.spawn_fails import SpawnFails
from testnet.faults.stall import Stall
from testnet.faults.unsynced import Unsynced

FAULTS: dict[str, type] = {
    "bandwidth": Bandwidth,
    "bit_flips": BitFlips,
    "black_hole": BlackHole,
    "clock_drift": ClockDrift,
    "clock_step": ClockStep,
    "crash": Crash,
    "disk_error": FailingDisk,
    "disk_full": DiskFull,
    "hostile_peer": HostilePeer,
    "impostor": Impostor,
    "latency": Latency,
    "loss": Loss,
    "no_memory": RefusedMemory,
    "no_route": NoRoute,
    "nonsense": Nonsense,
    "partition": Partition,
    "pause": Pause,
    "refusal": Refusal,
    "registrar_down": RegistrarDown,
    "remote_fails": RemoteFails,
    "replay": Replay,
    "reset": ConnectionReset,
    "slow_guests": SlowGuests,
    "slow_handshake": SlowHandshake,
    "spawn_fails": SpawnFails,
    "stall": Stall,
    "unsynced": Unsynced,
}
"""Faults by the name that a schedule uses."""
IN_SIMULATIONS_ONLY = frozenset(
    {
        "clock_drift",
        "clock_step",
        "disk_error",
        "no_memory",
        "remote_fails",
        "slow_guests",
        "spawn_fails",
        "unsynced",
    }
)
"""Those that nobody can inject into real nodes."""
