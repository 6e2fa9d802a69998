"""`nectar inbox`: what a user says becomes what the process is told, and its answers become sentences."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nectar_node.cli.inbox import OffersAnswer, PolicyAnswer
from nectar_node.launcher.client import ControlError
from nectar_node.launcher.transfer_answers import decode_untrusted
from tests.commands import Ended, nectar
from tests.nectar_node.cli.served_node import Reply, make_network, serve_node
from tests.seeds import examples

POLICY = {"version": 1, "accept": "all", "from": [], "max_size": 64 << 30, "max_total": None, "max_files": None}
OFFER = {"id": 3, "peer": "send.nec", "name": "a.bin", "size": 2048, "verdict": "pending", "silent": 1}


Inbox = Callable[..., Ended]


class Process:
    """Answers as file_transfer does."""

    def __init__(self) -> None:
        self.policy: dict[str, Any] = dict(POLICY)
        self.offers: Any = [OFFER]
        self.asked: list[Any] = []
        self.outcome = "response"

    def __call__(self, request: dict[str, Any]) -> Reply:
        body = json.loads(request["body"])
        self.asked.append(body)
        return {"ok": {"outcome": self.outcome, "reason": "no such process", "body": json.dumps(self._answer(body))}}

    def _answer(self, body: Any) -> Any:
        match body:
            case {"Policy": new}:
                self.policy = {"version": 1, **new}
                return {"Policy": self.policy}
            case "GetPolicy":
                return {"Policy": self.policy}
            case {"Accept": {"id": "3"}}:
                return {"Offers": [{**OFFER, "verdict": "accepted"}]}
            case {"Refuse": {"id": "3"}}:
                return {"Offers": [{**OFFER, "verdict": "refused"}]}
            case "Offers":
                return {"Offers": self.offers}
        return {"Err": f"there is no offer '{next(iter(body.values()))['id']}'"}


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture
def inbox(process: Process, tmp_path: Path) -> Inbox:
    def run(*arguments: str) -> Ended:
        network = make_network(tmp_path)
        with serve_node(network, "recv.nec", process):
            return nectar("inbox", *arguments, "--node", "recv.nec", folder=network)

    return run


def test_the_policy_is_shown_in_sentences_or_as_json_as_it_was_set(inbox: Inbox) -> None:
    told = "recv.nec accepts files from everybody.\nEach file may have up to 64.0 GiB, as far as the disk has room.\n"
    assert inbox("policy") == (0, told, "")
    assert inbox("policy", "--json").json == {key: POLICY[key] for key in POLICY if key != "version"}


def test_what_is_set_is_changed_and_the_rest_stays(inbox: Inbox, process: Process) -> None:
    first = inbox("policy", "set", "--accept", "ask", "--from", "a.nec, b.nec", "--max-size", "10GiB")
    second = inbox("policy", "set", "--max-total", "50GiB", "--max-files", "1000")
    expected = {"accept": "ask", "from": ["a.nec", "b.nec"], "max_size": 10 << 30, "max_total": 50 << 30}
    assert process.policy == {"version": 1, **expected, "max_files": 1000}
    assert "recv.nec asks you about each file, unless it comes from a.nec, b.nec." in first.out
    assert "nectar inbox list --node recv.nec" in first.out
    room = "as far as the disk has room; the inbox holds at most 50.0 GiB and 1,000 files."
    assert f"Each file may have up to 10.0 GiB, {room}" in second.out
    nothing = ("--from", "none", "--max-size", "none", "--max-total", "none", "--accept", "none")
    assert inbox("policy", "set", *nothing) == (0, "recv.nec accepts no files.\n", "")
    assert process.policy == {"version": 1, "accept": "none", "from": [], "max_size": None, "max_total": None} | {
        "max_files": 1000
    }


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "There is nothing to change"),
        (("--accept", "some"), "--accept is all, ask or none, not 'some'."),
        (("--from", "../x"), "'../x' is not a node name"),
        (("--from", "a.nec"), "say --accept ask or --accept none"),
        (("--max-size", "huge"), "'huge' is not a size"),
        (("--max-files", "-1"), "'-1' is not a number of files"),
    ],
)
def test_what_makes_no_sense_is_bad_usage_and_changes_nothing(
    inbox: Inbox, process: Process, arguments: tuple[str, ...], sentence: str
) -> None:
    ended = inbox("policy", "set", *arguments)
    assert (ended.code, sentence in ended.err) == (2, True), ended
    assert process.policy == POLICY


def test_the_policy_of_no_node_is_bad_usage() -> None:
    ended = nectar("inbox", "policy")
    assert (ended.code, "Name it with --node" in ended.err) == (2, True)


def test_who_waits_for_an_answer_is_listed(inbox: Inbox, process: Process) -> None:
    process.offers = [OFFER, {**OFFER, "id": 4, "silent": 300}, {**OFFER, "id": 5, "verdict": "accepted"}]
    assert inbox("list").out.splitlines() == [
        "ID\tFROM\tFILE\tSIZE\tSTATE",
        "3\tsend.nec\ta.bin\t2.0 KiB\twaits for you",
        "4\tsend.nec\ta.bin\t2.0 KiB\tits sender left 5:00 ago",
        "5\tsend.nec\ta.bin\t2.0 KiB\taccepted",
    ]
    row = {"id": 3, "from": "send.nec", "name": "a.bin", "size": 2048, "verdict": "pending", "sender_waits": True}
    assert inbox("list", "--json").json["offers"][0] == row
    process.offers = []
    assert inbox("list") == (0, "No file waits for an answer of the user of recv.nec.\n", "")


def test_an_offer_is_accepted_or_refused_if_it_is_there(inbox: Inbox, process: Process) -> None:
    assert inbox("accept", "3") == (0, "send.nec sends a.bin (2.0 KiB) now.\n", "")
    assert inbox("refuse", "3") == (0, "send.nec is told that you do not want a.bin (2.0 KiB).\n", "")
    assert process.asked == [{"Accept": {"id": "3"}}, {"Refuse": {"id": "3"}}]
    assert inbox("accept", "9") == (1, "", "There is no offer '9'.\n")


def test_a_node_without_the_package_is_one_sentence(inbox: Inbox, process: Process) -> None:
    process.outcome = "timeout"
    ended = inbox("list")
    assert (ended.code, "file_transfer did not answer on recv.nec (no such process)" in ended.err) == (1, True)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["Policy", "Offers", *POLICY, *OFFER]), inner),
)


@settings(max_examples=examples(50))
@given(values)
def test_no_answer_causes_another_error(value: object) -> None:
    for kind in (PolicyAnswer, OffersAnswer):
        with contextlib.suppress(ControlError):
            decode_untrusted({"body": json.dumps(value)}, kind)
