"""Copies begin when their plan says, each remote by itself, and people are warned when there are none: virtual time."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable

import pytest

from nectar_node.backup.schedule import (
    BOOT_GRACE_SECONDS,
    BOOT_SECONDS,
    FIRST_PAUSE_SECONDS,
    GATHER_SECONDS,
    MOST_PAUSE_SECONDS,
    NEVER,
    SLICE_SECONDS,
    UNSEEN_SECONDS,
    WARN_CONTINUOUS,
    BackupSchedule,
    BeginRun,
    CutShort,
    KnownRemote,
    Notice,
    RemotePlan,
)
from net.base.timers import Timers
from tests.seeds import seeds

HOUR = 3600
BOOT = 1000.0
"""When the node boots."""
START = BOOT + 500.0
"""A moment at which nothing of the boot matters any more."""
MANUAL = RemotePlan(None)


class Clock:
    """A schedule with its remotes and virtual time."""

    def __init__(self, *remotes: KnownRemote, boot: float = BOOT) -> None:
        self.timers: Timers[object] = Timers()
        self.schedule = BackupSchedule("a.nec", self.timers)
        self.now = boot
        self.begun: list[tuple[float, tuple[str, ...]]] = []
        self.cut: list[tuple[float, tuple[str, ...]]] = []
        self.notices: list[str] = []
        self.set(*remotes)

    def set(self, *remotes: KnownRemote, asked: str = "") -> None:
        self.schedule.set_remotes(remotes, self.now, asked)
        self._take()

    def change(self) -> None:
        self.schedule.changed(self.now)
        self._take()

    def order(self, name: str) -> bool:
        known = self.schedule.order(name, self.now)
        self._take()
        return known

    def end(self, **outcomes: int | str | None) -> None:
        self.schedule.ended(outcomes, self.now)
        self._take()

    def go_on(self, until: float) -> None:
        """Let time pass."""
        while (due := self.timers.next()) is not None and due <= until:
            self.now = max(self.now, due)  # what is due already is due at once
            self.schedule.on_timer(self.now)
            self._take()
        self.now = max(self.now, until)

    def fail(self, until: float, why: str) -> None:
        """Let time pass, in which every copy fails at once."""
        while (due := self.timers.next()) is not None and due <= until:
            before = len(self.begun)
            self.go_on(due)
            self.end(**{name: why for _, names in self.begun[before:] for name in names})
        self.go_on(until)

    def _take(self) -> None:
        while (action := self.schedule.next_action()) is not None:
            if isinstance(action, BeginRun):
                self.begun.append((self.now, action.remotes))
            elif isinstance(action, CutShort):
                self.cut.append((self.now, action.remotes))
            else:
                assert isinstance(action, Notice)
                self.notices.append(action.text)

    @property
    def warnings(self) -> list[str]:
        return [row.warning for row in self.schedule.status(self.now) if row.warning]


def remote(name: str = "disk", plan: RemotePlan = RemotePlan(), **known: object) -> KnownRemote:  # noqa: B008
    """A remote that has a copy of the boot's moment, unless told otherwise."""
    return KnownRemote(name, plan, **({"since": 0.0, "copy": 1, "completed": BOOT} | known))  # type: ignore[arg-type]


def settled(*remotes: KnownRemote) -> Clock:
    """A clock at START, when each remote has had a copy since the boot and nothing has changed since."""
    clock = Clock(*remotes)
    while (due := clock.timers.next()) is not None and due <= BOOT + 100.0:
        clock.go_on(due)
        clock.end(**{name: 2 for _, names in clock.begun for name in names})
    clock.go_on(START)
    clock.begun.clear()
    clock.notices.clear()
    return clock


def test_a_change_leaves_within_a_minute_and_takes_along_what_changes_meanwhile() -> None:
    clock = settled(remote())
    clock.change()
    clock.go_on(START + 20.0)
    clock.change()
    clock.go_on(START + 1000.0)
    assert clock.begun == [(START + GATHER_SECONDS, ("disk",))]
    clock.end(disk=3)
    clock.go_on(START + 10_000.0)
    assert len(clock.begun) == 1


