"""One budget for all peers: who begins a message for which there is no memory waits for it, and for nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from net.base.limits import DEFERRED_RETRY_SECONDS, DEFERRED_SECONDS, HELD_PIECE_OVERHEAD_BYTES, MAX_DEFERRED
from net.contract.events import Failed, Received
from net.session.channel import Deferred
from tests.net.hostile import MIB, Crowd, deferred, lines


def test_a_message_for_which_there_is_no_memory_waits_until_there_is() -> None:
    crowd = Crowd(2)
    greedy, honest = crowd.peers
    crowd.begin(greedy, 4 * MIB)
    crowd.world.post(honest, crowd.victim.name, b"large", bytes(4 * MIB))
    assert (deferred(crowd), crowd.victim.headers()) == (1, [b"up", b"up"])
    crowd.go_on(greedy, 4 * MIB - 1)
    crowd.world.run(DEFERRED_RETRY_SECONDS)
    assert (deferred(crowd), crowd.victim.headers()[-1]) == (0, b"large")
    assert crowd.budget.used == 0


def test_a_peer_that_waits_keeps_its_connection_for_a_while() -> None:
    crowd = Crowd(2)
    greedy, waiting = crowd.peers
    crowd.begin(greedy, 4 * MIB)
    crowd.begin(waiting, 4 * MIB)
    while not lines(crowd.victim):
        crowd.world.run(0.5)
        crowd.go_on(greedy, 60_000)
        assert crowd.world.now < 10
    assert DEFERRED_SECONDS <= crowd.world.now <= DEFERRED_SECONDS + 0.5
    assert lines(crowd.victim) == ["connection 2 with p1.test ends: there is no memory for its messages"]
    assert crowd.budget.of("peer", waiting.name) == 0


def test_a_peer_of_small_messages_is_served_while_others_have_filled_the_memory() -> None:
    crowd = Crowd(40)
    honest = crowd.peers[-1]
    crowd.fill(crowd.peers[:-1])
    for number in range(100):
        crowd.world.send(honest, crowd.victim.name, b"%d" % number, bytes(1000))
    crowd.world.settle()
    assert crowd.victim.headers()[-100:] == [b"%d" % number for number in range(100)]
    assert crowd.budget.used <= crowd.budget.capacity


def test_no_more_wait_than_there_is_room_for_what_they_have_sent() -> None:
    crowd = Crowd(MAX_DEFERRED + 10)
    for peer in crowd.peers:
        crowd.begin(peer, 9 * MIB)
    assert deferred(crowd) == MAX_DEFERRED
    assert sum(not crowd.is_up(peer) for peer in crowd.peers) == 10


def test_who_waits_for_memory_is_not_dealt_with_at_every_message_that_others_send(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crowd = Crowd(40)
    honest = crowd.peers[-1]
    crowd.fill(crowd.peers[:-1])
    for peer in crowd.peers[:-1]:
        crowd.begin(peer, 9 * MIB, 3)
    assert deferred(crowd) == 39
    put_off: list[Deferred] = []

    def put(*args: Any) -> Deferred:
        put_off.append(Deferred(*args))
        return put_off[-1]

    monkeypatch.setattr("net.peering.backlog.Deferred", put)
    for number in range(100):
        crowd.world.send(honest, crowd.victim.name, b"%d" % number, bytes(1000))
    crowd.world.run(DEFERRED_RETRY_SECONDS)
    assert crowd.victim.headers()[-1] == b"99"
    assert len(put_off) <= 100  # the honest one's own


def test_records_behind_one_that_waits_are_looked_at_once_each_as_it_goes_on() -> None:
    crowd = Crowd(2)
    greedy, waiting = crowd.peers
    crowd.begin(greedy, 4 * MIB)
    crowd.begin(waiting, 4 * MIB)
    item = next(iter(crowd.victim.network._reception._backlog._starved))
    for piece in (b"x" * 100, b"y" * 50):
        assert item.deferred is not None
        item.deferred.add_piece(piece)
    assert item.deferred is not None
    assert (item.deferred.take_piece(), item.deferred.bytes) == (b"x" * 100, 50 + HELD_PIECE_OVERHEAD_BYTES)


def test_what_a_peer_had_begun_costs_nothing_any_more_when_it_is_gone() -> None:
    crowd = Crowd(30)
    crowd.fill()
    assert crowd.budget.used > 2 * MIB
    for peer in crowd.peers:
        crowd.world.crash(peer)
    crowd.world.run(10)
    assert (crowd.budget.used, deferred(crowd)) == (0, 0)


def test_messages_that_our_kernel_does_not_take_cost_until_it_does() -> None:
    crowd = Crowd(1)
    crowd.victim.taking = False
    crowd.world.post(crowd.peers[0], crowd.victim.name, b"untaken", bytes(100_000))
    assert crowd.budget.of("peer", crowd.peers[0].name) > 100_000
    crowd.world.crash(crowd.peers[0])
    crowd.world.run(60)
    assert crowd.budget.of("peer", crowd.peers[0].name) > 100_000
    crowd.victim.take_all(crowd.world.now)
    assert crowd.budget.used == 0


def test_an_honest_peer_that_was_sent_away_for_lack_of_memory_loses_nothing() -> None:
    crowd = Crowd(2)
    greedy, honest = crowd.peers
    crowd.begin(greedy, 4 * MIB)
    crowd.world.post(honest, crowd.victim.name, b"large", bytes(4 * MIB), seconds=DEFERRED_SECONDS + 1)
    crowd.world.crash(greedy)
    crowd.world.run(60)
    assert crowd.victim.headers().count(b"large") == 1
    assert honest.of(Failed, Received) == []
    assert crowd.budget.used == 0


def test_whoever_does_not_go_on_while_memory_is_scarce_is_sent_away_at_once() -> None:
    crowd = Crowd(20)
    crowd.fill()
    assert crowd.budget.scarce
    for _ in range(5):
        crowd.world.run(1)
        for peer in filter(crowd.is_up, crowd.peers):
            crowd.go_on(peer, 400)
    assert not crowd.budget.scarce


def test_when_too_many_wait_whoever_holds_most_gives_way_to_one_that_holds_nothing() -> None:
    crowd = Crowd(MAX_DEFERRED + 1, 64 * MIB)
    *greedy, honest = crowd.peers
    for peer in greedy:
        crowd.begin(peer, 200_000 if peer is not greedy[7] else 300_000)
    for peer in greedy:
        crowd.begin(peer, 11 * MIB, number=3)
    crowd.budget.of_node("somebody.test").add(crowd.budget.capacity - crowd.budget.used)
    before = deferred(crowd)
    crowd.begin(honest, 11 * MIB)
    assert (before, deferred(crowd)) == (MAX_DEFERRED, MAX_DEFERRED)
    assert crowd.is_up(honest)
    assert not crowd.is_up(greedy[7])
