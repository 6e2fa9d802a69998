"""What the engine asks for: operations of a remote, and work for a processor. It takes the results, and never waits.

The engine is a generator. It yields steps, and whoever drives it sends the results back:

- `PerformOperation(operation)` wants the operation's result, or its exception thrown, before it goes on;
- `BeginOperation(operation)` wants nothing: the operation runs beside the engine, in any order with others;
- `AwaitOperation()` wants a `OperationDone` of any operation that was begun; if it has failed, `OperationDone` says so.

So the same engine runs in threads (`nectar_node.backup.stores.driver`) and in a simulation in virtual time.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class PutObject:
    """Store an object durably, whole or not at all; the result is None. Fails with ObjectExists if there is one."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class GetObject:
    """Return the bytes of an object from `start`, at most `length` of them. Fails with ObjectMissing."""

    name: str
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class ListObjects:
    """Return a `Listed` for each object whose name begins with `prefix`, which ends in a slash, in any order."""

    prefix: str


@dataclass(frozen=True, slots=True)
class DeleteObject:
    """Remove an object; the result is None, also if there is none."""

    name: str


class Listed(NamedTuple):
    """An object of a remote."""

    name: str
    size: int
    """Bytes."""


class Work(Protocol):
    """Something that takes a processor a while, and nothing else: it may run on another thread."""

    def perform(self) -> Any:
        """Return the result."""


RemoteOperation = PutObject | GetObject | ListObjects | DeleteObject
Operation = RemoteOperation | Work


class Remote(Protocol):
    """Where objects are kept. Its methods block, and are called by several threads at once.

    All raise RemoteFailed if the remote cannot be reached, is full, or refuses.
    """

    def put(self, name: str, data: bytes) -> None:
        """Carry out `PutObject`."""

    def get(self, name: str, start: int, length: int) -> bytes:
        """Carry out `GetObject`."""

    def list(self, prefix: str) -> list[Listed]:
        """Carry out `ListObjects`."""

    def delete(self, name: str) -> None:
        """Carry out `DeleteObject`."""


def carry_out(remote: Remote, operation: Operation) -> Any:
    """Carry out an operation, blocking, and return its result; raises what the remote raises."""
    match operation:
        case PutObject(name, data):
            return remote.put(name, data)
        case GetObject(name, start, length):
            return remote.get(name, start, length)
        case ListObjects(prefix):
            return remote.list(prefix)
        case DeleteObject(name):
            return remote.delete(name)
        case _:
            return operation.perform()


@dataclass(frozen=True, slots=True)
class PerformOperation:
    """A step: carry it out, and send the result."""

    operation: Operation


@dataclass(frozen=True, slots=True)
class BeginOperation:
    """A step: begin it, and go on."""

    operation: Operation


@dataclass(frozen=True, slots=True)
class AwaitOperation:
    """A step: send the `OperationDone` of an operation that was begun."""


@dataclass(frozen=True, slots=True)
class OperationDone:
    """An operation that was begun has ended."""

    operation: Operation
    result: Any
    error: Exception | None = None


Step = PerformOperation | BeginOperation | AwaitOperation
Steps = Generator[Step, Any, Result]
"""An engine at work: what it yields, what it is sent, and what it returns in the end."""
