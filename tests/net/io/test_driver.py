"""The driver on real TCP over loopback: two networks, their bytes carried by trio."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest
import trio
import trio.testing

from net.base.errors import StreamBroken
from net.base.frames import PAIRS_VERSION
from net.base.limits import HANDSHAKE_SECONDS, KEEPALIVE_SECONDS, RELAY_BYTES
from net.contract.events import (
    Buffer,
    Delivered,
    Failed,
    FailureReason,
    Hold,
    Log,
    Outgoing,
    PeerUp,
    Received,
    tokens_of,
)
from net.io.driver import (
    FIRST_SEND_BYTES,
    LEAST_SEND_BYTES,
    MIXED_TURN_BYTES,
    QUEUE_SECONDS,
    SEND_BYTES,
    TURN_BYTES,
    Driver,
    _Link,
)
from net.io.tcp import RECEIVE_BYTES, TcpListener, TcpTransport
from net.io.turns import Flow
from net.names.directory import Endpoint
from net.peering.network import NetworkConfig
from testnet.sim.injection import Injection, Probe, draw
from tests.net.hostile import begins, speak
from tests.net.owner import Owner, owner_of
from tests.net.world import connection_of

LIMIT_SECONDS = 60


@asynccontextmanager
async def two_owners(
    seconds: float = LIMIT_SECONDS, versions: tuple[int, int] = (PAIRS_VERSION, PAIRS_VERSION)
) -> AsyncIterator[tuple[Owner, Owner, TcpListener, trio.Nursery]]:
    """ann.test, and bob.test that listens; the newest versions of the frames that they speak."""
    with trio.fail_after(seconds):
        listener = await TcpTransport().listen("127.0.0.1", 0)
        async with trio.open_nursery() as nursery:
            places = dict.fromkeys(("ann.test", "bob.test"), Endpoint("127.0.0.1", listener.port))
            first, second = (
                owner_of(name, places, nursery, NetworkConfig(frames_version=version))
                for name, version in zip(places, versions, strict=True)
            )
            nursery.start_soon(second.driver.serve, listener)
            yield first, second, listener, nursery
            nursery.cancel_scope.cancel()
        await listener.aclose()


async def test_messages_pass_both_ways_over_tcp() -> None:
    async with two_owners() as (first, second, _, _):
        first.send("bob.test", b"question", b"blob")
        (question,) = await second.until(Received)
        assert isinstance(question, Received)
        assert (question.node, question.header, question.blob) == ("ann.test", b"question", b"blob")
        second.send("ann.test", b"answer")
        (answer,) = await first.until(Received)
        assert isinstance(answer, Received)
        assert answer.header == b"answer"


@pytest.mark.parametrize("versions", [(1, 2), (2, 1), (2, 2)], ids=str)
async def test_nodes_of_both_versions_talk_to_each_other_over_tcp(versions: tuple[int, int]) -> None:
    async with two_owners(versions=versions) as (first, second, _, _):
        first.send("bob.test", b"first")
        await second.until(Received)
        for sender, receiver, other in ((first, second, "bob.test"), (second, first, "ann.test")):
            for header in (b"1", b"2"):
                sender.send(other, header, bytes(100_000), b"a>b")
                await outcome(sender, header)
            last = [event for event in receiver.events if isinstance(event, Received)][-2:]
            assert [event.header for event in last] == [b"1", b"2"]
            assert [event.pair for event in last] == [b"a>b" if versions == (2, 2) else None] * 2


async def test_large_blobs_arrive_whole_over_tcp() -> None:
    async with two_owners() as (first, second, _, _):
        blobs = [bytes([index]) * (3_000_000 + index) for index in range(4)]
        for index, blob in enumerate(blobs):
            first.send("bob.test", b"%d" % index, blob, stream=b"%d" % (index % 2))
        for index in range(len(blobs)):
            await outcome(first, b"%d" % index)
        arrived = {event.header: event.blob for event in second.events if isinstance(event, Received)}
        assert arrived == {b"%d" % index: blob for index, blob in enumerate(blobs)}


async def test_pieces_of_a_large_message_give_neither_owner_anything_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    async with two_owners() as (first, second, _, _):
        first.send("bob.test", b"up")
        await first.until(Delivered)
        turns = dict.fromkeys(("ann.test", "bob.test"), 0)
        for name, owner in zip(turns, (first, second), strict=True):

            def counted(name: str = name, turn: Callable[[], None] = owner.turn) -> None:
                turns[name] += 1
                turn()

            monkeypatch.setattr(owner.driver, "_turn", counted)
        first.send("bob.test", b"large", bytes(40 * SEND_BYTES))
        await outcome(first, b"large")
        assert max(turns.values()) < 10


async def test_records_that_are_not_written_yet_stay_as_they_are_when_more_are_made() -> None:
    async with two_owners() as (first, second, _, _):
        first.send("bob.test", b"up")
        await first.until(Delivered)
        number, blob = connection_of(first.network, "bob.test").number, Random(7).randbytes(8 * SEND_BYTES)
        first.network.send(Outgoing("bob.test", b"s", b"large", blob, b"large"), trio.current_time())
        kept, copies = list[Buffer](), list[bytes]()
        while buffers := first.network.pending(number, SEND_BYTES):
            kept += buffers
            copies += map(bytes, buffers)
        assert [*map(bytes, kept)] == copies
        memory = connection_of(first.network, "bob.test")._buffer
        assert memory is None, "it had less to write in the end, and keeps none"
        for piece in copies:
            second.network.receive(connection_of(second.network, "ann.test").number, piece, trio.current_time())
        (arrived,) = [event for event in second.network.events if isinstance(event, Received)]
        assert arrived.blob == blob


async def test_memory_of_records_is_used_again_once_they_are_written() -> None:
    async with two_owners() as (first, _, _, _):
        first.send("bob.test", b"up")
        await first.until(Delivered)
        connection = connection_of(first.network, "bob.test")
        first.network.send(Outgoing("bob.test", b"s", b"large", bytes(8 * SEND_BYTES), b"large"), trio.current_time())
        first.network.pending(connection.number, SEND_BYTES)
        memory = connection._buffer
        assert memory is not None
        first.network.pending(connection.number, SEND_BYTES)
        assert connection._buffer is memory


async def test_a_port_where_nobody_listens_is_refused() -> None:
    async with two_owners() as (first, _, listener, _):
        await listener.aclose()
        first.send("bob.test", b"hello")
        assert await first.until(Failed) == [Failed(b"hello", FailureReason.REFUSED)]


async def test_a_goodbye_reaches_the_other_side_before_the_connection_closes() -> None:
    async with two_owners() as (first, second, listener, _):
        first.send("bob.test", b"hello")
        await first.until(Delivered)
        await listener.aclose()
        first.network.shutdown(trio.current_time())
        first.turn()
        while second.network.statistics()["connections"]:
            await second.changed.wait()
        assert first.network.statistics()["connections"] == 0
        (peer,) = second.network.peers()
        assert peer.error is not None
        assert peer.error.text.endswith("the peer says: shutdown")


async def test_junk_over_tcp_is_hung_up_on() -> None:
    async with two_owners() as (_, second, listener, _):
        stream = await TcpTransport().connect("127.0.0.1", listener.port)
        await stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
        assert bytes(await stream.receive_some()) == b""
        await stream.aclose()
        assert second.network.statistics()["connections"] == 0


async def test_one_byte_a_second_is_no_handshake(autojump_clock: trio.testing.MockClock) -> None:
    async with two_owners() as (_, second, listener, _):
        stream = await TcpTransport().connect("127.0.0.1", listener.port)
        began = trio.current_time()
        for byte in b"\x00\x20" + bytes(30):
            try:
                await stream.send_all(bytes([byte]))
                with trio.move_on_after(1):
                    await stream.receive_some()
                    break
            except StreamBroken:
                break
        assert trio.current_time() - began == pytest.approx(HANDSHAKE_SECONDS)
        assert second.network.statistics()["connections"] == 0
        await stream.aclose()


async def test_a_router_keeps_little_of_what_its_receiver_does_not_read_and_loses_none_of_it() -> None:
    with trio.fail_after(LIMIT_SECONDS):
        listener = await TcpTransport().listen("127.0.0.1", 0)
        async with trio.open_nursery() as nursery:
            here = Endpoint("127.0.0.1", listener.port)
            places: dict[str, Endpoint | str] = {"ann.test": here, "bob.test": here, "ida.test": "bob.test"}
            sender, router = (owner_of(name, places, nursery, NetworkConfig()) for name in ("ann.test", "bob.test"))
            receiver = owner_of("ida.test", places, nursery, NetworkConfig(routers=("bob.test",)))
            nursery.start_soon(router.driver.serve, listener)
            receiver.network.register(trio.current_time())
            receiver.turn()
            await router.until(PeerUp)
            sender.send("ida.test", b"hello")
            await receiver.until(Received)
            (inner,) = [each for each in receiver.network._switchboard.all() if each.via == "bob.test"]
            receiver.driver.handle(Hold(inner.number, held=True))
            blob = bytes(range(256)) * (48 << 12)
            sender.send("ida.test", b"large", blob)
            while not (throttled := [each for each in router.network._switchboard.all() if each.holds]):
                await router.changed.wait()
            await trio.testing.wait_all_tasks_blocked(0.01)
            partner = throttled[0].partner
            assert partner is not None
            with_driver = sum(map(len, router.driver._links[partner.number].rest))
            assert partner.raw_bytes + with_driver <= 2 * (RELAY_BYTES + RECEIVE_BYTES)
            receiver.driver.handle(Hold(inner.number, held=False))
            with trio.fail_after(KEEPALIVE_SECONDS / 2):  # and not only when a ping has woken the router
                arrived = (await receiver.until(Received, 2))[1]
            assert isinstance(arrived, Received)
            assert arrived.blob == blob
            nursery.cancel_scope.cancel()
        await listener.aclose()


async def test_a_peer_that_stands_still_over_tcp_is_hung_up_on(autojump_clock: trio.testing.MockClock) -> None:
    async with two_owners(LIMIT_SECONDS * 10) as (first, second, _, _):
        first.send("bob.test", b"up")
        await first.until(Delivered)
        began = trio.current_time()
        speak(first.network, connection_of(first.network, "bob.test"), begins(2, 1000, b"x"))
        first.turn()
        while second.network.statistics()["connections"]:
            await second.changed.wait()
        assert 30 <= trio.current_time() - began < 31
        assert any("does not go on" in event.text for event in second.events if isinstance(event, Log))


class _SlowLink:
    """A stream that takes nothing at once, and 100 KiB a second."""

    host = "slow.test"

    def __init__(self) -> None:
        self.rate = 102_400.0
        """Bytes a second."""
        self.unsent: list[int] = []
        """What it was told of that."""

    def limit_unsent(self, most: int) -> None:
        self.unsent.append(most)

    def limit_unread(self, limited: bool) -> None:
        raise AssertionError("it reads nothing")

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.sleep_forever()
        raise AssertionError

    async def readable(self) -> None:
        await trio.sleep_forever()

    def receive_now(self, max_bytes: int | None = None) -> bytes:
        return b""

    def send_now(self, data: Buffer) -> int:
        return 0

    async def send_all(self, data: Buffer) -> None:
        await trio.sleep(len(data) / self.rate)

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_a_slow_link_is_given_what_it_writes_in_a_moment_and_a_fast_one_much(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with two_owners() as (first, _, _, nursery):
        asked: list[int] = []

        def pending(connection: int, limit: int) -> list[Buffer]:
            asked.append(limit)
            return [bytes(limit)]

        first.network.pending = pending  # type: ignore[method-assign]
        link = _Link(Flow(trio.current_time()))
        link.wake.set()
        first.driver._links[99] = link
        stream = _SlowLink()
        nursery.start_soon(first.driver._pump, 99, link, stream)
        await trio.sleep(0.5)
        falling = [FIRST_SEND_BYTES, FIRST_SEND_BYTES // 2, FIRST_SEND_BYTES // 4]
        assert asked[:14] == falling + [LEAST_SEND_BYTES] * 11
        assert stream.unsent == [2 * each for each in [*falling, LEAST_SEND_BYTES]]
        asked.clear()
        stream.rate = 10 * SEND_BYTES / QUEUE_SECONDS
        await trio.sleep(0.1)
        assert list(dict.fromkeys(asked)) == [LEAST_SEND_BYTES << doubled for doubled in range(8)]
        assert asked[-1] == SEND_BYTES
        assert stream.unsent[-1] == 2 * SEND_BYTES


async def test_a_peer_that_was_fast_and_then_takes_300_bytes_a_second_is_given_no_more_than_two_large_pieces(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Whoever makes a link look fast has its victim encrypt much once, and not again and again."""
    async with two_owners(1e6) as (first, _, _, nursery):
        given: list[int] = []

        def pending(connection: int, limit: int) -> list[Buffer]:
            given.append(limit)
            return [bytes(limit)]

        first.network.pending = pending  # type: ignore[method-assign]
        link = _Link(Flow(trio.current_time()))
        link.wake.set()
        first.driver._links[99] = link
        stream = _SlowLink()
        stream.rate = 10 * SEND_BYTES / QUEUE_SECONDS
        nursery.start_soon(first.driver._pump, 99, link, stream)
        await trio.sleep(1.0)
        for _ in range(3):
            assert given[-1] == SEND_BYTES
            given.clear()
            stream.rate = 300.0
            await trio.sleep(3600.0)
            assert sum(each for each in given if each > LEAST_SEND_BYTES) <= 2 * SEND_BYTES
            assert link.limit == LEAST_SEND_BYTES
            stream.rate = 10 * SEND_BYTES / QUEUE_SECONDS
            await trio.sleep(10.0)


