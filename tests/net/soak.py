"""Cuts connections at random bytes, thousands of times, and counts what was lost and what came twice.

python -m tests.net.soak [--cuts 10000] [--real-cuts 60] [--seed S]

Two nodes talk without a pause, both ways, over several streams, with messages from nothing to several records; kernels
that take late, and a connection that breaks again and again: in the middle of the handshake, of a resume frame, of a
record, between an acknowledgement and its arrival. First in virtual time, then on real sockets through links that
reset the connection at a byte. Exits with 1 if a message was lost, doubled, altered or out of order.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from net.contract.events import Delivered, Failed, NetEvent, Received
from net.io.tcp import TcpTransport
from net.names.directory import Endpoint
from net.peering.network import NetworkConfig
from testnet.model.rule import PASS, Event, Passing, Reset, Verdict
from testnet.real.links.claim import claim
from testnet.real.links.fabric import Links, open_links
from tests.net.owner import Owner, owner_of
from tests.net.world import Node, Wire, World, identity_of, static_directory

NAMES = ("ann.test", "bob.test")
CONFIG = NetworkConfig(credit_bytes=300_000, credit_messages=16, recovery_seconds=60.0)
SIZES = (None, 0, 1, 100, 100, 3000, 3000, 70_000, 140_000)
"""Of blobs, in bytes; the last takes three records."""
HANDSHAKE_BYTES = 900
"""About what a connection carries before the first message."""
MESSAGES_PER_TURN = 4
QUIET_SECONDS = 120.0
"""Of virtual time at the end, in which all that is outstanding has to arrive."""
REAL_QUIET_SECONDS = 30.0


@dataclass
class Ledger:
    """What was sent and what came of it."""

    sent: dict[bytes, tuple[str, bytes, bytes | None]] = field(default_factory=dict)
    """By header: sender, stream and blob."""
    arrived: dict[bytes, int] = field(default_factory=dict)
    """By header: how often."""
    outcomes: dict[bytes, int] = field(default_factory=dict)
    """By header: how many the sender was told."""
    failed: int = 0
    altered: int = 0
    disordered: int = 0
    cuts: int = 0
    _last: dict[tuple[str, bytes], int] = field(default_factory=dict)

    def compose(self, rng: random.Random, sender: str) -> tuple[bytes, bytes, bytes | None]:
        """A new message: header, stream, blob."""
        header, stream = b"%d" % len(self.sent), b"%d" % rng.randrange(4)
        size = rng.choice(SIZES)
        blob = None if size is None else rng.randbytes(size)
        self.sent[header] = (sender, stream, blob)
        return header, stream, blob

    def note(self, event: NetEvent) -> None:
        """One of the two nodes says something."""
        match event:
            case Received(node=node, header=header, blob=blob, pair=pair):
                self._note_arrival(node, header, None if blob is None else bytes(blob), pair)
            case Delivered(tokens=tokens):
                for each in tokens:
                    assert isinstance(each, bytes)
                    self.outcomes[each] = self.outcomes.get(each, 0) + 1
            case Failed(token=bytes(token)):
                self.outcomes[token] = self.outcomes.get(token, 0) + 1
                self.failed += 1

    def _note_arrival(self, node: str, header: bytes, blob: bytes | None, pair: bytes | None) -> None:
        sender, stream, sent = self.sent[header]
        again = header in self.arrived
        self.arrived[header] = self.arrived.get(header, 0) + 1
        if again:
            return
        self.altered += (node, blob, pair or stream) != (sender, sent, stream)
        self.sent[header] = (sender, stream, None)  # its bytes are of no use any more
        number = int(header)
        if self._last.get((sender, stream), -1) >= number:
            self.disordered += 1
        self._last[sender, stream] = number

    @property
    def complete(self) -> bool:
        """Whether every message has come to an end."""
        return len(self.outcomes) == len(self.sent)

    @property
    def lost(self) -> int:
        """Messages that never arrived, or of which the sender never heard."""
        return sum(header not in self.arrived or header not in self.outcomes for header in self.sent)

    @property
    def doubled(self) -> int:
        """Messages that arrived more than once, or of which the sender heard more than once."""
        counts = (self.arrived, self.outcomes)
        return sum(any(each.get(header, 0) > 1 for each in counts) for header in self.sent)

    @property
    def kept(self) -> bool:
        """Whether every promise was."""
        return not (self.lost or self.doubled or self.failed or self.altered or self.disordered)

    def __str__(self) -> str:
        return (
            f"{self.cuts} cuts; messages: {len(self.sent)} sent, {len(self.arrived)} delivered, {self.lost} lost, "
            f"{self.doubled} doubled, {self.failed} failed, {self.altered} altered, {self.disordered} out of order"
        )


def cut_point(rng: random.Random) -> int:
    """After how many bytes a connection breaks: often early, where most is decided."""
    span = rng.choice((HANDSHAKE_BYTES, 2 * HANDSHAKE_BYTES, 6000, 80_000, 300_000))
    return rng.randrange(1, span)


class CutWorld(World):
    """A world whose every connection breaks, until `cutting` is unset."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.rng = rng
        self.cuts = 0
        self.cutting = True
        self.on_wire = self._doom

    def _doom(self, wire: Wire) -> None:
        self.wires.clear()  # each keeps all that it carried
        if self.cutting:
            wire.cut_after = cut_point(self.rng)

    def cut(self, wire: Wire) -> None:
        """See `World`."""
        self.cuts += wire.cut_after is not None and wire.carried >= wire.cut_after
        super().cut(wire)


