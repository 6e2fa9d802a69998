"""A network by invitation, as OS processes over TCP, and a router without room."""

from __future__ import annotations

from pathlib import Path

from testnet.real.local import LocalTestnet
from tests.commands import nectar


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
