"""Name records and where they are kept: the keys of nodes, and how each is reached.

Owns the record's format and signatures, the `Directory` protocol, and the two directories of an ordinary node: the
signed static file, and the cache of what a registrar has granted. `resolver` asks the registrar; `registrar` grants.

A record expires at a Unix time. The owner of a directory tells it when one has (`next_expiry`, `expire`); from then on
its name counts as unknown, but an older record does not take its place. If that clock is set back, it has not expired.
Some time later the name is free (`free_at`), and the record is forgotten. Any node with the record can compute when, so
the registrar's next grant of the name, perhaps to another key, is believed by all nodes, and by none before.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import cbor2

from net.base.cbor import loads_untrusted
from net.base.ciphers import LISTED, Cipher
from net.base.errors import BadCbor, BadNameRecord, ForgedNameRecord
from net.base.limits import (
    CLOCK_SKEW_SECONDS,
    DOUBT_SECONDS,
    FIRST_RECORD_SECONDS,
    MAX_CACHED_RECORDS,
    MAX_CIPHERS,
    MAX_ENDPOINTS,
    MAX_HOST_BYTES,
    MAX_NAME_RECORD_BYTES,
    MAX_READ_RECORDS,
    MAX_REGISTERED_NAMES,
    MAX_STATIC_FILE_BYTES,
    SUDDEN_SECONDS,
    UNUSED_NAME_SECONDS,
    USED_NAME_SECONDS,
)
from net.base.node_names import is_node_name
from net.base.timers import Timers
from net.names.identity import KEY_BYTES, SIGNATURE_BYTES, Identity, verify_untrusted

NEVER = (1 << 63) - 1
"""The expiry of a record that lasts for ever: only a static directory has such records."""
_VERSION = 1
_OWNER = b"nectar/1 name record"
_CHANGE = b"nectar/1 key change"
_GRANT = b"nectar/1 grant"
_STATIC = b"nectar/1 static directory"
_STATIC_MAGIC = "nectar static directory 1"
_MAX_INTEGER = NEVER
_BODY_STARTS = {0x58: 3, 0x59: 4}
"""Where the body of an encoded record begins, by the kind of length that it has."""
_BODY_BEGINS, _KEY_BEGINS = (b"\x88\x01", b"\x8a\x01", b"\x8b\x01"), b"\x58\x20"
"""The first bytes of a body (8, 10 or 11 fields, the first of which is the version) and of a key (32 bytes)."""
_SHORT_NAMES, _LONG_NAME = tuple(bytes((0x60 + size,)) for size in range(24)), 0x78
"""How a name begins by its length; the kind of text that has its length in a byte of its own."""
_FIELDS = "a record has eight fields, ten, or eleven"
_MAX_RECORD_ITEMS = 64
"""Items of a record: its fields, and as many endpoints, routers and ciphers as it may name."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a node accepts connections."""

    host: str
    """Name or address."""
    port: int
    """TCP port, 1 to 65535."""


@dataclass(frozen=True, slots=True)
class NameRecord:
    """What is known about a node."""

    name: str
    """The node's name (G1)."""
    public_key: bytes
    """Its Ed25519 key."""
    endpoints: tuple[Endpoint, ...]
    """Where it accepts connections, best first; none if it is behind routers."""
    routers: tuple[str, ...]
    """Names of nodes that carry its messages."""
    sequence: int
    """The record's number: a record replaces those of its name with a lower one."""
    issued_at: int
    """Unix time in seconds."""
    expires_at: int
    """Unix time in seconds, from which on the record is believed no longer."""
    epoch: int = 0
    """The node's revocation epoch: what it has issued under this number or a lower one is void, everywhere (G21)."""
    copy: int = 0
    """The number of the node's newest backup copy; 0: it has told of none."""
    ciphers: tuple[Cipher, ...] = ()
    """What it would rather use than ChaCha20-Poly1305, which every node can."""

    @property
    def established(self) -> bool:
        """Whether it lasts longer than the registrar grants to a name that is new: its node has been there before."""
        return self.expires_at - self.issued_at > FIRST_RECORD_SECONDS

    @property
    def free_at(self) -> int:
        """The Unix time from which on any node may take the name, unless a newer record has come by then."""
        return self.expires_at + (USED_NAME_SECONDS if self.established else UNUSED_NAME_SECONDS)


