"""The registrar's answers to frames. A grant is answered when the node says that its record is on the disk.

This module knows which requests wait for that. It knows connections by their numbers alone; `handlers` sends the
answers that are there at once, `network` those that had to wait.
"""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from net.base.errors import NoRoom, RecordNotKept, RegistrationRefused
from net.base.frames import Control, Found, Granted, Lookup, Refused, Register
from net.base.limits import MAX_WAITING_GRANTS
from net.contract.events import NetEvent, RecordStored
from net.names.directory import HeldRecord
from net.names.registrar import Registrar
from net.session.session import Connection


class DeferredReply(NamedTuple):
    """An answer that had to wait for the disk."""

    connection: int
    """The number of the connection that asked."""
    frame: Control
    """The answer to send."""


class Service:
    """Answers lookups and registrations, as the registrar."""

    def __init__(self, registrar: Registrar, emit: Callable[[NetEvent], None]) -> None:
        self._registrar = registrar
        self._emit = emit
        self._waiting: dict[HeldRecord, list[tuple[int, int]]] = {}
        """Connection and request id of all that wait for a record, by that record."""
        self._waits: Counter[int] = Counter()
        """How many requests of each connection wait."""

    def answer(self, request: Lookup | Register, connection: Connection, name: str, at: float) -> Control | None:
        """Return the answer to the node `name` at the Unix time `at`, or None if `kept` brings it later.
        Raises NoRoom.
        """
        if isinstance(request, Lookup):
            own = request.name == name
            return Found(request.request, self._registrar.held(name) if own else self._registrar.signed(request.name))
        if self._waits[connection.number] >= MAX_WAITING_GRANTS:
            raise NoRoom("too many registrations at once")
        try:
            proves = connection.handshake.proves
            granted = self._registrar.register_untrusted(
                request.record, name, proves, at, connection.host, request.invitation
            )
        except RegistrationRefused as refusal:
            return Refused(request.request, refusal.code)
        if self._registrar.signed(name) == granted.encoded:
            return Granted(request.request, granted.encoded)
        self._wait(granted, connection.number, request.request)
        return None

    def _wait(self, granted: HeldRecord, connection: int, request: int) -> None:
        if granted not in self._waiting:
            self._emit(
                RecordStored(granted, self._registrar.use_of(granted))
            )  # first: what nobody stores nobody settles
            self._waiting[granted] = []
        self._waiting[granted].append((connection, request))
        self._waits[connection] += 1

    def mend(self, now: float) -> None:
        """Repair the counts (see `containment`)."""
        self._waits = Counter(connection for waiting in self._waiting.values() for connection, _ in waiting)

    def kept(self, record: HeldRecord, *, kept: bool) -> list[DeferredReply]:
        """Return the answers to all that wait for a record that the disk has stored, or (not `kept`) has not."""
        self._registrar.settle(record, kept=kept)
        replies = []
        for connection, request in self._waiting.pop(record, ()):
            self._waits -= Counter((connection,))
            frame = Granted(request, record.encoded) if kept else Refused(request, RecordNotKept.code)
            replies.append(DeferredReply(connection, frame))
        return replies
