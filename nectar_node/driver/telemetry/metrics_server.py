"""Serves a node's metrics to Prometheus: `GET /metrics`, in its text format (the extra `metrics`).

Nothing is read of a client but a short head, and each has a few seconds in all: whoever sends slowly, or does not take
the answer, loses the connection. Figures are read once a second at most, however many ask.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import trio

from nectar_node.base.errors import BadInput, CannotListen
from nectar_node.console import output
from nectar_node.telemetry.metrics import Metric

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

try:
    from prometheus_client import CollectorRegistry, ProcessCollector
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.registry import Collector
except ImportError as missing:
    raise BadInput("For --metrics, install the extra: pip install 'nectar-node[metrics]'.") from missing

MAX_CONNECTIONS = 8
"""Clients at the same time; the next ones wait in the system's queue."""
BACKLOG = 16
"""Connections in that queue."""
MAX_HEAD_BYTES = 16 << 10
"""Bytes of a request's head."""
SECONDS = 5.0
"""Seconds for a request and its answer."""
FRESH_SECONDS = 1.0
"""Seconds for which an answer serves whoever asks."""
_READ_BYTES = 4096
_STATUS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed"}


class MetricsServer:
    """The endpoint of one node."""

    def __init__(self, host: str, port: int, collect: Callable[[], Iterator[Metric]]) -> None:
        """`collect` returns what there is to show; `port` 0 is any free one."""
        self._host, self._port = host, port
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Node(collect))
        ProcessCollector(registry=self._registry)
        self._rendered: dict[str, tuple[float, bytes]] = {}
        """The last answer by media type, and when it was made."""
        self._listener: trio.SocketListener | None = None

    async def listen(self) -> str:
        """Begin to listen; return the URL of the metrics. Raises CannotListen."""
        try:
            (self._listener,) = await trio.open_tcp_listeners(self._port, host=self._host, backlog=BACKLOG)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it has several addresses"
            where = output.endpoint([self._host, self._port])
            raise CannotListen(f"Metrics cannot be served at {where}: {why}. Give --metrics another place.") from error
        self._port = self._listener.socket.getsockname()[1]
        return f"http://{output.endpoint([self._host, self._port])}/metrics"

    async def serve(self) -> None:
        """Serve until cancelled."""
        assert self._listener is not None
        limit = trio.Semaphore(MAX_CONNECTIONS)
        async with trio.open_nursery() as nursery:
            while True:
                await limit.acquire()
                try:
                    stream = await self._listener.accept()
                except OSError:
                    limit.release()
                    await trio.sleep(SECONDS)  # no descriptor is free, above all
                    continue
                nursery.start_soon(self._serve_one, stream, limit)

    async def _serve_one(self, stream: trio.SocketStream, limit: trio.Semaphore) -> None:
        try:
            with trio.move_on_after(SECONDS):
                head = await _read_head(stream)
                if head is not None:
                    await stream.send_all(self.answer_untrusted(head))
                    await stream.send_eof()
                    await stream.receive_some(_READ_BYTES)  # until it closes: else TCP may take the answer back
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # it has gone
        finally:
            stream.socket.close()
            limit.release()

    def answer_untrusted(self, head: bytes) -> bytes:
        """Return the answer to a request with that head, whatever it is."""
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _answer(400, b"This is no request of HTTP/1.1.\n")
        fields = (each.partition(":") for each in lines[1:])
        headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        if not self._is_for_us(headers.get("host", "")):
            return _answer(403, b"Ask by the address, or as localhost.\n")
        if words[1].partition("?")[0] != "/metrics":
            return _answer(404, b"The metrics are at /metrics.\n")
        if words[0] not in ("GET", "HEAD"):
            return _answer(405, b"Only GET is for metrics.\n")
        media, body = self._render(headers.get("accept", ""))
        return _answer(200, body, media, send=words[0] == "GET")

    def _is_for_us(self, host: str) -> bool:
        """Whether a request to loopback is meant for that: a web page's name may lead here, too."""
        if not _is_loopback(self._host):
            return True
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
        return name.lower() in ("", "localhost") or _is_loopback(name.strip("[]"))

    def _render(self, accept: str) -> tuple[str, bytes]:
        encode, media = choose_encoder(accept)
        made, body = self._rendered.get(media, (-FRESH_SECONDS, b""))
        now = trio.current_time()
        if now - made >= FRESH_SECONDS:
            body = encode(self._registry)
            if len(self._rendered) > 4:
                self._rendered.clear()
            self._rendered[media] = now, body
        return media, body


class _Node(Collector):
    def __init__(self, collect: Callable[[], Iterator[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterator[Family]:
        """Yield the metrics as prometheus_client has them."""
        for metric in self._collect():
            make = CounterMetricFamily if metric.counts else GaugeMetricFamily
            family = make(metric.name, metric.about, labels=metric.labels)
            for labels, value in metric.samples:
                family.add_metric(labels, value)
            yield family


async def _read_head(stream: trio.SocketStream) -> bytes | None:
    """Return a request's head; None: there is none, or it is too long."""
    head = bytearray()
    while (end := head.find(b"\r\n\r\n")) < 0:
        if len(head) > MAX_HEAD_BYTES:
            return None
        data = await stream.receive_some(_READ_BYTES)
        if not data:
            return None
        head += data
    return bytes(head[:end])


def _answer(status: int, body: bytes, media: str = "text/plain; charset=utf-8", *, send: bool = True) -> bytes:
    head = (
        f"HTTP/1.1 {status} {_STATUS[status]}\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (body if send else b"")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
