"""The interfaces that guests are compiled against, as data: one table of functions for each version.

Owns the types and functions of `standard` in every version that is understood (the Component Model's WIT), how each
lifts to the kernel's values and how a kernel's answer is laid out for the guest (`kernel.wasm.wasi` has more). Knows
neither bytes nor memory: `abi`, `lift` and `lower` compile what stands here, `adapter` and `host` loop over it.

A lifted record is built by its `make`; a lowered one is a tuple of its fields in order (the kernel's named tuples have
the WIT's order); a lowered variant is the pair (case, payload); a lowered enumeration is its number.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from kernel.contract import limits
from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import MESSAGING, Capability
from kernel.contract.guest import (
    Arrival,
    ClearState,
    DropCapabilities,
    Failure,
    Generation,
    GetOnExit,
    GetState,
    Grant,
    OurCapabilities,
    Print,
    SaveCapabilities,
    SendAndAwait,
    SendRequest,
    SendResponse,
    SetOnExit,
    SetState,
    Spawn,
    SpawnError,
)
from kernel.contract.message import (
    ON_EXIT_NONE,
    ON_EXIT_RESTART,
    LazyLoadBlob,
    OnExit,
    OnExitAction,
    OnExitRequest,
    Request,
    Response,
    SendError,
)

Make: TypeAlias = Callable[..., object]


class Scalar(enum.Enum):
    """A type that is one number."""

    BOOL = "bool"
    U8 = "u8"
    U16 = "u16"
    U32 = "u32"
    S32 = "s32"
    U64 = "u64"


@dataclass(frozen=True, slots=True)
class Text:
    """The type string: UTF-8."""

    limit: int
    """Bytes; a guest that passes more is trapped."""
    cut: bool = False
    """Whether longer ones are cut, at a character's boundary, instead of trapped."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """The type list<u8>."""

    limit: int
    """Bytes; a guest that passes more is trapped."""


@dataclass(frozen=True, slots=True)
class Option:
    """The type option<of>: None, or the value."""

    of: Type


@dataclass(frozen=True, slots=True)
class List:
    """The type list<of>: a tuple."""

    of: Type
    limit: int
    """Elements; a guest that passes more is trapped."""


@dataclass(frozen=True, slots=True)
class Record:
    """The type record or tuple."""

    fields: tuple[tuple[str, Type], ...]
    make: Make
    """Builds the lifted value from the fields in order."""
    interned: bool = False
    """Whether all its leaves are texts, and the same few values come again and again: lifted ones are cached by their
    bytes."""


@dataclass(frozen=True, slots=True)
class Enumeration:
    """The type enum: the number of a case."""

    cases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Variant:
    """The type variant or result."""

    cases: tuple[tuple[str, Type | None], ...]
    make: Make | None = None
    """Builds the lifted value from case and payload; None: lowered only."""


@dataclass(frozen=True, slots=True)
class Flags:
    """The type flags, of at most eight: a number whose bits they are."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Handle:
    """The type own<…> or borrow<…>: the number of a resource in the guest's table."""

    resource: str
    """The resource's name, with its interface."""
    owned: bool


Type: TypeAlias = Scalar | Text | Bytes | Option | List | Record | Enumeration | Variant | Flags | Handle


class Kind(enum.Enum):
    """What a function does to the guest that calls it."""

    EMIT = "leaves one effect and goes on"
    EMIT_ALL = "leaves the effects in its one list parameter and goes on"
    CALL = "leaves one effect and waits for the answer"
    RECEIVE = "waits for a message"
    LOCAL = "is answered from the guest's own record"
    WASI = "is answered by what the guest has of WASI 0.2, perhaps after some time"


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the interface."""

    name: str
    kind: Kind
    params: tuple[tuple[str, Type], ...] = ()
    result: Type | None = None
    make: Make = tuple
    """Builds the effect from the parameters in order."""
    present: Callable[[object], object] | None = None
    """Turns the kernel's answer into the value that is lowered; None: the answer is that value."""


@dataclass(frozen=True, slots=True)
class Interface:
    """One version of the interface `standard`."""

    module: str
    """The name under which core modules import it."""
    functions: tuple[Function, ...]
    generation: Generation

    def function(self, name: str) -> Function | None:
        """Return the function of that name, if this version has it."""
        return next((function for function in self.functions if function.name == name), None)


# --- types ------------------------------------------------------------------------------------------------------------

_NAME = Text(limits.MAX_NAME_BYTES)
_JSON = Text(limits.MAX_METADATA_BYTES)
_MIME = Text(limits.MAX_MIME_BYTES)
_PARAMS = Text(limits.MAX_PARAMS_BYTES)
_CONTEXT = Bytes(limits.MAX_CONTEXT_BYTES)
_BODY = Bytes(limits.MAX_BODY_BYTES)

