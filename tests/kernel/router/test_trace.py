"""The tracer's times and bounds; what its records say is shown on whole nodes
(tests/nectar_node/contract/test_traces.py)."""

from __future__ import annotations

import pytest

from kernel.contract import limits
from kernel.contract.address import Address
from kernel.contract.guest import Arrival
from kernel.contract.message import UNFOLLOWED, Envelope, ReplyTo, Request, Response
from kernel.router.trace import Tracer, TraceStep
from tests.kernel.rig import OUR, here

ASKER = Address("far.nec", here("asker").process)
"""On a node that this one has never heard of."""


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


def handled(tracer: Tracer) -> None:
    """A request from another node, with the answer due to ASKER, is handed to its target."""
    source = Address("near.nec", here("a").process)
    passed = Envelope(7, source, here("b"), ReplyTo(ASKER, 99), Request(True, None, b"onward"), None, True)
    tracer.sent(passed, 1.0)
    arrival = Arrival(passed.source, passed.message, None, None)
    tracer.queued(arrival, passed.id, is_request=True)
    tracer.handed(passed.target.process, arrival, 1.5)


def answer(id: int) -> Envelope:
    return Envelope(id, here("b"), ASKER, None, Response(False, b"answer"))


def test_g10_an_answer_that_was_inherited_leaves_in_the_lineage_of_what_was_passed_on() -> None:
    tracer = Tracer(OUR)
    handled(tracer)
    tracer.left(answer(99), 2.0)
    last = tracer.records[-1]
    assert (last.at, last.step, last.id, last.parent, last.root) == (2.0, TraceStep.ANSWERED, 99, 7, 7)
    assert (last.source, last.target, last.claimed, last.beginning) == (here("b"), ASKER, False, b"answer")


def test_an_answer_to_what_nobody_saw_is_not_written_down() -> None:
    tracer = Tracer(OUR)
    tracer.left(answer(99), 2.0)
    assert not tracer.records


def test_the_root_that_another_node_tells_is_that_of_what_follows() -> None:
    tracer, source = Tracer(OUR), Address("near.nec", here("a").process)
    came = Envelope(7, source, here("b"), None, Request(False, None, b""), None, True, 3)
    tracer.sent(came, 1.0)
    arrival = Arrival(came.source, came.message, None, None)
    tracer.queued(arrival, came.id, is_request=True)
    tracer.handed(came.target.process, arrival, 1.5)
    onward = Envelope(8, here("b"), ASKER, None, Request(False, None, b""))
    tracer.sent(onward, 2.0)
    assert [(each.id, each.parent, each.root) for each in tracer.records] == [(7, None, 3), (7, None, 3), (8, 7, 3)]
    assert tracer.root_of(onward) == 3


def test_who_follows_everything_takes_a_request_of_a_lineage_that_is_left_out_there_for_a_root() -> None:
    tracer, source = Tracer(OUR), Address("near.nec", here("a").process)
    tracer.sent(Envelope(7, source, here("b"), None, Request(False, None, b""), None, True, UNFOLLOWED), 1.0)
    assert [record.root for record in tracer.records] == [7]


def test_a_request_of_a_peer_with_the_id_of_one_of_ours_is_not_taken_for_it() -> None:
    tracer, evil = Tracer(OUR), Address("evil.nec", here("a").process)
    tracer.sent(request(7), 1.0)
    taken = Envelope(7, evil, here("b"), ReplyTo(evil, 7), Request(True, None, b""), None, True, 9)
    tracer.sent(taken, 2.0)
    arrival = Arrival(taken.source, taken.message, None, None)
    tracer.queued(arrival, taken.id, is_request=True)
    tracer.handed(taken.target.process, arrival, 3.0)
    tracer.passed_on(taken, 3.0)
    tracer.left(Envelope(7, here("b"), evil, None, Response(False, b"")), 4.0)
    onward = Envelope(8, here("b"), ASKER, None, Request(False, None, b""))
    tracer.sent(onward, 5.0)
    assert [(each.id, each.step, each.root) for each in tracer.records] == [
        (7, TraceStep.SENT, 7),
        (8, TraceStep.SENT, 8),
    ]


def test_a_request_that_a_peer_brings_twice_is_written_down_twice() -> None:
    """By that a run of real nodes is seen to break G4."""
    tracer, source = Tracer(OUR), Address("near.nec", here("a").process)
    came = Envelope(7, source, here("b"), None, Request(False, None, b""), None, True)
    tracer.sent(came, 1.0)
    tracer.sent(came, 2.0)
    assert [(each.at, each.id) for each in tracer.records] == [(1.0, 7), (2.0, 7)]
