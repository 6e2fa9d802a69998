"""An arrow for each message, from the record of its sender to that of its receiver."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from kernel.router.trace import TraceRecord
from testnet.faults.hostile_peer import HostilePeer
from testnet.faults.schedule import Step
from testnet.journal.journal import Journal, read_journal_untrusted
from testnet.report.events import meaning
from testnet.report.model import DrawnMessage, draw
from testnet.scenarios.hostile import HOSTILE
from testnet.scenarios.scenario import draw_plan
from testnet.sim.programs import Programs
from testnet.sim.run import run
from tests.testnet.report.conftest import SEED
from tests.testnet.report.small import ASKED, ASKER, small, step


def times(journal: Journal) -> list[tuple[bool, float | None, float | None]]:
    return [(each.response, each.sent, each.arrived) for each in draw(journal).messages]


def test_a_request_and_its_response_go_from_sending_to_arrival() -> None:
    journal = small(
        step(1.0, "a.nec", "sent"),
        step(1.0, "a.nec", "handed over"),
        step(1.5, "b.nec", "sent"),
        step(1.6, "b.nec", "handed over"),
        step(1.7, "a.nec", "arrived there"),
        step(2.0, "b.nec", "answered"),
        step(2.5, "a.nec", "answered"),
    )
    request, response = draw(journal).messages
    assert (request.sent, request.arrived, request.taken, request.confirmed) == (1.0, 1.5, 1.6, 1.7)
    assert (response.response, response.sent, response.arrived) == (True, 2.0, 2.5)
    assert (request.lines, response.lines) == ((2, 4, 5, 6), (7, 8))


def test_g10_an_answer_that_is_inherited_goes_from_the_node_that_gives_it(chains: Journal) -> None:
    answers = [each for each in draw(chains).messages if each.response and each.arrived is not None]
    way = {(each.sender, each.receiver) for each in answers if each.source.startswith("c.nec@witness")}
    assert ("c.nec", "a.nec") in way, "b.nec has passed on what a.nec asked"
    assert [each for each in answers if each.sent is None] == []


def test_what_has_the_same_id_arrives_in_the_order_in_which_it_left() -> None:
    journal = small(*(step(at, node, "sent") for at, node in ((1, "a.nec"), (2, "a.nec"), (3, "b.nec"), (4, "b.nec"))))
    assert times(journal) == [(False, 1, 3), (False, 2, 4)]


def test_a_lost_message_never_arrives() -> None:
    journal = small(step(1.0, "a.nec", "sent"), step(6.0, "a.nec", "failed", reason="expired"))
    picture = draw(journal)
    assert times(journal) == [(False, 1.0, None)]
    assert [(each.at, each.node, each.what, each.reason) for each in picture.failures] == [
        (6.0, "a.nec", "Timeout", "expired")
    ]


def test_what_the_requester_is_told_is_offline_or_timeout_as_its_reason_has_it() -> None:
    reasons = ("refused", "expired", "a reason of a later version")
    picture = draw(small(*(step(1.0, "a.nec", "failed", reason=reason) for reason in reasons)))
    assert [each.what for each in picture.failures] == ["Offline", "Timeout", "failed"]


def test_a_response_that_comes_too_late_arrives_and_is_dropped() -> None:
    late = step(3.0, "a.nec", "dropped", source=ASKED, target=ASKER, reason="nobody waits for it")
    journal = small(step(2.0, "b.nec", "answered"), late)
    assert times(journal) == [(True, 2.0, 3.0)]
    assert [each.what for each in draw(journal).failures] == ["dropped"]


def test_what_nobody_was_seen_to_send_arrives_all_the_same() -> None:
    assert times(small(step(1.5, "b.nec", "sent"))) == [(False, None, 1.5)]


def test_an_impostors_message_leaves_the_node_that_sent_it() -> None:
    journal = small(step(1.0, "liar.nec", "sent", claimed=False), step(2.0, "b.nec", "sent"))
    (message,) = draw(journal).messages
    assert (message.source, message.sender, message.receiver) == (ASKER, "liar.nec", "b.nec")


def test_a_local_message_arrives_when_it_is_taken() -> None:
    here = {"source": ASKER, "target": "a.nec@vfs:distro:sys"}
    journal = small(step(1.0, "a.nec", "sent", **here), step(1.2, "a.nec", "handed over", **here))
    assert times(journal) == [(False, 1.0, 1.2)]


def test_a_lineage_goes_on_at_the_next_node() -> None:
    onwards = {"id": 2, "source": ASKED, "target": "c.nec@store:hello:sys"}
    journal = small(
        step(1.0, "a.nec", "sent"),
        step(2.0, "b.nec", "sent"),
        step(2.0, "b.nec", "sent", parent=1, root=1, **onwards),
        step(3.0, "c.nec", "sent", **onwards),
        step(
            3.5, "c.nec", "sent", id=3, parent=2, root=2, source="c.nec@store:hello:sys", target="c.nec@vfs:distro:sys"
        ),
    )
    assert [(each.id, each.parent, each.root) for each in draw(journal).messages] == [
        ("1", None, "1"),
        ("2", "1", "1"),
        ("3", "2", "1"),
    ]


def test_a_lineage_that_bites_its_tail_is_drawn_all_the_same() -> None:
    journal = small(step(1.0, "a.nec", "sent", id=1, parent=2), step(1.0, "a.nec", "sent", id=2, parent=1))
    assert {each.root for each in draw(journal).messages} <= {"1", "2"}


def test_a_long_lineage_is_no_matter_of_the_stack() -> None:
    picture = draw(small(*(step(1.0, "a.nec", "sent", id=id, parent=id - 1 or None) for id in range(1, 5000))))
    assert {each.root for each in picture.messages} == {"1"}


def test_a_fault_holds_from_its_beginning_to_its_end_or_that_of_the_run() -> None:
    def begins(number: int, words: str) -> str:
        return "fault " + json.dumps({"number": number, "words": words, "nodes": ["a.nec"], "state": "begins"})

    journal = small(
        (1.0, "-", begins(1, "pause")), (2.0, "-", begins(2, "kill")), (3.0, "-", 'fault {"number":1,"state":"ends"}')
    )
    assert [(each.words, each.begins, each.ends) for each in draw(journal).bands] == [
        ("pause", 1.0, 3.0),
        ("kill", 2.0, None),
    ]


def test_nodes_that_were_not_planned_get_lanes_too() -> None:
    journal = small((0.0, "registrar.nec", "boots"), (0.0, "-", "note begins"))
    assert draw(journal).nodes == ("a.nec", "b.nec", "registrar.nec")


def records(journal: Journal) -> dict[int, TraceRecord]:
    read = ((event.line, meaning(event)) for event in journal.events)
    return {line: record for line, record in read if isinstance(record, TraceRecord)}


def is_between_nodes(message: DrawnMessage) -> bool:
    return message.source.split("@")[0] != message.target.split("@")[0]


def test_in_a_real_run_both_ends_of_each_arrow_are_records_of_that_very_message(journal: Journal) -> None:
    by_line, at = records(journal), {event.line: (event.at, event.node) for event in journal.events}
    arrows = [each for each in draw(journal).messages if is_between_nodes(each)]
    assert len(arrows) > 40, SEED
    for arrow in arrows:
        ends = [at[line] for line in arrow.lines]
        assert ends[0] == (arrow.sent, arrow.sender), SEED
        assert arrow.arrived is None or (arrow.arrived, arrow.receiver) in ends, SEED
        for record in (by_line[line] for line in arrow.lines):
            ends_of_it = (str(record.source), str(record.target))
            assert (str(record.id), *ends_of_it) == (arrow.id, arrow.source, arrow.target), SEED


def test_in_a_real_run_all_that_was_received_was_sent_before_on_the_other_node(journal: Journal) -> None:
    arrived = [each for each in draw(journal).messages if is_between_nodes(each) and each.arrived is not None]
    assert arrived, SEED
    for each in arrived:
        assert each.sent is not None, SEED
        assert each.sent < each.arrived, SEED  # type: ignore[operator]


def test_in_a_real_run_a_transfers_lineage_covers_both_nodes(journal: Journal) -> None:
    lineages: dict[str, set[str]] = {}
    for each in draw(journal).messages:
        lineages.setdefault(each.root, set()).update((each.sender, each.receiver))
    assert max(map(len, lineages.values())) >= 2, SEED


def test_a_hostile_peer_is_a_lane_and_a_band_over_the_node_that_it_attacks(tmp_path: Path) -> None:
    fault = HostilePeer("victim.nec", "trickles")
    plan = replace(draw_plan(HOSTILE, 1), schedule=(Step(1.0, 7.0, fault),))
    path = tmp_path / "hostile.journal"
    run(plan, Programs()).write(path)
    picture = draw(read_journal_untrusted(path))
    assert fault.host in picture.nodes
    assert [(band.words, band.nodes) for band in picture.bands] == [(fault.words(), ("victim.nec",))]
