"""When small messages count as going beside a flow, with exact times and numbers; and a peer that plays with it."""

from __future__ import annotations

from collections import Counter

import pytest

from net.base.frames import Data, decode_frames_untrusted
from net.session.inbox import Inbox
from net.session.mixture import LEAST_FLOW_BYTES, LEAST_SMALL, SPAN_SECONDS, Mixture
from net.session.outbox import Outbox
from tests.net.frames import record
from tests.net.world import Node, connection_of, pair

MIB = 1 << 20


class Ends:
    """Two ends of a session, whose messages arrive at once; each looks at what it sends and receives."""

    def __init__(self) -> None:
        self.now = 100.0
        self.boxes = [(Inbox(1 << 30, 1 << 20), Outbox()) for _ in range(2)]
        self.mixtures = [Mixture(), Mixture()]
        for _, outbox in self.boxes:
            outbox.set_credit(1 << 30, 1 << 20)
        self.look()

    def pass_on(self, sender: int, *sizes: int) -> None:
        """Let messages of such sizes pass from that end to the other, which takes them."""
        outbox, inbox = self.boxes[sender][1], self.boxes[1 - sender][0]
        for size in sizes:
            outbox.queue(b"s", b"h", bytes(size), None)
        while data := record(outbox):
            for frame in decode_frames_untrusted(memoryview(data)):
                assert isinstance(frame, Data)
                if (message := inbox.receive(frame)) is not None:
                    inbox.taken(message.sequence)
        outbox.acknowledge(inbox.take_acks())

    def look(self, after: float = 0.0) -> bool:
        """What both ends see after so many seconds."""
        self.now += after
        first, second = (
            mixture.look(*boxes, self.now) for mixture, boxes in zip(self.mixtures, self.boxes, strict=True)
        )
        assert first == second
        return first


def asks(ends: Ends, count: int) -> None:
    """So many small requests and their answers."""
    for _ in range(count):
        ends.pass_on(0, 100)
        ends.pass_on(1, 100)


def test_it_begins_with_the_eighth_question_beside_a_flow_and_both_sides_see_it() -> None:
    ends = Ends()
    ends.pass_on(0, 2 * MIB)
    asks(ends, LEAST_SMALL // 2)
    assert not ends.look(0.1)  # the large message explains one of them
    ends.pass_on(1, 100)
    assert ends.look(0.1)


def test_a_flow_that_is_asked_for_piece_by_piece_is_alone() -> None:
    ends = Ends()
    ends.pass_on(1, *[100] * 8)  # this far ahead
    for _ in range(1000):
        ends.pass_on(1, 100)
        ends.pass_on(0, 4 * MIB)
        assert not ends.look(0.01)


def test_small_messages_alone_are_no_mixture() -> None:
    ends = Ends()
    for _ in range(1000):
        ends.pass_on(0, 60_000)
        asks(ends, 10)
        assert not ends.look(0.01)


def test_it_ends_with_the_first_whole_span_in_which_a_flow_was_alone() -> None:
    ends = Ends()
    ends.pass_on(0, 2 * MIB)
    asks(ends, 20)
    assert ends.look(0.5)
    for step in range(16):  # the span in which they came, and one without any
        ends.pass_on(0, 2 * MIB)
        assert ends.look(0.125) == (step < 11), step


def test_it_goes_on_while_there_are_enough_in_each_span() -> None:
    ends = Ends()
    ends.pass_on(0, 2 * MIB)
    asks(ends, 9)
    assert ends.look(0.5)
    for _ in range(60):
        ends.pass_on(0, 2 * MIB)
        asks(ends, 9)
        assert ends.look(SPAN_SECONDS)


def test_what_went_long_ago_begins_nothing() -> None:
    ends = Ends()
    asks(ends, 1000)
    ends.pass_on(0, 2 * MIB)
    assert not ends.look(SPAN_SECONDS)
    ends.pass_on(0, 2 * MIB)
    assert not ends.look(0.1)


@pytest.mark.parametrize("pause", [0.001, 0.1, 0.4])
def test_a_peer_that_begins_and_stops_again_and_again_changes_it_twice_a_second_at_most(pause: float) -> None:
    """Each change costs a few system calls, and what the peer does is worth more than those."""
    ends, changes, was = Ends(), Counter[int](), False
    while ends.now < min(120, 4000 * pause):
        for small in (True, False):
            ends.pass_on(0, 2 * LEAST_FLOW_BYTES)
            asks(ends, LEAST_SMALL if small else 0)
            if ends.look(pause) != was:
                was = not was
                changes[int(ends.now)] += 1
    assert max(changes.values(), default=0) <= 2


def test_a_box_that_begins_anew_brings_it_to_an_end_and_not_into_disorder() -> None:
    ends = Ends()
    ends.pass_on(0, 2 * MIB)
    asks(ends, 1000)
    assert ends.look(0.5)
    ends.boxes = [(Inbox(1 << 30, 1 << 20), Outbox()) for _ in range(2)]
    for _, outbox in ends.boxes:
        outbox.set_credit(1 << 30, 1 << 20)
    assert ends.look(0.25)
    assert not ends.look(0.25)
    ends.pass_on(0, 2 * MIB)
    asks(ends, 9)
    assert ends.look(0.1)


def test_a_network_tells_of_each_connection_whether_it_carries_a_mixture() -> None:
    world, ann, bob = pair()

    def mixed(node: Node, peer: Node) -> bool:
        return node.network.mixed(connection_of(node.network, peer.name).number, world.now)

    world.post(ann, bob.name, b"up")
    assert (mixed(ann, bob), mixed(bob, ann)) == (False, False)
    world.post(ann, bob.name, b"file", bytes(2 * MIB))
    for index in range(LEAST_SMALL // 2 + 1):
        assert (mixed(ann, bob), mixed(bob, ann)) == (False, False), index
        world.post(ann, bob.name, b"question")
        world.post(bob, ann.name, b"answer")
    assert (mixed(ann, bob), mixed(bob, ann)) == (True, True)
    world.run(SPAN_SECONDS)
    assert (mixed(ann, bob), mixed(bob, ann)) == (True, True)
    world.run(SPAN_SECONDS)
    assert (mixed(ann, bob), mixed(bob, ann)) == (False, False)
    assert not ann.network.mixed(99, world.now), "a connection that is not there"
