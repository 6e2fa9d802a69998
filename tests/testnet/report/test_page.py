"""The page holds all of the journal, needs nothing else, and no text from a guest becomes part of its markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from nectar_node.base.errors import BadInput
from testnet.journal.journal import BadJournal, Journal
from testnet.report import page, write_report
from testnet.report.page import SCRIPTS, embedded, render, shown
from tests.testnet.report.conftest import SEED
from tests.testnet.report.small import HOSTILE, MARKUP, hostile, small


class Elements(HTMLParser):
    """The names of a page's elements, and the texts of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        if self.names and self.names[-1] == "script" and self.cdata_elem == "script":
            self.scripts.append(data)


def data_of(text: str) -> dict[str, Any]:
    data, _ = Elements(text).scripts
    value: dict[str, Any] = json.loads(data)
    return value


def test_the_page_of_a_real_run_says_what_was_run_and_how_it_went(journal: Journal) -> None:
    about = data_of(render(journal, "my runs/2.journal"))["about"]
    assert (about["scenario"], about["seed"], about["result"]) == ("file_transfer", str(SEED), "passed")
    assert about["digest"] == journal.end.digest
    assert about["replay"] == "nectar sim replay 'my runs/2.journal'"
    assert len(about["schedule"]) == len(journal.header.schedule)


def test_the_page_of_a_real_run_has_all_of_its_events(journal: Journal) -> None:
    data = data_of(render(journal))
    names = data["messages"]["names"]
    in_messages = {line for row in data["messages"]["rows"] for line in row[names.index("lines")]}
    in_tables = {
        row[data[table]["names"].index("line")]
        for table in ("failures", "segments", "remarks", "bands", "violations")
        for row in data[table]["rows"]
    }
    left = {event.line for event in journal.events} - in_messages - in_tables
    texts = [event.text for event in journal.events if event.line in left]
    assert all(re.match(r'fault .*"ends"|message {"step":"handed over"', text) for text in texts), (SEED, texts[:3])


def test_a_violation_of_several_lines_is_one_line_beside_the_messages() -> None:
    journal = small((2.0, "-", r"violation assert 2 == 1\n  \n  Differing items:\n  2 != 1"))
    assert data_of(render(journal))["violations"]["rows"][0][1] == "assert 2 == 1 Differing items: 2 != 1"


def test_a_schedule_is_told_in_words() -> None:
    partition = {"kind": "partition", "between": ["a.nec", "b.nec"], "at": 3.2, "until": 4.0}
    schedule = (partition, {"kind": "crash", "node": "a.nec", "at": 5})
    assert data_of(render(small(schedule=schedule)))["about"]["schedule"] == [
        "partition, between a.nec and b.nec: from 3.2 s to 4.0 s",
        "crash, node a.nec: from 5 s on",
    ]


def test_hostile_texts_arrive_as_texts_and_not_as_elements() -> None:
    harmless, page = Elements(render(small())), Elements(render(hostile()))
    assert page.names == harmless.names
    assert page.attributes == harmless.attributes
    data = data_of(render(hostile()))
    written = MARKUP + r"\u202e\u2028\x00\x1b[2J\ud800"
    assert data["about"]["scenario"] == written
    assert data["violations"]["rows"][0][1] == written
    assert data["about"]["options"] == [[written, written]]
    assert not set("<>&") & set(embedded({HOSTILE: [HOSTILE]}))
    assert json.loads(embedded([HOSTILE])) == shown([HOSTILE])


def test_only_the_pages_own_script_may_run() -> None:
    text = render(hostile())
    _, script = Elements(text).scripts
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}';" in policy


def test_the_page_fetches_nothing_and_makes_no_markup_of_texts() -> None:
    text = render(small())
    assert not re.findall(r"""https?:|\bsrc=|\bhref=|@import|url\(|\bfetch\(|XMLHttp|import\(""", text)
    ways = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|</script"
    for name in SCRIPTS:
        assert not re.findall(ways, page._part(name)), name


def test_of_a_very_long_journal_the_end_is_shown_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MAX_EVENTS", 2)
    data = data_of(render(small(*((float(at), "a.nec", "boots") for at in range(5)))))
    assert data["about"]["leftOut"] == 3
    assert [row[0] for row in data["remarks"]["rows"]] == [3.0, 4.0]


def test_a_page_that_cannot_be_written_or_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^\S+ cannot be written: Is a directory\. Name another file with -o\.$"):
        write_report(small(), tmp_path)
    with pytest.raises(BadJournal, match="line 2 "):
        write_report(small((0.0, "a.nec", "message {")), tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
