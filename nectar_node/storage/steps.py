"""An operation that is carried out in steps: whoever drives it may do something else in between, or give it up."""

from __future__ import annotations

from collections.abc import Callable, Generator

from nectar_node.storage.operations import STOPPED, DiskError, Outcome

Work = Generator[None, None, Outcome]
"""Each `yield` is the end of a step; the value that is returned is the outcome."""


class Steps:
    """One operation, begun."""

    def __init__(self, work: Work, refusal: Callable[[Exception], DiskError]) -> None:
        """`refusal`: the outcome of work that raises this."""
        self.outcome: Outcome = None
        """Once it is done."""
        self._work = work
        self._refusal = refusal

    def step(self) -> bool:
        """Do a little more; whether it is done."""
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
        """Do all of it."""
        while not self.step():
            pass
        return self.outcome

    def stop(self) -> None:
        """Give it up: what is half-made is removed."""
        try:
            self._work.close()
        except Exception as error:
            self._refusal(error)  # which tells of it, if nobody has foreseen it
        self.outcome = STOPPED
