"""The reference of `http` and `page`: a Starlette application on hypercorn with trio, and bare hypercorn's WebSockets.

Run as `python -m bench.bare_web BYTES [BYTES …]`: it prints its port, and serves until its input ends.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

_MARK = "<script type=module>performance.mark('usable')</script>"


@contextmanager
def bare_web(size: int, pieces: Sequence[int] = ()) -> Iterator[tuple[int, int]]:
    """Run it and yield its port and its process.

    `/static` has `size` bytes, and `/page` loads a script for each of `pieces`, of so many bytes."""
    command = [sys.executable, "-m", "bench.bare_web", str(size), *map(str, pieces)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield int(process.stdout.readline()), process.pid
        process.stdin.close()


async def _main(*sizes: int) -> None:
    size, *pieces = sizes
    page = bytes(size)
    scripts = "".join(f"<script type=module src=/piece/{each}></script>" for each in range(len(pieces)))

    async def static(request: Request) -> Response:
        return Response(page, media_type="text/html")

    async def answer(request: Request) -> Response:
        return PlainTextResponse("0")

    async def whole(request: Request) -> Response:
        return HTMLResponse(f"<!doctype html><title>Bare</title>{scripts}{_MARK}")

    async def piece(request: Request) -> Response:
        return Response(b"//".ljust(pieces[request.path_params["each"]], b"x"), media_type="text/javascript")

    routes = [("/static", static), ("/open", answer), ("/page", whole), ("/piece/{each:int}", piece)]
    pages = Starlette(routes=[Route(path, answered) for path, answered in routes])

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
    trio.run(_main, *map(int, sys.argv[1:]))
