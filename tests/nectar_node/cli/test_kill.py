"""What `nectar kill` and `nectar ps --tree` promise of processes and their children, on a real node."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kernel.contract import limits
from tests.conformance.lab import PROBE
from tests.conformance.steps import RETURN, Step, respond, script, spawn, wait_for
from tests.nectar_node.cli.real_node import NODE, RealNode
from tests.waiting import until

BREEDER = PROBE.with_name("breeder.wasm")


def running(node: RealNode) -> set[str]:
    """The names of all processes but hello's."""
    return {name.partition(":")[0] for name in node.running()} - {"hello"}


def start(node: RealNode, folder: Path, name: str, code: Path = PROBE) -> None:
    """Start a package `box:local` of one process."""
    folder = folder / "box"
    folder.mkdir(exist_ok=True)
    shutil.copy(code, folder)
    entry = {"process_name": name, "process_wasm_path": f"/{code.name}", "public": True}
    (folder / "manifest.json").write_text(json.dumps([entry]))
    node.does("start", folder)


def have_a(node: RealNode, *steps: Step) -> None:
    """Have the probe `a` do these."""
    body = script(*steps, respond("done")).decode()
    assert node.does("message", "our@a:box:local", body) == "done\n"


def tree(node: RealNode) -> list[str]:
    """The processes, as `ps --tree` shows them."""
    return [line.split("\t")[0] for line in node.does("ps", "--tree").splitlines()[1:]]


@pytest.fixture
def family(node: RealNode, tmp_path: Path) -> RealNode:
    """The probe `a` has spawned `b` and `c`, and `b` has spawned `d`."""
    start(node, tmp_path, "a")
    have_a(node, spawn("b"), spawn("c"), wait_for("our@b:box:local", "", spawn("d"), respond(), expects=20))
    assert running(node) == {"a", "b", "c", "d"}
    return node


def test_g22_a_kill_tells_of_the_children_it_leaves_and_how_to_end_them(family: RealNode) -> None:
    again = f"`nectar kill --tree a:box:local --node {NODE} --dir {family.network}`"
    told = (0, f"{NODE}@a:box:local is gone.\n", f"3 children of it still run: {again} ends them too.\n")
    assert family.nectar("kill", "a:box:local") == told
    assert running(family) == {"b", "c", "d"}
    assert family.nectar("kill", "a:box:local").code == 1
    all_gone = f"{NODE}@a:box:local is gone, and its children with it: 3 processes ended.\n"
    assert family.does("kill", "--tree", "a:box:local") == all_gone
    assert running(family) == set()


def test_g22_a_tree_is_ended_in_one_command_and_counted(family: RealNode) -> None:
    told = family.nectar("kill", "--tree", "our@b:box:local", "--json").json
    assert told == {"address": f"{NODE}@b:box:local", "ended": 2, "children": 0}
    assert running(family) == {"a", "c"}


def test_g22_a_package_is_ended_by_its_id(family: RealNode) -> None:
    told = "box:local is gone, and its children with it: 4 processes ended.\n"
    assert family.does("kill", "box:local") == told
    assert running(family) == set()
    said = f"No process of box:local runs on {NODE}: `nectar ps --node {NODE} --dir "
    assert family.fails("kill", "box:local").startswith(said)
    assert family.nectar("kill", "Box:local").code == 2


def test_g22_who_starts_a_package_again_starts_without_its_former_children(family: RealNode, tmp_path: Path) -> None:
    start(family, tmp_path, "a")
    assert running(family) == {"a"}


def test_ps_shows_children_below_the_process_that_has_made_them_and_by_themselves_when_that_has_ended(
    family: RealNode,
) -> None:
    assert tree(family) == ["a:box:local", "  b:box:local", "    d:box:local", "  c:box:local", "hello:hello:sys"]
    rows = family.rows()
    assert (rows["d:box:local"]["parent"], rows["a:box:local"]["parent"]) == ("b:box:local", None)
    have_a(family, wait_for("our@b:box:local", "", RETURN, expects=20))
    assert tree(family) == ["a:box:local", "  c:box:local", "d:box:local", "hello:hello:sys"]


@pytest.mark.parametrize("words", [("--tree", "main:box:local"), ("box:local",)])
def test_g22_a_package_that_spawns_without_end_is_ended_by_one_kill(
    node: RealNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(limits, "MAX_PROCESSES_OF_PACKAGE", 500)
    start(node, tmp_path, "main", BREEDER)
    until(lambda: len(node.core.kernel.processes) > 100)
    node.does("kill", *words)
    assert running(node) == set()