def test_while_nothing_changes_there_is_one_copy_a_day() -> None:
    clock = settled(remote(), remote("usb", MANUAL))
    clock.go_on(START + UNSEEN_SECONDS - 600.0)
    assert (clock.begun, clock.notices) == ([], [])
    clock.go_on(START + UNSEEN_SECONDS)
    assert clock.begun == [(BOOT + GATHER_SECONDS + UNSEEN_SECONDS, ("disk",))]
    clock.end(disk="It is gone.")
    clock.go_on(clock.now + FIRST_PAUSE_SECONDS)
    assert (len(clock.begun), clock.notices, clock.warnings) == (2, ["disk gets no copy: It is gone."], [])


def test_what_changes_while_a_copy_is_made_leaves_with_the_next_one() -> None:
    clock = settled(remote())
    clock.change()
    clock.go_on(START + 31.0)
    clock.change()
    clock.go_on(START + 40.0)
    clock.end(disk=3)
    clock.go_on(START + 1000.0)
    assert [at for at, _ in clock.begun] == [START + 30.0, START + 61.0]


def test_a_copy_that_takes_longer_than_its_interval_is_followed_by_the_next_at_once_and_never_by_two() -> None:
    clock = settled(remote(plan=RemotePlan(2)))
    clock.change()
    clock.go_on(START + 3.0)
    clock.change()
    clock.go_on(START + 500.0)
    clock.end(disk=3)
    clock.go_on(START + 600.0)
    assert [at for at, _ in clock.begun] == [START + 2.0, START + 500.0]


def test_scheduled_copies_begin_an_interval_apart() -> None:
    clock = settled(remote(plan=RemotePlan(6 * HOUR)))
    for _ in range(3):
        clock.change()
        clock.go_on(clock.now + 6 * HOUR)
        clock.end(disk=3 + len(clock.begun))
    first = clock.begun[0][0]
    assert first == BOOT + 6 * HOUR
    assert [at - first for at, _ in clock.begun] == [0.0, 6.0 * HOUR, 12.0 * HOUR]


def test_a_remote_for_people_alone_gets_no_copy_by_itself() -> None:
    clock = settled(remote(plan=MANUAL), remote("new", MANUAL, copy=None, completed=None))
    clock.change()
    clock.go_on(START + 1e6)
    assert (clock.begun, clock.warnings) == ([], [])


def test_remotes_that_are_due_together_go_in_one_run() -> None:
    names = [f"r{number}" for number in range(30)]
    clock = settled(*map(remote, names))
    clock.change()
    clock.go_on(START + 31.0)
    assert clock.begun == [(START + GATHER_SECONDS, tuple(names))]


def test_a_slow_remote_keeps_no_other_waiting_for_longer_than_a_minute_and_goes_on_with_it() -> None:
    clock = settled(remote(), remote("slow"))
    clock.change()
    clock.go_on(START + 30.0)
    clock.end(disk=3)
    clock.go_on(START + 31.0)
    clock.change()
    clock.go_on(START + 91.0)
    assert clock.cut == [(START + 30.0 + SLICE_SECONDS, ("slow",))]
    assert len(clock.begun) == 1
    clock.end(slow=None)
    assert clock.begun[1:] == [(START + 91.0, ("disk", "slow"))]
    slow = clock.schedule.status(clock.now)[1]
    assert (slow.waits, slow.failure, slow.failures) == (91.0, None, 0)
    clock.end(disk=4)
    clock.go_on(START + 1000.0)
    assert len(clock.cut) == 1, "nobody waits for its end"
    clock.change()
    clock.go_on(START + 1030.0)
    assert clock.cut[1:] == [(START + 1030.0, ("slow",))]


def test_who_is_cut_short_has_longer_the_next_time_so_it_is_ready_in_the_end() -> None:
    clock = settled(remote(), remote("slow"))
    clock.change()
    clock.go_on(START + 30.0)
    for number in range(5):
        clock.end(disk=3 + number)
        clock.change()
        clock.go_on(clock.now + 400.0)
        clock.end(slow=None)
    took = [at - began for (at, _), (began, _) in zip(clock.cut, clock.begun, strict=False)]
    assert took == [SLICE_SECONDS * factor for factor in range(1, 6)]
    clock.end(slow=99, disk=100)
    clock.change()
    clock.go_on(clock.now + 30.0)
    clock.end(disk=101)
    clock.change()
    clock.go_on(clock.now + 100.0)
    assert clock.cut[-1][0] - clock.begun[-1][0] == SLICE_SECONDS


