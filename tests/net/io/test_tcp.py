"""TCP streams keep trio's promises of a stream, and raise this package's errors only."""

import hashlib
import os
import resource
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import SO_RCVBUF, SO_RCVLOWAT, SOL_SOCKET

import pytest
import trio
import trio.testing
from trio.testing import check_two_way_stream

from net.base.errors import DialFailed, ListenFailed, StreamBroken
from net.io.driver import SEND_BYTES
from net.io.tcp import UNREAD_BYTES, UNSENT_BYTES, TcpStream, TcpTransport
from testnet.real.nodes.namespaces import HUB, Namespaces, unavailable

MOST_WRITTEN_BYTES = 5 << 19
"""What the kernel takes for a stream that nobody reads: a receive buffer, which Linux makes twice as large as it is
told, and half a MiB."""


class AsTrioStream(trio.abc.Stream):
    """One of our streams in the clothes that trio's kit wants: errors under trio's names, bytes as bytes."""

    def __init__(self, stream: TcpStream) -> None:
        self.stream = stream
        self.closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See trio."""
        try:
            await self.stream.send_all(data)
        except StreamBroken as error:
            raise self.renamed() from error

    async def wait_send_all_might_not_block(self) -> None:
        """Not part of our protocol: the kit is content with a stream that says it might always."""
        if self.closed:
            raise trio.ClosedResourceError
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """See trio."""
        try:
            return bytes(await self.stream.receive_some(max_bytes))
        except StreamBroken as error:
            raise self.renamed() from error

    async def aclose(self) -> None:
        """See trio."""
        self.closed = True
        await self.stream.aclose()

    def renamed(self) -> Exception:
        """The same error under trio's name."""
        return trio.ClosedResourceError() if self.closed else trio.BrokenResourceError()


async def make_two() -> tuple[AsTrioStream, AsTrioStream]:
    """Two ends of a connection."""
    transport = TcpTransport()
    listener = await transport.listen("127.0.0.1", 0)
    first = await transport.connect("127.0.0.1", listener.port)
    second = await listener.accept()
    await listener.aclose()
    return AsTrioStream(first), AsTrioStream(second)


async def test_a_tcp_stream_passes_trios_conformance_kit() -> None:
    with trio.fail_after(60):
        await check_two_way_stream(make_two, None)


async def test_dialing_where_nobody_listens_is_refused() -> None:
    listener = await TcpTransport().listen("127.0.0.1", 0)
    await listener.aclose()
    with pytest.raises(DialFailed) as caught:
        await TcpTransport().connect("127.0.0.1", listener.port)
    assert caught.value.refused


@pytest.mark.parametrize("host", ["no such host.invalid", "a" * 64 + ".invalid", "\u00fc" * 80])
async def test_a_host_that_cannot_be_is_one_error_and_not_a_refusal(host: str) -> None:
    with pytest.raises(DialFailed) as caught:
        await TcpTransport().connect(host, 1)
    assert not caught.value.refused


async def test_a_port_that_is_taken_cannot_be_listened_on() -> None:
    listener = await TcpTransport().listen("127.0.0.1", 0)
    with pytest.raises(
        ListenFailed, match=f"^cannot listen at 127.0.0.1 port {listener.port}: Address already in use$"
    ):
        await TcpTransport().listen("127.0.0.1", listener.port)
    await listener.aclose()


async def test_accepting_on_a_closed_listener_says_so() -> None:
    listener = await TcpTransport().listen("127.0.0.1", 0)
    async with trio.open_nursery() as nursery:

        async def accept() -> None:
            with pytest.raises(StreamBroken):
                await listener.accept()

        nursery.start_soon(accept)
        await trio.testing.wait_all_tasks_blocked()
        await listener.aclose()


async def test_a_stream_knows_the_address_of_the_other_side() -> None:
    first, second = await make_two()
    assert first.stream.host == second.stream.host == "127.0.0.1"
    await first.aclose()
    await second.aclose()


