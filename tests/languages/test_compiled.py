"""The SDKs for C and Zig in real guests on a real node: each client of a system process does as it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from nectar_node.launcher.boot_options import BootOptions
from nectar_node.toolchains import c, zig
from testnet.real.local import LocalTestnet
from tests.waiting import until

HERE = Path(__file__).parent / "compiled"
NODE = "one.nec"
PROCESSES = ("try_all_c", "try_all_zig")
ASKS = ("vfs", "timer", "kv", "sqlite", "http_client")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTestnet]:
    folder = tmp_path_factory.mktemp("compiled")
    packages = []
    for process in PROCESSES:
        package = folder / process
        builder, suffix = (c, "c") if process.endswith("_c") else (zig, "zig")
        builder.build(HERE / f"{process}.{suffix}", package / f"{process}.wasm")
        entry = {
            "process_name": process,
            "process_wasm_path": f"/{process}.wasm",
            "on_exit": "Restart",
            "request_capabilities": [f"{each}:distro:sys" for each in ASKS],
            "public": True,
        }
        (package / "manifest.json").write_text(json.dumps([entry]))
        packages.append(package)
    with LocalTestnet(folder / "testnet") as network:
        network.boot({NODE: BootOptions(packages=tuple(packages))})
        yield network


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("attempt", ["Files", "Keys", "Sql", "Time", "State", "Internet"])
def test_a_part_of_the_sdk_does_as_it_says(network: LocalTestnet, process: str, attempt: str) -> None:
    answer = network.message(NODE, f"our@{process}:{process}:local", json.dumps(attempt), 30)
    assert (answer["outcome"], answer.get("body")) == ("response", '"done"'), network.log(NODE)[-2000:]


@pytest.mark.parametrize(
    ("process", "line"),
    [("try_all_c", "logged: -1 2 -3 4 ff c 0.1 1e300 %"), ("try_all_zig", "logged: -1 ü")],
)
def test_what_is_logged_is_shown_by_its_level(network: LocalTestnet, process: str, line: str) -> None:
    network.message(NODE, f"our@{process}:{process}:local", '"Logs"', 30)
    until(lambda: line in network.log(NODE))
    assert "never shown" not in network.log(NODE)
