"""Conducts the engine, and plays it on one thread, with operations that end in any order: for simulations. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nectar_node.backup.operations import (
    BeginOperation,
    Operation,
    OperationDone,
    PerformOperation,
    Remote,
    Result,
    Steps,
    carry_out,
)


def conduct(
    steps: Steps[Result],
    perform: Callable[[Operation], Any],
    begin: Callable[[Operation], None],
    wait: Callable[[], OperationDone],
) -> Result:
    """Do what each step says until the engine has its result, and return that; raises what it raises."""
    answer: Any = None
    error: Exception | None = None
    try:
        while True:
            step = steps.send(answer) if error is None else steps.throw(error)
            answer, error = None, None
            match step:
                case PerformOperation(operation):
                    try:
                        answer = perform(operation)
                    except Exception as failure:  # it is the engine's to deal with
                        error = failure
                case BeginOperation(operation):
                    begin(operation)
                case _:
                    answer = wait()
    except StopIteration as end:
        result: Result = end.value
        return result


def play(steps: Steps[Result], remote: Remote, choose: Callable[[int], int] = lambda count: 0) -> Result:
    """Carry out everything on this thread, and return the engine's result; raises what it raises.

    `choose` says which of so many operations under way ends next.
    """
    running: list[Operation] = []
    return conduct(
        steps,
        lambda operation: carry_out(remote, operation),
        running.append,
        lambda: done(remote, running.pop(choose(len(running)))),
    )


def done(remote: Remote, operation: Operation) -> OperationDone:
    """Carry out an operation that was begun, and return what became of it."""
    try:
        return OperationDone(operation, carry_out(remote, operation))
    except Exception as failure:  # it is the engine's to deal with
        return OperationDone(operation, None, failure)
