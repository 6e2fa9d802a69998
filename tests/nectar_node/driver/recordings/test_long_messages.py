"""Long messages reach the disk as they came over the wire: a node that is killed is replayed with them, and one whose
ring is full up to what had to go.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from nectar_node.contract.config import DEFAULT_KEEP, LEAST_KEEP
from nectar_node.driver.recordings.replaying import PURPOSE, find
from nectar_node.launcher.boot_options import BootOptions
from nectar_node.recording.segments import TapeEntry
from nectar_node.recording.taped_core import RECEIVED, StepKind
from net.names import keyfile
from testnet.real.local import LocalTestnet
from tests.commands import nectar
from tests.nectar_node.driver.recordings.recorded import Recording
from tests.waiting import until

SENDER = "long-messages.nec"
BODY = "0123456789abcdef" * (1 << 16)
COUNT = 24


def _received(entries: Iterable[TapeEntry]) -> int:
    """Return how many bytes have come on connections."""
    return sum(len(each.body) - RECEIVED.size for each in entries if each.kind == StepKind.RECEIVE)


@pytest.mark.parametrize(("node", "keep"), [("recorded-j.nec", DEFAULT_KEEP), ("recorded-k.nec", LEAST_KEEP)])
def test_a_node_that_is_killed_after_long_messages_is_replayed_with_them(
    network: LocalTestnet, tmp_path: Path, node: str, keep: int
) -> None:
    if network.pid(SENDER) is None:
        network.add(SENDER)
    network.add(node, BootOptions(record=tmp_path, keep=keep))
    for _ in range(COUNT):
        assert network.message(SENDER, f"{node}@echo:echo:sys", BODY)["body"] == BODY
    boot = tmp_path / node / "boot-000001"
    key = keyfile.unlock_key_file(network.place(node).key, None).identity.derive(PURPOSE)
    if keep == DEFAULT_KEEP:
        until(lambda: _received(find(tmp_path, node, 1).entries(key)) > COUNT * len(BODY))
    else:
        until(lambda: "more than --keep" in network.log(node))
    network.kill(node)
    assert sum(file.stat().st_size for file in boot.iterdir()) <= keep
    found = find(tmp_path, node, 0)
    player, difference = Recording(tmp_path, {node: key}, network.folder).replay(node)
    assert difference is None
    received = _received(found.in_a_row(key))
    done = nectar("replay", tmp_path, "--node", node, "--json", folder=network.folder)
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["difference"], told["steps"]) == (None, player.steps)
    if keep == DEFAULT_KEEP:
        assert found.gap is None
        assert received > COUNT * len(BODY)
    else:
        assert found.gap is not None
        assert told["missing_segments"] == list(found.gap)
        assert received > 4 * len(BODY)
        assert network.log(node).count("more than --keep") == 1
        done = nectar("replay", tmp_path, "--node", node, folder=network.folder)
        assert "were removed to make room" in done.out
