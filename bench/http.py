"""`http`: requests of browsers for a static page and for a process's answer, and a thousand WebSockets that a process
echoes, beside Starlette and bare hypercorn.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import trio

from bench.bare_web import bare_web
from bench.lab import folder
from bench.measure import Result, absolute, in_turns, p99, processor_seconds, ratio, resident_kib
from nectar_node.contract.config import LOOPBACK
from nectar_node.launcher.boot_options import BootOptions
from testnet.model.packages import find_package
from testnet.real.local import LocalTestnet

NODE = "web.nec"
BASE = "/pages:pages:sys"
CONNECTIONS = 16
"""Browsers at a time, each of which waits for its answer."""
REQUESTS = 100
"""Of each of them."""
SOCKETS = 1000
AT_ONCE = 50
"""WebSockets that wait for their echo at a time."""
ROUNDS = 5
MESSAGE = b"x" * 100
_PING, _PONG = 0x89, 0x8A
"""How these frames begin."""
STATIC_GOAL, ANSWER_GOAL = 0.9, 0.6
"""Times what the reference serves."""
KIB_GOAL, LATENCY_GOAL = 40.0, 2.0


def run() -> list[Result]:
    """Measure the node and the reference in turns."""
    with folder() as place, LocalTestnet(place / "net") as net:
        net.boot({NODE: BootOptions(packages=(find_package("pages", ()),), http=(LOOPBACK, 0))})
        port, pid = int(str(net.status(NODE)["http"]).rpartition(":")[2]), net.pid(NODE)
        assert pid is not None
        size = len(trio.run(_get, port, BASE))
        with bare_web(size) as (bare, bare_pid):
            return [*_pages((port, pid), (bare, bare_pid)), *_sockets(port, pid, bare)]


def _pages(ours: tuple[int, int], theirs: tuple[int, int]) -> list[Result]:
    """Measure two servers, given by their ports and processes."""
    times: dict[str, list[float]] = {}
    used: dict[str, list[float]] = {}
    """Processor time of a request, of each turn."""

    def subject(name: str, server: tuple[int, int], path: str) -> Callable[[], float]:
        port, pid = server

        def rate() -> float:
            before = processor_seconds(pid)
            seconds, each = trio.run(_ask_all, port, path)
            times[name] = each
            used.setdefault(name, []).append(processor_seconds(pid) - before)
            return CONNECTIONS * REQUESTS / seconds

        return rate

    statics, bare_statics, answers, bare_answers = in_turns(
        subject("static", ours, BASE),
        subject("bare static", theirs, "/static"),
        subject("answer", ours, f"{BASE}/open"),
        subject("bare answer", theirs, "/open"),
    )
    unit = "a second"
    results = [
        ratio("http_static", statics, bare_statics, ("Starlette on hypercorn, the same page", unit), STATIC_GOAL),
        ratio("http_answer", answers, bare_answers, ("Starlette on hypercorn, the same answer", unit), ANSWER_GOAL),
    ]
    for result, name in zip(results, ("static", "answer"), strict=True):
        cheaper = [b / a for a, b in zip(used[name], used[f"bare {name}"], strict=True)]
        result.detail["by processor time, times the reference"] = round(statistics.median(cheaper), 3)
        result.detail["p99, ms"] = round(p99(times[name]), 2)
        result.detail["p99 of the reference, ms"] = round(p99(times[f"bare {name}"]), 2)
    return list(results)


def _sockets(port: int, pid: int, bare: int) -> list[Result]:
    kib: list[float] = []

    def ours() -> float:
        before = resident_kib(pid)
        latency, after = trio.run(_echo_all, port, f"{BASE}/live", lambda: resident_kib(pid))
        kib.append((after - before) / SOCKETS)
        return latency

    mine, theirs = in_turns(ours, lambda: trio.run(_echo_all, bare, "/", lambda: 0)[0], runs=5)
    first = kib[:1]  # later ones find the memory of those before
    return [
        absolute("websocket_memory", first, "KiB each", KIB_GOAL),
        ratio("websocket_echo", mine, theirs, ("hypercorn's echo, p99", "ms"), LATENCY_GOAL, at_most=True),
    ]


async def _get(port: int, path: str) -> bytes:
    async with await trio.open_tcp_stream(LOOPBACK, port) as stream:
        return await ask_page(stream, path)


async def ask_page(stream: trio.SocketStream, path: str) -> bytes:
    """Return the body of a page, which must be there."""
    await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    data = bytearray()
    while b"\r\n\r\n" not in data:
        data += await stream.receive_some()
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += await stream.receive_some()
    return body


async def _ask_all(port: int, path: str) -> tuple[float, list[float]]:
    """Return the seconds that all take, and each."""
    times: list[float] = []

    async def browser() -> None:
        async with await trio.open_tcp_stream(LOOPBACK, port) as stream:
            for _ in range(REQUESTS):
                begin = time.perf_counter()
                await ask_page(stream, path)
                times.append(time.perf_counter() - begin)

    begin = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(CONNECTIONS):
            nursery.start_soon(browser)
    return time.perf_counter() - begin, times


async def _echo_all(port: int, path: str, memory: Callable[[], int]) -> tuple[float, int]:
    """Return the p99 of an echo in milliseconds, and the node's memory with all WebSockets open."""
    streams = [await open_socket(port, path) for _ in range(SOCKETS)]
    try:
        after = memory()
        times: list[float] = []
        limit = trio.CapacityLimiter(AT_ONCE)

        async def echo(stream: trio.SocketStream) -> None:
            async with limit:
                times.append(await timed_echo(stream))

        for _ in range(ROUNDS):
            async with trio.open_nursery() as nursery:
                for stream in streams:
                    nursery.start_soon(echo, stream)
        return p99(times), after
    finally:
        for stream in streams:
            await stream.aclose()
        await trio.sleep(1.0)  # until the server is rid of them


async def timed_echo(stream: trio.SocketStream) -> float:
    """Return the seconds that an echo of MESSAGE takes."""
    begin = time.perf_counter()
    await stream.send_all(bytes([0x82, 0x80 | len(MESSAGE), 0, 0, 0, 0]) + MESSAGE)
    data = await next_message(stream)
    seconds = time.perf_counter() - begin
    assert data == MESSAGE
    return seconds


async def next_message(stream: trio.SocketStream) -> bytes:
    """Return the next message; pings before it are answered."""
    data = b""
    while True:
        while len(data) < 2 or len(data) < 2 + data[1]:
            data += await stream.receive_some()
        kind, payload, data = data[0], data[2 : 2 + data[1]], data[2 + data[1] :]
        if kind != _PING:
            return payload
        await stream.send_all(bytes([_PONG, 0x80 | len(payload), 0, 0, 0, 0]) + payload)


async def open_socket(port: int, path: str) -> trio.SocketStream:
    """Return the connection of a WebSocket that a node, or the reference, has accepted."""
    stream = await trio.open_tcp_stream(LOOPBACK, port)
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13"
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{key}\r\n\r\n"
    await stream.send_all(head.encode())
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive_some()
    assert data.startswith(b"HTTP/1.1 101"), data
    return stream