async def dialed_from(source: str | None, target: str = "127.0.0.1") -> str:
    """The address that a connection comes from, as the one who accepts it sees it."""
    transport = TcpTransport()
    transport.dial_from(source)
    listener = await TcpTransport().listen(target, 0)
    ours = await transport.connect(target, listener.port)
    theirs = await listener.accept()
    for each in (ours, theirs, listener):
        await each.aclose()
    return theirs.host


@pytest.mark.parametrize(("given", "seen"), [("127.0.0.7", "127.0.0.7"), (None, "127.0.0.1"), ("::1", "127.0.0.1")])
async def test_a_dial_comes_from_the_address_that_was_given_if_that_is_of_the_targets_family(
    given: str | None, seen: str
) -> None:
    assert await dialed_from(given) == seen


@pytest.mark.parametrize(("host", "source"), [("127.0.0.7", "127.0.0.7"), ("0.0.0.0", None), ("::", None)])
async def test_what_listens_at_one_address_dials_from_there_and_what_listens_everywhere_from_anywhere(
    host: str, source: str | None
) -> None:
    listener = await TcpTransport().listen(host, 0)
    assert listener.source == source
    await listener.aclose()


async def test_an_address_that_is_not_ours_is_one_error_and_not_a_refusal() -> None:
    with pytest.raises(DialFailed, match=r"port \d+: cannot dial from 203\.0\.113\.1: ") as caught:
        await dialed_from("203.0.113.1")
    assert not caught.value.refused


async def test_dialing_where_nobody_listens_is_refused_from_a_given_address_too() -> None:
    transport = TcpTransport()
    transport.dial_from("127.0.0.7")
    listener = await transport.listen("127.0.0.1", 0)
    await listener.aclose()
    with pytest.raises(DialFailed) as caught:
        await transport.connect("127.0.0.1", listener.port)
    assert caught.value.refused


TWO_PORTS = """
import pathlib, trio
from net.io.tcp import TcpTransport

async def main():
    transport = TcpTransport()
    transport.dial_from("127.0.0.7")
    listeners = [await transport.listen("127.0.0.1", 0) for _ in range(3)]
    pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40001")
    streams = [await transport.connect("127.0.0.1", listener.port) for listener in listeners for _ in range(2)]
    print(len(streams))

trio.run(main)
"""


def test_one_port_of_a_given_address_serves_for_many_targets() -> None:
    if (reason := unavailable()) is not None:
        pytest.skip(reason)
    with Namespaces() as hosts:
        command = [*hosts.command(HUB), sys.executable, "-c", TWO_PORTS]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.strip(), done.stderr) == ("6", "")


async def test_an_idle_stream_has_no_buffer_of_its_own() -> None:
    transport = TcpTransport()
    listener = await transport.listen("127.0.0.1", 0)
    tracemalloc.start()
    try:
        streams = [stream for _ in range(20) for stream in (await transport.connect("127.0.0.1", listener.port),)]
        streams += [stream for _ in range(20) for stream in (await listener.accept(),)]
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    for stream in streams:
        await stream.aclose()
    await listener.aclose()
    assert size / len(streams) < 4096


async def test_little_of_what_nobody_reads_leaves_our_hands() -> None:
    first, second = await make_two()
    written = refused = 0
    while refused < 1000:
        size = first.stream.send_now(bytes(SEND_BYTES))
        written += size
        refused += not size
        await trio.testing.wait_all_tasks_blocked()
    assert written < MOST_WRITTEN_BYTES
    await first.aclose()
    await second.aclose()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems leave the buffers alone")
async def test_a_kernel_that_is_to_hold_little_unread_does_so_loses_nothing_and_holds_much_again_later() -> None:
    first, second = await make_two()
    sender, receiver = first.stream, second.stream
    flow, little = Flow(sender, receiver), 2 * UNREAD_BYTES + UNSENT_BYTES + Flow.BLOCK_BYTES
    receiver._socket.setsockopt(SOL_SOCKET, SO_RCVLOWAT, 1 << 20)  # a buffer as of one that has fallen behind
    receiver._socket.setsockopt(SOL_SOCKET, SO_RCVLOWAT, 1)
    flow.drain()
    before = receiver._socket.getsockopt(SOL_SOCKET, SO_RCVBUF)
    assert before > 2 * UNREAD_BYTES
    for _ in range(2):
        flow.fill()
        receiver.limit_unread(True)
        assert receiver._socket.getsockopt(SOL_SOCKET, SO_RCVBUF) >= before // 2, "what was promised would be dropped"
        for _ in range(20):
            flow.drain()
            flow.fill()
        assert receiver._socket.getsockopt(SOL_SOCKET, SO_RCVBUF) <= 2 * UNREAD_BYTES
        assert flow.unread <= little
        receiver.limit_unread(False)
        assert receiver._socket.getsockopt(SOL_SOCKET, SO_RCVBUF) >= before // 2
        for _ in range(20):
            flow.drain()
            flow.fill()
        assert flow.unread > little
    flow.drain()
    assert flow.sent.digest() == flow.read.digest()
    await first.aclose()
    await second.aclose()


