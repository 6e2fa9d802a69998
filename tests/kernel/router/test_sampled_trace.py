"""A share of all lineages: whole ones, by ids that both nodes know, and nothing is made of the others."""

from __future__ import annotations

import pytest

from kernel.contract import limits
from kernel.contract.address import Address, ProcessId
from kernel.contract.guest import Arrival
from kernel.contract.message import UNFOLLOWED, Envelope, Reason, Request, Response
from kernel.router.sampled_trace import SampledTracer, bound_of
from kernel.router.trace import TraceStep

P, Q = ProcessId("p", "app", "x.nec"), ProcessId("q", "app", "x.nec")
AP, AQ, BP = Address("a.nec", P), Address("a.nec", Q), Address("b.nec", P)
REQUEST = Request(False, 5, b"{}")
SOME, OTHER, THIRD, FOURTH = 5, 15, 16, 6
BELOW = 10


def request(id: int, source: Address, target: Address, *, claimed: bool = False) -> Envelope:
    return Envelope(id, source, target, None, REQUEST, None, claimed)


class Traced:
    """A tracer of the requests with ids below ten, and what a router tells it."""

    def __init__(self) -> None:
        self.tracer = SampledTracer("a.nec", None, BELOW)

    def handle(self, envelope: Envelope) -> None:
        """Send a request, and hand it to its target on this node."""
        self.tracer.sent(envelope, 0.0)
        arrival = Arrival(envelope.source, REQUEST, None, None)
        self.tracer.queued(arrival, envelope.id, is_request=True)
        self.tracer.handed(envelope.target.process, arrival, 0.0)

    @property
    def steps(self) -> list[tuple[int, TraceStep, int]]:
        return [(each.id, each.step, each.root) for each in self.tracer.records]


@pytest.fixture
def traced() -> Traced:
    return Traced()


def test_a_lineage_is_followed_whole_whatever_ids_come_later(traced: Traced) -> None:
    traced.handle(request(SOME, AP, AQ))
    traced.handle(request(OTHER, AQ, AP))
    assert traced.steps == [
        (SOME, TraceStep.SENT, SOME),
        (SOME, TraceStep.HANDED, SOME),
        (OTHER, TraceStep.SENT, SOME),
        (OTHER, TraceStep.HANDED, SOME),
    ]


def test_of_another_lineage_nothing_is_written_or_remembered(traced: Traced) -> None:
    traced.handle(request(OTHER, AP, AQ))
    traced.handle(request(FOURTH, AQ, AP))
    traced.tracer.dropped(request(THIRD, AP, AQ), Reason.INBOX_FULL, 0.0)
    assert traced.steps == []


def test_a_request_to_another_node_that_continues_a_lineage_goes_with_its_root(traced: Traced) -> None:
    traced.handle(request(SOME, AP, AQ))
    onward = request(OTHER, AQ, BP)
    traced.tracer.sent(onward, 0.0)
    assert traced.steps[-1] == (OTHER, TraceStep.SENT, SOME)
    assert traced.tracer.root_of(onward) == SOME


def test_of_a_root_nothing_is_told_since_its_id_says_it(traced: Traced) -> None:
    root = request(SOME, AP, BP)
    traced.tracer.sent(root, 0.0)
    assert traced.tracer.root_of(root) is None


def test_another_node_is_told_that_a_lineage_is_left_out_where_it_would_follow_the_request(traced: Traced) -> None:
    traced.handle(request(OTHER, AP, AQ))
    onward, plain = request(FOURTH, AQ, BP), request(THIRD, AQ, BP)
    traced.tracer.sent(onward, 0.0)
    traced.tracer.sent(plain, 0.0)
    assert traced.steps == []
    assert (traced.tracer.root_of(onward), traced.tracer.root_of(plain)) == (UNFOLLOWED, None)


def test_what_is_left_out_is_remembered_within_a_bound(traced: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_TRACED_REQUESTS", 3)
    traced.handle(request(OTHER, AP, AQ))
    sent = [request(id, AQ, BP) for id in range(BELOW)]
    for each in sent:
        traced.tracer.sent(each, 0.0)
    assert [traced.tracer.root_of(each) for each in sent] == [None] * 7 + [UNFOLLOWED] * 3


def test_what_comes_from_another_node_is_followed_by_the_root_that_it_brings_or_its_id(traced: Traced) -> None:
    traced.handle(request(OTHER, BP, AQ, claimed=True))
    traced.handle(request(SOME, BP, AQ, claimed=True))
    traced.handle(request(THIRD, BP, AQ, claimed=True)._replace(root=SOME))
    traced.handle(request(FOURTH, BP, AQ, claimed=True)._replace(root=OTHER))
    traced.handle(request(FOURTH, BP, AQ, claimed=True)._replace(root=UNFOLLOWED))
    assert [(id, root) for id, _, root in traced.steps] == [(SOME, SOME)] * 2 + [(THIRD, SOME)] * 2


def test_a_process_that_only_takes_answers_can_begin_a_lineage(traced: Traced) -> None:
    traced.handle(request(OTHER, AP, AQ))
    traced.tracer.handed(Q, Arrival(AP, Response(False, b"{}"), None, None), 0.0)
    traced.tracer.sent(request(SOME, AQ, AP), 0.0)
    assert traced.steps == [(SOME, TraceStep.SENT, SOME)]


def test_a_process_that_ends_leaves_nothing_behind(traced: Traced) -> None:
    traced.handle(request(OTHER, AP, AQ))
    traced.tracer.ended(Q)
    traced.tracer.sent(request(SOME, AQ, AP), 0.0)
    assert traced.steps == [(SOME, TraceStep.SENT, SOME)]


def test_shares_are_bounds_of_ids() -> None:
    assert (bound_of(0.0), bound_of(0.5), bound_of(1.0)) == (0, 1 << 63, 1 << 64)
