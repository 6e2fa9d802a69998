"""Reports how a peer is reached, step by step: what `nectar net diagnose` shows.

A probe sends no message. The sessions seek a connection as for a message, or ping on the one that is there, and each
step is told until a pong has come, the search is given up, or the probe's time is over. Nothing here acts on a
connection: `sessions` and others report steps, and this module turns them into events. Tests:
tests/net/peering/test_probes.py.
"""

from collections.abc import Callable

from net.base.frames import VERSION
from net.base.limits import MAX_PROBES, PING_SECONDS, PROBE_SECONDS
from net.contract.events import (
    AttemptFailed,
    AttemptStage,
    Dialed,
    DialStatus,
    FailureReason,
    NameFound,
    NameMissing,
    NetEvent,
    Pinged,
    Pinging,
    Probed,
    ProbeEnded,
    ProbeOutcome,
    ProbeStep,
    Proven,
)
from net.names.directory import NameRecord
from net.session.channel import Stage
from net.session.reach import Answer
from net.session.session import Connection

_STAGES = {
    Stage.DIALING: AttemptStage.DIAL,
    Stage.HANDSHAKE: AttemptStage.HANDSHAKE,
    Stage.VERIFYING: AttemptStage.HANDSHAKE,
    Stage.LEG: AttemptStage.ROUTER,
    Stage.WAITING: AttemptStage.ADMISSION,
    Stage.LIVE: AttemptStage.SESSION,
    Stage.SPLICED: AttemptStage.ROUTER,
}


class _Probe:
    """One watcher of one name."""

    __slots__ = ("deadline", "name", "ping_until")

    def __init__(self, name: str, deadline: float) -> None:
        self.name = name
        self.deadline = deadline
        """When the whole probe ends."""
        self.ping_until: float | None = None
        """When a pong has to have come; None: no ping is out."""

    @property
    def due(self) -> float:
        return self.deadline if self.ping_until is None else min(self.deadline, self.ping_until)


class Probes:
    """The probes of a network. Usually there are none, and none cost anything."""

    def __init__(self, emit: Callable[[NetEvent], None]) -> None:
        self._emit = emit
        self._probes: dict[object, _Probe] = {}
        """The probes, by token."""

    # --- watchers ---

    def begin(self, name: str, token: object, now: float) -> bool:
        """Watch `name` from now on; return False if there are too many watchers, after telling this one so."""
        if len(self._probes) >= MAX_PROBES:
            self._emit(Probed(token, ProbeEnded(ProbeOutcome.BUSY, None)))
            return False
        self._probes[token] = _Probe(name, now + PROBE_SECONDS)
        return True

    def stop(self, token: object) -> None:
        """Remove a watcher; it is told nothing more."""
        self._probes.pop(token, None)

    def next_deadline(self) -> float | None:
        """Return when to call `on_timer`."""
        return min(probe.due for probe in self._probes.values()) if self._probes else None

    def on_timer(self, now: float) -> None:
        """End the probes whose time is over."""
        late = [token for token, probe in self._probes.items() if probe.due <= now]
        for token in late:
            self.end(token, ProbeOutcome.TIMEOUT, None)

    def tell(self, token: object, step: ProbeStep) -> None:
        """Tell one watcher the state of things as it begins to watch."""
        self._emit(Probed(token, step))

    def end(self, token: object, outcome: ProbeOutcome, reason: FailureReason | None) -> None:
        """Tell one watcher the outcome, and remove it."""
        del self._probes[token]
        self._emit(Probed(token, ProbeEnded(outcome, reason)))

    # --- what is reported ---

    def watched(self, name: str) -> bool:
        """Return whether there is a watcher of that name."""
        return any(probe.name == name for probe in self._probes.values())

    def looked_up(self, name: str, record: NameRecord | None, answer: Answer) -> None:
        """Report that the registrar was asked for `name`; `record` is what is known by now."""
        if answer is Answer.KNOWN and record is not None:
            self._tell(name, NameFound(record, fresh=True))
        else:
            unknown = answer is Answer.UNKNOWN
            self._tell(name, NameMissing(FailureReason.NO_SUCH_NAME if unknown else FailureReason.NO_REGISTRAR))

    def dialing(self, connection: Connection) -> None:
        """Report that a connection to the peer is being opened."""
        if connection.owner is not None:
            self._tell(connection.owner, DialStatus(connection.host, connection.port, connection.router))

    def dialed(self, connection: Connection) -> None:
        """Report that the connection is open and the handshake begins."""
        if connection.owner is not None:
            self._tell(connection.owner, Dialed(connection.host, connection.port, connection.router))

    def proven(self, connection: Connection, record: NameRecord | None) -> None:
        """Report that the peer at the other end has proven that it is the node of that record."""
        if record is not None:
            dialed = connection.dialed is not None
            self._tell(record.name, Proven(VERSION, record.public_key, connection.host, dialed))

    def failed(self, name: str, connection: Connection, reason: FailureReason, text: str) -> None:
        """Report that a connection with the peer has ended, or did not come about."""
        stage, router = _STAGES[connection.stage], connection.router
        if router is not None and connection.via is None and stage is not AttemptStage.DIAL:
            stage = AttemptStage.ROUTER
        self._tell(name, AttemptFailed(connection.host, connection.port, router, stage, reason, text))
        if stage is AttemptStage.SESSION:
            for probe in self._probes.values():
                if probe.name == name:
                    probe.ping_until = None

    def pinging(self, name: str, host: str, now: float) -> None:
        """Report that a ping was sent on the session with the peer."""
        for probe in self._probes.values():
            if probe.name == name and probe.ping_until is None:
                probe.ping_until = now + PING_SECONDS
        self._tell(name, Pinging(host))

    def ponged(self, name: str, seconds: float) -> None:
        """Report the pong, which ends the probe with success."""
        self._tell(name, Pinged(seconds))
        self._end_all(name, ProbeOutcome.REACHED, None)

    def gave_up(self, name: str, reason: FailureReason) -> None:
        """Report that the peer cannot be reached."""
        self._end_all(name, ProbeOutcome.OFFLINE, reason)

    # --- helpers ---

    def _tell(self, name: str, step: ProbeStep) -> None:
        for token, probe in self._probes.items():
            if probe.name == name:
                self._emit(Probed(token, step))

    def _end_all(self, name: str, outcome: ProbeOutcome, reason: FailureReason | None) -> None:
        for token in [token for token, probe in self._probes.items() if probe.name == name]:
            self.end(token, outcome, reason)

    def __repr__(self) -> str:
        return f"Probes({sorted(probe.name for probe in self._probes.values())})"
