"""`wan`: a file and small requests over links as they are outside, beside scp and rsync over the same links.

The links carry packets where this machine lets us (`packet_links`): so many bytes a second, half of the round trip
each way, a queue of one round trip, and a share of packets that is lost. Elsewhere they are the lab's, proxies between
the nodes (`testnet.real.links`), with a queue of 20 ms and stalls: what a lost packet makes of a TCP connection, whose
bytes come one round trip later. Two things proxies cannot show: TCP's own window, as they acknowledge at once, and
short waits, as loopback's packets of 64 KiB make the system hold two of them before a proxy that reads slowly: 100 ms
at 10 Mbit/s.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NamedTuple

from bench import packet_links
from bench.lab import RECEIVER, SENDER, folder, send_file, timed_request
from bench.measure import Figure, Reference, Result, Skipped, absolute, in_turns, ratio
from bench.packet_links import PacketHost, PacketLink, PacketLinks, run_packet_links
from bench.transfer import AES_CIPHER, Sshd
from nectar_node.launcher.boot_options import BootOptions
from testnet.faults.bandwidth import Bandwidth
from testnet.faults.latency import Latency
from testnet.model.rule import PASS, Delay, Event, LinkFault, Passing, Verdict
from testnet.real.links.thread import LoopbackLinks, run_loopback_links
from testnet.real.local import LocalTestnet
from testnet.real.nodes.addresses import NODE_PORT, NodePlace

GOODPUT_GOAL = 0.95
"""Times the goodput of scp and of rsync, at least."""
WAIT_GOAL = 1.5
"""Round trips that a small request may take more beside a flow, at the 99th percentile."""
FLOW_SECONDS = 8.0
"""How long the file would take alone: commands that begin, and hands that are shaken, count less then."""
MOST_BYTES = 256 << 20
QUIET_REQUESTS = 20
REMOTE = "remote.nec"
"""What the links call the host of sshd."""
PACKET_BYTES = 1460
TARGET = f"{RECEIVER}@echo:echo:sys"


class WanPath(NamedTuple):
    """A way between two hosts."""

    round_trip: float
    """Seconds."""
    megabits: float
    """A second."""
    stalls: float = 0.0
    """Of all packets, the share that is lost once."""

    @property
    def name(self) -> str:
        """Return it as a part of a figure's name."""
        stalls = f"_{100 * self.stalls:g}pc" if self.stalls else ""
        return f"{1e3 * self.round_trip:g}ms_{self.megabits:g}mbit{stalls}"

    @property
    def bytes_per_second(self) -> float:
        """Return what it carries."""
        return self.megabits * 125_000


PATHS = (
    WanPath(0.005, 100),
    WanPath(0.05, 1),
    WanPath(0.05, 10),
    WanPath(0.05, 100),
    WanPath(0.05, 100, 0.001),
    WanPath(0.05, 10, 0.01),
    WanPath(0.2, 10),
    WanPath(0.2, 100),
    WanPath(0.05, 1000),
)


