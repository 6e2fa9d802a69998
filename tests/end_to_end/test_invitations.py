"""A network by invitation, as OS processes over TCP, and a router without room."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from nectar_node.contract.config import REGISTRAR_NAME
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet
from testnet.real.nodes.namespaces import Namespaces, unavailable
from tests.commands import nectar
from tests.end_to_end.lab import command


def test_who_is_invited_joins_once_and_boot_tells_who_reaches_a_node(tmp_path: Path) -> None:
    net = LocalTestnet(tmp_path / "net")
    up = nectar("testnet", "up", "--detach", "--direct", "--invite-only", "--nodes", "one.nec", folder=net.folder)
    assert up.code == 0, up.err
    with net:
        stranger = nectar("boot", "--detach", "eve.nec", folder=net.folder)
        assert (stranger.code, "by invitation only" in stranger.err) == (1, True)
        token = nectar("testnet", "invite", folder=net.folder).out.strip()
        inner = nectar(
            "boot", "--detach", "in.nec", "--invitation", token, "--routers", "one.nec,none.nec", folder=net.folder
        )
        assert inner.code == 0, inner.err
        assert inner.out.endswith("and is reached through one.nec.\n")
        assert inner.err == "none.nec cannot be reached: in.nec asks it again.\n"


@pytest.mark.skipif((reason := unavailable()) is not None, reason=reason or "")
def test_who_is_given_a_text_joins_from_another_machine_that_has_no_folder_of_the_network(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    with Namespaces() as hosts, LocalTestnet(here) as net:
        address = hosts.add(REGISTRAR_NAME)
        prefix = tuple(hosts.command(REGISTRAR_NAME))
        net.add(REGISTRAR_NAME, BootOptions(host=address, prefix=prefix, packages=(), invite_only=True))
        elsewhere = hosts.add("ann.nec")
        text = nectar("testnet", "invite", "--name", "ann.nec", folder=here).out.strip()
        words = [*hosts.command("ann.nec"), *command("boot", "ann.nec", "--join", text, "--no-packages", "--detach")]
        joined = subprocess.run([*words, "--dir", there], capture_output=True, text=True, check=False)
        with LocalTestnet(there):
            assert (joined.returncode, joined.stderr) == (0, "")
            assert f" on {elsewhere}:" in joined.stdout
            stopped = nectar("testnet", "down", folder=there)
            assert stopped.code == 0, stopped.err
            # It needs the text no more: its folder knows the network.
            again = subprocess.run(
                [*hosts.command("ann.nec"), *command("boot", "ann.nec", "--detach", "--dir", there)],
                capture_output=True,
                text=True,
                check=False,
            )
            assert (again.returncode, again.stderr) == (0, "")
