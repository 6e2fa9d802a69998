"""A chat among nodes: who heard what, in which order, and what an author is told of those who missed it."""

from __future__ import annotations

from typing import Any

import pytest

from testnet.faults.crash import Crash
from testnet.faults.partition import Partition
from testnet.model.where import Where
from tests.packages.lab import Lab

CHAT = "our@chat:chat:sys"
ONE, TWO, THREE = MEMBERS = NODES = ("one.nec", "two.nec", "three.nec")


@pytest.fixture
def chat(lab: Lab) -> Lab:
    """The same, all joined."""
    for node in MEMBERS:
        assert lab.ask(CHAT, {"Join": {"members": MEMBERS}}, where=node) == "Joined"
    return lab


def say(lab: Lab, text: str, where: str = ONE) -> Any:
    return lab.ask(CHAT, {"Say": text}, where=where)["Said"]


def history(lab: Lab, where: str = ONE) -> list[tuple[str, int, str]]:
    lines = lab.ask(CHAT, "History", where=where)["History"]
    assert [line["wrong"] for line in lines] == [None] * len(lines)
    return [(line["author"], line["number"], line["text"]) for line in lines]


def test_every_member_hears_a_line_and_its_author_is_told_so(chat: Lab) -> None:
    assert chat.ask(CHAT, {"Say": "hello"}) in (
        {"Said": {"number": 1, "heard": [TWO, THREE], "missed": []}},
        {"Said": {"number": 1, "heard": [THREE, TWO], "missed": []}},
    )
    for node in MEMBERS:
        assert history(chat, node) == [(ONE, 1, "hello")]


def test_g4_lines_that_are_under_way_at_once_come_in_the_order_in_which_they_were_said(chat: Lab) -> None:
    said = [chat.begin(CHAT, {"Say": f"line {number}"}) for number in range(1, 31)]
    assert [chat.wait(each)["Said"]["number"] for each in said] == list(range(1, 31))
    lines = [(ONE, number, f"line {number}") for number in range(1, 31)]
    assert [history(chat, node) for node in MEMBERS] == [lines] * 3


def test_lines_of_several_authors_keep_the_order_of_each(chat: Lab) -> None:
    said = [chat.begin(CHAT, {"Say": f"{number}"}, where=node) for number in range(1, 11) for node in MEMBERS]
    for each in said:
        assert len(chat.wait(each)["Said"]["heard"]) == 2
    for node in MEMBERS:
        lines = history(chat, node)
        assert len(lines) == 30
        for author in MEMBERS:
            assert [number for name, number, _ in lines if name == author] == list(range(1, 11))


def test_g13_a_member_that_is_down_missed_the_line_and_the_others_heard_it(chat: Lab) -> None:
    with chat.simulation.apply(Crash(TWO)):
        assert say(chat, "anybody?") == {"number": 1, "heard": [THREE], "missed": [{"node": TWO, "kind": "Offline"}]}
    assert history(chat, THREE) == [(ONE, 1, "anybody?")]


def test_g5_each_line_said_into_a_partition_has_one_outcome_and_none_comes_twice(chat: Lab) -> None:
    say(chat, "before")
    with chat.simulation.apply(Partition(Where(ONE, TWO))):
        said = [chat.begin(CHAT, {"Say": text}) for text in ("a", "b")]
        missed = [chat.wait(each)["Said"]["missed"] for each in said]
        assert missed == [[{"node": TWO, "kind": "Offline"}]] * 2
    chat.simulation.rest(60)
    assert say(chat, "after")["missed"] == []
    assert history(chat, TWO)[0] == (ONE, 1, "before")
    assert history(chat, TWO)[-1] == (ONE, 4, "after")
    assert [text for _, _, text in history(chat, THREE)] == ["before", "a", "b", "after"]


