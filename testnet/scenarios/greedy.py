"""Nodes that offer files to take all places, space and time. Honest files arrive all the same, and soon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from testnet.faults.bandwidth import Bandwidth
from testnet.model.lab import Lab, SentRequest
from testnet.model.where import Where
from testnet.scenarios.scenario import Options, Outcomes, Plan, Scenario, everywhere, require

_PROCESS = "our@file_transfer:file_transfer:sys"
_PLACES = 16
"""Places that one node may have."""
_MAX_SIZE = 64 << 30
"""Bytes of a file, unless the user of a node wants something else."""
_SOON = 20.0
"""Seconds in which an honest file has come."""
_TIMEOUT = 60
_KINDS = ("flood", "huge", "room", "trickle")
"""What a greedy node does: many offers, offers larger than allowed, offers of all the space, or a file that comes
slowly."""
_WAVE = 24
"""Offers of one node at once."""
_TRICKLE = 20_000
"""Bytes a second."""
_SIZES = (1, 1000, 65_536, 300_000, 2_000_000)


@dataclass(slots=True)
class _Sent:
    name: str
    data: bytes
    request: SentRequest
    began: float
    took: float | None = None

    def look(self, now: float) -> bool:
        """Look whether the request has its outcome; when it first has, note how long that took."""
        if self.took is None and self.request.outcome is not None:
            self.took = now - self.began
        return self.took is not None


@dataclass(slots=True)
class _Story:
    lab: Lab
    plan: Plan
    sent: list[_Sent] = field(default_factory=list)
    offers: list[SentRequest] = field(default_factory=list)
    huge: list[SentRequest] = field(default_factory=list)
    trickles: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._receiver, self._honest, *greedy = self.plan.nodes
        self._greedy = dict(zip(greedy, self.plan.options["kinds"], strict=True))

    _receiver: str = field(init=False)
    _honest: str = field(init=False)
    _greedy: dict[str, str] = field(init=False)

    def work(self) -> None:
        """Send waves of offers, an honest file in the middle of each, and one at the end."""
        for node, kind in self._greedy.items():
            if kind == "trickle":
                self._trickle(node)
        for wave, size in enumerate(self.plan.options["files"]):
            for node, kind in self._greedy.items():
                self._offer(node, kind, wave)
            self._send(f"wave{wave}.bin", size)
            self.lab.rest(self.plan.options["pause"])
            self._count_places()
        self._send("after.bin", 1000)
        self.lab.wait(self._all_over, 3 * _SOON, "the outcome of every honest file")
        for number in self.trickles:
            self.lab.withdraw(number)

    def _trickle(self, node: str) -> None:
        self.trickles.append(self.lab.inject(Bandwidth(_TRICKLE, Where(node, self._receiver))))
        data = self.lab.chance("trickle", node).randbytes(2_000_000)
        path = self.lab.share(node, data, "trickle.bin")
        order = {"Send": {"id": "trickle", "path": path, "name": "trickle.bin", "to": self._receiver}}
        self.lab.begin(node, _PROCESS, order, _TIMEOUT)

    def _offer(self, node: str, kind: str, wave: int) -> None:
        for name, size in _offers(kind, wave, self.lab.chance("offers", node, str(wave))):
            offer = {"id": name, "name": name, "size": size, "modified": 0, "chunk": 1}
            target = _PROCESS.replace("our@", f"{self._receiver}@")
            request = self.lab.begin(node, target, {"Offer": offer}, _TIMEOUT)
            (self.huge if size > _MAX_SIZE else self.offers).append(request)

    def _send(self, name: str, size: int) -> None:
        data = self.lab.chance("file", name).randbytes(size)
        path = self.lab.share(self._honest, data, name)
        order = {"Send": {"id": name, "path": path, "name": name, "to": self._receiver}}
        request = self.lab.begin(self._honest, _PROCESS, order, _TIMEOUT)
        self.sent.append(_Sent(name, data, request, self.lab.now))

    def _all_over(self) -> bool:
        over = [each.look(self.lab.now) for each in self.sent]  # every one is looked at
        return all(over)

    def _count_places(self) -> None:
        self._all_over()
        listed = self.lab.ask(self._receiver, _PROCESS, "List", _TIMEOUT).body["List"]
        places = Counter(row["peer"] for row in listed if row["state"] not in ("done", "failed"))
        for node, count in places.items():
            require(count <= _PLACES, f"{node} has {count} places on {self._receiver}, of which it may have {_PLACES}")

    def check(self) -> None:
        """Check that every honest file has come, whole and soon, and that no offer beyond the limit was taken."""
        for each in self.sent:
            body = each.request.outcome.body if each.request.outcome is not None else None
            require(isinstance(body, dict) and "Done" in body, f"{each.name} of {self._honest} did not come: {body}")
            require(each.took is not None and each.took <= _SOON, f"{each.name} took {each.took} s")
            require(self.lab.received(self._receiver, each.name) == each.data, f"{each.name} is not what was sent")
        self.lab.wait(lambda: all(each.outcome is not None for each in self.huge), _TIMEOUT, "answers to huge offers")
        for request in self.huge:
            outcome = request.outcome
            refused = (
                outcome is not None and outcome.kind == "response" and "accepts files of up to" in str(outcome.body)
            )
            require(refused, f"{self._receiver} did not say how large files may be: {outcome}")

    def outcomes(self) -> Outcomes:
        return {f"{each.name}, {len(each.data)} bytes": "the file is there" for each in self.sent}


def _offers(kind: str, wave: int, chance: Random) -> Iterator[tuple[str, int]]:
    """Yield names and sizes."""
    if kind == "trickle":
        return
    for number in range(_WAVE):
        # Some are offered again, while the first offer still stands.
        name = f"offer{chance.choice((number, wave * _WAVE + number))}.bin"
        yield name, {"flood": 1000, "huge": chance.randint(_MAX_SIZE + 1, (1 << 64) - 1), "room": _MAX_SIZE}[kind]


def _options(names: Sequence[str], chance: Random) -> Options:
    return {
        "kinds": [chance.choice(_KINDS) for _ in names[2:]],
        "files": [chance.choice(_SIZES) for _ in range(chance.randint(2, 4))],
        "pause": round(chance.uniform(0.05, 6.0), 3),
    }


GREEDY = Scenario(
    name="greedy",
    about="files come soon while other nodes offer files to take all places, all space and all time",
    nodes=("recv.nec", "send.nec", "greedy1.nec", "greedy2.nec"),
    topology=everywhere("file_transfer"),
    options=_options,
    begin=_Story,
)
