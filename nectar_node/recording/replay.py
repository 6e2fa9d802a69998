"""Tells a core once more what a recorded one was told, and compares what it wants done.

Pure, but for the guests' engine. Tests: tests/nectar_node/recording/test_replay.py.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from operator import attrgetter
from typing import Any

from kernel.contract.address import Address
from kernel.contract.events import Answered
from kernel.contract.guest import GuestConfig, Program
from kernel.contract.limits import MAX_MEMORY_BYTES
from nectar_node.contract.actions import DiskUsed, DriverAction, Installed, Kept, LoadCode
from nectar_node.core.core import NodeCore
from nectar_node.core.kept import decode_untrusted as decode_kept
from nectar_node.http.fetching.wasi_client import WasiHttpClient
from nectar_node.recording.accounts import TapedLedger
from nectar_node.recording.errors import BadRecording
from nectar_node.recording.guests import TapedGuest, TapedGuests, TapedProgram
from nectar_node.recording.segments import TapeEntry
from nectar_node.recording.start import CoreSources, FreshIds, NodeStart, core_of
from nectar_node.recording.taped_core import (
    METHODS,
    NUMBER,
    PENDED,
    RAN,
    RECEIVED,
    SETTLED,
    Names,
    StepKind,
    did,
    summary,
)
from nectar_node.recording.values import decode_untrusted, plain_untrusted, value_untrusted
from nectar_node.storage.ledger import Ledger
from nectar_node.storage.operations import Job
from net.names.directory import Directory, RegistrarDirectory
from net.names.identity import Identity
from net.names.registrar import Registrar


class _Stop(BaseException):
    """Ends a replay within the core, whose guards let it pass."""


class ReplayDifference:
    """Where a replay is not what was recorded."""

    def __init__(self, entry: int, now: float, recorded: str, replayed: str) -> None:
        self.entry = entry
        self.now = now
        self.recorded = recorded
        self.replayed = replayed

    def __str__(self) -> str:
        return f"step {self.entry}, {self.now:.6f} s: recorded {self.recorded}; replayed {self.replayed}"


class TapeToken:
    """Stands for what a driver has given to the core and waits for."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __repr__(self) -> str:
        return f"token {self.number}"