def test_g27_after_a_restart_an_author_is_still_a_member_and_its_numbers_go_on(chat: Lab) -> None:
    say(chat, "first")
    chat.simulation.restart(ONE)
    chat.simulation.settle()
    assert history(chat) == []
    assert say(chat, "second") == {"number": 2, "heard": [TWO, THREE], "missed": []}
    assert history(chat, TWO) == [(ONE, 1, "first"), (ONE, 2, "second")]


def test_a_member_that_was_down_hears_what_is_said_after_it_is_back(chat: Lab) -> None:
    with chat.simulation.apply(Crash(TWO)):
        say(chat, "missed")
    chat.simulation.settle()
    assert say(chat, "heard")["missed"] == []
    assert history(chat, TWO) == [(ONE, 2, "heard")]


def test_a_chat_that_has_not_joined_refuses_lines(lab: Lab) -> None:
    lab.ask(CHAT, {"Join": {"members": [TWO]}})
    assert say(lab, "hello") == {"number": 1, "heard": [], "missed": [{"node": TWO, "kind": "Refused"}]}
    assert history(lab, TWO) == []


@pytest.mark.parametrize("members", [[], [ONE], [ONE, ONE]])
def test_who_is_alone_talks_to_nobody(lab: Lab, members: list[str]) -> None:
    lab.ask(CHAT, {"Join": {"members": members}})
    assert say(lab, "hello") == {"number": 1, "heard": [], "missed": []}
    assert history(lab) == [(ONE, 1, "hello")]


def test_members_whose_names_lead_nowhere_missed_the_line(lab: Lab) -> None:
    lab.ask(CHAT, {"Join": {"members": ["nobody.nec", "no name"]}})
    missed = sorted((each["node"], each["kind"]) for each in say(lab, "hello")["missed"])
    assert missed == [("no name", "Timeout"), ("nobody.nec", "Offline")]


def test_a_line_that_comes_again_or_too_late_is_marked(chat: Lab) -> None:
    # Only a liar can make this happen: here the user of another node, who speaks to the chat directly.
    for number in (2, 2, 1, 3):
        line = {"Line": {"number": number, "text": "x"}}
        assert chat.ask(f"{TWO}@chat:chat:sys", line) == "Heard"
    lines = chat.ask(CHAT, "History", where=TWO)["History"]
    assert [(line["number"], line["wrong"]) for line in lines] == [(2, None), (2, "Twice"), (1, "Late"), (3, None)]


def test_the_last_thousand_lines_are_kept(lab: Lab) -> None:
    for number in range(1, 1004):
        say(lab, f"{number}")
    assert [number for _, number, _ in history(lab)] == list(range(4, 1004))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("Say", 'expected {"Join":{"members":[NODE,…]}}, {"Say":TEXT} or "History"'),
        ({"Say": "x" * 1001}, "a line has at most 1,000 bytes"),
        ({"Join": {"members": ["a.nec"] * 33}}, "a chat has at most 32 members"),
        ({"Join": {"members": [""]}}, "a member is not a node's name"),
        ({"Line": {"number": 1, "text": "forged"}}, "you are not a member of this chat"),
    ],
)
def test_what_cannot_be_done_is_said(lab: Lab, body: object, reason: str) -> None:
    assert lab.ask(CHAT, body) == {"Err": reason}


def test_members_do_not_change_while_lines_are_under_way(chat: Lab) -> None:
    said = chat.begin(CHAT, {"Say": "hello"})
    answer = chat.ask(CHAT, {"Join": {"members": []}})
    assert answer == {"Err": "lines are under way; join when they have arrived"}
    assert len(chat.wait(said)["Said"]["heard"]) == 2


def test_other_nodes_cannot_speak_for_this_one(chat: Lab) -> None:
    bodies: tuple[object, ...] = ({"Say": "x"}, "History", {"Join": {"members": []}})
    for body in bodies:
        answer = chat.ask(f"{TWO}@chat:chat:sys", body)
        assert answer == {"Err": "only processes of this node may ask this"}