class _StuckLink(_SlowLink):
    """A stream that ends at once, and fails when it is closed."""

    async def readable(self) -> None:
        raise StreamBroken("over")

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return b""

    async def aclose(self) -> None:
        raise RuntimeError("a bug in what closes")


class _Flow(_SlowLink):
    """A stream that always has something to read, for 1 ms at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[int] = []
        """How many pieces were read in a row."""
        self.limited: list[bool] = []
        """What it was told of what is not read."""

    def limit_unread(self, limited: bool) -> None:
        self.limited.append(limited)

    async def readable(self) -> None:
        self.rows.append(0)
        await trio.sleep(0.001)

    def receive_now(self, max_bytes: int | None = None) -> bytes:
        self.rows[-1] += 1
        return bytes(SEND_BYTES)


async def test_while_small_messages_go_beside_a_flow_little_of_it_is_read_in_a_row_and_held_by_the_system(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with two_owners() as (first, _, _, nursery):
        mixed = False
        first.network.mixed = lambda connection, now: mixed  # type: ignore[method-assign]
        first.network.receive = lambda connection, data, now: False  # type: ignore[method-assign]
        link, stream = _Link(Flow(trio.current_time())), _Flow()
        first.driver._links[99] = link
        nursery.start_soon(first.driver._pump, 99, link, stream)
        for mixed_now, pieces in ((False, TURN_BYTES), (True, MIXED_TURN_BYTES), (False, TURN_BYTES)):
            mixed = mixed_now
            await trio.sleep(0.002)
            del stream.rows[:-1]
            await trio.sleep(0.1)
            assert set(stream.rows[1:-1]) == {pieces // SEND_BYTES}
        assert stream.limited == [True, False]


async def test_a_failure_of_our_own_code_while_a_connection_is_closed_is_noted(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with two_owners() as (first, _, _, _):
        first.tolerant = True
        link = first.driver._links[99] = _Link(Flow(trio.current_time()))
        await first.driver._pump(99, link, _StuckLink())
        assert first.network.failures == 1
        assert 99 not in first.driver._links


# --- our own failures ---------------------------------------------------------------------------------------------

GUARDS = tuple(
    f"Driver.{name}"
    for name in ("handle", "transmit", "_break", "closed", "serve", "_dial", "_pump", "_close", "_failed")
)
"""What catches exceptions; and what `Node` does each alone."""


async def play_with(injection: Injection | None) -> Probe:
    """Messages pass both ways over three connections, one after another; some call of the driver fails. Each message
    has one outcome, and what is sent afterwards arrives."""
    probe = Probe(("net/io/driver.py",), Driver, injection, guards=GUARDS)
    async with two_owners(3600.0) as (first, second, _, _):
        first.tolerant = second.tolerant = True
        probe.begin_step()
        try:
            for number in range(3):
                first.send("bob.test", b"a%d" % number, bytes(300_000))
                second.send("ann.test", b"b%d" % number)
                for owner, token in ((first, b"a%d" % number), (second, b"b%d" % number)):
                    await outcome(owner, token)
                for link in list(first.driver._links.values()):
                    link.scope.cancel()
                await trio.testing.wait_all_tasks_blocked()
        finally:
            probe.end()
        first.send("bob.test", b"last")
        await outcome(first, b"last")
        assert any(b"last" in event.tokens for event in first.events if isinstance(event, Delivered))
        for owner in (first, second):
            told = [token for event in owner.events for token in tokens_of(event)]
            assert len(told) == len(set(told)), "a message has two outcomes"
        failures = first.network.failures + second.network.failures
        assert failures == probe.raised, "what fails is written down, once"
    return probe


async def outcome(owner: Owner, token: bytes) -> None:
    """Until there is one."""
    while not any(token in tokens_of(event) for event in owner.events):
        await owner.changed.wait()


async def test_g5_an_exception_anywhere_in_the_driver_ends_no_more_than_a_connection(
    autojump_clock: trio.testing.MockClock,
) -> None:
    reached = (await play_with(None)).reached
    for seed in range(20):
        injection = draw(Random(seed), reached)
        try:
            await play_with(injection)
        except Exception as error:
            error.add_note(f"injection seed {seed}: {injection}")
            raise


async def test_what_our_own_code_fails_with_at_a_turn_ends_nothing(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_owners() as (first, _, _, _):
        turns = first.driver._turns
        flow, give, failures = turns.flow("busy.test"), turns._give, 0

        def fail_once(flow: Flow) -> None:
            nonlocal failures
            failures += 1
            if failures > 1:
                give(flow)
            else:
                raise ZeroDivisionError

        monkeypatch.setattr(turns, "_give", fail_once)
        monkeypatch.setattr(turns, "may_go", lambda flow: False)
        before = first.network.failures
        await turns.take(flow)
        assert (failures, first.network.failures) == (2, before + 1)
