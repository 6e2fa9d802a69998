"""What carries a connection's bytes, in three protocols: `tcp` implements them, and a test may put something in its
place.

A transport's methods are trio's: the caller can cancel them, and each is a checkpoint. A stream serves one sending and
one receiving task at a time.
"""

from typing import Protocol

from net.contract.events import Buffer


class Stream(Protocol):
    """An open connection: bytes in order, both ways."""

    @property
    def host(self) -> str:
        """The address of the other side, for caps and logs."""

    def send_now(self, data: Buffer) -> int:
        """Write as much of `data` as goes without waiting; return the number of bytes. Raises StreamBroken."""

    async def send_all(self, data: Buffer) -> None:
        """Write all of `data`. Raises StreamBroken if that cannot be done."""

    def limit_unsent(self, most: int) -> None:
        """Have the system take about `most` bytes at most that it cannot send yet, if it can do so."""

    def limit_unread(self, limited: bool) -> None:
        """Have the system hold little that has come and is not read, if it can do so and the link does not need more;
        or, not `limited`, as much as it finds right."""

    async def receive_some(self, max_bytes: int | None = None) -> Buffer:
        """Return some bytes, or none at the end of the stream; valid until the caller next waits for anything. Raises
        StreamBroken."""

    async def readable(self) -> None:
        """Wait until `receive_some` need not wait. Raises StreamBroken."""

    def receive_now(self, max_bytes: int | None = None) -> Buffer:
        """Return bytes that are there already, valid until the next call. None if there are none, or no more:
        `receive_some` tells which, and what is wrong with the stream."""

    async def aclose(self) -> None:
        """Close the stream, even while tasks use it; they get StreamBroken."""


class Listener(Protocol):
    """Accepts connections at one address."""

    @property
    def port(self) -> int:
        """The port that is listened on."""

    async def accept(self) -> Stream:
        """Return the next connection. Raises StreamBroken once the listener is closed."""

    async def aclose(self) -> None:
        """Stop listening."""


class Transport(Protocol):
    """Where connections come from."""

    async def connect(self, host: str, port: int) -> Stream:
        """Dial an address. Raises DialFailed."""

    async def listen(self, host: str, port: int) -> Listener:
        """Listen at an address; port 0 takes a free one. Raises ListenFailed."""
