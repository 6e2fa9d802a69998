"""When a node's remotes get their copies, and when it is time to warn: pure, without a clock, one object per node.

Something that changes waits from then on for a copy in each remote. A copy begins a while after the first change that
waits, so that others can join it, and as long after the copy before as the remote's plan says. What changes while a
copy is made waits for the next one. After a failure the same changes wait on, and are tried again after a pause that
grows, for each remote by itself.

A node makes one snapshot at a time, so there is one run at a time, for all remotes that are due. So that a slow remote
does not keep the others waiting, a run is cut short when others have become due, and goes on with them in the next one.
It has longer each time that it is cut short: to find out where it was takes a while, too.

Times are seconds of the node's monotonic clock: setting the machine's clock neither hastens nor delays anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from nectar_node.console.durations import duration_text
from net.base.timers import Timers

CONTINUOUS = 0
"""The plan of copies that begin soon after each change."""
GATHER_SECONDS = 30.0
"""Seconds from a change to the copy that has it, if its plan is continuous: half of the minute that is promised, so the
other half is for the copy.
"""
UNSEEN_SECONDS = 86400.0
"""Seconds after which a copy is made even if nothing is known to have changed: people change files in a node's folder
without it, and a remote that is gone is noticed.
"""
BOOT_SECONDS = 3.0
"""Seconds after a boot in which no copy begins: the node and its machine have enough to do."""
BOOT_GRACE_SECONDS = 120.0
"""Seconds after a boot in which nobody is warned of what waited while the node was down: it is about to be copied."""
FIRST_PAUSE_SECONDS = 10.0
"""Seconds from a failure to the next attempt; doubled with each failure in a row."""
MOST_PAUSE_SECONDS = 300.0
"""The longest of these pauses: a disk that is there again gets its copy within minutes."""
SLICE_SECONDS = 60.0
"""Seconds that a run has when others wait for its end; twice that if it was cut short before, then three times. What
others wait for has changed since it began, so it waits no longer.
"""
MARGIN_SECONDS = 10.0
"""Seconds by which the times of a copy that somebody else has begun may be wrong."""
WARN_CONTINUOUS = 3600
"""Seconds that changes wait for a continuous remote before there is a warning, unless its plan says otherwise."""
LEAST_WARN = 60
"""The same for other plans, at least: otherwise it is twice their interval."""
NEVER = 0
"""As `RemotePlan.warn`: nobody is warned."""
MAX_FAILURE = 500
"""Characters of a failure's sentence that are kept."""
_RUN, _WARN, _CUT = "run", "warn", "cut"


class RemotePlan(NamedTuple):
    """How often a remote gets copies, and how long changes may wait before there is a warning."""

    every: int | None = CONTINUOUS
    """Seconds from the beginning of one copy to that of the next, or CONTINUOUS; None: only people make copies."""
    warn: int | None = None
    """Seconds, or NEVER; None: as usual for such a plan."""

    @property
    def interval(self) -> float | None:
        """Seconds between the beginnings of two copies; None: none begins by itself."""
        return GATHER_SECONDS if self.every == CONTINUOUS else self.every

    @property
    def warn_after(self) -> int | None:
        """Seconds that changes wait before there is a warning; None: there is none."""
        if self.warn is not None:
            return self.warn or None
        if self.every is None:
            return None
        return WARN_CONTINUOUS if self.every == CONTINUOUS else max(2 * self.every, LEAST_WARN)


class KnownRemote(NamedTuple):
    """A remote as the node's settings have it."""

    name: str
    plan: RemotePlan
    since: float
    """When it was added."""
    copy: int | None = None
    """The number of its newest copy; None: it has none."""
    completed: float | None = None
    """When that copy was begun, as far as the machine's clock can be trusted."""
    failure: str | None = None
    """Why the last attempt came to nothing; None: it did not."""


class BeginRun(NamedTuple):
    """Make a copy in each of these remotes; `BackupSchedule.ended` brings what became of them."""

    remotes: tuple[str, ...]


class CutShort(NamedTuple):
    """End the run that is under way. `BackupSchedule.ended` brings None for each copy that was not complete."""

    remotes: tuple[str, ...]
    """The remotes whose copies were not complete."""


class Notice(NamedTuple):
    """A line for the node's log."""

    text: str


