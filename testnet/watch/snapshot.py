"""The state of a testnet at one moment. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
"""Decoded JSON of a process of ours."""

COUNTS = ("messages", "answered", "offline", "timeout", "dead_letters")
"""What a node counts from its boot on."""


class NodeState(enum.StrEnum):
    """The state of a node."""

    RUNNING = "running"
    STARTING = "starting"
    """The node runs, and cannot be asked yet."""
    PAUSED = "paused"
    SILENT = "silent"
    """The node runs, and does not answer in time."""
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class NodeLook:
    """The snapshot of one node."""

    at: float
    """Seconds on this computer's clock."""
    name: str
    state: NodeState
    pid: int | None = None
    boot: str = ""
    """An id of the boot; empty if the node has not told it."""
    uptime: float | None = None
    """Seconds since its boot."""
    processes: int | None = None
    outstanding: int | None = None
    peers: tuple[str, ...] = ()
    """The peers that it is connected to."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Counts by `COUNTS`; those that an older node does not have are missing."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter (G16)."""

    time: str
    """The time in ISO 8601."""
    node: str
    """The node that could not deliver it."""
    source: str
    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class LinkCounts:
    """The counts of one direction between two nodes."""

    source: str
    target: str
    bytes: int
    connections: int
    """Connections that `source` has dialed."""
    resets: int


@dataclass(frozen=True, slots=True)
class LinksLook:
    """The snapshot of the links."""

    at: float
    state: str
    """running, silent, none (the nodes reach each other directly), ended."""
    pid: int | None = None
    faults: tuple[Row, ...] = ()
    """Rows as `testnet.real.links.control` gives them."""
    links: tuple[LinkCounts, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The latest snapshot of everything."""

    at: float
    nodes: tuple[NodeLook, ...] = ()
    links: LinksLook = LinksLook(0.0, "none")
    letters: tuple[Letter, ...] = ()
    """The oldest first."""


def decode_status_untrusted(at: float, name: str, answer: Row) -> NodeLook:
    """Decode a node's status; malformed parts are missing."""
    peers = [each for each in _rows(answer.get("peers")) if each.get("state") == "up"]
    uptime = answer.get("uptime")
    return NodeLook(
        at,
        name,
        NodeState.RUNNING,
        _whole(answer.get("pid")),
        str(answer.get("boot_id", "")),
        float(uptime) if isinstance(uptime, int | float) else None,
        _whole(answer.get("processes")),
        _whole(answer.get("outstanding")),
        tuple(sorted(str(each.get("name")) for each in peers)),
        {key: count for key in COUNTS if (count := _whole(answer.get(key))) is not None},
    )


def decode_letters_untrusted(node: str, answer: Row) -> list[Letter]:
    """Decode the dead letters in the answer to `errors`."""
    return [
        Letter(str(row.get("time")), node, str(row.get("source")), str(row.get("target")), str(row.get("reason")))
        for row in _rows(answer.get("errors"))
    ]


def decode_links_untrusted(at: float, pid: int | None, faults: Row, statistics: Row) -> LinksLook:
    """Decode the status of the links."""
    links = tuple(
        LinkCounts(
            str(row.get("source")),
            str(row.get("target")),
            *(_whole(row.get(key)) or 0 for key in ("bytes", "connections", "resets")),
        )
        for row in _rows(statistics.get("links"))
    )
    return LinksLook(at, "running", pid, tuple(_rows(faults.get("faults"))), links)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _rows(value: object) -> list[Row]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
