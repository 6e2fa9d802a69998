"""One who sends much at once makes nobody wait for more than a part of it."""

from __future__ import annotations

import pytest

from net.base.frames import Ping, encode_control
from net.base.limits import FRAMES_AT_ONCE, FRAMES_IN_A_CROWD, MAX_CONTROLS, MAX_DEFERRED
from tests.net.hostile import Crowd, begins, lines
from tests.net.world import Node

COUNT = 5 * FRAMES_AT_ONCE


def flood(crowd: Crowd, peer: Node, count: int = COUNT) -> None:
    """The peer sends so many tiny messages in one piece, and nothing else happens."""
    end = crowd.connection(peer)
    (session,) = peer.network._sessions.table.all()
    session.outbox.acknowledge = lambda sequences: []  # type: ignore[method-assign]
    number = session.outbox._next
    for each in range(count):
        end._queue(begins(number + each, 1, b"x"))
    data = b"".join(map(bytes, peer.network.pending(end.number, 1 << 20)))
    wire = crowd.world.open[(id(peer), end.number)]
    (theirs,) = [connection for node, connection in wire.ends if node is crowd.victim]
    crowd.victim.network.receive(theirs, data, crowd.world.now)


def arrived(crowd: Crowd) -> list[str]:
    """Who the messages are from that have come since the last time."""
    found = [node for node, _, _ in crowd.victim.received()]
    crowd.victim.events.clear()
    return found


def turn(crowd: Crowd) -> list[str]:
    """Events are handled, and one part of what waits; who that was from."""
    network = crowd.victim.network
    network.on_timer(crowd.world.now)
    while (event := network.next_event()) is not None:
        crowd.world._handle(crowd.victim, event)
    return arrived(crowd)


def test_much_that_was_read_at_once_is_handled_in_parts_and_those_who_send_it_take_turns() -> None:
    crowd = Crowd(2, 1 << 30)
    arrived(crowd)
    first, second = crowd.peers
    for peer in crowd.peers:
        flood(crowd, peer)
    assert arrived(crowd) == []  # nobody has looked at the events yet
    parts = []
    while crowd.victim.network.next_deadline() == 0.0:
        parts.append(turn(crowd))
    begun, *parts = parts
    assert (begun.count(first.name), begun.count(second.name)) == (
        FRAMES_AT_ONCE + FRAMES_IN_A_CROWD,
        FRAMES_IN_A_CROWD,
    )
    both = [{*part} for part in parts[: 2 * (COUNT - FRAMES_AT_ONCE) // FRAMES_IN_A_CROWD - 4]]
    assert both == [{(second, first)[number % 2].name} for number in range(len(both))]
    assert {len(part) for part in parts[: len(both)]} == {FRAMES_IN_A_CROWD}
    assert sum(map(len, (begun, *parts))) == 2 * COUNT
    assert crowd.victim.network.next_deadline() != 0.0


def test_who_sends_little_is_handled_at_once_beside_that() -> None:
    crowd = Crowd(2, 1 << 30)
    flood(crowd, crowd.peers[0])
    arrived(crowd)
    flood(crowd, crowd.peers[1], 3)
    network = crowd.victim.network
    while (event := network.next_event()) is not None:
        crowd.world._handle(crowd.victim, event)
    assert arrived(crowd).count(crowd.peers[1].name) == 3


def test_a_connection_that_waits_for_its_turn_and_ends_is_forgotten() -> None:
    crowd = Crowd(1, 1 << 30)
    flood(crowd, crowd.peers[0])
    crowd.world.crash(crowd.peers[0])
    crowd.world.run(30)
    assert not crowd.victim.network._reception._backlog._turns
    assert crowd.budget.used == 0


def test_when_too_many_wait_for_a_turn_the_others_have_theirs_at_once() -> None:
    crowd = Crowd(MAX_DEFERRED + 2, 1 << 30)
    arrived(crowd)
    for peer in crowd.peers:
        flood(crowd, peer, 2 * FRAMES_AT_ONCE)
    network = crowd.victim.network
    assert len(network._reception._backlog._turns) == MAX_DEFERRED
    crowd.world.settle()
    assert len(arrived(crowd)) == len(crowd.peers) * 2 * FRAMES_AT_ONCE


@pytest.mark.parametrize("count", [MAX_CONTROLS, MAX_CONTROLS + 1])
def test_a_record_has_no_more_control_frames_than_anybody_needs(count: int) -> None:
    crowd = Crowd(1, 1 << 30)
    end = crowd.connection(crowd.peers[0])
    end._queue(encode_control(Ping()) * count)
    crowd.peers[0].network._switchboard.signal(end)
    crowd.world.settle()
    ended = any("too many control frames" in line for line in lines(crowd.victim))
    assert ended == (count > MAX_CONTROLS)
