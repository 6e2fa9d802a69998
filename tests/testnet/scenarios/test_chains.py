"""The scenario chains: it holds on many seeds, and finds what is lost, and what comes out of nothing, on the way."""

from __future__ import annotations

from itertools import count

import pytest

from kernel.contract.events import Parcel
from kernel.contract.message import Request
from nectar_node.peers.bridge import Peers
from testnet.faults.crash import Crash
from testnet.faults.schedule import Step
from testnet.scenarios.chains import CHAINS
from testnet.scenarios.scenario import Plan, draw_plan
from testnet.sim.programs import Programs
from tests.testnet.scenarios.played import passes, violation

A, B, C, D = CHAINS.nodes


def plan(*schedule: Step, blob: int = 1000, count: int = 20, gap_ms: int = 100) -> Plan:
    """One chain over all nodes."""
    chain = {"author": A, "targets": [B], "path": [C, D], "timeout": 20}
    pace = {"blob": blob, "count": count, "gap_ms": gap_ms}
    return Plan("chains", 7, CHAINS.nodes, {"chains": [[0.0, chain | pace]]}, schedule)


@pytest.mark.parametrize("count", [2, 6])
def test_it_holds_on_two_nodes_and_on_six(programs: Programs, count: int) -> None:
    passes(draw_plan(CHAINS, 5, count), programs)


def test_it_holds_when_a_node_on_the_way_crashes(programs: Programs) -> None:
    journal = passes(plan(Step(0.5, 1.5, Crash(C))), programs, journal=True).journal
    answers = [line for line in journal if line.split()[1] == A and '"step":"answered"' in line]
    assert any('"Returned' in line.replace("\\", "") for line in answers)


def test_g10_the_last_node_answers_the_first_although_they_have_never_talked(programs: Programs) -> None:
    journal = passes(plan(count=1), programs, journal=True).journal
    answers = [line for line in journal if line.split()[1] == A and "Noted" in line]
    assert answers
    assert all(f'"source":"{D}@witness:witness:sys","target":"{A}@witness:witness:sys"' in line for line in answers)


def test_it_finds_a_request_that_is_lost_where_nobody_waits_for_it(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, seen = Peers.send, count()

    def lossy(self: Peers, parcel: Parcel, now: float) -> None:
        message = parcel.envelope.message
        if not isinstance(message, Request) or message.expects_response is not None or next(seen) % 7 != 6:
            sent(self, parcel, now)

    monkeypatch.setattr(Peers, "send", lossy)
    text = violation(plan(), programs)
    assert text.startswith("messages lost without a word: of chain 0, b.nec sent 20 to c.nec")


def test_it_finds_a_blob_that_is_not_the_one_that_was_sent(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = Peers.send

    def meddling(self: Peers, parcel: Parcel, now: float) -> None:
        envelope = parcel.envelope
        if envelope.source.node == C and envelope.blob is not None:
            data = bytearray(envelope.blob.bytes)
            data[500] ^= 1
            envelope = envelope._replace(blob=envelope.blob._replace(bytes=bytes(data)))
        sent(self, parcel._replace(envelope=envelope), now)

    monkeypatch.setattr(Peers, "send", meddling)
    assert "has a blob whose byte 500 is wrong" in violation(plan(), programs)
