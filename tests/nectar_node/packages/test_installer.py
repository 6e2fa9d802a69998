"""Packages that are started, again and after a reboot: what their processes hold then (G21)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kernel.contract.address import Address, PackageId, ProcessId
from kernel.contract.capability import MESSAGING, Capability
from kernel.wasm.engine import Engine
from nectar_node.storage.operations import Location
from testnet.sim.simulation import SimNode, Simulation

ECHO = Path(__file__).resolve().parents[3] / "packages" / "echo" / "pkg" / "echo.wasm"
OUR = "our.nec"
A, B = ProcessId("a", "pair", "local"), ProcessId("b", "pair", "local")
TO_B = Capability(Address(OUR, B), MESSAGING)
SAVED = Capability(Address(OUR, A), '"saved"')


def entry(name: str, asks: list[str]) -> dict[str, object]:
    return {
        "process_name": name,
        "process_wasm_path": "/echo.wasm",
        "on_exit": "None",
        "request_networking": False,
        "request_capabilities": asks,
        "grant_capabilities": [],
        "public": False,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A package of two processes, the first of which asks to message the second."""
    folder = tmp_path / "pair" / "pkg"
    folder.mkdir(parents=True)
    shutil.copy(ECHO, folder)
    (folder / "manifest.json").write_text(json.dumps([entry("a", [str(B)]), entry("b", [])]))
    return folder


@pytest.fixture
def simulation() -> Simulation:
    return Simulation(7, Engine(None, replayable=True))


@pytest.fixture
def node(simulation: Simulation, folder: Path) -> SimNode:
    node = simulation.add(OUR, (folder,))
    simulation.settle()
    assert TO_B in node.core.kernel.grants.of(A)
    return node


def install(simulation: Simulation, node: SimNode, folder: Path, *, anew: bool) -> None:
    (package,) = (each for each in node.disk.packages.values() if each.origin == simulation.origin_of(folder))
    node.core.install(package, None, simulation.now, anew=anew)
    node.go_on()
    simulation.rest(0.0)


def test_a_package_that_is_started_again_is_granted_what_it_asks_for(
    simulation: Simulation, node: SimNode, folder: Path
) -> None:
    install(simulation, node, folder, anew=True)
    assert node.core.kernel.grants.of(A) == (TO_B,)


def test_g21_a_package_that_the_user_starts_anew_holds_nothing_of_before(
    simulation: Simulation, node: SimNode, folder: Path
) -> None:
    node.core.kernel.grants.grant(B, [SAVED])
    node.core.kill(B, simulation.now)
    node.core.kernel.grants.grant(B, [SAVED])  # as it lay in the store
    install(simulation, node, folder, anew=True)
    assert node.core.kernel.grants.of(B) == ()


def test_g21_at_a_boot_processes_hold_what_they_held_before(
    simulation: Simulation, node: SimNode, folder: Path
) -> None:
    node.core.kill(A, simulation.now)
    node.core.kill(B, simulation.now)
    node.core.kernel.grants.grant(B, [SAVED])  # as it lay in the store
    install(simulation, node, folder, anew=False)
    assert node.core.kernel.grants.of(B) == (SAVED,)


def test_a_file_of_an_installed_package_lies_in_its_folder_and_no_path_leads_out(node: SimNode, folder: Path) -> None:
    locate = node.core._installer.locate
    pair = PackageId("pair", "local")
    assert locate(pair, "/x/y.wasm") == Location(str(node.core.packages[pair].folder), ("x", "y.wasm"))
    assert [locate(pair, path) for path in ("/../x", "", "/a//b", "/\0")] == [None] * 4
    assert locate(PackageId("other", "sys"), "/x.wasm") is None
