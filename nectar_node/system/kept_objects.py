"""Which objects a node keeps for which others: owners, and the names and sizes of their objects, as rows of its store.

An object's row says whether it is settled. One that is being put, or removed, is not: a crash leaves it so, and the
next boot removes its file and then its row. So no file is forgotten, and what is counted is what there may be. A row
of `owners` has a node's name as its key, and a row of `kept` the name and, behind a slash, that of the object.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import cbor2

from nectar_node.backup.format.keys import KEY_BYTES
from nectar_node.backup.format.names import is_name
from nectar_node.backup.stores.node_messages import PAGE_OBJECTS
from nectar_node.base.errors import NodeError
from nectar_node.storage.operations import Row
from net.base.cbor import loads_untrusted
from net.base.errors import BadCbor
from net.base.node_names import is_node_name

OWNERS = "owners"
KEPT = "kept"
"""The tables."""
MAX_QUOTA = 1 << 62
"""Bytes: more than any disk has."""
MAX_KEYS = 64
"""Public keys of one owner that may only add: changes of its phrase."""
_SIZE_BYTES = 4


class DamagedKept(NodeError):
    """A row does not say what is kept for another node."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What the node's user has agreed to keep for another node."""

    quota: int
    """Bytes of all its objects together."""
    append_only: bool = False
    """Whether it may not remove anything."""
    key: bytes | None = None
    """The public key of that node when it first came; None: it has not come yet. A name that is lost may become another
    node's, which is not to remove the backup of the first.
    """
    access: tuple[bytes, ...] = ()
    """The public keys of its recovery phrases (`backup.format.access`), the newest last: whoever may only add cannot
    shut out who knows a former one.
    """


@dataclass(slots=True)
class Owner:
    """A node for which something is kept."""

    name: str
    acceptance: Acceptance | None = None
    """None: nothing more is kept for it; what there is may still lie here."""
    sizes: dict[str, int] = field(default_factory=dict)
    """The bytes of all its objects, by name."""
    unsettled: dict[str, None] = field(default_factory=dict)
    """Those that are being put or removed."""
    bytes: int = 0
    """Of all its objects."""
    _listed: dict[str, list[str]] = field(default_factory=dict)
    """The names of those that are settled, sorted, by what they begin with."""

    def has(self, name: str) -> bool:
        """Whether it has that object, and it is settled."""
        return name in self.sizes and name not in self.unsettled

    def page(self, prefix: str, after: str) -> list[tuple[str, int]]:
        """Return the first objects below a prefix whose names come after `after`, at most PAGE_OBJECTS of them."""
        names = self._listed.get(prefix, [])
        first = bisect_right(names, after)
        return [(name, self.sizes[name]) for name in names[first : first + PAGE_OBJECTS]]

    def list(self, name: str) -> None:
        """Count an object among those that are settled."""
        insort(self._listed.setdefault(_prefix(name), []), name)

    def unlist(self, name: str) -> None:
        """Count it no longer among them."""
        names = self._listed.get(_prefix(name), [])
        place = bisect_left(names, name)
        if names[place : place + 1] == [name]:
            del names[place]


def _prefix(name: str) -> str:
    return name[: name.index("/") + 1]


