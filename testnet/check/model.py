"""What a linearizable object does if one operation comes after the other: a model of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from enum import Enum
from typing import Any, Final, TypeAlias

from testnet.check.operation import UNKNOWN, Operation, Value, same

State: TypeAlias = Any
"""A hashable value."""


class _Wrong(Enum):
    WRONG = "wrong"


WRONG: Final = _Wrong.WRONG
"""What `Model.step` returns for a result that the object cannot have given."""


class Model(ABC):
    """An object, as its clients may think of it. Its states are hashable and do not change."""

    initial: State = None
    """The state before the first operation."""
    reads: tuple[str, ...] = ("read", "get", "contains")
    """The names of operations that never change the state, in whichever it is. They need not be tried in several
    places."""
    assignments: tuple[str, ...] = ()
    """The names of operations whose last argument becomes the state, in whichever it was. Where there are only these,
    each with another value, and `reads` that return the state, no search is needed."""

    @abstractmethod
    def step(self, state: State, name: str, arguments: tuple[Any, ...], result: Any) -> State:
        """Return the state after that operation in this one, or WRONG if it cannot have had this result.

        `result` is UNKNOWN if nobody knows it; then nothing is wrong. The same arguments always lead to the same state.
        """

    def is_read(self, name: str, arguments: tuple[Any, ...], result: Any) -> bool:
        """Return whether an operation with this result never changes the state."""
        return name in self.reads

    def key(self, operation: Operation) -> Hashable:
        """Return what the operation is about. Operations with different keys have nothing to do with each other and are
        checked apart, each from the initial state; None: everything is about the same."""
        return None


def fits(result: Value, right: Value) -> bool:
    """Whether an operation whose right result is `right` can have had this one."""
    return result is UNKNOWN or same(result, right)


def nonsense(name: str, arguments: tuple[Any, ...]) -> ValueError:
    """Return the error of an operation that a model does not know."""
    return ValueError(f"This model knows no operation {name!r} with {len(arguments)} arguments.")
