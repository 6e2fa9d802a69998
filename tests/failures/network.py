"""The network of real nodes that all rows share, and what they ask of it."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kernel.contract.limits import MAX_IN_FLIGHT_MESSAGES, MAX_PACKAGE_IN_FLIGHT_MESSAGES
from nectar_node.base.consent import EVERYTHING
from nectar_node.contract.config import REGISTRAR_NAME
from nectar_node.contract.config import GenesisFile as GenesisFile
from nectar_node.launcher.boot_options import BootOptions
from nectar_node.launcher.client import Answer
from net.base.limits import MAX_QUEUED_MESSAGES
from testnet.real.links.thread import LoopbackLinks, run_loopback_links
from testnet.real.local import LocalTestnet
from tests.conformance.lab import OUR, PACKAGE, PROBE, THEIR, SocketProbe
from tests.conformance.steps import Step, respond, send, wait_for
from tests.failures.ghosts import Ghosts, run_ghosts
from tests.failures.page import Observed

PAUSES, RESTARTS = "pauses.nec", "restarts.nec"
HIDDEN = "hidden.nec"
"""A node behind the two routers."""
ROUTERS = ("left.nec", "right.nec")
DEAF, MUTE = "deaf", "sender without networking"
"""A target and a row whose processes may not use the network."""
GATE = "gate"
"""A process on the sending node that tells who has come by."""
TOLD = "told"
TIMEOUT = 40
LIMIT = 30.0
"""Seconds in which something must be seen that does come."""
FLOODERS = MAX_PACKAGE_IN_FLIGHT_MESSAGES // MAX_IN_FLIGHT_MESSAGES
"""Processes of one package that can have as much on their way as the package."""
FLOODING_PACKAGES = MAX_QUEUED_MESSAGES // MAX_PACKAGE_IN_FLIGHT_MESSAGES
"""Packages that can fill the queue for one node."""
QUEUE_FULL = "queue full"
_TARGET_NODES = (THEIR, PAUSES, RESTARTS, HIDDEN)
_TARGETS = ("b", "c")


@dataclass(slots=True)
class Network:
    """What the rows share."""

    nodes: LocalTestnet
    links: LoopbackLinks
    """Before THEIR."""
    ghosts: Ghosts
    pool: ThreadPoolExecutor
    options: dict[str, BootOptions]
    """How each node is booted."""
    chains: dict[str, Future[dict[str, Future[Observed]]]] = field(default_factory=dict)
    """Those that are played."""
    targets: dict[str, str] = field(default_factory=dict)
    """By row: the address that it sends to."""
    later: dict[str, Future[Observed]] = field(default_factory=dict)
    """Rows that another row plays at the same time."""
    registrar_killed: threading.Event = field(default_factory=threading.Event)

    def play(
        self, row: str, target: str, *steps: Step, timeout: int = TIMEOUT, arrives: bool | None = None
    ) -> Observed:
        """Have the row's process send a message that wants no answer, and a request for which the target does
        `steps`; come back with the outcome. `arrives`: the message is known to, or not; None: ask the target."""
        self.targets[row] = target
        steps = steps or (respond(),)
        asks = wait_for(target, "", *steps, expects=timeout)
        began = time.monotonic()
        answer = self.tell(row, send(target, TOLD, context=TOLD), asks, timeout=timeout)
        after = time.monotonic() - began
        if answer["outcome"] != "response":
            assert answer["reason"] == "process ended", answer
            return Observed("the sender ends", after=after)
        arrived = self._arrived(row, target) if arrives is None else arrives
        return replace(self.outcomes(row, arrived), after=after, timeout=timeout)

    def tell(self, row: str, *steps: Step, timeout: int = TIMEOUT) -> Answer:
        """Have the row's process do these, and answer."""
        return self.ask(OUR, slug(row), *steps, respond("done"), timeout=timeout)

    def ask(self, node: str, process: str, *steps: Step, timeout: int = TIMEOUT) -> Answer:
        """The same of any probe."""
        body = json.dumps(steps)
        return self.nodes.message(node, f"our@{process}:{PACKAGE}", body, timeout + 10)

    def outcomes(self, row: str, arrived: bool) -> Observed:
        """What the row's process was told."""
        outcomes = [each for each in self.probe(row).seen() if each.kind in ("error", "response")]
        told = [each.failure for each in outcomes if each.context == TOLD]
        (asked,) = [each for each in outcomes if each.context != TOLD]  # G5
        assert len(told) <= 1
        message = str(told[0]).capitalize() if told else "arrives" if arrived else "nothing"
        request = "answer" if asked.failure is None else asked.failure.capitalize()
        return Observed(request, message, self.reasons(OUR, self.probe(row).address))

    def probe(self, row: str) -> SocketProbe:
        """The process that sends for a row."""
        return SocketProbe(self.nodes, OUR, slug(row))

    def reasons(self, node: str, source: str) -> tuple[str, ...]:
        """Of the dead letters from `source` on `node`."""
        with self.nodes.connect(node) as client:
            rows = client.request("errors", after=0)["errors"]
        assert isinstance(rows, list)
        return tuple(row["reason"] for row in rows if row["source"] == source)

    def said(self, node: str, *about: str) -> list[str]:
        """The lines of a node's log that name one of these."""
        lines = [line.partition(" ")[2] for line in self.nodes.log(node).splitlines()]
        return [line for line in lines if any(each in line for each in about)]

    def read_logs(self, row: str, seen: Observed) -> None:
        """Fill in what the two nodes have said of the row."""
        mine, node = f"{slug(row)}:{PACKAGE}", self.targets[row].partition("@")[0]
        seen.sender_log = self.said(OUR, mine, node, REGISTRAR_NAME)
        there = node in self.options and row != "answer undeliverable"
        seen.target_log = self.said(node, mine, OUR, REGISTRAR_NAME, *ROUTERS) if there else None

    def _arrived(self, row: str, target: str) -> bool:
        node, process = target.split("@")
        name = process.partition(":")[0]
        if node not in _TARGET_NODES or name not in (*_TARGETS, DEAF):
            return False
        return (self.probe(row).address, TOLD) in self.requests(node, name)

    def requests(self, node: str, process: str) -> list[tuple[str | None, str | None]]:
        """Source and body of those that a probe has seen."""
        return [(each.source, each.body) for each in SocketProbe(self.nodes, node, process).seen("request")]

    def peer(self, name: str, node: str = OUR) -> dict[str, Any]:
        """What a node says of another one."""
        with self.nodes.connect(node) as client:
            peers = client.request("peers")["peers"]
        assert isinstance(peers, list)
        return next((row for row in peers if row["name"] == name), {})


