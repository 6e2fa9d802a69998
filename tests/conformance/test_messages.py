"""G2 to G8: what a message carries, where it comes from, and that each request has exactly one outcome."""

from __future__ import annotations

import pytest

from kernel.contract.message import Reason
from tests.conformance import everywhere, spanning
from tests.conformance.lab import OUR, Lab, SimLab
from tests.conformance.steps import (
    GET_BLOB,
    RETURN,
    blob,
    message,
    receive,
    receive_until,
    respond,
    send,
    send_many,
    wait_for,
)


@everywhere
def test_g2_a_request_and_its_response_arrive_as_they_were_sent(lab: Lab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    reply = respond("ünï", metadata='{"n": [1, null]}')
    a.ask(wait_for(b, "", reply, expects=20, metadata=' {"m" : 1} '), respond())
    (request,), (response,) = b.seen("request"), a.seen("response")
    assert (request.metadata, request.expects, request.inherit) == (' {"m" : 1} ', 20, False)
    assert (response.body, response.metadata, response.source) == ("ünï", '{"n": [1, null]}', b.address)


@spanning
def test_g2_the_mime_of_a_blob_is_optional(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    for carried in (blob("typed", mime="text/x-Ünknown; q=1"), blob("bare"), blob("", mime="")):
        a.tell(send(b, "", GET_BLOB, blob=carried))
    assert [(seen.mime, seen.blob) for seen in b.seen("blob")] == [
        ("text/x-Ünknown; q=1", "typed"),
        (None, "bare"),
        ("", ""),
    ]


def test_g2_outstanding_requests_have_ids_of_their_own(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    a.tell(*(send(b, "question", expects=50) for _ in range(100)))
    assert len(a.process.outstanding) == 100
    assert all(0 <= id < 2**64 for id in a.process.outstanding)


@pytest.mark.parametrize("metadata", ["{", "", "nul", "NaN", '{"a":1}}', "[" * 100_000])
def test_g2_a_request_whose_metadata_is_no_json_comes_back_at_once_and_the_log_says_so(
    lab: SimLab, metadata: str
) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    sent = a.tell(send(b, "odd", expects=20, metadata=metadata))
    assert [(seen.failure, seen.at, seen.body) for seen in a.seen("error")] == [("timeout", sent, "odd")]
    assert b.seen() == []
    assert f"kernel: request from {a} to {b}: metadata is not JSON" in lab.our.log


@everywhere
def test_g3_the_kernel_writes_the_source(lab: Lab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    a.ask(wait_for(b, "", respond(), expects=20), respond())
    assert [seen.source for seen in b.seen("request")] == [a.address]
    assert [seen.source for seen in a.seen("response")] == [b.address]


@everywhere
def test_g4_messages_arrive_in_the_order_of_their_sending(lab: Lab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    numbers = [str(number) for number in range(60)]
    sends = [send(b, number, blob=blob(size=1 + 7919 * int(number) % 90_000)) for number in numbers[:20]]
    at_once = send_many(*(message(b, number) for number in numbers[20:40]))
    rest = [send(b, number, expects=50) for number in numbers[40:]]
    a.ask(*sends, at_once, *rest, wait_for(b, "", respond("all there"), expects=20), respond())
    assert [seen.body for seen in b.seen("request")][:60] == numbers


@spanning
def test_g4_responses_keep_their_place_among_requests(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    a.tell(send(b, "", send(a, "before"), respond("the answer"), send(a, "after"), expects=20))
    assert [seen.body for seen in a.seen()][1:] == ["before", "the answer", "after"]


@spanning
def test_g5_a_second_response_is_dropped_and_counted_at_the_requester(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    a.tell(send(b, "", respond("one"), respond("two"), expects=5))
    lab.until(lab.now + 10)
    assert [(seen.kind, seen.body) for seen in a.seen()][1:] == [("response", "one")]
    assert lab.our.core.kernel.statistics()["dropped"] == 1
    assert lab.dead() == [Reason.NOT_AWAITED]


@spanning
def test_g5_g16_a_response_after_the_timeout_is_dropped_and_both_are_told_apart(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    a.tell(send(b, "", receive(), respond("late"), expects=5))
    lab.until(lab.now + 10)
    b.tell()
    assert [seen.kind for seen in a.seen()][1:] == ["error"]
    assert lab.our.core.kernel.statistics()["dropped"] == 1
    assert f"kernel: response from {b}{_claim(lab)} to {a}: nobody waits for it" in lab.our.log
    assert f"kernel: request from {a} to {b}: expired" in lab.our.log
    assert lab.dead() == [Reason.EXPIRED, Reason.NOT_AWAITED]


def _claim(lab: SimLab) -> str:
    return " (claim)" if lab.other is not lab.our else ""


@spanning
def test_g5_each_of_many_requests_has_one_outcome_whatever_becomes_of_it(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    answered = [send(b, "", respond("yes"), expects=30, context=f"answered {n}") for n in range(5)]
    silent = [send(b, "silence", expects=4, context=f"silent {n}") for n in range(5)]
    unknown = [send(f"{b.node.name}@nobody:probes:sys", "", expects=4, context=f"nobody {n}") for n in range(5)]
    offline = [send("nobody.nec@b:probes:sys", "", expects=30, context=f"offline {n}") for n in range(5)]
    a.tell(*answered, *silent, *unknown, *offline)
    lab.until(lab.now + 100)
    outcomes = sorted((str(seen.context).split()[0], seen.kind, seen.failure) for seen in a.seen() if seen.context)
    assert outcomes == sorted(
        [("answered", "response", None)] * 5
        + [("silent", "error", "timeout")] * 5
        + [("nobody", "error", "timeout")] * 5
        + [("offline", "error", "offline")] * 5
    )
    assert lab.our.core.kernel.statistics()["outstanding"] == 0


def test_g5_a_process_that_ends_leaves_nothing_outstanding(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    a.tell(*(send(b, "question", expects=50) for _ in range(10)), RETURN)
    assert lab.our.core.kernel.statistics()["outstanding"] == 0


@everywhere
def test_g6_the_context_comes_back_with_the_outcome_and_the_receiver_does_not_see_it(lab: Lab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    first = send(b, "", respond("yes"), expects=20, context="first")
    second = send(f"{OUR}@nobody:probes:sys", "", expects=20, context="second")
    a.ask(first, second, receive(2), respond())
    assert {(seen.kind, seen.context) for seen in a.seen() if seen.kind != "request"} == {
        ("response", "first"),
        ("error", "second"),
    }
    assert all(seen.context is None for seen in b.seen())


@spanning
def test_g7_a_timeout_is_so_many_seconds_from_the_send_as_the_senders_kernel_counts(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    sent = a.tell(*(send(b, "silence", expects=seconds) for seconds in (30, 5, 100, 6)))
    lab.until(sent + 200)
    assert [(seen.at, seen.failure) for seen in a.seen("error")] == [
        (sent + seconds, "timeout") for seconds in (5, 6, 30, 100)
    ]


@spanning
def test_g7_a_timeout_of_zero_fires_at_the_next_turn(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    sent = a.tell(send(b, "quick", expects=0))
    assert [seen.at for seen in a.seen("error")] == [sent]


def test_g7_a_timeout_of_u64_max_never_fires_and_breaks_nothing(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    a.tell(send(b, "for a while", expects=7), send(b, "for ever", expects=2**64 - 1))
    lab.until(lab.now + 10_000)
    assert [seen.body for seen in a.seen("error")] == ["for a while"]
    b.tell(respond("at last"))
    assert [seen.body for seen in a.seen("response")] == ["at last"]


@spanning
def test_g8_awaiting_leaves_all_other_messages_queued_in_order(lab: SimLab) -> None:
    a, b, c = lab.probe("a"), lab.probe("b", far=True), lab.probe("c")
    a.tell(wait_for(b, "", receive_until("go"), respond("awaited"), expects=50))
    c.tell(send(a, "1"), send(a, "2"), send(b, "go"))
    assert [(seen.kind, seen.body) for seen in a.seen()][1:] == [
        ("response", "awaited"),
        ("request", "1"),
        ("request", "2"),
    ]


def test_g8_the_outcomes_of_other_requests_wait_as_well(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    a.tell(send(b, "", respond("first"), expects=50), wait_for(b, "", respond("awaited"), expects=50))
    assert a.bodies("response") == ["awaited", "first"]


@spanning
def test_g8_an_await_that_fails_returns_its_error_at_the_time(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    sent = a.tell(wait_for(b, "silence", expects=5))
    lab.until(sent + 6)
    assert [(seen.failure, seen.body, seen.at) for seen in a.seen("error")] == [("timeout", "silence", sent + 5)]


@pytest.mark.parametrize(
    ("target", "expects", "line"),
    [
        ("a", 20, "ended: send-and-await-response: a request to oneself cannot be answered while one awaits it"),
        ("b", None, "ended: send-and-await-response: the request expects no response, so awaiting it would never end"),
    ],
)
def test_g8_awaiting_oneself_or_nothing_traps_and_says_so(
    lab: SimLab, target: str, expects: int | None, line: str
) -> None:
    a, _ = lab.probe("a"), lab.probe("b")
    a.tell(wait_for(f"our@{target}:probes:sys", expects=expects))
    assert not a.running
    assert [each.startswith(line) for each in a.lines()] == [True]
