"""Figures that follow from the snapshots of the last seconds: rates, recent events, and since when. Pure."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from nectar_node.base.errors import BadInput
from testnet.faults import FAULTS
from testnet.model.rule import Link
from testnet.model.where import PARAMETERS, read_where
from testnet.watch.snapshot import COUNTS, Letter, LinkCounts, NodeLook, NodeState, Row, Snapshot

LATELY = 10.0
"""Seconds that count as the last ones."""
RATE_SECONDS = 3.0
"""Over which a rate is taken."""
_WORKER = re.compile("@[0-9]+:")


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """The figures of one node."""

    look: NodeLook
    since: float
    """Seconds that it has been in its state."""
    since_at_least: bool
    """Whether the state is at least that old: the node had it when it was first looked at."""
    per_second: float | None
    """Messages handed to its processes; None: not known."""
    lately: Mapping[str, int]
    """Increases in the last seconds, by `COUNTS`."""


@dataclass(frozen=True, slots=True)
class LinkFigures:
    """The figures between two nodes, both ways."""

    ends: tuple[str, str]
    there: float | None
    """Bytes a second from the first to the second."""
    back: float | None
    bytes: int
    connections: int
    resets: int
    resets_lately: int
    faults: tuple[str, ...] = ()
    """Kinds of those that hold here."""


@dataclass(frozen=True, slots=True)
class ErrorFigures:
    """Dead letters with the same ends and reason."""

    last: Letter
    count: int


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a testnet."""

    picture: Snapshot
    nodes: tuple[NodeFigures, ...]
    links: tuple[LinkFigures, ...]
    errors: tuple[ErrorFigures, ...]
    """The newest first."""


@dataclass(slots=True)
class History:
    """The pictures of the last seconds."""

    _pictures: deque[Snapshot] = field(default_factory=deque)
    _states: dict[str, tuple[NodeState, float, bool]] = field(default_factory=dict)
    """By node, since when it has its state, and whether it had it from the first snapshot on."""

    def add(self, picture: Snapshot) -> Figures:
        """Add a snapshot and return the figures that follow."""
        self._pictures.append(picture)
        while self._pictures[0].at < picture.at - LATELY and len(self._pictures) > 2:
            self._pictures.popleft()
        nodes = tuple(self._node(look) for look in picture.nodes)
        return Figures(picture, nodes, tuple(self._links(picture)), tuple(errors(picture.letters)))

    def _node(self, look: NodeLook) -> NodeFigures:
        state, since, first = self._states.get(look.name, (None, look.at, True))
        if state is not look.state:
            first = state is None
            self._states[look.name] = (look.state, look.at, first)
            since = look.at
        looks = [each for picture in self._pictures for each in picture.nodes if each.name == look.name]
        lately = {key: gained(looks, key) for key in COUNTS if key in look.counts}
        rate = per_second([each for each in looks if each.at >= look.at - RATE_SECONDS], "messages")
        if look.state is NodeState.RUNNING and look.uptime is not None:
            return NodeFigures(look, look.uptime, False, rate, lately)
        return NodeFigures(look, look.at - since, first, rate, lately)

    def _links(self, picture: Snapshot) -> Iterable[LinkFigures]:
        now = {Link(each.source, each.target): each for each in picture.links.links}
        pairs = dict.fromkeys(tuple(sorted(link)) for link in now)
        looks = [each.links for each in self._pictures if each.links.pid == picture.links.pid]
        lately = [(look.at, {Link(each.source, each.target): each for each in look.links}) for look in looks]
        for first, second in sorted(pairs):
            there, back = Link(first, second), Link(second, first)
            both = [now[link] for link in (there, back) if link in now]
            yield LinkFigures(
                (first, second),
                bytes_per_second(lately, there),
                bytes_per_second(lately, back),
                sum(each.bytes for each in both),
                sum(each.connections for each in both),
                sum(each.resets for each in both),
                sum(_grown(lately, link, "resets") for link in (there, back)),
                kinds(picture.links.faults, there),
            )


def gained(looks: list[NodeLook], key: str) -> int:
    """Return how much a node's count has grown from the first to the last of its snapshots; after a reboot only the
    count of the new boot is included."""
    last = looks[-1]
    known = [each for each in looks if key in each.counts and each.boot]
    if not known or not last.boot:
        return 0
    before = known[0].counts[key] if known[0].boot == last.boot else 0
    return max(0, last.counts.get(key, 0) - before)


def per_second(looks: list[NodeLook], key: str) -> float | None:
    """Return how fast a count grows, or None if that is not known or the node has booted meanwhile."""
    looks = [each for each in looks if key in each.counts and each.boot == looks[-1].boot]
    if len(looks) < 2 or (seconds := looks[-1].at - looks[0].at) <= 0:
        return None
    return (looks[-1].counts[key] - looks[0].counts[key]) / seconds


Seen = tuple[float, dict[Link, LinkCounts]]


def bytes_per_second(looks: list[Seen], link: Link) -> float | None:
    """Return how many bytes pass in a second, or None if that is not known."""
    looks = [(at, links) for at, links in looks if at >= looks[-1][0] - RATE_SECONDS]
    if len(looks) < 2 or (seconds := looks[-1][0] - looks[0][0]) <= 0:
        return None
    return _grown(looks, link, "bytes") / seconds


def _grown(looks: list[Seen], link: Link, key: str) -> int:
    """Return the growth of a count; a link that is not there yet counts from 0."""
    first, last = looks[0][1].get(link), looks[-1][1].get(link)
    return (getattr(last, key) if last else 0) - (getattr(first, key) if first else 0)


def kinds(faults: Iterable[Row], link: Link) -> tuple[str, ...]:
    """Return the faults of links that hold on `link` or in the other direction."""
    found = [str(row.get("kind")) for row in faults if _covers(row, link)]
    return tuple(dict.fromkeys(kind.rpartition(":")[2] for kind in found))


def _covers(row: Row, link: Link) -> bool:
    kind, given = str(row.get("kind")), row.get("parameters")
    found = FAULTS.get(kind)
    if not isinstance(given, dict) or (found is not None and not hasattr(found, "judge")):
        return False
    try:
        where = read_where(kind, {key: given[key] for key in PARAMETERS if key in given})
    except BadInput:
        return False  # a user's own fault, with parameters of these names that mean something else
    return where.covers(link) or where.covers(link.back)


def errors(letters: Iterable[Letter]) -> list[ErrorFigures]:
    """Return the errors, equal ones together, the newest first. Processes that are named by a number, as workers are,
    count as equal."""
    found: dict[tuple[str, str, str, str], ErrorFigures] = {}
    for each in letters:
        letter = replace(each, source=_WORKER.sub("@…:", each.source), target=_WORKER.sub("@…:", each.target))
        key = (letter.node, letter.source, letter.target, letter.reason)
        before = found.pop(key, None)
        found[key] = ErrorFigures(letter, 1 if before is None else before.count + 1)
    return list(reversed(found.values()))