@dataclass(frozen=True, slots=True)
class RemoteStatus:
    """What there is to say of a remote now; times are in seconds."""

    name: str
    plan: RemotePlan
    copy: int | None
    running: float | None
    """How long a copy has been under way; None: none is."""
    waits: float | None
    """How long the oldest change has waited that no complete copy has; None: none waits."""
    next: float | None
    """In how many seconds the next copy begins; None: nothing is planned, or one is under way."""
    failure: str | None
    failures: int
    """Attempts in a row that have failed."""
    warning: str | None
    """What people must know, in sentences; None: all is well."""
    age: float | None = None
    """How long ago the newest complete copy was begun; None: there is none."""


@dataclass(slots=True, eq=False)
class _Remote:
    name: str
    plan: RemotePlan
    since: float
    copy: int | None
    completed: float | None
    """When the newest complete copy was begun."""
    failure: str | None
    waits: float | None
    """Since when something waits that neither a complete copy has nor one that is under way."""
    held: float | None = None
    """Since when something waits that only the copy under way has."""
    began: float | None = None
    """When the copy that is under way was begun; None: none is."""
    failures: int = 0
    cuts: int = 0
    """How often in a row its copy was cut short."""
    not_before: float = 0.0
    """When a copy may begin after a failure."""
    soon: bool = False
    """Whether the next copy begins as soon as possible, whatever its plan says."""
    ordered: bool = False
    """Whether somebody has asked for a copy, which is not complete yet."""
    warned: bool = False

    @property
    def oldest(self) -> float | None:
        """Since when something waits that no complete copy has."""
        return self.waits if self.held is None else self.held


@dataclass(slots=True)
class _Run:
    """A run that is under way."""

    began: float
    left: dict[str, _Remote]
    """The remotes whose outcome is not known yet, also those that were removed meanwhile."""
    cut: bool = False
    """Whether it is to be cut short."""

    @property
    def slice(self) -> float:
        """Seconds that it has when others wait for its end."""
        return SLICE_SECONDS * (1 + max(remote.cuts for remote in self.left.values()))


