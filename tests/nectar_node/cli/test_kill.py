"""What `nectar kill` and `nectar ps --tree` promise of processes and their children, on a real node."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kernel.contract import limits
from nectar_node.cli.main import main
from nectar_node.launcher.local_network import LocalNetwork
from tests.conformance.lab import PROBE
from tests.conformance.steps import RETURN, respond, script, spawn, wait_for
from tests.nectar_node.cli.real_node import NODE, RealNode
from tests.waiting import until

BREEDER = PROBE.with_name("breeder.wasm")


def nectar(node: RealNode, *arguments: str | Path) -> int:
    return main([*map(str, arguments), "--node", NODE, "--dir", str(node.network)])


def running(node: RealNode) -> set[str]:
    """The names of all processes but hello's."""
    with LocalNetwork(node.network).connect(NODE) as client:
        rows = client.request("ps")["processes"]
    return {str(row["address"]).partition("@")[2].partition(":")[0] for row in rows} - {"hello"}


def start(node: RealNode, folder: Path, name: str, code: Path = PROBE) -> None:
    """Start a package `box:local` of one process."""
    folder = folder / "box"
    folder.mkdir(exist_ok=True)
    shutil.copy(code, folder)
    entry = {"process_name": name, "process_wasm_path": f"/{code.name}", "public": True}
    (folder / "manifest.json").write_text(json.dumps([entry]))
    assert nectar(node, "start", folder) == 0


@pytest.fixture
def family(node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> RealNode:
    """The probe `a` has spawned `b` and `c`, and `b` has spawned `d`."""
    start(node, tmp_path, "a")
    children = [spawn(name) for name in ("b", "c")]
    grandchild = wait_for("our@b:box:local", "", spawn("d"), respond(), expects=20)
    with LocalNetwork(node.network).connect(NODE) as client:
        body = script(*children, grandchild, respond("done")).decode()
        assert client.request("message", target="our@a:box:local", body=body)["outcome"] == "response"
    assert running(node) == {"a", "b", "c", "d"}
    capsys.readouterr()
    return node


def test_g22_a_kill_tells_of_the_children_it_leaves_and_how_to_end_them(
    family: RealNode, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nectar(family, "kill", "a:box:local") == 0
    out, err = capsys.readouterr()
    assert out == f"{NODE}@a:box:local is gone.\n"
    again = f"`nectar kill --tree a:box:local --node {NODE} --dir {family.network}`"
    assert err == f"3 children of it still run: {again} ends them too.\n"
    assert running(family) == {"b", "c", "d"}
    assert nectar(family, "kill", "a:box:local") == 1
    capsys.readouterr()
    assert nectar(family, "kill", "--tree", "a:box:local") == 0
    assert capsys.readouterr().out == f"{NODE}@a:box:local is gone, and its children with it: 3 processes ended.\n"
    assert running(family) == set()


def test_g22_a_tree_is_ended_in_one_command_and_counted(family: RealNode, capsys: pytest.CaptureFixture[str]) -> None:
    assert nectar(family, "kill", "--tree", "our@b:box:local", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"address": f"{NODE}@b:box:local", "ended": 2, "children": 0}
    assert running(family) == {"a", "c"}


def test_g22_a_package_is_ended_by_its_id(family: RealNode, capsys: pytest.CaptureFixture[str]) -> None:
    assert nectar(family, "kill", "box:local") == 0
    assert capsys.readouterr().out == "box:local is gone, and its children with it: 4 processes ended.\n"
    assert running(family) == set()
    assert nectar(family, "kill", "box:local") == 1
    assert capsys.readouterr().err.startswith(
        f"No process of box:local runs on {NODE}: `nectar ps --node {NODE} --dir "
    )
    assert nectar(family, "kill", "Box:local") == 2


def test_g22_who_starts_a_package_again_starts_without_its_former_children(family: RealNode, tmp_path: Path) -> None:
    start(family, tmp_path, "a")
    assert running(family) == {"a"}


def test_ps_shows_children_below_the_process_that_has_made_them(
    family: RealNode, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nectar(family, "ps", "--tree") == 0
    first = [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert first == ["a:box:local", "  b:box:local", "    d:box:local", "  c:box:local", "hello:hello:sys"]
    assert nectar(family, "ps", "--json") == 0
    parents = {row["address"]: row["parent"] for row in json.loads(capsys.readouterr().out)["processes"]}
    assert (parents[f"{NODE}@d:box:local"], parents[f"{NODE}@a:box:local"]) == ("b:box:local", None)


def test_a_child_whose_parent_has_ended_stands_by_itself(family: RealNode, capsys: pytest.CaptureFixture[str]) -> None:
    with LocalNetwork(family.network).connect(NODE) as client:
        body = script(wait_for("our@b:box:local", "", RETURN, expects=20), respond("done")).decode()
        client.request("message", target="our@a:box:local", body=body)
    assert nectar(family, "ps", "--tree") == 0
    first = [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert first == ["a:box:local", "  c:box:local", "d:box:local", "hello:hello:sys"]


@pytest.mark.parametrize("words", [("--tree", "main:box:local"), ("box:local",)])
def test_g22_a_package_that_spawns_without_end_is_ended_by_one_kill(
    node: RealNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(limits, "MAX_PROCESSES_OF_PACKAGE", 500)
    start(node, tmp_path, "main", BREEDER)
    until(lambda: len(node.core.kernel.processes) > 100)
    assert nectar(node, "kill", *words) == 0
    assert running(node) == set()
