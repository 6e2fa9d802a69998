"""What packages have on the disk is told, and who writes past the vfs is watched: pure, and on a real node."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kernel.contract.address import ProcessId
from kernel.contract.events import Kill
from kernel.contract.guest import GuestStatistics
from kernel.wasm.engine import Engine
from nectar_node.contract.actions import LogLine
from nectar_node.core.disk_use import LOOK_SECONDS, LOOK_SHARE, DiskUse
from nectar_node.launcher.boot_options import BootOptions
from nectar_node.storage.ledger import Ledger, Quotas
from nectar_node.storage.operations import Counted, Job, Measure, Usage
from net.base.timers import Timers
from testnet.real.local import LocalTestnet
from tests.conformance.lab import SimLab, SimProbe
from tests.conformance.steps import Step, blob, send, set_state, wait_for
from tests.waiting import until

NODE = "one.nec"
GUEST = Path(__file__).resolve().parents[2] / "guests" / "drive.wasm"
QUOTA = 3000
APP = ProcessId("main", "app", "sys")
VFS = "our@vfs:distro:sys"
ROOM = 1 << 40


class Watched:
    """A package with one guest that opens files, and what is done about it."""

    def __init__(self) -> None:
        self.polls = 0
        self.ledger = Ledger("vfs", Quotas(bytes=100, files=10, floor=50))
        self.timers: Timers[object] = Timers()
        self.use = DiskUse(self.ledger, lambda _: GuestStatistics(0, 0, self.polls, None), self.timers)
        self.use.starts(APP, 0.0)

    def look(self, now: float, size: int, *, files: int = 1, free: int = ROOM, took: float = 0.0) -> list[object]:
        """It is time; the package is found to have so much. What is done about it."""
        self.polls += 1
        self.use.on_timer(now)
        job = self.use.next_action()
        assert isinstance(job, Job)
        assert isinstance(job.operation, Measure)
        used = self.ledger.account(str(APP.package_id)).count(Usage(size, files))
        self.use.done(job, Counted(*used, free, ROOM), now + took)
        return [type(action) for action in iter(self.use.next_action, None)]


ENDED = [LogLine, Kill]


def test_g23_who_writes_past_the_vfs_until_it_is_too_much_makes_too_many_files_or_fills_the_disk_is_ended() -> None:
    watched = Watched()
    assert watched.look(0.0, 90) == []
    assert watched.timers.next() == LOOK_SECONDS
    assert watched.look(1.0, 100) == []
    assert watched.look(2.0, 101) == ENDED
    assert [Watched.look(watched := Watched(), 0.0, 1), watched.look(1.0, 1, files=11)] == [[], ENDED]
    assert [Watched.look(watched := Watched(), 0.0, 1), watched.look(1.0, 2, free=49)] == [[], ENDED]
    watched = Watched()
    assert watched.look(0.0, 1000) == []
    assert watched.look(1.0, 900) == []
    assert watched.look(2.0, 901) == ENDED


def test_who_does_nothing_is_not_looked_at_and_counting_takes_its_share_of_time_alone() -> None:
    watched = Watched()
    watched.look(0.0, 1, took=10.0)
    assert watched.timers.next() == 10.0 + LOOK_SHARE * 10.0
    watched.use.on_timer(50.0)
    assert watched.use.next_action() is None
    assert watched.timers.next() == 50.0 + LOOK_SECONDS
    watched.use.ended(APP)
    assert watched.timers.next() is None


def test_what_everybody_has_is_told(lab: SimLab) -> None:
    probe = writer(lab)
    probe.tell(ask("f", "CreateFile"), ask("f", "Write", size=1000), set_state("12345"))
    used = lab.our.disk_use()
    (row,) = used.packages
    assert (row.package, row.used, row.states) == ("probes:sys", Usage(1005, 3), Usage(5, 1))
    assert used.total - used.free == lab.our.disk.used


@pytest.mark.parametrize("power", [False, True], ids=["killed", "without power"])
def test_g23_after_a_crash_what_a_package_has_is_counted_anew(lab: SimLab, power: bool) -> None:
    probe = writer(lab)
    probe.tell(
        ask("f", "CreateFile"), ask("f", "Write", size=1000), ask("g", "CreateFile"), ask("g", "Append", size=500)
    )
    simulation = lab.simulation
    (simulation.cut_power if power else simulation.crash)(NODE)
    node = simulation.start(NODE)
    lab.rest()
    (row,) = node.disk_use().packages
    found = [len(file) for path, file in node.disk.live.files.items() if path[:2] == (f"{NODE}/vfs", "probes:sys")]
    assert row.used.bytes == sum(found) == (1000 if power else 1500)


def test_g23_a_guest_that_is_killed_leaves_no_hash_going(lab: SimLab) -> None:
    probe = writer(lab)
    steps = [ask("f", "CreateFile"), ask("f", {"SetLen": 4 << 30})]
    probe.tell(*steps, *(send(VFS, vfs("f", "Hash"), expects=3600) for _ in range(5)))
    assert lab.our._lanes.waiting == 1
    lab.kill(probe)
    assert lab.our._lanes.waiting == 0
    assert not lab.our._lanes._turns.begun


@pytest.fixture
def lab(replayable: Engine, tmp_path: Path) -> SimLab:
    return SimLab(replayable, tmp_path, 1)


def writer(lab: SimLab) -> SimProbe:
    probe = lab.probe("a", capabilities=("vfs:distro:sys", "state:distro:sys"))
    probe.tell(ask("", "CreateDrive"))
    return probe


def vfs(name: str, action: object) -> str:
    return json.dumps({"path": f"/probes:sys/d/{name}", "action": action})


def ask(name: str, action: object, size: int | None = None) -> Step:
    return wait_for(VFS, vfs(name, action), expects=60, blob=None if size is None else blob(size=size))


def test_g28_a_guest_that_writes_more_than_its_quota_by_wasi_is_ended_and_the_log_says_why(
    network: LocalTestnet, tmp_path: Path
) -> None:
    package, node = tmp_path / "files", "writes.nec"
    package.mkdir()
    shutil.copy(GUEST, package)
    entry = {"process_wasm_path": "/drive.wasm", "on_exit": "Restart", "public": True}
    manifest = [{"process_name": name, **entry} for name in ("one", "two")]
    (package / "manifest.json").write_text(json.dumps(manifest))
    named = {"properties": {"package_name": "files", "publisher": "some.nec"}}
    (package / "metadata.json").write_text(json.dumps(named))
    network.add(node, BootOptions(packages=(package,), quotas=Quotas(bytes=QUOTA)))

    def write(number: int) -> bool:
        """Whether it still can."""
        if not network.processes(node):
            return False
        answer = network.message(node, "our@one:files:some.nec", f"write /f{number} {'x' * 900}", 5)
        return bool(answer["outcome"] == "response")

    assert all(write(number) for number in range(3))  # 2700 bytes
    assert len(network.processes(node)) == 2
    write(3)
    until(lambda: not network.processes(node))
    for name in ("one", "two"):
        said = f"{name}:files:some.nec: is ended: its package has 3600 bytes on the disk, and may have {QUOTA}"
        assert said in network.log(node)
    with network.connect(node) as client:
        (row,) = client.request("df")["packages"]
    assert (row["package"], row["bytes"], row["files"], row["quota_bytes"]) == ("files:some.nec", 3600, 4, QUOTA)
    network.stop(node)
