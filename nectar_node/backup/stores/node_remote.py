"""Another node as a remote: asks it through a node of this machine, which runs meanwhile."""

from __future__ import annotations

from typing import Any, Protocol

from nectar_node.backup.operations import DeleteObject, GetObject, Listed, ListObjects, PutObject, RemoteOperation
from nectar_node.backup.stores.node_messages import (
    SCHEME,
    Exchange,
    NodeAnswer,
    NodeRequest,
    enter,
    exchange,
    exchange_as_visitor,
    introduce,
)


class Messenger(Protocol):
    """Sends requests to keepers from a node of this machine. Called by several threads at once."""

    @property
    def node(self) -> str:
        """The name of that node."""

    def ask(self, keeper: str, request: NodeRequest) -> NodeAnswer:
        """Send one request to a keeper's process, and wait for its answer. Raises NodeError if this node cannot."""


def converse(messenger: Messenger, keeper: str, steps: Exchange) -> Any:
    """Carry an exchange to its end, and return its result; raises what it raises."""
    answer: NodeAnswer | None = None
    try:
        while True:
            request = next(steps) if answer is None else steps.send(answer)
            answer = messenger.ask(keeper, request)
    except StopIteration as end:
        return end.value


class NodeRemote:
    """What one node keeps for another."""

    def __init__(self, keeper: str, owner: str, messenger: Messenger, key: bytes | None = None) -> None:
        """`owner` is the node whose backup it is: the messenger's, or one of whose phrase this is the `key`
        (`keys.phrase_key`), which lets the messenger's node read.
        """
        self._keeper = keeper
        self._owner = owner
        self._messenger = messenger
        self._key = key

    def __str__(self) -> str:
        return SCHEME + self._keeper

    def introduce(self, access: bytes) -> None:
        """Leave the public key of the phrase there, for a restore on a machine that has nothing else."""
        self._converse(introduce(self._keeper, self._owner, access))

    def enter(self) -> None:
        """Prove to know the phrase; raises WrongPhrase and RemoteFailed."""
        assert self._key is not None
        self._converse(enter(self._keeper, self._messenger.node, self._owner, self._key))

    def put(self, name: str, data: bytes) -> None:
        """Have an object stored; it is durable when this returns."""
        self._do(PutObject(name, data))

    def get(self, name: str, start: int, length: int) -> bytes:
        """Read a part of an object."""
        data: bytes = self._do(GetObject(name, start, length))
        return data

    def list(self, prefix: str) -> list[Listed]:
        """Return the objects below a prefix."""
        found: list[Listed] = self._do(ListObjects(prefix))
        return found

    def delete(self, name: str) -> None:
        """Remove an object."""
        self._do(DeleteObject(name))

    def _do(self, operation: RemoteOperation) -> Any:
        if self._key is None:
            return self._converse(exchange(self._keeper, self._owner, operation))
        visitor = self._messenger.node
        return self._converse(exchange_as_visitor(self._keeper, visitor, self._owner, self._key, operation))

    def _converse(self, steps: Exchange) -> Any:
        return converse(self._messenger, self._keeper, steps)
