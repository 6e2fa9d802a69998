"""A network by invitation, as OS processes over TCP, and a router without room."""

from __future__ import annotations

from pathlib import Path

from testnet.real.local import LocalTestnet
from tests.end_to_end.lab import nectar


def test_who_is_invited_joins_once_and_boot_tells_who_reaches_a_node(tmp_path: Path) -> None:
    net = LocalTestnet(tmp_path / "net")
    up = nectar("testnet", "up", "--detach", "--direct", "--invite-only", "--nodes", "one.nec", folder=net.folder)
    assert up.returncode == 0, up.stderr
    with net:
        stranger = nectar("boot", "--detach", "eve.nec", folder=net.folder)
        assert (stranger.returncode, "by invitation only" in stranger.stderr) == (1, True)
        token = nectar("testnet", "invite", folder=net.folder).stdout.strip()
        inner = nectar(
            "boot", "--detach", "in.nec", "--invitation", token, "--routers", "one.nec,none.nec", folder=net.folder
        )
        assert inner.returncode == 0, inner.stderr
        assert inner.stdout.endswith("and is reached through one.nec.\n")
        assert inner.stderr == "none.nec cannot be reached: in.nec asks it again.\n"
