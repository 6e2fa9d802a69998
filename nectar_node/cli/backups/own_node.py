"""Sends requests to the nodes that keep backups, through a node of this machine that runs."""

from __future__ import annotations

import base64
import binascii
import threading
import time

from kernel.contract.message import Reason
from nectar_node.backup.format.errors import RemoteFailed
from nectar_node.backup.stores.node_messages import KEEPER_PROCESS, TIMEOUT_SECONDS, NodeAnswer, NodeRequest
from nectar_node.base.errors import NotRunning
from nectar_node.console.advice import advice
from nectar_node.launcher.client import Answer, ControlClient
from nectar_node.launcher.local_network import LocalNetwork

RESTARTED = frozenset((Reason.PEER_RESTARTED.value, Reason.CONNECTION_LOST.value))
"""Reasons after which the same request can be sent again."""
_SLACK = 30.0
"""Seconds beyond a request's own time in which the node must say what became of it."""


class OwnNode:
    """A node of this machine, over its control socket; several threads may ask at once, each on its connection."""

    def __init__(self, network: LocalNetwork, node: str) -> None:
        self._network = network
        self._node = node
        self._idle: list[ControlClient] = []
        self._lock = threading.Lock()

    @property
    def node(self) -> str:
        """Its name."""
        return self._node

    def ask(self, keeper: str, request: NodeRequest) -> NodeAnswer:
        """Send one request in the name of the node's user, and wait for the answer; raises RemoteFailed."""
        time.sleep(request.after)
        client = self._take(keeper)
        answer = client.request(
            "message",
            patience=TIMEOUT_SECONDS + _SLACK,
            target=f"{keeper}@{KEEPER_PROCESS}",
            body=request.body.decode(),
            timeout=TIMEOUT_SECONDS,
            blob=None if request.blob is None else base64.b64encode(request.blob).decode(),
            mime=None,
        )
        with self._lock:
            self._idle.append(client)
        return self._read_untrusted(keeper, answer)

    def close(self) -> None:
        """Close all connections that are not in use."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def _take(self, keeper: str) -> ControlClient:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        try:
            return self._network.connect(self._node)
        except NotRunning as error:
            start = self._network.boot(self._node, "--detach")
            raise RemoteFailed(
                f"{keeper} is reached through {self._node}, which is not running: start it with `{start}`."
            ) from error

    def _read_untrusted(self, keeper: str, answer: Answer) -> NodeAnswer:
        match answer:
            case {"outcome": "response", "body": str(body), "blob": None | str() as blob}:
                try:
                    return NodeAnswer(body.encode(), None if blob is None else base64.b64decode(blob, validate=True))
                except (binascii.Error, ValueError) as error:
                    raise RemoteFailed(f"{self._node} gives an answer that is not in base64.") from error
            case {"outcome": "offline" | "timeout" as outcome, "reason": str(reason)}:
                what_to_do = advice(reason, keeper, self._network.command)
                hint = f": {what_to_do}" if what_to_do is not None else ""
                gone = "cannot be reached" if outcome == "offline" else "has not answered in time"
                return NodeAnswer(failure=f"{gone} from {self._node} ({reason}){hint}", restarted=reason in RESTARTED)
        raise RemoteFailed(f"{self._node} gives an answer of a shape that is not known: it may be another version.")
