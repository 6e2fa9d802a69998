"""Threads that look at a running testnet, one for each node and one for the links: who does not answer holds up nobody.

They read control sockets, locks and /proc, and change nothing. Of a testnet on other machines, somebody there does
(`Watched`).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

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


class Glance(NamedTuple):
    """What the machine of a node says of its process."""

    pid: int | None = None
    """None: it does not run."""
    paused: bool = False
    listens: bool = False
    """Whether it has a control socket."""


class Watched(Protocol):
    """A testnet, on this machine or on several. The methods are called by several threads at once."""

    def names(self) -> list[str]:
        """Return its nodes."""

    def folder(self, name: str) -> NodeFolder:
        """Return the folder in which a node's control socket is reached."""

    def glance(self, name: str) -> Glance:
        """Look at a node's process. Raises NodeError: its machine does not answer."""

    def links(self) -> LinksLook:
        """Return the state of the links."""


@dataclass(frozen=True, slots=True)
class WatchedHere:
    """A testnet on this machine."""

    network: LocalNetwork

    def names(self) -> list[str]:
        """Return the nodes in its folder."""
        return self.network.names()

    def folder(self, name: str) -> NodeFolder:
        """Return a node's folder."""
        return self.network.place(name)

    def glance(self, name: str) -> Glance:
        """Look at a node's lock and at /proc."""
        return glance_at(self.network.place(name))

    def links(self) -> LinksLook:
        """Ask the process of the links."""
        return look_at_links(self.network)


def glance_at(folder: NodeFolder) -> Glance:
    """Look at the process of a node on this machine."""
    pid = folder.owner()
    return Glance() if pid is None else Glance(pid, is_paused(pid), folder.control.exists())


class Pollers:
    """The latest results of all polling threads."""

    def __init__(self, watched: Watched, interval: float) -> None:
        """Look every `interval` seconds."""
        self._watched = watched
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
        names = self._watched.names()
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
        eye = NodePoller(name, self._watched.folder(name), lambda: self._watched.glance(name))
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
            look = self._watched.links()
            with self._lock:
                self._links = look
            self._looked.set()
            self._over.wait(self._interval)


class NodePoller:
    """Looks at one node, again and again."""

    def __init__(self, name: str, folder: NodeFolder, glance: Callable[[], Glance] | None = None) -> None:
        """`glance` looks at the node's process, in place of the lock in its folder and /proc."""
        self._name = name
        self._folder = folder
        self._glance = glance or (lambda: glance_at(folder))
        self._client: ControlClient | None = None
        self._letters = 0
        """Number of the next dead letter."""

    def look(self) -> tuple[NodeLook, list[Letter]]:
        """Return the node's state, and its dead letters since the last call."""
        try:
            seen = self._glance()
        except NodeError:
            return self._see(NodeState.SILENT, None), []
        if seen.pid is None:
            return self._see(NodeState.DOWN, None), []
        if seen.paused:
            return self._see(NodeState.PAUSED, seen.pid), []
        try:
            return self._ask()
        except (NodeError, OSError):
            return self._see(self._why_silent(), seen.pid), []

    def shut(self) -> None:
        """Hang up."""
        if self._client is not None:
            self._client.close()
        self._client = None

    def _see(self, state: NodeState, pid: int | None) -> NodeLook:
        if state is not NodeState.PAUSED:
            self.shut()
        return NodeLook(time.monotonic(), self._name, state, pid)

    def _why_silent(self) -> NodeState:
        try:
            seen = self._glance()
        except NodeError:
            return NodeState.SILENT
        if seen.pid is None:
            return NodeState.DOWN
        if seen.paused:
            self.shut()  # the answer is still to come
            return NodeState.PAUSED
        return NodeState.SILENT if seen.listens else NodeState.STARTING

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
