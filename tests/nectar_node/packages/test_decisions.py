"""What was decided about packages outlives the node, and what is no decision is no crash."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.contract.address import Address, PackageId, ProcessId
from kernel.contract.capability import Capability
from kernel.wasm.engine import Engine
from nectar_node.base.consent import Consent
from nectar_node.packages.decisions import (
    DECISIONS,
    MAX_DECISIONS,
    DamagedDecisions,
    Decision,
    Decisions,
    decode_file_untrusted,
    decode_untrusted,
)
from nectar_node.packages.review import review
from testnet.model.lab import PACKAGES
from testnet.sim.node import SimNode
from testnet.sim.simulation import Simulation

OUR = "one.nec"
ECHO = PACKAGES / "echo" / "pkg" / "echo.wasm"
BOX = PackageId("box", "some.nec")
READ = Capability(Address(OUR, ProcessId("vfs", "distro", "sys")), '{"drive":"/a:b/c","kind":"read"}')
TIMER = Capability(Address(OUR, ProcessId("timer", "distro", "sys")), '"messaging"')


def test_decisions_are_read_as_they_were_written() -> None:
    decisions = Decisions()
    decisions.decide(BOX, Decision("/some/folder", frozenset([READ]), frozenset([TIMER])))
    ((kind, key, value),) = decisions.changes()
    assert (kind, key) == (DECISIONS, str(BOX))
    assert value is not None
    assert decode_untrusted({key: value}, OUR).of(BOX) == decisions.of(BOX)


def test_only_a_change_is_one() -> None:
    decisions = Decisions()
    for number in (1, 0):
        decisions.decide(BOX, Decision("/some/folder"))
        assert decisions.has_changed == bool(number)
        assert len(decisions.changes()) == number


def test_what_was_read_is_no_change() -> None:
    decisions = decode_untrusted({"a:b": json.dumps(WHOLE).encode()}, OUR)
    assert decisions.of(PackageId("a", "b")) == Decision("/")
    assert not decisions.has_changed
    decisions.decide(PackageId("a", "b"), Decision("/"))
    assert not decisions.has_changed


def test_so_many_packages_are_remembered_and_of_more_the_latest() -> None:
    decisions = Decisions()
    for number in range(MAX_DECISIONS + 1):
        decisions.decide(PackageId(f"p{number}", "local"), Decision("/"))
    assert decisions.of(PackageId("p0", "local")) is None
    assert decisions.of(PackageId("p1", "local")) is not None
    rows = decisions.changes()
    assert [row.key for row in rows if row.value is None] == ["p0:local"]


WHOLE = {"origin": "/", "granted": [], "denied": []}
BAD: list[Any] = [
    [],
    {},
    1,
    WHOLE | {"origin": 1},
    WHOLE | {"granted": None},
    WHOLE | {"granted": [["no id", "1"]]},
    WHOLE | {"granted": [["a:b:c", "no JSON"]]},
    WHOLE | {"denied": [["a:b:c", 1]]},
]
BAD_FILES: list[Any] = [
    [],
    {},
    {"version": 2, "packages": {}},
    {"version": 1, "packages": []},
    {"version": 1, "packages": {"a": WHOLE}},
    *({"version": 1, "packages": {"a:b": each}} for each in BAD),
]


@pytest.mark.parametrize("value", BAD)
def test_what_is_no_decision_is_said_to_be_damaged(value: object) -> None:
    with pytest.raises(DamagedDecisions):
        decode_untrusted({"a:b": json.dumps(value).encode()}, OUR)


def test_a_decision_about_no_package_is_said_to_be_damaged() -> None:
    with pytest.raises(DamagedDecisions):
        decode_untrusted({"a": json.dumps(WHOLE).encode()}, OUR)


def test_what_the_former_file_held_is_to_be_written() -> None:
    decisions = decode_file_untrusted(json.dumps({"version": 1, "packages": {"a:b": WHOLE}}).encode(), OUR)
    assert decisions.of(PackageId("a", "b")) == Decision("/")
    assert [row.key for row in decisions.changes()] == ["a:b"]


@pytest.mark.parametrize("value", BAD_FILES)
def test_what_is_no_former_file_is_said_to_be_damaged(value: object) -> None:
    with pytest.raises(DamagedDecisions):
        decode_file_untrusted(json.dumps(value).encode(), OUR)


@given(
    st.binary(max_size=64) | st.recursive(st.none() | st.text(), st.lists).map(lambda each: json.dumps(each).encode())
)
def test_of_any_bytes_one_error_comes(data: bytes) -> None:
    with pytest.raises(DamagedDecisions):
        decode_untrusted({"a:b": data}, OUR)
    with pytest.raises(DamagedDecisions):
        decode_file_untrusted(data, OUR)


# --- in a simulation ------------------------------------------------------------------------------------------------


def held(node: SimNode) -> list[str]:
    grants = node.core.kernel.grants
    return [str(each.issuer.process) for each in grants.of(ProcessId("main", "box", "some.nec"))]


def test_g21_what_is_denied_stays_so_when_the_node_has_crashed_and_boots_again(
    replayable: Engine, tmp_path: Path
) -> None:
    folder = tmp_path / "box:some.nec"
    folder.mkdir()
    shutil.copy(ECHO, folder)
    entry = {"process_name": "main", "process_wasm_path": "/echo.wasm", "public": True}
    asks = {"request_capabilities": ["timer:distro:sys", "vfs:distro:sys"]}
    (folder / "manifest.json").write_text(json.dumps([entry | asks]))
    simulation = Simulation(7, replayable)
    node = simulation.add(OUR, (folder,))
    simulation.settle()
    assert held(node) == ["timer:distro:sys", "vfs:distro:sys"]
    package = node.core.packages[BOX]
    decided = review(package, None, Consent(deny=("vfs:distro:sys",)), OUR)
    assert decided.decision is not None
    node.core.install(decided.package, None, simulation.now)
    node.core.decide(BOX, decided.decision, simulation.now)
    node.go_on()
    simulation.run_until(lambda: node.core.kept, 60.0)
    again = simulation.restart(node.host)
    simulation.settle()
    assert held(again) == ["timer:distro:sys"]
