"""Nodes behind routers, as OS processes over TCP."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet
from tests.commands import nectar
from tests.end_to_end.lab import MIB, random_file

ROUTERS = ("one.nec", "two.nec")
OUTSIDE, INSIDE = "out.nec", "in.nec"


@pytest.fixture
def testnet(tmp_path: Path) -> Iterator[LocalTestnet]:
    """Two routers, a node, and a node behind the routers."""
    with LocalTestnet(tmp_path / "net") as net:
        net.start(ROUTERS)
        net.start([OUTSIDE])
        net.add(INSIDE, BootOptions(routers=ROUTERS))
        yield net


def router_of(net: LocalTestnet) -> object:
    """Through which router the outer node is connected to the inner one."""
    peers = nectar("peers", "--node", OUTSIDE, "--json", folder=net.folder).json["peers"]
    return next(peer["router"] for peer in peers if peer["name"] == INSIDE)


def test_a_file_goes_to_a_node_behind_routers_and_goes_on_through_the_next_one_when_its_router_is_killed(
    testnet: LocalTestnet, tmp_path: Path
) -> None:
    greeting = f'{{"Ask": {{"node": "{INSIDE}", "name": "you", "timeout": 20}}}}'
    answer = nectar("message", "our@hello:hello:sys", greeting, "--node", OUTSIDE, folder=testnet.folder)
    assert "Hello, you, from in.nec" in answer.out
    first = router_of(testnet)
    assert first in ROUTERS
    testnet.kill(str(first))
    file = random_file(tmp_path / "file.bin", 16 * MIB)
    sent = nectar("send", file, "--from", OUTSIDE, "--to", INSIDE, folder=testnet.folder)
    assert sent.code == 0, sent.err
    inbox = testnet.place(INSIDE).drives / "file_transfer:sys" / "inbox"
    assert (inbox / "file.bin").read_bytes() == file.read_bytes()
    assert router_of(testnet) in set(ROUTERS) - {first}
