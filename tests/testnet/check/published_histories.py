"""Reads the published histories that lie here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from testnet.check.operation import UNKNOWN, Operation
from tests.testnet.check.histories import Row, history

FOLDER = Path(__file__).parent / "published"
_WORD = re.compile(r"(\d+)([ioft])(?:([rwc])(n|\d*))?")


def etcd(name: str) -> list[Operation]:
    """Read a history of one register in etcd."""
    rows: list[Row] = []
    begun: dict[str, tuple[int, str, tuple[Any, ...]]] = {}
    for time, word in enumerate((FOLDER / name).read_text().split()):
        match = _WORD.fullmatch(word)
        assert match is not None, word
        client, event, what, values = match.groups()
        if event == "i":
            begun[client] = (time, {"r": "read", "w": "write", "c": "cas"}[what], tuple(map(int, values)))
            continue
        called, name, arguments = begun.pop(client)
        if event == "t":
            rows.append((f"{client}-{time}", name, arguments, UNKNOWN, called, None))
            continue
        read = None if values == "n" else int(values)
        result = {"read": read, "write": None, "cas": event == "o"}[name]
        rows.append((client, name, arguments, result, called, time))
    rows += [(client, name, arguments, UNKNOWN, called, None) for client, (called, name, arguments) in begun.items()]
    return history(*rows)