def slug(row: str) -> str:
    """A process's name, of a row's."""
    return re.sub(r"[^a-z0-9]+", "-", row)


def at(node: str, process: str = "b") -> str:
    """The address of a probe."""
    return f"{node}@{process}:{PACKAGE}"


@contextmanager
def open_network(folder: Path, rows: list[str]) -> Iterator[Network]:
    """The nodes that these rows need."""
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(3 * len(rows)))
        links = stack.enter_context(run_loopback_links(folder / "testnet"))
        nodes = stack.enter_context(LocalTestnet(folder / "testnet", BootOptions(packages=())))
        nodes.start()
        options = _options(folder, rows, links)
        hidden = options.pop(HIDDEN)
        for each in [pool.submit(nodes.add, name, option) for name, option in options.items()]:
            each.result()
        nodes.add(HIDDEN, hidden)
        ghosts = stack.enter_context(run_ghosts(GenesisFile.load(nodes.folder).genesis()))
        yield Network(nodes, links, ghosts, pool, {**options, HIDDEN: hidden})


def _options(folder: Path, rows: list[str], links: LoopbackLinks) -> dict[str, BootOptions]:
    """How each node is booted."""
    senders = [_package(folder / "senders", PACKAGE, (GATE, *map(slug, rows)))]
    if QUEUE_FULL in rows:
        names = tuple(f"flood{number}" for number in range(FLOODERS))
        senders += [_package(folder, f"flood{number}:local", names) for number in range(FLOODING_PACKAGES)]
    targets = (_package(folder / "targets", PACKAGE, (*_TARGETS, DEAF)),)
    return {
        OUR: BootOptions(packages=tuple(senders), consent=EVERYTHING),
        THEIR: links.connect(THEIR).options(BootOptions(packages=targets, consent=EVERYTHING)),
        PAUSES: BootOptions(packages=targets, consent=EVERYTHING),
        RESTARTS: BootOptions(packages=targets, consent=EVERYTHING),
        **{router: BootOptions(packages=()) for router in ROUTERS},
        HIDDEN: BootOptions(packages=targets, routers=ROUTERS, consent=EVERYTHING),
    }


def _package(folder: Path, id: str, names: tuple[str, ...]) -> Path:
    """A package of probes, all public."""
    package = folder / id
    package.mkdir(parents=True)
    shutil.copy(PROBE, package / PROBE.name)
    silent = (DEAF, slug(MUTE))
    manifest = [
        {
            "process_name": name,
            "process_wasm_path": "/probe.wasm",
            "on_exit": "None",
            "request_networking": name not in silent,
            "public": True,
        }
        for name in names
    ]
    (package / "manifest.json").write_text(json.dumps(manifest))
    return package
