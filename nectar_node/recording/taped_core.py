"""What a driver tells a core and asks of it, as entries on a tape.

Whatever a driver calls is in `TOLD`, by the part of the core and the method. The wrapper of each notes the call, unless
the core itself is at work: it calls the same methods. So a tape is a row of calls from outside; between a call and the
next one stand the answers that the core got to its own questions, and what it wanted done.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import partial
from operator import attrgetter
from typing import Any
from zlib import crc32

import cbor2
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kernel.contract.events import Answered
from kernel.contract.guest import Guest, Poll
from nectar_node.contract.actions import (
    DiskUsed,
    DriverAction,
    Installed,
    Kept,
    LoadCode,
)
from nectar_node.core.core import NodeCore
from nectar_node.packages.trial import Trial
from nectar_node.recording.guests import TapedGuest, TapedGuests, TapedProgram
from nectar_node.recording.values import NameOf, encode, is_value, plain
from nectar_node.storage.operations import Job
from net.base.limits import TAG_BYTES
from net.contract.events import Buffer, Writable
from net.session.sealing import LENGTH

TOLD: dict[str, tuple[str, ...]] = {
    "": (
        *("boot", "set_wall_clock", "on_timer", "ask_kept", "remove_state", "keep", "job_done", "set_remotes"),
        *("backup_ended", "code_loaded", "install", "uninstall", "decide", "inject", "http", "take_http_client"),
        *("kill", "kill_tree", "forget_former", "run_script", "stop_script", "ask_disk_use", "refuse_owner"),
        *("trace", "untrace", "probe", "stop_probe"),
    ),
    "network": (*("new_connection", "accepted", "connected", "dial_failed", "lost", "failed", "look_up", "shutdown"),),
    "vfs": ("mount", "unmount"),
    "sessions": ("make_link", "is_good", "make_token", "revoke", "lasts"),
    "decisions": ("decide",),
    "installed": ("add", "put_back", "go_back", "remove"),
    "shelf": ("put", "forget"),
    "published": ("publish",),
    "keeper": ("refuse",),
    "backups": ("order",),
}
"""The parts of a core, and the methods that drivers call to change something there."""
METHODS = tuple((part, method) for part, methods in TOLD.items() for method in methods)
"""Their numbers on a tape."""


class StepKind(IntEnum):
    """Kinds of entries."""

    START = 1
    CALL = 2
    """A number of `METHODS`, and arguments."""
    RECEIVE = 3
    PENDING = 4
    """And what `Network.pending` has returned, in short."""
    SETTLE = 5
    DID = 6
    """The actions of a `settle`, in brief."""
    RUN = 7
    RAN = 8
    LEND = 9
    """`NodeCore.take_busy` was called, and has returned a guest or none."""
    BACK = 10
    """`NodeCore.polled`."""
    ENTROPY = 11
    CLOCK = 12
    ACCOUNT = 13
    GUEST = 14
    """An answer to a guest's question."""
    CALLBACK = 15
    """Something that was given to the core as a function is called."""
    CALLBACK_END = 16
    NOTE = 17
    """Of the recorder: why what follows cannot be replayed."""


RECEIVED = struct.Struct("<Id")
PENDED = struct.Struct("<IIIQI")
SETTLED = struct.Struct("<dB")
RAN = struct.Struct("<dI")
NUMBER = struct.Struct("<I")
LONG_BYTES = 2048
"""Bytes of a buffer up to which all of them go into a checksum."""
_HASH = AESGCM(bytes(32))
_WRITABLE = struct.Struct("<BI")
_ANSWERING = (Answered, DiskUsed, Kept, Installed)
"""Actions that are the last to have their token."""


class Names:
    """Numbers of what is no value: jobs, programs, tokens."""

    def __init__(self) -> None:
        self._numbers: dict[int, tuple[int, object]] = {}
        self._count = 0

    def number(self, kind: str, each: object) -> list[object]:
        """Return the name of something, a new one if it is unknown."""
        found = self._numbers.get(id(each))
        if found is None:
            self._count += 1
            found = self._numbers[id(each)] = self._count, each
        return [kind, found[0]]

    def known(self, kind: str, each: object) -> list[object] | None:
        """Return the name of something, or None."""
        found = self._numbers.get(id(each))
        return None if found is None else [kind, found[0]]

    def put(self, number: int, each: object) -> None:
        """Give something a number."""
        self._numbers[id(each)] = number, each

    def take(self, each: object) -> int | None:
        """Return the number of something and forget it; None: it is unknown."""
        found = self._numbers.pop(id(each), None)
        return None if found is None else found[0]