class HeldRecord(NamedTuple):
    """A record that was found valid, encoded, with what is needed to keep it without reading it again."""

    name: str
    """The record's name."""
    sequence: int
    """The record's number."""
    expires_at: int
    """The record's expiry, in Unix seconds."""
    encoded: bytes
    """The bytes that `decode_record_untrusted` reads."""

    def read(self) -> NameRecord:
        """Return the decoded record."""
        return read_record_untrusted(self.encoded).record

    def public_key(self) -> bytes:
        """Return the record's key: in a hundredth of the time of `read`, if the record is encoded as ours are."""
        encoded, size = self.encoded, len(self.name)
        start = _BODY_STARTS.get(encoded[1], 0)
        head = _SHORT_NAMES[size] if size < len(_SHORT_NAMES) else bytes((_LONG_NAME, size))
        end = start + 2 + len(head) + size
        begins = start and encoded.startswith(_BODY_BEGINS, start) and encoded.startswith(head, start + 2)
        if begins and encoded.startswith(_KEY_BEGINS, end):
            return encoded[end + 2 : end + 2 + KEY_BYTES]
        return self.read().public_key


@dataclass(frozen=True, slots=True)
class SignedRecord:
    """A name record and its signatures; its own is valid, whatever the state of the others."""

    record: NameRecord
    """The content of the body."""
    body: bytes
    """The signed bytes."""
    signature: bytes
    """The signature by the record's own key."""
    change_signature: bytes | None
    """The signature by the name's previous key, if the record changes the key."""
    grant: bytes | None
    """The signature by the registrar or the static directory's authority."""

    def encode(self) -> bytes:
        """Return the bytes that `decode_record_untrusted` reads."""
        return cbor2.dumps([self.body, self.signature, self.change_signature, self.grant])

    def held(self) -> HeldRecord:
        """Return the same record as a table keeps it."""
        return HeldRecord(self.record.name, self.record.sequence, self.record.expires_at, self.encode())

    def granted_by(self, authority: bytes) -> bool:
        """Return whether `authority`, an Ed25519 key, vouches for the record."""
        return self.grant is not None and verify_untrusted(authority, _GRANT, self.body, self.grant)

    def change_signed_by(self, old_key: bytes) -> bool:
        """Return whether `old_key` has agreed that the record's key takes its place."""
        return self.change_signature is not None and verify_untrusted(
            old_key, _CHANGE, self.body, self.change_signature
        )


def sign_record(record: NameRecord, owner: Identity, previous: Identity | None = None) -> SignedRecord:
    """Sign `record`, which carries `owner`'s key; `previous` also signs if the name had that key before."""
    assert record.public_key == owner.public_key
    fields: list[object] = [
        _VERSION,
        record.name,
        record.public_key,
        [[endpoint.host, endpoint.port] for endpoint in record.endpoints],
        list(record.routers),
        record.sequence,
        record.issued_at,
        record.expires_at,
    ]
    # Nodes of a version before these fields take a record with them for malformed.
    if record.epoch or record.copy or record.ciphers:
        fields += (record.epoch, record.copy)
    if record.ciphers:
        fields.append([cipher.value for cipher in record.ciphers])
    body = cbor2.dumps(fields)
    change = previous.sign(_CHANGE, body) if previous is not None else None
    return SignedRecord(record, body, owner.sign(_OWNER, body), change, None)


