"""`page`: from the request for the node's own page, and for a testnet's, until it can be used, in a browser with an
empty cache, beside a bare page of as many files and bytes that Starlette serves on hypercorn.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from bench.bare_web import bare_web
from bench.lab import folder
from bench.measure import Reference, Result, Skipped, absolute, in_turns
from nectar_node.base.errors import BadInput
from nectar_node.contract.config import LOOPBACK
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet
from testnet.testing.browsers import Visitors, run_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Page

NODES = ("one.nec", "two.nec", "three.nec")
GOAL = 500.0
"""Milliseconds until a page can be used."""
KB_GOAL = 150.0
"""Thousands of bytes that it loads until then, before any compression."""
_MARKED = """(name) => new Promise((done) => new PerformanceObserver((list) => {
  const [mark] = list.getEntriesByName(name);
  if (mark) done(mark.startTime);
}).observe({ type: 'mark', buffered: true }))"""
"""Milliseconds from the navigation to a mark; Playwright's own waiting would evaluate texts, which our pages forbid."""
_LOADED = """(until) => performance.getEntriesByType('resource')
  .filter((each) => each.name.includes('/assets/') && each.startTime < until)
  .map((each) => each.decodedBodySize)"""


def run() -> list[Result]:
    """Measure both pages and the reference in turns."""
    try:
        with run_chromium() as browser, closing(Visitors(browser)) as visitors, _served() as (node, testnet):
            return _measure(visitors, node, testnet)
    except BadInput as missing:
        return [Skipped("page", str(missing))]


def _measure(visitors: Visitors, node: str, testnet: str) -> list[Result]:
    ours, theirs = _uncached(visitors.open(node)), _uncached(visitors.open(testnet))
    pieces = ours.evaluate(_LOADED, _milliseconds(ours, "usable"))
    with bare_web(0, pieces) as (port, _):
        bare = _uncached(visitors.open(f"http://{LOOPBACK}:{port}/page"))
        usable, drawn, bare_usable = in_turns(
            lambda: _milliseconds(ours, "usable"),
            lambda: _milliseconds(theirs, "drawn"),
            lambda: _milliseconds(bare, "usable"),
        )
    reference = Reference.of("Starlette on hypercorn, as many files and bytes", bare_usable, "ms")
    return [
        absolute("page_usable", usable, "ms", GOAL, reference),
        absolute("page_testnet", drawn, "ms", GOAL, reference),
        absolute("page_size", [sum(pieces) / 1e3], "kB", KB_GOAL),
    ]


def _uncached(page: Page) -> Page:
    """Let a page load all of it each time."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    return page


def _milliseconds(page: Page, mark: str) -> float:
    page.reload()
    return float(page.evaluate(_MARKED, mark))


@contextmanager
def _served() -> Iterator[tuple[str, str]]:
    """Yield links that sign in at the page of a node, and at that of its testnet."""
    with folder() as place, LocalTestnet(place / "net") as net:
        net.boot({name: BootOptions(http=(LOOPBACK, 0)) for name in NODES})
        command = [sys.executable, "-m", "nectar_node", "testnet", "watch", "--web", "--json", "--dir", str(net.folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch, net.connect(NODES[0]) as client:
            assert watch.stdout is not None
            try:
                yield client.request("open")["url"], json.loads(watch.stdout.readline())["url"]
            finally:
                watch.send_signal(signal.SIGINT)