def test_a_run_that_begins_takes_along_whoever_waits() -> None:
    clock = settled(remote(), remote("failing"), remote("hourly", RemotePlan(HOUR)))
    clock.change()
    clock.go_on(START + 30.0)
    clock.end(disk=3, failing="no")
    clock.go_on(START + 35.0)
    clock.change()
    clock.go_on(START + 45.0)
    assert clock.begun[1:] == [(START + 40.0, ("failing", "disk"))], "the next of the third is in an hour"


def test_a_remote_that_fails_is_tried_again_after_pauses_that_grow_to_some_minutes() -> None:
    clock = settled(remote(), remote("good"))
    clock.change()
    clock.go_on(START + 30.0)
    clock.end(good=3)
    for _ in range(60):
        clock.end(disk="The disk is not there.")
        due = clock.timers.next()
        assert due is not None
        clock.go_on(due + MOST_PAUSE_SECONDS * 0.9 if due > clock.now + MOST_PAUSE_SECONDS else due)
    starts = [at for at, names in clock.begun if names == ("disk",)]
    pauses = [later - earlier for earlier, later in zip([START + 30.0, *starts], starts, strict=False)]
    assert pauses[:6] == [FIRST_PAUSE_SECONDS * 2**number for number in range(5)] + [MOST_PAUSE_SECONDS]
    assert set(pauses[6:]) == {MOST_PAUSE_SECONDS}
    assert [names for _, names in clock.begun].count(("good",)) == 0, "nothing has changed for it"


def test_a_failure_and_its_end_are_logged_once() -> None:
    clock = settled(remote())
    clock.change()
    clock.go_on(START + 30.0)
    clock.end(disk="The disk is\nnot there.")
    clock.go_on(START + 40.0)
    clock.end(disk="The disk is not there.")
    clock.go_on(START + 60.0)
    clock.end(disk=3)
    assert clock.notices == [
        "disk gets no copy: The disk is not there.",
        "disk is backed up again: copy 3 is complete",
    ]


def test_when_somebody_has_mended_it_a_remote_is_tried_again_at_once() -> None:
    clock = settled(remote(), remote("other"))
    clock.change()
    clock.go_on(START + 30.0)
    for _ in range(12):
        clock.end(disk="no", other="no")
        clock.go_on(clock.now + MOST_PAUSE_SECONDS)
    clock.end(disk="no", other="no")
    clock.begun.clear()
    clock.set(remote(), remote("other"))
    clock.go_on(clock.now + 1.0)
    assert clock.begun == [], "to look at the settings is not to mend"
    clock.set(remote(), remote("other"), asked="disk")
    now = clock.now
    clock.go_on(now + 1.0)
    assert clock.begun == [(now, ("disk",))]


def test_a_copy_that_somebody_orders_begins_at_once_whatever_the_plan_says() -> None:
    clock = settled(remote("disk", MANUAL), remote("nas", RemotePlan(HOUR)))
    begun = len(clock.begun)
    assert clock.order("disk")
    assert clock.begun[begun:] == [(clock.now, ("disk",))]
    assert clock.order("disk")  # it is the one that is under way
    clock.end(disk=9)
    clock.go_on(clock.now + 60)
    assert len(clock.begun) == begun + 1
    assert not clock.order("nobody")
    status = clock.schedule.status(clock.now)[0]
    assert (status.copy, status.age) == (9, 60)


def test_an_ordered_copy_that_is_cut_short_for_others_goes_on_later() -> None:
    clock = settled(remote("disk", MANUAL), remote("nas", RemotePlan(HOUR)))
    clock.order("disk")
    clock.order("nas")
    clock.go_on(clock.now + SLICE_SECONDS + 1)
    assert clock.cut
    clock.end(disk=None)
    assert clock.begun[-1][1] == ("nas", "disk")