def grant_record(signed: SignedRecord, authority: Identity) -> SignedRecord:
    """Countersign a record, so that `authority` vouches for it."""
    return replace(signed, grant=authority.sign(_GRANT, signed.body))


def decode_record_untrusted(data: bytes) -> SignedRecord:
    """Read a signed record and check its own signature. Raises BadNameRecord if anything is wrong with it:
    ForgedNameRecord if that is the signature."""
    signed = read_record_untrusted(data)
    if not verify_untrusted(signed.record.public_key, _OWNER, signed.body, signed.signature):
        raise ForgedNameRecord("the record is not signed by its own key")
    return signed


def read_record_untrusted(data: bytes) -> SignedRecord:
    """Read a signed record that was verified before: no signature is checked. Raises BadNameRecord."""
    match _load(data, MAX_NAME_RECORD_BYTES, _MAX_RECORD_ITEMS):
        case [bytes(body), bytes(signature), bytes() | None as change, bytes() | None as grant]:
            pass
        case _:
            raise BadNameRecord("a signed record has a body and three signatures")
    for other in (change, grant):
        if other is not None and len(other) != SIGNATURE_BYTES:
            raise BadNameRecord("a signature is 64 bytes")
    return SignedRecord(_decode_body_untrusted(body), body, signature, change, grant)


def _load(data: bytes, limit: int, items: int) -> object:
    if len(data) > limit:
        raise BadNameRecord(f"more than {limit} bytes")
    try:
        return loads_untrusted(data, items=items, depth=3)
    except BadCbor as error:
        raise BadNameRecord("not CBOR") from error


def _decode_body_untrusted(body: bytes) -> NameRecord:
    match _load(body, MAX_NAME_RECORD_BYTES, _MAX_RECORD_ITEMS):
        case [
            int(version),
            str(name),
            bytes(key),
            list(endpoints),
            list(routers),
            int(sequence),
            int(issued_at),
            int(expires_at),
            *marks,
        ]:
            pass
        case _:
            raise BadNameRecord(_FIELDS)
    epoch, copy, ciphers = _marks_untrusted(marks)
    if version != _VERSION:
        raise BadNameRecord(f"version {version} is unknown")
    if not is_node_name(name) or not all(is_node_name(router) for router in routers):
        raise BadNameRecord("not a node name")
    if len(key) != KEY_BYTES:
        raise BadNameRecord("a key is 32 bytes")
    if len(endpoints) > MAX_ENDPOINTS or len(routers) > MAX_ENDPOINTS:
        raise BadNameRecord(f"more than {MAX_ENDPOINTS} endpoints or routers")
    if not all(0 <= number <= _MAX_INTEGER for number in (sequence, issued_at, expires_at)):
        raise BadNameRecord("a number is out of range")
    checked = tuple(_endpoint_untrusted(endpoint) for endpoint in endpoints)
    return NameRecord(name, key, checked, tuple(routers), sequence, issued_at, expires_at, epoch, copy, ciphers)


def _marks_untrusted(fields: list[object]) -> tuple[int, int, tuple[Cipher, ...]]:
    """Return the last fields of a record, which it may lack: its epoch, the number of its newest copy, its ciphers."""
    match fields:
        case []:
            return 0, 0, ()
        case [int(epoch), int(copy), *more] if 0 <= epoch <= _MAX_INTEGER and 0 <= copy <= _MAX_INTEGER:
            return epoch, copy, _ciphers_untrusted(more)
    raise BadNameRecord(_FIELDS)


def _ciphers_untrusted(fields: list[object]) -> tuple[Cipher, ...]:
    """Return the ciphers that a record lists, without those that are not known here; what is behind them is of a later
    version."""
    match fields:
        case []:
            return ()
        case [list(listed), *_] if len(listed) <= MAX_CIPHERS and all(isinstance(each, str) for each in listed):
            return tuple(LISTED[each] for each in dict.fromkeys(listed) if each in LISTED)
    raise BadNameRecord("not a list of ciphers")