def summary(buffers: Sequence[Buffer]) -> tuple[int, int, int]:
    """Return how many buffers and bytes those are, and a checksum of all bytes.

    A long row of a session's records, which the core has sealed in a memory of its own, is told by their
    authenticators: each of these is computed of all bytes of its record. Other long data has one computed here.
    """
    total, check = 0, 0
    for each in buffers:
        size = len(each)
        total += size
        if size > LONG_BYTES:
            each = (_authenticators(each) if type(each) is memoryview else b"") or _authenticator(each)
        check = crc32(each, check)
    return len(buffers), total, check


def _authenticators(row: memoryview) -> bytes:
    """Return the authenticators of a row of records; nothing if it is none."""
    found, at, size = bytearray(), 0, len(row)
    while at < size:
        begin = at + LENGTH.size
        end = begin + LENGTH.unpack_from(row, at)[0] if begin <= size else size + 1
        if end > size or end - begin < TAG_BYTES:
            return b""
        found += row[end - TAG_BYTES : end]
        at = end
    return bytes(found)


def _authenticator(data: Buffer) -> bytes:
    """Return that of AES-GCM with a key that anybody knows: a hash, and three times as fast as others."""
    return _HASH.encrypt(bytes(12), b"", data)


def did(actions: Sequence[DriverAction], name_of: NameOf) -> bytes:
    """Return the actions in brief: a replay must come to the same."""
    if len(actions) == 1 and type(actions[0]) is Writable:
        return _WRITABLE.pack(0, actions[0].connection)
    brief: list[Any] = ["l"]
    for action in actions:
        kind = type(action)
        if kind is Writable:
            brief.append(action.connection)  # type: ignore[union-attr]
        elif kind is Job:
            operation, lane, _, party, ticket = action  # type: ignore[misc]
            brief.append(["job", plain(operation, name_of, brief=True), lane, party, ticket])
        elif kind is LoadCode:
            brief.append(["load", plain(action.source, name_of, brief=True)])  # type: ignore[union-attr]
        else:
            brief.append(plain(action, name_of, brief=True))
    return cbor2.dumps(brief)


