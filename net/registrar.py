"""The registrar: grants names, first come, first served. A state machine without any network; `service` serves it.

A grant has two steps, so that no crash can make it give one name to two nodes: `register_untrusted` decides, and from
then on the name is not to be had by anybody else; nobody sees the grant before `settle` says that it is on the disk.
"""

from collections.abc import Callable, Iterable

from net.directory import (
    HeldRecord,
    NameRecord,
    RecordTable,
    SignedRecord,
    decode_record_untrusted,
    grant_record,
    read_record_untrusted,
)
from net.errors import (
    BadNameRecord,
    BadSignature,
    ForeignKey,
    ForgedNameRecord,
    NameTaken,
    RecordExpired,
    RecordFromTheFuture,
    RecordInvalid,
    RegistrarFull,
    StaleSequence,
)
from net.identity import Identity
from net.limits import CLOCK_SKEW_SECONDS, MAX_REGISTERED_NAMES, RECORD_SECONDS


class Registrar:
    """All names of a network and who has them. It is the directory of the node that it runs on."""

    def __init__(
        self, identity: Identity, records: Iterable[HeldRecord] = (), max_names: int = MAX_REGISTERED_NAMES
    ) -> None:
        """`records`: what was granted and kept before."""
        self._identity = identity
        self._max_names = max_names
        self._table = RecordTable(records)
        self._pending: dict[str, list[SignedRecord]] = {}
        """Grants that are not on the disk yet, by name, in order."""

    @property
    def genesis(self) -> None:
        """The registrar asks nobody."""
        return None

    def find(self, name: str) -> NameRecord | None:
        """See `directory.Directory`."""
        return self._table.find(name)

    def signed(self, name: str) -> bytes | None:
        """See `directory.Directory`."""
        return self._table.signed(name)

    def held(self, name: str) -> bytes | None:
        """The record of `name`, even if it has expired: its owner goes on counting from it."""
        held = self._table.held(name)
        return held.encoded if held is not None else None

    def learn_untrusted(self, data: bytes, at: float, name: str | None = None) -> HeldRecord | None:
        """Nothing that others show is news to the registrar; a malformed record is an error all the same."""
        decode_record_untrusted(data)
        return None

    def next_expiry(self) -> float | None:
        """See `directory.Directory`."""
        return self._table.next_expiry()

    def expire(self, at: float) -> None:
        """See `directory.Directory`. An expired name stays with its key."""
        self._table.expire(at)

    def register_untrusted(self, data: bytes, name: str, proves: Callable[[bytes], bool], at: float) -> HeldRecord:
        """Decide on a record at the Unix time `at`; return it countersigned. The applicant has proven `name` and the
        key that `proves` accepts.

        What is returned is kept already (`signed` has it) if it is the very record that holds; otherwise `settle` is to
        follow. Raises RegistrationRefused; each of its kinds says when.
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
        granted = grant_record(signed, self._identity)
        self._pending.setdefault(name, []).append(granted)
        return granted.held()

    def settle(self, record: HeldRecord, *, kept: bool) -> None:
        """The disk has a record that was granted, or does not, and then it is as if nobody had asked for it."""
        pending = self._pending.get(record.name, [])
        left = [each for each in pending if each.record.sequence != record.sequence]
        if left:
            self._pending[record.name] = left
        else:
            self._pending.pop(record.name, None)
        if kept:
            self._table.put(record)

    def records(self) -> list[HeldRecord]:
        """All that was granted and kept."""
        return self._table.records()

    def _newest(self, name: str) -> SignedRecord | None:
        pending = self._pending.get(name)
        if pending:
            return pending[-1]
        held = self._table.held(name)
        return read_record_untrusted(held.encoded) if held is not None else None

    def __repr__(self) -> str:
        return f"Registrar({self._identity.name}, {len(self._table)} names)"


def _decode_untrusted(data: bytes) -> SignedRecord:
    try:
        return decode_record_untrusted(data)
    except ForgedNameRecord as error:
        raise BadSignature(str(error)) from error
    except BadNameRecord as error:
        raise RecordInvalid(str(error)) from error


def _check_change(known: SignedRecord, changed: SignedRecord) -> None:
    """Whether `changed` may take the place of `known`. The key comes first: a stranger learns no sequence numbers."""
    name, key = known.record.name, known.record.public_key
    if key != changed.record.public_key and not changed.change_signed_by(key):
        if changed.change_signature is None:
            raise NameTaken(f"{name} has another key")
        raise ForeignKey(f"the key that holds {name} has not agreed to another one")
    if changed.record.sequence <= known.record.sequence:
        raise StaleSequence(f"the record of {name} has sequence {known.record.sequence}")
