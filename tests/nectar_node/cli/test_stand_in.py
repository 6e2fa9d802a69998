"""`nectar start --as`: a process of the user's at the name of a system process that the node does not have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kernel.contract.address import SYSTEM, Address, ProcessId
from kernel.contract.capability import Capability
from nectar_node.launcher.boot_options import BootOptions
from nectar_node.packages.powers import RIGHTS, power_of
from testnet.real.local import LocalTestnet
from tests.commands import nectar
from tests.nectar_node.cli.real_node import NODE, PACKAGES, RealNode, copy_package, zipped

ECHO = PACKAGES / "echo" / "pkg" / "echo.wasm"
ETH, WEATHER = "eth:distro:sys", "weather:distro:sys"


def asking(tmp_path: Path, *wanted: object) -> Path:
    """The package box:local, whose process asks for capabilities."""
    folder = copy_package("echo", tmp_path / "box" / "pkg")
    entry = {"process_name": "main", "process_wasm_path": "/echo.wasm", "request_capabilities": wanted}
    (folder / "manifest.json").write_text(json.dumps([entry]))
    return folder


def test_what_a_package_asks_of_a_name_that_the_node_lacks_is_refused_and_it_starts_without(
    node: RealNode, tmp_path: Path
) -> None:
    box = asking(tmp_path, ETH, "timer:distro:sys")
    out = node.does("start", box)
    assert out.splitlines()[1:3] == [
        f"main:box:local\t{ETH}\tno: this node has no {ETH}",
        "\ttimer:distro:sys\tyes",
    ]
    assert node.held("main:box:local") == ["timer:distro:sys"]
    (started,) = node.nectar("start", box, "--json").json["processes"]
    assert (started["absent"], started["granted"]) == ([ETH], ["timer:distro:sys"])


def test_a_process_of_the_users_stands_in_there_and_whoever_asks_for_it_then_may_message_it(
    node: RealNode, tmp_path: Path
) -> None:
    out = node.does("start", ECHO, "--as", ETH)
    assert out.startswith(
        f"{ECHO} takes the name {ETH}: what packages of this node ask {ETH} comes to it, after restarts"
    )
    assert f"Started our@{ETH}" in out
    assert node.does("message", f"our@{ETH}", "hi") == "hi\n"
    assert f"main:box:local\t{ETH}\tyes" in node.does("start", asking(tmp_path, ETH))
    assert node.does("kill", ETH) == f"{NODE}@{ETH} is gone.\n"
    assert f"no: this node has no {ETH}" in node.does("start", tmp_path / "box")


def test_several_stand_in_beside_each_other_and_each_takes_the_place_of_itself(node: RealNode, tmp_path: Path) -> None:
    (tmp_path / "two.wasm").write_bytes(ECHO.read_bytes())
    node.does("start", ECHO, "--as", ETH)
    node.does("start", tmp_path / "two.wasm", "--as", WEATHER)
    node.does("start", ECHO, "--as", ETH, "--replace")
    assert node.running() == {"hello:hello:sys", ETH, WEATHER}
    assert node.does("message", f"our@{WEATHER}", "sun") == "sun\n"


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ((ECHO, "--as", "kernel:distro:sys"), 1, "kernel:distro:sys cannot be started: the name is a system process's"),
        ((ECHO, "--as", "rpc:distro:sys"), 1, "rpc:distro:sys cannot be started: the name is a system process's"),
        ((ECHO, "--as", "net:distro:sys"), 1, "net:distro:sys cannot be started: the name is a system process's"),
        (
            (ECHO, "--as", "terminal:terminal:sys"),
            2,
            "--as takes the name of a system process that the node does not have",
        ),
        ((ECHO, "--as", "eth"), 2, "--as takes the name of a system process that the node does not have"),
        ((ECHO, "--as", "Eth:distro:sys"), 2, "--as takes the name of a system process that the node does not have"),
        ((ECHO, "--as", ETH, "--name", "x"), 2, "--as is the process's name already"),
        ((PACKAGES / "echo", "--as", ETH), 2, "--as is for a single .wasm file"),
        ((ECHO, "--name", ETH), 1, f"{ETH} cannot be started: the name is a system process's"),
        ((ECHO, "--name", ETH, "--allow-sys"), 1, f"{ETH} cannot be started: the name is a system process's"),
    ],
)
def test_g21_no_other_name_is_taken(node: RealNode, words: tuple[str | Path, ...], code: int, sentence: str) -> None:
    ended = node.nectar("start", *words)
    assert (ended.code, ended.out, sentence in ended.err, ended.err.count("\n")) == (code, "", True, 1), ended
    assert node.running() == {"hello:hello:sys"}


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_g21_a_package_takes_no_such_name_by_itself(node: RealNode, tmp_path: Path, form: str) -> None:
    folder = copy_package("echo", tmp_path / "good" / "pkg")
    (folder / "metadata.json").write_text('{"package": "distro", "publisher": "sys"}')
    (folder / "manifest.json").write_text(
        '[{"process_name": "eth", "process_wasm_path": "/echo.wasm", "public": true}]'
    )
    path = folder if form == "folder" else zipped(folder, tmp_path / "good.zip")
    for more in ((), ("--allow-sys",), ("--grant", "all"), ("--replace",)):
        assert f"{ETH} cannot be started" in node.fails("start", path, *more)
    node.does("start", ECHO, "--as", ETH)
    assert "cannot be started" in node.nectar("start", path, "--allow-sys", "--replace").err
    assert node.does("message", f"our@{ETH}", "still the user's") == "still the user's\n"


def test_g21_what_system_processes_issue_is_not_a_stand_ins_own_though_its_package_has_their_name() -> None:
    for issuer in ("kv", "sqlite", "state", "eth"):
        issued = Capability(Address(NODE, ProcessId(issuer, "distro", "sys")), '{"kind":"read"}')
        assert power_of(issued, SYSTEM) is RIGHTS


def test_g26_stand_ins_run_again_after_a_reboot(network: LocalTestnet) -> None:
    name = "stands.nec"
    network.add(name, BootOptions(packages=()))
    for process in (ETH, WEATHER):
        ended = nectar("start", ECHO, "--as", process, "--public", "--node", name, folder=network.folder)
        assert ended.code == 0, ended
    network.restart(name)
    assert network.message(name, f"our@{ETH}", "hi")["body"] == "hi"
    assert network.message(name, f"our@{WEATHER}", "hi")["body"] == "hi"
    network.stop(name)
