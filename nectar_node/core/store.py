"""Keeps on disk what must survive a reboot: what has changed goes into the node's store, in one commit after the other.

While a commit is under way, changes gather for the next one, so that many share one sync. A commit that fails changes
nothing; it is tried again, together with what has changed since. Only the states that processes save are not: those who
save them get an error instead, and what failed because of them is tried again at once, alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from nectar_node.contract.actions import Kept
from nectar_node.peers.name_rows import NAMES
from nectar_node.storage.operations import Commit, DiskError, Job, Location, Outcome, Row, StateRow

AGAIN_SECONDS = 1.0
"""Seconds from a commit that failed to the next one."""
HANGS_SECONDS = 1.0
"""Seconds after which a commit may hang, so that what changes is taken from its sources beside it. They remember each
process that has ended, but the store need not: what has come and gone meanwhile needs no row.
"""
_LANE = "store"


class RowSource(Protocol):
    """A part of the node that has something to keep."""

    @property
    def has_changed(self) -> bool:
        """Whether `changes` returns any."""

    def changes(self) -> list[Row]:
        """Return the rows that are to be written since this was called last."""


class States(Protocol):
    """The states that processes save."""

    @property
    def waits(self) -> bool:
        """Whether any is to be written."""

    def take(self, now: float) -> tuple[StateRow, ...]:
        """Return what goes into the next commit, which begins at once."""


class Store:
    """The store of one node."""

    def __init__(
        self,
        location: Location,
        sources: Iterable[RowSource],
        states: States,
        rows: Iterable[tuple[str, str]] = (),
    ) -> None:
        """`location` is the database's file; `rows` are the tables and keys of the rows in it, except name records."""
        self._location = location
        self._sources = tuple(sources)
        self._states = states
        self._pending: dict[tuple[str, str], bytes | None] = {}
        """Values to write, by table and key."""
        self._rows = set(rows)
        """Tables and keys of the rows that the disk has, or is given, except name records: those are many."""
        self._new: set[tuple[str, str]] = set()
        """Those among them that the commit under way adds."""
        self._writing: tuple[Row, ...] | None = None
        """The rows of the commit that is under way, without states."""
        self._has_states = False
        """Whether it has states, too."""
        self._alone = False
        """Whether the next commit has no states, since one with states has failed."""
        self._asking: list[object] = []
        """Tokens of those who want to know when what has changed is written."""
        self._asked: list[object] = []
        """Tokens whose changes are in the commit that is under way, or were before."""
        self._earliest = 0.0
        self._take_at = 0.0
        """When the sources are asked although a commit is under way."""
        self._states_from: float | None = None
        """When states are looked at again, after our own code has failed to give any; None: at once."""
        self._failed = False
        self.problem: str | None = None
        """Why the last commit failed, as one sentence; None: it did not."""

    def put(self, row: Row) -> None:
        """Write a row, or remove it.

        What came and went while the disk took nothing needs no row: otherwise a guest that makes children on a full
        disk would fill the memory with their names.
        """
        at = row.kind, row.key
        if row.value is None and row.kind != NAMES and at not in self._rows:
            self._pending.pop(at, None)
        else:
            self._pending[at] = row.value

    def ask(self, token: object) -> None:
        """Ask for a `Kept` when everything that has changed so far is on the disk."""
        self._asking.append(token)

    @property
    def kept(self) -> bool:
        """Whether the disk holds everything."""
        return self._writing is None and not self._has_changed() and not self._states.waits

    def _has_changed(self) -> bool:
        return bool(self._pending) or any(each.has_changed for each in self._sources)

    def next_deadline(self) -> float | None:
        """Return when `next_job` has something to write after a failure, or None."""
        if self._writing is not None:
            return None
        # What could not be written may have gone again, and then there is nothing to try once more.
        earliest = self._earliest if self._failed and self._pending else None
        return self._states_from if earliest is None else earliest

    def hurry(self) -> None:
        """Write without a pause, since the node goes down."""
        self._earliest = 0.0

    def next_action(self, now: float) -> Job | Kept | None:
        """Return the write that is to be done now, or an answer, or None; a job's owner is this object."""
        if self._writing is not None:
            if now >= self._take_at:
                self._take_at = now + HANGS_SECONDS
                self._ask_sources()
            return None
        self._ask_sources()
        states: tuple[StateRow, ...] = ()
        if not self._alone and self._states.waits and (self._states_from is None or self._states_from <= now):
            states = self._states.take(now)
            self._states_from = now + AGAIN_SECONDS if not states and self._states.waits else None
        if not self._pending and not states:
            return Kept(self._asking.pop(0), None) if self._asking else None
        if now < self._earliest and not states:
            return Kept(self._asking.pop(0), self.problem) if self._asking else None
        self._take_at = now + HANGS_SECONDS
        self._writing = tuple(Row(kind, key, value) for (kind, key), value in self._pending.items())
        self._has_states = bool(states)
        keys = {(row.kind, row.key) for row in self._writing if row.kind != NAMES}
        self._new = keys - self._rows
        self._rows |= self._new
        self._pending.clear()
        self._asked, self._asking = self._asking, []
        return Job(Commit(self._location, self._writing, states), _LANE, self)

    def _ask_sources(self) -> None:
        for source in self._sources:
            if source.has_changed:
                for row in source.changes():
                    self.put(row)

    def done(self, outcome: Outcome, now: float) -> tuple[list[Kept], str | None]:
        """Learn the outcome of the write; return answers, and a sentence for the log if the disk begins to fail."""
        assert self._writing is not None
        rows, self._writing = self._writing, None
        before, self._alone = self.problem, False
        if isinstance(outcome, DiskError):
            self._rows -= self._new
            since = {row: self._pending.pop((row.kind, row.key), row.value) for row in rows}
            for row, value in since.items():
                self.put(row._replace(value=value))
            if self._has_states:
                self._alone = bool(rows)
                self._earliest = now
                self._asking[:0], self._asked = self._asked, []
                return [], None
            self.problem = f"what it has to keep cannot be written: {outcome.text}"
            self._earliest = now + AGAIN_SECONDS
            self._failed = True
        else:
            self.problem, self._failed = None, False
            self._rows.difference_update((row.kind, row.key) for row in rows if row.value is None)
        answers, self._asked = [Kept(token, self.problem) for token in self._asked], []
        return answers, self.problem if self.problem != before else None