def _endpoint_untrusted(fields: object) -> Endpoint:
    match fields:
        case [str(host), int(port)] if 0 < port < 65536 and is_host(host):
            return Endpoint(host, port)
    raise BadNameRecord("not an endpoint")


def is_host(text: str) -> bool:
    """Return whether a record may give `text` as a host: an address or a name, which is not looked up."""
    size = len(text.encode(errors="replace"))
    return 0 < size <= MAX_HOST_BYTES and text.isprintable() and " " not in text


@dataclass(frozen=True, slots=True)
class Genesis:
    """The registrar of a network, as every node of it knows it from the start."""

    name: str
    """The registrar's node name."""
    public_key: bytes
    """Its Ed25519 key: that of its node, which also signs the grants."""
    host: str
    """Its endpoint's host."""
    port: int
    """Its endpoint's port."""

    def record(self) -> NameRecord:
        """Return the registrar as a name record."""
        return NameRecord(self.name, self.public_key, (Endpoint(self.host, self.port),), (), 0, 0, NEVER)


def follows(record: NameRecord, known: NameRecord) -> bool:
    """Return whether `record` was granted when the name was free again, after all that `known` stands for; its owner
    need not be the former one, and counts from 1 again."""
    return record.issued_at >= known.free_at


def _replaces(record: HeldRecord, known: HeldRecord) -> bool:
    """Return whether `record` replaces `known`, a record of the same name, whatever their order of coming."""
    new, old = record.read(), known.read()
    if follows(new, old):
        return True
    return new.sequence > old.sequence and new.epoch >= old.epoch and not follows(old, new)


class RecordTable:
    """Records by name, and when they expire. Holds them encoded: reading all of a large network would take long."""

    def __init__(self, records: Iterable[HeldRecord] = (), *, frees: bool = True) -> None:
        """`frees`: names become free, and their records are forgotten then; otherwise they stay for ever."""
        self._held: dict[str, HeldRecord] = {}
        self._read: dict[str, NameRecord] = {}
        """Decoded records that were looked up."""
        self._frees = frees
        self._deadlines: Timers[str] = Timers()
        """When each name's record expires; and then, when the name is free."""
        self._expired: set[str] = set()
        self._doubted: set[str] = set()
        """Names that are free by a clock that may be wrong, and since when: see `limits.DOUBT_SECONDS`."""
        self._at = -math.inf
        """The Unix time that it was last told."""
        for record in records:
            self.put(record)

    def put(self, record: HeldRecord) -> bool:
        """Take in a record that was found valid; return False if the one that is there stays."""
        name, known = record.name, self._held.pop(record.name, None)
        if known is not None and not _replaces(record, known):
            self._held[name] = known
            return False
        self._held[name] = record
        self._read.pop(name, None)
        self._expired.discard(name)
        self._doubted.discard(name)
        self._deadlines.set(name, record.expires_at if record.expires_at < NEVER else None)
        return True

    def forget_oldest(self) -> None:
        """Remove the record that was put in first."""
        self._forget(next(iter(self._held)))

    def _forget(self, name: str) -> HeldRecord:
        self._read.pop(name, None)
        self._expired.discard(name)
        self._doubted.discard(name)
        self._deadlines.set(name, None)
        return self._held.pop(name)

    def held(self, name: str) -> HeldRecord | None:
        """Return the record of `name`, even if it has expired."""
        return self._held.get(name)

    def signed(self, name: str) -> bytes | None:
        """Return the record of `name`, encoded, or None if there is none or it has expired."""
        held = self._held.get(name)
        return held.encoded if held is not None and name not in self._expired else None

    def find(self, name: str) -> NameRecord | None:
        """Return the record of `name`, or None if there is none or it has expired."""
        found = self._read.get(name)
        if found is None and self.signed(name) is not None:
            if len(self._read) >= MAX_READ_RECORDS:
                del self._read[next(iter(self._read))]
            found = self._read[name] = self._held[name].read()
        return found

    def next_expiry(self) -> float | None:
        """Return the Unix time at which the next record expires, or the next name is free."""
        return self._deadlines.next()

    def expire(self, at: float) -> list[HeldRecord]:
        """Count what expires until the Unix time `at` as unknown; return what is free, and forgotten."""
        if at < self._at:
            self._believe_again(at)
        self._at = at
        freed: list[HeldRecord] = []
        while (name := self._deadlines.pop_due(at)) is not None:
            if name not in self._expired:
                self._expired.add(name)
                self._read.pop(name, None)
                self._deadlines.set(name, self._held[name].read().free_at if self._frees else None)
            elif name not in self._doubted and at > self._held[name].read().free_at + SUDDEN_SECONDS:
                self._doubted.add(name)
                self._deadlines.set(name, at + DOUBT_SECONDS)
            else:
                freed.append(self._forget(name))
        return freed

    def _believe_again(self, at: float) -> None:
        """Believe records again, since the clock was set back before their expiry, or before the time to doubt them."""
        for name in sorted(self._expired):
            held = self._held[name]
            if held.expires_at > at:
                self._expired.discard(name)
                self._deadlines.set(name, held.expires_at)
            elif name in self._doubted:
                self._deadlines.set(name, held.read().free_at)
        self._doubted.clear()

    def records(self) -> list[HeldRecord]:
        """Return all records, expired ones included."""
        return list(self._held.values())

    def __len__(self) -> int:
        return len(self._held)


