"""Sends requests to the nodes that keep backups, through a node of this machine that runs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nectar_node.backup.format.errors import RemoteFailed
from nectar_node.backup.stores.node_messages import KEEPER_PROCESS, RESTARTED, TIMEOUT_SECONDS, NodeAnswer, NodeRequest
from nectar_node.backup.stores.settings import FOLDER
from nectar_node.base import own_files
from nectar_node.base.errors import NotRunning
from nectar_node.console.advice import advice
from nectar_node.launcher.client import Answer, ControlClient
from nectar_node.launcher.local_network import LocalNetwork

_EXCHANGE = "exchange"
"""The folder, in that of backups, of the files through which blobs go; it is not backed up."""
_SLACK = 30.0
"""Seconds beyond a request's own time in which the node must say what became of it."""


class OwnNode:
    """A node of this machine, over its control socket; several threads may ask at once, each on its connection."""

    def __init__(self, network: LocalNetwork, node: str) -> None:
        self._network = network
        self._node = node
        self._idle: list[ControlClient] = []
        self._lock = threading.Lock()
        self._has_folder = False

    @property
    def node(self) -> str:
        """Its name."""
        return self._node

    def ask(self, keeper: str, request: NodeRequest) -> NodeAnswer:
        """Send one request in the name of the node's user, and wait for the answer; raises RemoteFailed."""
        time.sleep(request.after)
        client = self._take(keeper)
        with self._file(request.blob or b"") as file:
            answer = client.request(
                "message",
                patience=TIMEOUT_SECONDS + _SLACK,
                target=f"{keeper}@{KEEPER_PROCESS}",
                body=request.body.decode(),
                timeout=TIMEOUT_SECONDS,
                blob_file=str(file) if request.blob is not None else "",
                answer_file=str(file) if request.blob is None else "",
            )
            blob = file.read_bytes() if request.blob is None else b""
        with self._lock:
            self._idle.append(client)
        return self._read_untrusted(keeper, answer, blob)

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

    @contextmanager
    def _file(self, data: bytes) -> Iterator[Path]:
        """Give a file with these bytes, through which blobs go between this process and the node."""
        folder = self._network.place(self._node).path.absolute() / FOLDER / _EXCHANGE  # the node is elsewhere
        path = folder / f"{os.getpid()}-{os.urandom(8).hex()}"
        try:
            if not self._has_folder:
                own_files.make_folder(folder)
                _remove_left(folder)
                self._has_folder = True
            with os.fdopen(own_files.open_file(path, os.O_WRONLY | os.O_CREAT), "wb") as file:
                file.write(data)
            yield path
        except OSError as error:
            raise RemoteFailed(f"{folder} cannot be used: {error.strerror}.") from error
        finally:
            with suppress(FileNotFoundError):
                path.unlink()

    def _read_untrusted(self, keeper: str, answer: Answer, blob: bytes) -> NodeAnswer:
        match answer:
            case {"outcome": "response", "body": str(body), "blob": None}:
                return NodeAnswer(body.encode(), blob)
            case {"outcome": "offline" | "timeout" as outcome, "reason": str(reason)}:
                what_to_do = advice(reason, keeper, self._network.command)
                hint = f": {what_to_do}" if what_to_do is not None else ""
                gone = "cannot be reached" if outcome == "offline" else "has not answered in time"
                return NodeAnswer(failure=f"{gone} from {self._node} ({reason}){hint}", restarted=reason in RESTARTED)
        raise RemoteFailed(f"{self._node} gives an answer of a shape that is not known: it may be another version.")


def _remove_left(folder: Path) -> None:
    """Remove files of processes that were killed."""
    for path in folder.iterdir():
        process = path.name.partition("-")[0]
        if process.isdecimal() and not Path(f"/proc/{process}").exists():
            path.unlink(missing_ok=True)
