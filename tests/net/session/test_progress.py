"""Whoever begins messages goes on with them, at a rate at which they would be whole within a stated time."""

from __future__ import annotations

from nectar_node.contract.memory_budget import MemoryBudget
from net.base.frames import Ping, encode_control
from net.base.limits import DEFERRED_RETRY_SECONDS, PROGRESS_SECONDS, STALL_SECONDS
from net.peering.network import NetworkConfig
from net.session.session import Connection
from tests.net.hostile import Crowd, begins, deferred, goes_on, is_live, lines, say
from tests.net.world import Node, World, connection_of, pair

MIB = 1 << 20


def pieces(number: int, size: int) -> list[bytes]:
    """Frames with so many bytes of a message."""
    return [goes_on(number, bytes(min(60_000, size - start))) for start in range(0, size, 60_000)]


def meet(memory: MemoryBudget) -> tuple[World, Node, Node, Connection]:
    """A node, a peer that is up and sends what its own network knows nothing of, and the peer's end."""
    world, victim, peer = pair(NetworkConfig(memory=memory))
    world.post(peer, victim.name, b"up")
    connection = connection_of(peer.network, victim.name)
    session = connection.session
    assert session is not None
    session.outbox.acknowledge = lambda sequences: []  # type: ignore[method-assign]
    return world, victim, peer, connection


def trickle(memory: MemoryBudget, sizes: list[int], rate: int, seconds: int) -> tuple[World, Node]:
    """A peer begins messages of such sizes, and then sends so many bytes a second of the first one."""
    world, victim, hostile, connection = meet(memory)
    say(world, hostile, connection, *(begins(number, size, b"x") for number, size in enumerate(sizes, 2)))
    while is_live(victim) and world.now < seconds:
        world.run(1)
        say(world, hostile, connection, *pieces(2, rate))
    return world, victim


def test_a_trickle_beside_much_memory_is_no_progress() -> None:
    world, victim = trickle(MemoryBudget(2048 * MIB), [10 * MIB] * 11, 4096, 300)
    assert (is_live(victim), world.now) == (False, 2 * STALL_SECONDS)  # in the first half, one message had begun


def test_the_same_trickle_of_a_small_message_is() -> None:
    world, victim = trickle(MemoryBudget(2048 * MIB), [10 * MIB], 4096, 300)
    assert (is_live(victim), world.now) == (True, 300)


def test_while_memory_is_scarce_a_minute_has_to_do() -> None:
    slow = 10 * MIB // 60 - 1000
    world, victim = trickle(MemoryBudget(16 * MIB), [10 * MIB], slow, 300)
    assert (is_live(victim), world.now) == (False, PROGRESS_SECONDS)