class Directory(Protocol):
    """Where a node finds name records. Everything that it returns is trusted, and has not expired."""

    @property
    def genesis(self) -> Genesis | None:
        """The registrar to ask for what `find` does not have; None if there is none."""

    def find(self, name: str) -> NameRecord | None:
        """Return the record of `name`, as far as it is known here."""

    def signed(self, name: str) -> bytes | None:
        """Return the record of `name` with its signatures, encoded; None also for what is known without signatures."""

    def learn_untrusted(self, data: bytes, at: float, name: str | None = None) -> HeldRecord | None:
        """Take in a record, of `name` if that is given, at the Unix time `at`; return it if it was new and has not
        expired. Raises BadNameRecord if it is not to be trusted."""

    def next_expiry(self) -> float | None:
        """Return the Unix time at which `expire` is to be called."""

    def expire(self, at: float) -> list[str]:
        """Count what expires until the Unix time `at` as unknown; return the names that are free, and have been
        forgotten."""

    def records(self) -> list[HeldRecord]:
        """Return all that is to be kept for the next boot."""


class StaticDirectory:
    """The directory of a signed file: it knows all there is to know."""

    def __init__(self, records: dict[str, SignedRecord]) -> None:
        self._table = RecordTable((signed.held() for signed in records.values()), frees=False)

    @property
    def genesis(self) -> None:
        """None: there is no registrar to ask."""
        return None

    def find(self, name: str) -> NameRecord | None:
        """Return the record of `name` in the file, or None."""
        return self._table.find(name)

    def signed(self, name: str) -> bytes | None:
        """Return the record of `name` in the file, encoded, or None."""
        return self._table.signed(name)

    def learn_untrusted(self, data: bytes, at: float, name: str | None = None) -> HeldRecord | None:
        """Return None, since nothing is new; a malformed record is an error all the same."""
        decode_record_untrusted(data)
        return None

    def next_expiry(self) -> float | None:
        """Return the Unix time at which `expire` is to be called."""
        return self._table.next_expiry()

    def expire(self, at: float) -> list[str]:
        """Count what expires until `at` as unknown; no name becomes free."""
        return [held.name for held in self._table.expire(at)]

    def records(self) -> list[HeldRecord]:
        """Return nothing: the file is there at the next boot too."""
        return []

    def __repr__(self) -> str:
        return f"StaticDirectory({len(self._table)} records)"


