"""Dead letters: what is kept of each is bounded, and so is how many are kept (G16)."""

from __future__ import annotations

import pytest

from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import Capability
from kernel.contract.events import DeadLetter
from kernel.contract.limits import MAX_DEAD_LETTER_BODY, MAX_DEAD_LETTERS
from kernel.contract.message import Envelope, LazyLoadBlob, Reason, Request, Response
from nectar_node.core.dead_letters import DeadLetters

SENDER = Address("one.nec", ProcessId("main", "app", "sys"))
NOBODY = Address("one.nec", ProcessId("no", "body", "sys"))


def letter(
    message: Request | Response,
    blob: LazyLoadBlob | None = None,
    reason: Reason = Reason.NO_SUCH_PROCESS,
    claimed: bool = False,
) -> DeadLetter:
    return DeadLetter(1.0, Envelope(1, SENDER, NOBODY, None, message, blob, claimed), reason)


def test_g16_of_a_dead_letter_the_beginning_of_its_body_is_kept_and_no_blob_metadata_or_capability() -> None:
    letters = DeadLetters()
    letters.add(letter(Request(False, None, b"x" * 10 * MAX_DEAD_LETTER_BODY), LazyLoadBlob(None, bytes(1 << 20))))
    (kept,) = letters.latest
    assert (kept.envelope.message.body, kept.envelope.blob) == (b"x" * MAX_DEAD_LETTER_BODY, None)
    letters = DeadLetters()
    letters.add(letter(Request(False, None, b"", f'"{"x" * (1 << 20)}"', (Capability(NOBODY, '"key"'),))))
    (kept,) = letters.latest
    assert kept.envelope.message == Request(False, None, b"")


def test_g16_the_latest_are_kept_and_all_are_counted() -> None:
    letters = DeadLetters()
    for number in range(MAX_DEAD_LETTERS + 2):
        letters.add(letter(Request(False, None, b"%d" % number)))
    assert (letters.count, len(letters.latest)) == (MAX_DEAD_LETTERS + 2, MAX_DEAD_LETTERS)
    assert (letters.latest[0].envelope.message.body, letters.latest[-1].envelope.message.body) == (
        b"2",
        b"%d" % (MAX_DEAD_LETTERS + 1),
    )


@pytest.mark.parametrize(
    ("reason", "verbosity"), [(Reason.NO_SUCH_PROCESS, 1), (Reason.NOT_AWAITED, 2), (Reason.EXPIRED, 2)]
)
def test_what_happens_every_day_is_logged_for_those_who_want_to_know_more(reason: Reason, verbosity: int) -> None:
    line = DeadLetters().add(letter(Response(False, b""), reason=reason))
    assert line.verbosity == verbosity
    assert line.text == f"response from {SENDER} to {NOBODY}: {reason.value}"


def test_g3_a_source_that_another_node_names_is_marked_as_its_claim() -> None:
    line = DeadLetters().add(letter(Request(False, None, b""), claimed=True))
    assert line.text != DeadLetters().add(letter(Request(False, None, b""))).text
