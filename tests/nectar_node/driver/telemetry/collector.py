"""A collector of OpenTelemetry for tests: an HTTP server that decodes what it gets, or one that misbehaves."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Told(NamedTuple):
    """A span, and who has told it."""

    service: str
    span: Span


class Collector:
    """What has come to a collector."""

    def __init__(self, url: str, told: queue.Queue[Told]) -> None:
        self.url = url
        self._told = told

    def take_until(self, enough: Callable[[list[Told]], bool], seconds: float = 20.0) -> list[Told]:
        """Return all spans that came until there were enough."""
        taken: list[Told] = []
        while not enough(taken):
            taken.append(self._told.get(timeout=seconds))
        return taken


@contextmanager
def collecting() -> Iterator[Collector]:
    """Yield a collector that works."""
    told: queue.Queue[Told] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/x-protobuf"
            request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
            for resource in request.resource_spans:
                names = {each.key: each.value.string_value for each in resource.resource.attributes}
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        told.put(Told(names["service.name"], span))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Collector(f"http://127.0.0.1:{server.server_port}/v1/traces", told)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