@dataclass(frozen=True, slots=True)
class Stalls(LinkFault):
    """A share of all packets comes `seconds` later, with all that comes after."""

    share: float
    seconds: float

    def judge(self, event: Event, chance: Random) -> Verdict:
        """Return what becomes of `event`."""
        if not isinstance(event, Passing):
            return PASS
        lost = 1.0 - (1.0 - self.share) ** max(1, len(event.data) // PACKET_BYTES)
        return Delay(self.seconds) if chance.random() < lost else PASS

    def words(self) -> str:
        """Describe it."""
        return f"{100 * self.share:g} percent of all packets come {self.seconds:g} s later"


def run(names: tuple[str, ...] = ()) -> list[Result]:
    """Measure all figures, or those of the paths that are named."""
    if not Sshd.available():
        return [Skipped("wan", "needs scp and sshd: on Debian, apt-get install openssh-server rsync")]
    results: list[Result] = []
    for path in PATHS:
        if not names or path.name in names:
            opened = _packets() if packet_links.available() else _proxies()
            with opened as outside, outside.held(path):
                results += _figures(path, outside)
    return results


@dataclass(frozen=True, slots=True)
class _Outside:
    """Two nodes and an sshd with links between them."""

    place: Path
    net: LocalTestnet
    sshd: Sshd
    held: Callable[[WanPath], AbstractContextManager[None]]
    """Holds the links to what a path does."""


@contextmanager
def _packets() -> Iterator[_Outside]:
    """Yield them with links that carry packets."""
    with folder() as place, run_packet_links() as links, LocalTestnet(place / "net") as net:
        sender, receiver = links.host(), links.host()
        net.boot({SENDER: _at(sender, net.options), RECEIVER: _at(receiver, net.options)})
        sshd = Sshd(place, receiver.local)
        sshd.behind((receiver.remote, sshd.front[1]), sender.local)
        try:
            yield _Outside(place, net, sshd, lambda path: _packets_held(links, path))
        finally:
            sshd.stop()


def _packets_held(links: PacketLinks, path: WanPath) -> AbstractContextManager[None]:
    return links.held(PacketLink(path.bytes_per_second, path.round_trip, path.stalls))


def _at(host: PacketHost, options: BootOptions) -> BootOptions:
    return NodePlace(host.local, NODE_PORT, (host.remote, NODE_PORT)).options(options)


@contextmanager
def _proxies() -> Iterator[_Outside]:
    """Yield them with the lab's links."""
    with folder() as place, run_loopback_links(place / "net") as links, LocalTestnet(place / "net", links=links) as net:
        net.start((SENDER, RECEIVER))
        at = links.connect(REMOTE)
        sshd = Sshd(place, at.host, at.port)
        sshd.behind(at.front)
        try:
            yield _Outside(place, net, sshd, lambda path: _held(links, path))
        finally:
            sshd.stop()


def _figures(path: WanPath, outside: _Outside) -> list[Result]:
    place, net, sshd = outside.place, outside.net, outside.sshd
    size = min(MOST_BYTES, int(path.bytes_per_second * FLOW_SECONDS))
    file = place / "file.bin"
    file.write_bytes(os.urandom(size))
    seconds = in_turns(
        lambda: send_file(net, file, RECEIVER),
        lambda: sshd.copy(file, place / "scp.bin", AES_CIPHER),
        lambda: sshd.synchronize(file, place / "rsync.bin", AES_CIPHER),
    )
    alone, beside = _waits(net, file)
    rates = [[size / 1e6 / each for each in values] for values in seconds]
    return [
        ratio(f"wan_{path.name}_scp", rates[0], rates[1], ("scp", "MB/s"), GOODPUT_GOAL),
        ratio(f"wan_{path.name}_rsync", rates[0], rates[2], ("rsync", "MB/s"), GOODPUT_GOAL),
        _more(path, alone, beside),
    ]


@contextmanager
def _held(links: LoopbackLinks, path: WanPath) -> Iterator[None]:
    faults: list[LinkFault] = [Bandwidth(path.bytes_per_second), Latency(path.round_trip / 2)]
    if path.stalls:
        faults.append(Stalls(path.stalls, path.round_trip))
    with ExitStack() as stack:
        for fault in faults:
            stack.enter_context(links.applied(fault))
        yield


def _waits(net: LocalTestnet, file: Path) -> tuple[list[float], list[float]]:
    """Return the seconds of requests alone, and of requests beside a flow once that is under way."""
    with net.connect(SENDER) as client:
        alone = [timed_request(client, TARGET) for _ in range(QUIET_REQUESTS)]
        flow = threading.Thread(target=send_file, args=(net, file, RECEIVER))
        flow.start()
        time.sleep(FLOW_SECONDS / 4)
        beside = []
        while flow.is_alive():
            beside.append(timed_request(client, TARGET))
        flow.join()
    return alone, beside[:-1]  # the last one may have come after the flow


def _more(path: WanPath, alone: list[float], beside: list[float]) -> Figure:
    usual = statistics.median(alone)
    worst = statistics.quantiles(beside, n=100)[98] if len(beside) > 1 else float("inf")
    more = [(worst - usual) / path.round_trip]
    reference = Reference("the median without the flow", round(1e3 * usual, 1), "ms")
    return absolute(f"wan_{path.name}_wait", more, "round trips more", WAIT_GOAL, reference)