class Taped:
    """Notes what a core is told; `write` takes the kind of an entry, its body and data behind that."""

    def __init__(self, write: Callable[..., None]) -> None:
        self._write = write
        self.depth = 0
        """Above 0: the core is at work, and what is called is not told from outside."""
        self.guests = TapedGuests(self)
        self._tokens, self._jobs, self._loads = Names(), Names(), Names()
        self._lends = False
        self.callbacks = 0
        """Functions that the core was given so far."""
        self._core: NodeCore | None = None

    # --- what the core asks for by itself ---------------------------------------------------------------------------

    def entropy(self, really: Callable[[int], bytes], count: int) -> bytes:
        """Return fresh random bytes."""
        drawn = really(count)
        self._write(StepKind.ENTROPY, drawn)
        return drawn

    def clock(self, really: Callable[[], float]) -> float:
        """Return the time of a trace."""
        now = really()
        self._write(StepKind.CLOCK, struct.pack("<d", now))
        return now

    def account(self, what: str, really: Callable[[], object]) -> Any:
        """Return what a disk account says."""
        answer = really()
        self._write(StepKind.ACCOUNT, encode([what, answer], self._name))
        return answer

    def guest_asks(self, guest: TapedGuest, what: str, given: object, really: Callable[[], object]) -> Any:
        """Answer a guest's question (`nectar_node.recording.guests.Answers`)."""
        answer = really()
        if guest.lent:
            guest.asked.append((what, given, answer))
        else:
            self._write(StepKind.GUEST, encode([guest.number, what, given, answer], self._name))
        return answer

    # --- what it is told --------------------------------------------------------------------------------------------

    def wrap(self, core: NodeCore) -> None:
        """From now on note whatever is called from outside."""
        self._core = core
        for number, (part, method) in enumerate(METHODS):
            owner = attrgetter(part)(core) if part else core
            setattr(owner, method, partial(self._called, number, getattr(owner, method)))
        core.settle = partial(self._settle, core.settle)  # type: ignore[method-assign]
        core.run = partial(self._run, core.run)  # type: ignore[method-assign]
        core.take_busy = partial(self._take_busy, core.take_busy)  # type: ignore[method-assign]
        core.polled = partial(self._polled, core.polled)  # type: ignore[method-assign]
        network = core.network
        network.receive = partial(self._receive, network.receive)  # type: ignore[method-assign]
        network.pending = partial(self._pending, network.pending)  # type: ignore[method-assign]

    def _called(self, number: int, really: Callable[..., Any], *given: Any, **named: Any) -> Any:
        if self.depth:
            return really(*given, **named)
        _, method = METHODS[number]
        if method == "code_loaded":
            given = (given[0], self._taped_program(given[1]), *given[2:])
        if method == "install":
            named = {key: self._calling_back(value) for key, value in named.items()}
        self._write(StepKind.CALL, encode([number, list(given), named], self._name))
        self.depth = 1
        try:
            return really(*given, **named)
        finally:
            self.depth = 0

    def _receive(self, really: Callable[..., bool], connection: int, data: Buffer, now: float) -> bool:
        self._write(StepKind.RECEIVE, RECEIVED.pack(connection, now), data)
        self.depth += 1
        try:
            return really(connection, data, now)
        finally:
            self.depth -= 1

    def _pending(self, really: Callable[..., list[Buffer]], connection: int, limit: int) -> list[Buffer]:
        if self.depth:
            return really(connection, limit)
        self.depth = 1
        try:
            buffers = really(connection, limit)
        finally:
            self.depth = 0
        self._write(StepKind.PENDING, PENDED.pack(connection, limit, *summary(buffers)))
        return buffers

    def _settle(
        self, really: Callable[..., deque[DriverAction]], now: float, *, writes: bool = True
    ) -> deque[DriverAction]:
        self._write(StepKind.SETTLE, SETTLED.pack(now, writes))
        self.depth += 1
        try:
            out = really(now, writes=writes)
        finally:
            self.depth -= 1
        if not out:
            return out
        actions = out.copy()
        out.clear()
        self._write(StepKind.DID, did(actions, self.known))
        for action in actions:
            self._follow(action)
        return actions

    def _follow(self, action: DriverAction) -> None:
        if type(action) is Job:
            self._jobs.number("j", action)
        elif type(action) is LoadCode:
            self._loads.number("k", action)
        elif isinstance(action, _ANSWERING):
            self._tokens.take(action.token)

    def _run(self, really: Callable[..., int], now: float, polls: int) -> int:
        self._write(StepKind.RUN, RAN.pack(now, polls))
        self.depth += 1
        try:
            left = really(now, polls)
        finally:
            self.depth -= 1
        self._write(StepKind.RAN, NUMBER.pack(left))
        return left

    def _take_busy(self, really: Callable[[], Guest | None]) -> Guest | None:
        guest = really()
        if guest is not None or not self._lends:
            self._lends = True
            number = 0
            if guest is not None:
                assert isinstance(guest, TapedGuest)
                number, guest.lent, guest.polls = guest.number, True, 0
            self._write(StepKind.LEND, NUMBER.pack(number))
        return guest

    def _polled(self, really: Callable[..., None], guest: Guest, poll: Poll, now: float) -> None:
        assert isinstance(guest, TapedGuest)
        for what, given, answer in guest.asked:
            self._write(StepKind.GUEST, encode([guest.number, what, given, answer], self._name))
        guest.asked.clear()
        self._write(StepKind.BACK, encode([guest.number, guest.polls, poll.name, now], self._name))
        self.depth += 1
        try:
            guest.come_back()
            really(guest, poll, now)
        finally:
            self.depth -= 1

    # --- names of what is no value ----------------------------------------------------------------------------------

    def _name(self, each: object) -> list[object] | None:
        if type(each) is Job:
            number = self._jobs.take(each)
            return ["j", number] if number is not None else None
        if type(each) is LoadCode:
            number = self._loads.take(each)
            return ["k", number] if number is not None else None
        if isinstance(each, TapedProgram):
            return ["g", each.digest]
        if isinstance(each, _Callback):
            return ["f", each.number]
        if is_value(each):
            return None
        return self._tokens.number("o", each)

    def known(self, each: object) -> list[object] | None:
        """Return how something is written in an action: a token by its number, if the core was given it."""
        return self._tokens.known("o", each)

    def _taped_program(self, program: Any) -> Any:
        return TapedProgram(program, self.guests) if hasattr(program, "start") else program

    def _calling_back(self, value: Any) -> Any:
        if isinstance(value, Trial):
            value.go_back = _Callback(self, value.go_back)
            return value
        return _Callback(self, value) if callable(value) else value


class _Callback:
    """A function that the core was given: what it does is told from outside, again."""

    def __init__(self, taped: Taped, really: Callable[[], None]) -> None:
        taped.callbacks += 1
        self.number = taped.callbacks
        self._taped = taped
        self._really = really

    def __call__(self) -> None:
        taped = self._taped
        depth, taped.depth = taped.depth, 0
        taped._write(StepKind.CALLBACK, NUMBER.pack(self.number))
        try:
            self._really()
        finally:
            taped._write(StepKind.CALLBACK_END, NUMBER.pack(self.number))
            taped.depth = depth
