"""G17 to G21 over three nodes: a ticket opens its door for whoever it was handed to, and nothing else does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from testnet.sim.simulation import SimNode
from tests.packages.lab import Lab, outcome

ONE, TWO, THREE = NODES = ("one.nec", "two.nec", "three.nec")
DOOR, GUEST = "our@door:handoff:sys", "our@guest:handoff:sys"
ERRAND = {"node": ONE, "door": 3}
TICKET = {"node": ONE, "door": 3}
NO_TICKET = {"Door": {"Refused": {"door": 3, "reason": "no ticket"}}}


def ask(node: SimNode, target: str, body: object) -> Any:
    return outcome(node.ask(target, json.dumps(body).encode(), 60))


def fetch(node: SimNode) -> None:
    assert ask(node, GUEST, {"Fetch": ERRAND}) == {"Fetched": [TICKET]}


def opened(times: int) -> dict[str, object]:
    return {"Door": {"Opened": {"door": 3, "times": times}}}


def openings(lab: Lab) -> Any:
    return ask(lab.node, DOOR, "Openings")["Openings"]


def opening(node: str, times: int) -> dict[str, object]:
    return {"holder": f"{node}@guest:handoff:sys", "door": 3, "times": times}


def test_whoever_fetches_a_ticket_opens_the_door_as_often_as_it_likes(lab: Lab) -> None:
    fetch(lab.nodes[1])
    assert [ask(lab.nodes[1], GUEST, {"Open": ERRAND}) for _ in range(2)] == [opened(1), opened(2)]
    assert openings(lab) == {"opened": [opening(TWO, 2)], "refused": 0, "left_out": 0}


def test_on_the_doors_own_node_too(lab: Lab) -> None:
    fetch(lab.node)
    assert ask(lab.node, GUEST, {"Open": ERRAND}) == opened(1)


def test_g20_a_ticket_that_was_handed_on_opens_the_door_for_the_guest_of_a_third_node(lab: Lab) -> None:
    _, two, three = lab.nodes
    fetch(two)
    assert ask(two, GUEST, {"Pass": {**ERRAND, "to": THREE}}) == {"Took": [TICKET]}
    assert ask(three, GUEST, "Tickets") == {"Tickets": [TICKET]}
    assert ask(three, GUEST, {"Open": ERRAND}) == opened(1)
    assert ask(two, GUEST, {"Open": ERRAND}) == opened(1)
    assert openings(lab) == {"opened": [opening(THREE, 1), opening(TWO, 1)], "refused": 0, "left_out": 0}


def test_g20_it_may_come_back_to_the_doors_own_node(lab: Lab) -> None:
    fetch(lab.nodes[1])
    assert ask(lab.nodes[1], GUEST, {"Pass": {**ERRAND, "to": ONE}}) == {"Took": [TICKET]}
    assert ask(lab.node, GUEST, {"Open": ERRAND}) == opened(1)


@pytest.mark.parametrize("number", [0, 2])
@pytest.mark.parametrize("how", ["NoTicket", "MadeUp"])
def test_g20_without_a_ticket_or_with_one_made_up_nobody_gets_in(lab: Lab, number: int, how: str) -> None:
    node = lab.nodes[number]
    assert ask(node, GUEST, {"BreakIn": {**ERRAND, "how": how}}) == NO_TICKET
    assert ask(node, GUEST, "Tickets") == {"Tickets": []}
    assert openings(lab) == {"opened": [], "refused": 1, "left_out": 0}


@pytest.mark.parametrize("number", [0, 2])
def test_g17_what_a_guest_issues_itself_is_no_ticket(lab: Lab, number: int) -> None:
    answer = ask(lab.nodes[number], GUEST, {"BreakIn": {**ERRAND, "how": "OfOurOwn"}})
    assert answer == {"Door": {"Refused": {"door": 3, "reason": "not a ticket of ours"}}}


def test_a_ticket_for_one_door_opens_no_other(lab: Lab) -> None:
    fetch(lab.nodes[1])
    answer = ask(lab.nodes[1], GUEST, {"BreakIn": {"node": ONE, "door": 4, "how": {"OtherDoor": 3}}})
    assert answer == {"Door": {"Refused": {"door": 4, "reason": "a ticket for another door"}}}


def test_a_ticket_for_one_nodes_door_does_not_open_that_of_another(lab: Lab) -> None:
    fetch(lab.nodes[1])
    assert ask(lab.nodes[1], GUEST, {"Open": {"node": THREE, "door": 3}}) == NO_TICKET


def test_g20_who_has_no_ticket_has_none_to_hand_on(lab: Lab) -> None:
    _, two, three = lab.nodes
    assert ask(two, GUEST, {"Pass": {**ERRAND, "to": THREE}}) == {"Took": []}
    assert ask(three, GUEST, {"Open": ERRAND}) == NO_TICKET


def test_g20_a_ticket_that_was_dropped_opens_nothing(lab: Lab) -> None:
    fetch(lab.nodes[1])
    assert ask(lab.nodes[1], GUEST, {"Drop": TICKET}) == "Dropped"
    assert ask(lab.nodes[1], GUEST, {"Open": ERRAND}) == NO_TICKET


@pytest.mark.parametrize("restarted", [ONE, TWO])
def test_g21_a_ticket_outlives_a_restart_of_the_doors_and_of_the_holders_node(lab: Lab, restarted: str) -> None:
    fetch(lab.nodes[1])
    lab.simulation.rest(2)  # a crash loses the last second's grants
    lab.simulation.restart(restarted)
    lab.simulation.settle()
    assert ask(lab.simulation.nodes[TWO], GUEST, {"Open": ERRAND}) == opened(1)


def test_a_door_that_cannot_be_reached_is_offline(lab: Lab) -> None:
    for errand in ("Fetch", "Open"):
        answer = ask(lab.node, GUEST, {errand: {"node": "nobody.nec", "door": 3}})
        assert answer == {"Failed": {"kind": "Offline"}}
    assert ask(lab.node, GUEST, {"Pass": {**ERRAND, "to": "nobody.nec"}}) == {"Failed": {"kind": "Offline"}}


def test_a_door_that_stays_silent_is_a_timeout(lab: Lab) -> None:
    fetch(lab.nodes[1])
    lab.node.pause()
    answer = ask(lab.nodes[1], GUEST, {"Open": {**ERRAND, "timeout": 2}})
    assert answer == {"Failed": {"kind": "Timeout"}}


def test_another_node_can_send_no_guest_on_an_errand(lab: Lab) -> None:
    for body in ("Tickets", {"Fetch": ERRAND}, {"Drop": TICKET}):
        assert lab.ask("two.nec@guest:handoff:sys", body) == {"Err": "only this node's user may ask for that"}
    assert lab.ask("two.nec@door:handoff:sys", "Openings") == {"Err": "only this node's user may ask for that"}


def test_what_is_no_request_is_told_what_one_is(lab: Lab) -> None:
    assert lab.ask(DOOR, "Close") == {"Err": "expected Issue, Open or Openings"}
    expected = "expected Fetch, Open, Pass, BreakIn, Tickets, Drop or Take"
    assert lab.ask(GUEST, {"Open": {}}) == {"Err": expected}
