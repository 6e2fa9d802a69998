"""What the figures are measured against: bare trio, with nothing of ours. Each program prints one number.

Run as `python -m bench.reference NAME …`, always in a process of its own.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import trio

MESSAGE = bytes(100)
CHUNK = 1 << 20


async def channels(count: str) -> float:
    """Seconds for one round trip between two tasks over memory channels."""
    to_echo, at_echo = trio.open_memory_channel[bytes](math.inf)
    to_ping, at_ping = trio.open_memory_channel[bytes](math.inf)

    async def echo() -> None:
        async for message in at_echo:
            await to_ping.send(message)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(echo)
        begin = time.perf_counter()
        for _ in range(int(count)):
            await to_echo.send(MESSAGE)
            await at_ping.receive()
        seconds = time.perf_counter() - begin
        nursery.cancel_scope.cancel()
    return seconds / int(count)


async def channels_copying(count: str, size: str) -> float:
    """The same with so many bytes, each copied when it leaves a task and when it enters one, as between tasks that
    share no memory."""
    to_echo, at_echo = trio.open_memory_channel[bytes](math.inf)
    to_ping, at_ping = trio.open_memory_channel[bytes](math.inf)
    at_home, away = bytearray(int(size)), bytearray(int(size))

    async def echo() -> None:
        async for message in at_echo:
            away[:] = message
            await to_ping.send(bytes(away))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(echo)
        begin = time.perf_counter()
        for _ in range(int(count)):
            await to_echo.send(bytes(at_home))
            at_home[:] = await at_ping.receive()
        seconds = time.perf_counter() - begin
        nursery.cancel_scope.cancel()
    return seconds / int(count)


async def tcp_echo(count: str) -> float:
    """Seconds for one round trip of 100 bytes over loopback TCP to another process."""
    server = _start("echo_server")
    try:
        stream = await _connect(server)
        begin = time.perf_counter()
        for _ in range(int(count)):
            await stream.send_all(MESSAGE)
            received = 0
            while received < len(MESSAGE):
                received += len(await stream.receive_some(65536))
        return (time.perf_counter() - begin) / int(count)
    finally:
        server.kill()
        server.wait()


async def tcp_requests(count: str, outstanding: str) -> float:
    """Round trips a second over loopback TCP to another process, so many at once, of 100 bytes each."""
    server = _start("echo_server")
    try:
        stream = await _connect(server)
        total, sent, received = (int(number) * len(MESSAGE) for number in (count, outstanding, "0"))
        begin = time.perf_counter()
        await stream.send_all(MESSAGE * int(outstanding))
        while received < total:
            received += len(await stream.receive_some(65536))
            more = min(total, received // len(MESSAGE) * len(MESSAGE) + int(outstanding) * len(MESSAGE)) - sent
            if more > 0:
                await stream.send_all(bytes(more))
                sent += more
        return int(count) / (time.perf_counter() - begin)
    finally:
        server.kill()
        server.wait()


async def tcp_file(source: str, target: str) -> float:
    """Seconds from opening a file to the other process having written all of it, over loopback TCP."""
    server = _start("file_server", target)
    try:
        begin = time.perf_counter()
        stream = await _connect(server)
        async with await trio.open_file(source, "rb") as file:
            while data := await file.read(CHUNK):
                await stream.send_all(data)
        await stream.send_eof()
        await stream.receive_some(1)
        return time.perf_counter() - begin
    finally:
        server.kill()
        server.wait()


async def echo_server() -> None:
    """Echo whatever comes on one connection."""
    stream = await _serve_one()
    while data := await stream.receive_some(65536):
        await stream.send_all(data)


async def file_server(target: str) -> None:
    """Write whatever comes on one connection into a file, then say so."""
    stream = await _serve_one()
    async with await trio.open_file(target, "wb") as file:
        while data := await stream.receive_some(CHUNK):
            await file.write(data)
    await stream.send_all(b"!")
    await trio.sleep_forever()


def _start(name: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench.reference", name, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def _connect(server: subprocess.Popen[str]) -> trio.SocketStream:
    assert server.stdout is not None
    port = int(await trio.to_thread.run_sync(server.stdout.readline))
    return await trio.open_tcp_stream("127.0.0.1", port)


async def _serve_one() -> trio.SocketStream:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    print(listener.socket.getsockname()[1], flush=True)
    return await listener.accept()


PROGRAMS: dict[str, Callable[..., Awaitable[float | None]]] = {
    program.__name__: program
    for program in (channels, channels_copying, tcp_echo, tcp_requests, tcp_file, echo_server, file_server)
}

if __name__ == "__main__":
    result = trio.run(PROGRAMS[sys.argv[1]], *sys.argv[2:])
    if result is not None:
        print(result)
    sys.stdout.flush()
    os._exit(0)
