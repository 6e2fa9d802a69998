"""Sessions, without connections: who decides, and what a resume frame may claim."""

import pytest

from net.base.errors import BadFrame
from net.base.frames import INCARNATION_BYTES, Known, Resume
from net.base.memory import UNMETERED
from net.session.outbox import PairNumbers
from net.session.session import Session
from tests.net.world import entropy_of

A, B = bytes(INCARNATION_BYTES), b"\1" * INCARNATION_BYTES


def session(*, arbiter: bool = True, guest: bool = False) -> Session:
    """One with somebody."""
    return Session(
        "bob.test", arbiter=arbiter, guest=guest, credit=(1000, 10), account=UNMETERED, entropy=entropy_of("session")
    )


def resume(incarnation: bytes = A, epoch: int = 0, binding: int = 0, known: Known | None = None) -> Resume:
    """What the other side says."""
    return Resume(incarnation, epoch, binding, 1 << 20, 100, known)


def test_what_was_sent_fails_when_the_other_side_is_another_incarnation() -> None:
    item = session()
    item.resumed(resume(A))
    item.outbox.queue(b"s", b"sent", None, "sent")
    item.outbox.write(memoryview(bytearray(1000)), 0, 1000, PairNumbers())
    item.outbox.queue(b"s", b"unsent", None, "unsent")
    assert item.resumed(resume(A)) == ([], [])
    item.outbox.write(memoryview(bytearray(26)), 0, 26, PairNumbers())
    assert item.resumed(resume(B)) == ([], ["sent"])
    assert item.outbox.messages == 1


def test_an_earlier_epoch_of_the_same_incarnation_is_bad() -> None:
    item = session()
    item.resumed(resume(A, epoch=2))
    with pytest.raises(BadFrame, match="epoch"):
        item.resumed(resume(A, epoch=1))
    item.resumed(resume(B, epoch=0))


def test_an_answer_to_another_choice_is_bad() -> None:
    with pytest.raises(BadFrame, match="another"):
        session(arbiter=True).resumed(resume(binding=1))


def test_who_follows_takes_newer_choices_alone() -> None:
    item = session(arbiter=False)
    item.resumed(resume(A, binding=3))
    item._binding = 3
    assert not item.accepts(resume(A, binding=3), met=2)
    assert item.accepts(resume(A, binding=4), met=1)


def test_who_follows_takes_another_incarnation_on_a_later_connection_alone() -> None:
    item = session(arbiter=False)
    item.resumed(resume(A, binding=3))
    item._met = 2
    assert not item.accepts(resume(B, binding=4), met=1)
    assert item.accepts(resume(B, binding=1), met=3)


def test_knowledge_of_an_epoch_that_was_given_up_counts_for_nothing() -> None:
    item = session()
    item.resumed(resume(A))
    incarnation = item._resume().incarnation
    item.outbox.queue(b"s", b"old", None, "old")
    item.outbox.write(memoryview(bytearray(1000)), 0, 1000, PairNumbers())
    assert item.give_up() == ["old"]
    item.outbox.queue(b"s", b"new", None, "new")
    assert item.resumed(resume(A, known=Known(incarnation, 0, 2, (), (1,)))) == ([], [])
    assert item.outbox.write(memoryview(bytearray(1000)), 0, 1000, PairNumbers()) > 0


def test_a_guest_has_no_credit_until_it_is_promoted() -> None:
    item = session(guest=True)
    item.resumed(resume(A))
    assert item._resume().credit_messages == 0
    item.outbox.queue(b"s", b"header", None, 1)
    assert item.outbox.write(memoryview(bytearray(1000)), 0, 1000, PairNumbers()) == 0
    credit = item.promote()
    assert (credit.credit_bytes, credit.credit_messages) == (1000, 10)
    assert item.outbox.write(memoryview(bytearray(1000)), 0, 1000, PairNumbers()) > 0


def test_a_session_is_idle_when_nothing_is_owed() -> None:
    item = session()
    assert item.idle
    item.outbox.queue(b"s", b"", None, 1)
    assert not item.idle
    item.give_up()
    assert item.idle
