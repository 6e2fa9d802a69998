"""A remote in memory, which can be down, full, or lose its connection at any operation: for tests and simulations."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from nectar_node.backup.format.errors import ObjectExists, ObjectMissing, RemoteFailed
from nectar_node.backup.operations import Listed


@dataclass(slots=True)
class MemoryRemote:
    """Objects in a dict. Whoever holds it can alter, remove or exchange them, as a hostile remote would."""

    objects: dict[str, bytes] = field(default_factory=dict)
    down: bool = False
    """Whether it cannot be reached."""
    room: int | None = None
    """Bytes that it still takes; None: any number."""
    operations_left: int | None = None
    """How many operations it still carries out before it cannot be reached; None: any number."""
    appends_only: bool = False
    """Whether it refuses to delete."""
    operations: int = 0
    """How many it has carried out."""
    loses_answers: bool = False
    """Whether the last operation that it carries out is one of which the answer is lost."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, name: str, data: bytes) -> None:
        """Store an object, if there is none of that name and room for it."""
        with self._lock:
            last = self._reached()
            if name in self.objects:
                raise ObjectExists(name)
            if self.room is not None:
                if len(data) > self.room:
                    raise RemoteFailed("The remote in memory is full.")
                self.room -= len(data)
            self.objects[name] = bytes(data)
            self._answer(last)

    def get(self, name: str, start: int, length: int) -> bytes:
        """Return a part of an object."""
        with self._lock:
            self._reached()
            if name not in self.objects:
                raise ObjectMissing(name)
            return self.objects[name][start : start + length]

    def list(self, prefix: str) -> list[Listed]:
        """Return the objects whose names begin so."""
        with self._lock:
            self._reached()
            return [Listed(name, len(data)) for name, data in self.objects.items() if name.startswith(prefix)]

    def delete(self, name: str) -> None:
        """Remove an object."""
        with self._lock:
            last = self._reached()
            if self.appends_only:
                raise RemoteFailed("The remote in memory lets nobody delete.")
            self.objects.pop(name, None)
            self._answer(last)

    def _reached(self) -> bool:
        """Count an operation, and return whether it is the last one."""
        if self.down or self.operations_left == 0:
            raise RemoteFailed("The remote in memory cannot be reached.")
        self.operations += 1
        if self.operations_left is not None:
            self.operations_left -= 1
        return self.operations_left == 0

    def _answer(self, last: bool) -> None:
        if last and self.loses_answers:
            raise RemoteFailed("The remote in memory cannot be reached any more.")
