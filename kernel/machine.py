"""Kernel and guests together: still pure, polled by a driver.

Owns the guests and the queues of those that can run. `run` polls guests, feeds what they leave behind to the kernel and
carries out those of its actions that concern guests; the others go to `actions`, for the node to carry out.

There are two queues, so that a guest that spins holds nothing up (G23). Guests with a message to handle wait in the
first. One that has used up a slice goes on in the second; so does one with a new message as long as its account says
that it uses up slices as a rule: spinning for a moment after each message gains it nothing. A driver with other threads
takes guests out of the second queue (`take_busy`) and polls them there, and then none of these is polled here. Without
threads, as in a simulation, one slice of a busy guest follows QUICK_POLLS polls of others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from kernel.contract.address import Address, ProcessId
from kernel.contract.errors import BadModule, GuestTrap
from kernel.contract.events import Action, Begin, CloseGuest, Continue, Event, Polled, ResumeGuest, TellGuest
from kernel.contract.guest import End, Guest, GuestConfig, GuestStatistics, Poll
from kernel.router.kernel import Kernel

SLICE = 8
"""How much a slice that is used up adds to a guest's account; a message subtracts 1."""
BUSY_FROM = 2 * SLICE
"""The account from which a guest handles its messages in the second queue. One slice now and then, perhaps because a
tick fell into a short poll, does not count; two for eight messages do."""
MOST = 8 * SLICE
"""The highest account: after so many messages without using up a slice, a guest is like any other."""
QUICK_POLLS = 8
"""Polls of other guests between two slices of busy ones, where these are polled here."""
DROPS = 64
"""Guests of ended processes that are dropped without a pause, at 40 microseconds each. If more end in one step, the
rest wait, and messages flow meanwhile."""

_PREEMPTED = Poll.PREEMPTED


class _Place:
    """A guest and where it is in the machine."""

    __slots__ = ("account", "closed", "guest", "lent", "process", "used")

    def __init__(self, process: ProcessId, guest: Guest) -> None:
        self.process = process
        self.guest = guest
        self.account = 0
        """How much it has used up its slices lately."""
        self.lent = False
        """Whether it is polled on another thread."""
        self.used: GuestStatistics | None = None
        """What it had used when it was lent out; None: it never was."""
        self.closed = False
        """Whether its process has ended; if it is lent, it is dropped when it comes back."""


