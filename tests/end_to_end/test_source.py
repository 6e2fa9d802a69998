"""A node dials from the address that it listens on."""

from __future__ import annotations

from nectar_node.contract.config import REGISTRAR_NAME
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet
from tests.commands import nectar


def hosts(network: LocalTestnet, name: str) -> dict[str, object]:
    """Where the peers of the node `name` are connected from, as it sees them itself."""
    with network.connect(name) as client:
        rows = client.request("peers")["peers"]
    assert isinstance(rows, list)
    return {row["name"]: row["host"] for row in rows}


def test_peers_and_registrar_see_the_address_of_whoever_dials_and_a_probe_comes_from_there_too(
    fresh_network: LocalTestnet,
) -> None:
    fresh_network.start()
    fresh_network.add("a.nec", BootOptions(host="127.0.0.21", packages=()))
    fresh_network.add("b.nec", BootOptions(host="127.0.0.22", packages=()))
    probe = nectar("net", "diagnose", "b.nec", "--node", "a.nec", folder=fresh_network.folder)
    assert probe.code == 0, probe.out

    assert hosts(fresh_network, REGISTRAR_NAME) == {"a.nec": "127.0.0.21", "b.nec": "127.0.0.22"}
    assert hosts(fresh_network, "b.nec")["a.nec"] == "127.0.0.21"
    check_goodbye(fresh_network)


def check_goodbye(network: LocalTestnet) -> None:
    """A node that stops says goodbye, and nobody waits for it to come back."""
    hello = ("a.nec", "b.nec@net:distro:sys", "hello")
    assert network.message(*hello)["body"] == "ack"
    network.stop("b.nec")
    assert network.message(*hello) == {"outcome": "offline", "reason": "refused"}
