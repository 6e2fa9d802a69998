"""The scenario flood: it holds on many seeds, and tells answers whose authors know that they are lost from those that
are just not there."""

from __future__ import annotations

import pytest

from kernel.contract.events import Parcel
from kernel.contract.message import Response
from nectar_node.peers.bridge import Peers
from net.base.errors import CreditOverrun
from net.session.inbox import Inbox
from testnet.faults.no_route import NoRoute
from testnet.faults.reset import ConnectionReset
from testnet.faults.schedule import Step
from testnet.model.where import Where
from testnet.scenarios.flood import FLOOD
from testnet.scenarios.scenario import Plan, draw_plan
from testnet.sim.programs import Programs
from testnet.sim.run import PASSED, VIOLATED, run

SLOW, EAGER = FLOOD.nodes
BATCH = f"batch 0 of {EAGER}: {EAGER} to {SLOW}"


def plan(*schedule: Step) -> Plan:
    """One batch, sent at once; its process takes it after 2 s."""
    return Plan("flood", 7, FLOOD.nodes, {"batches": 1, "waits": 1.0}, schedule)


@pytest.mark.parametrize("seed", range(3))
def test_it_holds_whatever_is_drawn(programs: Programs, seed: int) -> None:
    result = run(draw_plan(FLOOD, seed), programs)
    assert result.result == PASSED, (seed, result.text)


def test_g15_an_answer_that_cannot_be_delivered_is_a_timeout_of_its_requester(programs: Programs) -> None:
    """What was taken is answered into a connection that breaks, and there is no other one until both give it up."""
    link = Where(SLOW, EAGER)
    result = run(plan(Step(1.5, 20.0, ConnectionReset(where=link)), Step(1.5, 20.0, NoRoute(link))), programs)
    assert result.result == PASSED, result.text
    assert result.outcomes[BATCH] == "512 sent, 0 answered, 0 returned, 0 offline, 512 timeout"


def test_it_finds_an_answer_that_is_lost_without_a_word(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = Peers.send
    seen: list[Parcel] = []

    def lossy(self: Peers, parcel: Parcel, now: float) -> None:
        if isinstance(parcel.envelope.message, Response):
            seen.append(parcel)
            if len(seen) == 100:
                return
        sent(self, parcel, now)

    monkeypatch.setattr(Peers, "send", lossy)
    result = run(plan(), programs)
    assert result.result == VIOLATED, result.text
    words = f"{EAGER}'s batch 0 of {EAGER}: 512 sent, 511 answered, 0 returned, 0 offline, 1 timeout"
    assert result.text == f"there was time enough for {words}, and 0 answers could not be delivered"


def test_it_finds_a_node_that_breaks_connections_itself(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts what has come, and not what it has not taken: so it takes those who send more for liars."""
    begin = Inbox._begin

    def counting(self: Inbox, sequence: int, cost: int) -> None:
        if sequence > 300:
            raise CreditOverrun("a message beyond its credit")
        begin(self, sequence, cost)

    monkeypatch.setattr(Inbox, "_begin", counting)
    result = run(plan(), programs)
    assert result.result == VIOLATED, result.text
    assert result.text.startswith(f"nothing was wrong with {EAGER}'s ")
