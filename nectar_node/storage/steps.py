"""An operation that is carried out in steps: its caller may do something else in between, or give it up."""

from __future__ import annotations

from collections.abc import Callable, Generator

from nectar_node.storage.operations import STOPPED, DiskError, Outcome

Work = Generator[None, None, Outcome]
"""A generator of which each `yield` ends a step; the value that it returns is the outcome."""
ENTRIES = 256
"""Entries of folders that are looked at, copied or removed in one step."""


class Steps:
    """One operation, begun."""

    def __init__(self, work: Work, refusal: Callable[[Exception], DiskError]) -> None:
        """`refusal` makes the outcome of work that raises an exception."""
        self.outcome: Outcome = None
        """The outcome; None until the operation is done."""
        self._work = work
        self._refusal = refusal

    def step(self) -> bool:
        """Do one more step; return whether the operation is done."""
        try:
            next(self._work)
        except StopIteration as end:
            self.outcome = end.value
        except Exception as error:
            self.outcome = self._refusal(error)
        else:
            return False
        return True

    def finish(self) -> Outcome:
        """Do all of it, and return the outcome."""
        while not self.step():
            pass
        return self.outcome

    def stop(self) -> None:
        """Give it up: what is half-made is removed."""
        try:
            self._work.close()
        except Exception as error:
            self._refusal(error)  # which logs it, if nobody has foreseen it
        self.outcome = STOPPED
