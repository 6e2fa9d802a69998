"""The scenario registrar_outage: it holds on many seeds, and finds out if the registrar was there or has forgotten."""

from __future__ import annotations

import pytest

from nectar_node.packages.installer import Installer
from net.names.registrar import Registrar
from testnet.faults.registrar_down import RegistrarDown
from testnet.scenarios.registrar_outage import REGISTRAR_OUTAGE
from testnet.scenarios.scenario import Plan
from testnet.sim.programs import Programs
from tests.seeds import sample
from tests.testnet.scenarios.played import passes, violation

A, B, NEW, LATE = REGISTRAR_OUTAGE.nodes


def plan(how: str, event: str = "nothing", late: float = 1.0) -> Plan:
    options = {"how": how, "pause": 1.0, "lasts": 10.0, "event": event, "late": late, "count": 50, "gap_ms": 100}
    return Plan("registrar_outage", 5, REGISTRAR_OUTAGE.nodes, options)


@pytest.mark.parametrize("how", ["crash", "unreachable"])
@pytest.mark.parametrize("event", sample(["restart", "cut", "nothing"], 2))
def test_who_knows_each_other_talks_on_though_connections_break_and_nodes_restart(
    programs: Programs, how: str, event: str
) -> None:
    passes(plan(how, event), programs)


def test_it_finds_out_if_the_registrar_was_there_all_the_time(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RegistrarDown, "begin", lambda self, nodes: None)
    text = violation(plan("crash"), programs)
    assert text.startswith(f"{A} asks {NEW}, cannot know where it is, and is answered: 5 sent, 5 answered")


def test_it_finds_out_if_the_registrar_has_forgotten_who_was_there(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Registrar.__init__
    monkeypatch.setattr(Registrar, "__init__", lambda self, identity, records=(): made(self, identity))
    text = violation(plan("crash", late=0.05), programs)
    assert text.startswith(f"{A} asks {LATE}, asked for it until the registrar was back: 1 sent, 0 answered")


def test_it_finds_out_if_what_comes_before_the_packages_run_reaches_no_process(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Installer, "expect", lambda self, packages: None)
    text = violation(plan("crash", "restart"), programs)
    assert text.startswith(f"{A} asks {B}, has reached it before its processes ran: 5 sent, 0 answered")
