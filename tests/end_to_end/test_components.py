"""A component that uses WASI 0.2 on a real node: real time, real randomness, and a folder of the host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nectar_node.launcher.arguments import check_package
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet
from tests.testnet.sim.ledger import lay_down

NODE = "one.nec"
NATIVE = "our@native:native:some.nec"


@pytest.fixture
def network(tmp_path: Path) -> LocalTestnet:
    package = check_package(lay_down(tmp_path / "native", "native.wasm", "native"))
    return LocalTestnet(tmp_path / "testnet", BootOptions(packages=(package,)))


def ask(network: LocalTestnet, text: str) -> str:
    answer = network.message(NODE, NATIVE, json.dumps(text))
    assert answer["outcome"] == "response", answer
    found: str = json.loads(answer["body"])
    return found


def test_g28_a_component_has_the_nodes_time_randomness_and_folder(network: LocalTestnet) -> None:
    with network as nodes:
        nodes.start((NODE,))
        assert int(ask(nodes, "sleep 200")) >= 200
        assert ask(nodes, "race 100000 50") == "1 "
        assert ask(nodes, "write /note text") == "written"
        (written,) = nodes.folder.rglob("vfs/*/note")
        assert written.read_text() == "text"
        first, second = ask(nodes, "random").split()
        assert first != second