PROCESS_ID = Record((("process-name", _NAME), ("package-name", _NAME), ("publisher-node", _NAME)), ProcessId)
ADDRESS = Record((("node", _NAME), ("process", PROCESS_ID)), Address, interned=True)
LAZY_LOAD_BLOB = Record((("mime", Option(_MIME)), ("bytes", Bytes(limits.MAX_BLOB_BYTES))), LazyLoadBlob)
CAPABILITY = Record((("issuer", ADDRESS), ("params", _PARAMS)), Capability)
_CAPABILITIES = List(CAPABILITY, limits.MAX_CAPABILITIES)
REQUEST = Record(
    (
        ("inherit", Scalar.BOOL),
        ("expects-response", Option(Scalar.U64)),
        ("body", _BODY),
        ("metadata", Option(_JSON)),
        ("capabilities", _CAPABILITIES),
    ),
    Request,
)
RESPONSE = Record(
    (
        ("inherit", Scalar.BOOL),
        ("body", _BODY),
        ("metadata", Option(_JSON)),
        ("capabilities", _CAPABILITIES),
    ),
    Response,
)
MESSAGE = Variant(
    (
        ("request", REQUEST),
        ("response", Record((("response", RESPONSE), ("context", Option(_CONTEXT))), tuple)),
    )
)
_BLOB = Option(LAZY_LOAD_BLOB)


def _on_exit(case: int, requests: tuple[OnExitRequest, ...] | None) -> OnExit:
    if case == OnExitAction.REQUESTS.value:
        return OnExit(OnExitAction.REQUESTS, requests or ())
    return ON_EXIT_RESTART if case == OnExitAction.RESTART.value else ON_EXIT_NONE


ON_EXIT = Variant(
    (
        ("none", None),
        ("restart", None),
        (
            "requests",
            List(
                Record((("target", ADDRESS), ("request", REQUEST), ("blob", _BLOB)), OnExitRequest),
                limits.MAX_REQUESTS,
            ),
        ),
    ),
    _on_exit,
)
SEND_ERROR_KIND = Enumeration(("offline", "timeout"))
SPAWN_ERROR = Enumeration(("name-taken", "no-file-at-path"))
SEND_ERROR = Record(
    (("kind", SEND_ERROR_KIND), ("message", MESSAGE), ("lazy-load-blob", _BLOB)),
    tuple,
)
SEND_ERROR_WITH_TARGET = Record(
    (("kind", SEND_ERROR_KIND), ("target", ADDRESS), ("message", MESSAGE), ("lazy-load-blob", _BLOB)),
    tuple,
)


def _messaging_grant(process: str, package: str, publisher: str) -> Grant:
    return Grant(ProcessId(process, package, publisher), MESSAGING)


_MESSAGING_GRANT = Record(PROCESS_ID.fields, _messaging_grant)
_GRANT = Record((("holder", PROCESS_ID), ("params", _PARAMS)), Grant)


def _result(ok: Type, error: Type) -> Variant:
    return Variant((("ok", ok), ("error", error)))


# --- answers of the kernel as values of the interface -----------------------------------------------------------------


def _arrived(arrival: Arrival) -> tuple[int, object]:
    message = arrival.message
    if type(message) is Request:
        return 0, (arrival.source, (0, message))
    return 0, (arrival.source, (1, (message, arrival.context)))


def _failed(error: SendError) -> tuple[object, ...]:
    message = (0, error.message) if type(error.message) is Request else (1, (error.message, None))
    return error.kind.value, message, error.blob


def _failed_with_target(error: SendError) -> tuple[object, ...]:
    kind, message, blob = _failed(error)
    return kind, error.target, message, blob


def _receive(failed: Callable[[SendError], object]) -> Callable[[object], object]:
    def present(answer: object) -> object:
        if type(answer) is Arrival:  # as in `_arrived`: a call less for every message
            source, message, context, _ = answer
            return 0, (source, (0, message) if type(message) is Request else (1, (message, context)))
        assert isinstance(answer, Failure), answer
        return 1, (failed(answer.error), answer.context)

    return present


def _await(failed: Callable[[SendError], object]) -> Callable[[object], object]:
    def present(answer: object) -> object:
        if type(answer) is Arrival:
            return _arrived(answer)
        assert isinstance(answer, Failure), answer
        return 1, failed(answer.error)

    return present


