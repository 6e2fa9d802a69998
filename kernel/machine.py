"""Kernel and guests together: still pure, polled by whoever drives it.

Owns the guests and the queue of those that can run. `run` polls guests, feeds what they leave behind to the kernel and
carries out those of its actions that concern guests; the others go to `actions`, for the node to carry out.

A guest that keeps using up its slice can be lent out (`take_busy`), to be polled on another thread; everything else
goes on meanwhile. A simulation never takes them, and polls them here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from kernel.address import Address, ProcessId
from kernel.errors import BadModule, GuestTrap
from kernel.events import (
    Action,
    Begin,
    Close,
    Continue,
    Event,
    Polled,
    Resume,
)
from kernel.guest import End, Guest, GuestConfig, GuestStatistics, Poll
from kernel.kernel import Kernel

BUSY_AFTER = 3
"""Slices in a row that a guest uses up before it counts as busy."""


class Machine:
    """A kernel and its guests."""

    def __init__(self, kernel: Kernel, configure: Callable[[Address], GuestConfig]) -> None:
        """`configure` says what a guest of that address is started with."""
        self.kernel = kernel
        self._configure = configure
        self._guests: dict[ProcessId, Guest] = {}
        self._runnable: deque[tuple[ProcessId, Guest]] = deque()
        self._slices: dict[ProcessId, int] = {}
        self._lent: dict[int, ProcessId] = {}
        self._doomed: set[int] = set()
        self.actions: deque[Action] = deque()
        """What the node has to carry out, in order; whoever does so empties it."""
        self._loaded_by_ended = 0

    # --- the verbs --------------------------------------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> None:
        """Let the kernel take one event."""
        self._perform(self.kernel.handle(event, now), now)

    def next_deadline(self) -> float | None:
        """When the kernel wants a `Tick`."""
        return self.kernel.next_deadline()

    @property
    def can_run(self) -> bool:
        """Whether `run` has anything to do."""
        return bool(self._runnable)

    def run(self, now: float, polls: int) -> None:
        """Poll guests that can run, at most so many times."""
        runnable, guests = self._runnable, self._guests
        handle, perform = self.kernel.handle, self._perform
        while polls and runnable:
            polls -= 1
            process, guest = runnable.popleft()
            if guests.get(process) is not guest:
                continue  # it was closed meanwhile
            poll = guest.poll()
            actions = handle(Polled(process, poll, guest.effects, guest.end), now)
            guest.effects.clear()  # before it runs again; and no blob stays alive for having been sent
            perform(actions, now)

    # --- guests on other threads ------------------------------------------------------------------------------------

    def take_busy(self) -> Guest | None:
        """A guest that keeps using up its slices, to be polled elsewhere and given to `polled`; None: there is none."""
        for index, (process, guest) in enumerate(self._runnable):
            if self._slices.get(process, 0) >= BUSY_AFTER and self._guests.get(process) is guest:
                del self._runnable[index]
                self._lent[id(guest)] = process
                return guest
        return None

    def polled(self, guest: Guest, poll: Poll, now: float) -> None:
        """A guest that was lent out has been polled."""
        process = self._lent.pop(id(guest))
        if id(guest) in self._doomed:
            self._doomed.discard(id(guest))
            self._drop(guest)
            return
        actions = self.kernel.handle(Polled(process, poll, guest.effects, guest.end), now)
        guest.effects.clear()
        self._perform(actions, now)

    # --- actions ----------------------------------------------------------------------------------------------------

    def _perform(self, actions: list[Action], now: float) -> None:
        for action in actions:
            kind = type(action)
            if kind is Resume:
                self._resume(action)  # type: ignore[arg-type]
            elif kind is Continue:
                self._continue(action)  # type: ignore[arg-type]
            elif kind is Begin:
                self._begin(action, now)  # type: ignore[arg-type]
            elif kind is Close:
                self._close(action)  # type: ignore[arg-type]
            else:
                self.actions.append(action)

    def _resume(self, action: Resume) -> None:
        process, answer = action
        guest = self._guests[process]
        guest.resume(answer)
        self._slices.pop(process, None)
        self._runnable.append((process, guest))

    def _continue(self, action: Continue) -> None:
        process = action.process
        guest = self._guests[process]
        self._slices[process] = self._slices.get(process, 0) + 1
        self._runnable.append((process, guest))

    def _begin(self, action: Begin, now: float) -> None:
        process = action.launch.process
        try:
            guest = action.launch.program.start(self._configure(action.address))
        except (BadModule, GuestTrap) as error:
            self.handle(Polled(process, Poll.ENDED, [], End(str(error))), now)
            return
        self._guests[process] = guest
        self._runnable.append((process, guest))

    def _close(self, action: Close) -> None:
        guest = self._guests.pop(action.process, None)
        self._slices.pop(action.process, None)
        if guest is None:
            return
        if id(guest) in self._lent:
            self._doomed.add(id(guest))
        else:
            self._drop(guest)

    def _drop(self, guest: Guest) -> None:
        self._loaded_by_ended += guest.statistics().blob_bytes_loaded
        guest.close()

    def blob_bytes_loaded(self) -> int:
        """Bytes of blobs copied into guest memory, by all guests that ever ran here (G11: inheriting adds nothing)."""
        running = (self.statistics(process) for process in self._guests)
        return self._loaded_by_ended + sum(used.blob_bytes_loaded for used in running if used is not None)

    def statistics(self, process: ProcessId) -> GuestStatistics | None:
        """What a running process has used; None: it does not run, or is being polled on another thread just now."""
        guest = self._guests.get(process)
        return None if guest is None or id(guest) in self._lent else guest.statistics()