def test_another_plan_holds_at_once_and_is_a_change_itself() -> None:
    clock = settled(remote())
    clock.set(remote(plan=RemotePlan(HOUR)))
    clock.go_on(START + 2 * HOUR)
    clock.end(disk=3)
    assert clock.begun == [(BOOT + GATHER_SECONDS + HOUR, ("disk",))], "its last copy was begun soon after the boot"
    clock.change()
    clock.set(remote())
    clock.go_on(START + 3 * HOUR)
    clock.set(remote(plan=MANUAL))
    clock.end(disk=4)
    clock.change()
    clock.go_on(START + 1e5)
    assert clock.begun[1:] == [(START + 2 * HOUR + GATHER_SECONDS, ("disk",))]


def test_the_first_copy_in_a_new_remote_begins_at_once() -> None:
    clock = settled()
    clock.set(remote(since=START, copy=None, completed=None, plan=RemotePlan(HOUR)))
    clock.go_on(START + 10.0)
    assert clock.begun == [(START, ("disk",))]


def test_what_somebody_else_has_copied_does_not_wait_any_more() -> None:
    clock = settled(remote())
    clock.change()
    clock.go_on(START + 25.0)
    clock.set(remote(copy=7, completed=START + 20.0))
    clock.go_on(START + 1000.0)
    assert clock.begun == []
    assert clock.schedule.status(clock.now)[0].waits is None
    clock.change()
    clock.set(remote(copy=8, completed=clock.now + 5 * HOUR))
    clock.go_on(START + 2000.0)
    assert clock.begun == [(START + 1030.0, ("disk",))], "a clock that was set says nothing of what is in a copy"


def test_what_has_changed_about_when_somebody_else_began_a_copy_is_copied_again() -> None:
    clock = settled(remote())
    clock.change()
    clock.go_on(START + 18.0)
    clock.change()
    clock.go_on(START + 26.0)
    clock.set(remote(copy=7, completed=START + 25.0))
    clock.go_on(START + 1000.0)
    assert clock.begun == [(START + 55.0, ("disk",))], "an interval after that copy"


def test_after_a_boot_what_was_due_is_due_soon_and_not_in_the_same_moment() -> None:
    clock = Clock(remote(completed=BOOT - 1e6), remote("hourly", RemotePlan(HOUR), completed=BOOT - HOUR + 60.0))
    clock.go_on(BOOT + 50.0)
    clock.end(disk=2)
    clock.go_on(BOOT + 100.0)
    assert clock.begun == [(BOOT + BOOT_SECONDS, ("disk",)), (BOOT + 60.0, ("hourly",))]


@pytest.mark.parametrize("hours", [-1000, -5, 5, 1000])
def test_a_clock_that_is_set_back_or_forward_delays_a_copy_by_one_interval_at_most(hours: int) -> None:
    clock = Clock(remote(plan=RemotePlan(HOUR), completed=BOOT + hours * HOUR))
    clock.go_on(BOOT + HOUR)
    assert [at for at, _ in clock.begun] == [BOOT + (BOOT_SECONDS if hours < 0 else HOUR)]


def test_a_remote_that_is_removed_meanwhile_is_forgotten_and_one_of_its_name_waits_for_the_old_run() -> None:
    clock = settled(remote())
    clock.change()
    clock.go_on(START + 30.0)
    clock.set()
    clock.set(remote(copy=None, completed=None, since=clock.now))
    clock.go_on(START + 100.0)
    assert len(clock.begun) == 1
    clock.end(disk=9)
    assert clock.schedule.status(clock.now)[0].copy is None
    clock.go_on(START + 200.0)
    assert clock.begun[1:] == [(START + 100.0, ("disk",))]
    clock.end(disk=10, stranger=4)
    clock.end(disk="twice")
    assert clock.schedule.status(clock.now)[0].failures == 0


def test_what_is_due_while_another_run_is_under_way_goes_together_in_the_next() -> None:
    clock = Clock(*(remote(f"r{number}", RemotePlan(HOUR), completed=BOOT - 3600.0 + number) for number in (5, 8, 9)))
    clock.go_on(BOOT + 10.0)
    assert [names for _, names in clock.begun] == [("r5",)]
    assert clock.schedule.status(clock.now)[-1].next == 0.0
    clock.end(r5=9)
    assert clock.begun[1:] == [(BOOT + 10.0, ("r8", "r9"))]


