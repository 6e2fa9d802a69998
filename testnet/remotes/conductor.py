"""Drives the engine of backups in virtual time: operations are begun, and the engine goes on when they have ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any, Generic

from nectar_node.backup.operations import (
    AwaitOperation,
    BeginOperation,
    Operation,
    OperationDone,
    PerformOperation,
    Result,
    Steps,
)

Ended = Callable[[Any, Exception | None], None]
"""Takes the result of an operation, or its failure."""
Begin = Callable[[Operation, Ended], Callable[[], None]]
"""Begins an operation, and tells later what became of it; returns what breaks it off."""


class Conductor(Generic[Result]):
    """One engine at work."""

    def __init__(
        self, steps: Steps[Result], begin: Begin, ended: Callable[[Result | None, Exception | None], None]
    ) -> None:
        """`ended` takes the engine's result or failure, when nothing of it is under way any more."""
        self._steps = steps
        self._begin = begin
        self._ended = ended
        self._done: deque[OperationDone] = deque()
        self._waits = False
        """Whether the engine waits for an operation that was begun."""
        self._running = 0
        """The number of operations that were begun beside the engine."""
        self._under: dict[int, Callable[[], None]] = {}
        """What breaks off each operation that is under way, by number."""
        self._numbers = count()
        self._over: tuple[Result | None, Exception | None] | None = None
        self._broken_off = False

    def start(self) -> None:
        """Let the engine go to where it waits."""
        self._go_on(None, None)

    def break_off(self) -> None:
        """Let the engine end where it is, as the process that drives it does; nobody is told."""
        self._broken_off = True
        self._steps.close()
        for break_off in [*self._under.values()]:
            break_off()

    def _go_on(self, answer: Any, error: Exception | None) -> None:
        while True:
            try:
                step = self._steps.send(answer) if error is None else self._steps.throw(error)
            except StopIteration as end:
                self._finish(end.value, None)
                return
            except Exception as failure:  # it is told to whoever has begun this
                self._finish(None, failure)
                return
            answer, error = None, None
            match step:
                case PerformOperation(operation):
                    self._start(operation, self._go_on)
                    return
                case BeginOperation(operation):
                    self._running += 1
                    self._start(operation, self._beside(operation))
                case AwaitOperation():
                    if not self._done:
                        self._waits = True
                        return
                    answer = self._done.popleft()

    def _start(self, operation: Operation, ended: Ended) -> None:
        number = next(self._numbers)

        def done(result: Any, failure: Exception | None) -> None:
            if not self._broken_off:
                del self._under[number]
                ended(result, failure)

        self._under[number] = self._begin(operation, done)

    def _beside(self, operation: Operation) -> Ended:
        return lambda result, failure: self._one_done(operation, result, failure)

    def _one_done(self, operation: Operation, result: Any, failure: Exception | None) -> None:
        self._running -= 1
        if self._over is not None:
            self._finish(*self._over)
            return
        done = OperationDone(operation, result, failure)
        if self._waits:
            self._waits = False
            self._go_on(done, None)
        else:
            self._done.append(done)

    def _finish(self, result: Result | None, failure: Exception | None) -> None:
        self._over = result, failure
        if not self._running:
            self._ended(result, failure)
