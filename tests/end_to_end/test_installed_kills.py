"""G26 for installed packages: a node that is killed while it tries, changes or removes one has all of it or none."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nectar_node.cli.main import main
from nectar_node.launcher.boot_options import BootOptions
from nectar_node.launcher.local_network import LocalNetwork
from testnet.real.local import LocalTestnet
from tests.conformance.steps import TRAP, respond, script
from tests.nectar_node.cli.test_install_attacks import probes
from tests.waiting import until

BOB, BOX = "bob.nec", "our@a:box:local"
Told = Callable[..., Any]
pytestmark = pytest.mark.long


@pytest.fixture
def network(fresh_network: LocalTestnet) -> LocalTestnet:
    """A network of one node without packages."""
    fresh_network.options = BootOptions(packages=())
    fresh_network.start((BOB,))
    return fresh_network


@pytest.fixture
def told(network: LocalTestnet, capsys: pytest.CaptureFixture[str]) -> Told:
    """What a command says that succeeds."""

    def say(*words: str | Path) -> Any:
        capsys.readouterr()
        code = main([*map(str, words), "--node", BOB, "--dir", str(network.folder), "--json"])
        shown = capsys.readouterr()
        assert code == 0, shown
        return json.loads(shown.out)

    return say


def killed_while(network: LocalTestnet, seconds: float, command: str, **fields: object) -> None:
    """Kill the node so long after it was told something, and boot it again."""
    with LocalNetwork(network.folder).connect(BOB) as client:
        client.send(command, **fields)
        time.sleep(seconds)
        network.kill(BOB)
    network.add(BOB)


def answers(network: LocalTestnet) -> bool:
    return bool(network.message(BOB, BOX, script(respond("here")).decode())["outcome"] == "response")


def test_a_version_on_trial_when_the_node_is_killed_is_on_trial_again(
    network: LocalTestnet, told: Told, tmp_path: Path
) -> None:
    told("install", probes(tmp_path / "1", "1.0.0"))
    told("install", probes(tmp_path / "2", "1.1.0"), "--replace")
    shutil.rmtree(tmp_path / "1")
    network.kill(BOB)
    network.add(BOB)
    assert told("info", "box")["version"] == "1.1.0"
    assert network.message(BOB, BOX, script(TRAP).decode())["outcome"] != "response"
    until(lambda: told("info", "box")["version"] == "1.0.0")
    assert answers(network)
    network.kill(BOB)
    network.add(BOB)
    assert told("info", "box")["version"] == "1.0.0"
    assert answers(network)


def test_a_node_that_is_killed_while_it_goes_back_has_one_version_or_the_other(
    network: LocalTestnet, told: Told, tmp_path: Path
) -> None:
    told("install", probes(tmp_path / "0", "1.0.0"))
    for number, delay in enumerate((0.0, 0.01, 0.03, 0.1), 1):
        told("install", probes(tmp_path / str(number), f"1.{number}.0"), "--replace")
        killed_while(network, delay, "roll_back", address="box:local", replace=True)
        shown = told("info", "box")
        assert shown["version"] == shown["versions"][0]["version"]
        assert answers(network)
        kept = list((network.place(BOB).path / "packages").iterdir())
        assert len(kept) == len(shown["versions"]), kept


def test_a_node_that_is_killed_while_it_uninstalls_has_the_package_or_nothing_of_it(
    network: LocalTestnet, told: Told, tmp_path: Path
) -> None:
    for number, delay in enumerate((0.0, 0.01, 0.03, 0.1)):
        told("install", probes(tmp_path / str(number), f"1.{number}.0"), "--replace")
        killed_while(network, delay, "uninstall", address="box:local")
        there = bool(told("list")["packages"])
        assert answers(network) is there
        kept = list((network.place(BOB).path / "packages").iterdir())
        assert len(kept) == (len(told("info", "box")["versions"]) if there else 0), kept
