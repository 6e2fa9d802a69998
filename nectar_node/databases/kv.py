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
from kernel.contract.message import Buffer, Envelope
from nectar_node.base.system_processes import KV
from nectar_node.contract.generations import KV_GOT
from nectar_node.contract.json_shapes import field_untrusted, number_untrusted
from nectar_node.databases.databases import Databases, DatabaseTask, Name, Wrong
from nectar_node.storage.operations import GetValue, Location, Operation, Outcome, PutPairs
from nectar_node.storage.package_databases import MAX_KEY_BYTES

Pair = tuple[bytes, Buffer | None]
"""A key, and its new value; None: it is to be gone."""


class Kv(Databases[Pair]):
    """The databases of keys and values of one node."""

    id = KV
    kind = "kv"
    reads = frozenset(("Get", "Backup"))

    def take_untrusted(self, envelope: Envelope, name: Name, action: str, argument: Any) -> None:
        """Queue a request of this process's own, or put it into a transaction; raises Wrong and RequestRefused."""
        match action:
            case "Get":
                key = argument if isinstance(argument, list) else field_untrusted(argument, "key")
                self.wait(envelope, name, action, _key_untrusted(key))
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
            self.wait(envelope, name, action, ((key, value),), writes=True)
            return
        transaction = self.transaction(number_untrusted(number, (1 << 64) - 1), name)
        self.collect(envelope, transaction, (key, value), len(key) + len(value or b""))

    def commit(self, steps: list[Pair]) -> object:
        """Return the pairs of a transaction."""
        return tuple(steps)

    def operation(self, location: Location, tasks: Sequence[DatabaseTask]) -> Operation:
        """Return the operation that gets one value, or writes the pairs of all tasks."""
        work = tasks[0].work
        if isinstance(work, bytes):
            return GetValue(location, work)
        pairs: list[Pair] = []
        for task in tasks:
            assert isinstance(task.work, tuple)
            pairs.extend(task.work)
        return PutPairs(location, tuple(pairs))

    def answer(self, task: DatabaseTask, outcome: Outcome, generation: Generation) -> tuple[object, Buffer | None]:
        """Return the answer to a task that is done; raises Wrong."""
        if not isinstance(task.work, bytes):
            return "Ok", None
        if not isinstance(outcome, bytes):
            raise Wrong("KeyNotFound")
        if len(outcome) > limits.MAX_BLOB_BYTES:
            raise Wrong("Database", f"the value is longer than a blob can be ({limits.MAX_BLOB_BYTES} bytes)")
        return KV_GOT[generation].write({"key": list(task.work)}), outcome


def _key_untrusted(value: object) -> bytes:
    if not isinstance(value, list) or len(value) > MAX_KEY_BYTES:
        raise Wrong("Malformed", f"a key is an array of at most {MAX_KEY_BYTES} bytes")
    if not all(type(each) is int and 0 <= each <= 255 for each in value):
        raise Wrong("Malformed", "a byte is a number from 0 to 255")
    return bytes(value)
