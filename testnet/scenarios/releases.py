"""Releases spread through a network that is cut, from a publisher that may lie over mirrors that do: nobody has what
the publisher has not published, nobody goes back, and when all is well everybody gets the newest.

Mirrors alter what they have, have half of it, serve other documents, show heads that they have signed themselves or old
ones, and say that they have what they have not; or they never answer, answer as late as they can, or refuse to go on in
the middle. The publisher changes its key, and in some plans signs two releases with one number. Whoever has seen one of
these takes the other no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, get_args

from kernel.contract.address import PackageId
from testnet.faults import draw
from testnet.model.lab import Lab, Outcome, SentRequest
from testnet.model.releases import Files, ReleaseLie
from testnet.scenarios.scenario import Options, Plan, Scenario, everywhere, require
from testnet.scenarios.timing import ended, in_time

PROCESS = "our@packages:distro:sys"
SECONDS = 15.0
PATIENCE = 400
"""Seconds for one fetch: it gives up by itself 90 after the last piece."""
NEWEST_SECONDS = 300.0
"""Seconds after the faults in which everybody gets the newest."""
MAX_PUBLISHED, MAX_FETCHES, MAX_LIES = 4, 10, 4
LARGE_BYTES = 2_200_000
"""Of a file of several pieces."""
WAITED_SECONDS = 60.0
"""Seconds in which a fetch ends that ends well when all is well, whoever keeps the node waiting: the publisher has all.
"""
_RETRY = 2.0
_WAITS: tuple[ReleaseLie, ...] = ("silent", "drips", "serves_half")
"""Lies that keep others waiting, and say nothing that is false."""
_LIES: tuple[ReleaseLie, ...] = (*(each for each in get_args(ReleaseLie) if each not in _WAITS), "alters", "alters")
"""The others that are drawn; what matters most is drawn most often."""
_TWO = "two different releases"
"""In the sentence about a publisher that lies."""


@dataclass(slots=True, eq=False)
class FetchedLook:
    """A fetch that a user has begun."""

    node: str
    version: str | None
    least: int
    """The number of the newest head that the node had told before."""
    request: SentRequest
    seen: bool = False


@dataclass(slots=True)
class _Story:
    lab: Lab
    plan: Plan
    published: dict[bytes, tuple[str, Files]] = field(default_factory=dict)
    """Version and files of each release that the publisher has signed, by hash."""
    newest: bytes = b""
    false: set[bytes] = field(default_factory=set)
    """Those that it has signed beside another one of their number."""
    liars: set[str] = field(default_factory=set)
    told: dict[str, int] = field(default_factory=dict)
    """The number of the newest head that each node has told."""
    looks: list[FetchedLook] = field(default_factory=list)
    rotates: bool = False

    @property
    def publisher(self) -> str:
        """The first node."""
        return self.plan.nodes[0]

    @property
    def package(self) -> PackageId:
        """Its package."""
        return PackageId("chess", self.publisher)

    def work(self) -> None:
        """Publish, fetch and lie, at their times."""
        for kind, *more in in_time(self.lab, self.plan.options["events"]):
            self._notice()
            match kind:
                case "publish" if self.lab.ready(self.publisher):
                    self._publish()
                case "rotate":
                    self._rotate()
                case "fork" if self.lab.ready(self.publisher) and self.lab.ready(more[0]) and self.published:
                    self._fork(more[0])
                case "lie" if self.lab.ready(more[0]) and self.published:
                    self._lie(*more)
                case "fetch" if self.lab.ready(more[0]):
                    self._fetch(*more)
        self.lab.wait(ended([look.request for look in self.looks]), PATIENCE + 10.0, "every outcome")
        self._notice()

    def _files(self, part: str) -> Files:
        """Return the files of the next release; some are those of all."""
        number = len(self.published)
        chance = Random(f"{self.plan.seed}/release {number}{part}")
        large = Random(f"{self.plan.seed}/large {number // 2}").randbytes(LARGE_BYTES)
        return {
            "manifest.json": b"[]",
            "main.wasm": large,
            "ui/page.html": chance.randbytes(chance.randint(0, 3000)),
            "ui/empty": b"",
            f"only-in-{number}": chance.randbytes(10),
        }

    def _publish(self) -> None:
        version, files = f"{len(self.published) + 1}.0.0", self._files("")
        made = self.lab.releases(self.publisher).publish(self.package, version, files)
        if made is not None:
            self.newest = made
            self.published[made] = version, files

    def _fork(self, other: str) -> None:
        """Let the publisher sign two releases with one number, and give one of them to another node alone."""
        version, both = f"{len(self.published) + 1}.0.0", (self._files(""), self._files(" again"))
        if self.lab.releases(other).head(self.package) not in (None, self.newest) or self.false or other in self.liars:
            return
        ours = self.lab.releases(self.publisher)
        made, lie = ours.publish_two(self.package, version, both, self.lab.releases(other))
        if made is not None:
            self.newest = made
            self.published[made] = version, both[0]
        if lie is not None:
            self.false.add(lie)
            self.published[lie] = version, both[1]

    def _rotate(self) -> None:
        """Change the publisher's key; its heads are signed anew when it is back."""
        self.lab.leave(self.publisher)
        self.lab.rotate_key(self.publisher)
        self.lab.start(self.publisher)
        self.rotates = True

    def _lie(self, node: str, how: ReleaseLie) -> None:
        if self.lab.releases(node).lie(self.package, how):
            self.liars.add(node)

    def _fetch(self, node: str, version: str | None, sources: list[str]) -> FetchedLook:
        wanted = {"package": str(self.package), "version": version, "from": sources, "files": True}
        body = {"Fetch": {"id": str(len(self.looks)), **wanted}}
        request = self.lab.begin(node, PROCESS, body, PATIENCE)
        look = FetchedLook(node, version, self.told.get(node, 0), request)
        self.looks.append(look)
        return look

    def _notice(self) -> None:
        """Check the outcomes that are there."""
        for look in self.looks:
            outcome = look.request.outcome
            if not look.seen and outcome is not None:
                look.seen = True
                self._check_outcome(look, outcome)

    def _check_outcome(self, look: FetchedLook, outcome: Outcome) -> None:
        if outcome.kind != "response" or look.node in self.liars:
            return
        told = outcome.body.get("Fetched") or next(iter(outcome.body["Err"].values()))
        for name, why, false in told.get("dropped", ()):
            excused = name in self.liars or self.false or self.rotates  # a head of a former key may be forged
            blamed = false and not excused
            require(not blamed, f"{look.node} says of {name}, which is honest, that it {why}")
        if "Fetched" not in outcome.body:
            return
        hash = bytes.fromhex(told["release"])
        require(hash in self.published, f"{look.node} has a release {told['version']} that nobody has published")
        version, files = self.published[hash]
        require(look.version in (None, version), f"{look.node} wanted {look.version}, and has {version}")
        least, newest = look.least, told["newest"]
        require(newest >= least, f"{look.node} goes back from release {least} to {newest}")
        self.told[look.node] = max(newest, self.told.get(look.node, 0))
        if self.lab.ready(look.node):
            there = self.lab.releases(look.node).files(hash)
            require(there == files, f"{look.node} has other files of {version} than were published")

    # --- what must hold ---------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Check that everybody who is honest gets the newest, over mirrors that are not."""
        if not self.published:
            self.lab.wait(lambda: self.lab.ready(self.publisher), 60.0, f"that {self.publisher} runs")
            self._publish()
        for node in self.plan.nodes[1:]:
            if node not in self.liars:
                self._gets_the_newest(node)

    def _gets_the_newest(self, node: str) -> None:
        self.lab.wait(lambda: self.lab.ready(node) and self.lab.ready(self.publisher), 60.0, f"that {node} runs")
        deceived = self.lab.releases(node).head(self.package) in self.false
        sources = [] if self.false else [each for each in self.plan.nodes[1:] if each != node]
        limit = self.lab.now + NEWEST_SECONDS
        while True:
            began = self.lab.now
            look = self._fetch(node, None, sources)
            self.lab.wait(ended([look.request]), PATIENCE + 10.0, f"what {node} fetches in the end")
            self._notice()
            body = look.request.outcome.body if look.request.outcome is not None else None
            told = (body or {}).get("Fetched")
            if deceived:
                require(told is None, f"{node} has seen one of {_TWO} with one number, and takes the other")
                if _TWO in str(body):
                    return
            elif told is not None:
                require(told["release"] == self.newest.hex(), f"{node} gets {told['version']}, which is not the newest")
                took = self.lab.now - began
                require(took <= WAITED_SECONDS, f"{node} waits {took:.0f} s for what its publisher has")
                return
            require(self.lab.now < limit, f"{node} does not get the newest release when all is well: {body}")
            self.lab.rest(_RETRY)


