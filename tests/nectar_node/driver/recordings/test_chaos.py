"""Nodes are recorded under faults, and every boot of every node replays without a difference."""

from __future__ import annotations

from pathlib import Path

import pytest

from nectar_node.contract.config import REGISTRAR_NAME
from nectar_node.driver.recordings.replaying import PURPOSE, find, replay_of
from nectar_node.launcher.boot_options import BootOptions, keep_options
from nectar_node.launcher.file_transfer import Interrupts
from nectar_node.launcher.local_network import LocalNetwork
from nectar_node.recording.ring import boots_in
from net.names import keyfile
from testnet.chaos.nodes import OWN_NODES, RunningTestnet, started
from testnet.chaos.plan import draw_rounds
from testnet.chaos.run import run_chaos
from testnet.faults.bit_flips import BitFlips
from testnet.faults.crash import Crash
from testnet.faults.disk_full import DiskFull
from testnet.faults.partition import Partition
from testnet.faults.pause import Pause
from testnet.faults.schedule import Schedule, Step
from testnet.model.where import Where

ONE, TWO, THREE = OWN_NODES
SCHEDULE: Schedule = (
    Step(0.5, 3.0, BitFlips(1e-6, where=Where(TWO))),
    Step(1.0, 1.5, Crash(ONE)),
    Step(1.5, 2.5, Partition(Where(TWO, THREE))),
    Step(2.0, 2.5, Pause(THREE)),
    Step(2.5, 3.5, DiskFull(TWO)),
)
"""The node whose disk is full goes on recording: the fault is one of its own disk jobs."""


class Silent:
    """Shows nothing."""

    def show(self, done: int, total: int, text: str) -> None:
        """Show nothing."""


def _replayed(folder: Path, schedule: Schedule, seconds: float) -> dict[tuple[str, int], object]:
    """Return the difference that each boot of each node has when it is replayed after a chaos run."""
    network, record = LocalNetwork(folder / "testnet"), folder / "recordings"
    record.mkdir(mode=0o700)
    nodes = (REGISTRAR_NAME, *OWN_NODES)
    for name in nodes:
        place = network.place(name)
        place.create()
        keep_options(place, BootOptions(record=record))
    with started(network, OWN_NODES) as line:
        running = RunningTestnet(network, OWN_NODES, line)
        report = run_chaos(running, 5, seconds, schedule, Silent(), Interrupts())
    assert report.violations() == [], report.evidence()
    found: dict[tuple[str, int], object] = {}
    for name in nodes:
        key = keyfile.unlock_key_file(network.place(name).key, None).identity.derive(PURPOSE)
        for boot in boots_in(record / name):
            player = replay_of(find(record, name, boot), key)
            found[name, boot] = player.run()
            print(name, boot, player.steps, round(player.now - player.first, 1), found[name, boot])
    return found


def test_a_run_with_a_kill_broken_links_and_a_full_disk_is_replayed_without_a_difference(tmp_path: Path) -> None:
    found = _replayed(tmp_path, SCHEDULE, 5.0)
    assert [each for each in found.items() if each[1] is not None] == []
    assert set(found) >= {(ONE, 1), (ONE, 2), (TWO, 1), (THREE, 1), (REGISTRAR_NAME, 1)}


@pytest.mark.long
def test_ten_minutes_of_chaos_are_replayed_without_a_difference(tmp_path: Path) -> None:
    found = _replayed(tmp_path, draw_rounds(OWN_NODES, 600.0, 5), 600.0)
    assert [each for each in found.items() if each[1] is not None] == []
