"""Invitations: tokens with which a registrar's owner lets strangers take names. Signed and bounded.

Anyone with a token may use it, as often as it says and until it expires; the registrar counts (`registrar`).
"""

import base64
import binascii
from dataclasses import dataclass

import cbor2

from net.base.cbor import loads_untrusted
from net.base.errors import BadCbor, BadInvitation
from net.base.limits import MAX_INVITATION_BYTES, MAX_INVITATION_USES
from net.base.node_names import is_node_name
from net.names.identity import Identity, verify_untrusted

ID_BYTES = 16
"""Bytes of an invitation's own id, which is random."""
_VERSION = 1
_DOMAIN = b"nectar/1 invitation"
_PREFIX = "nectar-invitation-1."
_MAX_INTEGER = (1 << 63) - 1
_ITEMS = 8
"""Items of the token, and of its body: five fields at most, and the array."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """The content of a token."""

    id: bytes
    """16 random bytes, by which the registrar counts."""
    uses: int
    """How many new names it is good for, 1 to `limits.MAX_INVITATION_USES`."""
    expires_at: int
    """Unix time in seconds, from which on it is good for none."""
    name: str | None
    """The one name that it is good for; None: any."""


def sign_invitation(invitation: Invitation, owner: Identity) -> bytes:
    """Return the token; `owner` is the registrar."""
    body = cbor2.dumps([_VERSION, invitation.id, invitation.uses, invitation.expires_at, invitation.name])
    return cbor2.dumps([body, owner.sign(_DOMAIN, body)])


def read_invitation_untrusted(token: bytes, owner: bytes) -> Invitation:
    """Return the invitation in a token that the key `owner` has signed. Raises BadInvitation."""
    match _load(token):
        case [bytes(body), bytes(signature)] if verify_untrusted(owner, _DOMAIN, body, signature):
            pass
        case _:
            raise BadInvitation("it is not signed by the registrar")
    match _load(body):
        case [int(version), bytes(id), int(uses), int(expires_at), str() | None as name]:
            pass
        case _:
            raise BadInvitation("an invitation has five fields")
    bounded = 0 < uses <= MAX_INVITATION_USES and 0 <= expires_at <= _MAX_INTEGER
    if version != _VERSION or len(id) != ID_BYTES or not bounded or not (name is None or is_node_name(name)):
        raise BadInvitation("a field is out of range, or it is of another version")
    return Invitation(id, uses, expires_at, name)


def _load(data: bytes) -> object:
    if len(data) > MAX_INVITATION_BYTES:
        raise BadInvitation(f"more than {MAX_INVITATION_BYTES} bytes")
    try:
        return loads_untrusted(data, items=_ITEMS, depth=1)
    except BadCbor as error:
        raise BadInvitation("not CBOR") from error


def invitation_text(token: bytes) -> str:
    """Return the token as people copy it."""
    return _PREFIX + base64.urlsafe_b64encode(token).decode().rstrip("=")


def parse_invitation_untrusted(text: str) -> bytes:
    """Return the token in pasted text, without checking its signature. Raises BadInvitation."""
    text = text.strip()
    data = text.removeprefix(_PREFIX)
    if data == text or len(data) > 2 * MAX_INVITATION_BYTES:
        raise BadInvitation(f"it does not begin with {_PREFIX}, or is too long")
    try:
        token = base64.b64decode(data + "=" * (-len(data) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInvitation("it is not complete") from error
    if not 0 < len(token) <= MAX_INVITATION_BYTES:
        raise BadInvitation("it is not complete")
    return token
