"""What kv and sqlite have in common: whose a database is, transactions, and the shape of errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from nectar import node
from nectar.address import ProcessId
from nectar.errors import Refused
from nectar.messages import Blob, Response
from nectar.node import Question, question

T = TypeVar("T")
_TIMEOUT = 60


def ok(response: Response) -> Any:
    """Return what a database answers; raises Refused with its reason."""
    try:
        return response.ok()
    except Refused as refused:
        reason = refused.reason
        inner = reason.get("error", reason) if isinstance(reason, dict) else reason
        raise Refused(inner) from None


def done(response: Response) -> None:
    """Take an answer that says nothing more; raises Refused."""
    ok(response)


class Database:
    """A database of a package, by its name."""

    SERVER = ""

    def __init__(self, name: str, owner: ProcessId | None = None) -> None:
        """`owner`: a process of the package that it belongs to; None: our own."""
        self.name = name
        self._owner = owner

    def ask(self, action: object, read: Callable[[Response], T], blob: Blob | bytes | None = None) -> Question[T]:
        """Return a question about this database."""
        owner = self._owner or node.our().process
        package = {"package_name": owner.package, "publisher_node": owner.publisher}
        body = {"package_id": package, "db": self.name, "action": action}
        return question(f"our@{self.SERVER}", body, read, timeout=_TIMEOUT, blob=blob)

    def do(self, action: object, blob: Blob | bytes | None = None) -> Question[None]:
        """Return a question that is answered with nothing."""
        return self.ask(action, done, blob)

    def open(self) -> Question[None]:
        """Open the database, and make it if there is none."""
        return self.do("Open")

    def remove(self) -> Question[None]:
        """Remove the database with all that is in it."""
        return self.do("RemoveDb")

    def begin(self) -> Question[int]:
        """Begin a transaction; its number is the `transaction` of what belongs to it. It ends with this process."""

        def begun(response: Response) -> int:
            return int(ok(response)["BeginTx"]["tx_id"])

        return self.ask("BeginTx", begun)

    def commit(self, transaction: int) -> Question[None]:
        """Do all that belongs to a transaction, or nothing of it."""
        return self.do({"Commit": {"tx_id": transaction}})
