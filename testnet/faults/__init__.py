"""Faults, one file each; `rule` says what a fault is, `where` which links it is about."""

from __future__ import annotations

from testnet.faults.partition import Partition

FAULTS: dict[str, type] = {
    "partition": Partition,
}
"""By the name that a schedule uses."""
