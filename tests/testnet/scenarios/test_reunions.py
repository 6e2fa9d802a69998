"""The scenario reunions: it holds on many seeds, and finds what is sent again and whoever does not see who is back."""

from __future__ import annotations

from typing import Any

import pytest

from net.peering.sessions import Sessions
from net.session.outbox import Outbox
from net.session.session import Connection, Session
from testnet.scenarios.reunions import REUNIONS
from testnet.scenarios.scenario import Plan
from testnet.sim.programs import Programs
from tests.testnet.scenarios.played import passes, violation

A, B, C = REUNIONS.nodes
TALK = {"at": 0.1, "do": "cut", "node": B, "pace": [100, 10]}
LOSS = {"at": 0.4, "do": "restart", "node": B, "how": "loss", "after": 0.3, "mute": 0.5, "pace": [20, 0]}
PARTITION = LOSS | {"how": "partition", "after": 0.03}


def plan(*events: dict[str, Any], last: tuple[str, ...] = ()) -> Plan:
    options = {"jitter": 0.05, "events": list(events), "calm": [], "last": list(last)}
    return Plan("reunions", 5, REUNIONS.nodes, options)


@pytest.mark.parametrize("restart", [LOSS, PARTITION], ids=["loss", "partition"])
def test_it_holds_when_a_node_falls_silent_and_restarts_in_the_midst_of_a_talk(
    programs: Programs, restart: dict[str, Any]
) -> None:
    passes(plan(TALK, restart, last=(A, C)), programs)


def test_g4_it_finds_what_is_sent_again_to_a_node_that_has_restarted(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Outbox, "fail_begun", lambda self: [])
    text = violation(plan(TALK, LOSS), programs)
    assert text.startswith(f"G4: {B}@witness:witness:sys was given request ")
    assert text.endswith(" twice")


def test_it_finds_a_node_that_does_not_see_who_is_back(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    choose = Sessions.choose

    def choose_the_first(sessions: Sessions, session: Session, connection: Connection) -> None:
        if session.connection is None:
            choose(sessions, session, connection)

    monkeypatch.setattr(Sessions, "choose", choose_the_first)
    text = violation(plan(last=(C,)), programs)
    assert text == f"{C} is back, and not heard by {A}: 1 sent, 0 answered, 0 returned, 0 offline, 1 timeout"
