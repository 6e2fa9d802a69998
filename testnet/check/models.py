"""Models of objects that many applications have. Each class says which operations it knows.

What an operation returns besides what is said here is not looked at: a put may return anything.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from testnet.check.model import WRONG, Model, State, fits, nonsense
from testnet.check.operation import UNKNOWN, Operation, same


class RegisterModel(Model):
    """One value: `write(value)`, and `read()` → the value."""

    assignments = ("write",)

    def __init__(self, initial: Hashable = None) -> None:
        """`initial`: what is read before the first write."""
        self.initial = initial

    def step(self, state: State, name: str, arguments: tuple[Any, ...], result: Any) -> State:
        if name == "read" and not arguments:
            return state if fits(result, state) else WRONG
        if name == "write" and len(arguments) == 1:
            return arguments[0]
        raise nonsense(name, arguments)


class CompareAndSetModel(RegisterModel):
    """A register with `cas(old, new)` → whether the value was `old`, and is `new` from then on."""

    def step(self, state: State, name: str, arguments: tuple[Any, ...], result: Any) -> State:
        if name != "cas" or len(arguments) != 2:
            return super().step(state, name, arguments, result)
        if not fits(result, same(state, arguments[0])):
            return WRONG
        return arguments[1] if same(state, arguments[0]) else state

    def is_read(self, name: str, arguments: tuple[Any, ...], result: Any) -> bool:
        return name in self.reads or (name == "cas" and result is False)


class KeyValueModel(Model):
    """Values by key: `put(key, value)`, `get(key)` → the value, or None, `append(key, text)`, `delete(key)`, and
    `cas(key, old, new)` → whether the value was `old`. Keys are checked apart."""

    assignments = ("put",)

    def __init__(self, initial: Hashable = None) -> None:
        """`initial`: what is got before the first put."""
        self.initial = initial

    def step(self, state: State, name: str, arguments: tuple[Any, ...], result: Any) -> State:
        match name, arguments:
            case "get", (_,):
                return state if fits(result, state) else WRONG
            case "put", (_, value):
                return value
            case "append", (_, more):
                return more if state is None else state + more
            case "delete", (_,):
                return self.initial
            case "cas", (_, old, new):
                if not fits(result, same(state, old)):
                    return WRONG
                return new if same(state, old) else state
        raise nonsense(name, arguments)

    def is_read(self, name: str, arguments: tuple[Any, ...], result: Any) -> bool:
        return name in self.reads or (name == "cas" and result is False)

    def key(self, operation: Operation) -> Hashable:
        return operation.arguments[:1]


class QueueModel(Model):
    """First in, first out: `enqueue(value)`, and `dequeue()` → the oldest value, or None if there is none."""

    initial = ()

    def step(self, state: State, name: str, arguments: tuple[Any, ...], result: Any) -> State:
        match name, arguments:
            case "enqueue", (value,):
                return (*state, value)
            case "dequeue", ():
                return state[1:] if fits(result, state[0] if state else None) else WRONG
        raise nonsense(name, arguments)


class SetModel(Model):
    """`add(value)` → whether it was new, `remove(value)` → whether it was there, `contains(value)` → whether it is
    there, and `read()` → all values.
    `add` and `remove` may also return None. Without `read` values are checked apart."""

    initial = frozenset()

    def step(self, state: State, name: str, arguments: tuple[Any, ...], result: Any) -> State:
        match name, arguments:
            case "add", (value,):
                return state | {value} if result is None or fits(result, value not in state) else WRONG
            case "remove", (value,):
                return state - {value} if result is None or fits(result, value in state) else WRONG
            case "contains", (value,):
                return state if fits(result, value in state) else WRONG
            case "read", ():
                return state if result is UNKNOWN or same(_as_set(result), state) else WRONG
        raise nonsense(name, arguments)

    def key(self, operation: Operation) -> Hashable:
        return operation.arguments or None


class LockModel(Model):
    """Held by one: `acquire(owner)` → whether it is `owner`'s now, and `release(owner)` → whether it was. An acquire
    that
    waits returns True; one may have a lock again that one has."""

    def step(self, state: State, name: str, arguments: tuple[Any, ...], result: Any) -> State:
        match name, arguments:
            case "acquire", (owner,):
                is_free = state is None or same(state, owner)
                if not fits(result, is_free):
                    return WRONG
                return owner if is_free else state
            case "release", (owner,):
                if not fits(result, same(state, owner)):
                    return WRONG
                return None if same(state, owner) else state
        raise nonsense(name, arguments)


class CounterModel(Model):
    """A number: `add(amount)` → the number after it, or None, and `read()` → the number."""

    def __init__(self, initial: int = 0) -> None:
        """`initial`: where it begins."""
        self.initial = initial

    def step(self, state: State, name: str, arguments: tuple[Any, ...], result: Any) -> State:
        match name, arguments:
            case "add", (amount,):
                after = state + amount
                return after if result is None or fits(result, after) else WRONG
            case "read", ():
                return state if fits(result, state) else WRONG
        raise nonsense(name, arguments)


def _as_set(result: Any) -> Any:
    """Return a list's elements; one that is there twice is no set."""
    if isinstance(result, tuple):
        there = frozenset(result)
        return there if len(there) == len(result) else None
    return result