class Soak:
    """The conversation in virtual time."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.ledger = Ledger()
        self.world = CutWorld(self.rng)
        identities = [identity_of(name) for name in NAMES]
        self.nodes = [self.world.add(each, static_directory(*identities), CONFIG) for each in identities]

    def run(self, cuts: int) -> Ledger:
        """Talk until so many connections were cut, then until all is said."""
        while self.world.cuts < cuts:
            self._turn()
        self.world.cutting = False
        for wire in self.world.open.values():
            wire.cut_after = None
        for node in self.nodes:
            node.taking = True
            self._take(node)
        self.world.run(QUIET_SECONDS)
        self._drain()
        self.ledger.cuts = self.world.cuts
        return self.ledger

    def _turn(self) -> None:
        rng, world = self.rng, self.world
        for _ in range(rng.randrange(2 * MESSAGES_PER_TURN)):
            sender, other = rng.sample(self.nodes, 2)
            header, stream, blob = self.ledger.compose(rng, sender.name)
            world.send(sender, other.name, header, blob, stream=stream)
        for node in self.nodes:
            node.taking = rng.random() < 0.8
            if node.taking:
                self._take(node)
        world.run(rng.choice((0.0, 0.0, 0.05, 0.3, 1.0)))
        self._drain()

    def _take(self, node: Node) -> None:
        while node.untaken:
            node.network.taken(node.untaken.pop(self.rng.randrange(len(node.untaken))), self.world.now)

    def _drain(self) -> None:
        for node in self.nodes:
            for event in node.events:
                self.ledger.note(event)
            node.events.clear()


@dataclass(frozen=True, slots=True)
class Doom:
    """A fault under which every connection breaks, as in a `CutWorld`."""

    _points: dict[int, int] = field(default_factory=dict, init=False, repr=False, compare=False)
    """By connection: before which byte of a direction."""

    def judge(self, event: Event, chance: random.Random) -> Verdict:
        """See `LinkFault`."""
        if not isinstance(event, Passing):
            return PASS
        left = self._points.setdefault(event.connection, cut_point(chance)) - event.offset
        return Reset(left) if left <= len(event.data) else PASS

    def words(self) -> str:
        """See `Fault`."""
        return "every connection breaks"


async def soak_sockets(seed: int, cuts: int) -> Ledger:
    """The conversation on real sockets: two nodes in this process, and links between them."""
    rng, ledger = random.Random(seed), Ledger()
    with TemporaryDirectory() as folder, claim(Path(folder)) as allocation:
        places = {name: allocation.place(name) for name in NAMES}
        listeners = [await TcpTransport().listen(*place.endpoint) for place in places.values()]
        async with open_links(seed) as links, trio.open_nursery() as nursery:
            fronts = {name: Endpoint(*place.front) for name, place in places.items()}
            owners = [owner_of(name, fronts, nursery, CONFIG) for name in NAMES]
            for owner, listener, (name, place) in zip(owners, listeners, places.items(), strict=True):
                links.add(name, place)
                nursery.start_soon(owner.driver.serve, listener)
            doom = links.apply(Doom())
            while _cuts(links) < cuts:
                sender, other = rng.sample(range(2), 2)
                header, stream, blob = ledger.compose(rng, NAMES[sender])
                owners[sender].send(NAMES[other], header, blob, stream)
                await trio.sleep(0.002)
                _note(ledger, owners)
            links.remove(doom)
            with trio.move_on_after(REAL_QUIET_SECONDS):
                while not ledger.complete:
                    _note(ledger, owners)
                    await trio.sleep(0.01)
            ledger.cuts = _cuts(links)
            nursery.cancel_scope.cancel()
        for listener in listeners:
            await listener.aclose()
    return ledger


def _cuts(links: Links) -> int:
    return sum(counts.resets for counts in links.counts.values())


def _note(ledger: Ledger, owners: list[Owner]) -> None:
    for owner in owners:
        for event in owner.events:
            ledger.note(event)
        owner.events.clear()


def main() -> int:
    """Soak; returns the exit code."""
    parser = argparse.ArgumentParser(description="cut connections at random bytes, and count what was lost")
    parser.add_argument("--cuts", type=int, default=10_000, help="in virtual time")
    parser.add_argument("--real-cuts", type=int, default=60, help="on real sockets")
    parser.add_argument("--seed", type=int, default=None, help="of everything random")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    begun = time.monotonic()
    ledger = Soak(seed).run(options.cuts)
    print(f"virtual time: {ledger} ({time.monotonic() - begun:.0f} s)", flush=True)
    begun = time.monotonic()
    real = trio.run(soak_sockets, seed, options.real_cuts)
    print(f"real sockets: {real} ({time.monotonic() - begun:.0f} s)", flush=True)
    return 0 if ledger.kept and real.kept else 1


if __name__ == "__main__":
    sys.exit(main())