def _options(names: Sequence[str], chance: Random) -> Options:
    """Draw what is published, fetched and lied about, when."""
    others = names[1:]
    events: list[list[Any]] = [[0.0, "publish"]]

    def at() -> float:
        return round(chance.uniform(0.0, SECONDS), 3)

    count = chance.randint(1, MAX_PUBLISHED)
    events += [[at(), "publish"] for _ in range(count - 1)]
    for _ in range(chance.randint(2, MAX_FETCHES)):
        node = chance.choice(others)
        version = f"{chance.randint(1, count)}.0.0" if chance.random() < 0.3 else None
        sources = [each for each in others if each != node and chance.random() < 0.6]
        events.append([at(), "fetch", node, version, sources])
    for _ in range(chance.choice((0, 0, 1, 2, MAX_LIES))):
        liar, begins = chance.choice(others[:-1]), at()
        events += [[begins, "fetch", liar, None, []], [begins + 1.0, "lie", liar, chance.choice(_LIES)]]
    if chance.random() < 0.25:
        events.append([at(), "rotate"])
    elif chance.random() < 0.2:
        events.append([at(), "fork", chance.choice(others)])
    for _ in range(chance.choice((0, 1, 2))):
        mirror, begins = chance.choice(others[:-1]), at()
        events += [[begins, "fetch", mirror, None, []], [begins + 1.0, "lie", mirror, chance.choice(_WAITS)]]
    events.sort(key=lambda event: event[0])
    return {"events": events}


RELEASES = Scenario(
    name="releases",
    about="releases spread over mirrors that lie: nobody has what was not published, and all get the newest in the end",
    nodes=("ann.nec", "bob.nec", "cid.nec", "dot.nec"),
    topology=everywhere(),
    options=_options,
    begin=_Story,
    drawers=draw.ALL,
    seconds=SECONDS,
    least_nodes=3,
    most_nodes=12,
    deadline=6000.0,
)
