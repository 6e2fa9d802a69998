"""What an inbox refuses, and what it sets aside; what arrives in it is in test_streams.py, since an outbox sends it."""

from __future__ import annotations

import pytest

from net.base.errors import BadFrame, CreditOverrun
from net.base.frames import Data
from net.base.limits import FIRST_ALLOCATION_BYTES, MAX_BLOB_BYTES
from net.session.inbox import Inbox


def test_memory_is_not_given_on_the_peers_word() -> None:
    inbox = Inbox(1 << 30, 1000)
    inbox.receive(Data(1, (1, MAX_BLOB_BYTES), memoryview(b"h")))
    assert inbox.held_bytes == 1
    inbox.receive(Data(1, None, memoryview(b"b")))
    assert inbox.held_bytes == 1 + FIRST_ALLOCATION_BYTES


def test_of_what_is_not_whole_nothing_is_left_in_memory_when_the_peer_has_gone() -> None:
    inbox = Inbox(1 << 30, 1000)
    for number in (1, 2, 3):
        inbox.receive(Data(number, (1, MAX_BLOB_BYTES), memoryview(b"hblob")))
    inbox.shrink()
    assert inbox.held_bytes == 0


@pytest.mark.parametrize(
    ("frames", "error"),
    [
        ([Data(2, (1, None), memoryview(b"x"))], BadFrame),
        ([Data(1, None, memoryview(b"x"))], BadFrame),
        ([Data(1, (2, None), memoryview(b"x")), Data(1, (2, None), memoryview(b"x"))], BadFrame),
        ([Data(1, (2, None), memoryview(b"x")), Data(1, None, memoryview(b"xyz"))], BadFrame),
        ([Data(1, (1, None), memoryview(b"x")), Data(1, None, memoryview(b"x"))], BadFrame),
        ([Data(index, (1, None), memoryview(b"x")) for index in (1, 2, 3)], CreditOverrun),
        ([Data(1, (60, None), memoryview(b"x")), Data(2, (60, None), memoryview(b"x"))], CreditOverrun),
    ],
)
def test_a_peer_that_breaks_the_rules_is_caught(frames: list[Data], error: type[Exception]) -> None:
    inbox = Inbox(300, 2)

    def all_of_them() -> None:
        for frame in frames:
            inbox.receive(frame)

    with pytest.raises(error):
        all_of_them()


def test_a_message_is_acknowledged_once() -> None:
    inbox = Inbox(300, 2)
    inbox.receive(Data(1, (1, None), memoryview(b"x")))
    assert (inbox.taken(1), inbox.taken(1), inbox.taken(2)) == (True, False, False)
    assert (inbox.take_acks(), inbox.take_acks()) == ((1,), ())
