"""A node's folder whose control socket a thread of the test serves: the real protocol, answers as the test wants."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nectar_node.base.folder import NodeFolder
from nectar_node.contract.config import GENESIS_FILE, NODES_FOLDER
from tests.commands import Ended, nectar

Reply = dict[str, Any] | bytes | None
"""A JSON answer, raw bytes instead, or None: the connection is closed."""

Answerer = Callable[[dict[str, Any]], Reply]


@dataclass
class ServedNode:
    """The server's end, as far as a test looks at it."""

    folder: NodeFolder
    answer: Answerer
    requests: list[dict[str, Any]] = field(default_factory=list)
    """What was asked, in order of arrival."""

    def commands(self) -> list[str]:
        """The names of the commands that were asked."""
        return [str(request["command"]) for request in self.requests]

    def handle(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            for line in lines:
                request = json.loads(line)
                self.requests.append(request)
                reply = self.answer(request)
                if reply is None:
                    return
                try:
                    connection.sendall(reply if isinstance(reply, bytes) else json.dumps(reply).encode() + b"\n")
                except BrokenPipeError:
                    return  # the client has given up, which is what some tests are about


def make_network(folder: Path, *names: str) -> Path:
    """A testnet's folder with the folders of `names` in it, none of which runs."""
    (folder / GENESIS_FILE).parent.mkdir(parents=True, exist_ok=True)
    (folder / GENESIS_FILE).write_text("{}")
    for name in names:
        (folder / NODES_FOLDER / name).mkdir(parents=True)
    return folder


@contextmanager
def serve_node(network: Path, name: str, answer: Answerer) -> Iterator[ServedNode]:
    """The node `name`, running in `network` as far as a client can tell."""
    with serve_folder(NodeFolder(network / NODES_FOLDER / name), answer) as node:
        yield node


def served(network: Path, answer: Answerer | list[dict[str, Any]], *words: str | Path) -> tuple[Ended, ServedNode]:
    """What becomes of a command to the node a.nec, which answers so; a list is all lines of its answer."""
    make_network(network)
    lines = b"".join(json.dumps(each).encode() + b"\n" for each in answer) if isinstance(answer, list) else b""
    with serve_node(network, "a.nec", (lambda _: lines) if isinstance(answer, list) else answer) as node:
        return nectar(*words, "--node", "a.nec", folder=network), node


@contextmanager
def serve_folder(folder: NodeFolder, answer: Answerer) -> Iterator[ServedNode]:
    """What runs in that folder, as far as a client can tell."""
    folder.create()
    lock = folder.acquire()
    node = ServedNode(folder, answer)
    directory = os.open(folder.path, os.O_PATH)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"/proc/self/fd/{directory}/control.sock")
    listener.listen()
    threads: list[threading.Thread] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # shut down below
            thread = threading.Thread(target=node.handle, args=(connection,), daemon=True)
            thread.start()
            threads.append(thread)

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield node
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
        listener.close()
        folder.control.unlink()
        os.close(directory)
        os.close(lock)
