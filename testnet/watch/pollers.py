"""Threads that look at a running testnet, one for each node and one for the links: who does not answer holds up nobody.

They read control sockets, locks and /proc, and change nothing.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from nectar_node.base.errors import NodeError
from nectar_node.base.folder import NodeFolder, is_paused
from nectar_node.launcher.client import ControlClient
from nectar_node.launcher.local_network import LocalNetwork
from testnet.real.links.claim import links_folder
from testnet.real.links.client import LinksProcess
from testnet.watch.snapshot import (
    Letter,
    LinksLook,
    NodeLook,
    NodeState,
    Row,
    Snapshot,
    decode_letters_untrusted,
    decode_links_untrusted,
    decode_status_untrusted,
)

PATIENCE = 1.0
"""Seconds in which a process says how it is."""
MAX_LETTERS = 2000
"""Dead letters that are remembered."""


class Pollers:
    """The latest results of all polling threads."""

    def __init__(self, network: LocalNetwork, interval: float) -> None:
        """Look every `interval` seconds."""
        self._network = network
        self._interval = interval
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._nodes: dict[str, NodeLook] = {}
        self._links = LinksLook(0.0, "none")
        self._letters: deque[Letter] = deque(maxlen=MAX_LETTERS)
        self._followed: set[str] = set()
        self._looked = threading.Event()

    def open(self, wait: float = PATIENCE) -> None:
        """Begin, and wait for a first look at everything, at most so many seconds."""
        self._start(self._follow_links)
        self._follow_new()
        deadline = time.monotonic() + wait
        while self._unseen() and (left := deadline - time.monotonic()) > 0:
            self._looked.wait(left)
            self._looked.clear()

    def close(self) -> None:
        """End. Nobody waits for the threads."""
        self._over.set()

    def picture(self) -> Snapshot:
        """Return the present snapshot; new nodes are polled from now on."""
        names = self._follow_new()
        with self._lock:
            nodes = tuple(self._nodes[name] for name in names if name in self._nodes)
            letters = tuple(sorted(self._letters, key=lambda letter: letter.time))
            return Snapshot(time.monotonic(), nodes, self._links, letters)

    def _follow_new(self) -> list[str]:
        names = self._network.names()
        for name in names:
            if name not in self._followed:
                self._followed.add(name)
                self._start(lambda name=name: self._follow(name))  # type: ignore[misc]
        return names

    def _unseen(self) -> bool:
        with self._lock:
            return not self._links.at or len(self._nodes) < len(self._followed)

    def _start(self, what: Callable[[], None]) -> None:
        threading.Thread(target=what, name="watch", daemon=True).start()

    def _follow(self, name: str) -> None:
        eye = NodePoller(name, self._network.place(name))
        while not self._over.is_set():
            look, letters = eye.look()
            with self._lock:
                self._nodes[name] = look
                self._letters.extend(letters)
            self._looked.set()
            self._over.wait(self._interval)
        eye.shut()

    def _follow_links(self) -> None:
        while not self._over.is_set():
            look = look_at_links(self._network)
            with self._lock:
                self._links = look
            self._looked.set()
            self._over.wait(self._interval)


class NodePoller:
    """Looks at one node, again and again."""

    def __init__(self, name: str, folder: NodeFolder) -> None:
        self._name = name
        self._folder = folder
        self._client: ControlClient | None = None
        self._letters = 0
        """Number of the next dead letter."""

    def look(self) -> tuple[NodeLook, list[Letter]]:
        """Return the node's state, and its dead letters since the last call."""
        pid = self._folder.owner()
        if pid is None:
            return self._see(NodeState.DOWN, None), []
        if is_paused(pid):
            return self._see(NodeState.PAUSED, pid), []
        try:
            return self._ask()
        except (NodeError, OSError):
            return self._see(self._why_silent(pid), pid), []

    def shut(self) -> None:
        """Hang up."""
        if self._client is not None:
            self._client.close()
        self._client = None

    def _see(self, state: NodeState, pid: int | None) -> NodeLook:
        if state is not NodeState.PAUSED:
            self.shut()
        return NodeLook(time.monotonic(), self._name, state, pid)

    def _why_silent(self, pid: int) -> NodeState:
        if is_paused(pid):
            self.shut()  # the answer is still to come
            return NodeState.PAUSED
        if self._folder.owner() is None:
            return NodeState.DOWN
        return NodeState.SILENT if self._folder.control.exists() else NodeState.STARTING

    def _ask(self) -> tuple[NodeLook, list[Letter]]:
        if self._client is None:
            self._client = ControlClient.connect(self._name, self._folder)
            self._letters = 0
        status = self._client.request("status", patience=PATIENCE)
        look = decode_status_untrusted(time.monotonic(), self._name, status)
        errors = self._client.request("errors", patience=PATIENCE, after=self._letters)
        next = errors.get("next")
        fresh = decode_letters_untrusted(self._name, errors)
        self._letters = next if isinstance(next, int) else self._letters + len(fresh)
        return look, fresh


def look_at_links(network: LocalNetwork) -> LinksLook:
    """Return the state of the links."""
    links = LinksProcess(network)
    pid = links.pid
    if pid is None:
        return LinksLook(time.monotonic(), "ended" if links.left() else "none")
    try:
        with ControlClient.connect("the links", links_folder(network.folder)) as client:
            faults: Row = client.request("faults", patience=PATIENCE)
            statistics: Row = client.request("statistics", patience=PATIENCE)
    except (NodeError, OSError):
        return LinksLook(time.monotonic(), "silent", pid)
    return decode_links_untrusted(time.monotonic(), pid, faults, statistics)
