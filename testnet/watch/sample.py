"""A snapshot as JSON values, as programs and browsers get it. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from testnet.watch.figures import LATELY, Figures, LinkFigures, NodeFigures


def sample(figures: Figures, now: datetime) -> dict[str, Any]:
    """Return a snapshot, taken `now`, as JSON values."""
    links, letters = figures.picture.links, figures.errors
    return {
        "time": now.isoformat(timespec="milliseconds"),
        "seconds": LATELY,
        "nodes": [_node(node) for node in figures.nodes],
        "links": {"state": links.state, "faults": list(links.faults), "links": [_link(link) for link in figures.links]},
        "errors": [
            {"time": each.last.time, "node": each.last.node, "source": each.last.source}
            | {"target": each.last.target, "reason": each.last.reason, "count": each.count}
            for each in letters
        ],
    }


def _node(node: NodeFigures) -> dict[str, Any]:
    look = node.look
    return {
        "name": look.name,
        "state": look.state.value,
        "seconds_in_state": round(node.since, 3),
        "at_least": node.since_at_least,
        "pid": look.pid,
        "processes": look.processes,
        "outstanding": look.outstanding,
        "peers": list(look.peers),
        "messages_per_second": _rounded(node.per_second),
        "counts": dict(look.counts),
        "lately": dict(node.lately),
    }


def _link(link: LinkFigures) -> dict[str, Any]:
    return {
        "ends": list(link.ends),
        "bytes_per_second": [_rounded(link.there), _rounded(link.back)],
        "bytes": link.bytes,
        "connections": link.connections,
        "resets": link.resets,
        "resets_lately": link.resets_lately,
        "faults": list(link.faults),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
