"""The tracer's times and bounds; what its records say is shown on whole nodes (tests/nectar_node/test_trace.py)."""

from __future__ import annotations

import pytest

from kernel import limits
from kernel.message import Envelope, Request
from kernel.trace import Tracer
from tests.kernel.rig import OUR, here


def request(id: int) -> Envelope:
    return Envelope(id, here("a"), here("b"), None, Request(False, None, b"body"))


def test_times_are_those_of_the_clock_since_one_event_of_the_kernel_may_serve_many_messages() -> None:
    times = iter([1.25, 1.5])
    tracer = Tracer(OUR, lambda: next(times))
    tracer.sent(request(1), 1.0)
    tracer.passed_on(request(1), 1.0)
    assert [record.at for record in tracer.records] == [1.25, 1.5]


def test_without_a_clock_times_are_those_of_the_events() -> None:
    tracer = Tracer(OUR)
    tracer.sent(request(1), 1.0)
    assert [record.at for record in tracer.records] == [1.0]


def test_a_tracer_that_nobody_reads_keeps_the_latest_records_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_TRACE_RECORDS", 3)
    tracer = Tracer(OUR)
    for id in range(5):
        tracer.sent(request(id), 0.0)
    assert [record.id for record in tracer.records] == [2, 3, 4]
