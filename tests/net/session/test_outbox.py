"""Outbox and inbox against each other, without a network."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from net.base.errors import BadFrame
from net.base.frames import Data, Known, decode_frames_untrusted
from net.base.limits import FIRST_ALLOCATION_BYTES, MAX_PLAINTEXT_BYTES, MAX_QUEUED_MESSAGES
from net.session.inbox import Arrived, Inbox
from net.session.outbox import Outbox
from tests.net.frames import record
from tests.seeds import examples

CREDIT = (1 << 30, 1000)
IDENTIFIER = bytes(16)


def outbox(credit: tuple[int, int] = CREDIT) -> Outbox:
    """One with credit."""
    box = Outbox()
    box.set_credit(*credit)
    return box


def deliver(box: Outbox, inbox: Inbox, size: int = MAX_PLAINTEXT_BYTES) -> list[Arrived]:
    """Carry everything over."""
    arrived = []
    while data := record(box, size):
        for frame in decode_frames_untrusted(memoryview(data)):
            assert isinstance(frame, Data)
            message = inbox.receive(frame)
            if message is not None:
                arrived.append(message)
    return arrived


def test_nothing_is_written_before_there_is_credit() -> None:
    box = Outbox()
    box.queue(b"s", b"header", None, 1)
    assert record(box) == b""
    box.set_credit(*CREDIT)
    assert record(box) != b""


def test_a_message_that_exceeds_the_credit_goes_alone() -> None:
    box, inbox = outbox((10, 5)), Inbox(10, 5)
    box.queue(b"a", bytes(100), None, 1)
    box.queue(b"b", bytes(100), None, 2)
    (first,) = deliver(box, inbox)
    assert deliver(box, inbox) == []
    inbox.taken(first.sequence)
    assert box.acknowledge(inbox.take_acks()) == [1]
    assert len(deliver(box, inbox)) == 1


def test_streams_take_turns() -> None:
    box, inbox = outbox(), Inbox(*CREDIT)
    for stream in (b"a", b"b", b"c"):
        for index in range(2):
            box.queue(stream, stream + b"%d" % index, None, None)
    assert [message.header for message in deliver(box, inbox)] == [b"a0", b"b0", b"c0", b"a1", b"b1", b"c1"]


def test_a_target_has_a_share_of_its_own_whoever_sends_to_it() -> None:
    box, inbox = outbox((1 << 30, 2048)), Inbox(1 << 30, 2048)
    for index in range(300):
        box.queue(b"%d" % (index % 3), b"%d" % index, None, index, b"stuck")
    assert len(deliver(box, inbox)) == 256
    box.queue(b"other", b"to another", None, None, b"taking")
    (other,) = deliver(box, inbox)
    assert other.header == b"to another"
    inbox.taken(1)
    inbox.taken(other.sequence)
    assert box.acknowledge(inbox.take_acks()) == [0, None]
    assert [message.header for message in deliver(box, inbox)] == [b"256"]


def test_streams_to_one_target_that_waits_take_turns_when_it_takes_again() -> None:
    box, inbox = outbox((1 << 30, 16)), Inbox(1 << 30, 16)
    for stream in (b"a", b"b", b"c"):
        for index in range(3):
            box.queue(stream, stream + b"%d" % index, None, None, b"target")
    order = []
    while arrived := deliver(box, inbox):
        order += [message.header for message in arrived]
        for message in arrived:
            inbox.taken(message.sequence)
        box.acknowledge(inbox.take_acks())
    assert order == [b"a0", b"b0", b"c0", b"a1", b"b1", b"c1", b"a2", b"b2", b"c2"]


def test_a_grown_blob_has_exactly_its_bytes() -> None:
    box, inbox = outbox(), Inbox(*CREDIT)
    blob = bytes(range(256)) * (3 * FIRST_ALLOCATION_BYTES // 256) + b"end"
    box.queue(b"s", b"", blob, 1)
    (message,) = deliver(box, inbox)
    assert message.blob == blob


def test_a_full_outbox_says_so() -> None:
    box = Outbox()
    for index in range(MAX_QUEUED_MESSAGES):
        assert not box.full
        box.queue(b"s", b"", None, index)
    assert box.full


def test_an_acknowledgement_of_what_was_not_sent_whole_is_bad() -> None:
    box = outbox()
    with pytest.raises(BadFrame):
        box.acknowledge((1,))
    box.queue(b"s", bytes(100_000), None, 1)
    record(box)
    with pytest.raises(BadFrame):
        box.acknowledge((1,))


@pytest.mark.parametrize(
    "known",
    [
        Known(IDENTIFIER, 0, 0, (), ()),
        Known(IDENTIFIER, 0, 4, (), ()),
        Known(IDENTIFIER, 0, 3, ((2, 99_999),), ()),
        Known(IDENTIFIER, 0, 3, (), (2,)),
    ],
)
def test_a_resume_that_cannot_be_is_bad(known: Known) -> None:
    box = outbox()
    box.queue(b"a", b"whole", None, 1)
    box.queue(b"b", bytes(100_000), None, 2)
    record(box)
    with pytest.raises(BadFrame):
        box.resume(known)


def test_giving_up_returns_every_token_once() -> None:
    box, inbox = outbox((1 << 30, 3)), Inbox(*CREDIT)
    for index in range(6):
        box.queue(b"%d" % (index % 2), bytes(40_000), None, index)
    arrived = deliver(box, inbox)
    inbox.taken(arrived[0].sequence)
    done = box.acknowledge(inbox.take_acks())
    assert sorted(map(str, [*done, *box.fail_begun(), *box.fail_all()])) == [str(index) for index in range(6)]
    assert (box.messages, box.bytes, box.writable) == (0, 0, False)


def test_a_shrunk_inbox_has_the_message_begin_again_under_its_number() -> None:
    box, inbox = outbox(), Inbox(*CREDIT)
    box.queue(b"s", b"header", bytes(200_000), 1)
    for frame in decode_frames_untrusted(memoryview(record(box))):
        assert isinstance(frame, Data)
        inbox.receive(frame)
    inbox.shrink()
    known = inbox.known(IDENTIFIER, 0)
    assert known.partial == ((1, 0),)
    assert box.resume(known) == []
    (message,) = deliver(box, inbox)
    assert (message.sequence, message.header, message.blob) == (1, b"header", bytes(200_000))


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("queue"), st.integers(0, 3), st.sampled_from([0, 1, 500, 9000, 30_000])),
        st.tuples(st.just("record"), st.integers(5000, 20_000), st.just(0)),
        st.tuples(st.just("take"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("acknowledge"), st.just(0), st.just(0)),
        st.tuples(st.just("break"), st.integers(0, 3), st.just(0)),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=examples(200))
@given(OPERATIONS)
def test_whatever_happens_each_message_arrives_once_in_order_and_is_acknowledged_once(
    operations: list[tuple[str, int, int]],
) -> None:
    credit = (40_000, 6)
    box, inbox = outbox(credit), Inbox(*credit)
    queued: list[tuple[int, int, int]] = []
    arrived: list[Arrived] = []
    taken: set[int] = set()
    delivered: list[object] = []

    def carry(data: bytes) -> None:
        for frame in decode_frames_untrusted(memoryview(data)) if data else []:
            assert isinstance(frame, Data)
            message = inbox.receive(frame)
            if message is not None:
                arrived.append(message)

    def take(index: int) -> None:
        waiting = [item for item in range(len(arrived)) if item not in taken]
        if waiting:
            chosen = waiting[index % len(waiting)]
            taken.add(chosen)
            assert inbox.taken(arrived[chosen].sequence)

    for operation, number, size in operations:
        if operation == "queue":
            token = len(queued)
            queued.append((token, number, size))
            box.queue(b"%d" % number, b"%d" % token, bytes([number]) * size, token)
        elif operation == "record":
            carry(record(box, number))
        elif operation == "take":
            take(number)
        elif operation == "acknowledge":
            delivered += box.acknowledge(inbox.take_acks())
        else:
            for _ in range(number):
                record(box)
            delivered += box.resume(inbox.known(IDENTIFIER, 0))
            box.set_credit(*credit)
    for _ in range(len(queued) + 1):
        while data := record(box):
            carry(data)
        while len(taken) < len(arrived):
            take(0)
        delivered += box.acknowledge(inbox.take_acks())
    assert sorted(map(str, delivered)) == sorted(str(token) for token, _, _ in queued)
    for number in range(4):
        mine = [str(token).encode() for token, stream, _ in queued if stream == number]
        assert [message.header for message in arrived if message.header in mine] == mine
    sizes = {str(token).encode(): (number, size) for token, number, size in queued}
    for message in arrived:
        number, size = sizes[message.header]
        assert message.blob == bytes([number]) * size
    assert (box.messages, box.bytes, box.estimate(), inbox.cost, inbox.idle) == (0, 0, 64, 0, True)
