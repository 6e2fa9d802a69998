"""What the words of a journal's events mean."""

from __future__ import annotations

from random import Random

import pytest

from kernel.router.trace import TraceStep
from nectar_node.driver.trace_file import MessageStep
from testnet.journal.journal import BadJournal, Event
from testnet.report.events import BytesSent, FaultBegins, FaultEnds, Note, OperationSeen, ViolationSeen, meaning
from tests.testnet.report.small import step

OPERATION = (
    '{"history":"h","number":0,"client":"a.nec","place":0,"words":"get(1) (unknown)","status":"unknown",'
    '"called":1.5,"returned":null,"wrong":false}'
)


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
        (
            "operation " + OPERATION,
            OperationSeen("h", 0, "a.nec", 0, "get(1) (unknown)", "unknown", 1.5, None, False),
        ),
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
        "operation {}",
        "operation " + OPERATION.replace('"number":0', '"number":"0"'),
        "operation " + OPERATION.replace('"called":1.5', '"called":null'),
        "operation " + OPERATION[:-1],
        'fault {"number":1,"words":"x","nodes":[1],"state":"begins"}',
        "sends much to b.nec",
        "sends 1 00 to",
    ],
)
def test_broken_words_are_one_sentence_with_the_line(text: str) -> None:
    with pytest.raises(BadJournal, match=r"^The journal's line 12 cannot be read: [^\n]+\.$"):
        read(text)


def test_whatever_an_operation_line_holds_is_read_or_refused_in_one_sentence() -> None:
    for seed in range(2000):
        chance = Random(seed)
        text = list("operation " + OPERATION)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(text))
            match chance.randrange(3):
                case 0:
                    text[place] = chr(chance.choice((0, 34, 44, 48, 57, 91, 123, 125, 0x10FFFF)))
                case 1:
                    del text[place]
                case 2:
                    text[place:place] = text[place : place + chance.randrange(20)]
        try:
            read("".join(text))
        except BadJournal as error:
            told = str(error)
        else:
            told = ""
        assert "\n" not in told, (seed, told)
