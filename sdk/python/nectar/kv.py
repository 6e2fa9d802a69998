"""Databases of keys and values, by `kv:distro:sys`, which the manifest asks for.

notes = kv.KeyValue("notes")

await notes.open()
await notes.set(b"a", b"x")
value = await notes.get(b"a")
"""

from __future__ import annotations

from nectar._databases import Database, ok
from nectar.errors import Refused
from nectar.messages import Response
from nectar.node import Question


class KeyValue(Database):
    """A database of keys and values, both bytes. Each method returns a question: await it, or `wait()` for it."""

    SERVER = "kv:distro:sys"

    def set(self, key: bytes, value: bytes, *, transaction: int | None = None) -> Question[None]:
        """Set a key, of at most 64 KiB; it is durable when that is answered, or when its transaction is committed."""
        return self.do({"Set": {"key": list(key), "tx_id": transaction}}, value)

    def delete(self, key: bytes, *, transaction: int | None = None) -> Question[None]:
        """Take a key away, if it is there."""
        return self.do({"Delete": {"key": list(key), "tx_id": transaction}})

    def get(self, key: bytes) -> Question[bytes | None]:
        """Return the value of a key; None: there is none."""
        return self.ask({"Get": {"key": list(key)}}, _value)


def _value(response: Response) -> bytes | None:
    blob = response.blob()
    try:
        ok(response)
    except Refused as refused:
        if "KeyNotFound" in str(refused.reason):
            return None
        raise
    return b"" if blob is None else blob.bytes
