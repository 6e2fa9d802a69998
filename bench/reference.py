"""The references of the figures: bare trio, without our code. Each program prints one number.

Run as `python -m bench.reference NAME …`, always in a process of its own.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import trio
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

MESSAGE = bytes(100)
CHUNK = 1 << 20
RECORD = 1 << 16
TAG_BYTES = 16


async def channels(count: str) -> float:
    """Return the seconds for one round trip between two tasks over memory channels."""
    to_echo, at_echo = trio.open_memory_channel[bytes](math.inf)
    to_ping, at_ping = trio.open_memory_channel[bytes](math.inf)

    async def echo() -> None:
        async for message in at_echo:
            await to_ping.send(message)

    async def ping() -> None:
        for _ in range(int(count)):
            await to_echo.send(MESSAGE)
            await at_ping.receive()

    return await _beside(echo, ping) / int(count)


async def channels_copying(count: str, size: str) -> float:
    """Return the seconds of the same with so many bytes, each copied when it leaves a task and when it enters one, as
    between tasks that share no memory."""
    to_echo, at_echo = trio.open_memory_channel[bytes](math.inf)
    to_ping, at_ping = trio.open_memory_channel[bytes](math.inf)
    at_home, away = bytearray(int(size)), bytearray(int(size))

    async def echo() -> None:
        async for message in at_echo:
            away[:] = message
            await to_ping.send(bytes(away))

    async def ping() -> None:
        for _ in range(int(count)):
            await to_echo.send(bytes(at_home))
            at_home[:] = await at_ping.receive()

    return await _beside(echo, ping) / int(count)


async def _beside(other: Callable[[], Awaitable[None]], measured: Callable[[], Awaitable[None]]) -> float:
    """Return the seconds that one takes while the other runs in a task of its own."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        begin = time.perf_counter()
        await measured()
        seconds = time.perf_counter() - begin
        nursery.cancel_scope.cancel()
    return seconds


async def tcp_echo(count: str) -> float:
    """Return the seconds for one round trip of 100 bytes over loopback TCP to another process."""
    with _running("echo_server") as server:
        stream = await _connect(server)
        begin = time.perf_counter()
        for _ in range(int(count)):
            await stream.send_all(MESSAGE)
            received = 0
            while received < len(MESSAGE):
                received += len(await stream.receive_some(65536))
        return (time.perf_counter() - begin) / int(count)


async def tcp_requests(count: str, outstanding: str) -> float:
    """Return round trips a second over loopback TCP to another process, so many at once, of 100 bytes each."""
    with _running("echo_server") as server:
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


async def tcp_window(count: str, outstanding: str) -> float:
    """Return the seconds for one of the same round trips while so many are under way; each frame is sent by itself."""
    with _running("frame_server") as server:
        stream = await _connect(server)
        begin = time.perf_counter()
        for _ in range(int(outstanding)):
            await stream.send_all(MESSAGE)
        sent, received = int(outstanding), 0
        while received < int(count) * len(MESSAGE):
            received += len(await stream.receive_some(65536))
            while sent < min(int(count), received // len(MESSAGE) + int(outstanding)):
                await stream.send_all(MESSAGE)
                sent += 1
        return (time.perf_counter() - begin) / int(count)


async def tcp_blob(size: str, count: str) -> float:
    """Return the seconds for one blob of so many bytes to be in the other process's memory, over loopback TCP."""
    with _running("blob_server", size) as server:
        stream = await _connect(server)
        blob = bytes(int(size))
        begin = time.perf_counter()
        for _ in range(int(count)):
            await stream.send_all(blob)
            await stream.receive_some(1)
        return (time.perf_counter() - begin) / int(count)


async def aead(size: str, count: str) -> float:
    """Return the seconds for encrypting so many bytes in records of 64 KiB, while another process decrypts as many."""
    with _running("aead_other", size, count) as other:
        assert other.stdout is not None
        cipher, nonce = ChaCha20Poly1305(bytes(32)), bytes(12)
        record, into = bytes(RECORD), bytearray(RECORD + TAG_BYTES)
        other.stdout.readline()
        begin = time.perf_counter()
        for _ in range(int(count) * (int(size) // RECORD)):
            cipher.encrypt_into(nonce, record, None, into)
        seconds = time.perf_counter() - begin
        return max(seconds, float(other.stdout.readline())) / int(count)


async def aead_other(size: str, count: str) -> float:
    """Decrypt so many bytes, and say first that it is ready."""
    cipher, nonce = ChaCha20Poly1305(bytes(32)), bytes(12)
    record, into = cipher.encrypt(nonce, bytes(RECORD), None), bytearray(RECORD)
    print("ready", flush=True)
    begin = time.perf_counter()
    for _ in range(int(count) * (int(size) // RECORD)):
        cipher.decrypt_into(nonce, record, None, into)
    print(time.perf_counter() - begin, flush=True)
    await trio.sleep_forever()
    return 0.0


async def tcp_file(source: str, target: str) -> float:
    """Return the seconds from opening a file to the other process having written all of it, over loopback TCP."""
    with _running("file_server", target) as server:
        begin = time.perf_counter()
        stream = await _connect(server)
        async with await trio.open_file(source, "rb") as file:
            while data := await file.read(CHUNK):
                await stream.send_all(data)
        await stream.send_eof()
        await stream.receive_some(1)
        return time.perf_counter() - begin


async def echo_server() -> None:
    """Echo whatever comes on one connection."""
    stream = await _serve_one()
    while data := await stream.receive_some(65536):
        await stream.send_all(data)


async def frame_server() -> None:
    """Echo whatever comes on one connection, each frame by itself."""
    stream = await _serve_one()
    received = sent = 0
    while data := await stream.receive_some(65536):
        received += len(data)
        while sent + len(MESSAGE) <= received:
            await stream.send_all(MESSAGE)
            sent += len(MESSAGE)


async def blob_server(size: str) -> None:
    """Take blobs of so many bytes into memory, and say so after each."""
    stream = await _serve_one()
    while True:
        blob = bytearray()
        while len(blob) < int(size):
            data = await stream.receive_some(min(CHUNK, int(size) - len(blob)))
            if not data:
                return
            blob += data
        await stream.send_all(b"!")


async def file_server(target: str) -> None:
    """Write whatever comes on one connection into a file, then say so."""
    stream = await _serve_one()
    async with await trio.open_file(target, "wb") as file:
        while data := await stream.receive_some(CHUNK):
            await file.write(data)
    await stream.send_all(b"!")
    await trio.sleep_forever()


@contextmanager
def _running(name: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run another program of this file meanwhile."""
    command = [sys.executable, "-m", "bench.reference", name, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


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
    for program in (
        channels,
        channels_copying,
        tcp_echo,
        tcp_requests,
        tcp_window,
        tcp_blob,
        tcp_file,
        aead,
        aead_other,
        echo_server,
        frame_server,
        blob_server,
        file_server,
    )
}

if __name__ == "__main__":
    result = trio.run(PROGRAMS[sys.argv[1]], *sys.argv[2:])
    if result is not None:
        print(result)
    sys.stdout.flush()
    os._exit(0)
