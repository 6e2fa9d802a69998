"""The scenario flood: it holds on many seeds, and tells answers whose authors know that they are lost from those that
are just not there."""

from __future__ import annotations

from itertools import count

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
from testnet.scenarios.scenario import Plan
from testnet.sim.programs import Programs
from tests.testnet.scenarios.played import passes, violation

SLOW, EAGER = FLOOD.nodes
BATCH = f"batch 0 of {EAGER}: {EAGER} to {SLOW}"


def plan(*schedule: Step) -> Plan:
    """One batch, sent at once; its process takes it after 2 s."""
    return Plan("flood", 7, FLOOD.nodes, {"batches": 1, "waits": 1.0}, schedule)


def test_g15_an_answer_that_cannot_be_delivered_is_a_timeout_of_its_requester(programs: Programs) -> None:
    """What was taken is answered into a connection that breaks, and there is no other one until both give it up."""
    link = Where(SLOW, EAGER)
    faults = Step(1.5, 20.0, ConnectionReset(where=link)), Step(1.5, 20.0, NoRoute(link))
    outcomes = passes(plan(*faults), programs).outcomes
    assert outcomes[BATCH] == "512 sent, 0 answered, 0 returned, 0 offline, 512 timeout"


def test_it_finds_an_answer_that_is_lost_without_a_word(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    sent, seen = Peers.send, count()

    def lossy(self: Peers, parcel: Parcel, now: float) -> None:
        if not isinstance(parcel.envelope.message, Response) or next(seen) != 99:
            sent(self, parcel, now)

    monkeypatch.setattr(Peers, "send", lossy)
    words = f"{EAGER}'s batch 0 of {EAGER}: 512 sent, 511 answered, 0 returned, 0 offline, 1 timeout"
    text = violation(plan(), programs)
    assert text == f"there was time enough for {words}, and 0 answers could not be delivered"


def test_it_finds_a_node_that_breaks_connections_itself(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts what has come, and not what it has not taken: so it takes those who send more for liars."""
    begin = Inbox._begin

    def counting(self: Inbox, sequence: int, cost: int) -> None:
        if sequence > 300:
            raise CreditOverrun("a message beyond its credit")
        begin(self, sequence, cost)

    monkeypatch.setattr(Inbox, "_begin", counting)
    assert violation(plan(), programs).startswith(f"nothing was wrong with {EAGER}'s ")
