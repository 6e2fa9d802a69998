"""SQL on databases of our package, by `sqlite:distro:sys`, which the manifest asks for.

    shop = sqlite.Sqlite("shop")

    await shop.open()
    await shop.write("INSERT INTO prices VALUES (?, ?)", "tea", 2.5)
    rows = await shop.read("SELECT * FROM prices WHERE price < ?", 5)

A text that could be base64, such as "Jane", is taken for the bytes that it stands for: docs/system-processes.md says
what that means in a WHERE.
"""

from __future__ import annotations

import base64
from typing import Any

from nectar import json
from nectar._databases import Database, ok
from nectar.messages import Response
from nectar.node import Question

Value = str | int | float | bool | bytes | None
"""A value of a parameter."""


class Sqlite(Database):
    """A database of tables. Each method returns a question: await it, or `wait()` for it."""

    SERVER = "sqlite:distro:sys"

    def write(self, statement: str, *values: Value, transaction: int | None = None) -> Question[None]:
        """Do a statement that changes something, its `?` filled with `values`."""
        return self.do({"Write": {"statement": statement, "tx_id": transaction}}, _parameters(values))

    def read(self, query: str, *values: Value) -> Question[list[dict[str, Any]]]:
        """Return the rows of a query, each by the names of its columns; bytes come in base64."""
        return self.ask({"Read": {"query": query}}, _rows, _parameters(values))


def _parameters(values: tuple[Value, ...]) -> bytes | None:
    if not values:
        return None
    return json.dumps([base64.b64encode(each).decode() if isinstance(each, bytes) else each for each in values])


def _rows(response: Response) -> list[dict[str, Any]]:
    blob = response.blob()
    ok(response)
    rows: list[dict[str, Any]] = json.loads(b"[]" if blob is None else blob.bytes)
    return rows
