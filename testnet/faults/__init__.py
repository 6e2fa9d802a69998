"""Faults, one file each; `rule` says what a fault is, `where` which links it is about."""

from __future__ import annotations

from testnet.faults.crash import Crash
from testnet.faults.no_route import NoRoute
from testnet.faults.partition import Partition
from testnet.faults.pause import Pause
from testnet.faults.refusal import Refusal

FAULTS: dict[str, type] = {
    "crash": Crash,
    "no_route": NoRoute,
    "partition": Partition,
    "pause": Pause,
    "refusal": Refusal,
}
"""By the name that a schedule uses."""
