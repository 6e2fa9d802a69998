"""What a node asks its registrar: the records of other nodes, and the grant of its own. It knows no connection.

`sessions` carries the frames to the registrar, `handlers` those that come back. A request is repeated on each new
connection until it is answered, its time is up, or the registrar cannot be reached. Tests:
tests/net/peering/test_resolver.py.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from net.base.ciphers import Cipher
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
    RecordInvalid,
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
    OWN_CHECK_SECONDS,
    PROVEN_SECONDS,
    RECORD_SECONDS,
    REGISTRATION_RETRY_SECONDS,
    RENEWAL_SLACK_SECONDS,
)
from net.base.timers import Timers
from net.base.wall_clock import WallClock
from net.contract.events import (
    FailureReason,
    Log,
    NetEvent,
    Outdated,
    RecordStored,
    Registered,
    RegistrationFailed,
    SequenceSigned,
    Superseded,
)
from net.names.directory import Directory, Endpoint, NameRecord, read_record_untrusted, sign_record
from net.names.identity import Identity
from net.names.own_records import Finding, OwnRecords
from net.session.reach import Answer

_ASKED_AGAIN = (StaleSequence.code, RecordTooLong.code)
"""Refusals after which this node asks for a different record."""
_MAX_STALE = 3
"""How often a registration that lost a race against another one of this node is tried again."""
_TAKEN_BEFORE = (RecordInvalid.code, RecordExpired.code)
"""Refusals by a registrar of an older version of what this node says beyond that version."""
_REGISTRATION, _RENEWAL, _CHECK = "", "renewal", "check"
"""The timers' keys of the registration, of a renewal before its time, and of a look at the own record; every other key
is a name, which has a dot."""
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
        own: OwnRecords | None = None,
        ciphers: tuple[Cipher, ...] = (),
        timers: Timers[Any] | None = None,
    ) -> None:
        """`previous` is the identity with the key that the name had before, if this boot changes it. `record_seconds`
        is the lifetime of this node's record, once the registrar grants more than that of a first one. `invitation` is
        what to show to the registrar (`net.names.invitation`). `own` has the numbers of its records. `ciphers`
        are what they list. `timers` gets the earliest deadline."""
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
        self._signed: tuple[NameRecord, bytes, int] | None = None
        """The latest record that this node has signed, and the Unix time at which it did: it asks for the same one
        again until it is granted or overtaken."""
        self._own = own or OwnRecords((identity.public_key,))
        self._ciphers = ciphers
        self._finding: Outdated | None = None
        """What is to be told before the next record is signed."""
        self._awaits_disk = False
        """Whether the latest record goes to the registrar as soon as its number is kept."""
        self._is_check = False
        """Whether this node looks its own record up for nothing but to see whether a copy of it has registered."""
        self._plain = False
        """Whether the registrar is of a version that takes only records of eight fields, issued just now."""
        self.greets_anew = False
        """Whether peers are to see the own record in a new greeting, since its epoch has risen."""
        self.check_due = False
        """Whether to look the own record up, unless there is a connection to the registrar."""
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
        known = directory.find(identity.name)
        self._shown_epoch = known.epoch if known is not None else 0
        """The highest epoch that peers have been shown."""
        self.own_record: bytes | None = self._kept_record(known)
        """This node's record to show in handshakes: granted if possible, otherwise signed by itself alone."""

    def _kept_record(self, known: NameRecord | None) -> bytes | None:
        """Return the record of an earlier boot, signed anew by this node alone if it lists now something else: those
        who meet the node before it is registered again see by it which cipher to choose."""
        if known is None or known.ciphers == self._ciphers or known.public_key != self._identity.public_key:
            return self._directory.signed(self._identity.name)
        return sign_record(replace(known, ciphers=self._ciphers), self._identity).encode()

    def introduction(self) -> bytes | None:
        """Return the record to show to the registrar, of this node alone as long as there is no granted one: without
        what a registrar of an older version does not take, since it reads that of a newcomer before it says so."""
        if self._signed is None or self.own_record == self._directory.signed(self._identity.name):
            return self.own_record
        bare = replace(self._signed[0], epoch=0, copy=0, ciphers=())
        return sign_record(bare, self._identity, self._previous).encode()

    def revokes_more_than(self, shown: bytes | None) -> bool:
        """Return whether the registrar has granted that this node has revoked something, which a peer does not believe
        by the record that it was shown."""
        if shown == self.own_record or not self._shown_epoch:
            return False
        signed = None if shown is None else read_record_untrusted(shown)
        return signed is None or signed.grant is None or signed.record.epoch < self._shown_epoch

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

    def introduce(self, now: float) -> None:
        """Make a record to show to the registrar as a guest, which only looks up names."""
        name, key, at = self._identity.name, self._identity.public_key, int(self._wall_clock.unix(now))
        record = NameRecord(name, key, (), (), 1, at, at + FIRST_RECORD_SECONDS)
        self.own_record = sign_record(record, self._identity).encode()

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

    def check(self, now: float) -> None:
        """Look this node's record up, if it has been granted one at this boot: a copy of it may have registered."""
        self.check_due = False
        if self.wanted is not None and self._own.granted and self._directory.genesis is not None:
            self._is_check = self._identity.name not in self._by_name and self._registering is None
            self.look_up(self._identity.name, now)

    def shown_untrusted(self, data: bytes, now: float) -> None:
        """Look at a record of this node that a peer has shown. Raises BadNameRecord."""
        self._learn(data, self._identity.name, now)

    def revoked(self, epoch: int, now: float) -> None:
        """Note that this node has revoked something, and that this is on its disk: its record is renewed soon."""
        self._renew_at(self._own.revoke(epoch, now))

    def set_copy_number(self, number: int, now: float) -> None:
        """Note the number of the newest backup copy, which the next record tells; it is due within an hour."""
        when = self._own.set_copy(number, now)
        if when is not None:
            self._renew_at(when)

    def _renew_at(self, when: float) -> None:
        before = self.timers.when(_RENEWAL)
        if self._directory.genesis is not None and (before is None or when < before):
            self.timers.set(_RENEWAL, when)

    def raise_epoch(self, epoch: int, now: float) -> None:
        """Register with a higher revocation epoch, which is on the disk before the number of the record is."""
        self._own.raise_epoch(epoch)
        if self.wanted is not None:
            self.register(*self.wanted, now)

    def sequence_kept(self, sequence: int, now: float) -> None:
        """Note that the numbers of this node's records up to this one are on its disk."""
        self._own.kept = max(self._own.kept, sequence)
        if self._awaits_disk and self.wanted is not None and self._registering is None:
            self._ask_for_grant(now)

    def sequence_not_kept(self, now: float) -> None:
        """Go on with the record that the registrar has, if that says where this node is, until the disk takes
        the number of another one."""
        name = self._identity.name
        held = self._directory.find(name)
        goes_on = self._awaits_disk and self.own_record != self._directory.signed(name)
        if goes_on and held is not None and self._says_where(held, now):
            self._registered(held, now)

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
            if key == _CHECK:
                self.check_due = True
                self.timers.set(_CHECK, now + OWN_CHECK_SECONDS)
            elif key == _RENEWAL:
                self._own.renew(now)
                self.renew(now)
            elif key != _REGISTRATION:
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
        is_check, self._is_check = self._is_check, False
        if self.wanted is None or self._registering is not None:
            return
        held = self._directory.find(self._identity.name)
        if self._finding is not None:
            self._emit(self._finding)
            self._finding = None
        elif answer is Answer.UNAVAILABLE and is_check:
            return
        elif answer is Answer.UNAVAILABLE:
            self._registration_unavailable(now)
        elif answer is Answer.KNOWN and held is not None and self._is_wanted(held, now):
            self._registered(held, now)
        else:
            self.own_record = self._sign(held, now)
            self._ask_for_grant(now)

    # --- helpers ---

    def _ask_for_grant(self, now: float) -> None:
        """Ask for the latest record, as soon as its number is kept: a crash must not make it a stranger's."""
        assert self._signed is not None
        record, encoded, _ = self._signed
        self._awaits_disk = record.sequence > self._own.kept
        if not self._awaits_disk:
            self._registering = self._ask(Register(self._next_request, encoded, self._invitation))
            self.timers.set(_REGISTRATION, now + LOOKUP_SECONDS)

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
            signed = read_record_untrusted(data)
            shown = signed.record
            if self._newest is None or shown.sequence > self._newest.sequence:
                self._newest = shown
            finding = self._own.judge(signed)
            if finding is Finding.OUTDATED:
                self._finding = Outdated(shown)
            elif finding is Finding.SUPERSEDED and self.wanted is not None:
                self.wanted = None
                for key in (_REGISTRATION, _RENEWAL, _CHECK):
                    self.timers.set(key, None)
                self._emit(Superseded(shown))

    def _registration_answered(self, frame: Granted | Refused, now: float) -> None:
        held = self._directory.find(self._identity.name)
        if self.wanted is None:
            return
        if isinstance(frame, Refused) and frame.code in _TAKEN_BEFORE and self._says_more():
            self._say_less()
            self.look_up(self._identity.name, now)
        elif isinstance(frame, Granted) and held is not None and self._is_wanted(held, now):
            self._registered(held, now)
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

    def _registered(self, held: NameRecord, now: float) -> None:
        record = self._directory.signed(self._identity.name)
        assert record is not None
        self.own_record = record
        self._emit(Registered(record))
        if held.epoch > self._shown_epoch:
            self._shown_epoch = held.epoch
            self.greets_anew = True
        self._is_new = False
        self.timers.set(_REGISTRATION, self._wall_clock.when((held.issued_at + held.expires_at) / 2))
        if self._own.keeps_sequence:
            self.timers.set(_CHECK, now + OWN_CHECK_SECONDS)

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
        return self._own.is_wanted(held) and held.ciphers == self._ciphers and self._says_where(held, now)

    def _says_where(self, held: NameRecord, now: float) -> bool:
        if not _is_fresh(held, self._wall_clock.unix(now)):
            return False
        return held.public_key == self._identity.public_key and (held.endpoints, held.routers) == self.wanted

    def _sign(self, held: NameRecord | None, now: float) -> bytes:
        """Return a signed record that may replace `held` and all that the registrar has shown."""
        assert self.wanted is not None
        known = max(filter(None, (held, self._newest)), key=lambda record: record.sequence, default=None)
        at, own = max(0, int(self._wall_clock.unix(now))), self._own
        issued_at, expires_at = self._lifetime(known, at)
        copy = max([own.copy, *(each.copy for each in (held, self._newest) if each is not None)])
        marks = (0, 0) if self._plain else (own.epoch, copy)
        if self._signed is not None:
            signed, encoded, signed_at = self._signed
            fits = known is None or signed.sequence > known.sequence
            fits = fits and signed.expires_at - signed.issued_at <= expires_at - issued_at
            fits = fits and (signed.epoch, signed.copy) == marks
            fits = fits and at - signed_at < CLOCK_SKEW_SECONDS / 2  # an older one is not for a new name
            if fits and self._is_wanted(signed, now):
                return encoded
        sequence = 1 + max(known.sequence if known is not None else 0, own.sequence)
        name, key = self._identity.name, self._identity.public_key
        record = NameRecord(name, key, *self.wanted, sequence, issued_at, expires_at, *marks, self._ciphers)
        new = sign_record(record, self._identity, self._previous)
        own.sign(sequence, new.body, now)
        self._signed = (record, new.encode(), at)
        if own.keeps_sequence:
            self._emit(SequenceSigned(sequence))
        return self._signed[1]

    def _lifetime(self, known: NameRecord | None, at: int) -> tuple[int, int]:
        """Return when the record that this node signs at the Unix time `at` is issued, and when it expires.

        While the name is new, its record keeps its times when it is renewed early by the same boot: otherwise a name
        whose record changes often would be new for ever.
        """
        seconds = self._record_seconds
        if known is None or self._is_new or not (known.established or known.issued_at + PROVEN_SECONDS <= at):
            seconds = min(seconds, FIRST_RECORD_SECONDS)
        renews = known is not None and known.public_key == self._identity.public_key and not known.established
        renews = renews and self._own.granted > 0 and not self._is_new and not self._plain
        if renews and known is not None and 0 <= at - known.issued_at < PROVEN_SECONDS and _is_fresh(known, at):
            return known.issued_at, known.expires_at
        return at, at + seconds

    def _say_less(self) -> None:
        """Leave out of the next record what came last, the ciphers, and only then what a revocation needs."""
        assert self._signed is not None
        self._plain = not self._signed[0].ciphers
        self._ciphers, self._signed = (), None
        missing = "no epoch or copy" if self._plain else "no ciphers"
        self._emit(Log(f"registration: the registrar is of an older version, and takes {missing}"))

    def _says_more(self) -> bool:
        """Whether the latest record says what a registrar of an older version does not take."""
        if self._signed is None or self._plain:
            return False
        record, _, signed_at = self._signed
        return record.epoch > 0 or record.copy > 0 or bool(record.ciphers) or record.issued_at < signed_at


def _is_fresh(record: NameRecord, at: float) -> bool:
    """Return whether a record need not be renewed yet at the Unix time `at`."""
    return record.expires_at - at >= (record.expires_at - record.issued_at) / 2 + RENEWAL_SLACK_SECONDS