class BackupSchedule:
    """The plans of one node's remotes."""

    def __init__(self, our: str, timers: Timers[Any]) -> None:
        """`our` is the node's name; `timers` gets the earliest deadline."""
        self._our = our
        self._timers: Timers[tuple[str, str]] = Timers(timers)
        self._remotes: dict[str, _Remote] = {}
        self._clean: dict[str, None] = {}
        """Remotes for which nothing waits but what the copy under way has: those whom the next change concerns."""
        self._latest = float("-inf")
        """When something has changed last."""
        self._booted: float | None = None
        self._run: _Run | None = None
        self._queue: dict[str, None] = {}
        """Remotes that are due and wait for the run to end, in order."""
        self._out: deque[BeginRun | CutShort | Notice] = deque()

    # --- events -----------------------------------------------------------------------------------------------------

    def set_remotes(self, remotes: Iterable[KnownRemote], now: float, asked: str = "") -> None:
        """Learn the settings, at the boot and whenever somebody has changed them, or has made a copy.

        The remote `asked`, if it is one, is the one that people care for now: after failures it is tried again at once.
        """
        first, before = self._booted is None, {name: each.plan for name, each in self._remotes.items()}
        if first:
            self._booted = now
        known = {remote.name: remote for remote in remotes}
        for name in [each for each in self._remotes if each not in known]:
            del self._remotes[name]
            self._clean.pop(name, None)
            self._queue.pop(name, None)
            for kind in (_RUN, _WARN):
                self._timers.set((kind, name), None)
        for name, remote in known.items():
            if name in self._remotes:
                self._update(self._remotes[name], remote, now)
            else:
                self._add(remote, now)
            mine = self._remotes[name]
            if name == asked and mine.failure is not None:
                mine.failures, mine.not_before, mine.soon = 0, now, True
            self._plan(mine, now)
        if not first and before != {name: each.plan for name, each in self._remotes.items()}:
            self.changed(now)  # the list of remotes is a file of the node like others

    def order(self, name: str, now: float) -> bool:
        """Begin a copy in a remote as soon as possible, since somebody wants one; return whether there is that remote.

        If one is under way, it is that one.
        """
        remote = self._remotes.get(name)
        if remote is None:
            return False
        if self._run is None or name not in self._run.left:
            remote.ordered, remote.not_before = True, now
            self._timers.set((_RUN, name), None)
            self._queue[name] = None
            self._begin(now)
        return True

    def changed(self, now: float) -> None:
        """Learn that something has changed that belongs into a copy; called for every commit, so mostly it is brief."""
        self._latest = now
        if self._clean:
            for name in self._clean:
                remote = self._remotes[name]
                remote.waits = now
                self._plan(remote, now)
            self._clean.clear()

    def ended(self, outcomes: Mapping[str, int | str | None], now: float) -> None:
        """Learn what has become of copies that were begun: of each the number of the new copy, why there is none, or
        None if it was cut short.

        The outcomes of one run may come one by one.
        """
        for name, outcome in outcomes.items():
            remote = None if self._run is None else self._run.left.pop(name, None)
            if remote is None:
                continue
            if self._remotes.get(name) is remote:
                self._take(remote, outcome, now)
            elif name in self._remotes:  # it was removed, and added again
                self._plan(self._remotes[name], now)
        if self._run is not None and not self._run.left:
            self._run = None
        self._begin(now)

    def on_timer(self, now: float) -> None:
        """Begin the copies that are due, and warn."""
        while (due := self._timers.pop_due(now)) is not None:
            kind, name = due
            if kind == _RUN:
                self._queue[name] = None
            elif kind == _WARN:
                self._warn(self._remotes[name], now)
        self._begin(now)

    def next_action(self) -> BeginRun | CutShort | Notice | None:
        """Return the next action, or None."""
        return self._out.popleft() if self._out else None

    def status(self, now: float) -> list[RemoteStatus]:
        """Return what there is to say of each remote."""
        return [self._status(remote, now) for remote in self._remotes.values()]

    # --- remotes ----------------------------------------------------------------------------------------------------

    def _add(self, known: KnownRemote, now: float) -> None:
        completed = None if known.completed is None else min(known.completed, now)
        since = min(known.since, now)
        # What has changed before the boot is not known: anything may have.
        waits = since if completed is None else completed
        remote = _Remote(known.name, known.plan, since, known.copy, completed, known.failure, waits)
        remote.soon = completed is None
        self._remotes[known.name] = remote

    def _update(self, remote: _Remote, known: KnownRemote, now: float) -> None:
        if known.plan != remote.plan:
            remote.plan, remote.failures, remote.not_before = known.plan, 0, now
        if known.copy is None or (remote.copy is not None and known.copy <= remote.copy):
            return
        # Somebody has made a copy.
        remote.copy, remote.failure, remote.failures, remote.not_before = known.copy, None, 0, now
        if known.completed is None or known.completed > now:
            return  # the machine's clock was set: nobody knows which changes are in it
        remote.completed = max(known.completed, remote.completed or known.completed)
        covered = known.completed - MARGIN_SECONDS
        if remote.waits is not None and self._latest < covered and remote.waits < covered:
            remote.waits = None
            self._clean[remote.name] = None
        elif remote.waits is not None:
            remote.waits = max(remote.waits, covered)
        if remote.held is not None:
            remote.held = max(remote.held, covered)

    def _take(self, remote: _Remote, outcome: int | str | None, now: float) -> None:
        """Learn how a copy has ended."""
        began, held = remote.began, remote.held
        remote.began = remote.held = None
        if held is not None and not isinstance(outcome, int):
            remote.waits = held
            self._clean.pop(remote.name, None)
        remote.cuts = remote.cuts + 1 if outcome is None else 0
        remote.ordered = remote.ordered and outcome is None
        if outcome is None:
            if remote.plan.interval is not None or remote.ordered:
                self._queue[remote.name] = None
        elif isinstance(outcome, int):
            failed, remote.failures = remote.failures, 0
            remote.copy, remote.completed, remote.failure, remote.not_before = outcome, began, None, 0.0
            if failed and not remote.warned:
                self._say(_again(remote))
        else:
            remote.failures += 1
            remote.failure = " ".join(outcome.split())[:MAX_FAILURE]
            pause = min(FIRST_PAUSE_SECONDS * 2 ** min(remote.failures - 1, 16), MOST_PAUSE_SECONDS)
            remote.not_before = now + pause
            if remote.failures == 1:
                self._say(f"{remote.name} gets no copy: {remote.failure}")
        self._plan(remote, now)

    def _plan(self, remote: _Remote, now: float) -> None:
        """Set when the remote is due, and when it is time to warn."""
        self._timers.set((_RUN, remote.name), self._due(remote))
        at = self._warns_at(remote)
        if remote.warned and (at is None or at > now):
            remote.warned = False
            if remote.failure is None and remote.copy is not None:
                self._say(_again(remote))
        self._timers.set((_WARN, remote.name), None if remote.warned else at)

    def _due(self, remote: _Remote) -> float | None:
        interval = remote.plan.interval
        runs = self._run is not None and remote.name in self._run.left
        if interval is None or runs or remote.name in self._queue:
            return None
        assert self._booted is not None
        due = max(self._booted + BOOT_SECONDS, remote.not_before)
        if remote.soon or remote.completed is None:
            return due
        if remote.waits is None:
            return max(due, remote.completed + interval, remote.completed + UNSEEN_SECONDS)
        return max(due, remote.completed + interval, remote.waits + min(interval, GATHER_SECONDS))

    def _may_join(self, remote: _Remote, now: float) -> bool:
        """Whether a remote that is not due yet gets a copy from a run that begins, and need not wait for its end."""
        interval = remote.plan.interval
        if interval is None or remote.waits is None or now < remote.not_before:
            return False
        return remote.plan.every == CONTINUOUS or remote.completed is None or remote.completed + interval <= now

    def _begin(self, now: float) -> None:
        """Begin a run for all that are due, or see when the one that is under way is to be cut short."""
        run = self._run
        if run is None and self._queue:
            for name, remote in self._remotes.items():
                if self._may_join(remote, now):
                    self._timers.set((_RUN, name), None)
                    self._queue[name] = None
            self._run = run = _Run(now, {name: self._remotes[name] for name in self._queue})
            self._queue.clear()
            for name, remote in run.left.items():
                remote.began, remote.held, remote.waits, remote.soon = now, remote.waits, None, False
                self._clean[name] = None
            self._out.append(BeginRun(tuple(run.left)))
        cut_at = run.began + run.slice if run is not None and self._queue and not run.cut else None
        if run is not None and cut_at is not None and cut_at <= now:
            run.cut, cut_at = True, None
            self._out.append(CutShort(tuple(run.left)))
        self._timers.set((_CUT, ""), cut_at)

    # --- warnings ---------------------------------------------------------------------------------------------------

    def _warns_at(self, remote: _Remote) -> float | None:
        after, oldest = remote.plan.warn_after, remote.oldest
        if after is None or oldest is None:
            return None
        assert self._booted is not None
        grace = self._booted + BOOT_GRACE_SECONDS if oldest <= self._booted else oldest
        return max(oldest + after, grace)

    def _warn(self, remote: _Remote, now: float) -> None:
        remote.warned = True
        self._say(self._warning(remote, now))

    def _say(self, text: str) -> None:
        self._out.append(Notice(text))

    def _warning(self, remote: _Remote, now: float) -> str:
        """Say which remote has no copy, why, and what to do."""
        name, began = remote.name, remote.completed
        since = duration_text(now - (remote.since if began is None else began))
        command = f"`nectar backup run {name} --node {self._our}`"
        text = f"Nothing was backed up to {name} for {since}"
        due = self._timers.when((_RUN, name))
        if remote.began is not None:
            text += f"; a copy has been under way for {duration_text(now - remote.began)}."
            return text if remote.failure is None else f"{text} The one before has failed: {remote.failure}"
        if remote.failure is not None and due is not None:
            return f"{text}: {remote.failure} It is tried again in {duration_text(due - now)}; {command} tries at once."
        if remote.failure is not None:
            return f"{text}: {remote.failure} {command} tries again."
        if remote.plan.every is None:
            return f"{text}, and something has changed: {command} makes a copy."
        begins = "is late" if due is None or due <= now else f"begins in {duration_text(due - now)}"
        return f"{text}, and something has changed: the next copy {begins}; {command} makes one at once."

    def _status(self, remote: _Remote, now: float) -> RemoteStatus:
        due, oldest = self._timers.when((_RUN, remote.name)), remote.oldest
        if remote.name in self._queue:
            due = now
        return RemoteStatus(
            remote.name,
            remote.plan,
            remote.copy,
            None if remote.began is None else now - remote.began,
            None if oldest is None else now - oldest,
            None if due is None else max(0.0, due - now),
            remote.failure,
            remote.failures,
            self._warning(remote, now) if remote.warned else None,
            None if remote.completed is None else now - remote.completed,
        )


def _again(remote: _Remote) -> str:
    return f"{remote.name} is backed up again: copy {remote.copy} is complete"
