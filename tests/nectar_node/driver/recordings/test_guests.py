"""Guests that save states, compute for long on other threads, crash and are installed while their node is recorded."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from nectar_node.driver.recordings.replaying import PURPOSE
from nectar_node.launcher.boot_options import BootOptions
from net.names import keyfile
from testnet.real.local import LocalTestnet
from tests.commands import nectar
from tests.nectar_node.driver.recordings.recorded import Recording

NODE = "recorded-d.nec"
GUESTS = Path(__file__).resolve().parents[3] / "guests"


def _package(folder: Path, *files: Path) -> Path:
    folder.mkdir()
    for file in files:
        shutil.copy(file, folder)
    name = files[0].stem
    entry = {"process_name": name, "process_wasm_path": f"/{name}.wasm", "public": True, "on_exit": "None"}
    rights = {"request_networking": False, "request_capabilities": []}
    (folder / "manifest.json").write_text(json.dumps([entry | rights]))
    return folder


@pytest.fixture(scope="module")
def guests(network: LocalTestnet, tmp_path_factory: pytest.TempPathFactory) -> tuple[Recording, Mapping[str, object]]:
    """A recorded node whose guests do all of that, and that is killed while one of them computes; and its crash."""
    folder = tmp_path_factory.mktemp("guests")
    record = folder / "recordings"
    record.mkdir(mode=0o700)
    network.add(NODE, BootOptions(record=record))
    crashing = GUESTS / "crashing"
    crasher = _package(folder / "crashing", crashing / "zig.wasm", crashing / "zig.wasm.debug")
    for package in (crasher, _package(folder / "probes", GUESTS / "probe.wasm")):
        done = nectar("start", package, "--node", NODE, folder=network.folder)
        assert done.code == 0, done.err
    network.message(NODE, "our@probe:probes:local", '[{"SetState": "kept"}, "GetState", {"Respond": {"body": "done"}}]')
    for body in ("fine", "save", "bounds"):
        network.message(NODE, "our@zig:crashing:local", body)
    network.message(NODE, "our@probe:probes:local", '["Spin"]', timeout=1)
    listed = nectar("errors", "--node", NODE, "--json", folder=network.folder)
    (crash,) = (row for row in map(json.loads, listed.out.splitlines()) if row["kind"] == "crash")
    key = keyfile.unlock_key_file(network.place(NODE).key, None).identity.derive(PURPOSE)
    network.kill(NODE)
    return Recording(record, {NODE: key}, network.folder), crash


def test_they_do_the_same_again(guests: tuple[Recording, Mapping[str, object]]) -> None:
    recording, _ = guests
    player, difference = recording.replay(NODE)
    assert difference is None
    assert player.core.dead_letters.count >= 1
    assert player.polled_elsewhere > 1


def test_a_mistake_in_a_package_is_found_by_its_recording_alone(
    guests: tuple[Recording, Mapping[str, object]],
) -> None:
    _, crash = guests
    words = shlex.split(str(crash["replay"]))[1:]
    before = nectar(*words, "--ask", "stack zig:crashing:local", "--ask", "go index out of", "--ask", "crashes")
    assert before.code == 0, before.err
    assert "at init at crash.zig:8" in before.out
    assert "at element at crash.zig:26" in before.out
