"""A peer that was written from docs/wire.md alone joins a network of real nodes and is answered by one."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable

import cbor2

from nectar_node.contract.config import GenesisFile
from tests.end_to_end.lab import RECEIVER, Lab
from tests.net.independent import Memory, Noise, Peer, granted_key, name_record
from tests.waiting import LIMIT

NAME = "independent.nec"
HELLO = b"hello from a second implementation"


def talk(peer: Peer, endpoint: tuple[str, int], other: str, until: Callable[[], bool]) -> None:
    """Dial, and carry bytes until something is so."""
    with socket.create_connection(endpoint, timeout=LIMIT) as stream:
        peer.dial(other)
        end = time.monotonic() + LIMIT
        while not until():
            assert time.monotonic() < end, f"{other} says nothing more: {peer.answers} {peer.memory}"
            stream.sendall(peer.take())
            data = stream.recv(1 << 16)
            assert data, f"{other} hung up: {peer.goodbye}"
            peer.feed(data)
        stream.sendall(peer.take())
        peer.say(6, 0)
        stream.sendall(peer.take())


def test_an_independent_peer_registers_looks_a_node_up_and_is_answered_by_it(lab: Lab) -> None:
    genesis = GenesisFile.load(lab.folder)
    seed = os.urandom(32)
    record = name_record(NAME, seed, int(time.time()))
    keys = {genesis.registrar: genesis.public_key}

    def new_peer() -> Peer:
        peer = Peer(NAME, seed, keys, Noise(os.urandom(32), os.urandom(32)), Memory(os.urandom(16)))
        peer.record = record
        return peer

    peer = new_peer()

    def answered() -> bool:
        if peer.live and not asked:
            asked.append(True)
            peer.say(9, 1, record)
            peer.say(7, 2, RECEIVER)
        return len(peer.answers) == 2

    asked: list[bool] = []
    talk(peer, (genesis.host, genesis.port), genesis.registrar, answered)
    (granted, _), (found, theirs) = (peer.answers[each] for each in (1, 2))
    assert (granted, found) == ("granted", "found")
    assert isinstance(theirs, bytes)
    keys[RECEIVER] = granted_key(theirs, RECEIVER, genesis.public_key)

    peer = new_peer()
    request = [0, 77, "any:one:sys", "net:distro:sys", [f"{NAME}@any:one:sys", 77], False, 30, HELLO, None, None, []]
    peer.memory.waiting.append((cbor2.dumps(request), None))
    talk(peer, lab.nodes.endpoint(RECEIVER), RECEIVER, lambda: bool(peer.memory.received and peer.memory.acknowledged))
    ((header, blob),) = peer.memory.received
    kind, id, source, target, *_, body, _, _, _ = cbor2.loads(header)
    assert (kind, id, source, target, body, blob) == (1, 77, "net:distro:sys", "any:one:sys", b"ack", None)
    assert f"{NAME}: {HELLO.decode()}" in lab.nodes.log(RECEIVER)