class NodeReplay:
    """One replay of one boot of a node."""

    def __init__(
        self,
        entries: Iterator[TapeEntry],
        load: Callable[[str], Program],
        watch: Callable[[NodeReplay, list[DriverAction]], bool] = lambda _replay, _actions: False,
    ) -> None:
        """`load` returns the program with that SHA-256, in hex. `watch` is told of all actions, and ends the replay by
        returning True. Raises BadRecording if there is no start.
        """
        self._entries = entries
        self._load = load
        self._watch = watch
        self._at = TapeEntry(0, 0, b"")
        self._ahead: deque[TapeEntry] = deque()
        self._tokens, self._jobs, self._loads = Names(), dict[int, Job](), dict[int, LoadCode]()
        self._token_of: dict[int, TapeToken] = {}
        self._job_count = self._load_count = 0
        self._guests = TapedGuests(self)
        self._taped: dict[int, TapedGuest] = {}
        self._stopped: ReplayDifference | str | None = None
        self.now = 0.0
        """The core's time."""
        self.first = 0.0
        """Its time at the start."""
        self.steps = 0
        self.polled_elsewhere = 0
        """Polls of guests that were lent to another thread when this was recorded."""
        self.cut_off = False
        """Whether the recording ends within a step, as a node leaves it that is killed."""
        first = self._next()
        if first.kind != StepKind.START:
            raise BadRecording("The recording does not begin with a node's start.")
        start = decode_untrusted(first.body, self._named)
        if not isinstance(start, NodeStart):
            raise BadRecording("The recording does not begin with a node's start.")
        self.start = start
        self.first = self.now = start.now
        self.core = self._make_core(start)

    def _make_core(self, start: NodeStart) -> NodeCore:
        identity = Identity(start.our, start.seed)
        previous = None if start.previous_seed is None else Identity(start.our, start.previous_seed)
        kept = decode_kept(start.rows, start.our, start.states)
        for package, decision in start.decided:
            kept.decisions.decide(package, decision)
        directory = directory_of(start, identity, kept.names.of(start.registrar))
        ledger = TapedLedger(Ledger(start.drives, start.quotas, start.keeps), self._account)
        sources = CoreSources(self._entropy, FreshIds(self._entropy).take, self._guest_config, self._clock, ledger)
        try:
            return core_of(start, identity, previous, directory, kept, sources)
        except _Stop:
            raise BadRecording(f"The core cannot be made again: {self._stopped}.") from None

    def run(self, stops: Callable[[TapeEntry], bool] = lambda _step: False) -> ReplayDifference | None:
        """Go on to the end, or until `stops`, which is told each step from outside before it is taken, is true; return
        the first difference. Raises BadRecording.
        """
        try:
            while self._stopped is None:
                entry = self._next(may_end=True)
                if stops(entry):
                    self._ahead.appendleft(entry)
                    break
                self._play(entry)
        except _Stop:
            pass
        return self._stopped if isinstance(self._stopped, ReplayDifference) else None

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to replay, or there was a difference."""
        return self._stopped is not None

    # --- entries ----------------------------------------------------------------------------------------------------

    def _next(self, *, may_end: bool = False) -> TapeEntry:
        if self._ahead:
            self._at = self._ahead.popleft()
            return self._at
        found = next(self._entries, None)
        if found is None:
            self.cut_off = not may_end
            self._stop("the end of the recording")
        self._at = found  # type: ignore[assignment]  # `_stop` raises
        self.steps += 1
        return self._at

    def _stop(self, why: ReplayDifference | str) -> None:
        self._stopped = self._stopped or why
        raise _Stop

    def _differs(self, replayed: str) -> None:
        self._stop(ReplayDifference(self._at.number, self.now - self.first, told(self._at), replayed))

    def _expect(self, kind: StepKind, replayed: str) -> TapeEntry:
        """Return the next entry, which must be of that kind: the core has come to that."""
        if self._stopped is not None:
            raise _Stop
        entry = self._next()
        if entry.kind != kind:
            self._differs(replayed)
        return entry

    def _play(self, entry: TapeEntry) -> None:
        try:
            self._carry_out(entry)
        except (struct.error, BadRecording, KeyError, IndexError) as error:
            raise BadRecording(f"The recording is damaged: step {entry.number}: {error}.") from error
        if self._stopped is not None:
            raise _Stop

    def _carry_out(self, entry: TapeEntry) -> None:
        kind, body, core = entry.kind, entry.body, self.core
        if kind == StepKind.RECEIVE:
            connection, self.now = RECEIVED.unpack_from(body)
            core.network.receive(connection, bytearray(memoryview(body)[RECEIVED.size :]), self.now)
        elif kind == StepKind.PENDING:
            connection, limit, *recorded = PENDED.unpack(body)
            sent = summary(core.network.pending(connection, limit))
            if list(sent) != recorded:
                self._at = entry
                self._differs(f"{sent[1]} bytes in {sent[0]} pieces on connection {connection}, checksum {sent[2]:08x}")
        elif kind == StepKind.SETTLE:
            self.now, writes = SETTLED.unpack(body)
            self._settled(core.settle(self.now, writes=bool(writes)))
        elif kind == StepKind.RUN:
            self.now, polls = RAN.unpack(body)
            left = core.run(self.now, polls)
            ran = self._expect(StepKind.RAN, f"guests have waited after {polls - left} polls")
            if NUMBER.unpack(ran.body)[0] != left:
                self._differs(f"guests have waited after {polls - left} polls of {polls}")
        elif kind == StepKind.LEND:
            guest = core.take_busy()
            number = guest.number if isinstance(guest, TapedGuest) else 0
            if NUMBER.unpack(body)[0] != number:
                self._differs(f"guest {number} computes for long")
            if isinstance(guest, TapedGuest):
                guest.lent, guest.polls = True, 0
                self._taped[number] = guest
        elif kind == StepKind.BACK:
            self._back(body)
        elif kind == StepKind.GUEST:
            number, what, given, answer = plain_list(body, 4)
            self._taped[number].asked.append((what, given, answer))
        elif kind == StepKind.CALL:
            self._call(body)
        else:
            self._at = entry
            self._differs("nothing of that kind")

    def _call(self, body: bytes) -> None:
        number, given, named = plain_list(body, 3)
        part, method = METHODS[number]
        owner: Any = attrgetter(part)(self.core) if part else self.core
        values = value_untrusted(given, self._named)
        getattr(owner, method)(*values, **value_untrusted(named, self._named))

    def _back(self, body: bytes) -> None:
        number, polls, ended, self.now = plain_list(body, 4)
        guest = self._taped.pop(number)
        self.polled_elsewhere += polls
        poll = None
        for _ in range(polls):
            poll = guest.poll()
        if poll is None or poll.name != ended:
            self._differs(f"guest {number} ends its slices with {None if poll is None else poll.name}")
        elif guest.asked:
            self._differs(f"guest {number} asks for nothing more")
        guest.come_back()
        assert poll is not None
        self.core.polled(guest, poll, self.now)

    def _settled(self, out: deque[DriverAction]) -> None:
        if self._stopped is not None:
            raise _Stop
        if not out:
            return
        actions = list(out)
        out.clear()
        brief = did(actions, self._known)
        replayed = _shown(brief)
        recorded = self._expect(StepKind.DID, replayed)
        if recorded.body != brief:
            self._stop(ReplayDifference(recorded.number, self.now - self.first, *_first_of(recorded.body, brief)))
        for action in actions:
            self._follow(action)
        if self._watch(self, actions):
            self._stop("what was waited for")

    def _follow(self, action: DriverAction) -> None:
        if type(action) is Job:
            self._job_count += 1
            self._jobs[self._job_count] = action
        elif type(action) is LoadCode:
            self._load_count += 1
            self._loads[self._load_count] = action
        elif isinstance(action, Answered | DiskUsed | Kept | Installed):
            number = self._tokens.take(action.token)
            if number is not None:
                self._token_of.pop(number, None)

    # --- what the core asks for -------------------------------------------------------------------------------------

    def _entropy(self, count: int) -> bytes:
        drawn = self._expect(StepKind.ENTROPY, f"{count} random bytes").body
        if len(drawn) != count:
            self._differs(f"{count} random bytes")
        return drawn

    def _clock(self) -> float:
        (now,) = struct.unpack("<d", self._expect(StepKind.CLOCK, "a look at the clock").body)
        return float(now)

    def _account(self, what: str, _: Callable[[], object]) -> Any:
        noted, answer = plain_list(self._expect(StepKind.ACCOUNT, f"a look at an account: {what}").body, 2)
        if value_untrusted(noted, self._named) != what:
            self._differs(f"a look at an account: {what}")
        return value_untrusted(answer, self._named)

    def guest_asks(self, guest: TapedGuest, what: str, given: object, really: Callable[[], object]) -> Any:
        """Answer a guest's question (`nectar_node.recording.guests.Answers`)."""
        replayed = f"guest {guest.number} asks for {what} {_brief(given)}"
        if guest.lent:
            if not guest.asked:
                self._differs(replayed)
            noted, noted_given, answer = guest.asked.popleft()
        else:
            number, noted, noted_given, answer = plain_list(self._expect(StepKind.GUEST, replayed).body, 4)
            if number != guest.number:
                self._differs(replayed)
        if noted != what or value_untrusted(noted_given, self._named) != given:
            self._differs(replayed)
        return value_untrusted(answer, self._named)

    def _guest_config(self, address: Address) -> GuestConfig:
        drive = object()  # never asked: `guest_asks` does not call what would
        return self._guests.config(
            GuestConfig(address, MAX_MEMORY_BYTES, drive=drive, files=self.start.files, http=WasiHttpClient())  # type: ignore[arg-type]
        )

    # --- names ------------------------------------------------------------------------------------------------------

    def _known(self, each: object) -> list[object] | None:
        return ["o", each.number] if isinstance(each, TapeToken) else None

    def _named(self, value: Any) -> object:
        kind, which = value[0], value[1]
        if kind == "j":
            return self._jobs.pop(which)
        if kind == "k":
            return self._loads.pop(which)
        if kind == "g":
            return TapedProgram(self._load(which), self._guests)
        if kind == "f":
            return partial(self._called_back, which)
        if kind == "o":
            token = self._token_of.get(which)
            if token is None:
                token = self._token_of[which] = TapeToken(which)
                self._tokens.put(which, token)
            return token
        raise BadRecording(f"a value of {str(which)[:80]} cannot be replayed")

    def _called_back(self, number: int) -> None:
        entry = self._expect(StepKind.CALLBACK, f"function {number} is called")
        if NUMBER.unpack(entry.body)[0] != number:
            self._differs(f"function {number} is called")
        while (entry := self._next()).kind != StepKind.CALLBACK_END:
            self._play(entry)