# --- warnings -------------------------------------------------------------------------------------------------------


def test_who_gets_no_copy_for_longer_than_set_is_named_with_the_reason_and_what_to_do_once() -> None:
    clock = settled(remote(plan=RemotePlan(warn=900)))
    clock.change()
    clock.fail(START + 899.0, "/mnt/disk is not there: is its disk mounted?")
    assert clock.warnings == []
    clock.notices.clear()
    clock.go_on(START + 900.0)
    (warning,) = clock.warnings
    assert clock.notices == [warning]
    assert warning.startswith("Nothing was backed up to disk for 22 min: /mnt/disk is not there: is its disk mounted?")
    assert "`nectar backup run disk --node a.nec` tries at once." in warning
    clock.fail(START + 1e5, "/mnt/disk is not there: is its disk mounted?")
    assert len(clock.notices) == 1
    clock.go_on(START + 1e5 + MOST_PAUSE_SECONDS)
    clock.end(disk=3)
    assert clock.warnings == []
    assert clock.notices[1:] == ["disk is backed up again: copy 3 is complete"]


def test_an_idle_node_is_never_warned_of() -> None:
    clock = settled(remote(plan=RemotePlan(warn=60)))
    clock.go_on(START + 1e6)
    clock.change()
    clock.go_on(clock.now + 30.0)
    clock.end(disk=3)
    assert clock.notices == []


def test_a_copy_that_takes_for_ever_is_warned_of() -> None:
    clock = settled(remote())
    clock.change()
    clock.go_on(START + 2 * HOUR)
    assert clock.warnings == ["Nothing was backed up to disk for 2 h 7 min; a copy has been under way for 1 h 59 min."]


def test_a_remote_for_people_warns_if_it_is_told_to() -> None:
    clock = settled(remote(plan=RemotePlan(None, 86400)))
    clock.go_on(BOOT + 90_000.0)
    assert clock.warnings == [
        "Nothing was backed up to disk for 1 d 1 h, and something has changed: "
        "`nectar backup run disk --node a.nec` makes a copy."
    ]


def test_after_a_boot_there_is_time_to_copy_what_waited_before_anybody_is_warned() -> None:
    clock = Clock(remote(completed=BOOT - 1e6))
    clock.go_on(BOOT + BOOT_GRACE_SECONDS - 1.0)
    assert clock.notices == []
    clock.go_on(BOOT + BOOT_GRACE_SECONDS)
    assert len(clock.notices) == 1


def test_plans_have_usual_waits_and_these_can_be_changed() -> None:
    waits = [
        RemotePlan(),
        RemotePlan(6 * HOUR),
        RemotePlan(2),
        MANUAL,
        RemotePlan(warn=NEVER),
        RemotePlan(None, 5),
        RemotePlan(HOUR, 7),
    ]
    assert [plan.warn_after for plan in waits] == [WARN_CONTINUOUS, 12 * HOUR, 60, None, None, 5, 7]
    clock = settled(remote())
    clock.change()
    clock.go_on(START + 30.0)
    clock.end(disk="no")
    clock.go_on(START + 200.0)
    clock.end(disk="no")
    assert clock.warnings == []
    clock.set(remote(plan=RemotePlan(warn=100)))
    clock.go_on(clock.now)
    assert len(clock.warnings) == 1
    clock.set(remote(plan=RemotePlan(warn=NEVER)))
    assert clock.warnings == []


# --- whatever happens -----------------------------------------------------------------------------------------------


STOP_SECONDS = 1.5
"""How long it takes at most to end a run."""


