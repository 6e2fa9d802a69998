"""timer:distro:sys: one empty answer, exactly when it is due."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.contract.address import Address, ProcessId
from kernel.contract.events import Reply
from kernel.contract.message import Envelope, ReplyTo, Request
from nectar_node.system.timer import MAX_BODY_BYTES, MAX_METADATA_BYTES, TIMER, Timer
from tests.nectar_node.system.drives import JSON

APP = Address("our.nec", ProcessId("main", "app", "sys"))


def ask(
    timer: Timer,
    body: bytes,
    now: float,
    id: int = 1,
    caller: Address = APP,
    waits: int = 9,
    metadata: str | None = None,
) -> None:
    request = Request(False, waits, body, metadata)
    timer.receive(Envelope(id, caller, Address("our.nec", TIMER), ReplyTo(caller, id), request), now)


def answer_of(timer: Timer) -> Reply | None:
    """Its next answer."""
    wanted = timer.next_action()
    assert wanted is None or isinstance(wanted, Reply)
    return wanted


def child(name: str) -> Address:
    return Address("our.nec", APP.process._replace(process=name))


def test_a_timer_answers_when_its_milliseconds_have_passed_and_not_before() -> None:
    timer = Timer()
    ask(timer, b'{"SetTimer": 0}', 3.0)
    assert timer.next_deadline() == 3.0
    timer = Timer()
    ask(timer, (2000).to_bytes(8, "little"), 0.0)
    assert timer.next_deadline() == 2.0
    timer = Timer()
    ask(timer, b'{"SetTimer": 1500}', 10.0)
    assert timer.next_deadline() == 11.5
    timer.on_timer(11.25)
    assert answer_of(timer) is None
    timer.on_timer(11.5)
    reply = answer_of(timer)
    assert reply is not None
    assert (reply.reply_to, reply.response.body) == (ReplyTo(APP, 1), b"")
    assert timer.next_deadline() is None


def test_timers_answer_in_the_order_in_which_they_expire() -> None:
    timer = Timer()
    for id, milliseconds in ((1, 300), (2, 100), (3, 300)):
        ask(timer, b'{"SetTimer": %d}' % milliseconds, 0.0, id)
    timer.on_timer(1.0)
    replies = [answer_of(timer) for _ in range(3)]
    assert [reply.reply_to.id for reply in replies if reply is not None] == [2, 1, 3]


def test_a_request_that_nobody_waits_for_sets_no_timer() -> None:
    timer = Timer()
    request = Request(False, None, b'{"SetTimer": 1000}')
    timer.receive(Envelope(1, APP, Address("our.nec", TIMER), None, request), 0.0)
    assert timer.next_deadline() is None


def test_what_is_no_duration_is_answered_at_once() -> None:
    for body in (b"", b"{}", b'{"SetTimer": -1}', b'{"SetTimer": true}', b'{"SetTimer": 1e9}', b"[" * 100_000):
        timer = Timer()
        ask(timer, body, 0.0)
        reply = answer_of(timer)
        assert reply is not None
        assert b"Err" in reply.response.body


@pytest.mark.parametrize("body", [b"debug", b'"Debug"'])
def test_debug_tells_how_many_run(body: bytes) -> None:
    timer = Timer()
    ask(timer, b'{"SetTimer": 1000}', 0.0)
    ask(timer, body, 0.0, 2)
    reply = answer_of(timer)
    assert reply is not None
    assert (reply.reply_to.id, reply.response.body) == (2, b'{"Debug":{"running":1}}')


def test_g23_nobody_uses_up_the_timers_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nectar_node.system.timer.MAX_TIMERS_OF_ONE", 2)
    timer = Timer()
    for id in (1, 2, 3):
        ask(timer, b'{"SetTimer": 1000}', 0.0, id)
    refused = answer_of(timer)
    assert refused is not None
    assert (refused.reply_to.id, refused.response.body) == (3, b'{"Err":"too many timers"}')
    timer.on_timer(1.0)
    assert [reply.reply_to.id for reply in (answer_of(timer), answer_of(timer)) if reply is not None] == [1, 2]
    ask(timer, b'{"SetTimer": 1000}', 1.0, 4)
    assert timer.next_deadline() == 2.0


def test_g23_the_children_of_a_process_have_no_more_timers_than_it_and_others_have_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nectar_node.system.timer.MAX_TIMERS_OF_ONE", 2)
    timer = Timer()
    for id in (1, 2, 3):
        ask(timer, b'{"SetTimer": 1000}', 0.0, id, child(f"child-{id}"))
    refused = answer_of(timer)
    assert refused is not None
    assert refused.reply_to.id == 3
    ask(timer, b'{"SetTimer": 500}', 0.0, 4, Address("our.nec", ProcessId("main", "other", "sys")))
    assert timer.next_deadline() == 0.5


def test_g23_a_processs_timers_end_with_it_and_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nectar_node.system.timer.MAX_TIMERS", 3)
    timer = Timer()
    ask(timer, b'{"SetTimer": 1000}', 0.0)
    for _ in range(5):
        for id in (2, 3):
            ask(timer, b'{"SetTimer": 2000}', 0.0, id, child("child"))
        timer.ended(child("child").process, 0.0)
    assert answer_of(timer) is None
    timer.on_timer(10.0)
    (only,) = [answer_of(timer)]
    assert only is not None
    assert only.reply_to == ReplyTo(APP, 1)
    assert (answer_of(timer), timer.next_deadline()) == (None, None)


def test_g23_a_timer_keeps_no_more_than_a_little_and_not_longer_than_its_request_waits() -> None:
    timer = Timer()
    ask(timer, b'{"SetTimer": 18446744073709551615}', 0.0, waits=1)
    ask(timer, b'{"SetTimer": 1001}', 0.0, waits=1)
    assert (timer.next_deadline(), answer_of(timer)) == (None, None)
    ask(timer, b'{"SetTimer": 1000}', 0.0, waits=1)
    assert timer.next_deadline() == 1.0
    timer = Timer()
    for length, started in ((MAX_METADATA_BYTES, True), (MAX_METADATA_BYTES + 1, False)):
        metadata = '"' + "x" * (length - 2) + '"'
        ask(timer, b'{"SetTimer": 1000}', 0.0, metadata=metadata)
        assert (answer_of(timer) is None) is started
    (kept,) = timer._running.values()
    assert kept.message.body == b""


def test_g23_a_body_that_is_long_to_read_is_refused_unread() -> None:
    timer = Timer()
    ask(timer, b'{"SetTimer": 1}'.ljust(MAX_BODY_BYTES + 1), 0.0)
    refused = answer_of(timer)
    assert refused is not None
    assert b"Err" in refused.response.body
    ask(timer, b'{"SetTimer": 1}'.ljust(MAX_BODY_BYTES), 0.0)
    assert timer.next_deadline() == 0.001


@given(st.binary(max_size=20) | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_a_process_sends_it_gets_one_answer(body: bytes) -> None:
    timer = Timer()
    ask(timer, body, 0.0, waits=1 << 60)
    timer.on_timer(1e30)
    assert answer_of(timer) is not None
    assert answer_of(timer) is None