def directory_of(start: NodeStart, identity: Identity, records: Any) -> Directory:
    """Return the directory that a node has at its start; `records` are those that it has kept."""
    if start.genesis is None:
        return Registrar(identity, records, by_invitation=start.by_invitation, own_hosts=(start.host,))
    return RegistrarDirectory(start.genesis, records)


def plain_list(body: bytes, length: int) -> list[Any]:
    """Return the list that an entry holds; raises BadRecording."""
    found = plain_untrusted(body)
    if not isinstance(found, list) or len(found) != length + 1 or found[0] != "l":
        raise BadRecording("it has another shape")
    return found[1:]


def time_of(entry: TapeEntry) -> float | None:
    """Return the core's time at a step; None: it does not say. Raises BadRecording."""
    try:
        if entry.kind == StepKind.RECEIVE:
            return float(RECEIVED.unpack_from(entry.body)[1])
        if entry.kind == StepKind.SETTLE:
            return float(SETTLED.unpack(entry.body)[0])
        if entry.kind == StepKind.RUN:
            return float(RAN.unpack(entry.body)[0])
    except struct.error as error:
        raise BadRecording(f"The recording is damaged: step {entry.number}: {error}.") from error
    return None


def told(entry: TapeEntry) -> str:
    """Return an entry in words."""
    try:
        kind, body = StepKind(entry.kind), entry.body
        if kind is StepKind.RECEIVE:
            return f"{len(body) - RECEIVED.size} bytes from connection {RECEIVED.unpack_from(body)[0]}"
        if kind is StepKind.PENDING:
            connection, _, count, total, check = PENDED.unpack(body)
            return f"{total} bytes in {count} pieces on connection {connection}, checksum {check:08x}"
        if kind is StepKind.DID:
            return _shown(body)
        if kind is StepKind.CALL:
            number, given, _ = plain_list(body, 3)
            return f"{METHODS[number][1]} {_brief(given[1:])}"
        if kind is StepKind.GUEST:
            number, what, given, _ = plain_list(body, 4)
            return f"guest {number} asks for {what} {_brief(given)}"
        if kind is StepKind.RAN:
            return f"guests have waited with {NUMBER.unpack(body)[0]} polls left"
        return f"{kind.name.lower()}, {len(body)} bytes"
    except (ValueError, struct.error, IndexError, BadRecording) as error:
        return f"an entry that cannot be read: {error}"


def _shown(brief: bytes) -> str:
    if brief[:1] == b"\0":
        return f"connection {NUMBER.unpack(brief[1:])[0]} can be written to"
    return _brief(plain_untrusted(brief)[1:])


def _first_of(recorded: bytes, replayed: bytes) -> tuple[str, str]:
    """Return the first action that differs, as recorded and as replayed."""
    one, other = _actions(recorded), _actions(replayed)
    for each, its in zip(one, other, strict=False):
        if each != its:
            return _brief(each), _brief(its)
    more = max(one, other, key=len)[min(len(one), len(other))]
    return (_brief(more), "nothing") if len(one) > len(other) else ("nothing", _brief(more))


def _actions(brief: bytes) -> list[Any]:
    return list(NUMBER.unpack(brief[1:])) if brief[:1] == b"\0" else plain_untrusted(brief)[1:]


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) < 400 else text[:400] + "…"