def _spawned(answer: object) -> object:
    if isinstance(answer, SpawnError):
        return 1, answer.value
    assert isinstance(answer, ProcessId), answer
    return 0, answer


def _present_on_exit(answer: object) -> object:
    assert isinstance(answer, OnExit), answer
    return answer.action.value, answer.requests


# --- functions --------------------------------------------------------------------------------------------------------


def _functions(send_error: Record, failed: Callable[[SendError], object], grant: Type) -> tuple[Function, ...]:
    request = (("target", ADDRESS), ("request", REQUEST))
    context, blob = ("context", Option(_CONTEXT)), ("lazy-load-blob", _BLOB)
    received = Record((("source", ADDRESS), ("message", MESSAGE)), tuple)
    text = Text(limits.MAX_PRINT_BYTES, cut=True)
    capabilities = (("caps", _CAPABILITIES),)
    state = Bytes(limits.MAX_STATE_BYTES)
    requests = List(Record((*request, context, blob), SendRequest), limits.MAX_REQUESTS)
    spawn = (
        ("name", Option(_NAME)),
        ("wasm-path", _NAME),
        ("on-exit", ON_EXIT),
        ("request-capabilities", _CAPABILITIES),
        ("grant-capabilities", List(grant, limits.MAX_CAPABILITIES)),
        ("public", Scalar.BOOL),
    )
    errors = Record((("error", send_error), ("context", Option(_CONTEXT))), tuple)
    emit, call = Kind.EMIT, Kind.CALL
    return (
        Function("print-to-terminal", emit, (("verbosity", Scalar.U8), ("message", text)), make=Print),
        Function("set-on-exit", emit, (("on-exit", ON_EXIT),), make=SetOnExit),
        Function("get-on-exit", call, (), ON_EXIT, GetOnExit, _present_on_exit),
        Function("get-state", call, (), Option(state), GetState),
        Function("set-state", call, (("bytes", state),), make=SetState),
        Function("clear-state", call, make=ClearState),
        Function("spawn", call, spawn, _result(PROCESS_ID, SPAWN_ERROR), Spawn, _spawned),
        Function("save-capabilities", emit, capabilities, make=SaveCapabilities),
        Function("drop-capabilities", emit, capabilities, make=DropCapabilities),
        Function("our-capabilities", call, (), _CAPABILITIES, OurCapabilities),
        Function("receive", Kind.RECEIVE, (), _result(received, errors), present=_receive(failed)),
        Function("get-blob", Kind.LOCAL, (), _BLOB),
        Function("send-request", emit, (*request, context, blob), make=SendRequest),
        Function("send-requests", Kind.EMIT_ALL, (("requests", requests),)),
        Function("send-response", emit, (("response", RESPONSE), blob), make=SendResponse),
        Function(
            "send-and-await-response",
            call,
            (*request, blob),
            _result(received, send_error),
            SendAndAwait,
            _await(failed),
        ),
    )


_V0_7 = _functions(SEND_ERROR, _failed, _MESSAGING_GRANT)
_V0_8 = _functions(SEND_ERROR_WITH_TARGET, _failed_with_target, _MESSAGING_GRANT)
_V1_0 = (
    *_functions(SEND_ERROR_WITH_TARGET, _failed_with_target, _GRANT),
    Function("our", Kind.LOCAL, (), ADDRESS),
    Function("has-blob", Kind.LOCAL, (), Scalar.BOOL),
    Function("last-blob", Kind.LOCAL, (), _BLOB),
)


def _named_as_in_0_6(functions: tuple[Function, ...]) -> tuple[Function, ...]:
    """uqbar 0.6.0 calls a blob a payload and has no drop-capabilities; its shapes are those of 0.7.0."""
    names = {"get-blob": "get-payload"}
    return tuple(
        Function(names.get(f.name, f.name), f.kind, f.params, f.result, f.make, f.present)
        for f in functions
        if f.name != "drop-capabilities"
    )


INTERFACES: dict[str, Interface] = {
    interface.module: interface
    for interface in (
        Interface("nectar:process/standard@0.7.0", _V0_7, Generation.EARLY),
        Interface("kinode:process/standard@0.7.0", _V0_7, Generation.EARLY),
        Interface("kinode:process/standard@0.8.0", _V0_8, Generation.MIDDLE),
        Interface("kinode:process/standard@1.0.0", _V1_0, Generation.LATE),
        Interface("hyperware:process/standard@1.0.0", _V1_0, Generation.LATE),
        Interface("uqbar:process/standard@0.6.0", _named_as_in_0_6(_V0_7), Generation.EARLY),
    )
}
"""Every version that runs, by the name under which core modules import it."""