class Flow:
    """What passes over a connection, by hand."""

    BLOCK_BYTES = 1 << 16

    def __init__(self, sender: TcpStream, receiver: TcpStream) -> None:
        self.sender, self.receiver = sender, receiver
        self.sent, self.read = hashlib.sha256(), hashlib.sha256()
        self.unread = 0
        """Bytes that are written and not read."""

    def fill(self) -> None:
        """Write as much as goes."""
        block = os.urandom(self.BLOCK_BYTES)
        while sent := self.sender.send_now(block):
            self.sent.update(block[:sent])
            self.unread += sent

    def drain(self) -> None:
        """Read all."""
        while self.unread:
            data = self.receiver.receive_now()
            self.read.update(data)
            self.unread -= len(data)


# --- places -----------------------------------------------------------------------------------------------------------


async def test_beyond_its_places_a_transport_dials_nobody_until_one_is_free() -> None:
    listener = await TcpTransport().listen("127.0.0.1", 0)
    transport = TcpTransport(1)
    stream = await transport.connect("127.0.0.1", listener.port)
    with pytest.raises(DialFailed, match="no place is left for another connection"):
        await transport.connect("127.0.0.1", listener.port)
    await stream.aclose()
    await (await transport.connect("127.0.0.1", listener.port)).aclose()
    await listener.aclose()


async def test_a_dial_that_fails_takes_no_place() -> None:
    listener = await TcpTransport().listen("127.0.0.1", 0)
    port = listener.port
    await listener.aclose()
    transport = TcpTransport(1)
    for _ in range(3):
        with pytest.raises(DialFailed, match="refused"):
            await transport.connect("127.0.0.1", port)


async def test_beyond_its_places_whoever_connects_is_turned_away_at_once_and_others_let_in_later() -> None:
    transport, others = TcpTransport(1), TcpTransport()
    listener = await transport.listen("127.0.0.1", 0)
    accepted: list[TcpStream] = []

    async def accept() -> None:
        while True:
            accepted.append(await listener.accept())

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept)
            first, second = [await others.connect("127.0.0.1", listener.port) for _ in range(2)]
            assert await ends(second)
            assert len(accepted) == 1
            await accepted[0].aclose()
            third = await others.connect("127.0.0.1", listener.port)
            await third.send_all(b"let in")
            while len(accepted) < 2:
                await trio.lowlevel.checkpoint()
            assert bytes(await accepted[1].receive_some()) == b"let in"
            nursery.cancel_scope.cancel()
    for each in (first, second, third, *accepted):
        await each.aclose()
    await listener.aclose()


async def test_without_descriptors_whoever_connects_is_turned_away_at_once() -> None:
    listener = await TcpTransport().listen("127.0.0.1", 0)
    dialer = await TcpTransport().connect("127.0.0.1", listener.port)
    with trio.fail_after(60), no_descriptors():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listener.accept)
            assert await ends(dialer)
            nursery.cancel_scope.cancel()
    await dialer.aclose()
    again = await TcpTransport().connect("127.0.0.1", listener.port)
    await (await listener.accept()).aclose()
    await again.aclose()
    await listener.aclose()


async def ends(stream: TcpStream) -> bool:
    """Whether the other side closes it, and has sent nothing."""
    try:
        return not await stream.receive_some()
    except StreamBroken:
        return True


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Within this, not one is free."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    taken: list[int] = []
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
