"""A snapshot as the page gets it: the one of `nectar testnet watch --json`, with bounds. Pure."""

from __future__ import annotations

import json
from typing import Any

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
    """Return a sample (`testnet.watch.sample`) within the bounds, and under `left_out` how much of it is missing."""
    links = sample["links"]
    busiest = sorted(links["links"], key=_importance)[:MAX_LINKS]
    there = {"nodes": sample["nodes"], "links": links["links"], "errors": sample["errors"], "faults": links["faults"]}
    kept = {
        "nodes": sample["nodes"][:MAX_NODES],
        "links": sorted(busiest, key=lambda link: link["ends"]),
        "errors": sample["errors"][:MAX_ERRORS],
        "faults": links["faults"][:MAX_FAULTS],
    }
    left_out = {key: len(rows) - len(kept[key]) for key, rows in there.items() if len(rows) > len(kept[key])}
    rest = {"time": sample["time"], "seconds": sample["seconds"], "state": links["state"], "left_out": left_out}
    shortened: dict[str, Any] = _short({**rest, **kept})
    return shortened


class Feed:
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
