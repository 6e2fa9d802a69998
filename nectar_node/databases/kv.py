"""kv:distro:sys: databases of keys and values (`nectar_node.databases.databases`), for packages.

{"Set": {"key": [bytes], "tx_id"}} with the value as blob, {"Delete": {"key", "tx_id"}}, {"Get": {"key"}} or {"Get":
[bytes]}, and "Backup", which the first interfaces have: all that was answered is durable, so there is nothing left to
do for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kernel.contract import limits
from kernel.contract.guest import Generation
from kernel.contract.memory import UNMETERED, Memory
from kernel.contract.message import Buffer, Envelope
from nectar_node.base.system_processes import KV
from nectar_node.contract.generations import KV_GOT, GenerationOf
from nectar_node.contract.json_shapes import field_untrusted, number_untrusted
from nectar_node.databases.databases import Databases, DatabaseTask, Gathers, Holds, Name, Wrong
from nectar_node.databases.value_cache import NOTHING, ValueCache
from nectar_node.storage.operations import DiskError, GetValues, Location, Operation, Outcome, PutPairs, Values
from nectar_node.storage.package_databases import MAX_KEY_BYTES

MAX_KEPT_PAIRS = 1024
"""Pairs of one commit that are kept at hand: noting them takes the node's only thread."""
Pair = tuple[bytes, Buffer | None]
"""A key, and its new value; None: it is to be gone."""


class Kv(Databases[Pair]):
    """The databases of keys and values of one node."""

    id = KV
    kind = "kv"
    reads = frozenset(("Get", "Backup"))

    def __init__(self, our: str, root: str, holds: Holds, generation: GenerationOf, memory: Memory = UNMETERED) -> None:
        """See `Databases`."""
        super().__init__(our, root, holds, generation, memory)
        self._cache = ValueCache()

    def take_untrusted(self, envelope: Envelope, name: Name, action: str, argument: Any) -> None:
        """Queue a request of this process's own, or put it into a transaction; raises Wrong and RequestRefused."""
        match action:
            case "Get":
                key = argument if isinstance(argument, list) else field_untrusted(argument, "key")
                self._get(envelope, name, action, _key_untrusted(key))
            case "Set" | "Delete":
                self._change_untrusted(envelope, name, action, argument)
            case "Backup":
                self.wait(envelope, name, action, ())
            case _:
                raise Wrong("Malformed", f"there is no action {action[:64]!r}")

    def _change_untrusted(self, envelope: Envelope, name: Name, action: str, argument: Any) -> None:
        key, value = _key_untrusted(field_untrusted(argument, "key")), None
        if action == "Set":
            if envelope.blob is None:
                raise Wrong("Malformed", "Set needs its value as blob")
            value = envelope.blob.bytes
        number = argument.get("tx_id")
        if number is None:
            self.wait(envelope, name, action, ((key, value),), gathers=Gathers.WRITES)
            return
        transaction = self.transaction(number_untrusted(number, (1 << 64) - 1), name)
        self.collect(envelope, transaction, (key, value), len(key) + len(value or b""))

    def _get(self, envelope: Envelope, name: Name, action: str, key: bytes) -> None:
        """Answer at once if the value is known and nothing that came before is still to be done."""
        place = self.place(name)
        value = self._cache.get(place, key) if self.is_idle(place) else NOTHING
        if value is NOTHING:
            self.wait(envelope, name, action, key, gathers=Gathers.READS)
        else:
            self.respond(envelope, *_got(key, value, self.generation(envelope.source.process)))

    def learn(self, place: str, tasks: Sequence[DatabaseTask], outcome: Outcome) -> None:
        """Keep the values that were read or written at hand."""
        if isinstance(outcome, Values):
            for task, value in zip(tasks, outcome.values, strict=False):
                assert isinstance(task.work, bytes)
                self._cache.put(place, task.work, value)
            return
        pairs = [pair for task in tasks if isinstance(task.work, tuple) for pair in task.work]
        if isinstance(outcome, DiskError) or tasks[0].action == "RemoveDb" or len(pairs) > MAX_KEPT_PAIRS:
            self._cache.drop(place)
            return
        for key, value in pairs:
            self._cache.put(place, key, value)

    def forget(self, place: str) -> None:
        """Read all of a database again."""
        self._cache.drop(place)

    def commit(self, steps: list[Pair]) -> object:
        """Return the pairs of a transaction."""
        return tuple(steps)

    def operation(self, location: Location, tasks: Sequence[DatabaseTask]) -> Operation:
        """Return the operation that gets the values, or writes the pairs, of all tasks."""
        work = tasks[0].work
        if isinstance(work, bytes):
            return GetValues(location, tuple(task.work for task in tasks if isinstance(task.work, bytes)))
        pairs: list[Pair] = []
        for task in tasks:
            assert isinstance(task.work, tuple)
            pairs.extend(task.work)
        return PutPairs(location, tuple(pairs))

    def answer(self, task: DatabaseTask, outcome: Outcome, generation: Generation) -> tuple[object, Buffer | None]:
        """Return the answer to a task that is done; raises Wrong."""
        if not isinstance(task.work, bytes):
            return "Ok", None
        assert outcome is None or isinstance(outcome, bytes)
        return _got(task.work, outcome, generation)


def _got(key: bytes, value: bytes | None, generation: Generation) -> tuple[object, bytes]:
    if value is None:
        raise Wrong("KeyNotFound")
    if len(value) > limits.MAX_BLOB_BYTES:
        raise Wrong("Database", f"the value is longer than a blob can be ({limits.MAX_BLOB_BYTES} bytes)")
    return KV_GOT[generation].write({"key": list(key)}), value


def _key_untrusted(value: object) -> bytes:
    if not isinstance(value, list) or len(value) > MAX_KEY_BYTES:
        raise Wrong("Malformed", f"a key is an array of at most {MAX_KEY_BYTES} bytes")
    if not all(type(each) is int and 0 <= each <= 255 for each in value):
        raise Wrong("Malformed", "a byte is a number from 0 to 255")
    return bytes(value)
