"""A token says what it is good for, and only the registrar can have said so."""

import cbor2
import pytest

from net.base.errors import BadInvitation
from net.base.limits import MAX_INVITATION_BYTES, MAX_INVITATION_USES
from net.names.invitation import (
    Invitation,
    invitation_text,
    parse_invitation_untrusted,
    read_invitation_untrusted,
    sign_invitation,
)
from tests.net.world import REGISTRAR, identity_of

KEY = REGISTRAR.public_key
LONGEST = Invitation(bytes(16), MAX_INVITATION_USES, (1 << 63) - 1, ".".join(["a" * 61] * 4))


@pytest.mark.parametrize("invitation", [Invitation(bytes(16), 1, 0, None), LONGEST])
def test_an_invitation_survives_being_copied(invitation: Invitation) -> None:
    token = sign_invitation(invitation, REGISTRAR)
    assert len(token) <= MAX_INVITATION_BYTES
    text = invitation_text(token)
    assert text.isascii()
    assert not text.split()[1:]
    assert parse_invitation_untrusted(f"  {text}\n") == token
    assert read_invitation_untrusted(token, KEY) == invitation


def test_who_is_not_the_registrar_invites_nobody() -> None:
    with pytest.raises(BadInvitation, match="not signed"):
        read_invitation_untrusted(sign_invitation(LONGEST, identity_of("eve.test")), KEY)


@pytest.mark.parametrize(
    "text", ["hello", "nectar-invitation-1.", "nectar-invitation-1.A", "nectar-invitation-1." + "A" * 9999]
)
def test_text_that_is_no_whole_token_is_refused(text: str) -> None:
    with pytest.raises(BadInvitation):
        parse_invitation_untrusted(text)


def test_no_bit_of_a_token_can_be_changed() -> None:
    token = sign_invitation(Invitation(bytes(16), 1, 1000, "ann.test"), REGISTRAR)
    for position in range(len(token)):
        with pytest.raises(BadInvitation):
            read_invitation_untrusted(token[:position] + bytes([token[position] ^ 1]) + token[position + 1 :], KEY)


@pytest.mark.parametrize(
    "fields",
    [
        [2, bytes(16), 1, 1000, None],
        [1, bytes(15), 1, 1000, None],
        [1, bytes(16), 0, 1000, None],
        [1, bytes(16), MAX_INVITATION_USES + 1, 1000, None],
        [1, bytes(16), 1, -1, None],
        [1, bytes(16), 1, 1 << 63, None],
        [1, bytes(16), 1, 1000, "no node name"],
        [1, bytes(16), 1, 1000],
        [],
    ],
)
def test_what_is_signed_is_checked_all_the_same(fields: list[object]) -> None:
    body = cbor2.dumps(fields)
    token = cbor2.dumps([body, REGISTRAR.sign(b"nectar/1 invitation", body)])
    with pytest.raises(BadInvitation):
        read_invitation_untrusted(token, KEY)
