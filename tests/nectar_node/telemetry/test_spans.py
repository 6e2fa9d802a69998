"""Requests as spans: two nodes derive the same ids, and a lineage is a tree, on however many nodes."""

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
    trace_id,
)

P, Q = ProcessId("p", "app", "x.nec"), ProcessId("q", "app", "x.nec")
AP, AQ, BP = Address("a.nec", P), Address("a.nec", Q), Address("b.nec", P)
CP = Address("c.nec", P)
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


def test_what_a_peer_does_with_the_id_of_a_request_of_ours_changes_nothing_of_its_span() -> None:
    evil, ours = Address("evil.nec", P), sent(7, AP, BP)
    spans = Spans("a.nec", ALL)
    taken = sent(7, evil, AP)._replace(claimed=True)
    others = [taken._replace(step=step, reason="x") for step in TraceStep if step is not TraceStep.ANSWERED]
    steps = [taken, *others, answered(taken, 3.0)]
    (span,) = told(spans, ours, *steps, answered(ours, 9.0))
    assert (span.attributes["nectar.source"], span.end, span.error, span.events) == (str(AP), 9.0, None, ())


def test_a_peer_that_names_the_root_of_another_lineage_adds_to_its_trace_and_changes_no_span_of_it() -> None:
    ours, theirs = sent(7, AP, BP), sent(8, Address("evil.nec", P), AP, root=7)._replace(claimed=True)
    alone = told(Spans("a.nec", ALL), ours, answered(ours, 9.0))
    other, one = told(Spans("a.nec", ALL), ours, theirs, answered(theirs, 8.0), answered(ours, 9.0))
    assert [one] == alone
    assert other.id.trace == one.id.trace
    assert other.id.span != one.id.span != other.parent


def test_what_follows_from_a_request_is_below_it() -> None:
    spans, first = Spans("a.nec", ALL), sent(1, AP, AQ)
    second = sent(2, AQ, AP, parent=1, root=1)
    below, above = told(spans, first, second, answered(second, 3.0), answered(first, 4.0))
    assert (below.id.trace, below.parent) == (above.id.trace, above.id.span)
    assert above.kind == INTERNAL
    assert (above.start, above.end) == (1.0, 4.0)


def test_a_lineage_over_three_nodes_is_one_trace() -> None:
    first, second = sent(1, AP, BP), sent(2, BP, CP)
    (at_a,) = told(Spans("a.nec", ALL), first, answered(first, 9.0))
    there = sent(2, BP, CP, parent=1, root=1)
    b = told(Spans("b.nec", ALL), first._replace(claimed=True), there, answered(there, 5.0), answered(first, 6.0))
    (at_c,) = told(Spans("c.nec", ALL), second._replace(claimed=True, root=1), answered(second, 4.0))
    sends, handles = b
    assert {span.id.trace for span in (at_a, *b, at_c)} == {trace_id(1)}
    assert [at_a.parent, handles.parent, sends.parent, at_c.parent] == [
        None,
        at_a.id.span,
        handles.id.span,
        sends.id.span,
    ]


def test_a_share_follows_whole_lineages() -> None:
    spans, first = Spans("a.nec", 10), sent(11, AP, AQ)
    left_out = (first, sent(3, AQ, BP, parent=11, root=11), sent(12, AQ, BP, parent=11, root=11))
    assert not told(spans, *left_out, *(answered(each, 20.0) for each in left_out))
    root, later = sent(4, AP, AQ), sent(13, AQ, BP, parent=4, root=4)
    assert len(told(spans, root, later, answered(later, 20.0), answered(root, 21.0))) == 2


def test_what_followed_from_a_request_that_is_forgotten_stays_in_its_trace() -> None:
    later = sent(2, AQ, BP, parent=1, root=1)
    (span,) = told(Spans("a.nec", ALL), later, answered(later, 3.0))
    assert (span.id.trace, span.parent) == (trace_id(1), None)


def test_ids_of_traces_are_sixteen_bytes_that_begin_with_the_roots_id() -> None:
    assert trace_id(5).hex() == "0000000000000005" + trace_id(5)[8:].hex()
    assert len({trace_id(root)[8:] for root in range(1000)}) == 1000
    assert all(len(trace_id(root)) == 16 for root in (0, 2**64 - 1))


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