def encode_static_directory(records: Iterable[SignedRecord], authority: Identity) -> bytes:
    """Return the file of a static directory: every record granted, and the whole signed, by `authority`."""
    encoded = [grant_record(signed, authority).encode() for signed in records]
    return cbor2.dumps([_STATIC_MAGIC, encoded, authority.sign(_STATIC, cbor2.dumps(encoded))])


def decode_static_directory_untrusted(data: bytes, authority: bytes) -> StaticDirectory:
    """Read such a file. Raises BadNameRecord if it, or any record, is not signed by the key `authority`."""
    match _load(data, MAX_STATIC_FILE_BYTES, MAX_REGISTERED_NAMES):
        case [str(magic), list(encoded), bytes(signature)] if magic == _STATIC_MAGIC:
            pass
        case _:
            raise BadNameRecord("not a static directory")
    if not all(isinstance(item, bytes) for item in encoded):
        raise BadNameRecord("not a static directory")
    if not verify_untrusted(authority, _STATIC, cbor2.dumps(encoded), signature):
        raise BadNameRecord("the static directory is not signed by its authority")
    records: dict[str, SignedRecord] = {}
    for item in encoded:
        signed = decode_record_untrusted(item)
        if not signed.granted_by(authority) or signed.record.name in records:
            raise BadNameRecord(f"the record of {signed.record.name} is not granted, or not the only one")
        records[signed.record.name] = signed
    return StaticDirectory(records)


class RegistrarDirectory:
    """A cache of what the registrar has granted; with it a node goes on while the registrar is down.

    The node keeps it on disk: it writes what `RecordStored` events bring and gives it back here at the next boot.
    """

    def __init__(self, genesis: Genesis, records: Iterable[HeldRecord] = ()) -> None:
        """`records` is what another directory of the same registrar has learned before."""
        self._genesis = genesis
        self._table = RecordTable(records)

    @property
    def genesis(self) -> Genesis | None:
        """The registrar."""
        return self._genesis

    def find(self, name: str) -> NameRecord | None:
        """Return the record of `name`, if it was learned."""
        return self._genesis.record() if name == self._genesis.name else self._table.find(name)

    def signed(self, name: str) -> bytes | None:
        """Return the record of `name`, encoded, if it was learned."""
        return self._table.signed(name)

    def learn_untrusted(self, data: bytes, at: float, name: str | None = None) -> HeldRecord | None:
        """Take in a record (see `Directory`): the registrar's grant is what makes it trusted."""
        signed = decode_record_untrusted(data)
        if name not in (None, signed.record.name):
            raise BadNameRecord(f"it is another name's record, not that of {name}")
        if not signed.granted_by(self._genesis.public_key):
            raise BadNameRecord("the registrar has not granted the record")
        if signed.record.name == self._genesis.name:
            raise BadNameRecord("the registrar's own record is fixed")
        held, known = signed.held(), self._table.held(signed.record.name)
        early = signed.record.issued_at > at + CLOCK_SKEW_SECONDS
        if held.expires_at <= at or (early and known is not None and follows(signed.record, known.read())):
            return None  # it is not valid any more, or the name is not free yet by our clock
        if not self._table.put(held):
            return None
        if len(self._table) > MAX_CACHED_RECORDS:
            self._table.forget_oldest()
        return held

    def next_expiry(self) -> float | None:
        """Return the Unix time at which `expire` is to be called."""
        return self._table.next_expiry()

    def expire(self, at: float) -> list[str]:
        """Forget the records of names that are free, and return the names (see `Directory`)."""
        return [held.name for held in self._table.expire(at)]

    def records(self) -> list[HeldRecord]:
        """Return all that was learned, to be kept for the next boot."""
        return self._table.records()

    def __repr__(self) -> str:
        return f"RegistrarDirectory({self._genesis.name}, {len(self._table)} records)"
