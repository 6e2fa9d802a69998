"""Settings: the options of `nectar boot`, given once and kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from nectar_node.base.folder import NodeFolder
from nectar_node.contract.config import NODES_FOLDER
from nectar_node.launcher.boot_options import BootOptions, kept_options
from testnet.real.local import LocalTestnet
from tests.commands import Ended, nectar
from tests.nectar_node.cli.served_node import make_network

NODE = "a.nec"


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A network with one node, which does not run."""
    network = make_network(tmp_path / "net")
    NodeFolder(network / NODES_FOLDER / NODE).path.mkdir(mode=0o700, parents=True)
    return network


def config(network: Path, *words: str) -> Ended:
    return nectar("config", *words, "--node", NODE, folder=network)


def kept(network: Path) -> BootOptions:
    return kept_options(NodeFolder(network / NODES_FOLDER / NODE))


def test_what_is_set_is_kept_and_shown(network: Path) -> None:
    for setting, value in (("port", "7000"), ("routers", "b.nec,c.nec"), ("memory", "512MiB"), ("trace", "yes")):
        assert config(network, "set", setting, value).code == 0
    options = kept(network)
    assert (options.port, options.routers, options.memory_bytes, options.trace) == (
        7000,
        ("b.nec", "c.nec"),
        512 << 20,
        True,
    )
    assert config(network, "get", "routers").out == "b.nec,c.nec\n"
    shown = config(network, "list", "--json").json["settings"]
    assert (shown["port"], shown["memory"], shown["advertise"]) == ("7000", "512.0 MiB", None)


def test_which_packages_reach_private_networks_is_a_setting(network: Path) -> None:
    assert config(network, "set", "http-client-private", "app:some.nec, other:x.nec").code == 0
    assert kept(network).http_client_private == ("app:some.nec", "other:x.nec")
    assert config(network, "get", "http-client-private").out == "app:some.nec,other:x.nec\n"
    wrong = config(network, "set", "http-client-private", "app")
    assert (wrong.code, "app:some.nec" in wrong.err) == (2, True)
    assert config(network, "unset", "http-client-private").code == 0
    assert kept(network).http_client_private == ()


def test_quotas_are_three_settings_and_none_changes_another(network: Path) -> None:
    assert config(network, "set", "quota", "2GiB,app:some.nec=3GiB").code == 0
    assert config(network, "set", "max-files", "10").code == 0
    assert config(network, "set", "disk-floor", "1GiB").code == 0
    quotas = kept(network).quotas
    assert (quotas.bytes, quotas.files, quotas.floor, quotas.packages[-1]) == (
        2 << 30,
        10,
        1 << 30,
        ("app:some.nec", 3 << 30),
    )
    assert config(network, "unset", "quota").code == 0
    assert (kept(network).quotas.files, kept(network).quotas.bytes) == (10, BootOptions().quotas.bytes)


def test_unset_gives_the_usual_value(network: Path) -> None:
    config(network, "set", "port", "7000")
    assert config(network, "unset", "port").code == 0
    assert kept(network).port == 0


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("set", "prot", "1"), "There is no setting 'prot': there are host, port,"),
        (("get", "prot"), "There is no setting 'prot'"),
        (("unset", "prot"), "There is no setting 'prot'"),
        (("set", "port", "70000"), "'70000' is not a whole number from 0 to 65535."),
        (("set", "trace", "maybe"), "'maybe' is neither yes nor no."),
        (("set", "packages", "/nowhere"), "/nowhere is not a package"),
        (("set", "routers", NODE), "names a.nec itself"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_changes_nothing(network: Path, words: tuple[str, ...], why: str) -> None:
    before = kept(network)
    ended = config(network, *words)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert why in ended.err
    assert kept(network) == before


def test_a_node_that_does_not_exist_gets_no_settings(tmp_path: Path) -> None:
    ended = config(make_network(tmp_path / "net"), "set", "port", "7000")
    assert (ended.code, ended.out) == (2, "")
    assert "There is no node a.nec" in ended.err


def test_an_option_of_a_boot_holds_for_later_boots_whoever_boots(tmp_path: Path) -> None:
    with LocalTestnet(tmp_path / "net") as nodes:
        nodes.start()
        where = ("--dir", str(nodes.folder))
        assert nectar("boot", NODE, "--detach", "--no-packages", "--reservations", "7", *where).code == 0
        nodes.kill(NODE)
        assert nectar("boot", NODE, "--detach", *where).code == 0
        assert nodes.processes(NODE) == []
        assert kept(nodes.folder).reservations == 7
        nodes.kill(NODE)
        assert nectar("testnet", "up", "--detach", "--direct", *where).code == 0
        assert nodes.processes(NODE) == []
        assert (kept(nodes.folder).reservations, kept(nodes.folder).packages) == (7, ())


def test_where_and_how_much_a_node_records_is_kept_until_it_is_unset(network: Path, tmp_path: Path) -> None:
    assert config(network, "set", "record", str(tmp_path)).code == 0
    assert config(network, "set", "keep", "64MiB").code == 0
    assert (kept(network).record, kept(network).keep) == (tmp_path, 64 << 20)
    assert "too little" in config(network, "set", "keep", "1KiB").err
    for setting in ("record", "keep"):
        assert config(network, "unset", setting).code == 0
    assert (kept(network).record, kept(network).keep) == (None, None)
