"""A share of all lineages: whole ones, by ids that both nodes know, and nothing is made of the others."""

from __future__ import annotations

import pytest

from kernel.contract.address import Address, ProcessId
from kernel.contract.guest import Arrival
from kernel.contract.message import Envelope, Reason, Request, Response
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


def test_a_request_to_another_node_is_followed_by_its_own_id(traced: Traced) -> None:
    traced.handle(request(OTHER, AP, AQ))
    traced.tracer.sent(request(FOURTH, AQ, BP), 0.0)
    traced.tracer.sent(request(THIRD, AQ, BP), 0.0)
    assert traced.steps == [(FOURTH, TraceStep.SENT, FOURTH)]


def test_what_comes_from_another_node_is_followed_by_its_id(traced: Traced) -> None:
    traced.handle(request(OTHER, BP, AQ, claimed=True))
    traced.handle(request(SOME, BP, AQ, claimed=True))
    assert [step[0] for step in traced.steps] == [SOME, SOME]


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
