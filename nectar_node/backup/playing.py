"""Drives the engine on one thread, with operations that end in any order: for simulations and tests. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nectar_node.backup.operations import Begin, Done, Operation, Perform, Remote, Result, Steps, carry_out


def play(steps: Steps[Result], remote: Remote, choose: Callable[[int], int] = lambda count: 0) -> Result:
    """Carry out everything that the engine asks for, and return its result; raises what it raises.

    `choose` says which of so many operations under way ends next.
    """
    running: list[Operation] = []
    answer: Any = None
    error: Exception | None = None
    try:
        while True:
            step = steps.send(answer) if error is None else steps.throw(error)
            answer, error = None, None
            match step:
                case Perform(operation):
                    try:
                        answer = carry_out(remote, operation)
                    except Exception as failure:  # it is the engine's to deal with
                        error = failure
                case Begin(operation):
                    running.append(operation)
                case _:
                    answer = done(remote, running.pop(choose(len(running))))
    except StopIteration as end:
        result: Result = end.value
        return result


def done(remote: Remote, operation: Operation) -> Done:
    """Carry out an operation that was begun, and return what became of it."""
    try:
        return Done(operation, carry_out(remote, operation))
    except Exception as failure:  # it is the engine's to deal with
        return Done(operation, None, failure)
