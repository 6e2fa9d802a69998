"""What was decided about packages outlives the node, and what is no decision is no crash."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.contract.address import Address, PackageId, ProcessId
from kernel.contract.capability import Capability
from kernel.wasm.engine import Engine
from nectar_node.base.consent import Consent
from nectar_node.packages.decisions import MAX_DECISIONS, DamagedDecisions, Decision, Decisions, decode_untrusted
from nectar_node.packages.review import review
from testnet.sim.node import SimNode, decisions_file
from testnet.sim.simulation import Simulation
from tests.nectar_node.core.test_core import ECHO, OUR

BOX = PackageId("box", "some.nec")
READ = Capability(Address(OUR, ProcessId("vfs", "distro", "sys")), '{"drive":"/a:b/c","kind":"read"}')
TIMER = Capability(Address(OUR, ProcessId("timer", "distro", "sys")), '"messaging"')


def test_decisions_are_read_as_they_were_written() -> None:
    decisions = Decisions()
    decisions.decide(BOX, Decision("/some/folder", frozenset([READ]), frozenset([TIMER])))
    assert decode_untrusted(decisions.encode(), OUR).of(BOX) == decisions.of(BOX)


def test_only_a_change_is_one() -> None:
    decisions = Decisions()
    for _ in range(2):
        decisions.decide(BOX, Decision("/some/folder"))
    assert decisions.version == 1


def test_so_many_packages_are_remembered_and_of_more_the_latest() -> None:
    decisions = Decisions()
    for number in range(MAX_DECISIONS + 1):
        decisions.decide(PackageId(f"p{number}", "local"), Decision("/"))
    assert decisions.of(PackageId("p0", "local")) is None
    assert decisions.of(PackageId("p1", "local")) is not None


WHOLE = {"version": 1, "packages": {"a:b": {"origin": "/", "granted": [], "denied": []}}}
BAD: list[Any] = [
    [],
    {},
    WHOLE | {"version": 2},
    WHOLE | {"packages": []},
    {"version": 1, "packages": {"a": WHOLE["packages"]}},
    {"version": 1, "packages": {"a:b": {"origin": 1, "granted": [], "denied": []}}},
    {"version": 1, "packages": {"a:b": {"origin": "/", "granted": [["no id", "1"]], "denied": []}}},
    {"version": 1, "packages": {"a:b": {"origin": "/", "granted": [["a:b:c", "no JSON"]], "denied": []}}},
    {"version": 1, "packages": {"a:b": {"origin": "/", "granted": [["a:b:c", 1]], "denied": []}}},
]


@pytest.mark.parametrize("value", BAD)
def test_what_is_no_decision_is_said_to_be_damaged(value: object) -> None:
    with pytest.raises(DamagedDecisions):
        decode_untrusted(json.dumps(value).encode(), OUR)


@given(
    st.binary(max_size=64) | st.recursive(st.none() | st.text(), st.lists).map(lambda each: json.dumps(each).encode())
)
def test_of_any_bytes_one_error_comes(data: bytes) -> None:
    with pytest.raises(DamagedDecisions):
        decode_untrusted(data, OUR)


# --- in a simulation ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(None, replayable=True)
    yield engine
    engine.close()


def held(node: SimNode) -> list[str]:
    grants = node.core.kernel.grants
    return [str(each.issuer.process) for each in grants.of(ProcessId("main", "box", "some.nec"))]


def test_g21_what_is_denied_stays_so_when_the_node_has_crashed_and_boots_again(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "box:some.nec"
    folder.mkdir()
    shutil.copy(ECHO, folder)
    entry = {"process_name": "main", "process_wasm_path": "/echo.wasm", "public": True}
    asks = {"request_capabilities": ["timer:distro:sys", "vfs:distro:sys"]}
    (folder / "manifest.json").write_text(json.dumps([entry | asks]))
    simulation = Simulation(7, engine)
    node = simulation.add(OUR, (folder,))
    simulation.settle()
    assert held(node) == ["timer:distro:sys", "vfs:distro:sys"]
    package = node.core.packages[BOX]
    decided = review(package, None, Consent(deny=("vfs:distro:sys",)), OUR)
    assert decided.decision is not None
    node.core.install(decided.package, None, simulation.now)
    node.core.decide(BOX, decided.decision, simulation.now)
    node.go_on()
    simulation.run_until(lambda: node.disk.get(decisions_file(OUR)) is not None, 60.0)
    assert not node.core.kept  # what it holds is written a second later
    again = simulation.restart(node.host)
    simulation.settle()
    assert held(again) == ["timer:distro:sys"]