class Machine:
    """A kernel and its guests."""

    def __init__(self, kernel: Kernel, configure: Callable[[Address], GuestConfig]) -> None:
        """`configure` returns the configuration for a guest of that address."""
        self.kernel = kernel
        self._configure = configure
        self._places: dict[ProcessId, _Place] = {}
        self._quick: deque[_Place] = deque()
        self._busy: deque[_Place] = deque()
        self._lent: dict[int, _Place] = {}
        """Guests that are polled on other threads, by their identity."""
        self._lends = False
        """Whether a driver takes busy guests."""
        self._in_a_row = 0
        """Polls since a busy guest was polled here."""
        self.actions: deque[Action] = deque()
        """What the node has to carry out, in order; the node empties it."""
        self._loaded_by_ended = 0
        self._ended: deque[Guest] = deque()
        """Guests that wait to be dropped."""
        self._dropped = 0
        """Guests dropped since `run` began last."""

    # --- the verbs --------------------------------------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> None:
        """Let the kernel take one event."""
        actions = self.kernel.handle(event, now)
        if actions:
            self._perform(actions, now)

    def next_deadline(self) -> float | None:
        """Return when the kernel needs a `Tick`."""
        return self.kernel.next_deadline()

    @property
    def can_run(self) -> bool:
        """Whether `run` has anything to do."""
        return bool(self._quick or self._ended) or (bool(self._busy) and not self._lends)

    def run(self, now: float, polls: int) -> int:
        """Poll guests that can run, at most `polls` times; return how many of these are left. If busy guests are lent
        out, also stop as soon as one has used up a time slice, so that what has happened meanwhile does not wait for
        another slice."""
        self._dropped = 0
        while self._ended and self._dropped < DROPS:
            self._drop(self._ended.popleft())
        quick, busy, tell, perform = self._quick, self._busy, self.kernel.polled, self._perform
        while polls:
            polls -= 1
            if quick and (not busy or self._lends or self._in_a_row < QUICK_POLLS):
                self._in_a_row += 1
                place = quick.popleft()
            elif busy and not self._lends:
                self._in_a_row = 0
                place = busy.popleft()
            else:
                return polls + 1
            if place.closed:
                continue
            guest = place.guest
            poll = guest.poll()
            actions = tell(place.process, poll, guest.effects, guest.end, now)
            guest.effects.clear()  # before it runs again; and no blob stays alive for having been sent
            perform(actions, now)
            if poll is _PREEMPTED and self._lends:
                return polls
        return 0

    # --- guests on other threads ------------------------------------------------------------------------------------

    def take_busy(self) -> Guest | None:
        """Return the busy guest whose turn it is, to be polled on another thread and given to `polled`, or None. From
        the first call on, `run` leaves busy guests to the caller."""
        self._lends = True
        while self._busy:
            place = self._busy.popleft()
            if not place.closed:
                place.lent, place.used = True, place.guest.statistics()
                self._lent[id(place.guest)] = place
                return place.guest
        return None

    def polled(self, guest: Guest, poll: Poll, now: float) -> None:
        """Take back a guest that was lent out and has been polled."""
        place = self._lent.pop(id(guest))
        place.lent = False
        if place.closed:
            self._drop(guest)
            return
        actions = self.kernel.polled(place.process, poll, guest.effects, guest.end, now)
        guest.effects.clear()
        self._perform(actions, now)

    # --- actions ----------------------------------------------------------------------------------------------------

    def _perform(self, actions: list[Action], now: float) -> None:
        for action in actions:
            kind = type(action)
            if kind is ResumeGuest:
                place = self._places[action.process]  # type: ignore[union-attr]
                place.guest.resume(action.answer)  # type: ignore[union-attr]
                if place.account:
                    self._resume_by_account(place)
                else:
                    self._quick.append(place)
            elif kind is Continue:
                self._continue(action)  # type: ignore[arg-type]
            elif kind is TellGuest:
                self._tell(action)  # type: ignore[arg-type]
            elif kind is Begin:
                self._begin(action, now)  # type: ignore[arg-type]
            elif kind is CloseGuest:
                self._close(action)  # type: ignore[arg-type]
            else:
                self.actions.append(action)

    def _tell(self, action: TellGuest) -> None:
        place = self._places.get(action.process)
        if place is not None:
            place.guest.hear(action.number, action.outcome)

    def _resume_by_account(self, place: _Place) -> None:
        """Queue a guest that has used up slices lately, and has got a message."""
        queue = self._busy if place.account >= BUSY_FROM else self._quick
        place.account -= 1
        queue.append(place)

    def _continue(self, action: Continue) -> None:
        place = self._places[action.process]
        place.account = min(place.account + SLICE, MOST)
        self._busy.append(place)

    def _begin(self, action: Begin, now: float) -> None:
        process = action.launch.process
        try:
            guest = action.launch.program.start(self._configure(action.address))
        except (BadModule, GuestTrap) as error:
            self.handle(Polled(process, Poll.ENDED, [], End(str(error))), now)
            return
        place = self._places[process] = _Place(process, guest)
        self._quick.append(place)

    def _close(self, action: CloseGuest) -> None:
        place = self._places.pop(action.process, None)
        if place is None:
            return
        place.closed = True
        if place.lent:
            return
        if self._ended or self._dropped >= DROPS:
            self._ended.append(place.guest)
        else:
            self._drop(place.guest)

    def limit_memory(self, limited: bool) -> None:
        """Let no guest that runs now have more memory than it has, or as much as usual again. None may be lent."""
        for place in self._places.values():
            place.guest.limit_memory(limited)

    def close(self) -> None:
        """Drop all guests; nothing runs here any more."""
        for place in self._places.values():
            place.closed = True
            if not place.lent:
                self._drop(place.guest)
        self._places.clear()
        while self._ended:
            self._drop(self._ended.popleft())

    def _drop(self, guest: Guest) -> None:
        self._dropped += 1
        self._loaded_by_ended += guest.statistics().blob_bytes_loaded
        guest.close()

    def guest(self, process: ProcessId) -> Guest | None:
        """Return the guest of a running process, for people who look into it; None: it does not run."""
        place = self._places.get(process)
        return None if place is None else place.guest

    def blob_bytes_loaded(self) -> int:
        """Bytes of blobs copied into guest memory, by all guests that ever ran here (G11: inheriting adds nothing)."""
        running = (self.statistics(process) for process in self._places)
        return self._loaded_by_ended + sum(used.blob_bytes_loaded for used in running if used is not None)

    def statistics(self, process: ProcessId) -> GuestStatistics | None:
        """Return what a running process has used, or None if it does not run. For one that is polled on another thread,
        it is what the guest had used when that thread got it, some slices ago."""
        place = self._places.get(process)
        if place is None:
            return None
        return place.used if place.lent else place.guest.statistics()
