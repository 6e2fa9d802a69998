"""The events of a simulation, as lines of its journal."""

from __future__ import annotations

import json

from kernel.router.trace import TraceRecord
from nectar_node.driver.trace_file import record_text
from testnet.model.fields import nodes_of
from testnet.model.rule import Fault


def message(record: TraceRecord) -> str:
    """Return the line of a step of a message."""
    return f"message {record_text(record)}"


def fault_begins(number: int, fault: Fault) -> str:
    """Return the line of a fault that begins."""
    nodes = nodes_of(fault)
    return f"fault {_compact({'number': number, 'words': fault.words(), 'nodes': nodes, 'state': 'begins'})}"


def fault_ends(number: int) -> str:
    """Return the line of a fault that ends."""
    return f"fault {_compact({'number': number, 'state': 'ends'})}"


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
