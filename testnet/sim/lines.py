"""What happens in a simulation, as the lines of its journal say it."""

from __future__ import annotations

import json
from typing import Any

from kernel.trace import TraceRecord
from testnet.faults.rule import Fault


def message(record: TraceRecord) -> str:
    """A step of a message."""
    return f"message {_compact(_message(record))}"


def _message(record: TraceRecord) -> dict[str, Any]:
    return {
        "step": record.step.value,
        "id": record.id,
        "parent": record.parent,
        "root": record.root,
        "source": str(record.source),
        "target": str(record.target),
        "claimed": record.claimed,
        "expects": record.expects,
        "inherits": record.inherits,
        "body": record.body_bytes,
        "blob": record.blob_bytes,
        "reason": record.reason,
        "beginning": record.beginning.decode(errors="replace"),
    }


def fault_begins(number: int, fault: Fault) -> str:
    """A fault holds from now on."""
    names = list(fault.names)
    return f"fault {_compact({'number': number, 'words': fault.words(), 'nodes': names, 'state': 'begins'})}"


def fault_ends(number: int) -> str:
    """It holds no longer."""
    return f"fault {_compact({'number': number, 'state': 'ends'})}"


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
