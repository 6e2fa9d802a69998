"""Steps of one request between two nodes, as their kernels trace them."""

from __future__ import annotations

from typing import Any

from kernel.contract.address import Address
from kernel.router.trace import TraceRecord, TraceStep

ASKER, ANSWERER = Address.parse("one.nec@a:probes:sys"), Address.parse("two.nec@b:probes:sys")


def record(step: TraceStep, id: int = 7, **more: Any) -> TraceRecord:
    fields: dict[str, Any] = {
        "at": 1.0,
        "step": step,
        "id": id,
        "parent": None,
        "root": id,
        "inherits": False,
        "expects": True,
        "source": ASKER,
        "target": ANSWERER,
        "claimed": False,
        "body_bytes": 0,
        "blob_bytes": None,
        "reason": None,
        "beginning": b"",
    }
    return TraceRecord(**(fields | more))


def sent(id: int = 7) -> TraceRecord:
    return record(TraceStep.SENT, id)


def came(id: int = 7, **more: Any) -> TraceRecord:
    return record(TraceStep.SENT, id, claimed=True, **more)


def answered(id: int = 7) -> TraceRecord:
    return record(TraceStep.ANSWERED, id, source=ANSWERER, target=ASKER)


def failed(id: int = 7) -> TraceRecord:
    return record(TraceStep.FAILED, id)
