"""The registrar: grants names, first come, first served. A state machine without any network; `registrar_service`
serves it.

A grant has two steps, so that no crash can make it give one name to two nodes: `register_untrusted` decides, and from
then on the name is not to be had by anybody else; nobody sees the grant before `settle` says that it is on the disk.

Names cost nothing to make, so what strangers may take is bounded by where they come from (`newcomers`), and a name that
nobody uses is free again some time later (`directory.NameRecord.free_at`). Tests: tests/net/names/test_registrar.py,
tests/net/names/test_registrar_hostile.py.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable

from net.base.errors import (
    BadNameRecord,
    BadSignature,
    ForeignKey,
    ForgedNameRecord,
    KeyHasNames,
    NameTaken,
    RecordExpired,
    RecordFromTheFuture,
    RecordInvalid,
    RecordTooLong,
    RegistrarFull,
    StaleSequence,
    TryLater,
)
from net.base.limits import (
    CHANGE_SECONDS,
    CHANGES_AT_ONCE,
    CLOCK_SKEW_SECONDS,
    LEAST_PROVEN_SECONDS,
    MAX_FIRST_RECORD_BYTES,
    MAX_NAMES_PER_KEY,
    MAX_REGISTERED_NAMES,
    MAX_REMEMBERED_ORIGINS,
    RECORD_SECONDS,
)
from net.base.token_buckets import Allowance
from net.names.directory import (
    HeldRecord,
    NameRecord,
    RecordTable,
    SignedRecord,
    decode_record_untrusted,
    grant_record,
    read_record_untrusted,
)
from net.names.identity import Identity
from net.names.newcomers import Newcomers, is_use


class Registrar:
    """All names of a network and the keys that have them. It is the directory of the node that it runs on."""

    def __init__(
        self,
        identity: Identity,
        records: Iterable[HeldRecord] = (),
        max_names: int = MAX_REGISTERED_NAMES,
        *,
        by_invitation: bool = False,
        own_hosts: Iterable[str] = (),
    ) -> None:
        """`records` is what was granted and kept before. `by_invitation`: a new name needs an invitation. `own_hosts`
        are the addresses of this machine."""
        records = list(records)
        self._identity = identity
        self._max_names = max_names
        uses = [each for each in records if not each.encoded]
        self._table = RecordTable([each for each in records if each.encoded] if uses else records)
        self._newcomers = Newcomers(identity.public_key, uses, by_invitation, own_hosts)
        self._changes: Allowance[str] = Allowance(CHANGES_AT_ONCE, CHANGE_SECONDS, MAX_REMEMBERED_ORIGINS)
        self._names_of = Counter([_short(held.public_key()) for held in self._table.records()])
        """How many records each key has, including those that are not on the disk yet."""
        self._pending: dict[str, list[SignedRecord]] = {}
        """Grants that are not on the disk yet, by name, in order."""
        self._uses: dict[HeldRecord, HeldRecord] = {}
        """Uses of invitations, by the grants that `use_of` has not been called for yet."""

    @property
    def genesis(self) -> None:
        """None: the registrar has no registrar to ask."""
        return None

    def find(self, name: str) -> NameRecord | None:
        """Return the record of `name`, if it was granted and has not expired."""
        return self._table.find(name)

    def signed(self, name: str) -> bytes | None:
        """Return the record of `name`, encoded, if it was granted and has not expired."""
        return self._table.signed(name)

    def held(self, name: str) -> bytes | None:
        """Return the record of `name`, even if it has expired: its owner goes on counting from it."""
        held = self._table.held(name)
        return held.encoded if held is not None else None

    def learn_untrusted(self, data: bytes, at: float, name: str | None = None) -> HeldRecord | None:
        """Return None, since nothing that others show is new to the registrar; a malformed record is an error all the
        same."""
        decode_record_untrusted(data)
        return None

    def next_expiry(self) -> float | None:
        """Return the Unix time at which `expire` is to be called."""
        return self._table.next_expiry()

    def expire(self, at: float) -> list[str]:
        """Forget the records of names that are free, and return the names. An expired name stays with its key until it
        is free."""
        freed = self._table.expire(at)
        for held in freed:
            self._release(held.public_key())
        return [*(held.name for held in freed), *self._newcomers.expire(at)]

    def register_untrusted(
        self,
        data: bytes,
        name: str,
        proves: Callable[[bytes], bool],
        at: float,
        host: str = "",
        invitation: bytes | None = None,
    ) -> HeldRecord:
        """Decide on a record at the Unix time `at`; return it countersigned. The applicant has proven `name` and the
        key that `proves` accepts, comes from `host`, and shows `invitation`.

        The record that is returned is kept already (`signed` has it) if it is the very one that holds; otherwise
        `settle` must follow, for it and for what `use_of` has. Raises RegistrationRefused; each of its kinds says when.
        """
        signed = _decode_untrusted(data)
        record = signed.record
        if record.name != name or not proves(record.public_key):
            raise ForeignKey(f"{name} may register its own record only")
        if record.expires_at <= at:
            raise RecordExpired(f"the record of {name} has expired")
        latest = at + CLOCK_SKEW_SECONDS
        if record.issued_at > latest or record.expires_at > latest + RECORD_SECONDS:
            raise RecordFromTheFuture(f"the record of {name} lies in the future")
        if name == self._identity.name and record.public_key != self._identity.public_key:
            raise NameTaken(f"{name} is the registrar itself")
        known = self._newest(name)
        if known is None:
            if len(self._table) + len(self._pending) >= self._max_names:
                raise RegistrarFull("no more names")
        elif known.body == signed.body:
            return known.held()
        else:
            _check_change(known, signed)
        self._check_bounds(signed, known.record if known is not None else None, at)
        use = None
        if known is None:
            use = self._newcomers.admit_untrusted(name, host, invitation, at)
        else:
            self._changes.take(name, at)
        granted = grant_record(signed, self._identity)
        held = granted.held()
        if use is not None:
            self._uses[held] = use
        self._pending.setdefault(name, []).append(granted)
        self._names_of[_short(record.public_key)] += 1
        return held

    def _check_bounds(self, signed: SignedRecord, known: NameRecord | None, at: float) -> None:
        """Check that the applicant may have such a record, with that key. Raises RegistrationRefused."""
        record = signed.record
        proven = known is not None and (known.established or known.issued_at + LEAST_PROVEN_SECONDS <= at)
        earliest = at - CLOCK_SKEW_SECONDS if known is None else min(at - CLOCK_SKEW_SECONDS, known.issued_at)
        if not proven and record.issued_at < earliest:
            raise RecordExpired(f"{record.name} is new, and its record claims to be old")
        if not proven and (record.established or len(signed.body) > MAX_FIRST_RECORD_BYTES):
            raise RecordTooLong(f"{record.name} is new, and its record lasts longer, or is larger, than allowed")
        new_holder = known is None or known.public_key != record.public_key
        if new_holder and self._names_of[_short(record.public_key)] >= MAX_NAMES_PER_KEY:
            raise KeyHasNames(f"the key of {record.name} has {MAX_NAMES_PER_KEY} names")
        wait = self._changes.wait(record.name, at) if known is not None else 0.0
        if wait:
            raise TryLater(f"{record.name} has changed too often", math.ceil(wait))

    def use_of(self, granted: HeldRecord) -> HeldRecord | None:
        """Return what is to be kept together with a new grant: the use of an invitation, or None if none was used."""
        return self._uses.pop(granted, None)

    def settle(self, record: HeldRecord, *, kept: bool) -> None:
        """Note that a granted record is on the disk, or is not: then it is as if it had never been asked for."""
        if is_use(record):
            self._newcomers.settle(record, kept=kept)
            return
        pending = self._pending.get(record.name, [])
        left = [each for each in pending if each.record.sequence != record.sequence]
        if left:
            self._pending[record.name] = left
        else:
            self._pending.pop(record.name, None)
        former = self._table.held(record.name)
        if not (kept and self._table.put(record)):
            self._release(record.public_key())
        elif former is not None:
            self._release(former.public_key())

    def _release(self, key: bytes) -> None:
        """Count one record less for a key."""
        short = _short(key)
        self._names_of[short] -= 1
        if self._names_of[short] <= 0:
            del self._names_of[short]

    def records(self) -> list[HeldRecord]:
        """Return all that was granted and kept, and how often invitations have been used."""
        return [*self._newcomers.uses(), *self._table.records()]

    def _newest(self, name: str) -> SignedRecord | None:
        pending = self._pending.get(name)
        if pending:
            return pending[-1]
        held = self._table.held(name)
        return read_record_untrusted(held.encoded) if held is not None else None

    def __repr__(self) -> str:
        return f"Registrar({self._identity.name}, {len(self._table)} names)"


def _short(key: bytes) -> int:
    """Return eight bytes of a key, to count by: to find two keys that share them breaks neither."""
    return int.from_bytes(key[:8], "big")


def _decode_untrusted(data: bytes) -> SignedRecord:
    try:
        return decode_record_untrusted(data)
    except ForgedNameRecord as error:
        raise BadSignature(str(error)) from error
    except BadNameRecord as error:
        raise RecordInvalid(str(error)) from error


def _check_change(known: SignedRecord, changed: SignedRecord) -> None:
    """Check that `changed` may replace `known`. The key comes first: a stranger learns no sequence numbers."""
    name, key = known.record.name, known.record.public_key
    if key != changed.record.public_key and not changed.change_signed_by(key):
        if changed.change_signature is None:
            raise NameTaken(f"{name} has another key")
        raise ForeignKey(f"the key that holds {name} has not agreed to another one")
    if changed.record.sequence <= known.record.sequence:
        raise StaleSequence(f"the record of {name} has sequence {known.record.sequence}")
    if changed.record.epoch < known.record.epoch:
        raise StaleSequence(f"the record of {name} has the revocation epoch {known.record.epoch}")
