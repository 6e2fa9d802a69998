"""A node that stops, or is killed, with browsers in the middle of everything: real nodes, real guests, real sockets."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

from nectar_node.contract.config import LOOPBACK
from nectar_node.driver.browsers import limits
from nectar_node.launcher.boot_options import BootOptions
from testnet.browsers.web_socket import NO_CLOSE
from testnet.model.packages import find_package
from testnet.real.local import LocalTestnet
from tests.waiting import until
from tests.web_site import LATE, SITE, tell_to_bind, write_site
from tests.web_sockets import web_socket

NODE = "busy.nec"
WAITING, SOCKETS, DOWNLOADS, UPLOADS = 60, 60, 20, 20
MOVIE_BYTES = 16 << 20
STOP_SECONDS = limits.WRITE_SECONDS * 3 / 4
"""Seconds until a node has ended, on a machine that is busy: four quiet ones, of which three are farewells."""
BROKEN = 0
"""Instead of a status or code: the connection has ended."""


@pytest.fixture
def network(tmp_path: Path) -> Iterator[LocalTestnet]:
    site = write_site(tmp_path / "site")
    with (site / "movie.webm").open("wb") as movie:
        movie.truncate(MOVIE_BYTES)
    with LocalTestnet(tmp_path / "testnet") as network:
        packages = (site, find_package("pages", ()))
        network.boot({NODE: BootOptions(packages=packages, http=(LOOPBACK, 0))})
        yield network


class Crowd:
    """Browsers that have something under way, and how each of these ends."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.ends: Counter[tuple[str, int]] = Counter()
        self.stopped = trio.Event()
        """When set, those who load read on."""

    async def come(self, nursery: trio.Nursery) -> None:
        """Let all begin."""
        for kind, many in ((self.wait, WAITING), (self.talk, SOCKETS), (self.load, DOWNLOADS), (self.send, UPLOADS)):
            for _ in range(many):
                await nursery.start(kind)

    async def wait(self, task_status: trio.TaskStatus[None]) -> None:
        async with await trio.open_tcp_stream(LOOPBACK, self.port) as stream:
            await stream.send_all(b"GET /web:site:local/never HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await self._is_answered("waits", stream, task_status)

    async def send(self, task_status: trio.TaskStatus[None]) -> None:
        head = b"POST /web:site:local/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
        head += b"Expect: 100-continue\r\n\r\n"
        async with await trio.open_tcp_stream(LOOPBACK, self.port) as stream:
            await stream.send_all(head)
            assert bytes(await stream.receive_some(1000)).startswith(b"HTTP/1.1 100"), "the node waits for the body"
            await stream.send_all(bytes(100_000))
            await self._is_answered("sends", stream, task_status)

    async def _is_answered(self, kind: str, stream: trio.SocketStream, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        answer = await everything(stream)
        assert len(re.findall(rb"HTTP/1\.1 \d\d\d", answer)) <= 1
        self.ends[kind, int(answer.split()[1]) if answer else BROKEN] += 1

    async def load(self, task_status: trio.TaskStatus[None]) -> None:
        async with await trio.open_tcp_stream(LOOPBACK, self.port) as stream:
            await stream.send_all(b"GET /web:site:local/films/movie.webm HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head = bytes(await stream.receive_some(1000))
            assert head.startswith(b"HTTP/1.1 200")
            task_status.started()
            await self.stopped.wait()
            came = len(await everything(stream))
            assert came < MOVIE_BYTES
            self.ends["loads", BROKEN] += 1

    async def talk(self, task_status: trio.TaskStatus[None]) -> None:
        async with web_socket(self.port, "/pages:pages:sys/live") as client:
            task_status.started()
            code, _ = await client.end()
            self.ends["talks", code] += 1


async def everything(stream: trio.SocketStream) -> bytes:
    read = bytearray()
    try:
        async for piece in stream:
            read += piece
    except trio.BrokenResourceError:
        pass
    return bytes(read)


def bound(network: LocalTestnet) -> bool:
    """Have the process bind its paths; whether it has."""
    for tell in (
        tell_to_bind(f"{NODE}@{LATE}", "/never"),
        tell_to_bind(f"{NODE}@{LATE}", "/upload"),
        tell_to_bind(f"{NODE}@{LATE}", "/films", folder="/site:local/pkg"),
    ):
        if "Ok" not in str(network.message(NODE, SITE, tell)):
            return False
    return True


def terminate(network: LocalTestnet, pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    until(lambda: not runs(pid))


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def files_of(network: LocalTestnet) -> set[str]:
    folder = network.place(NODE).path
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def port_of(network: LocalTestnet) -> int:
    return int(str(network.status(NODE)["http"]).rpartition(":")[2])


@pytest.mark.parametrize("end", [pytest.param(lambda network, _: network.stop(NODE), id="stop"), terminate])
async def test_a_node_that_stops_tells_each_browser_once_and_leaves_nothing(
    network: LocalTestnet, end: Callable[[LocalTestnet, int], None]
) -> None:
    before = files_of(network)
    crowd, took = await end_of_crowd(network, end)
    told = {("waits", 503): WAITING, ("talks", 1001): SOCKETS, ("loads", BROKEN): DOWNLOADS, ("sends", 503): UPLOADS}
    assert crowd.ends == told
    assert took < STOP_SECONDS, "a browser that takes nothing keeps no node from its end"
    assert files_of(network) <= before
    assert "failed at" not in network.log(NODE)


async def test_a_node_that_is_killed_leaves_no_browser_waiting_and_serves_again(network: LocalTestnet) -> None:
    crowd, _ = await end_of_crowd(network, lambda network, _: network.kill(NODE))
    assert crowd.ends == {
        ("waits", BROKEN): WAITING,
        ("talks", NO_CLOSE): SOCKETS,
        ("loads", BROKEN): DOWNLOADS,
        ("sends", BROKEN): UPLOADS,
    }
    await trio.to_thread.run_sync(network.add, NODE)
    await trio.to_thread.run_sync(until, lambda: bound(network))
    async with web_socket(port_of(network), "/pages:pages:sys/live") as client:
        await client.send("again")
        assert await client.receive() == "again"


async def end_of_crowd(network: LocalTestnet, end: Callable[[LocalTestnet, int], None]) -> tuple[Crowd, float]:
    """Let a crowd begin and the node end; return how that was for them, and the seconds that the node took."""
    until(lambda: bound(network))
    pid, crowd = network.pid(NODE), Crowd(port_of(network))
    assert pid is not None
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            await crowd.come(nursery)
            began = time.monotonic()
            await trio.to_thread.run_sync(end, network, pid)
            took = time.monotonic() - began
            crowd.stopped.set()
    return crowd, took
