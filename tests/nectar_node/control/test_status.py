"""The rows that the command line shows, of a node with real guests in virtual time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kernel.contract.address import Address, ProcessId
from kernel.contract.guest import Failure
from kernel.wasm.engine import Engine
from nectar_node.contract.traces import TraceRecord, TraceStep
from nectar_node.control import status
from testnet.sim.simulation import SimNode, Simulation

OUR = "one.nec"
PACKAGES = Path(__file__).resolve().parents[3] / "packages"
DECODER = ProcessId("decoder", "app", "local")


@pytest.fixture
def simulation(replayable: Engine, tmp_path: Path) -> Simulation:
    """A node whose one process traps on bad input, and starts again."""
    (tmp_path / "app").mkdir()
    code = (PACKAGES / "crash_isolation" / "pkg" / "decoder.wasm").read_bytes()
    (tmp_path / "app" / "decoder.wasm").write_bytes(code)
    entry = {"process_name": "decoder", "process_wasm_path": "/decoder.wasm", "on_exit": "Restart", "public": True}
    manifest = [{**entry, "request_networking": True, "request_capabilities": ["vfs:distro:sys"]}]
    (tmp_path / "app" / "manifest.json").write_text(json.dumps(manifest))
    simulation = Simulation(7, replayable)
    simulation.add(OUR, (tmp_path / "app",))
    simulation.settle()
    return simulation


def row(simulation: Simulation, node: SimNode) -> status.Row:
    found = status.process_row(node.core, DECODER, simulation.now)
    assert found is not None
    assert list(status.process_rows(node.core, simulation.now)) == [found]
    return found


def test_a_running_process_is_shown_with_what_it_holds(simulation: Simulation) -> None:
    found = row(simulation, simulation.nodes[OUR])
    assert found["address"] == f"{OUR}@decoder:app:local"
    assert found["capabilities"] == ["network", "vfs:distro:sys"]
    assert (found["state"], found["messages"], found["restarts"]) == ("waiting for a message", 0, 0)
    assert (found["public"], found["on_exit"], found["parent"]) == (True, "restart", None)


def test_g22_one_that_waits_for_its_restart_says_when_and_counts_it_afterwards(simulation: Simulation) -> None:
    node = simulation.nodes[OUR]
    assert isinstance(node.ask(f"our@{DECODER}", b"3", 10), Failure)
    waiting = row(simulation, node)
    assert (waiting["state"], waiting["restarts"]) == ("starts again in 1 s", 0)
    assert waiting["capabilities"] == ["network", "vfs:distro:sys"]
    simulation.run_until(lambda: DECODER in node.core.kernel.processes, simulation.now + 5)
    again = row(simulation, node)
    assert (again["restarts"], again["messages"]) == (1, 0)


def test_there_is_no_row_for_who_is_not_there(simulation: Simulation) -> None:
    nobody = ProcessId("no", "body", "sys")
    assert status.process_row(simulation.nodes[OUR].core, nobody, simulation.now) is None


def test_g3_a_record_of_a_trace_marks_claims_and_has_ids_that_every_reader_of_json_can_hold() -> None:
    source, target = Address.parse("two.nec@a:b:sys"), Address.parse(f"{OUR}@c:d:sys")
    id = 2**64 - 1
    record = TraceRecord(1.5, TraceStep.SENT, id, None, id, False, True, source, target, True, 2, None, None, b"\xff!")
    found = status.trace_row(record, lead=1_000_000_000.0)
    assert (found["id"], found["parent"], found["root"]) == (str(id), None, str(id))
    assert (found["time"], found["at"]) == ("2001-09-09T01:46:41.500+00:00", 1.5)
    assert (found["source"], found["claim"], found["step"]) == ("two.nec@a:b:sys", True, "sent")
    assert found["beginning"] == "\N{REPLACEMENT CHARACTER}!"
