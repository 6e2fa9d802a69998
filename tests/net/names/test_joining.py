"""A text with which others join a network tells of its registrar, and shows when it was copied wrong."""

from __future__ import annotations

import pytest

from net.base.errors import BadInvitation
from net.base.limits import MAX_HOST_BYTES, MAX_INVITATION_BYTES
from net.names.directory import Genesis
from net.names.joining import MAX_TEXT_CHARACTERS, PREFIX, JoinText, encode_join_text, parse_join_text_untrusted
from tests.net.world import REGISTRAR

GENESIS = Genesis(REGISTRAR.name, REGISTRAR.public_key, "10.1.0.1", 9000)
SHORT = JoinText(GENESIS, by_invitation=False, invitation=None)
LONGEST = JoinText(
    Genesis(".".join(["a" * 61] * 4), b"\xff" * 32, "h" * MAX_HOST_BYTES, 65535), True, b"\xff" * MAX_INVITATION_BYTES
)


@pytest.mark.parametrize("joining", [SHORT, JoinText(GENESIS, by_invitation=True, invitation=b"token"), LONGEST])
def test_it_survives_being_copied(joining: JoinText) -> None:
    text = encode_join_text(joining)
    assert len(text) <= MAX_TEXT_CHARACTERS
    assert (text.isascii(), len(text.split())) == (True, 1)
    assert parse_join_text_untrusted(f"  {text}\n") == joining


def test_every_character_that_is_copied_wrong_is_noticed() -> None:
    text = encode_join_text(SHORT)
    for position in range(len(PREFIX), len(text) - 1):
        other = "A" if text[position] != "A" else "B"
        with pytest.raises(BadInvitation):
            parse_join_text_untrusted(text[:position] + other + text[position + 1 :])


def test_every_half_of_it_is_refused() -> None:
    text = encode_join_text(SHORT)
    for size in range(len(text) - 1):
        with pytest.raises(BadInvitation):
            parse_join_text_untrusted(text[:size])


@pytest.mark.parametrize(
    "joining",
    [
        JoinText(Genesis("no name", REGISTRAR.public_key, "h", 1), False, None),
        JoinText(Genesis("a.nec", bytes(32), "h", 1), False, None),
        JoinText(Genesis("a.nec", b"k", "h", 1), False, None),
        JoinText(Genesis("a.nec", REGISTRAR.public_key, "", 1), False, None),
        JoinText(Genesis("a.nec", REGISTRAR.public_key, "h", 0), False, None),
        JoinText(Genesis("a.nec", REGISTRAR.public_key, "h", 65536), False, None),
        JoinText(GENESIS, False, b""),
        JoinText(GENESIS, False, bytes(MAX_INVITATION_BYTES + 1)),
    ],
)
def test_what_no_network_can_be_is_refused_though_its_check_is_right(joining: JoinText) -> None:
    with pytest.raises(BadInvitation):
        parse_join_text_untrusted(encode_join_text(joining))