def test_who_is_fast_enough_for_that_stays() -> None:
    world, victim = trickle(MemoryBudget(16 * MIB), [10 * MIB], 10 * MIB // 60 * 5 // 4 + 1000, 40)
    assert (is_live(victim), world.now) == (True, 40)


def test_whole_messages_beside_it_are_no_progress() -> None:
    world, victim, hostile, connection = meet(MemoryBudget(2048 * MIB))
    say(world, hostile, connection, begins(2, 10 * MIB, b"x"))
    number = 3
    while is_live(victim):
        world.run(1)
        assert world.now < 60
        for _ in range(10):
            say(world, hostile, connection, begins(number, 50_000, bytes(50_000)))
            number += 1
    assert world.now == STALL_SECONDS, lines(victim)


def record_in_pieces(frames: list[bytes], seconds: int) -> tuple[World, Node]:
    """A peer begins a message, and then sends records with such frames, each over so many seconds."""
    world, victim, hostile, connection = meet(MemoryBudget(2048 * MIB))
    say(world, hostile, connection, begins(2, 100_000, b"x"))
    number = world.wires[0].ends[world.wires[0].ends[1][0] is victim][1]
    world.clogged.add(hostile.name)
    while is_live(victim) and world.now < 400:
        say(world, hostile, connection, *frames)
        record = b"".join(map(bytes, hostile.network.pending(connection.number, 1 << 20)))
        for piece in range(seconds):
            if is_live(victim):
                hostile.network._switchboard.timers.set(connection.number, None)
                begin, end = (len(record) * each // seconds for each in (piece, piece + 1))
                victim.network.receive(number, record[begin:end], world.now)
                world.run(1)
    return world, victim


def test_a_record_of_a_message_that_takes_minutes_is_progress() -> None:
    world, victim = record_in_pieces([goes_on(2, bytes(30_000))], 180)
    assert is_live(victim), lines(victim)
    assert world.now >= 360


def test_a_record_of_something_else_is_none_once_it_is_whole() -> None:
    world, victim = record_in_pieces([encode_control(Ping())] * 2000, 20)
    assert (is_live(victim), world.now <= 2 * STALL_SECONDS) == (False, True)


def test_a_message_that_begins_just_before_the_look_is_not_held_against_a_peer() -> None:
    world, victim, hostile, connection = meet(MemoryBudget(16 * MIB))
    number = 2
    for _ in range(20):
        say(world, hostile, connection, begins(number, 9 * MIB, b"x"))
        world.run(0.1)
        say(world, hostile, connection, *pieces(number, 9 * MIB - 1))
        world.run(4.85)
        number += 1
    assert is_live(victim), lines(victim)
    assert len(victim.headers()) == 21


def test_who_is_not_read_because_it_does_not_read_our_answers_is_not_excused() -> None:
    world, victim, hostile, connection = meet(MemoryBudget(2048 * MIB))
    say(world, hostile, connection, *(begins(number, 10 * MIB, b"x") for number in range(2, 13)))
    number = world.wires[0].ends[world.wires[0].ends[1][0] is victim][1]
    held = victim.network._switchboard.get(number)
    assert held is not None
    world.clogged.add(victim.name)
    say(world, hostile, connection, *[encode_control(Ping())] * 1200)
    assert held.holds
    while is_live(victim):
        world.run(1)
        if not held.closed:  # it reads them, slowly, and asks for more
            world._carry(victim, number, b"".join(victim.network.pending(number, 1)))
            say(world, hostile, connection, *[encode_control(Ping())] * 1200)
        assert world.now <= STALL_SECONDS
    assert "it does not go on with the messages that it has begun" in lines(victim)[0]


def test_who_is_put_off_at_every_look_is_not_excused_for_the_time_between() -> None:
    crowd = Crowd(1, 64 * MIB)
    peer, number = crowd.peers[0], 3
    session = peer.network._sessions.table.get(crowd.victim.name)
    assert session is not None
    session.outbox.acknowledge = lambda sequences: []  # type: ignore[method-assign]
    crowd.begin(peer, 9 * MIB)
    others = crowd.budget.of_node("others.test")
    while crowd.is_up(peer):
        crowd.world.run(PROGRESS_SECONDS - 0.1)
        others.add(64 * MIB)
        say(crowd.world, peer, crowd.connection(peer), begins(number, 100, bytes(100)))
        assert deferred(crowd) == 1
        crowd.world.run(0.1)
        others.remove(64 * MIB)
        crowd.world.run(DEFERRED_RETRY_SECONDS)
        assert deferred(crowd) == 0
        crowd.world.now = round(crowd.world.now - DEFERRED_RETRY_SECONDS, 3)
        number += 1
        assert crowd.world.now <= STALL_SECONDS + 2 * PROGRESS_SECONDS


def test_nothing_is_kept_of_a_peer_that_has_left_in_the_midst_of_a_message() -> None:
    world, victim, hostile, connection = meet(MemoryBudget(2048 * MIB))
    say(world, hostile, connection, begins(2, 1000, b"x"))
    progress, timers = victim.network._reception._progress, victim.network._timers
    assert progress in timers
    world.crash(hostile)
    world.run(PROGRESS_SECONDS)
    assert (repr(progress), progress in timers) == ("Progress(0 peers)", False)
