"""Browsers with bad links, and processes that take their time: no message is lost, doubled or out of order while its
WebSocket is open, every request gets one status, a file that is sent is there whole or not at all, and nothing is left
of what has gone.

Beside them a package does everything wrong that it can (`packages/unruly`), and browsers come that flood it and the
other one with small messages, read nothing, or are pages of other sites.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from blake3 import blake3

from testnet.model.browsers import Browsers, PageRequest, PageSocket, PageUpload
from testnet.model.lab import Lab
from testnet.scenarios.scenario import Options, Outcomes, Plan, Scenario, everywhere, require
from testnet.scenarios.timing import in_time, told

FILES = "/pages:sys/data/files"
PROCESS, PAGE = "our@pages:pages:sys", "/pages:pages:sys"
UNRULY, UNRULY_PAGE = "our@unruly:unruly:sys", "/unruly:unruly:sys"
STATUSES = {"twice": {200}, "never": {408}, "nonsense": {500}, "status": {500}, "end": {500}}
"""What a browser may be told when the unruly package answers in that way."""
GONE = {404, 500, 503}
"""What it may be told besides, since its process may have ended, and have begun again without its paths yet."""
MAX_PATHS = 2 * 1024
"""Paths that one package may bind, for requests and for WebSockets."""
FOREIGN = {"origin": "http://evil.example"}
MAX_UNREAD = 1 << 20
"""Bytes that a node may have read ahead of its process for one browser: a window of TCP, and a message."""
CALM = 150.0
"""Seconds in which all that is under way arrives, and a browser that does not answer is noticed."""
SLOWEST = 15.0
"""Seconds for each piece of a body: the longest one, which also stops once, is there within `CALM`."""
MOST_SOCKETS = 12
MOST_FILES = 6
_FILE_SIZES = (1, 1000, 262_144, 700_000, 2_000_000)
_SIZES = (1, 100, 10_000, 70_000, 300_000)


@dataclass(slots=True)
class _Page:
    """A browser's WebSocket, and what its page has done."""

    node: str
    socket: PageSocket
    sent: list[str] = field(default_factory=list)
    leaves: bool = False
    """Whether it has said goodbye or gone away."""
    suffers: bool = False
    """Whether it has not read, or its link has let nothing through: the node may give it up."""


@dataclass(slots=True)
class _File:
    """A file that a browser sends."""

    node: str
    upload: PageUpload
    told: str
    """Its length and hash."""
    vanishes: bool = False


