"""What the engine asks for: operations of a remote, and work for a processor. It takes the results, and never waits.

The engine is a generator. It yields steps, and whoever drives it sends the results back:

- `Perform(operation)` wants the operation's result, or its exception thrown, before it goes on;
- `Begin(operation)` wants nothing: the operation runs beside the engine, in any order with others;
- `Wait()` wants a `Done` of any operation that was begun; if it has failed, `Done` says so.

So the same engine runs in threads (`nectar_node.backup.stores.driver`) and in a simulation in virtual time.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Put:
    """Store an object durably, whole or not at all; the result is None. Fails with ObjectExists if there is one."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Get:
    """Return the bytes of an object from `start`, at most `length` of them. Fails with ObjectMissing."""

    name: str
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class List:
    """Return a `Listed` for each object whose name begins with `prefix`, which ends in a slash, in any order."""

    prefix: str


@dataclass(frozen=True, slots=True)
class Delete:
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


RemoteOperation = Put | Get | List | Delete
Operation = RemoteOperation | Work


class Remote(Protocol):
    """Where objects are kept. Its methods block, and are called by several threads at once.

    All raise RemoteFailed if the remote cannot be reached, is full, or refuses.
    """

    def put(self, name: str, data: bytes) -> None:
        """Carry out `Put`."""

    def get(self, name: str, start: int, length: int) -> bytes:
        """Carry out `Get`."""

    def list(self, prefix: str) -> list[Listed]:
        """Carry out `List`."""

    def delete(self, name: str) -> None:
        """Carry out `Delete`."""


def carry_out(remote: Remote, operation: Operation) -> Any:
    """Carry out an operation, blocking, and return its result; raises what the remote raises."""
    match operation:
        case Put(name, data):
            return remote.put(name, data)
        case Get(name, start, length):
            return remote.get(name, start, length)
        case List(prefix):
            return remote.list(prefix)
        case Delete(name):
            return remote.delete(name)
        case _:
            return operation.perform()


@dataclass(frozen=True, slots=True)
class Perform:
    """A step: carry it out, and send the result."""

    operation: Operation


@dataclass(frozen=True, slots=True)
class Begin:
    """A step: begin it, and go on."""

    operation: Operation


@dataclass(frozen=True, slots=True)
class Wait:
    """A step: send the `Done` of an operation that was begun."""


@dataclass(frozen=True, slots=True)
class Done:
    """An operation that was begun has ended."""

    operation: Operation
    result: Any
    error: Exception | None = None


Step = Perform | Begin | Wait
Steps = Generator[Step, Any, Result]
"""An engine at work: what it yields, what it is sent, and what it returns in the end."""
