"""A snapshot as the page gets it: the one of `nectar testnet watch --json`, with bounds. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from testnet.faults import FAULTS
from testnet.model.rule import Link
from testnet.model.where import ANY
from testnet.watch.figures import kinds
from testnet.watch.snapshot import Row

MAX_NODES = 100
"""Nodes of one picture; more could not be told apart."""
MAX_LINKS = 1000
"""Links of one picture; those with faults or traffic come first."""
MAX_ERRORS = 50
"""Kinds of errors, the newest ones."""
MAX_FAULTS = 256
"""Faults, as many as the links hold."""
MAX_TEXT = 400
"""Characters of one text; names of processes come from guests."""


def bounded(sample: dict[str, Any]) -> dict[str, Any]:
    """Return a sample (`testnet.watch.sample`) within the bounds, and under `left_out` how much of it is missing.

    Nodes have `faults` too, the kinds of those that are done to them. Links that have carried nothing yet are there
    if they have faults of their own.
    """
    links = sample["links"]
    faults = links["faults"]
    every = [*links["links"], *_idle(links["links"], faults)]
    busiest = sorted(every, key=_importance)[:MAX_LINKS]
    there = {"nodes": sample["nodes"], "links": every, "errors": sample["errors"], "faults": faults}
    kept = {
        "nodes": [{**node, "faults": _done_to(node["name"], faults)} for node in sample["nodes"][:MAX_NODES]],
        "links": sorted(busiest, key=lambda link: link["ends"]),
        "errors": sample["errors"][:MAX_ERRORS],
        "faults": faults[:MAX_FAULTS],
    }
    left_out = {key: len(rows) - len(kept[key]) for key, rows in there.items() if len(rows) > len(kept[key])}
    rest = {"time": sample["time"], "seconds": sample["seconds"], "state": links["state"], "left_out": left_out}
    shortened: dict[str, Any] = _short({**rest, **kept})
    return shortened


class PageFeed:
    """The latest events, each under its name. Whoever is slow gets the newest of each, and nothing waits for them."""

    def __init__(self) -> None:
        self._version = 0
        self._events: dict[str, tuple[int, bytes]] = {}
        """By name, the version with which each came."""

    def tell(self, name: str, value: object) -> None:
        """Take the newest event of that name, unless it is as the last one."""
        data = event(name, value)
        if name not in self._events or self._events[name][1] != data:
            self._version += 1
            self._events[name] = (self._version, data)

    def news(self, seen: int) -> tuple[int, bytes]:
        """Return the present version, and the events that are newer than the version `seen`; 0: all."""
        return self._version, b"".join(data for version, data in self._events.values() if version > seen)


def event(name: str, value: object) -> bytes:
    """Return a server-sent event (HTML Living Standard, 9.2); JSON has no line ends of its own."""
    return f"event: {name}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()


def _done_to(name: str, faults: Sequence[Row]) -> list[str]:
    """Return the kinds of the faults that are done to a node, and not to its links."""
    found = [str(row.get("kind")) for row in faults if row.get("parameters", {}).get("node") == name]
    return list(dict.fromkeys(kind for kind in found if not hasattr(FAULTS.get(kind), "judge")))


def _idle(links: Sequence[Row], faults: Sequence[Row]) -> list[Row]:
    """Return rows for the links that faults name and that have carried nothing."""
    there = {tuple(link["ends"]) for link in links}
    named = [row.get("parameters", {}) for row in faults]
    pairs = [each["between"] if "between" in each else [each.get("source"), each.get("target")] for each in named]
    missing = {tuple(sorted(map(str, pair))) for pair in pairs if None not in pair and ANY not in pair} - there
    nothing = {"bytes_per_second": [0.0, 0.0], "bytes": 0, "connections": 0, "resets": 0, "resets_lately": 0}
    return [
        {"ends": [first, second], **nothing, "faults": list(kinds(faults, Link(first, second)))}
        for first, second in sorted(missing)
    ]


def _importance(link: dict[str, Any]) -> tuple[bool, float]:
    return not link["faults"], -sum(each or 0.0 for each in link["bytes_per_second"])


def _short(value: Any) -> Any:
    """Return a value whose texts are printable and not too long."""
    match value:
        case str():
            text = value if len(value) <= MAX_TEXT else f"{value[:MAX_TEXT]}…"
            return text if text.isprintable() else "".join(each if each.isprintable() else "�" for each in text)
        case dict():
            return {str(key): _short(each) for key, each in value.items()}
        case list() | tuple():
            return [_short(each) for each in value]
        case _:
            return value
