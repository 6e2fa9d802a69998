"""A peer that was written from docs/wire.md alone talks to ours: in memory in every role, and over TCP."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import trio
from cryptography.exceptions import InvalidSignature

from net.base.ciphers import Cipher as CryptoCipher
from net.base.limits import KEEPALIVE_SECONDS, PING_SECONDS
from net.contract.events import Close, Delivered, Dial, NetEvent, Outgoing, PeerUp, Received, Writable
from net.io.tcp import TcpTransport
from net.names.directory import Endpoint, StaticDirectory, sign_record
from net.peering.network import Network, NetworkConfig
from tests.net.independent import Memory, Noise, Peer, marks
from tests.net.owner import owner_of
from tests.net.world import entropy_of, identity_of, record_of, static_directory

OURS = "mia.test"
THEIRS = ("ann.test", "zoe.test")
"""Who decides which connection is used depends on the names: one below ours, and one above."""
BLOB = random.Random(5).randbytes(200_000)

every_role = pytest.mark.parametrize("dials", [True, False], ids=["it dials", "we dial"])
all_versions = pytest.mark.parametrize(
    "versions", [(1, 2), (2, 1), (1, 1), (2, 2)], ids=lambda each: f"it speaks {each[0]}, we speak {each[1]}"
)
both_orders = pytest.mark.parametrize("name", THEIRS)


class Bench:
    """Our network and the other peer, with a connection between them when there is one."""

    def __init__(self, name: str, *, key: str = "", aes: bool = False, version: int = 1, our_version: int = 2) -> None:
        self.identity = identity_of(name, key)
        self.entropy = entropy_of(f"independent {name}")
        self.aes = aes
        records = [record_of(each) for each in (identity_of(OURS), identity_of(name))]
        ciphers = (CryptoCipher.AES_GCM,) if aes else ()
        if aes:
            listing = [replace(each.record, ciphers=ciphers) for each in records]
            records = [sign_record(each, identity_of(each.name)) for each in listing]
        self.shown = records[1].encode()
        directory = StaticDirectory({each.record.name: each for each in records})
        config = NetworkConfig(ciphers=ciphers, frames_version=our_version)
        self.network = Network(identity_of(OURS), directory, config, entropy_of(OURS), 0.0)
        self.memory = Memory(self.entropy(8) + b"nectar/2" if version == 2 else self.entropy(16))
        self.keys = {OURS: identity_of(OURS).public_key}
        self.now = 0.0
        self.events: list[NetEvent] = []
        self.peer = self.new_peer()
        self.number = 0

    def new_peer(self) -> Peer:
        """One for the next connection."""
        noise = Noise(self.entropy(32), self.entropy(32), aes=self.aes)
        peer = Peer(self.identity.name, self.identity.seed, self.keys, noise, self.memory)
        peer.record = self.shown
        return peer

    def dial(self) -> None:
        """The other peer dials."""
        self.peer = self.new_peer()
        self.number = self.network.new_connection()
        self.network.accepted(self.number, "somewhere", self.now)
        self.peer.dial(OURS)
        self.settle()

    def send(self, header: bytes, blob: bytes | None = None) -> None:
        """Our side sends."""
        paired = self.network.tells_pairs(self.identity.name)
        self.network.send(Outgoing(self.identity.name, b"our>s", header, blob, header, paired=paired), self.now)
        self.settle()

    def settle(self, cut_after: int | None = None) -> None:
        """Carry bytes and events until nothing is left; `cut_after`: so many of them towards us, then break."""
        while (output := self.peer.take()) or self._events():
            if cut_after is not None and len(output) >= cut_after:
                self.network.receive(self.number, output[:cut_after], self.now)
                self.network.lost(self.number, self.now)
                self.peer.live = False
                cut_after = None
                self._events()
                return
            self.network.receive(self.number, output, self.now)

    def _events(self) -> bool:
        before = len(self.events)
        while (event := self.network.next_event()) is not None:
            self.events.append(event)
            match event:
                case Dial(connection):
                    self.peer, self.number = self.new_peer(), connection
                    self.network.connected(connection, self.now)
                case Writable(connection):
                    while buffers := self.network.pending(connection, 1 << 16):
                        self.peer.feed(b"".join(buffers))
                case Close(connection, farewell) if connection == self.number:
                    self.peer.feed(farewell)
                case Received(receipt=receipt):
                    self.network.taken(receipt, self.now)
        return len(self.events) > before

    def received(self) -> list[tuple[str, bytes, bytes | None]]:
        """By our side."""
        found = [event for event in self.events if isinstance(event, Received)]
        return [(event.node, event.header, None if event.blob is None else bytes(event.blob)) for event in found]

    def pass_time(self, seconds: float) -> None:
        """From deadline to deadline."""
        end = self.now + seconds
        while (when := self.network.next_deadline()) is not None and when <= end:
            self.now = max(self.now, when)
            self.network.on_timer(self.now)
            self.settle()
        self.now = end


def joined(name: str, *, dials: bool, aes: bool = False, versions: tuple[int, int] = (1, 2)) -> Bench:
    """Both are connected; whoever dials has something to say. `versions`: theirs and ours."""
    bench = Bench(name, aes=aes, version=versions[0], our_version=versions[1])
    if dials:
        bench.memory.waiting.append((b"first", b"of theirs"))
        bench.dial()
    else:
        bench.send(b"first", b"of ours")
    assert bench.peer.live
    return bench


@both_orders
@every_role
def test_a_peer_that_asks_for_its_own_record_gets_it_and_for_another_it_breaks_the_protocol(
    name: str, dials: bool
) -> None:
    bench = joined(name, dials=dials)
    bench.peer.say(7, 0, name)
    bench.settle()
    kind, record = bench.peer.answers[0]
    assert (kind, record) == ("found", static_directory(identity_of(OURS), bench.identity).signed(name))
    assert isinstance(record, bytes)
    assert marks(record) == (0, 0)
    bench.peer.say(7, 0, OURS)
    bench.settle()
    assert bench.peer.goodbye == 2


@pytest.mark.parametrize("aes", [False, True], ids=["ChaChaPoly", "AESGCM"])
@both_orders
@every_role
@all_versions
def test_messages_with_blobs_of_several_frames_pass_both_ways_and_are_acknowledged(
    name: str, dials: bool, aes: bool, versions: tuple[int, int]
) -> None:
    bench = joined(name, dials=dials, aes=aes, versions=versions)
    (status,) = bench.network.peers()
    assert status.cipher == ("AES-GCM" if aes else "ChaCha20-Poly1305")
    bench.send(b"ours", BLOB)
    bench.send(b"ours, without a blob")
    bench.peer.piece_bytes = 5_000
    bench.peer.send(b"theirs", BLOB)
    bench.peer.send(b"theirs, with an empty one", b"")
    bench.settle()
    ours = [(b"ours", BLOB), (b"ours, without a blob", None)]
    theirs = [(name, b"theirs", BLOB), (name, b"theirs, with an empty one", b"")]
    assert bench.memory.received == ([] if dials else [(b"first", b"of ours")]) + ours
    assert bench.received() == ([(name, b"first", b"of theirs")] if dials else []) + theirs
    delivered = [token for event in bench.events if isinstance(event, Delivered) for token in event.tokens]
    assert delivered[-2:] == [b"ours", b"ours, without a blob"]
    assert bench.memory.acknowledged == 2 + dials
    assert [event.node for event in bench.events if isinstance(event, PeerUp)] == [name]
    last = bench.memory.next_in
    told = versions == (2, 2)
    assert [bench.memory.pairs.get(number) for number in (last - 2, last - 1)] == [b"our>s" if told else None] * 2
    pairs = [event.pair for event in bench.events if isinstance(event, Received)]
    assert pairs == [b"their>%d" % ((1 + index) % 2) if told else None for index in range(len(pairs))]


@both_orders
@all_versions
def test_a_connection_that_broke_is_resumed_and_nothing_is_lost_or_doubled(
    name: str, versions: tuple[int, int]
) -> None:
    bench = joined(name, dials=True, versions=versions)
    bench.peer.piece_bytes = 5_000
    bench.peer.send(b"theirs", BLOB)
    bench.settle(cut_after=90_000)
    bench.memory.waiting.append((b"later", None))
    bench.dial()
    bench.send(b"ours", BLOB)
    assert bench.received()[1:] == [(name, b"theirs", BLOB), (name, b"later", None)]
    assert bench.memory.received == [(b"ours", BLOB)]
    assert bench.memory.acknowledged == 3


@both_orders
def test_pings_are_answered_by_either_side(name: str) -> None:
    bench = joined(name, dials=True)
    bench.peer.say(4)
    bench.settle()
    assert bench.peer.pongs == 1
    bench.pass_time(3 * (KEEPALIVE_SECONDS + PING_SECONDS))
    assert bench.network.statistics()["live"] == 1
    assert bench.peer.goodbye is None


def test_a_goodbye_is_understood() -> None:
    bench = joined(THEIRS[0], dials=True)
    bench.network.shutdown(0.0)
    bench.settle()
    assert bench.peer.goodbye == 0


@every_role
def test_we_do_not_believe_it_with_another_key(dials: bool) -> None:
    bench = Bench(THEIRS[0], key="another")
    if dials:
        bench.dial()
        assert bench.peer.goodbye == 6
    else:
        bench.send(b"secret")
        assert bench.network.statistics()["live"] == 0


def test_it_does_not_believe_us_with_another_key() -> None:
    bench = Bench(THEIRS[0])
    bench.keys[OURS] = identity_of(OURS, "another").public_key
    with pytest.raises(InvalidSignature):
        bench.dial()


async def test_it_talks_to_a_node_over_tcp() -> None:
    with trio.fail_after(60):
        listener = await TcpTransport().listen("127.0.0.1", 0)
        async with trio.open_nursery() as nursery:
            here = Endpoint("127.0.0.1", listener.port)
            node = owner_of(OURS, {OURS: here, THEIRS[1]: here}, nursery, NetworkConfig())
            nursery.start_soon(node.driver.serve, listener)
            peer = Bench(THEIRS[1]).peer
            peer.dial(OURS)
            peer.memory.waiting.append((b"theirs", BLOB))
            stream = await trio.open_tcp_stream("127.0.0.1", listener.port)
            while not peer.live:
                await stream.send_all(peer.take())
                peer.feed(await stream.receive_some())
            node.send(THEIRS[1], b"ours", BLOB)
            while not peer.memory.received or not peer.memory.acknowledged:
                await stream.send_all(peer.take())
                peer.feed(await stream.receive_some())
            assert peer.memory.received == [(b"ours", BLOB)]
            (event,) = await node.until(Received)
            assert isinstance(event, Received)
            assert (event.node, event.header, event.blob) == (THEIRS[1], b"theirs", BLOB)
            await stream.aclose()
            nursery.cancel_scope.cancel()
        await listener.aclose()
