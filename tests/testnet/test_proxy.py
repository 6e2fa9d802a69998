"""What the TCP proxy promises, over real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from testnet.proxy import Proxy, open_proxy, run_proxy

LARGE = bytes(range(256)) * 16384


@asynccontextmanager
async def echoing_target() -> AsyncIterator[tuple[str, int]]:
    """An endpoint that sends back what it gets, until its peer has said everything."""

    async def echo(stream: trio.SocketStream) -> None:
        try:
            async for data in stream:
                await stream.send_all(data)
            await stream.send_eof()
        except trio.BrokenResourceError:
            return  # the proxy has cut us off, as the test wanted

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, echo, 0)
        yield listeners[0].socket.getsockname()[:2]
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def echo_behind_proxy() -> AsyncIterator[tuple[Proxy, trio.SocketStream]]:
    async with echoing_target() as target, open_proxy(target) as proxy:
        stream = await trio.open_tcp_stream(*proxy.ends[0].endpoint)
        async with stream:
            yield proxy, stream


async def receive_all(stream: trio.SocketStream) -> bytes:
    return b"".join([data async for data in stream])


async def send_and_close(stream: trio.SocketStream, data: bytes) -> None:
    await stream.send_all(data)
    await stream.send_eof()


async def test_bytes_pass_unchanged_in_both_directions_and_are_counted() -> None:
    async with echo_behind_proxy() as (proxy, stream), trio.open_nursery() as nursery:
        nursery.start_soon(send_and_close, stream, LARGE)
        assert await receive_all(stream) == LARGE
        assert (proxy.ends[0].passed, proxy.ends[1].passed) == (len(LARGE), len(LARGE))


async def test_the_end_of_one_direction_leaves_the_other_one_open() -> None:
    async with echo_behind_proxy() as (_, stream):
        await send_and_close(stream, b"last words")
        assert await receive_all(stream) == b"last words"


async def test_a_cut_falls_on_the_chosen_byte() -> None:
    async with trio.open_nursery() as nursery:
        received = bytearray()

        async def swallow(stream: trio.SocketStream) -> None:
            with suppress(trio.BrokenResourceError):
                async for data in stream:
                    received.extend(data)

        listeners = await nursery.start(trio.serve_tcp, swallow, 0)
        async with open_proxy(listeners[0].socket.getsockname()[:2]) as proxy:
            stream = await trio.open_tcp_stream(*proxy.ends[0].endpoint)
            proxy.cut_after(100_001)
            with pytest.raises(trio.BrokenResourceError):
                await stream.send_all(LARGE)
            assert (proxy.ends[0].passed, proxy.cuts) == (100_001, 1)
            assert len(received) <= 100_001
        nursery.cancel_scope.cancel()


async def test_a_cut_reaches_a_client_that_only_listens_as_a_reset() -> None:
    async with echo_behind_proxy() as (proxy, stream):
        await stream.send_all(b"hello")
        assert await stream.receive_some(5) == b"hello"
        proxy.cut()
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some(1)


async def test_after_a_cut_a_new_connection_works() -> None:
    async with echo_behind_proxy() as (proxy, _):
        proxy.cut()
        async with await trio.open_tcp_stream(*proxy.ends[0].endpoint) as second:
            await send_and_close(second, b"again")
            assert await receive_all(second) == b"again"
        assert proxy.connections == 2


async def test_a_cut_is_counted_from_the_moment_it_is_asked_for() -> None:
    async with echo_behind_proxy() as (proxy, stream):
        await stream.send_all(b"1234")
        assert await stream.receive_some(4) == b"1234"
        await wait_all_tasks_blocked()
        proxy.cut_after(6)
        await stream.send_all(b"5678")
        with pytest.raises(trio.BrokenResourceError):
            await receive_all(stream)
        assert proxy.bytes_passed == 8 + 6


async def test_a_hold_stops_the_bytes_and_keeps_the_connection() -> None:
    async with echo_behind_proxy() as (proxy, stream):
        proxy.hold_after(3)
        await stream.send_all(b"12345")
        await proxy.wait_held()
        await wait_all_tasks_blocked()
        assert (proxy.ends[0].passed, proxy.ends[1].passed) == (3, 0)
        proxy.release()
        await stream.send_eof()
        assert await receive_all(stream) == b"12345"


async def test_a_held_connection_can_be_cut() -> None:
    async with echo_behind_proxy() as (proxy, stream):
        proxy.hold_after(0)
        await stream.send_all(b"12345")
        await wait_all_tasks_blocked()
        proxy.cut()
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some(1)
        assert proxy.bytes_passed == 0


async def test_a_client_is_refused_while_there_is_no_target() -> None:
    async with open_proxy() as proxy, await trio.open_tcp_stream(*proxy.ends[0].endpoint) as stream:
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some(1)


async def test_the_target_may_change_between_connections() -> None:
    async with echoing_target() as target, open_proxy() as proxy:
        proxy.ends[0].target = target
        async with await trio.open_tcp_stream(*proxy.ends[0].endpoint) as stream:
            await send_and_close(stream, b"found")
            assert await receive_all(stream) == b"found"


async def test_a_link_can_be_dialed_from_either_end_and_counts_by_direction() -> None:
    async with echoing_target() as target, open_proxy() as proxy:
        proxy.ends[1].target = target
        async with await trio.open_tcp_stream(*proxy.ends[1].endpoint) as stream:
            await send_and_close(stream, b"to the second end")
            assert await receive_all(stream) == b"to the second end"
        assert proxy.ends[0].passed == proxy.ends[1].passed == len(b"to the second end")
        async with await trio.open_tcp_stream(*proxy.ends[0].endpoint) as stream:
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some(1)
        assert proxy.connections == 1


async def test_a_target_that_dies_resets_its_client() -> None:
    async with trio.open_nursery() as nursery:

        async def die(stream: trio.SocketStream) -> None:
            await stream.receive_some(1)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

        listeners = await nursery.start(trio.serve_tcp, die, 0)
        async with open_proxy(listeners[0].socket.getsockname()[:2]) as proxy:
            async with await trio.open_tcp_stream(*proxy.ends[0].endpoint) as stream:
                await stream.send_all(b"x")
                with pytest.raises(trio.BrokenResourceError):
                    await stream.receive_some(1)
            assert proxy.cuts == 0
        nursery.cancel_scope.cancel()


@contextmanager
def blocking_target() -> Iterator[tuple[str, int]]:
    """An endpoint that greets whoever connects, served by a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"welcome")

        thread = threading.Thread(target=greet)
        thread.start()
        host, port = listener.getsockname()
        yield host, port
        thread.join()


def test_a_program_without_an_event_loop_runs_a_proxy_in_a_thread() -> None:
    with blocking_target() as target, run_proxy() as proxy:
        proxy.forward_to(target)
        with socket.create_connection(proxy.endpoints[0]) as client:
            assert client.recv(100, socket.MSG_WAITALL) == b"welcome"
        assert proxy.statistics()["towards_second"] == len(b"welcome")


def test_a_program_waits_for_a_hold_no_longer_than_it_wants() -> None:
    with run_proxy() as proxy:
        proxy.hold_after(1)
        with pytest.raises(trio.TooSlowError):
            proxy.wait_held(0.01)
        proxy.hold_after(0)
        proxy.wait_held(5.0)


def test_a_proxy_in_a_thread_stops_listening_at_its_end() -> None:
    with run_proxy() as proxy:
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(proxy.endpoints[0])
