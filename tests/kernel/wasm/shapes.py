"""Values of every shape for every import of every version, and what each side is to see of them."""

from __future__ import annotations

from itertools import chain
from typing import Any

from kernel.contract.address import ProcessId
from kernel.contract.guest import Arrival, Failure, SpawnError
from kernel.contract.message import Reason, Request, Response, SendError, SendErrorKind
from kernel.wasm.canonical import wit
from kernel.wasm.canonical.wit import (
    INTERFACES,
    Bytes,
    Enumeration,
    Function,
    Interface,
    Kind,
    List,
    Option,
    Record,
    Scalar,
    Text,
    Type,
)
from tests.kernel.wasm import guests, reference

Plain = Any
MANY = 1000
LONG = 5000


def shapes(kind: Type) -> list[Plain]:
    """Values of a type that between them have every shape: least and greatest, none and some, each case, long, many."""
    match kind:
        case Scalar.BOOL:
            return [False, True]
        case Scalar():
            return [0, 256 ** reference.size(kind) - 1]
        case Text(limit):
            return ["", "a\0b", "n\u00e4ht \u6f22\U0001f41d", "\u00e9" * (min(limit, LONG) // 2)]
        case Bytes(limit):
            return [b"", bytes(range(256)), b"\xff" * min(limit, LONG)]
        case Option(of):
            return [None, *shapes(of)]
        case List(of):
            each = shapes(of)
            return [(), tuple(each), (each[0],) * MANY]
        case Record(fields):
            columns = [shapes(field) for _, field in fields]
            return [tuple(column[i % len(column)] for column in columns) for i in range(max(map(len, columns)))]
        case Enumeration(cases):
            return list(range(len(cases)))
    payloads = enumerate(reference.cases(kind))
    return list(chain(*([(case, value) for value in (shapes(of) if of else [None])] for case, of in payloads)))


def shapes_of_params(function: Function) -> list[tuple[Plain, ...]]:
    """Enough calls that each parameter has each of its shapes."""
    if not function.params:
        return [()]
    return shapes(Record(function.params, tuple))


def look_up(module: str, name: str) -> tuple[Interface, Function]:
    interface = INTERFACES[module]
    function = interface.function(name)
    assert function
    return interface, function


def expected_effects(function: Function, values: tuple[Plain, ...]) -> list[object]:
    parts = [reference.built(kind, value) for (_, kind), value in zip(function.params, values, strict=True)]
    if function.kind is Kind.EMIT_ALL:
        (effects,) = parts
        assert isinstance(effects, tuple)
        return list(effects)
    return [function.make(*parts)]


def honest(function: Function, values: tuple[Plain, ...]) -> tuple[Plain, ...]:
    """The same values, but with a response wanted where the request is awaited (G8)."""
    if function.name != "send-and-await-response":
        return values
    target, (inherit, expects, *rest), blob = values
    return target, (inherit, expects or 0, *rest), blob


def answers(function: Function) -> list[tuple[Any, Plain]]:
    """Answers of the kernel for a call, each with the plain value that the guest is to see."""
    if function.result is None:
        return [(None, None)]
    return [(answer, seen) for plain in shapes(function.result) for answer, seen in [ANSWER[function.name](plain)]]


def message(plain: Plain) -> tuple[Request | Response, bytes | None]:
    case, payload = plain
    built: Any
    if case == 0:
        built = reference.built(wit.REQUEST, payload)
        return built, None
    built = reference.built(wit.RESPONSE, payload[0])
    return built, payload[1]


def arrived(plain: Plain) -> Arrival:
    source, carried = plain
    built, context = message(carried)
    address: Any = reference.built(wit.ADDRESS, source)
    return Arrival(address, built, context, None)


def failed(error: Plain, context: bytes | None) -> tuple[Failure, Plain]:
    """The failure, and what the guest sees of it: of a response, no context."""
    kind, *target, carried, blob = error
    built, _ = message(carried)
    address: Any = reference.built(wit.ADDRESS, target[0]) if target else guests.OTHER
    lost: Any = reference.built(Option(wit.LAZY_LOAD_BLOB), blob)
    failure = Failure(SendError(SendErrorKind(kind), address, built, lost, Reason.EXPIRED), context)
    seen = carried if carried[0] == 0 else (1, (carried[1][0], None))
    return failure, (kind, *target, seen, blob)


def receives(plain: Plain) -> tuple[object, Plain]:
    case, payload = plain
    if case == 0:
        return arrived(payload), plain
    failure, seen = failed(*payload)
    return failure, (1, (seen, payload[1]))


def awaits(plain: Plain) -> tuple[object, Plain]:
    case, payload = plain
    if case == 0:
        return arrived(payload), plain
    failure, seen = failed(payload, None)
    return failure, (1, seen)


ANSWER = {
    "get-state": lambda plain: (plain, plain),
    "get-on-exit": lambda plain: (reference.built(wit.ON_EXIT, plain), plain),
    "our-capabilities": lambda plain: (reference.built(List(wit.CAPABILITY, MANY), plain), plain),
    "spawn": lambda plain: (ProcessId(*plain[1]) if plain[0] == 0 else SpawnError(plain[1]), plain),
    "receive": receives,
    "send-and-await-response": awaits,
}
"""From a result to the kernel's answer that gives it, and to the result as the guest sees it."""
