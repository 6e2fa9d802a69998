"""What the words of a journal's events mean."""

from __future__ import annotations

import pytest

from kernel.router.trace import TraceStep
from nectar_node.driver.trace_file import MessageStep
from testnet.journal.journal import BadJournal, Event
from testnet.report.events import BytesSent, FaultBegins, FaultEnds, Note, ViolationSeen, meaning
from tests.testnet.report.small import step


def read(text: str) -> object:
    return meaning(Event(12, 0.5, "a.nec", text))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("sends 143 a1b2c3d4e5f60708 to b.nec", BytesSent("b.nec", 143, "a1b2c3d4e5f60708")),
        ("dials b.nec", BytesSent("b.nec", None, "")),
        ("crashes", Note("life", "crashes")),
        ("log net: connected", Note("log", "net: connected")),
        ("printed ", Note("printed", "")),
        ("disk WriteAt a/b", Note("disk", "WriteAt a/b")),
        ("note file 1 is offered", Note("note", "file 1 is offered")),
        ("violation two outcomes", ViolationSeen("two outcomes")),
        ("does what nobody knew yet", Note("other", "does what nobody knew yet")),
        (
            'fault {"number":1,"words":"pause a.nec","nodes":["a.nec"],"state":"begins"}',
            FaultBegins(1, "pause a.nec", ("a.nec",)),
        ),
        ('fault {"number":1,"state":"ends"}', FaultEnds(1)),
    ],
)
def test_each_kind_of_event_is_understood(text: str, meant: object) -> None:
    assert read(text) == meant


def test_ids_of_64_bits_keep_all_their_digits() -> None:
    record = read(step(0.5, "a.nec", "sent", id=18446744073709551615)[2])
    assert isinstance(record, MessageStep)
    assert (record.step, record.id) == (TraceStep.SENT, 18446744073709551615)


@pytest.mark.parametrize(
    "text",
    [
        "message {",
        "message []",
        "message " + step(0.5, "a.nec", "sent", body="many")[2],
        step(0.5, "a.nec", "sent")[2].replace('"sent"', '"eaten"'),
        "fault {}",
        'fault {"number":1,"words":"x","nodes":[1],"state":"begins"}',
        "sends much to b.nec",
        "sends 1 00 to",
    ],
)
def test_broken_words_are_one_sentence_with_the_line(text: str) -> None:
    with pytest.raises(BadJournal, match=r"^The journal's line 12 cannot be read: [^\n]+\.$"):
        read(text)