class KeptObjects:
    """All owners and their objects; what has changed is to be written (`nectar_node.core.store.RowSource`)."""

    def __init__(self, owners: Iterable[Owner] = ()) -> None:
        self.owners = {owner.name: owner for owner in owners}
        """Read-only."""
        self.count = sum(len(owner.sizes) for owner in self.owners.values())
        """Objects of all of them."""
        self._changed: dict[tuple[str, str], None] = {}

    @property
    def has_changed(self) -> bool:
        """Whether `changes` returns any."""
        return bool(self._changed)

    def changes(self) -> list[Row]:
        """Return the rows that are to be written since this was called last."""
        changed, self._changed = self._changed, {}
        return [Row(kind, key, self._value(kind, key)) for kind, key in changed]

    def _value(self, kind: str, key: str) -> bytes | None:
        name, _, item = key.partition("/")
        owner = self.owners.get(name)
        if owner is None:
            return None
        if kind == OWNERS:
            accepted = owner.acceptance
            if accepted is None:
                return None
            return cbor2.dumps([accepted.quota, accepted.append_only, accepted.key, list(accepted.access)])
        size = owner.sizes.get(item)
        if size is None:
            return None
        return size.to_bytes(_SIZE_BYTES, "big") + bytes([item not in owner.unsettled])

    def accept(self, name: str, quota: int, *, append_only: bool) -> None:
        """Agree to keep so much for a node; what it has left here stays."""
        owner = self.owners.setdefault(name, Owner(name))
        access = () if owner.acceptance is None else owner.acceptance.access
        self._agree(owner, Acceptance(quota, append_only, None, access))

    def introduce(self, owner: Owner, access: tuple[bytes, ...]) -> None:
        """Learn the public keys of its phrases."""
        assert owner.acceptance is not None
        self._agree(owner, replace(owner.acceptance, access=access))

    def meet(self, owner: Owner, key: bytes) -> None:
        """Learn the public key of its node, which has come for the first time."""
        assert owner.acceptance is not None
        self._agree(owner, replace(owner.acceptance, key=key))

    def refuse(self, owner: Owner) -> None:
        """Keep nothing more for it; what there is stays."""
        self._agree(owner, None)
        if not owner.sizes:
            del self.owners[owner.name]

    def _agree(self, owner: Owner, acceptance: Acceptance | None) -> None:
        owner.acceptance = acceptance
        self._changed[OWNERS, owner.name] = None

    def begin(self, owner: Owner, name: str, size: int) -> None:
        """Count an object that is about to be put."""
        owner.sizes[name] = size
        owner.unsettled[name] = None
        owner.bytes += size
        self.count += 1
        self._note(owner, name)

    def settle(self, owner: Owner, name: str) -> None:
        """Learn that its file is whole and durable."""
        del owner.unsettled[name]
        owner.list(name)
        self._note(owner, name)

    def doom(self, owner: Owner, name: str) -> None:
        """Learn that an object is about to be removed."""
        owner.unsettled[name] = None
        owner.unlist(name)
        self._note(owner, name)

    def gone(self, owner: Owner, name: str) -> None:
        """Learn that there is no file of it any more."""
        owner.unsettled.pop(name, None)
        owner.unlist(name)
        owner.bytes -= owner.sizes.pop(name)
        self.count -= 1
        self._note(owner, name)

    def all_gone(self, owner: Owner) -> None:
        """Learn that nothing that was kept for it is there any more."""
        for name in list(owner.sizes):
            self.gone(owner, name)
        if owner.acceptance is None and self.owners.get(owner.name) is owner:
            del self.owners[owner.name]

    def _note(self, owner: Owner, name: str) -> None:
        self._changed[KEPT, f"{owner.name}/{name}"] = None


def decode_untrusted(owners: Mapping[str, bytes], objects: Mapping[str, bytes]) -> tuple[Owner, ...]:
    """Return what is in the rows; raises DamagedKept."""
    found: dict[str, Owner] = {}
    for name, value in owners.items():
        _owner(found, name).acceptance = _acceptance(name, value)
    for key, value in objects.items():
        name, _, item = key.partition("/")
        if len(value) != _SIZE_BYTES + 1 or value[-1] > 1 or not is_name(item):
            raise DamagedKept(f"the row of {key} does not describe an object")
        owner, size = _owner(found, name), int.from_bytes(value[:_SIZE_BYTES], "big")
        owner.sizes[item] = size
        owner.bytes += size
        if not value[-1]:
            owner.unsettled[item] = None
    for owner in found.values():
        for item in sorted(owner.sizes.keys() - owner.unsettled.keys()):
            owner.list(item)  # at the end of its list
    return tuple(found.values())


def _owner(found: dict[str, Owner], name: str) -> Owner:
    if not is_node_name(name):
        raise DamagedKept(f"{name[:64]!r} is not a node's name")
    return found.setdefault(name, Owner(name))


def _acceptance(name: str, value: bytes) -> Acceptance:
    try:
        match loads_untrusted(value, items=8 + MAX_KEYS, depth=3):
            case [int(quota), bool(append_only), None | bytes() as known, list(access)] if (
                not isinstance(quota, bool)
                and 0 <= quota <= MAX_QUOTA
                and len(access) <= MAX_KEYS
                and all(isinstance(key, bytes) and len(key) == KEY_BYTES for key in access)
                and (known is None or len(known) == KEY_BYTES)
            ):
                return Acceptance(quota, append_only, known, tuple(access))
    except BadCbor:
        pass
    raise DamagedKept(f"the row of {name} does not say what is kept for it")


def doomed(owners: Iterable[Owner]) -> Iterator[tuple[Owner, str]]:
    """Yield the objects that a crash has left unsettled."""
    for owner in owners:
        for name in owner.unsettled:
            yield owner, name
