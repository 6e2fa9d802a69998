"""Browsers, as scenarios see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class PageSocket(Protocol):
    """A WebSocket of a page, and its link."""

    most_unread: int
    """The most bytes that have waited at the node for its process."""

    @property
    def received(self) -> Sequence[str | bytes]:
        """What has come, in order."""

    @property
    def closed(self) -> tuple[int, str] | None:
        """Code and reason of its end."""

    @property
    def is_open(self) -> bool:
        """Whether it is."""

    def send(self, message: str | bytes) -> None:
        """Send a message."""

    def close(self) -> None:
        """Say goodbye."""

    def stop_reading(self) -> None:
        """Read nothing until `read_on`."""

    def read_on(self) -> None:
        """Read again."""

    def slow_down(self, latency: float) -> None:
        """Let each direction take so many seconds."""

    def stall(self) -> None:
        """Let nothing through until `go_on`."""

    def go_on(self) -> None:
        """Let through what has waited."""

    def vanish(self) -> None:
        """Be gone in the middle."""


class PageRequest(Protocol):
    """A request of a page."""

    @property
    def statuses(self) -> Sequence[int]:
        """What it was answered: one status, in the end; none where its node has gone."""


class PageUpload(PageRequest, Protocol):
    """A request of a page with a body, and its link."""

    @property
    def answer(self) -> bytes:
        """The body of the answer, which has come."""

    def stall(self) -> None:
        """Let nothing through until `go_on`."""

    def go_on(self) -> None:
        """Let through what has waited."""

    def vanish(self) -> None:
        """Be gone in the middle."""


class Browsers(Protocol):
    """Browsers on the machine of one node."""

    def open(self, path: str, headers: Mapping[str, str] | None = None) -> PageSocket:
        """Ask for a WebSocket, and wait until it is open or refused."""

    def get(self, path: str) -> PageRequest:
        """Ask for a page, and do not wait."""

    def send(self, path: str, body: bytes, latency: float, *, says_length: bool) -> PageUpload:
        """Send a body, each piece of which takes so many seconds, and do not wait."""

    def coming(self) -> int:
        """Return how many bodies the node counts that are to become files."""

    def counted(self) -> int:
        """Return how many WebSockets the node counts."""
