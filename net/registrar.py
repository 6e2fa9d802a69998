"""The registrar: grants names, first come, first served. A state machine without any network; `peers` serves it."""

from collections.abc import Iterable

from net.directory import NameRecord, SignedRecord, decode_record_untrusted, grant_record
from net.errors import (
    BadNameRecord,
    NameTaken,
    RecordInvalid,
    RegistrarFull,
    StaleSequence,
)
from net.identity import Identity
from net.limits import MAX_REGISTERED_NAMES


class Registrar:
    """All names of a network and who has them. It is the directory of the node that it runs on."""

    def __init__(
        self, identity: Identity, records: Iterable[bytes] = (), max_names: int = MAX_REGISTERED_NAMES
    ) -> None:
        """`records`: what was granted before, encoded. Raises BadNameRecord if one is not, since then the store is
        lost."""
        self._identity = identity
        self._max_names = max_names
        self._records: dict[str, SignedRecord] = {}
        for data in records:
            self.learn_untrusted(data)

    @property
    def genesis(self) -> None:
        """The registrar asks nobody."""
        return None

    def find(self, name: str) -> NameRecord | None:
        """See `directory.Directory`."""
        signed = self._records.get(name)
        return signed.record if signed is not None else None

    def signed(self, name: str) -> bytes | None:
        """See `directory.Directory`."""
        signed = self._records.get(name)
        return signed.encode() if signed is not None else None

    def learn_untrusted(self, data: bytes) -> SignedRecord | None:
        """Take back a record that this registrar granted. Raises BadNameRecord if it is not one."""
        signed = decode_record_untrusted(data)
        if not signed.granted_by(self._identity.public_key):
            raise BadNameRecord("this registrar has not granted the record")
        known = self._records.get(signed.record.name)
        if known is not None and known.record.sequence >= signed.record.sequence:
            return None
        self._records[signed.record.name] = signed
        return signed

    def register_untrusted(self, data: bytes) -> SignedRecord:
        """Grant the record and return it countersigned; the very record that holds is granted again.

        Raises RegistrationRefused: RecordInvalid, NameTaken, StaleSequence or RegistrarFull.
        """
        try:
            signed = decode_record_untrusted(data)
        except BadNameRecord as error:
            raise RecordInvalid(str(error)) from error
        name = signed.record.name
        known = self._records.get(name)
        if name == self._identity.name and signed.record.public_key != self._identity.public_key:
            raise NameTaken(f"{name} is the registrar itself")
        if known is None:
            if len(self._records) >= self._max_names:
                raise RegistrarFull("no more names")
        elif known.body == signed.body:
            return known
        else:
            _check_change(known, signed)
        granted = grant_record(signed, self._identity)
        self._records[name] = granted
        return granted

    def records(self) -> list[bytes]:
        """All that was granted, encoded."""
        return [signed.encode() for signed in self._records.values()]

    def __repr__(self) -> str:
        return f"Registrar({self._identity.name}, {len(self._records)} names)"


def _check_change(known: SignedRecord, changed: SignedRecord) -> None:
    """Whether `changed` may take the place of `known`. The key comes first: a stranger learns no sequence numbers."""
    if known.record.public_key != changed.record.public_key and not changed.change_signed_by(known.record.public_key):
        raise NameTaken(f"{known.record.name} has another key")
    if changed.record.sequence <= known.record.sequence:
        raise StaleSequence(f"the record of {known.record.name} has sequence {known.record.sequence}")
