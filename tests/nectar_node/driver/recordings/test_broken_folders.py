"""What happens to the folder of a recording while its node runs never stops the node, and is told once."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nectar_node.driver.recordings.replaying import PURPOSE
from nectar_node.launcher.boot_options import BootOptions
from net.names import keyfile
from testnet.real.local import LocalTestnet
from tests.commands import nectar
from tests.nectar_node.cli.published import package
from tests.nectar_node.driver.recordings.recorded import Recording
from tests.waiting import until

LARGE = "x" * 200_000


def _fill_disk(network: LocalTestnet, node: str, boot: Path) -> None:
    """Let no file become longer than the recording is now, and see to it that no other one is."""
    for _ in range(10):
        assert network.message(node, "our@echo:echo:sys", LARGE)["body"] == LARGE
    until(lambda: (boot / "000001.recording").stat().st_size > 10 * len(LARGE))
    pid = network.pid(node)
    assert pid is not None
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, ((boot / "000001.recording").stat().st_size, hard))


def _remove(_network: LocalTestnet, _node: str, boot: Path) -> None:
    shutil.rmtree(boot.parent)


def _replace(_network: LocalTestnet, _node: str, boot: Path) -> None:
    """Put a file where the folder was."""
    boot.rename(boot.with_name("elsewhere"))
    boot.write_text("no folder")
    for each in boot.with_name("elsewhere").iterdir():
        each.unlink()


@pytest.mark.parametrize(
    ("node", "harm"), [("recorded-g.nec", _fill_disk), ("recorded-h.nec", _remove), ("recorded-i.nec", _replace)]
)
def test_the_node_goes_on_says_so_and_still_starts_programs(
    network: LocalTestnet, tmp_path: Path, node: str, harm: Callable[[LocalTestnet, str, Path], None]
) -> None:
    record = tmp_path / "recordings"
    record.mkdir(mode=0o700)
    network.add(node, BootOptions(record=record))
    harm(network, node, record / node / "boot-000001")

    def told() -> bool:
        assert network.message(node, "our@echo:echo:sys", LARGE)["body"] == LARGE
        return "the recording ends: " in network.log(node)

    until(told)
    done = nectar("start", package(tmp_path / "new", "new:local", "1.0.0"), "--node", node, folder=network.folder)
    assert done.code == 0, done.err
    assert network.message(node, "our@echo:new:local", "new")["body"] == "new"
    assert network.log(node).count("the recording ends: ") == 1
    status = network.status(node)["recording"]
    assert isinstance(status, dict)
    assert str(status["problem"]).startswith("the recording ends: ")
    network.restart(node)
    assert network.message(node, "our@echo:echo:sys", "again")["body"] == "again"
    key = keyfile.unlock_key_file(network.place(node).key, None).identity.derive(PURPOSE)
    network.stop(node)
    _, difference = Recording(record, {node: key}, network.folder).replay(node)
    assert difference is None
