"""The recording that the tests of this folder share."""

from __future__ import annotations

import pytest

from nectar_node.driver.recordings.replaying import PURPOSE
from nectar_node.launcher.boot_options import BootOptions
from net.names import keyfile
from testnet.real.local import LocalTestnet
from tests.nectar_node.driver.recordings.recorded import RECEIVES, SENDS, Recording


@pytest.fixture(scope="package")
def recording(network: LocalTestnet, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """A node asks another one by message and is killed; the other one ends in order."""
    folder = tmp_path_factory.mktemp("recording")
    for name in (SENDS, RECEIVES):
        network.add(name, BootOptions(record=folder))
    for _ in range(3):
        assert network.message(SENDS, f"{RECEIVES}@echo:echo:sys", "hello")["body"] == "hello"
    keys = {}
    for name in (SENDS, RECEIVES):
        keys[name] = keyfile.unlock_key_file(network.place(name).key, None).identity.derive(PURPOSE)
    network.kill(SENDS)
    network.stop(RECEIVES)
    return Recording(folder, keys, network.folder)
