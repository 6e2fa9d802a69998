"""How a session's credit is shared out: exact values, and that no set of stuck targets uses it up (G24)."""

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from net.base.limits import MAX_BLOB_BYTES, MESSAGE_OVERHEAD_BYTES, MIB, SESSION_CREDIT_BYTES, SESSION_CREDIT_MESSAGES
from net.session.credit import Share, Shares
from net.session.outbox import Outbox
from tests.net.frames import record
from tests.seeds import examples

KIB = 1024
SMALL = 200 + MESSAGE_OVERHEAD_BYTES
FILE_CHUNK = 2 * MIB + 300 + MESSAGE_OVERHEAD_BYTES
LARGEST = MAX_BLOB_BYTES + 300 + MESSAGE_OVERHEAD_BYTES


def session() -> Shares[None]:
    """With the credit that a node gives."""
    shares: Shares[None] = Shares()
    shares.set_credit(SESSION_CREDIT_BYTES, SESSION_CREDIT_MESSAGES)
    return shares


def share(shares: Shares[None], name: object) -> Share[None]:
    """Of a target with that name."""
    return shares.obtain(str(name).encode())


def saturate(shares: Shares[None], target: Share[None], cost: int) -> int:
    """A stuck target takes all that it gets in messages of that cost; how many."""
    return next(number for number in count() if not shares.begin(target, cost))


@settings(max_examples=examples(40))
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(1, 9).map(lambda scale: 4**scale), st.booleans()),
        min_size=40,
        max_size=80,
    )
)
def test_what_begins_while_credit_is_ample_is_what_the_rules_allow(steps: list[tuple[int, int, bool]]) -> None:
    quick, exact = Shares[None](), Shares[None]()
    for shares in (quick, exact):
        shares.set_credit(1 << 20, 200)
    exact._ample_messages = 0
    begun: list[tuple[int, int]] = []
    for target, cost, acknowledged in steps:
        answers = [shares.begin(share(shares, target), cost) for shares in (quick, exact)]
        assert answers[0] is answers[1]
        if answers[0]:
            begun.append((target, cost))
        if acknowledged and begun:
            target, cost = begun.pop(0)
            for shares in (quick, exact):
                shares.release(share(shares, target), cost)


@pytest.mark.parametrize(("cost", "messages"), [(SMALL, 256), (FILE_CHUNK, 7), (9 * MIB, 1), (LARGEST, 1)])
def test_one_target_gets_an_eighth_of_the_credit_or_one_message(cost: int, messages: int) -> None:
    shares = session()
    assert saturate(shares, share(shares, "stuck"), cost) == messages


@pytest.mark.parametrize(
    ("stuck", "small_messages", "file_chunks"), [(1, 196, 6), (10, 46, 1), (30, 10, 1), (100, 1, 0)]
)
def test_the_next_targets_share_shrinks_as_others_are_stuck(stuck: int, small_messages: int, file_chunks: int) -> None:
    for cost, messages in ((SMALL, small_messages), (FILE_CHUNK, file_chunks)):
        shares = session()
        for number in range(stuck):
            saturate(shares, share(shares, number), cost)
        assert saturate(shares, share(shares, "next"), cost) == messages


@settings(max_examples=examples(40))
@given(
    st.lists(st.one_of(st.integers(129, 40 * KIB), st.integers(129, 75 * MIB)), min_size=1, max_size=100),
    st.booleans(),
)
def test_whatever_is_stuck_a_message_to_a_target_that_takes_passes(costs: list[int], large_first: bool) -> None:
    shares = session()
    for number, cost in enumerate(sorted(costs, reverse=large_first)):
        target = share(shares, number)
        if saturate(shares, target, cost) == 0:
            saturate(shares, target, SMALL)
    assert shares.begin(share(shares, "taking"), SESSION_CREDIT_BYTES * 8 // (64 + len(costs)) ** 2)


def test_the_largest_message_passes_beside_four_stuck_targets() -> None:
    shares = session()
    for number in range(4):
        assert saturate(shares, share(shares, number), 40 * KIB) > 0
    assert shares.begin(share(shares, "taking"), LARGEST)


def test_a_large_message_that_waits_is_not_passed_over_for_ever() -> None:
    shares = session()
    busy = [share(shares, number) for number in range(12)]
    begun = {each: saturate(shares, each, FILE_CHUNK) for each in busy}
    large = share(shares, "large")
    assert not shares.begin(large, LARGEST)
    turns = 0
    while not shares.begin(large, LARGEST):
        turns += 1
        assert turns < 100
        for each in busy:
            if begun[each]:
                shares.release(each, FILE_CHUNK)
                begun[each] -= 1
            begun[each] += saturate(shares, each, FILE_CHUNK)
    assert all(begun.values())
    assert turns == 2


def test_a_large_message_that_can_never_begin_leaves_the_others_their_shares() -> None:
    shares = session()
    assert saturate(shares, share(shares, "stuck"), LARGEST) == 1
    assert not shares.begin(share(shares, "large"), LARGEST)
    assert saturate(shares, share(shares, "taking"), FILE_CHUNK) == 1
    assert saturate(shares, share(shares, "another"), 40 * KIB) == 27


NAMES = st.integers(0, 30)


@settings(max_examples=examples(50))
@given(st.lists(st.tuples(NAMES, st.sampled_from([0, 500, 30_000, 3_000_000])), min_size=1, max_size=120), st.data())
def test_an_outbox_delivers_to_those_who_take_whoever_is_stuck(
    queued: list[tuple[int, int]], data: st.DataObject
) -> None:
    stuck = data.draw(st.sets(NAMES))
    box = Outbox()
    box.set_credit(SESSION_CREDIT_BYTES, 64)
    taken: list[object] = []
    for number, (name, size) in enumerate(queued):
        stream = b"%d>%d" % (number % 5, name)
        box.queue(stream, bytes(size), None, (number, name), b"%d" % name)
    while record(box):
        whole = [item for item in box._begun.values() if item.offset == item.total]
        done = tuple(item.sequence for item in whole if item.token[1] not in stuck)  # type: ignore[index]
        taken += box.acknowledge(done) if done else []
    assert sorted(taken) == [(number, name) for number, (name, _) in enumerate(queued) if name not in stuck]  # type: ignore[type-var]
