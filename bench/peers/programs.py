"""Two peers of another library, each a process of its own, over loopback: prints the seconds for one round trip, or
for one blob from memory to memory.

Run as `python programs.py LIBRARY echo COUNT` or `LIBRARY bytes SIZE COUNT`, in an environment with the libraries.
Relays, discovery and everything else that would leave this machine is off.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

MESSAGE = bytes(100)
PIECE = bytes(1 << 20)
PROTOCOL = "/nectar/bench/1"
WHOLE = 1 << 16
"""Bytes that an end reads at once."""


# --- py-libp2p, on trio: TCP, Noise and Yamux ------------------------------------------------------------------------


def libp2p_server(size: str) -> None:
    """Answer each message, or say when so many bytes have come; size 0: answer."""
    import trio
    from libp2p import new_host
    from libp2p.custom_types import TProtocol
    from multiaddr import Multiaddr

    async def serve(stream: Any) -> None:
        while True:
            if int(size):
                missing = int(size)
                while missing:
                    data = await stream.read(min(WHOLE, missing))
                    if not data:
                        return
                    missing -= len(data)
                await stream.write(b"!")
            else:
                data = await stream.read(len(MESSAGE))
                if not data:
                    return
                await stream.write(data)

    async def main() -> None:
        host = new_host(muxer_preference="YAMUX")
        host.set_stream_handler(TProtocol(PROTOCOL), serve)
        async with host.run(listen_addrs=[Multiaddr("/ip4/127.0.0.1/tcp/0")]):
            address = str(host.get_addrs()[0])
            print(json.dumps(address), flush=True)
            await trio.sleep_forever()

    trio.run(main)


def libp2p(server: str, what: Callable[[Any], Any]) -> float:
    """Return what `what` says with a stream to the server."""
    import trio
    from libp2p import new_host
    from libp2p.custom_types import TProtocol
    from libp2p.peer.peerinfo import info_from_p2p_addr
    from multiaddr import Multiaddr

    async def main() -> float:
        host = new_host(muxer_preference="YAMUX")
        async with host.run(listen_addrs=[]):
            info = info_from_p2p_addr(Multiaddr(json.loads(server)))
            await host.connect(info)
            stream = await host.new_stream(info.peer_id, [TProtocol(PROTOCOL)])
            seconds: float = await what(_Libp2pStream(stream))
            return seconds

    result: float = trio.run(main)
    return result


class _Libp2pStream:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def write(self, data: bytes) -> None:
        await self._stream.write(data)

    async def read(self, size: int) -> None:
        missing = size
        while missing:
            missing -= len(await self._stream.read(missing))


# --- iroh, on asyncio: QUIC ------------------------------------------------------------------------------------------


async def _iroh_endpoint() -> Any:
    import iroh

    builder = iroh.EndpointBuilder()
    builder.apply_minimal()
    builder.relay_mode(iroh.RelayMode.disabled())
    builder.bind_addr("127.0.0.1:0")
    builder.alpns([PROTOCOL.encode()])
    return await builder.bind()


def iroh_server(size: str) -> None:
    """As `libp2p_server`."""

    async def main() -> None:
        endpoint = await _iroh_endpoint()
        where = {"id": str(endpoint.id().to_bytes().hex()), "at": endpoint.bound_sockets()}
        print(json.dumps(where), flush=True)
        incoming = await endpoint.accept_next()
        connection = await (await incoming.accept()).connect()
        stream = await connection.accept_bi()
        sending, receiving = stream.send(), stream.recv()
        while True:
            if int(size):
                missing = int(size)
                while missing:
                    missing -= len(await receiving.read(min(len(PIECE), missing)))
                await sending.write_all(b"!")
            else:
                await sending.write_all(await receiving.read_exact(len(MESSAGE)))

    asyncio.run(main())


def iroh(server: str, what: Callable[[Any], Any]) -> float:
    """Return what `what` says with a stream to the server."""
    import iroh as library

    async def main() -> float:
        endpoint, where = await _iroh_endpoint(), json.loads(server)
        target = library.EndpointAddr(library.EndpointId.from_bytes(bytes.fromhex(where["id"])), None, where["at"])
        connection = await endpoint.connect(target, PROTOCOL.encode())
        stream = await connection.open_bi()
        seconds: float = await what(_IrohStream(stream))
        return seconds

    return asyncio.run(main())


class _IrohStream:
    def __init__(self, stream: Any) -> None:
        self._sending, self._receiving = stream.send(), stream.recv()

    async def write(self, data: bytes) -> None:
        await self._sending.write_all(data)

    async def read(self, size: int) -> None:
        await self._receiving.read_exact(size)


# --- what is measured ------------------------------------------------------------------------------------------------


def echoes(count: int) -> Callable[[Any], Any]:
    """Return what measures the seconds for one round trip."""

    async def measure(stream: Any) -> float:
        for _ in range(50):
            await stream.write(MESSAGE)
            await stream.read(len(MESSAGE))
        begin = time.perf_counter()
        for _ in range(count):
            await stream.write(MESSAGE)
            await stream.read(len(MESSAGE))
        return (time.perf_counter() - begin) / count

    return measure


def blobs(size: int, count: int) -> Callable[[Any], Any]:
    """Return what measures the seconds for so many bytes, from memory to memory."""

    async def measure(stream: Any) -> float:
        begin = time.perf_counter()
        for _ in range(count):
            for _ in range(size // len(PIECE)):
                await stream.write(PIECE)
            await stream.read(1)
        return (time.perf_counter() - begin) / count

    return measure


LIBRARIES = {"libp2p": (libp2p_server, libp2p), "iroh": (iroh_server, iroh)}


def main() -> int:
    """Start the other peer, and print what was measured with it."""
    library, kind, *numbers = sys.argv[1:]
    serve, ask = LIBRARIES[library]
    if kind == "serve":
        serve(numbers[0])
        return 0
    size = numbers[0] if kind == "bytes" else "0"
    command = [sys.executable, __file__, library, "serve", size]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            what = echoes(int(numbers[0])) if kind == "echo" else blobs(int(size), int(numbers[1]))
            print(ask(server.stdout.readline(), what))
        finally:
            server.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
