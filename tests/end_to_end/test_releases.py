"""A release goes from one real node to another: it is searched for, its node is killed in the middle, and it is
installed."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from nectar_node.cli.main import main
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet
from tests.end_to_end.lab import MIB, command, random_file
from tests.nectar_node.cli.published import package
from tests.waiting import until

ANN, BOB = "ann.nec", "bob.nec"
SIZE = 48 * MIB


def fetched_bytes(network: LocalTestnet, node: str) -> int:
    """How much of a release lies on a node's disk that is not whole."""
    folder = network.place(node).path / "packages" / ".fetching"
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else 0


@pytest.mark.long
def test_a_release_is_found_killed_in_the_middle_and_installed_from_another_node(
    fresh_network: LocalTestnet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = fresh_network
    network.options = BootOptions(packages=())
    network.start((ANN, BOB))
    where = ["--dir", str(network.folder)]

    def told(*words: str) -> Any:
        capsys.readouterr()
        assert main([*words, *where, "--json"]) == 0, capsys.readouterr()
        return json.loads(capsys.readouterr().out)

    folder = package(tmp_path / "echo", f"echo:{ANN}", "1.0.0", description="Answers what it is told.\nAnd more.")
    random_file(folder / "large", SIZE)
    (folder / "api").mkdir()
    (folder / "api" / "echo.wit").write_text("interface echo { variant request { say(string) } }")
    told("publish", str(folder), "--node", ANN)

    assert told("search", "ANSWERS", "--node", BOB, "--on", ANN)["found"] == [
        {"package": f"echo:{ANN}", "version": "1.0.0", "on": ANN, "description": "Answers what it is told."}
    ]
    offered = told("info", f"echo:{ANN}", "--on", ANN, "--node", BOB)
    assert (offered["version"], offered["here"]) == ("1.0.0", False)
    (process,) = told("api", f"echo:{ANN}", "--on", ANN, "--node", BOB)["processes"]
    assert (process["process"], process["messages"][0]["example"]) == (f"echo:echo:{ANN}", {"Say": "text"})
    assert fetched_bytes(network, BOB) == 0
    assert told("search", "chess", "--node", BOB, "--on", ANN)["found"] == []

    install = command("install", f"echo:{ANN}", "--node", BOB, "--json", folder=network.folder)
    with subprocess.Popen(install, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as broken_off:
        until(lambda: fetched_bytes(network, BOB) > 2 * MIB)
        network.kill(BOB)
        assert broken_off.wait(60) == 1
    before = fetched_bytes(network, BOB)
    assert before > 0
    network.add(BOB)

    with subprocess.Popen(install, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as again:
        out, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert json.loads(out)["version"] == "1.0.0"
    assert fetched_bytes(network, BOB) == 0
    answer = network.message(BOB, f"our@echo:echo:{ANN}", '"hi"')
    assert answer["outcome"] == "response", answer
    (copy,) = (network.place(BOB).path / "packages").glob(f"*/echo:{ANN}/large")
    assert copy.read_bytes() == (folder / "large").read_bytes()


@pytest.mark.long
def test_ctrl_c_ends_a_fetch_and_the_same_command_goes_on(
    fresh_network: LocalTestnet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = fresh_network
    network.options = BootOptions(packages=())
    network.start((ANN, BOB))
    where = ["--dir", str(network.folder)]
    folder = package(tmp_path / "echo", f"echo:{ANN}", "1.0.0", description="Answers.")
    random_file(folder / "large", SIZE)
    assert main(["publish", str(folder), "--node", ANN, *where]) == 0

    install = command("install", f"echo:{ANN}", "--node", BOB, folder=network.folder)
    with subprocess.Popen(install, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as interrupted:
        until(lambda: fetched_bytes(network, BOB) > 2 * MIB)
        interrupted.send_signal(signal.SIGINT)
        _, err = interrupted.communicate(timeout=60)
    assert (interrupted.returncode, err.count(b"Traceback")) == (130, 0)
    assert b"is not fetched any more: what has come stays for the next time." in err
    capsys.readouterr()
    assert main(["list", "--node", BOB, "--json", *where]) == 0
    assert json.loads(capsys.readouterr().out)["packages"] == []
    assert fetched_bytes(network, BOB) > 0

    # Without --on it is all that the node has a connection with.
    assert main(["search", "answers", "--node", BOB, "--json", *where]) == 0
    assert [each["on"] for each in json.loads(capsys.readouterr().out)["found"]] == [ANN]
    assert main(["install", f"echo:{ANN}", "--node", BOB, *where]) == 0
    assert fetched_bytes(network, BOB) == 0


@pytest.mark.long
def test_g26_a_node_that_is_killed_during_an_upgrade_has_one_version_or_the_other(
    fresh_network: LocalTestnet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = fresh_network
    network.options = BootOptions(packages=())
    network.start((BOB,))
    where = ["--node", BOB, "--dir", str(network.folder)]
    assert main(["install", str(package(tmp_path / "0", "echo:local", "1.0.0")), *where]) == 0
    for number, delay in enumerate((0.0, 0.05, 0.15, 0.3), 1):
        folder = package(tmp_path / str(number), "echo:local", f"1.{number}.0")
        random_file(folder / "large", 8 * MIB)
        words = command("install", str(folder), "--node", BOB, "--replace", folder=network.folder)
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as upgrade:
            until(lambda: any((network.place(BOB).path / "packages").glob(".new-*")) or upgrade.poll() is not None)
            time.sleep(delay)
            network.kill(BOB)
            upgrade.wait(60)
        network.add(BOB)
        capsys.readouterr()
        assert main(["info", "echo", "--json", *where]) == 0
        shown = json.loads(capsys.readouterr().out)
        running = (Path(network.place(BOB).path) / "packages").glob("*/echo:local/version")
        assert shown["version"] in {each.read_text() for each in running}
        assert shown["version"] == shown["versions"][0]["version"]
        assert network.message(BOB, "our@echo:echo:local", '"hi"')["outcome"] == "response"
        kept = list((network.place(BOB).path / "packages").iterdir())
        assert not [each for each in kept if each.name.startswith(".new-")]
        assert len(kept) == len(shown["versions"])
