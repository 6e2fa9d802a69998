"""Which nodes may take a new name: so many over time from one address, or those that show an invitation (`invitation`).

How often each invitation has been used is kept among the name records, as a `HeldRecord` of a name that no node can
have, together with the grant that it was used for: so none is good for more than it says.
"""

import math
from collections.abc import Iterable

from net.base.errors import BadInvitation, InvitationNeeded, InvitationRefused, InvitationUsed, TryLater
from net.base.limits import (
    LOCAL_NAME_SECONDS,
    LOCAL_NAMES_AT_ONCE,
    MAX_REMEMBERED_ORIGINS,
    NAME_SECONDS,
    NAMES_AT_ONCE,
    SITE_NAME_SECONDS,
    SITE_NAMES_AT_ONCE,
    UNUSED_NAME_SECONDS,
)
from net.base.origins import Coverage, Origin, address_of, origins_of
from net.base.token_buckets import Allowance
from net.names.directory import HeldRecord
from net.names.invitation import Invitation, read_invitation_untrusted

_PREFIX = "invitation "
"""How the name of such a record begins: no node's name has a space."""
_RATES = {
    Coverage.HOST: (NAMES_AT_ONCE, NAME_SECONDS),
    Coverage.SITE: (SITE_NAMES_AT_ONCE, SITE_NAME_SECONDS),
    Coverage.LOCAL: (LOCAL_NAMES_AT_ONCE, LOCAL_NAME_SECONDS),
}


def is_use(record: HeldRecord) -> bool:
    """Return whether a record counts the uses of an invitation, and is not a name's: nothing else tells them apart."""
    return not record.encoded


class Newcomers:
    """Admits nodes with new names, by address or by invitation."""

    def __init__(self, owner: bytes, uses: Iterable[HeldRecord], by_invitation: bool, own_hosts: Iterable[str]) -> None:
        """`owner` is the key that signs invitations; `uses` is what was kept of their uses before."""
        self._owner = owner
        self._by_invitation = by_invitation
        self._own = {address_of(host) for host in own_hosts}
        self._allowances: dict[Coverage, Allowance[str]] = {
            reach: Allowance(burst, seconds, MAX_REMEMBERED_ORIGINS) for reach, (burst, seconds) in _RATES.items()
        }
        self._uses = {use.name: use for use in uses}
        """The uses of each invitation that has been used, until it expires."""

    def admit_untrusted(self, name: str, host: str, invitation: bytes | None, at: float) -> HeldRecord | None:
        """Admit a node at `host` with a new name. Returns what is to be kept together with the grant, if an invitation
        is used for it. Raises RegistrationRefused.

        Where no invitation is needed, one is used only if the address has taken all that it may.
        """
        if self._by_invitation:
            return self._use_untrusted(name, invitation, at)
        origins = self._origins(host)
        wait = max(self._allowances[each.reach].wait(each.key, at) for each in origins)
        if wait and invitation is None:
            raise TryLater(f"too many new names from {host}", math.ceil(wait))
        if wait:
            return self._use_untrusted(name, invitation, at)
        for origin in origins:
            self._allowances[origin.reach].take(origin.key, at)
        return None

    def _origins(self, host: str) -> tuple[Origin, ...]:
        return (Origin("loopback", Coverage.LOCAL),) if address_of(host) in self._own else origins_of(host)

    def _use_untrusted(self, name: str, token: bytes | None, at: float) -> HeldRecord:
        if token is None:
            raise InvitationNeeded(f"{name} is new, and shows no invitation")
        invitation = self._read_untrusted(token, name, at)
        key = _PREFIX + invitation.id.hex()
        used = self._uses[key].sequence if key in self._uses else 0
        if used >= invitation.uses:
            raise InvitationUsed(f"the invitation has been used {used} times")
        use = self._uses[key] = HeldRecord(key, used + 1, invitation.expires_at, b"")
        return use

    def _read_untrusted(self, token: bytes, name: str, at: float) -> Invitation:
        try:
            invitation = read_invitation_untrusted(token, self._owner)
        except BadInvitation as error:
            raise InvitationRefused(str(error)) from error
        if invitation.expires_at <= at:
            raise InvitationRefused("it has expired")
        if invitation.name not in (None, name):
            raise InvitationRefused(f"it is for {invitation.name}")
        return invitation

    def settle(self, use: HeldRecord, *, kept: bool) -> None:
        """Note that the disk has a use and the grant that it was for, or neither."""
        known = self._uses.get(use.name)
        if not kept and known is not None:
            self._uses[use.name] = known._replace(sequence=known.sequence - 1)

    def expire(self, at: float) -> list[str]:
        """Forget the uses of invitations that have long expired at the Unix time `at`; return the names under which
        they were kept."""
        gone = [name for name, use in self._uses.items() if use.expires_at + UNUSED_NAME_SECONDS <= at]
        for name in gone:
            del self._uses[name]
        return gone

    def uses(self) -> list[HeldRecord]:
        """Return all uses that are to be kept."""
        return list(self._uses.values())
