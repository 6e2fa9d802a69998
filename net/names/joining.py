"""Texts with which others join a network: who its registrar is, where it is reached, and an invitation. Bounded.

Such a text is what the folder of a network tells those who have the folder. Nobody signs it: whoever takes it trusts
the one who gave it, as somebody who copies a public key does. A check over its bytes finds what was copied wrong.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass

import cbor2

from net.base.cbor import loads_untrusted
from net.base.errors import BadCbor, BadInvitation
from net.base.limits import MAX_INVITATION_BYTES
from net.base.node_names import is_node_name
from net.names.directory import Genesis, is_host
from net.names.identity import KEY_BYTES

PREFIX = "nectar-join-1."
"""What each of these texts begins with."""
MAX_TEXT_CHARACTERS = 4 * MAX_INVITATION_BYTES
"""Characters of a text, which has an invitation and less than as many bytes besides."""
_CHECK_BYTES = 4
_ITEMS = 8


@dataclass(frozen=True, slots=True)
class JoinText:
    """What a text says."""

    genesis: Genesis
    """The registrar, and where it is reached."""
    by_invitation: bool
    """Whether the registrar gives new names by invitation only."""
    invitation: bytes | None
    """A token for new names (`invitation`); None: without."""


def encode_join_text(joining: JoinText) -> str:
    """Return the text, as people copy it."""
    genesis = joining.genesis
    fields = [genesis.name, genesis.public_key, genesis.host, genesis.port, joining.by_invitation, joining.invitation]
    data = cbor2.dumps(fields)
    return PREFIX + base64.urlsafe_b64encode(data + _check(data)).decode().rstrip("=")


def parse_join_text_untrusted(text: str) -> JoinText:
    """Return what a pasted text says, without checking its invitation's signature. Raises BadInvitation."""
    text = text.strip()
    encoded = text.removeprefix(PREFIX)
    if encoded == text or len(text) > MAX_TEXT_CHARACTERS:
        raise BadInvitation(f"it does not begin with {PREFIX}, or is too long")
    try:
        data = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInvitation("it is not complete") from error
    data, check = data[:-_CHECK_BYTES], data[-_CHECK_BYTES:]
    if not data or check != _check(data):
        raise BadInvitation("it is not complete, or a character is wrong")
    try:
        fields = loads_untrusted(data, items=_ITEMS, depth=1)
    except BadCbor as error:
        raise BadInvitation("not CBOR") from error
    match fields:
        case [str(name), bytes(key), str(host), int(port), bool(by_invitation), bytes() | None as token]:
            pass
        case _:
            raise BadInvitation("such a text has six fields")
    bounded = is_node_name(name) and len(key) == KEY_BYTES and any(key) and is_host(host) and 0 < port < 1 << 16
    if not bounded or (token is not None and not 0 < len(token) <= MAX_INVITATION_BYTES):
        raise BadInvitation("a field is out of range")
    return JoinText(Genesis(name, key, host, port), by_invitation, token)


def _check(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_CHECK_BYTES).digest()
