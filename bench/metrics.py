"""`metrics`: what it costs a node to be watched: messages to another node with metrics and traces, and without.

In `metrics`, both nodes serve their metrics to a scraper that reads them every five seconds, three times as often as
Prometheus does by default. Nothing is counted for it that a node does not count anyway: it costs what a scrape costs.

In `traces` they also send the usual share of traces to a collector that takes all: the kernel tells a tracer of every
message, which looks at its id and leaves all but a hundredth. `traces_all` sends them all: a span takes some tens of
microseconds of the message's two hundred, and whatever is not the first of its lineage has eight bytes more.

What counts is the processor time of both nodes for as many messages, one at a time, as in `remote`; the collector's and
the scraper's is not theirs.
"""

from __future__ import annotations

import contextlib
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bench.lab import RECEIVER, SENDER, folder, ping
from bench.measure import Result, in_turns, processor_time, ratio
from nectar_node.contract.config import LOOPBACK
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet

GOAL = 1.05
"""Times the processor time of nodes that are not watched."""
ALL_GOAL = 2.0
"""The same with every trace."""
COUNT = 3_000
SCRAPE_SECONDS = 5.0


def run() -> list[Result]:
    """Compare nodes that are watched, without traces, with the usual share and with all, with nodes that are not."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(_collector())
        scraped, usual, whole, bare = (
            stack.enter_context(_running(options))
            for options in (
                BootOptions(metrics=(LOOPBACK, 0)),
                BootOptions(metrics=(LOOPBACK, 0), otlp=url),
                BootOptions(metrics=(LOOPBACK, 0), otlp=url, otlp_sample=1.0),
                BootOptions(),
            )
        )
        for net in (scraped, usual):
            stack.enter_context(_scraping(net))
        watched, traced, all_traced, theirs = in_turns(_cost(scraped), _cost(usual), _cost(whole), _cost(bare))
    reference = ("the same nodes unwatched", "microseconds of processor time a round trip")
    return [
        ratio("metrics", watched, theirs, reference, GOAL, at_most=True),
        ratio("traces", traced, theirs, reference, GOAL, at_most=True),
        ratio("traces_all", all_traced, theirs, reference, ALL_GOAL, at_most=True),
    ]


def _cost(net: LocalTestnet) -> Callable[[], float]:
    pids = [pid for name in (SENDER, RECEIVER) if (pid := net.pid(name)) is not None]

    def cost() -> float:
        before = sum(map(processor_time, pids))
        ping(net, f"{RECEIVER}@echo:echo:sys", COUNT)
        return 1e6 * (sum(map(processor_time, pids)) - before) / COUNT

    return cost


@contextlib.contextmanager
def _running(options: BootOptions) -> Iterator[LocalTestnet]:
    with folder() as place, LocalTestnet(place / "net") as net:
        net.boot(dict.fromkeys((SENDER, RECEIVER), options))
        yield net


@contextlib.contextmanager
def _scraping(net: LocalTestnet) -> Iterator[None]:
    urls = []
    for name in (SENDER, RECEIVER):
        with net.connect(name) as client:
            urls.append(str(client.ask("status", 20.0)["metrics"]))
    done = threading.Event()

    def scrape() -> None:
        while not done.wait(SCRAPE_SECONDS):
            for url in urls:
                with urllib.request.urlopen(url) as answer:
                    answer.read()

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextlib.contextmanager
def _collector() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}/v1/traces"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
