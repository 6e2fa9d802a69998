"""Links that carry packets, for `wan`: a TUN device whose packets this program delays, drops and puts back.

Each host has two addresses here: it listens and dials at `local`, and others reach it at `remote`, which the system
takes to be behind the device. A packet from `a.local` to `b.remote` comes out of the device; put back as one from
`a.remote` to `b.local` it arrives, after what a link does to it. The source grows by as much as the target shrinks, so
the checksums stay right. All of TCP is real then, its window, its losses and its acknowledgements, where the lab's
proxies acknowledge themselves. The device ends with the process.

Needs Linux, root and `ip`. Rejected: network namespaces and `tc netem`, which not every kernel has.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import select
import shutil
import struct
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from random import Random
from typing import NamedTuple

_DEVICE = "/dev/net/tun"
_SET_INTERFACE = 0x400454CA
"""TUNSETIFF."""
_PLAIN_PACKETS = 0x0001 | 0x1000
"""IFF_TUN | IFF_NO_PI: IP packets and nothing before them."""
_NETWORK = "198.18"
"""For measurements of networks (RFC 2544)."""
_BATCH = 64
"""Packets read in a row, at most, before others go on."""
_LARGE_MTU = 9000
_SMALL_MTU = 1500
_LARGE_FROM = 25_000_000
"""From so many bytes a second on packets are large: this program carries some 50,000 a second."""
LEAST_QUEUE_PACKETS = 16
"""What the slowest link queues before it drops any."""


class PacketHost(NamedTuple):
    """The addresses of a host."""

    local: str
    """Where it listens, and from where it dials."""
    remote: str
    """Where the others reach it."""


@dataclass(frozen=True, slots=True)
class PacketLink:
    """What every link does."""

    bytes_per_second: float
    round_trip: float
    """Seconds; half of it each way."""
    lost: float = 0.0
    """The share of all packets that is lost."""

    @property
    def mtu(self) -> int:
        """The largest packet in bytes."""
        return _LARGE_MTU if self.bytes_per_second > _LARGE_FROM else _SMALL_MTU

    @property
    def queue_seconds(self) -> float:
        """How long packets wait for their turn before others are dropped: one round trip, as is usual."""
        return max(self.round_trip, LEAST_QUEUE_PACKETS * self.mtu / self.bytes_per_second)


class PacketLinks:
    """The links between all hosts, in a process of their own."""

    def __init__(self, name: str, pair: int, orders: Connection) -> None:
        """`name` is that of the device, `pair` the number of its pair of networks."""
        self._name = name
        self._pair = pair
        self._orders = orders
        self._hosts = 0

    def host(self) -> PacketHost:
        """Return the addresses of one more host."""
        self._hosts += 1
        local, remote = (f"{_NETWORK}.{2 * self._pair + side}.{self._hosts}" for side in (0, 1))
        _ip("address", "add", f"{local}/32", "dev", self._name)
        return PacketHost(local, remote)

    @contextmanager
    def held(self, link: PacketLink) -> Iterator[None]:
        """Have all links be like this one within this; connections from before keep their largest packet."""
        _ip("link", "set", "dev", self._name, "mtu", str(link.mtu))
        self._orders.send(link)
        try:
            yield
        finally:
            self._orders.send(None)


def available() -> bool:
    """Whether this machine lets us make such a device."""
    return os.access(_DEVICE, os.W_OK) and os.geteuid() == 0 and shutil.which("ip") is not None


@contextmanager
def run_packet_links() -> Iterator[PacketLinks]:
    """Yield links that nothing is done to until `PacketLinks.held`."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    try:
        name, pair = ours.recv()
        yield PacketLinks(name, pair, ours)
    finally:
        ours.close()
        process.join()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _run(orders: Connection) -> None:
    """Make the device, tell its name and the number of its networks, and carry packets until `orders` end."""
    device = os.open(_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    wish = struct.pack("16sH22x", b"nectar%d", _PLAIN_PACKETS)
    name = fcntl.ioctl(device, _SET_INTERFACE, wish)[:16].rstrip(b"\0").decode()
    _ip("link", "set", "dev", name, "up", "txqueuelen", "20000")
    for pair in range(128):
        route = ["ip", "route", "add", f"{_NETWORK}.{2 * pair + 1}.0/24", "dev", name]
        if subprocess.run(route, capture_output=True, check=False).returncode == 0:
            break
    else:
        raise RuntimeError(f"no network of {_NETWORK}.0.0/16 is free")
    orders.send((name, pair))
    with suppress(EOFError, OSError):
        _Carrier(device, orders).run()
    os.close(device)


class _Carrier:
    """Carries the packets of a device."""

    def __init__(self, device: int, orders: Connection) -> None:
        self._device = device
        self._orders = orders
        self._link: PacketLink | None = None
        self._chance = Random(20261201)
        self._waiting: dict[bytes, deque[tuple[float, bytes]]] = {}
        """By source and target, in order: when a packet arrives, and the packet."""
        self._free: dict[bytes, float] = {}
        """By source and target, when all that the link has is on its way."""

    def run(self) -> None:
        """Carry them until `orders` end. Raises EOFError then."""
        watched = [self._device, self._orders.fileno()]
        while True:
            now = time.monotonic()
            due = min((queue[0][0] for queue in self._waiting.values() if queue), default=now + 1.0)
            readable, _, _ = select.select(watched, [], [], max(0.0, due - now))
            if self._orders.fileno() in readable:
                self._link = self._orders.recv()
            if self._device in readable:
                self._take()
            self._deliver(time.monotonic())

    def _take(self) -> None:
        with suppress(BlockingIOError):
            for _ in range(_BATCH):
                packet = os.read(self._device, 1 << 16)
                if packet[0] >> 4 == 4:
                    self._carry(packet, time.monotonic())

    def _carry(self, packet: bytes, now: float) -> None:
        """Let a packet of IP version 4 arrive when it does, or not."""
        link, ends = self._link, packet[12:20]
        source, target = (ends[2] + 1, ends[6] - 1)
        packet = b"".join((packet[:14], bytes((source,)), packet[15:18], bytes((target,)), packet[19:]))
        arrives = now
        if link is not None:
            begins = max(now, self._free.get(ends, 0.0))
            if begins - now > link.queue_seconds or (link.lost and self._chance.random() < link.lost):
                return
            self._free[ends] = gone = begins + len(packet) / link.bytes_per_second
            arrives = gone + link.round_trip / 2
        self._waiting.setdefault(ends, deque()).append((arrives, packet))

    def _deliver(self, now: float) -> None:
        for queue in self._waiting.values():
            while queue and queue[0][0] <= now:
                with suppress(OSError):  # a host that is gone
                    os.write(self._device, queue.popleft()[1])
