"""A journal is read as it was written, or refused in one sentence that says what is wrong with it and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testnet.journal import journal as journals
from testnet.journal.journal import BadJournal, Event, parse_journal_untrusted, read_journal_untrusted
from testnet.scenarios.scenario import Plan
from testnet.sim.run import Result

PLAN = Plan("small", 7, ("a.nec", "b.nec"), {"files": [1, 2]})
LINES = ("0.000000000 a.nec boots", "0.012345678 a.nec log Grüße", "0.012345678 - note it begins")
RESULT = Result(PLAN, LINES, "00ff", 1.5, "violated", "two outcomes")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "run.journal"
    RESULT.write(path)
    return path


def refusal(file: Path, old: str, new: str) -> str:
    """What is said of the journal with a text in it replaced."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    with pytest.raises(BadJournal) as caught:
        read_journal_untrusted(file)
    return str(caught.value).replace(str(file), "FILE")


def test_a_journal_is_read_as_a_run_writes_it(file: Path) -> None:
    journal = read_journal_untrusted(file)
    assert (journal.header.scenario, journal.header.seed, journal.header.nodes) == ("small", 7, ("a.nec", "b.nec"))
    assert journal.header.options == {"files": [1, 2]}
    assert journal.events == (
        Event(2, 0.0, "a.nec", "boots"),
        Event(3, 0.012345678, "a.nec", "log Grüße"),
        Event(4, 0.012345678, "-", "note it begins"),
    )
    assert (journal.end.digest, journal.end.seconds, journal.end.result) == ("00ff", 1.5, "violated")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("nectar-", "#!/bin/", "FILE is not a journal of a simulation: it does not begin with 'nectar-journal'."),
        (
            "journal 1",
            "journal 2",
            "FILE is a journal of version 2, and this reads version 1: read it with the project that wrote it.",
        ),
        ('"seed"', '"need"', "FILE, line 1: seed is missing."),
        (
            '{"scenario"',
            '["scenario"',
            "FILE, line 1: it is not JSON (Expecting ',' delimiter: line 1 column 12 (char 11)).",
        ),
        ("0.000000000 a", "0.0 a", "FILE, line 2: expected a time with nine decimals, a node and what happened."),
        ("- note it begins", "- ", "FILE, line 4: expected a time with nine decimals, a node and what happened."),
        ("0.000000000", "0.020000000", "FILE, line 3: its time is before that of the line above."),
        ('"events": 3', '"events": 4', "FILE has 3 events, and 4 according to its end: it has been changed."),
        ('"digest"', '"divest"', "FILE, line 5: digest is missing."),
        ('"seed": 7', '"seed": true', "FILE, line 1: seed must be a whole number, and not true or false."),
        ('"nodes": ["a.nec"', '"nodes": [1', "FILE, line 1: nodes[0] must be a text, and not a whole number."),
        ('"schedule": []', '"schedule": [0]', "FILE, line 1: schedule[0] must be an object, and not a whole number."),
        ('"seconds": 1.5', '"seconds": ""', "FILE, line 5: seconds must be a number, and not a text."),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_with_its_line(file: Path, old: str, new: str, sentence: str) -> None:
    assert refusal(file, old, new) == sentence


@pytest.mark.parametrize("left", [1, 10, 100, 200])
def test_a_journal_that_is_cut_off_is_refused(file: Path, left: int) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:-left])
    with pytest.raises(BadJournal, match="is cut off: its last line is not that of a whole journal"):
        read_journal_untrusted(file)


def test_what_cannot_be_read_is_one_sentence(tmp_path: Path, file: Path) -> None:
    with pytest.raises(BadJournal, match=r"none\.journal cannot be read: No such file or directory\.$"):
        read_journal_untrusted(tmp_path / "none.journal")
    before = file.read_bytes()
    assert "line 2: it is longer than 1048576 bytes" in refusal(file, "boots", "boots" + "!" * (1 << 20))
    file.write_bytes(before.replace(b"boots", b"b\xff\xffts"))
    with pytest.raises(BadJournal, match="line 2: it is not UTF-8"):
        read_journal_untrusted(file)


def test_no_more_than_the_bound_is_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "MAX_BYTES", 100)
    with pytest.raises(BadJournal, match="is larger than 0 MiB, the most that is read of a journal"):
        read_journal_untrusted(file)


WHOLE = "\n".join(["nectar-journal 1 {}", *LINES, "end {}", ""]).encode()


@given(st.binary(max_size=60), st.integers(0, len(WHOLE)), st.integers(0, len(WHOLE)))
def test_whatever_is_read_there_is_one_kind_of_error(inserted: bytes, start: int, end: int) -> None:
    with pytest.raises(BadJournal):  # the header is none, so no change makes it a journal
        parse_journal_untrusted(WHOLE[:start] + inserted + WHOLE[end:])
