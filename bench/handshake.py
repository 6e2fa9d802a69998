"""`handshake`: from dial to first message, and five hundred dials at once.

The reference is two Noise handshakes of noiseprotocol in memory, both sides of each. A session's own is one of them:
beyond it there are a TCP connection, four signatures (two made, two checked), two resume frames, and the message.
"""

from __future__ import annotations

import os
import time

import trio
import trio.testing
from noise.connection import Keypair, NoiseConnection

from bench.crowd import SERVER, Member, arrive, directory, identity_of, member, server
from bench.measure import Result, absolute, in_turns, ratio
from net.contract.events import NetEvent, Received
from net.io.tcp import TcpListener, TcpTransport
from net.names.directory import StaticDirectory

GOAL = 3.0
"""Times two Noise handshakes."""
COUNT = 100
CROWD = 500
BUDGET = 5.0
"""Seconds in which a node has to be reached."""
RUNS = 5


def run() -> list[Result]:
    """Dial again and again in one process, then let the crowd dial a process of its own."""
    ours, theirs = in_turns(lambda: trio.run(_first_messages), _noise)
    milli = [1e3 * seconds for seconds in ours], [1e3 * seconds for seconds in theirs]
    one = ratio("handshake", *milli, ("two Noise handshakes in memory", "ms"), GOAL, at_most=True)
    return [one, absolute("handshake_crowd", [trio.run(_crowd) for _ in range(RUNS)], "seconds for 500", BUDGET)]


def _noise() -> float:
    begin = time.perf_counter()
    for _ in range(2 * COUNT):
        first, second = _side(), _side()
        first.set_as_initiator()
        second.set_as_responder()
        first.start_handshake()
        second.start_handshake()
        second.read_message(first.write_message())
        first.read_message(second.write_message())
        second.read_message(first.write_message())
        assert first.handshake_finished
    return (time.perf_counter() - begin) / COUNT


def _side() -> NoiseConnection:
    side = NoiseConnection.from_name(b"Noise_XX_25519_ChaChaPoly_BLAKE2s")
    side.set_keypair_from_private_bytes(Keypair.STATIC, os.urandom(32))
    return side


async def _first_messages() -> float:
    listener = await TcpTransport().listen("127.0.0.1", 0)
    known = directory(COUNT, listener.port)
    async with trio.open_nursery() as nursery:
        seconds = await _dial_all(known, listener, nursery)
        nursery.cancel_scope.cancel()
    await listener.aclose()
    return seconds / COUNT


async def _dial_all(known: StaticDirectory, listener: TcpListener, nursery: trio.Nursery) -> float:
    arrived = trio.Event()

    def told(event: NetEvent) -> None:
        if isinstance(event, Received):
            arrived.set()

    dialed = Member(identity_of(SERVER), known, nursery, told)
    nursery.start_soon(dialed.driver.serve, listener)
    seconds = 0.0
    for index in range(COUNT):
        dialer = Member(identity_of(member(index)), known, nursery, lambda event: None)
        await trio.testing.wait_all_tasks_blocked()
        arrived = trio.Event()
        begin = time.perf_counter()
        dialer.send(b"first")
        await arrived.wait()
        seconds += time.perf_counter() - begin
    return seconds


async def _crowd() -> float:
    with server(CROWD) as dialed:
        async with trio.open_nursery() as nursery:
            outcome = await arrive(directory(CROWD, dialed.port), CROWD, nursery)
            there = await dialed.report()
            nursery.cancel_scope.cancel()
        assert outcome.failed == 0, outcome
        assert there["live"] == there["connections"] == there["messages"] == there["senders"] == CROWD, there
        return outcome.seconds
