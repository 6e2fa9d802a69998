"""Work that can be put off where no generator can yield: within a call of a C library.

It runs on a thread of its own, and only while somebody waits in a step of it; so it is one step after the other as all
else, in a simulation too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from nectar_node.storage.operations import Outcome
from nectar_node.storage.steps import Work


class PutOff(Protocol):
    """Ends the step, and returns when the next one begins; True: there is none, as the work is given up."""

    def __call__(self) -> bool: ...


class _OnItsThread:
    def __init__(self, work: Callable[[PutOff], Outcome]) -> None:
        self._work = work
        self._goes = threading.Semaphore(0)
        self._rests = threading.Semaphore(0)
        self._given_up = False
        self._done = False
        self._error: BaseException | None = None
        self._outcome: Outcome = None
        self._thread = threading.Thread(target=self._run, name="sliced", daemon=True)

    def step(self) -> bool:
        """Let it go on until it pauses or is done; return whether it is done."""
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._goes.release()
        self._rests.acquire()
        return self._done

    def result(self) -> Outcome:
        if self._error is not None:
            raise self._error
        return self._outcome

    def give_up(self) -> None:
        """Let it end, unless it has: it is told so at each pause."""
        self._given_up = True
        while self._thread.ident is not None and not self._done:
            self.step()

    def _pause(self) -> bool:
        if not self._given_up:
            self._rests.release()
            self._goes.acquire()
        return self._given_up

    def _run(self) -> None:
        try:
            self._outcome = self._work(self._pause)
        except BaseException as error:
            self._error = error
        self._done = True
        self._rests.release()


def in_slices(work: Callable[[PutOff], Outcome]) -> Work:
    """Carry out `work`, a step of which ends where it calls what it is given."""
    begun = _OnItsThread(work)
    try:
        while not begun.step():
            yield
    finally:
        begun.give_up()
    return begun.result()
