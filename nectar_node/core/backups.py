"""The core's side of backups: what counts as a change, and the schedule's actions as the driver's.

Every commit of the store is a change, and everything that may write to a drive through the vfs. Guests that write by
WASI are not seen doing so: that they do anything at all is a change, which the watch over their disk use notices
(`disk_use`). The name records that a node has from others are not one: any registrar gives them again, and a node's own
record has the number of its newest copy, so that each copy would lead to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nectar_node.backup.schedule import BackupSchedule, BeginRun, CutShort, KnownRemote, RemoteStatus
from nectar_node.base.system_processes import BACKUPS
from nectar_node.contract.actions import DriverAction, LogLine, StartBackup, StopBackup
from nectar_node.core.disk_use import watches_writers
from nectar_node.peers.name_rows import NAMES
from nectar_node.peers.own_row import OWN
from nectar_node.storage.operations import Commit, DiskError, Job, Outcome, Row, may_change
from nectar_node.system.kept_objects import KEPT
from nectar_node.system.process import SystemToken
from net.base.timers import Timers

SOURCE = "backup"
"""What the log calls it."""
_OF_COPIES = frozenset((OWN, KEPT))
"""Tables that copies change: what a node keeps of its own name record, and of the backups of others. If two nodes keep
each other's, a copy of one would else lead to a copy of the other, without end.
"""


class Backups:
    """The backups of one node, as its core sees them."""

    def __init__(self, our: str, emit: Callable[[DriverAction], None], timers: Timers[Any], *, grants: bool) -> None:
        """`our` is the node's name; `emit` takes actions; `grants`: the node is a registrar, whose records nobody else
        has.
        """
        self._our = our
        self._emit = emit
        self._grants = grants
        self._schedule = BackupSchedule(our, timers)

    def set_remotes(self, remotes: Iterable[KnownRemote], now: float, asked: str) -> None:
        """Learn the settings (`BackupSchedule.set_remotes`)."""
        self._schedule.set_remotes(remotes, now, asked)
        self._pass_on()

    def order(self, name: str, now: float) -> bool:
        """Begin a copy that somebody wants (`BackupSchedule.order`)."""
        known = self._schedule.order(name, now)
        self._pass_on()
        return known

    def ended(self, outcomes: Mapping[str, int | str | None], now: float) -> None:
        """Learn what has become of copies (`BackupSchedule.ended`)."""
        self._schedule.ended(outcomes, now)
        self._pass_on()

    def on_timer(self, now: float) -> None:
        """Begin what is due."""
        self._schedule.on_timer(now)
        self._pass_on()

    def job_done(self, job: Job, outcome: Outcome, now: float) -> None:
        """Notice a change that a disk job has made."""
        operation = job.operation
        if isinstance(operation, Commit):
            if not isinstance(outcome, DiskError) and (operation.states or any(map(self._matters, operation.rows))):
                self._schedule.changed(now)
        elif (may_change(operation) and not _is_keeping(job)) or watches_writers(job):
            self._schedule.changed(now)

    def _matters(self, row: Row) -> bool:
        if row.kind == NAMES:
            return self._grants and row.key != self._our
        return row.kind not in _OF_COPIES

    def status(self, now: float) -> list[RemoteStatus]:
        """Return what there is to say of each remote."""
        return self._schedule.status(now)

    def _pass_on(self) -> None:
        while (action := self._schedule.next_action()) is not None:
            if isinstance(action, BeginRun):
                self._emit(StartBackup(action.remotes))
            elif isinstance(action, CutShort):
                self._emit(StopBackup(action.remotes))
            else:
                self._emit(LogLine(SOURCE, 0, action.text))


def _is_keeping(job: Job) -> bool:
    """Whether a job concerns the backup of another node, which is no part of this one's."""
    return isinstance(job.owner, SystemToken) and job.owner.process == BACKUPS
