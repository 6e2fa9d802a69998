"""What a node asks its registrar: the records of other nodes, and the grant of its own. It knows no connection.

`sessions` carries the frames to the registrar, `handlers` those that come back. A request is repeated on each new
connection until it is answered, its time is up, or the registrar cannot be reached. Tests:
tests/net/peering/test_resolver.py.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from net.base.errors import (
    RETRY_CODE,
    BadSignature,
    ForeignKey,
    InvitationNeeded,
    InvitationRefused,
    InvitationUsed,
    KeyHasNames,
    NameTaken,
    RecordExpired,
    RecordFromTheFuture,
    RecordNotKept,
    RecordTooLong,
    RegistrarFull,
    StaleSequence,
)
from net.base.frames import Control, Found, Granted, Lookup, Refused, Register
from net.base.limits import (
    CLOCK_SKEW_SECONDS,
    FIRST_RECORD_SECONDS,
    LOOKUP_SECONDS,
    MAX_LOOKUPS,
    MAX_RETRY_SECONDS,
    PROVEN_SECONDS,
    RECORD_SECONDS,
    REGISTRATION_RETRY_SECONDS,
    RENEWAL_SLACK_SECONDS,
)
from net.base.timers import Timers
from net.base.wall_clock import WallClock
from net.contract.events import FailureReason, Log, NetEvent, RecordStored, Registered, RegistrationFailed
from net.names.directory import Directory, Endpoint, NameRecord, read_record_untrusted, sign_record
from net.names.identity import Identity
from net.session.reach import Answer

_ASKED_AGAIN = (StaleSequence.code, RecordTooLong.code)
"""Refusals after which this node asks for a different record."""
_MAX_STALE = 3
"""How often a registration that lost a race against another one of this node is tried again."""
_REGISTRATION = ""
"""The timer's key of the registration; every other key is a name."""
REASONS = {
    NameTaken.code: FailureReason.NAME_TAKEN,
    StaleSequence.code: FailureReason.STALE_SEQUENCE,
    RegistrarFull.code: FailureReason.REGISTRAR_FULL,
    BadSignature.code: FailureReason.BAD_SIGNATURE,
    ForeignKey.code: FailureReason.FOREIGN_KEY,
    RecordExpired.code: FailureReason.RECORD_EXPIRED,
    RecordFromTheFuture.code: FailureReason.RECORD_FROM_THE_FUTURE,
    RecordNotKept.code: FailureReason.RECORD_NOT_KEPT,
    KeyHasNames.code: FailureReason.KEY_HAS_NAMES,
    InvitationNeeded.code: FailureReason.INVITATION_NEEDED,
    InvitationRefused.code: FailureReason.INVITATION_REFUSED,
    InvitationUsed.code: FailureReason.INVITATION_USED,
}
"""What the registrar's refusals mean to this node; the others are RECORD_REFUSED."""


