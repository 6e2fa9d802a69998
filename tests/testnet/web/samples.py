"""Snapshots for tests of the page."""

from __future__ import annotations

from typing import Any


def node(name: str, **more: Any) -> dict[str, Any]:
    """A node that runs, as in a sample."""
    return {"name": name, "state": "running", "counts": {"answered": 3}, **more}


def link(first: str, second: str, rate: float = 0.0, faults: tuple[str, ...] = ()) -> dict[str, Any]:
    """A link that carries so many bytes a second each way."""
    return {"ends": [first, second], "bytes_per_second": [rate, rate], "faults": list(faults)}


def fault(kind: str, number: int = 1, **parameters: Any) -> dict[str, Any]:
    """A fault that holds until it is removed."""
    return {"number": number, "kind": kind, "parameters": parameters, "words": kind, "left": None}


def sample(
    nodes: list[dict[str, Any]] | None = None,
    links: list[dict[str, Any]] | None = None,
    faults: list[dict[str, Any]] | None = None,
    errors: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """A sample as `testnet.watch.sample` gives it."""
    return {
        "time": "2026-01-01T00:00:00.000+00:00",
        "seconds": 10.0,
        "nodes": nodes or [],
        "links": {"state": "running", "faults": faults or [], "links": links or []},
        "errors": errors or [],
    }
