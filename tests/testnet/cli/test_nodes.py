"""What `nectar testnet kill|pause|resume|restart` does to real nodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from testnet.real.local import LocalTestnet
from tests.testnet.cli.lab import Shell

NAME = "a.nec"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with LocalTestnet(tmp_path_factory.mktemp("nodes") / "testnet") as nodes:
        nodes.start()
        yield Shell(nodes.folder)


def boot(shell: Shell, *options: str) -> None:
    """Start the node in the background, anew."""
    LocalTestnet(shell.folder).stop(NAME)
    shell.say("boot", NAME, "--detach", "--no-packages", *options)


def test_a_killed_node_is_dead_until_it_is_restarted_with_the_options_it_was_started_with(shell: Shell) -> None:
    boot(shell, "--host", "127.0.0.9")
    before = shell.node(NAME)
    restart = f"nectar testnet restart {NAME} --dir {shell.folder}"
    assert shell.say("testnet", "kill", NAME) == f"{NAME} is dead. `{restart}` starts it again.\n"
    assert shell.node(NAME)["state"] == "down"
    not_running = f"{NAME} is not running: start it with `{restart}`."
    for command in ("kill", "pause", "resume"):
        assert shell.fails("testnet", command, NAME) == (1, not_running)
    assert shell.json("testnet", "restart", NAME)["state"] == "running"
    after = shell.node(NAME)
    assert (after["state"], after["pid"] != before["pid"]) == ("running", True)
    assert (after["endpoint"][0], after["processes"]) == ("127.0.0.9", before["processes"])


def test_a_paused_node_does_not_run_until_it_is_resumed_and_is_stopped_in_order_all_the_same(shell: Shell) -> None:
    boot(shell)
    assert shell.json("testnet", "pause", NAME) == {"name": NAME, "state": "paused"}
    assert shell.node(NAME)["state"] == "paused"
    assert shell.say("testnet", "resume", NAME) == f"{NAME} goes on.\n"
    assert shell.node(NAME)["state"] == "running"
    shell.say("testnet", "pause", NAME)
    shell.say("testnet", "restart", NAME)
    shell.say("testnet", "pause", NAME)
    assert shell.json("testnet", "down")["ended"][NAME] == "stopped"
    LocalTestnet(shell.folder).start()


@pytest.mark.parametrize("command", ["kill", "pause", "resume", "restart"])
def test_an_unknown_node_lists_those_that_there_are(shell: Shell, command: str) -> None:
    code, said = shell.fails("testnet", command, "x.nec")
    assert (code, said.startswith(f"There is no node x.nec in {shell.folder}: the nodes here are ")) == (2, True)


@pytest.mark.parametrize("command", ["kill", "pause", "resume", "restart"])
def test_without_a_testnet_they_say_how_to_start_one(tmp_path: Path, command: str) -> None:
    code, said = Shell(tmp_path).fails("testnet", command, NAME)
    assert (code, said.startswith(f"There is no testnet in {tmp_path}: start one with")) == (1, True)
