"""The reference of `http`: a Starlette application on hypercorn with trio, and bare hypercorn's WebSockets.

Run as `python -m bench.bare_web BYTES`: it prints its port, and serves until its input ends.
"""

from __future__ import annotations

import socket
import sys

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


async def _main(size: int) -> None:
    page = bytes(size)

    async def static(request: Request) -> Response:
        return Response(page, media_type="text/html")

    async def answer(request: Request) -> Response:
        return PlainTextResponse("0")

    pages = Starlette(routes=[Route("/static", static), Route("/open", answer)])

    async def app(scope, receive, send):  # type: ignore[no-untyped-def]
        if scope["type"] != "websocket":
            await pages(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "bytes": event["bytes"], "text": event["text"]})

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.keep_alive_max_requests = 1 << 30
    config.loglevel = "CRITICAL"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: serve(app, config))
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(_main, int(sys.argv[1]))
