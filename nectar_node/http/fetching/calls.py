"""One call of a process to a server, while it waits or is under way."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from kernel.contract.address import PackageId
from kernel.contract.message import Envelope
from nectar_node.contract.http_client import MessageType
from nectar_node.http.fetching.hops import Hop


class IncomingMessage(NamedTuple):
    """What a server has sent on a WebSocket, for its process; of no kind: it has closed it."""

    kind: MessageType | None
    data: bytes


class PendingCall:
    """A call of a process: a request with its redirects, or a WebSocket."""

    def __init__(self, id: int, request: Envelope, hop: Hop, channel: int | None) -> None:
        self.id = id
        self.request: Envelope | None = request
        """The request that is to be answered; None: it has been."""
        self.process = request.source.process
        self.server = request.target.process
        """The name under which the process knows this one."""
        self.hop = hop
        self.hops = 0
        self.channel = channel
        self.url = ""
        """The text that the process has sent."""
        self.began = False
        self.tells = False
        """Whether its requester is told when its time is over: the kernel does that for those whom it knows."""
        self.size = 0
        """Bytes that are counted for it."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        """Of an answer, or of a message of a WebSocket, as far as it is there."""
        self.is_open = False
        self.is_broken = False
        """Whether the server has closed it, which its process is still to be told."""
        self.pushes: deque[tuple[Envelope, int]] = deque()
        """Pushes that have not left, with their bytes."""
        self.incoming: deque[IncomingMessage] = deque()
        self.held = False

    @property
    def token(self) -> tuple[int, int]:
        """The token of the connection; what still comes of the one before a redirect has another."""
        return self.id, self.hops

    @property
    def package(self) -> PackageId:
        """Whose call it is."""
        return self.process.package_id

    @property
    def is_socket(self) -> bool:
        """Whether it is a WebSocket."""
        return self.channel is not None