@dataclass(slots=True)
class _Story:
    lab: Lab
    plan: Plan
    pages: list[_Page] = field(default_factory=list)
    asked: list[PageRequest] = field(default_factory=list)
    files: list[_File] = field(default_factory=list)
    provoked: list[tuple[str, PageRequest]] = field(default_factory=list)
    """Requests that the unruly package answers, and how."""
    floods: list[_Page] = field(default_factory=list)
    """WebSockets of the unruly package."""

    def work(self) -> None:
        """Do each thing at its time."""
        for event in in_time(self.lab, self.plan.options["events"]):
            self._do(*event)

    def _browsers(self, node: str) -> Browsers:
        return self.lab.browsers(node)

    def _do(self, what: str, *about: Any) -> None:
        if what == "open":
            socket = self._browsers(about[0]).open(f"{PAGE}/live")
            require(socket.is_open, f"{about[0]} has refused a WebSocket")
            self.pages.append(_Page(about[0], socket))
        elif what == "get":
            self.asked.append(self._browsers(about[0]).get(f"{PAGE}{about[1]}"))
        elif what == "file":
            self._send_file(*about)
        elif what == "provoke":
            self.provoked.append((about[1], self._browsers(about[0]).get(f"{UNRULY_PAGE}/{about[1]}")))
        elif what == "be flooded":
            self._is_flooded(about[0], reads=about[1])
        elif what == "foreign":
            socket = self._browsers(about[0]).open(about[1], FOREIGN)
            require(not socket.is_open, f"{about[0]} has let a page of another site open a WebSocket")
        elif what in ("Bind", "Push"):
            self.lab.begin(about[0], UNRULY, {what: about[1]}, 60)
        elif what == "rest":
            self.lab.begin(about[0], PROCESS, {"Rest": about[1]}, 60)
        elif self.pages:
            self._happens(self.pages[about[0] % len(self.pages)], what, *about[1:])

    def _send_file(
        self, node: str, size: int, latency: float, says_length: bool, stalls: float | None, vanishes: float | None
    ) -> None:
        data = bytes((size + number) % 256 for number in range(256)) * (size // 256 + 1)
        data = data[:size]
        upload = self._browsers(node).send(f"{PAGE}/files", data, latency, says_length=says_length)
        self.files.append(_File(node, upload, f"{size} {blake3(data).hexdigest()}", vanishes is not None))
        if stalls is not None:
            upload.stall()
            self.lab.at(stalls, upload.go_on)
        if vanishes is not None:
            self.lab.at(vanishes, upload.vanish)

    def _is_flooded(self, node: str, *, reads: bool) -> None:
        """Open a WebSocket whose process sends more than may wait for it."""
        socket = self._browsers(node).open(f"{UNRULY_PAGE}/flood")
        if not socket.is_open:
            return  # the process has just ended
        page = _Page(node, socket)
        self.floods.append(page)
        if not reads:
            socket.stop_reading()
            self.lab.at(60.0, socket.read_on)

    def _happens(self, page: _Page, what: str, *about: Any) -> None:
        socket = page.socket
        if what == "send":
            count, size = about
            for _ in range(count):
                text = f"{len(page.sent)} " + "x" * size
                page.sent.append(text)
                socket.send(text)
        elif what == "swarm":
            for _ in range(about[0]):
                page.sent.append("")
                socket.send("")
        elif what == "slow":
            socket.slow_down(about[0])
        elif what in ("close", "vanish"):
            page.leaves = True
            socket.close() if what == "close" else socket.vanish()
        else:
            page.suffers = True
            socket.stall() if what == "stall" else socket.stop_reading()
            again = socket.go_on if what == "stall" else socket.read_on
            self.lab.at(about[0], again)

    def check(self) -> None:
        """Check what came to each page, that each request has one status, and that nothing is left."""
        self.lab.rest(CALM)
        for number, page in enumerate(self.pages):
            _check_page(f"WebSocket {number} of {page.node}", page)
        for request in self.asked:
            require(len(request.statuses) == 1, f"a request has had the statuses {request.statuses}")
        for node in self.plan.nodes:
            self._check_files(node)
        for how, request in self.provoked:
            statuses = list(request.statuses)
            require(len(statuses) == 1, f"a request that is answered {how} has had the statuses {statuses}")
            require(statuses[0] in STATUSES[how] | GONE, f"a request that is answered {how} is told {statuses[0]}")
        there = Counter(page.node for page in self.pages if page.socket.is_open)
        flooded = Counter(page.node for page in self.floods if page.socket.is_open)
        for node in self.plan.nodes:
            opened = told(self.lab, node, PROCESS, {"Open": None}, "Open")
            require(opened == there[node], f"the process on {node} knows of {opened} WebSockets, not of {there[node]}")
            counted, has = self._browsers(node).counted(), there[node] + flooded[node]
            require(counted == has, f"{node} counts {counted} WebSockets, and has {has}")
            self._check_bounds(node)

    def _check_bounds(self, node: str) -> None:
        """Check what the unruly package is still not given, and that the other one is served."""
        bound = told(self.lab, node, UNRULY, {"Bind": MAX_PATHS // 2 + 10}, "Bind")
        require(bound <= MAX_PATHS, f"a package on {node} has bound {bound} paths, and all count")
        pushed = told(self.lab, node, UNRULY, {"Push": 10}, "Push")
        require(pushed == 0, f"a process on {node} has sent something by {pushed} WebSockets of others")
        request = self._browsers(node).get(f"{PAGE}/open")
        self.lab.rest(1.0)
        require(list(request.statuses) == [200], f"the other package's page on {node} is answered {request.statuses}")

    def _check_files(self, node: str) -> None:
        """Check that what a process was told of is there, as it was sent, and nothing else."""
        there, unknown = set[str](), 0
        for sent in self.files:
            if sent.node != node:
                continue
            statuses = list(sent.upload.statuses)
            require(len(statuses) == 1 or (sent.vanishes and not statuses), f"a file has had the statuses {statuses}")
            if statuses == [201]:
                path, _, facts = sent.upload.answer.decode().partition(" ")
                require(facts == sent.told, f"{node} has got {facts} of {sent.told}")
                there.add(path.removeprefix("/"))
            else:
                require(statuses in ([], [408], [500], [503], [507]), f"a file is answered with {statuses}")
                unknown += not statuses or statuses == [408]  # the process may have been asked
        require(not self._browsers(node).coming(), f"{node} counts bodies that nobody sends")
        if there:
            asked = {"path": FILES, "action": "ReadDir"}
            listed = _paths(told(self.lab, node, "our@vfs:distro:sys", asked, "ReadDir"))
            require(there <= listed, f"{node} has lost {there - listed}")
            require(len(listed) <= len(there) + unknown, f"{node} has files of which nobody was told: {listed - there}")

    def outcomes(self) -> Outcomes:
        return {f"WebSocket {number}": f"{len(page.sent)} sent" for number, page in enumerate(self.pages)}


def _paths(entries: Any) -> set[str]:
    """Return the paths of the entries of a folder."""
    return {str(entry["path"]) for entry in entries}


def _check_page(name: str, page: _Page) -> None:
    received, sent = list(page.socket.received), page.sent
    require(received == sent[: len(received)], f"{name} has not got back what it has sent, in order")
    require(page.socket.most_unread <= MAX_UNREAD, f"{name} had {page.socket.most_unread} bytes read ahead")
    if page.socket.is_open:
        require(len(received) == len(sent), f"{name} has got back {len(received)} of {len(sent)} messages")
        require(not page.leaves, f"{name} is open still, although its browser has left")
    else:
        require(page.leaves or page.suffers, f"{name} has ended by itself: {page.socket.closed}")


def _options(names: Sequence[str], chance: Random) -> Options:
    events: list[list[Any]] = []
    for number in range(chance.randint(2, MOST_SOCKETS)):
        events.append([round(chance.uniform(0.0, 6.0), 3), "open", chance.choice(names)])
        for _ in range(chance.randint(1, 6)):
            at, what = round(chance.uniform(0.0, 30.0), 3), chance.choice(_KINDS)
            size = chance.choice(_SIZES)
            choices: dict[str, list[Any]] = {
                "send": [chance.randint(1, 400 if size < 1000 else 20), size],
                "slow": [round(chance.choice((0.001, 0.2, 2.0)), 3)],
                "stall": [round(chance.choice((0.5, 10.0, 100.0)), 3)],
                "swarm": [chance.randint(50, 400)],
                "unread": [round(chance.choice((0.5, 10.0, 40.0)), 3)],
            }
            events.append([at, what, number, *choices.get(what, [])])
    for _ in range(chance.randint(0, 8)):
        path = chance.choice(("", "/open", "/none"))
        events.append([round(chance.uniform(0.0, 30.0), 3), "get", chance.choice(names), path])
    events += _hostile(names, chance)
    events += [
        [round(chance.uniform(0.0, 20.0), 3), "rest", chance.choice(names), chance.choice((100, 20_000))]
        for _ in range(chance.randint(0, 3))
    ]
    for _ in range(chance.randint(0, MOST_FILES)):
        at, latency = round(chance.uniform(0.0, 30.0), 3), chance.choice((0.0, 0.0, 0.5, SLOWEST))
        stalls, vanishes = chance.choice((None, None, 5.0, 70.0)), chance.choice((None, None, None, 0.0, 0.004, 3.0))
        about = [chance.choice(_FILE_SIZES), latency, chance.random() < 0.7, stalls, vanishes]
        events.append([at, "file", chance.choice(names), *about])
    return {"events": sorted(events, key=lambda event: event[0])}


def _hostile(names: Sequence[str], chance: Random) -> list[list[Any]]:
    """Draw what the unruly package does, and browsers that mean no good."""
    events: list[list[Any]] = []
    for _ in range(chance.randint(0, 10)):
        at, node = round(chance.uniform(0.0, 30.0), 3), chance.choice(names)
        what = chance.choice(("provoke", "provoke", "provoke", "be flooded", "foreign", "Bind", "Push"))
        choices: dict[str, list[Any]] = {
            "provoke": [chance.choice(tuple(STATUSES))],
            "be flooded": [chance.random() < 0.5],
            "foreign": [chance.choice((f"{PAGE}/live", f"{UNRULY_PAGE}/flood"))],
            "Bind": [chance.choice((10, 300))],
            "Push": [chance.choice((1, 100))],
        }
        events.append([at, what, node, *choices[what]])
    return events


_KINDS = ("swarm", "send", "send", "send", "send", "slow", "stall", "unread", "close", "vanish")


BROWSERS = Scenario(
    name="browsers",
    about="what browsers and processes send each other by WebSocket arrives in order, over bad links and slow readers",
    nodes=("one.nec", "two.nec"),
    topology=everywhere("pages", "unruly"),
    options=_options,
    begin=_Story,
    deadline=1200.0,
)
