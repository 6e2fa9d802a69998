"""A node boots while the registrar is down, or when it is refused its name: the same at every level."""

from __future__ import annotations

from pathlib import Path

import pytest

from net.base.limits import RECOVERY_SECONDS
from testnet.faults.registrar_down import RegistrarDown
from testnet.model.lab import READY_SECONDS, Level, NodePlan
from tests.levels.labs import EARLY, QUICK, open_lab

NODE, HELLO = "a.nec", "our@hello:hello:sys"
WARNING = f"net: The registrar does not answer, so nobody new can find {NODE}"


@pytest.mark.parametrize("level", QUICK)
def test_a_node_that_boots_without_the_registrar_starts_its_packages_when_that_has_not_answered(
    level: Level, tmp_path: Path
) -> None:
    with open_lab(level, tmp_path / "testnet") as lab:
        lab.boot(NodePlan(NODE, ("hello",)))
        lab.crash(NODE)
        with lab.apply(RegistrarDown()):
            began = lab.now
            lab.start(NODE)
            lab.wait(lambda: lab.ready(NODE), READY_SECONDS, "the boot")
            assert lab.now - began >= RECOVERY_SECONDS - EARLY
            assert lab.ask(NODE, HELLO, {"Greet": "x"}, 10).kind == "response"
            assert [line for line in lab.log(NODE) if line.startswith(WARNING)]
