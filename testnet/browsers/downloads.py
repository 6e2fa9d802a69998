"""Answers that come to a simulated node's browsers in pieces."""

from __future__ import annotations

from collections.abc import Callable

from nectar_node.contract.http import HttpAnswer, HttpBroken, HttpEvent, HttpPiece, HttpStart, HttpTaken


class Downloads:
    """All of one node."""

    def __init__(self, whole: dict[object, HttpAnswer], tell: Callable[[HttpEvent], None]) -> None:
        """`whole` gets what is complete, by the token of the request; `tell` gives the core an event, later."""
        self.broken: set[object] = set()
        """The tokens of those whose connections have ended before."""
        self._whole = whole
        self._tell = tell
        self._under_way: dict[object, tuple[HttpStart, bytearray]] = {}
        self._reads = True
        self._unread: list[object] = []

    def perform(self, action: HttpStart | HttpPiece | HttpBroken) -> None:
        """Let a browser have a piece, or learn that no more comes."""
        token = action.token
        if isinstance(action, HttpBroken):
            del self._under_way[token]
            self.broken.add(token)
            return
        if isinstance(action, HttpStart):
            self._under_way[token] = action, bytearray()
        start, data = self._under_way[token]
        data += action.piece if isinstance(action, HttpStart) else action.data
        assert len(data) <= start.length
        if len(data) == start.length or not data:
            del self._under_way[token]
            self._whole[token] = HttpAnswer(token, start.status, start.headers, bytes(data))
        if data:
            self._unread.append(token)
            self._read()

    def come(self, token: object) -> int:
        """Return how many bytes of an answer that is under way have come."""
        return len(self._under_way[token][1]) if token in self._under_way else 0

    def stop_reading(self) -> None:
        """Let browsers take no more pieces until `read_on`."""
        self._reads = False

    def read_on(self) -> None:
        """Let them take pieces again."""
        self._reads = True
        self._read()

    def _read(self) -> None:
        while self._reads and self._unread:
            self._tell(HttpTaken(self._unread.pop(0)))
