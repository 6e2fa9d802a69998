"""Histories, as they are recorded while a test runs."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, ParamSpec, Protocol, TypeVar

from nectar_node.base.errors import BadInput
from testnet.check.operation import NEVER, UNKNOWN, Instant, Operation, Status, Value, frozen
from testnet.check.verdict import Guarantee, Verdict, VerdictKind, undecided

MAX_OPERATIONS = 100_000
"""Operations that one history keeps; one with more is not decided."""
_SHOWN = 80
"""Characters that are shown of what is no promise."""
MAX_DRAWN = 2_000
"""Operations of one history that a journal gets, those of a violation first."""
MOST_NAMED = 6
"""Operations that the sentence of a violation names."""
RESPONSE = "response"
"""The kind of an outcome that has a body."""

P = ParamSpec("P")
R = TypeVar("R")


class DidNotHappen(Exception):
    """A helper or a function of a result raises it: the operation is known not to have happened, and never will."""


class Ending(Protocol):
    """How a request ended, such as `testnet.model.lab.Outcome`."""

    @property
    def kind(self) -> str:
        """RESPONSE, or why nobody knows what came of it."""

    @property
    def body(self) -> Any:
        """What the response says."""


class UnderWay(Protocol):
    """A request under way, such as `testnet.model.lab.SentRequest`."""

    @property
    def begun(self) -> float | None:
        """When it was sent, in seconds since the network began; None: just now."""

    @property
    def outcome(self) -> Ending | None:
        """How it ended, or None."""

    @property
    def ended(self) -> float | None:
        """When, in seconds since the network began, or None."""


def body_of(body: Any) -> Any:
    """Return the body itself."""
    return body


@dataclass(slots=True)
class RecordedCall:
    """An operation that has been called; what came of it is said once. Until then it is unknown."""

    client: str
    name: str
    arguments: tuple[Value, ...]
    called: Instant
    _moment: Callable[[], Instant]
    status: Status = Status.UNKNOWN
    result: Value = UNKNOWN
    returned: Instant = NEVER
    request: UnderWay | None = None
    """Where what came of it is read, if it is a request under way."""
    of_body: Callable[[Any], Any] = body_of

    def ok(self, result: object = None) -> None:
        """It has happened, and returns now."""
        self.status, self.result, self.returned = Status.OK, frozen(result), self._moment()

    def failed(self) -> None:
        """It has not happened, and never will."""
        self.status, self.returned = Status.FAILED, self._moment()

    def unknown(self) -> None:
        """Nobody knows what came of it."""
        self.status, self.result, self.returned = Status.UNKNOWN, UNKNOWN, NEVER

    def settle(self) -> None:
        """Take over what came of a request under way."""
        request = self.request
        if request is None or request.outcome is None or request.ended is None:
            return
        self.request = None
        # It ended somewhere at that time: whatever was called then overlaps with it.
        end = Instant(request.ended, math.inf)
        if request.outcome.kind != RESPONSE:
            return
        try:
            self.result = frozen(self.of_body(request.outcome.body))
            self.status = Status.OK if self.result is not UNKNOWN else Status.UNKNOWN
        except DidNotHappen:
            self.status = Status.FAILED
        if self.status is not Status.UNKNOWN:
            self.returned = end


class OperationHistory:
    """Operations on one object, or on the many of a kind, and what is promised of them."""

    def __init__(self, clock: Callable[[], float], promises: tuple[Guarantee, ...] = (), name: str = "") -> None:
        """`clock` returns seconds, which never go back; `name` is for people."""
        self.name = name
        self.promises = promises
        self._clock = clock
        self._order = count()
        self._calls: list[RecordedCall] = []
        self._calm: float | None = None
        self.is_full = False
        """Whether there were more than MAX_OPERATIONS."""

    # --- recording --------------------------------------------------------------------------------------------------

    def call(self, client: str, name: str, *arguments: object) -> RecordedCall:
        """Record that a client calls an operation now; the returned object is told what came of it."""
        call = RecordedCall(client, name, tuple(map(frozen, arguments)), self._moment(), self._moment)
        if len(self._calls) < MAX_OPERATIONS:
            self._calls.append(call)
        else:
            self.is_full = True
        return call

    def follow(
        self, client: str, request: UnderWay, name: str, *arguments: object, result: Callable[[Any], Any] = body_of
    ) -> RecordedCall:
        """Record an operation that is a request (`Lab.begin`), from when it was sent. A response is OK, with what
        `result` makes of its body, which may be UNKNOWN; or it has failed, if that raises DidNotHappen. Timeout and
        Offline are unknown."""
        call = self.call(client, name, *arguments)
        if request.begun is not None:
            # Where time is real, others may have ended since: with those it overlaps. It may even have ended itself.
            call.called = Instant(request.begun, call.called.order)
        call.request, call.of_body = request, result
        return call

    def operation(self, helper: Callable[P, R]) -> Callable[P, R | None]:
        """Record each call of a helper as an operation: its name, its first argument, which is the client, and the
        others. What it returns is the result; of an outcome such as `Lab.ask` returns, the body, and it is unknown for
        Timeout and Offline. If it raises DidNotHappen, the operation has failed, and None is returned."""

        @functools.wraps(helper)
        def recorded(*arguments: P.args, **named: P.kwargs) -> R | None:
            client, *others = arguments
            call = self.call(str(client), helper.__name__, *others, *named.values())
            try:
                found = helper(*arguments, **named)
            except DidNotHappen:
                call.failed()
                return None
            _tell(call, found)
            return found

        return recorded

    def calm(self) -> None:
        """Record that the faults have ended: from now on, what becomes equal in time is expected to."""
        self._calm = self._clock()

    def _moment(self) -> Instant:
        return Instant(self._clock(), next(self._order))

    # --- what it says -----------------------------------------------------------------------------------------------

    @property
    def operations(self) -> tuple[Operation, ...]:
        """All operations so far, by the times of their calls."""
        for call in self._calls:
            call.settle()
        self._calls.sort(key=lambda each: each.called)
        return tuple(
            Operation(
                number, each.client, each.name, each.arguments, each.status, each.result, each.called, each.returned
            )
            for number, each in enumerate(self._calls)
        )

    def check(self, *promises: Guarantee) -> tuple[tuple[Guarantee, Verdict], ...]:
        """Return the verdicts on these promises, or on those of the history."""
        operations = self.operations
        if self.is_full:
            full = undecided(f"there were more than {MAX_OPERATIONS:,} operations, the most that a history keeps")
            return tuple((each, full) for each in promises or self.promises)
        return tuple((each, each.check(operations, self._calm)) for each in promises or self.promises)


@dataclass(slots=True)
class Histories:
    """The histories of a run."""

    clock: Callable[[], float]
    write: Callable[[str, str], None]
    """Writes a line into the run's journal: about whom, and what."""
    all: list[OperationHistory] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    """Sentences about promises of which nobody knows whether they hold."""
    measured: list[str] = field(default_factory=list)
    """Sentences about promises that hold, with what was measured."""
    _judged: int = 0
    """Histories that have been judged; each is once."""

    def open(self, promises: tuple[Guarantee, ...], name: str) -> OperationHistory:
        """Return a new history, which is checked at the end of the run; raises BadInput for what is no promise."""
        for each in promises:
            if isinstance(each, type) or not callable(getattr(each, "check", None)):
                wanted = "Linearizable(RegisterModel()) or ReadYourWrites()"
                raise BadInput(f"{repr(each)[:_SHOWN]} is no promise of a history, such as {wanted}.")
        found = OperationHistory(self.clock, promises, name or f"history {len(self.all) + 1}")
        self.all.append(found)
        return found

    def calm(self) -> None:
        """Record in all histories that the faults have ended."""
        for each in self.all:
            each.calm()

    def judge(self) -> str | None:
        """Check every history's promises, write its operations into the journal, and return the first violation in a
        sentence,
        or None."""
        first = None
        while self._judged < len(self.all):
            history = self.all[self._judged]
            self._judged += 1
            wrong: set[int] = set()
            for promise, verdict in history.check():
                sentence = f"{history.name}, {promise.name}: {verdict.text}"
                if verdict.ruling is VerdictKind.VIOLATED:
                    first = first or sentence + _named(verdict)
                    wrong.update(each.number for each in verdict.operations)
                elif verdict.ruling is VerdictKind.UNDECIDED:
                    self.undecided.append(sentence)
                elif verdict.text:
                    self.measured.append(sentence)
            self._draw(history, wrong)
        for sentence in (*self.undecided, *self.measured):
            self.write("-", f"note {sentence}")
        return first

    def tell(self) -> None:
        """Write the operations so far of the histories that nobody has judged: of a run that has failed by itself."""
        while self._judged < len(self.all):
            self._draw(self.all[self._judged], set())
            self._judged += 1

    def _draw(self, history: OperationHistory, wrong: set[int]) -> None:
        operations = history.operations
        places = {client: place for place, client in enumerate(dict.fromkeys(each.client for each in operations))}
        there = sorted(operations, key=lambda each: (each.number not in wrong, -each.number))[:MAX_DRAWN]
        for each in sorted(there, key=lambda one: one.number):
            told = {
                "history": history.name,
                "number": each.number,
                "client": each.client,
                "place": places[each.client],
                "words": each.words(),
                "status": each.status.value,
                "called": round(each.called.time, 9),
                "returned": None if each.returned == NEVER else round(each.returned.time, 9),
                "wrong": each.number in wrong,
            }
            self.write("-", f"operation {json.dumps(told, separators=(',', ':'))}")


def _named(verdict: Verdict) -> str:
    more = len(verdict.operations) - MOST_NAMED
    named = "; ".join(each.line() for each in verdict.operations[:MOST_NAMED])
    return f": {named}" + (f"; and {more} more" if more > 0 else "") if named else ""


def _tell(call: RecordedCall, found: object) -> None:
    kind = getattr(found, "kind", None)
    if isinstance(kind, str) and hasattr(found, "body"):
        if kind == RESPONSE:
            call.ok(found.body)
        return
    if found is not UNKNOWN:
        call.ok(found)
