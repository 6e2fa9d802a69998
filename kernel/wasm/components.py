"""Whole components: what they import and export, and the host functions that they call.

For components whose core module needs more than WASI preview 1; `threaded` says how they run. Which function does what
is data (`wit.Kind`), as in `host`; values come ready-made from Wasmtime (`values`), so this is short.
"""

from __future__ import annotations

import ctypes
import re
import threading
from collections.abc import Callable
from ctypes import c_void_p, cast
from typing import Any, TypeAlias

from wasmtime import WasmtimeError, _ffi
from wasmtime.component import Component, ComponentInstanceType, FuncType, Linker, String

from kernel.contract import limits
from kernel.contract.address import OUR_NODE
from kernel.contract.errors import BadModule, GuestTrap
from kernel.contract.guest import Generation, Guest, GuestConfig, SendAndAwait
from kernel.wasm.compiler import Compiler
from kernel.wasm.threaded import Current, ThreadedCode, ThreadedGuest
from kernel.wasm.values import ByteTally, Read, Write, reader, writer
from kernel.wasm.wit import INTERFACES, Function, Kind

_WASI = re.compile(r"wasi:(cli|clocks|filesystem|io|random|sockets)/[a-z0-9-]+@0\.2\.[0-9]+")
"""The interfaces of WASI 0.2 that are offered."""
_FILES = "wasi:filesystem/"
_MAX_ITEMS = 4096
"""Imports, exports, or functions of one interface; a real component has less than a hundred."""
_Callback = _ffi.wasmtime_component_func_callback_t
_NO_FINALIZER = ctypes.CFUNCTYPE(None, c_void_p)(0)

Act: TypeAlias = Callable[[ThreadedGuest, list[Any], int], Any]
"""What a call does: (guest, lifted parameters, their bytes) to the value of its result."""


class ThreadedProgram:
    """A compiled component, ready to be started any number of times; a `kernel.contract.guest.Program`."""

    def __init__(self, code: ThreadedCode, opens_files: bool, generation: Generation) -> None:
        self._code = code
        self.generation = generation
        self.opens_files = opens_files
        self.digest = ""

    def start(self, config: GuestConfig) -> Guest:
        """Return a new guest that has not run yet. Raises BadModule if too many run already."""
        return ThreadedGuest(self._code, config)


class Components:
    """Links components; one for each engine that may run them."""

    def __init__(self) -> None:
        self.compiler = Compiler("component")
        self._current = Current()
        self._places = threading.BoundedSemaphore(limits.MAX_THREADED_GUESTS)

    def program(self, component: Component) -> ThreadedProgram:
        """Link a component. Raises BadModule if it imports or exports what it must not."""
        engine, kind = self.compiler.engine, component.type
        _check_count(_ffi.wasmtime_component_type_import_count(kind.ptr(), engine.ptr()), "imports")
        _check_count(_ffi.wasmtime_component_type_export_count(kind.ptr(), engine.ptr()), "exports")
        imports = kind.imports(engine)
        interfaces = {name: each.ty for name, each in imports.items() if not _WASI.fullmatch(name)}
        _check_init(kind.exports(engine))
        linker = Linker(engine)
        linker.add_wasip2()
        keep: list[object] = []
        with linker.root() as root:
            for name, declared in interfaces.items():
                functions = _functions(name, declared, self.compiler)
                with root.add_instance(name) as instance:
                    for function, signature in functions:
                        keep.append(_define(instance, function, signature, self._current))
        code = ThreadedCode(engine, linker, component, self._current, self._places, tuple(keep))
        generation = next((INTERFACES[name].generation for name in interfaces), Generation.LATE)
        return ThreadedProgram(code, any(name.startswith(_FILES) for name in imports), generation)


def _functions(name: str, declared: object, compiler: Compiler) -> list[tuple[Function, FuncType]]:
    """Return the functions of an interface that a component imports. Raises BadModule if one is not offered."""
    interface = INTERFACES.get(name)
    if interface is None or not isinstance(declared, ComponentInstanceType):
        raise BadModule(f"it imports {name!r}, which this node does not offer")
    count = _ffi.wasmtime_component_instance_type_export_count(declared.ptr(), compiler.engine.ptr())
    _check_count(count, f"imports from {name!r}")
    found = []
    for function_name, each in declared.exports(compiler.engine).items():
        signature = each.ty
        if not isinstance(signature, FuncType):
            continue  # a type
        function = interface.function(function_name)
        if function is None:
            raise BadModule(f"it imports the function {function_name!r} of {name!r}, which this node does not offer")
        found.append((function, signature))
    return found


