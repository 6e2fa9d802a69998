"""A node whose own state may be torn goes down in order and says so; what can be ended alone ends alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kernel.contract.address import Address
from kernel.contract.guest import Arrival
from nectar_node.base.errors import EX_SOFTWARE, NodeError
from nectar_node.base.folder import NodeFolder
from nectar_node.launcher.client import ControlClient
from testnet.sim.names import NodeFailure
from testnet.sim.programs import Programs
from testnet.sim.simulation import LinkBehaviour, NodeSpec, Simulation
from tests.waiting import until

LIMIT = 60
PACKAGES = Path(__file__).resolve().parents[2] / "packages"
_TORN = """
import sys
from pathlib import Path
from kernel.router.outcomes import Outcomes
from nectar_node.contract.config import NodeConfig
from nectar_node.base.folder import NodeFolder
from nectar_node.driver.node import run

def fail(*_):
    raise ZeroDivisionError("ours")

Outcomes.undeliverable = fail
folder = Path(sys.argv[1])
sys.exit(run(NodeConfig("registrar.nec", NodeFolder(folder / "registrar.nec"), None, folder)))
"""


def fail(*_: object, **__: object) -> None:
    """What nobody has foreseen."""
    raise ZeroDivisionError("ours")


def test_a_node_that_may_be_torn_ends_in_order_with_an_exit_code_of_its_own_and_its_log_says_what_it_did(
    tmp_path: Path,
) -> None:
    folder = NodeFolder(tmp_path / "registrar.nec")
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", _TORN, str(tmp_path)], stdout=pipe, stderr=pipe, text=True) as node:
        until(folder.control.exists)
        with ControlClient.connect("registrar.nec", folder) as client, pytest.raises(NodeError):
            client.request("message", target="our@no:body:sys", body="1", timeout=5, blob=None, mime=None)
        said, complained = node.communicate(timeout=LIMIT)
    assert node.returncode == EX_SOFTWARE
    assert complained == ("registrar.nec goes down: it was told inject, and failed. Its log says why.\n"), (
        "one sentence, and no traceback"
    )
    assert "what may be half done: it was told inject" in said
    assert "ZeroDivisionError: ours" in said
    assert not folder.control.exists(), "in order"


def test_a_request_that_a_system_process_fails_at_is_answered_at_once_and_nothing_else_ends(
    monkeypatch: pytest.MonkeyPatch, nectar_programs: Programs
) -> None:
    simulation = Simulation(1, nectar_programs, LinkBehaviour(0.001, 0.0))
    simulation.contained = []
    node = simulation.boot_node(NodeSpec("a.nec", (PACKAGES / "hello",)))
    simulation.settle()
    with monkeypatch.context() as broken:
        broken.setattr("nectar_node.system.vfs.Vfs._take_untrusted", fail)
        answer = node.ask("our@vfs:distro:sys", b"{}", 5)
    assert isinstance(answer, Arrival)
    error = json.loads(answer.message.body)["Err"]["IOError"]["error"]
    assert error == "the node failed: its log says why"
    assert simulation.now < 5.0, "it is told at once"
    assert node.core.failures == {"net": 0, "vfs:distro:sys": 1}
    assert [failure.what for failure in simulation.contained] == ["vfs:distro:sys"]
    assert node.core.torn is None


def test_a_simulation_finds_what_a_real_node_would_outlive(
    monkeypatch: pytest.MonkeyPatch, nectar_programs: Programs
) -> None:
    simulation = Simulation(1, nectar_programs, LinkBehaviour(0.001, 0.0))
    node = simulation.boot_node(NodeSpec("a.nec", ()))
    simulation.settle()
    monkeypatch.setattr("nectar_node.system.vfs.Vfs._take_untrusted", fail)
    with pytest.raises(NodeFailure, match=r"a\.nec failed at vfs:distro:sys"):
        node.ask("our@vfs:distro:sys", b"{}", 5)


def test_a_core_that_is_torn_does_nothing_more(monkeypatch: pytest.MonkeyPatch, nectar_programs: Programs) -> None:
    simulation = Simulation(1, nectar_programs, LinkBehaviour(0.001, 0.0))
    node = simulation.boot_node(NodeSpec("a.nec", ()))
    simulation.settle()
    monkeypatch.setattr("kernel.router.outcomes.Outcomes.undeliverable", fail)
    with pytest.raises(ZeroDivisionError):
        node.ask("our@no:body:sys", b"1", 5)
    torn = node.core.torn
    assert torn is not None
    assert (torn.what, str(torn.error)) == ("it was told inject", "ours")
    node.core.kill(Address.parse("our@no:body:sys").process, simulation.now)
    assert ([*node.core.settle(simulation.now)], node.core.can_run, node.core.next_deadline()) == ([], False, None)
