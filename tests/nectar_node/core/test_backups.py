"""What counts as a change that waits for a copy: on nodes in virtual time, and for each kind of disk job."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kernel.contract.address import ProcessId
from kernel.contract.guest import GuestStatistics
from kernel.wasm.engine import Engine
from nectar_node.backup.schedule import BOOT_SECONDS, GATHER_SECONDS, KnownRemote, RemotePlan
from nectar_node.base.system_processes import BACKUPS
from nectar_node.contract.actions import DriverAction, StartBackup
from nectar_node.core.backups import Backups
from nectar_node.core.disk_use import DiskUse
from nectar_node.storage import operations as ops
from nectar_node.storage.ledger import Ledger
from nectar_node.system.process import SystemToken
from net.base.timers import Timers
from tests.conformance.lab import SimLab
from tests.conformance.steps import Step, blob, say, set_state, spawn, wait_for

VFS = "our@vfs:distro:sys"
FILE = ops.Location("vfs", ("app:sys", "f"))
STORE = ops.Location("node", ("store",))
FULL = ops.DiskError(ops.DiskFault.FULL, "No space left on device")
REMOTE = KnownRemote("disk", RemotePlan(), 0.0, 1, 0.0)


class Core:
    """The backups of a core, with one remote that has everything."""

    def __init__(self, *, grants: bool = False) -> None:
        self.emitted: list[DriverAction] = []
        self.timers: Timers[object] = Timers()
        self.backups = Backups("a.nec", self.emitted.append, self.timers, grants=grants)
        self.backups.set_remotes([REMOTE], 0.0, "")
        self.backups.on_timer(GATHER_SECONDS)
        assert self.emitted == [StartBackup(("disk",))]
        self.backups.ended({"disk": 2}, GATHER_SECONDS)

    def waits_after(self, job: ops.Job, outcome: ops.Outcome = None) -> bool:
        """Whether there is something to copy when a job is done."""
        self.backups.job_done(job, outcome, 100.0)
        (row,) = self.backups.status(100.0)
        return row.waits is not None


def commit(*rows: ops.Row, states: tuple[ops.StateRow, ...] = ()) -> ops.Job:
    return ops.Job(ops.Commit(STORE, rows, states), "store", None)


GRANT = commit(ops.Row("grants", "holder:app:x.nec", b""))
STATE = commit(states=(ops.StateRow("main:app:sys", b"1"),))
OWN_RECORD = commit(ops.Row("own", "sequence", b""))
OWN_NAME, OTHER_NAME = (commit(ops.Row("names", name, b"")) for name in ("a.nec", "b.nec"))


@pytest.mark.parametrize(
    ("operation", "changes"),
    [
        (ops.WriteAt(FILE, 0, b"x"), True),
        (ops.Append(FILE, b"x"), True),
        (ops.Rename(FILE, FILE), True),
        (ops.RemoveFolder(FILE, True), True),
        (ops.ReadAt(FILE, 0, 1), False),
        (ops.ListFolder(FILE), False),
        (ops.Hash(FILE), False),
        (ops.ReadState(STORE, "main:app:sys", 1), False),
    ],
)
def test_what_may_write_is_a_change_also_if_it_fails_and_what_reads_is_none(
    operation: ops.Operation, changes: bool
) -> None:
    job = ops.Job(operation, "lane", None)
    assert [Core().waits_after(job), Core().waits_after(job, FULL)] == [changes, changes]


def test_every_commit_is_a_change_but_for_names_that_the_registrar_has_too() -> None:
    assert [Core().waits_after(job) for job in (GRANT, STATE, OWN_NAME, OTHER_NAME)] == [True, True, False, False]
    assert not Core().waits_after(OWN_RECORD), "it has the number of the newest copy, so no copy would be the last"
    assert not Core().waits_after(GRANT, FULL), "nothing of a commit that fails is written"
    registrar = [Core(grants=True).waits_after(job) for job in (OTHER_NAME, OWN_NAME)]
    assert registrar == [True, False], "its own record has the number of its newest copy"


def test_what_is_kept_for_others_is_no_change_so_that_two_keepers_of_each_other_come_to_rest() -> None:
    token = SystemToken(BACKUPS, 1)
    put = ops.Job(ops.Replace(ops.Location("kept", ("b.nec", "packs", "p")), b"x"), "lane", token)
    assert not Core().waits_after(commit(ops.Row("kept", "b.nec/packs/p", b"")))
    assert not Core().waits_after(put)
    assert Core().waits_after(commit(ops.Row("owners", "b.nec", b""))), "what the user agreed to is to be copied"


def test_a_guest_that_writes_by_wasi_counts_as_a_change_whenever_it_has_done_anything() -> None:
    polls = 0
    watch = DiskUse(Ledger("vfs"), lambda _: GuestStatistics(0, 0, polls, None), Timers())
    watch.starts(ProcessId("main", "app", "sys"), 0.0)

    def looked(now: float) -> bool:
        watch.on_timer(now)
        job = watch.next_action()
        if job is None:
            return False
        assert isinstance(job, ops.Job)
        counted = ops.Counted(ops.Usage(0, 0), ops.Usage(0, 0), 1, 1)
        watch.done(job, counted, now)
        return Core().waits_after(job, counted)

    assert [looked(0.0), looked(1.0)] == [True, False]
    polls = 1
    assert looked(2.0)


def test_what_packages_do_is_copied_and_what_they_read_is_not(replayable: Engine, tmp_path: Path) -> None:
    lab = SimLab(replayable, tmp_path, 1)
    probe = lab.probe("a", capabilities=("vfs:distro:sys", "state:distro:sys"))
    probe.tell(ask("", "CreateDrive"), ask("/f", "CreateFile"))
    lab.our.core.set_remotes([REMOTE], lab.now)
    lab.our.go_on()

    def waits_after(*steps: Step) -> bool:
        probe.tell(*steps)
        (row,) = lab.our.core.backups.status(lab.now)
        waits = row.waits is not None
        lab.until(lab.now + max(BOOT_SECONDS, GATHER_SECONDS) + 1.0)
        (row,) = lab.our.core.backups.status(lab.now)
        assert (row.running is not None) is waits
        lab.our.core.backup_ended({"disk": 7}, lab.now)
        lab.our.go_on()
        return waits

    assert waits_after(say("hello")), "whatever there was at the boot"
    assert not waits_after(say("hello"))
    assert waits_after(ask("/f", "Write", size=10))
    assert not waits_after(ask("/f", "Read"))
    assert waits_after(set_state("1"))
    assert waits_after(spawn("child"))


def ask(name: str, action: object, size: int | None = None) -> Step:
    path = json.dumps({"path": f"/probes:sys/d{name}", "action": action})
    return wait_for(VFS, path, expects=60, blob=None if size is None else blob(size=size))
