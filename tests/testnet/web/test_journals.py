"""Journals that the page lists and shows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput
from testnet.web.journals import MAX_JOURNALS, journal_report, list_journals


def write(path: Path, end: str, at: float = 0.0) -> None:
    path.write_text(
        f'nectar-journal 1 {{"scenario": "x", "seed": 1, "nodes": [], "options": {{}}, "schedule": []}}\n{end}'
    )
    os.utime(path, (at, at))


def ended(result: str, text: str = "") -> str:
    return f'end {{"digest": "", "events": 0, "seconds": 1.0, "result": "{result}", "text": "{text}"}}\n'


def test_the_newest_journal_is_the_first_and_each_says_how_its_run_ended(tmp_path: Path) -> None:
    write(tmp_path / "old.journal", ended("passed"), 1.0)
    write(tmp_path / "new.journal", ended("violated", "a promise"), 2.0)
    write(tmp_path / "cut off.journal", "0.0 a.nec bo", 3.0)
    (tmp_path / "empty.journal").touch()
    (tmp_path / "link.journal").symlink_to("/etc/passwd")
    told = list_journals(tmp_path)
    assert [(each["name"], each["result"], each["text"]) for each in told["journals"]] == [
        ("cut off.journal", "", ""),
        ("new.journal", "violated", "a promise"),
        ("old.journal", "passed", ""),
    ]
    assert told["journals"][0]["page"] == "/report/journal/cut%20off.journal"


def test_many_journals_are_bounded_and_no_folder_is_none(tmp_path: Path) -> None:
    for number in range(MAX_JOURNALS + 2):
        write(tmp_path / f"{number}.journal", ended("passed"))
    told = list_journals(tmp_path)
    assert (len(told["journals"]), told["left_out"]) == (MAX_JOURNALS, 2)
    assert list_journals(tmp_path / "none")["journals"] == []


def test_a_report_is_of_a_journal_in_that_folder_alone(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    write(tmp_path / "outside.journal", ended("passed"))
    write(inside / "x.journal", ended("passed"))
    (inside / "link.journal").symlink_to("../outside.journal")
    assert "<html" in journal_report("x.journal", inside)
    for name in ("../outside.journal", "/etc/passwd", "..", "x", "missing.journal", "link.journal", "\0.journal"):
        with pytest.raises(BadInput):
            journal_report(name, inside)
