"""In which order saved states are read and written, and what goes into one commit. Pure.

What one process asks for is done in order: a read waits until what was saved before is on the disk or has failed, and
what is saved after a read waits for that. Saving again and again does not wait: the last state of those that wait for
the next commit is written, and all who saved are answered when it is durable. A commit that fails changes nothing, and
what was in it is given up, so that no state ever appears that its process was told is not there.

Packages take turns, a state of each in a commit. A commit ends at COMMIT_BYTES, so nobody waits for all that another
package has to save, however much that is (G23).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from kernel.contract.events import StateAction
from kernel.contract.message import Buffer
from nectar_node.storage.ledger import Ledger, OverQuota, package_of_state
from nectar_node.storage.operations import StateRow
from nectar_node.system.process import Committed

COMMIT_BYTES = 4 << 20
"""Bytes of states in one commit, unless a single one has more: a slow disk writes that in 50 milliseconds."""
COMMIT_ROWS = 1024
"""States in one commit: writing so many rows takes 25 milliseconds, even if each has few bytes."""


class Ask(NamedTuple):
    """What somebody wants done with a state."""

    action: StateAction
    state: Buffer | None
    """What to SET."""
    owner: object
    """Who is to be told."""


class StateOutcome(NamedTuple):
    """What has become of it."""

    state: bytes | None
    """What was read; None: there was none, or it was no GET."""
    problem: str | None
    """Why it could not be done; None: it is done."""


@dataclass(slots=True)
class _Write:
    """A state on its way to the disk."""

    state: Buffer | None
    owners: list[object]


@dataclass(slots=True)
class _Queue:
    """What is asked for about one state."""

    asks: deque[Ask] = field(default_factory=deque)
    """What is not begun."""
    reading: bool = False


class StateQueues:
    """All states of one node."""

    def __init__(
        self,
        lengths: Mapping[str, int],
        ledger: Ledger,
        read: Callable[[str, str, object], None],
        count: Callable[[str], None],
        finish: Callable[[object, StateOutcome], None],
    ) -> None:
        """`lengths` are those in the store. `read` is given a key, its package and an owner, and reads the state;
        `count` counts a package; `finish` tells an owner.
        """
        self.lengths = dict(lengths)
        """The lengths of the states on the disk in bytes, by key; read-only."""
        self.written_at: dict[str, float] = {}
        """When each was written since the boot, in seconds; read-only."""
        self._ledger = ledger
        self._read = read
        self._count = count
        self._finish = finish
        self._queues: dict[str, _Queue] = {}
        self.waiting: dict[str, dict[str, _Write]] = {}
        """What is to be written, by package and key; packages in the order of their turns. Read-only."""
        self.writing: dict[str, _Write] = {}
        """What the commit that is under way has. Read-only."""
        self._under_way = False
        """Whether that was taken whole."""
        self._counting: set[str] = set()
        """Packages that are being counted."""
        for key, length in self.lengths.items():
            ledger.account(package_of_state(key)).settle_state(length, 1)

    def add(self, key: str, ask: Ask) -> None:
        """Do something with a state, after what was asked for before."""
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = _Queue()
        queue.asks.append(ask)
        self._advance(key, queue)

    # --- in order -----------------------------------------------------------------------------------------------------

    def _advance(self, key: str, queue: _Queue, counted: bool = False) -> None:
        """Begin what can be begun; `counted` says that the package has just been counted, or could not be.

        An ask leaves the queue when all else is done. If our own code fails before that, it is begun again, and its
        owner may be told twice.
        """
        while queue.asks and not queue.reading and self._begin(key, queue, queue.asks[0], counted):
            queue.asks.popleft()
        if not queue.asks and not queue.reading:
            self._queues.pop(key, None)

    def _begin(self, key: str, queue: _Queue, ask: Ask, counted: bool) -> bool:
        """Begin what is next; return False if it must wait."""
        package, is_on_its_way = package_of_state(key), self._is_on_its_way(key)
        if ask.action is StateAction.GET:
            if is_on_its_way:
                return False
            if key in self.lengths:
                self._read(key, package, ask.owner)
                queue.reading = True
            else:
                self._finish(ask.owner, StateOutcome(None, None))
            return True
        before, after = self._length(key), None if ask.state is None else len(ask.state)
        if before is after is None and not is_on_its_way:
            self._finish(ask.owner, StateOutcome(None, None))  # there is nothing to clear
            return True
        more, states = _change(before, after)
        account = self._ledger.account(package)
        if (more > 0 or states > 0) and not account.known and not counted:
            self._need_count(package)
            return False
        try:
            account.claim_state(more, states)
        except OverQuota as error:
            if is_on_its_way:
                return False  # its answer comes after those to what was asked before
            self._finish(ask.owner, StateOutcome(None, error.strerror))
            return True
        self._put(package, key, ask)
        return True

    def _need_count(self, package: str) -> None:
        if package not in self._counting:
            self._count(package)
            self._counting.add(package)

    def counted(self, package: str) -> None:
        """Go on, since a package was counted, or cannot be."""
        self._counting.discard(package)
        for key, queue in list(self._queues.items()):
            if package_of_state(key) == package:
                self._advance(key, queue, counted=True)

    def has_read(self, key: str) -> None:
        """Go on, since a state was read."""
        queue = self._queues.get(key)
        if queue is not None:
            queue.reading = False
            self._advance(key, queue)

    def _is_on_its_way(self, key: str) -> bool:
        return key in self.writing or key in self.waiting.get(package_of_state(key), ())

    def _length(self, key: str) -> int | None:
        """Return how long the state will be when all is written; None: there will be none."""
        write = self.waiting.get(package_of_state(key), {}).get(key) or self.writing.get(key)
        if write is None:
            return self.lengths.get(key)
        return None if write.state is None else len(write.state)

    # --- commits ------------------------------------------------------------------------------------------------------

    def _put(self, package: str, key: str, ask: Ask) -> None:
        write, writes = _Write(ask.state, [ask.owner]), self.waiting.get(package)
        if writes is None:
            self.waiting[package] = {key: write}
        elif key not in writes:
            writes[key] = write
        else:
            writes[key].owners.append(ask.owner)
            writes[key].state = ask.state

    def take(self) -> list[StateRow]:
        """Return what goes into the next commit, which begins now."""
        self._under_way = False
        rows, size = list[StateRow](), 0
        while self.waiting and len(rows) < COMMIT_ROWS:
            package, writes = next(iter(self.waiting.items()))
            key, write = next(iter(writes.items()))
            length = len(write.state or b"")
            if rows and size + length > COMMIT_BYTES:
                break
            self.writing[key] = write
            del writes[key], self.waiting[package]
            if writes:
                self.waiting[package] = writes  # behind the others
            rows.append(StateRow(key, write.state))
            size += length
        self._under_way = True
        return rows

    def written(self, committed: Committed, now: float) -> None:
        """Learn what has become of what was taken last."""
        problem, no_room = committed
        while self.writing:
            key, write = next(iter(self.writing.items()))
            why = problem
            if no_room is not None and key in no_room.keys:
                why = no_room.text
            if why is not None:
                self._lose(key, write)
            elif write.state is None:
                self.lengths.pop(key, None)
                self.written_at.pop(key, None)
            else:
                self.lengths[key] = len(write.state)
                self.written_at[key] = now
            for owner in write.owners:
                self._finish(owner, StateOutcome(None, why))
            del self.writing[key]
            queue = self._queues.get(key)
            if queue is not None:
                self._advance(key, queue)

    def _lose(self, key: str, write: _Write) -> None:
        """Give back what a state that is not written has claimed, unless another one of its process has it now."""
        package = package_of_state(key)
        if key not in self.waiting.get(package, ()):
            claimed = None if write.state is None else len(write.state)
            self._ledger.account(package).settle_state(*_change(claimed, self.lengths.get(key)))

    # --- failures of our own code -------------------------------------------------------------------------------------

    def give_up(self, owner: object) -> None:
        """Forget what an owner has asked for, who is told that our own code has failed."""
        for queue in self._queues.values():
            queue.asks = deque(ask for ask in queue.asks if ask.owner is not owner)

    def recover(self, committed: Committed | None, now: float) -> None:
        """Go on after a failure of our own code, wherever that was: also if it was while `written` was told this."""
        if committed is not None:
            self.written(committed, now)
        elif self.writing and not self._under_way:
            for key, write in self.writing.items():  # they were not taken
                package = package_of_state(key)
                later = self.waiting.setdefault(package, {}).setdefault(key, write)
                if later is not write:
                    later.owners[:0] = write.owners
            self.writing = {}
        self._settle_accounts()
        for key, queue in list(self._queues.items()):
            self._advance(key, queue)

    def _settle_accounts(self) -> None:
        totals: dict[str, tuple[int, int]] = {}
        on_the_way = (key for writes in (*self.waiting.values(), self.writing) for key in writes)
        for key in {*self.lengths, *on_the_way}:
            length = self._length(key)
            if length is not None:
                package = package_of_state(key)
                size, states = totals.get(package, (0, 0))
                totals[package] = (size + length, states + 1)
        for package in self._ledger.with_states.union(totals):
            account, (size, states) = self._ledger.account(package), totals.get(package, (0, 0))
            account.settle_state(size - account.states.bytes, states - account.states.files)


def _change(before: int | None, after: int | None) -> tuple[int, int]:
    return (after or 0) - (before or 0), (after is not None) - (before is not None)