class World:
    """Remotes that work, are slow, fail and come back, and a check of each promise at each step."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.good = [f"good{number}" for number in range(chance.randint(1, 5))]
        self.bad = [f"bad{number}" for number in range(chance.randint(0, 5))]
        self.clock = Clock(*map(self.known, (*self.good, *self.bad)), boot=0.0)
        self.heap: list[tuple[float, int, Callable[[], None]]] = []
        self.under_way: dict[str, tuple[float, int]] = {}
        """When each copy that is under way was begun, and which one it is."""
        self.work = {name: chance.uniform(0.1, 2000.0) for name in self.bad}
        """Seconds that a copy in each bad remote will take from where it is."""
        self.cuts = dict.fromkeys(self.bad, 0)
        self.slices: deque[float] = deque([SLICE_SECONDS], 2)
        """How long this run and the one before may keep others waiting."""
        self.waits: dict[str, list[float]] = {name: [] for name in self.good}
        self.completed = dict.fromkeys((*self.good, *self.bad), 0)
        self.count = 1
        self.seen = self.seen_cuts = 0

    def known(self, name: str) -> KnownRemote:
        return KnownRemote(name, RemotePlan(), 0.0, 1, 0.0)

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        self.count += 1
        heapq.heappush(self.heap, (self.clock.now + seconds, self.count, what))

    def play(self, seconds: float) -> None:
        self.later(self.chance.uniform(0, 50), self.change)
        while self.heap and self.heap[0][0] <= seconds:
            at = self.heap[0][0]
            due = self.clock.timers.next()
            if due is not None and due <= at:
                self.clock.go_on(due)
            else:
                self.clock.go_on(at)
                heapq.heappop(self.heap)[2]()
            self.look()

    def change(self) -> None:
        self.clock.change()
        for waiting in self.waits.values():
            waiting.append(self.clock.now)
        self.later(self.chance.choice([0.001, 1.0, 20.0, 40.0, 300.0]) * self.chance.random(), self.change)

    def look(self) -> None:
        """See what has begun and what is cut short, and that nothing is late."""
        for _, names in self.clock.begun[self.seen :]:
            assert not self.under_way, "two runs at once"
            self.slices.append(SLICE_SECONDS * (1 + max(self.cuts.get(name, 0) for name in names)))
            for name in names:
                self.begin(name)
        self.seen = len(self.clock.begun)
        for _, names in self.clock.cut[self.seen_cuts :]:
            assert set(names) == self.under_way.keys()
            taken = self.chance.uniform(0.0, STOP_SECONDS)
            for name in names:
                self.later(taken, lambda name=name, run=self.under_way[name]: self.stop(name, run))  # type: ignore[misc]
        self.seen_cuts = len(self.clock.cut)
        patience = max(self.slices) + (STOP_SECONDS if self.bad else 0.0)
        for name, waiting in self.waits.items():
            late = [at for at in waiting if self.clock.now > max(at, BOOT_SECONDS) + patience + 1e-6]
            assert not late, f"{name} waits since {late[0]}, now it is {self.clock.now}, and {patience} is allowed"

    def begin(self, name: str) -> None:
        self.count += 1
        self.under_way[name] = run = (self.clock.now, self.count)
        if name in self.good:
            self.waits[name].clear()
        takes = self.chance.uniform(0.1, 59.9) if name in self.good else self.work[name]
        self.later(takes, lambda: self.end(name, run))

    def stop(self, name: str, run: tuple[float, int]) -> None:
        """Its run is cut short, if it has not ended meanwhile; a bad remote has found out for ten seconds where it was,
        then made progress."""
        if self.under_way.get(name) == run:
            assert name in self.bad, "a copy that takes less than a minute is not cut short"
            self.work[name] -= max(0.0, self.clock.now - run[0] - 10.0)
            self.cuts[name] += 1
            del self.under_way[name]
            self.clock.end(**{name: None})

    def end(self, name: str, run: tuple[float, int]) -> None:
        if self.under_way.get(name) != run:
            return  # it was cut short
        del self.under_way[name]
        fails = name in self.bad and self.chance.random() < 0.6
        if name in self.bad:
            self.work[name], self.cuts[name] = self.chance.choice([1.0, 50.0, 2000.0]) * self.chance.random(), 0
        self.completed[name] += not fails
        self.clock.end(**{name: "It does not answer." if fails else self.count})
        if self.chance.random() < 0.1:
            self.clock.set(*map(self.known, (*self.good, *self.bad)), asked=self.chance.choice(self.good))


@pytest.mark.parametrize("seed", seeds(12, 1000))
def test_whatever_happens_each_change_leaves_within_a_minute_and_no_remote_has_two_copies_under_way(seed: int) -> None:
    world = World(random.Random(seed))
    world.play(20_000.0)
    assert all(world.completed.values()), "the slowest ones are ready in the end"
