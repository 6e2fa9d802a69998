"""What a node holds for browsers and servers: the tables that are empty when nothing is under way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nectar_node.http.fetching.queue import FetchQueue
from nectar_node.system.http_client import HttpClient
from nectar_node.system.http_server import HttpServer


def of_server(server: HttpServer) -> dict[str, int]:
    """The sizes of the server's tables that hold something, without the paths that processes have bound."""
    channels = server.sockets.channels
    return _filled(
        {
            "requests": len(server._under_way),
            "requests whose browser has gone": len(server._gone),
            "packages with requests": len(server._count) + len(server._bytes),
            "sign-ins": len(server._entrance._logins),
            "requests whose bodies go to files": len(server._with_files._asked),
            "bodies": len(server.bodies._bodies) + len(server.bodies),
            "deadlines of bodies": int(server.bodies.next_deadline() is not None),
            "uploads": len(server._uploads._starting),
            "WebSockets": len(channels.by_id) + len(channels.by_token) + len(channels._of),
            "rounds of WebSockets": sum(map(len, channels._rounds)),
            "packages and addresses with WebSockets": len(channels._packages) + len(channels._addresses),
            "bytes for browsers": channels._unsent.used + len(channels._unsent._shares),
        }
    )


def bound(server: HttpServer) -> dict[str, int]:
    """The sizes of the tables of bound paths that hold something."""
    found: dict[str, int] = {}
    for kind, bindings in (("pages", server._bindings), ("WebSockets", server.sockets.bindings)):
        found[f"paths for {kind}"] = len(bindings._of) + len(bindings._patterns) + bindings._all_paths
        found[f"packages with {kind}"] = len(bindings._paths) + len(bindings._bytes) + bindings._all_bytes
    return _filled(found)


def of_client(client: HttpClient) -> dict[str, int]:
    """The sizes of the client's tables that hold something."""
    return _filled(
        {
            "calls": len(client._calls) + len(client._of),
            "channels": len(client._channels),
            "messages for processes": len(client._incoming),
            **{f"queue {number}": size for number, size in enumerate(_queue(client.queue))},
        }
    )


def _queue(queue: FetchQueue[Any]) -> Iterator[int]:
    yield from queue.figures()
    yield from (len(queue._under_way), len(queue._sockets), len(queue._waiting), len(queue._bytes._shares))


def _filled(sizes: dict[str, int]) -> dict[str, int]:
    return {name: size for name, size in sizes.items() if size}