class Resolver:
    """The lookups and the registration of one node, as requests to its registrar."""

    def __init__(
        self,
        identity: Identity,
        directory: Directory,
        emit: Callable[[NetEvent], None],
        *,
        previous: Identity | None = None,
        wall_clock: WallClock | None = None,
        record_seconds: int = RECORD_SECONDS,
        invitation: bytes | None = None,
        timers: Timers[Any] | None = None,
    ) -> None:
        """`previous` is the identity with the key that the name had before, if this boot changes it. `record_seconds`
        is the lifetime of this node's record, once the registrar grants more than that of a first one. `invitation` is
        what to show to the registrar (`net.names.invitation`). `timers` gets the earliest deadline."""
        self._identity = identity
        self._directory = directory
        self._emit = emit
        self._previous = previous
        self._wall_clock = wall_clock or WallClock(0.0)
        self._record_seconds = record_seconds
        self._invitation = invitation
        self._newest: NameRecord | None = None
        """This node's record with the highest number that the registrar has shown; it may have expired."""
        self._is_new = False
        """Whether the registrar has said that the name is too new for a record that lasts long."""
        self._signed: tuple[NameRecord, bytes] | None = None
        """The latest record that this node has signed: it asks for the same one again until it is granted or overtaken.
        """
        self._requests: dict[int, Lookup | Register] = {}
        self._by_name: dict[str, int] = {}
        self._next_request = 1
        self._outgoing: deque[Control] = deque()
        self._answers: deque[tuple[str, Answer]] = deque()
        self.timers: Timers[str] = Timers(timers)
        self.wanted: tuple[tuple[Endpoint, ...], tuple[str, ...]] | None = None
        """The endpoints and routers of this node that the registrar is to know."""
        self._registering: int | None = None
        self._stale = 0
        self.own_record: bytes | None = directory.signed(identity.name)
        """This node's record to show in handshakes: granted if possible, otherwise signed by itself alone."""

    # --- what is asked for ---

    def look_up(self, name: str, now: float) -> None:
        """Ask for `name` unless that is under way; `next_answer` returns the outcome."""
        if name in self._by_name:
            return
        if self._directory.genesis is None or len(self._by_name) >= MAX_LOOKUPS:
            self._answers.append((name, Answer.UNAVAILABLE))
            return
        self._by_name[name] = self._ask(Lookup(self._next_request, name))
        self.timers.set(name, now + LOOKUP_SECONDS)

    def register(self, endpoints: tuple[Endpoint, ...], routers: tuple[str, ...], now: float) -> None:
        """Have the registrar hold a record of this node with these endpoints and routers, from now on: the record is
        renewed at half its lifetime."""
        if self._directory.genesis is None:
            return
        self.wanted = endpoints, routers
        self._stale = 0
        held = self._directory.find(self._identity.name)
        if held is None or not self._is_wanted(held, now):
            self.own_record = self._sign(held, now)
        self.look_up(self._identity.name, now)

    def renew(self, now: float) -> None:
        """Check, after the wall clock was set, whether the record that this node has registered is still the
        right one.
        """
        if self.wanted is not None and self._registering is None:
            self.register(*self.wanted, now)

    def next_frame(self) -> Control | None:
        """Return a frame for the registrar, or None."""
        return self._outgoing.popleft() if self._outgoing else None

    def next_answer(self) -> tuple[str, Answer] | None:
        """Return a name whose lookup has ended, with the outcome, or None."""
        return self._answers.popleft() if self._answers else None

    def on_timer(self, now: float) -> None:
        """Give up what the registrar does not answer; retry the registration."""
        while (key := self.timers.pop_due(now)) is not None:
            if key != _REGISTRATION:
                self._finish(key, Answer.UNAVAILABLE)
            elif self._registering is not None:
                self._drop_registration()
                self._registration_unavailable(now)
            elif self.wanted is not None:
                self.register(*self.wanted, now)

    # --- the session with the registrar ---

    @property
    def busy(self) -> bool:
        """Return whether a request waits for its answer."""
        return bool(self._requests)

    @property
    def has_frames(self) -> bool:
        """Return whether `next_frame` would return a frame."""
        return bool(self._outgoing)

    def connected(self) -> None:
        """Ask again for what is unanswered, on a new connection to the registrar."""
        self._outgoing = deque(self._requests.values())

    def unreachable(self, now: float) -> None:
        """Fail what is under way, since the registrar cannot be reached."""
        self._outgoing.clear()
        registering = self._registering is not None
        for name in list(self._by_name):
            self._finish(name, Answer.UNAVAILABLE)
        if registering:
            self._drop_registration()
            self._registration_unavailable(now)

    def asks(self, name: str) -> bool:
        """Return whether a lookup of `name` is under way, or its answer not fetched yet."""
        return name in self._by_name or any(name == answered for answered, _ in self._answers)

    def mend(self, now: float) -> None:
        """Repair the requests (see `containment`): what is under way has a request and a deadline, and is
        asked again.
        """
        for name in [name for name, request in self._by_name.items() if request not in self._requests]:
            del self._by_name[name]
            self._answers.append((name, Answer.UNAVAILABLE))
        known = {*self._by_name.values(), self._registering}
        self._requests = {number: request for number, request in self._requests.items() if number in known}
        if self._registering not in self._requests:
            self._registering = None
        for name in self._by_name:
            if name not in self.timers:
                self.timers.set(name, now + LOOKUP_SECONDS)
        asked = self.wanted is not None and self._directory.genesis is not None
        registers = asked and not self.asks(self._identity.name)
        if registers and _REGISTRATION not in self.timers:
            self.timers.set(_REGISTRATION, now + REGISTRATION_RETRY_SECONDS)
        self.connected()

    def receive_untrusted(self, frame: Found | Granted | Refused, now: float) -> None:
        """Handle an answer of the registrar; one that answers nothing is ignored, since it may have been repeated.

        Raises BadNameRecord if it brings a record that the registrar has not granted, or another one than asked for.
        """
        request = self._requests.get(frame.request)
        if isinstance(frame, Found) and isinstance(request, Lookup):
            if frame.record is None:
                self._finish(request.name, Answer.UNKNOWN)
                return
            self._learn(frame.record, request.name, now)
            known = self._directory.signed(request.name) is not None
            self._finish(request.name, Answer.KNOWN if known else Answer.UNKNOWN)
        elif isinstance(request, Register) and not isinstance(frame, Found):
            if isinstance(frame, Granted):
                self._learn(frame.record, self._identity.name, now)
            self._drop_registration()
            self._registration_answered(frame, now)

    def answer_registration(self, answer: Answer, now: float) -> None:
        """Go on with the second step of a registration: the lookup of this node's own name has ended."""
        if self.wanted is None or self._registering is not None:
            return
        held = self._directory.find(self._identity.name)
        if answer is Answer.UNAVAILABLE:
            self._registration_unavailable(now)
        elif answer is Answer.KNOWN and held is not None and self._is_wanted(held, now):
            self._registered(held)
        else:
            self.own_record = self._sign(held, now)
            self._registering = self._ask(Register(self._next_request, self.own_record, self._invitation))
            self.timers.set(_REGISTRATION, now + LOOKUP_SECONDS)

    # --- helpers ---

    def _ask(self, request: Lookup | Register) -> int:
        self._next_request += 1
        self._requests[request.request] = request
        self._outgoing.append(request)
        return request.request

    def _finish(self, name: str, answer: Answer) -> None:
        request = self._by_name.pop(name, None)
        if request is not None:
            del self._requests[request]
            self.timers.set(name, None)
            self._answers.append((name, answer))

    def _drop_registration(self) -> None:
        if self._registering is not None:
            del self._requests[self._registering]
            self._registering = None
            self.timers.set(_REGISTRATION, None)

    def _learn(self, data: bytes, name: str, now: float) -> None:
        learned = self._directory.learn_untrusted(data, self._wall_clock.unix(now), name)
        if learned is not None:
            self._emit(RecordStored(learned))
        if name == self._identity.name:
            shown = read_record_untrusted(data).record
            if self._newest is None or shown.sequence > self._newest.sequence:
                self._newest = shown

    def _registration_answered(self, frame: Granted | Refused, now: float) -> None:
        held = self._directory.find(self._identity.name)
        if isinstance(frame, Granted) and held is not None and self._is_wanted(held, now):
            self._registered(held)
        elif (isinstance(frame, Granted) or frame.code in _ASKED_AGAIN) and self._stale < _MAX_STALE:
            # Another registration of this node came in between, of an earlier boot or of an endpoint that has changed;
            # or the registrar's clock is behind; or another node has had the name before, and it is new all the same.
            self._stale += 1
            self._is_new = isinstance(frame, Refused) and frame.code == RecordTooLong.code
            self.look_up(self._identity.name, now)
        elif isinstance(frame, Refused) and frame.code >= RETRY_CODE:
            self._refused_for_now(min(MAX_RETRY_SECONDS, max(1, frame.code - RETRY_CODE)), now)
        else:
            code = frame.code if isinstance(frame, Refused) else StaleSequence.code
            reason = REASONS.get(code, FailureReason.RECORD_REFUSED)
            self._registration_failed(reason, now, retries=reason is FailureReason.RECORD_NOT_KEPT)

    def _registered(self, held: NameRecord) -> None:
        record = self._directory.signed(self._identity.name)
        assert record is not None
        self.own_record = record
        self._emit(Registered(record))
        self._is_new = False
        self.timers.set(_REGISTRATION, self._wall_clock.when((held.issued_at + held.expires_at) / 2))

    def _registration_unavailable(self, now: float) -> None:
        self._registration_failed(FailureReason.UNREACHABLE, now, retries=True)

    def _refused_for_now(self, seconds: int, now: float) -> None:
        self._emit(RegistrationFailed(FailureReason.TRY_LATER, True, seconds))
        self.timers.set(_REGISTRATION, now + seconds)

    def _registration_failed(self, reason: FailureReason, now: float, *, retries: bool) -> None:
        self._emit(RegistrationFailed(reason, retries))
        if retries:
            self._emit(Log(f"registration: {reason}, next try in {REGISTRATION_RETRY_SECONDS:g} s"))
            self.timers.set(_REGISTRATION, now + REGISTRATION_RETRY_SECONDS)

    def _is_wanted(self, held: NameRecord, now: float) -> bool:
        """Return whether this record of ours is the right one, and need not be renewed yet."""
        left = held.expires_at - self._wall_clock.unix(now)
        if left < (held.expires_at - held.issued_at) / 2 + RENEWAL_SLACK_SECONDS:
            return False
        return held.public_key == self._identity.public_key and (held.endpoints, held.routers) == self.wanted

    def _sign(self, held: NameRecord | None, now: float) -> bytes:
        """Return a signed record that may replace `held` and all that the registrar has shown."""
        assert self.wanted is not None
        known = max(filter(None, (held, self._newest)), key=lambda record: record.sequence, default=None)
        sequence = 1 + (known.sequence if known is not None else 0)
        issued_at = max(0, int(self._wall_clock.unix(now)))
        seconds = self._record_seconds
        if known is None or self._is_new or not (known.established or known.issued_at + PROVEN_SECONDS <= issued_at):
            seconds = min(seconds, FIRST_RECORD_SECONDS)
        if self._signed is not None:
            signed, encoded = self._signed
            fits = signed.sequence >= sequence and signed.expires_at - signed.issued_at <= seconds
            fits = fits and issued_at - signed.issued_at < CLOCK_SKEW_SECONDS / 2  # an older one is not for a new name
            if fits and self._is_wanted(signed, now):
                return encoded
        name, key = self._identity.name, self._identity.public_key
        record = NameRecord(name, key, *self.wanted, sequence, issued_at, issued_at + seconds)
        self._signed = (record, sign_record(record, self._identity, self._previous).encode())
        return self._signed[1]