def _check_count(count: int, what: str) -> None:
    """Check a count before any object is made for the items. Raises BadModule."""
    if count > _MAX_ITEMS:
        raise BadModule(f"{count} {what}; {_MAX_ITEMS} is the limit")


def _check_init(exports: dict[str, Any]) -> None:
    init = exports.get("init")
    signature = init.ty if init is not None else None
    if not isinstance(signature, FuncType):
        raise BadModule("it exports no function of the name 'init'")
    if [type(kind) for _, kind in signature.params] != [String] or signature.result is not None:
        raise BadModule("its export 'init' has the wrong type")


def _define(instance: Any, function: Function, signature: FuncType, current: Current) -> object:
    """Define a host function; return what must outlive it."""
    params, result = signature.params, signature.result
    if len(params) != len(function.params) or (result is None) is not (function.result is None):
        raise BadModule(f"it declares another type for {function.name} than this node does")
    reads = [
        reader(kind, declared, f"{function.name}: {name}")
        for (name, kind), (_, declared) in zip(function.params, params, strict=True)
    ]
    write = None
    if function.result is not None and result is not None:
        write = writer(function.result, result, f"the result of {function.name}")
    callback = _Callback(_callback(function, reads, write, current))
    name = function.name.encode()
    error = _ffi.wasmtime_component_linker_instance_add_func(
        instance.ptr(), name, len(name), callback, None, _NO_FINALIZER
    )
    if error:
        raise BadModule(str(WasmtimeError._from_ptr(error)))
    return callback


def _callback(function: Function, reads: list[Read], write: Write | None, current: Current) -> Callable[..., int]:
    act, present = _ACTS[function.kind](function), function.present

    def callback(
        _data: Any, _context: Any, _type: Any, arguments: Any, _count: int, results: Any, _result_count: int
    ) -> int:
        guest = current.guest
        try:
            tally = ByteTally()
            values = [read(arguments[i], tally) for i, read in enumerate(reads)]
            answer = act(guest, values, tally.bytes)
            if write is not None:
                write(results[0], present(answer) if present else answer)
        except BaseException as error:
            return cast(guest.error_for(function.name, error), c_void_p).value or 0
        return 0

    return callback


def _emit(function: Function) -> Act:
    return lambda guest, values, size: guest.emit([function.make(*values)], size)  # type: ignore[list-item]


def _emit_all(function: Function) -> Act:
    return lambda guest, values, size: guest.emit(list(values[0]), size)


def _call(function: Function) -> Act:
    def act(guest: ThreadedGuest, values: list[Any], _size: int) -> object:
        effect: Any = function.make(*values)
        if type(effect) is SendAndAwait:
            _check_await(guest, effect)
        return guest.call(effect)

    return act


def _check_await(guest: ThreadedGuest, effect: SendAndAwait) -> None:
    """Raise GuestTrap if the answer could never come (G8)."""
    our = guest.config.our
    if effect.request.expects_response is None:
        raise GuestTrap("the request expects no response, so awaiting it would never end")
    if effect.target.process == our.process and effect.target.node in (our.node, OUR_NODE):
        raise GuestTrap("a request to oneself cannot be answered while one awaits it")


def _receive(_function: Function) -> Act:
    return lambda guest, values, size: guest.receive()


def _local(function: Function) -> Act:
    look_up = _LOCAL[function.name]
    return lambda guest, values, size: look_up(guest)


_LOCAL: dict[str, Callable[[ThreadedGuest], Any]] = {
    "our": lambda guest: guest.config.our,
    "has-blob": lambda guest: guest.blob is not None,
    "get-blob": lambda guest: guest.loaded(guest.blob),
    "get-payload": lambda guest: guest.loaded(guest.blob),
    "last-blob": lambda guest: guest.loaded(guest.last_blob),
}
_ACTS: dict[Kind, Callable[[Function], Act]] = {
    Kind.EMIT: _emit,
    Kind.EMIT_ALL: _emit_all,
    Kind.CALL: _call,
    Kind.RECEIVE: _receive,
    Kind.LOCAL: _local,
}
