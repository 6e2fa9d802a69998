"""Requests as spans: two nodes derive the same ids, and a lineage on one node is a tree."""

from __future__ import annotations

from kernel.contract.address import Address, ProcessId
from kernel.router.sampled_trace import bound_of
from kernel.router.trace import TraceRecord, TraceStep
from nectar_node.telemetry.spans import (
    CONSUMER,
    INTERNAL,
    MAX_REQUESTS,
    PRODUCER,
    STALE_SECONDS,
    Span,
    Spans,
)

P, Q = ProcessId("p", "app", "x.nec"), ProcessId("q", "app", "x.nec")
AP, AQ, BP = Address("a.nec", P), Address("a.nec", Q), Address("b.nec", P)
ALL = bound_of(1.0)


def sent(id: int, source: Address, target: Address, *, parent: int | None = None, root: int = 0) -> TraceRecord:
    return TraceRecord(
        float(id % 100), TraceStep.SENT, id, parent, root or id, False, True, source, target, False, 9, None, None, b""
    )


def answered(record: TraceRecord, at: float) -> TraceRecord:
    return record._replace(at=at, step=TraceStep.ANSWERED, source=record.target, target=record.source)


def told(spans: Spans, *records: TraceRecord) -> list[Span]:
    return [span for record in records for span in spans.add(record)]


def test_two_nodes_tell_of_a_request_in_one_trace_without_a_word() -> None:
    request = sent(7, AP, BP)
    (here,) = told(Spans("a.nec", ALL), request, answered(request, 9.0))
    (there,) = told(Spans("b.nec", ALL), request._replace(claimed=True), answered(request, 8.0))
    assert (here.kind, there.kind) == (PRODUCER, CONSUMER)
    assert here.id.trace == there.id.trace
    assert there.parent == here.id.span
    assert here.parent is None
    assert here.id.span != there.id.span


def test_an_id_that_a_peer_takes_from_another_does_not_lead_into_its_trace() -> None:
    ours, theirs = sent(7, AP, BP), sent(7, Address("evil.nec", P), BP)
    (one,) = told(Spans("b.nec", ALL), ours._replace(claimed=True), answered(ours, 8.0))
    (other,) = told(Spans("b.nec", ALL), theirs._replace(claimed=True), answered(theirs, 8.0))
    assert one.id.trace != other.id.trace


def test_what_follows_from_a_request_is_below_it() -> None:
    spans, first = Spans("a.nec", ALL), sent(1, AP, AQ)
    second = sent(2, AQ, AP, parent=1, root=1)
    below, above = told(spans, first, second, answered(second, 3.0), answered(first, 4.0))
    assert (below.id.trace, below.parent) == (above.id.trace, above.id.span)
    assert above.kind == INTERNAL
    assert (above.start, above.end) == (1.0, 4.0)


def test_a_later_request_to_another_node_is_in_both_traces_which_are_linked() -> None:
    spans, first = Spans("a.nec", ALL), sent(1, AP, AQ)
    second = sent(2, AQ, BP, parent=1, root=1)
    within, own = told(spans, first, second, answered(second, 3.0))
    (there,) = told(Spans("b.nec", ALL), second._replace(claimed=True, parent=None, root=2), answered(second, 2.5))
    assert (there.id.trace, there.parent) == (own.id.trace, own.id.span)
    assert (own.parent, own.link, within.link) == (None, within.id, own.id)
    assert within.id.trace != own.id.trace


def test_a_share_follows_whole_lineages_and_whole_requests_between_nodes() -> None:
    spans, first = Spans("a.nec", 10), sent(11, AP, AQ)
    crossing, other = sent(3, AQ, BP, parent=11, root=11), sent(12, AQ, BP, parent=11, root=11)
    (span,) = told(spans, first, crossing, other, *(answered(each, 20.0) for each in (first, crossing, other)))
    assert span.attributes["messaging.message.id"] == "3"
    assert span.parent is None


def test_a_request_without_an_outcome_is_told_when_it_is_old() -> None:
    spans, request = Spans("a.nec", ALL), sent(1, AP, BP)
    assert not told(spans, request, request._replace(at=1.5, step=TraceStep.HANDED))
    assert not list(spans.expire(STALE_SECONDS))
    (span,) = spans.expire(STALE_SECONDS + 1.0)
    assert (span.end, span.attributes["nectar.outcome"]) == (1.5, "unknown")


def test_requests_that_are_never_answered_do_not_fill_the_memory() -> None:
    spans = Spans("a.nec", ALL)
    gone = told(spans, *(sent(id, AP, BP) for id in range(MAX_REQUESTS + 10)))
    assert [span.attributes["messaging.message.id"] for span in gone] == [str(id) for id in range(10)]


def test_a_request_that_expects_nothing_ends_when_it_has_arrived() -> None:
    request = sent(1, AP, BP)._replace(expects=False)
    spans = Spans("a.nec", ALL)
    assert not told(spans, request, request._replace(at=2.0, step=TraceStep.HANDED))
    (span,) = told(spans, request._replace(at=3.0, step=TraceStep.ARRIVED))
    assert (span.end, span.events) == (3.0, (("handed over", 2.0), ("arrived there", 3.0)))


def test_a_failure_has_its_reason_in_few_words() -> None:
    request = sent(1, AP, BP)
    failed = request._replace(at=5.0, step=TraceStep.FAILED, reason="connection lost")
    (span,) = told(Spans("a.nec", ALL), request, failed, failed)
    assert (span.error, span.attributes["error.type"]) == ("connection lost", "connection_lost")


def test_a_span_has_no_byte_of_the_message() -> None:
    request = sent(1, AP, BP)._replace(beginning=b"a secret")
    (span,) = told(Spans("a.nec", ALL), request, answered(request, 2.0))
    assert "secret" not in repr(span)
