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
from nectar_node.cli.main import main
from nectar_node.launcher.client import ControlError
from nectar_node.launcher.file_transfer import decode_untrusted
from tests.nectar_node.cli.served_node import Reply, make_network, serve_node

POLICY = {"version": 1, "accept": "all", "from": [], "max_size": 64 << 30, "max_total": None, "max_files": None}
OFFER = {"id": 3, "peer": "send.nec", "name": "a.bin", "size": 2048, "verdict": "pending", "silent": 1}

Inbox = Callable[..., int]


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
    def run(*arguments: str) -> int:
        network = make_network(tmp_path)
        with serve_node(network, "recv.nec", process):
            return main(["inbox", *arguments, "--node", "recv.nec", "--dir", str(network)])

    return run


def test_the_policy_is_shown_in_sentences(inbox: Inbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert inbox("policy") == 0
    assert capsys.readouterr().out == (
        "recv.nec accepts files from everybody.\nEach file may have up to 64.0 GiB, as far as the disk has room.\n"
    )


def test_the_policy_as_json_is_what_was_set(inbox: Inbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert inbox("policy", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {key: POLICY[key] for key in POLICY if key != "version"}


def test_what_is_set_is_changed_and_the_rest_stays(
    inbox: Inbox, process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inbox("policy", "set", "--accept", "ask", "--from", "a.nec, b.nec", "--max-size", "10GiB") == 0
    assert inbox("policy", "set", "--max-total", "50GiB", "--max-files", "1000") == 0
    expected = {
        "accept": "ask",
        "from": ["a.nec", "b.nec"],
        "max_size": 10 << 30,
        "max_total": 50 << 30,
        "max_files": 1000,
    }
    assert process.policy == {"version": 1, **expected}
    text = capsys.readouterr().out
    assert "recv.nec asks you about each file, unless it comes from a.nec, b.nec." in text
    assert (
        "Each file may have up to 10.0 GiB, as far as the disk has room; "
        "the inbox holds at most 50.0 GiB and 1,000 files." in text
    )
    assert "nectar inbox list --node recv.nec" in text
    assert (
        inbox("policy", "set", "--from", "none", "--max-size", "none", "--max-total", "none", "--accept", "none") == 0
    )
    assert process.policy["from"] == []
    assert (process.policy["max_size"], process.policy["max_total"]) == (None, None)
    assert capsys.readouterr().out == "recv.nec accepts no files.\n"


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
    inbox: Inbox, process: Process, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], sentence: str
) -> None:
    assert inbox("policy", "set", *arguments) == 2
    assert sentence in capsys.readouterr().err
    assert process.policy == POLICY


def test_the_policy_of_no_node_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inbox", "policy"]) == 2
    assert "Name it with --node" in capsys.readouterr().err


def test_who_waits_for_an_answer_is_listed(inbox: Inbox, process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    process.offers = [OFFER, {**OFFER, "id": 4, "silent": 300}, {**OFFER, "id": 5, "verdict": "accepted"}]
    assert inbox("list") == 0
    assert capsys.readouterr().out.splitlines() == [
        "ID\tFROM\tFILE\tSIZE\tSTATE",
        "3\tsend.nec\ta.bin\t2.0 KiB\twaits for you",
        "4\tsend.nec\ta.bin\t2.0 KiB\tits sender left 5:00 ago",
        "5\tsend.nec\ta.bin\t2.0 KiB\taccepted",
    ]
    assert inbox("list", "--json") == 0
    assert json.loads(capsys.readouterr().out)["offers"][0] == {
        "id": 3,
        "from": "send.nec",
        "name": "a.bin",
        "size": 2048,
        "verdict": "pending",
        "sender_waits": True,
    }


def test_an_empty_list_is_a_sentence(inbox: Inbox, process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    process.offers = []
    assert inbox("list") == 0
    assert capsys.readouterr().out == "No file waits for an answer of the user of recv.nec.\n"


def test_an_offer_is_accepted_or_refused(inbox: Inbox, process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    assert inbox("accept", "3") == 0
    assert inbox("refuse", "3") == 0
    assert process.asked == [{"Accept": {"id": "3"}}, {"Refuse": {"id": "3"}}]
    assert capsys.readouterr().out == (
        "send.nec sends a.bin (2.0 KiB) now.\nsend.nec is told that you do not want a.bin (2.0 KiB).\n"
    )


def test_an_offer_that_there_is_not_is_one_sentence(inbox: Inbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert inbox("accept", "9") == 1
    assert capsys.readouterr().err == "There is no offer '9'.\n"


def test_a_node_without_the_package_is_one_sentence(
    inbox: Inbox, process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    process.outcome = "timeout"
    assert inbox("list") == 1
    assert "file_transfer did not answer on recv.nec (no such process)" in capsys.readouterr().err


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["Policy", "Offers", *POLICY, *OFFER]), inner),
)


@settings(max_examples=50)
@given(values)
def test_no_answer_causes_another_error(value: object) -> None:
    for kind in (PolicyAnswer, OffersAnswer):
        with contextlib.suppress(ControlError):
            decode_untrusted({"body": json.dumps(value)}, kind)
