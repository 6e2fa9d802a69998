"""A remote that is another simulated node: each operation is messages to its process `backups:distro:sys`, over the
sessions of the network, and fails as they do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import NamedTuple, Protocol

from kernel.contract.guest import Arrival, Failure
from kernel.contract.message import SendErrorKind
from nectar_node.backup.operations import DeleteObject, GetObject, ListObjects, Operation, PutObject
from nectar_node.backup.stores.node_messages import (
    KEEPER_PROCESS,
    RESTARTED,
    TIMEOUT_SECONDS,
    Exchange,
    NodeAnswer,
    exchange,
    exchange_as_visitor,
    introduce,
)
from testnet.model.backups import RemoteTrouble
from testnet.remotes.conductor import Ended
from testnet.remotes.faulty import work

CALM_SECONDS = 10.0
"""Seconds after a fault, or the boot of a node, in which its peers may not reach it yet."""


class AskingNode(Protocol):
    """A node in the name of whose user requests are sent."""

    def ask_later(
        self,
        after: float,
        target: str,
        body: bytes,
        timeout: int,
        blob: bytes | None,
        then: Callable[[Arrival | Failure], None],
    ) -> None:
        """Send a request after so many seconds; `then` takes what comes of it, unless the node has ended."""


class Calm(NamedTuple):
    """What has happened to some nodes, and to the network, that messages suffer from."""

    happened: int
    """How many times something has begun or ended."""
    since: float
    """When it did last; infinite while something is wrong."""


class KeeperLab(Protocol):
    """The network as a remote in it needs it."""

    @property
    def now(self) -> float:
        """Seconds since it began."""

    def at(self, seconds: float, what: Callable[[], None]) -> None:
        """Call back after so many seconds."""

    def calm(self, *hosts: str) -> Calm:
        """Return what has happened to these nodes, and to the network."""

    def asking(self, host: str) -> AskingNode:
        """Return the node on a host, as it is or as it was when it ended."""

    def kept_objects(self, keeper: str, owner: str) -> Mapping[str, bytes]:
        """Return the objects of a node that are whole on its keeper's disk."""


class Visitor(NamedTuple):
    """A node that reads another's backup, since it knows the phrase."""

    name: str
    key: bytes
    """That of the phrase."""


class KeeperPlace:
    """What a keeper has of one node, for that node or a visitor."""

    def __init__(self, lab: KeeperLab, chance: Random, keeper: str, owner: str, visitor: Visitor | None = None) -> None:
        self.keeper = keeper
        self._lab = lab
        self._chance = chance
        self._owner = owner
        self._visitor = visitor
        self._asks = owner if visitor is None else visitor.name
        self._hosts = (keeper,) if visitor else (keeper, owner)

    @property
    def well(self) -> bool:
        """Whether both nodes and the network are well now, and have been for long enough to reach each other."""
        return self._lab.now >= self._lab.calm(*self._hosts).since + CALM_SECONDS

    @property
    def disturbances(self) -> int:
        """How many times something has happened that messages suffer from."""
        return self._lab.calm(*self._hosts).happened

    def begin(self, operation: Operation, ended: Ended) -> Callable[[], None]:
        """Begin an operation, or work for a processor; return what breaks it off."""
        if not isinstance(operation, PutObject | GetObject | ListObjects | DeleteObject):
            return work(self._chance, self._lab.at, operation, ended)
        if self._visitor is None:
            return self._converse(exchange(self.keeper, self._owner, operation), ended)
        name, key = self._visitor
        return self._converse(exchange_as_visitor(self.keeper, name, self._owner, key, operation), ended)

    def introduce(self, access: bytes, ended: Ended) -> Callable[[], None]:
        """Begin to leave the public key of the phrase there; return what breaks it off."""
        return self._converse(introduce(self.keeper, self._owner, access), ended)

    def _converse(self, steps: Exchange, ended: Ended) -> Callable[[], None]:
        over = False

        def break_off() -> None:
            nonlocal over
            over = True

        def go_on(answer: NodeAnswer | None) -> None:
            if over:
                return
            try:
                request = next(steps) if answer is None else steps.send(answer)
            except StopIteration as end:
                ended(end.value, None)
                return
            except Exception as failure:  # it is the engine's to deal with
                ended(None, failure)
                return
            target = f"{self.keeper}@{KEEPER_PROCESS}"
            asked = self._lab.asking(self._asks)
            blob = None if request.blob is None else bytes(request.blob)
            asked.ask_later(request.after, target, request.body, TIMEOUT_SECONDS, blob, lambda got: go_on(told(got)))

        self._lab.at(0.0, lambda: go_on(None))
        return break_off


class KeeperRemote(KeeperPlace):
    """That, as one of the remotes of the node itself."""

    was_stale = False

    def __init__(self, lab: KeeperLab, chance: Random, keeper: str, owner: str) -> None:
        super().__init__(lab, chance, keeper, owner)
        self.broken: list[tuple[float, RemoteTrouble]] = []
        """When it has lost its disk for good, in seconds since the network began."""
        self.pruned = False
        """Whether the node has ever begun to prune it."""

    @property
    def objects(self) -> Mapping[str, bytes]:
        """What it has, by name."""
        return self._lab.kept_objects(self.keeper, self._owner)

    def visited(self, name: str, key: bytes) -> KeeperPlace:
        """Return what a node of another name sees that knows the phrase of this `key`."""
        return KeeperPlace(self._lab, self._chance, self.keeper, self._owner, Visitor(name, key))


def told(outcome: Arrival | Failure) -> NodeAnswer:
    """Return what has come of a request, as the command line takes it."""
    if isinstance(outcome, Failure):
        reason = outcome.error.reason.value
        gone = "cannot be reached" if outcome.error.kind is SendErrorKind.OFFLINE else "has not answered in time"
        return NodeAnswer(failure=f"{gone} ({reason})", restarted=reason in RESTARTED)
    blob = outcome.blob
    return NodeAnswer(bytes(outcome.message.body), None if blob is None else bytes(blob.bytes))
