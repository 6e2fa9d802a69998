"""The functions of Wasmtime's C API that fibers need and the wasmtime package does not wrap, with plain prototypes.

Owns every declaration that depends on C: `fiber`, `host` and `engine` build on it. The package's own declarations are
generated from the same headers and are right, but pointers travel in them as ctypes objects; as integers a call takes
a third of the time. All calls but `poll` keep the GIL: they take nanoseconds, and giving it up costs more than that.

The package's bindings are a private module of it, hence the exact version in the dependencies and `engine.self_check`.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from ctypes import POINTER, c_bool, c_char_p, c_int, c_int64, c_size_t, c_ssize_t, c_uint8, c_uint64, c_void_p
from typing import Any

import wasmtime
from wasmtime import _bindings as bindings
from wasmtime import _ffi

from kernel.contract.errors import BadModule

VALUE_BYTES = ctypes.sizeof(bindings.wasmtime_val_t)
VALUE_OFFSET = bindings.wasmtime_val_t.of.offset
"""The offset of the number in a value; the first byte is the value's kind."""
RAW_VALUE_BYTES = ctypes.sizeof(bindings.wasmtime_val_raw_t)
"""Bytes of an unchecked value: the number alone."""

I32, I64, FUNCREF = 0, 1, 5
"""Kinds of values."""

_ASYNC_PARAMS = (c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p, c_void_p)
AsyncCallback = ctypes.CFUNCTYPE(None, *_ASYNC_PARAMS)
"""(env, caller, args, nargs, results, nresults, trap, continuation); the last two are to be written to."""
UncheckedCallback = ctypes.CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_void_p, c_size_t)
"""(env, caller, args and results, their number) to a trap or None."""

_library = _ffi.dll
_keeping_gil = ctypes.PyDLL(None, handle=_library._handle)


def _declare(name: str, result: Any, *params: Any, library: Any = _keeping_gil) -> Callable[..., Any]:
    function = library[name]
    function.restype, function.argtypes = result, params
    return function  # type: ignore[no-any-return]


# Through its own handle: the same function object of `bindings` must keep its prototype.
poll = _declare("wasmtime_call_future_poll", c_bool, c_void_p, library=ctypes.CDLL(None, handle=_library._handle))
"""Polls a future: (future) to whether it is done; gives up the GIL, and runs the guest."""
future_delete = _declare("wasmtime_call_future_delete", None, c_void_p)
call_async = _declare(
    "wasmtime_func_call_async", c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p, c_void_p
)
instantiate_async = _declare(
    "wasmtime_linker_instantiate_async", c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p
)
instance_pre_instantiate_async = _declare(
    "wasmtime_instance_pre_instantiate_async", c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p
)
instance_pre_delete = _declare("wasmtime_instance_pre_delete", None, c_void_p)
instance_export_get = _declare("wasmtime_instance_export_get", c_bool, c_void_p, c_void_p, c_char_p, c_size_t, c_void_p)

store_new = _declare("wasmtime_store_new", c_void_p, c_void_p, c_void_p, c_void_p)
store_context = _declare("wasmtime_store_context", c_void_p, c_void_p)
store_limiter = _declare("wasmtime_store_limiter", None, c_void_p, c_int64, c_int64, c_int64, c_int64, c_int64)
store_delete = _declare("wasmtime_store_delete", None, c_void_p)
set_wasi = _declare("wasmtime_context_set_wasi", c_void_p, c_void_p, c_void_p)
set_fuel = _declare("wasmtime_context_set_fuel", c_void_p, c_void_p, c_uint64)
get_fuel = _declare("wasmtime_context_get_fuel", c_void_p, c_void_p, c_void_p)
fuel_yield_interval = _declare("wasmtime_context_fuel_async_yield_interval", c_void_p, c_void_p, c_uint64)
epoch_yield = _declare("wasmtime_context_epoch_deadline_async_yield_and_update", None, c_void_p, c_uint64)
"""The headers declare that it returns an error; it returns nothing."""

table_set = _declare("wasmtime_table_set", c_void_p, c_void_p, c_void_p, c_uint64, c_void_p)
memory_data = _declare("wasmtime_memory_data", c_void_p, c_void_p, c_void_p)
memory_data_size = _declare("wasmtime_memory_data_size", c_size_t, c_void_p, c_void_p)

linker_new = _declare("wasmtime_linker_new", c_void_p, c_void_p)
linker_clone = _declare("wasmtime_linker_clone", c_void_p, c_void_p)
linker_delete = _declare("wasmtime_linker_delete", None, c_void_p)
linker_allow_shadowing = _declare("wasmtime_linker_allow_shadowing", None, c_void_p, c_bool)
linker_define_wasi = _declare("wasmtime_linker_define_wasi", c_void_p, c_void_p)
linker_define_instance = _declare(
    "wasmtime_linker_define_instance", c_void_p, c_void_p, c_void_p, c_char_p, c_size_t, c_void_p
)
linker_define = _declare(
    "wasmtime_linker_define", c_void_p, c_void_p, c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, c_void_p
)
linker_instantiate_pre = _declare("wasmtime_linker_instantiate_pre", c_void_p, c_void_p, c_void_p, c_void_p)
_DEFINITION = (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, c_void_p)
_define_async = _declare("wasmtime_linker_define_async_func", c_void_p, *_DEFINITION, AsyncCallback, c_void_p, c_void_p)
_define_unchecked = _declare(
    "wasmtime_linker_define_func_unchecked", c_void_p, *_DEFINITION, UncheckedCallback, c_void_p, c_void_p
)

wasi_config_new = _declare("wasi_config_new", c_void_p)
wasi_config_delete = _declare("wasi_config_delete", None, c_void_p)
wasi_config_preopen_dir = _declare("wasi_config_preopen_dir", c_bool, c_void_p, c_char_p, c_char_p, c_bool)

trap_new = _declare("wasmtime_trap_new", c_void_p, c_char_p, c_size_t)
async_stack_size = _declare("wasmtime_config_async_stack_size_set", None, c_void_p, c_uint64)
regalloc_algorithm = _declare("wasmtime_config_cranelift_regalloc_algorithm_set", None, c_void_p, c_uint8)
SINGLE_PASS = 1
"""Cranelift allocates registers in one pass, fast and badly."""
concurrency_support = _declare("wasmtime_config_concurrency_support_set", None, c_void_p, c_bool)

memory_view: Callable[[int, int, int], memoryview] = ctypes.PYFUNCTYPE(ctypes.py_object, c_void_p, c_ssize_t, c_int)(
    ("PyMemoryView_FromMemory", ctypes.pythonapi)
)
"""(address, bytes, WRITABLE) to a view, which must be dropped before the memory is."""
WRITABLE = 0x200


ADDRESS_SPACE = (ctypes.c_char * sys.maxsize).from_address(0)
"""All addresses of this program, for `struct`: at an address that C passed to a callback, to be read and written before
it returns and only as far as it is valid. A view for each address costs three times as much, and remembering views
takes a third of a kilobyte for each of six addresses of a guest."""

_strlen = ctypes.cast(ctypes.CDLL(None).strlen, c_void_p).value
"""The continuation of every asynchronous host function: it waits while the text at `env` is empty. It is a C function
and not ours, so that being polled costs nanoseconds."""


def array_of(memory: memoryview) -> ctypes.Array[ctypes.c_char]:
    """Return what is written there as an array, valid as long as the view is: its slices are bytes."""
    return (ctypes.c_char * len(memory)).from_buffer(memory)


class Cells(ctypes.Structure):
    """What C writes to or reads from while a guest runs; one set for each guest, at a fixed address."""

    _fields_ = (
        ("trap", c_void_p),
        ("error", c_void_p),
        ("ready", ctypes.c_uint64),
        ("instance", bindings.wasmtime_instance_t),
        ("adapter", bindings.wasmtime_instance_t),
        ("files", bindings.wasmtime_instance_t),
        ("memory", bindings.wasmtime_extern_t),
        ("export", bindings.wasmtime_extern_t),
        ("args", bindings.wasmtime_val_t * 8),
    )
    trap: int | None
    error: int | None
    ready: int
    """The flag of the continuation that waits on it: 1 lets it go on, 0 does not (as text: not empty, and empty)."""
    instance: Any
    """The guest's instance."""
    adapter: Any
    files: Any
    """The file writer's instance."""
    memory: Any
    """The guest's memory, once it is instantiated."""
    export: Any
    """The export that was looked up last."""
    args: Any
    """The arguments of the adapter's `run`; read when it is first polled."""


TRAP, ERROR, READY_FLAG, INSTANCE, ADAPTER, FILES, MEMORY, EXPORT, ARGS = (
    getattr(Cells, name).offset for name, _ in Cells._fields_
)
Instance = bindings.wasmtime_instance_t
Extern = bindings.wasmtime_extern_t
Value = bindings.wasmtime_val_t
INSTANCE_BYTES, EXTERN_BYTES = ctypes.sizeof(Instance), ctypes.sizeof(Extern)
EXTERN_OFFSET = bindings.wasmtime_extern_t.of.offset
"""The offset of the function or memory itself in an export."""


class Continuation(ctypes.Structure):
    """What an asynchronous callback leaves behind."""

    _fields_ = (("callback", c_void_p), ("env", c_void_p), ("finalizer", c_void_p))

    @staticmethod
    def on(ready: int) -> bytes:
        """Return the bytes of a continuation that goes on once the byte at the address `ready` is 1."""
        return bytes(Continuation(_strlen, ready, None))


_one = ctypes.c_uint64(1)
READY = Continuation.on(ctypes.addressof(_one))
"""The bytes of a continuation that goes on at once."""


def address(pointer: Any) -> int:
    """Return the address that a pointer of the wasmtime package holds."""
    found = ctypes.cast(pointer, c_void_p).value
    assert found
    return found


def error_text(error: int) -> str:
    """Return the message of a wasmtime_error_t, which is consumed."""
    return str(wasmtime.WasmtimeError._from_ptr(ctypes.cast(error, POINTER(bindings.wasmtime_error_t))))


def check(error: int | None) -> None:
    """Raise BadModule with the message of a wasmtime_error_t, which is consumed, if there is one."""
    if error:
        raise BadModule(error_text(error).strip().replace("\n", " "))


def as_error(error: int) -> wasmtime.WasmtimeError:
    """Wrap a wasmtime_error_t in the exception of the `wasmtime` package, which owns it from then on."""
    return wasmtime.WasmtimeError._from_ptr(ctypes.cast(error, POINTER(bindings.wasmtime_error_t)))


def as_trap(trap: int) -> wasmtime.Trap:
    """Wrap a wasm_trap_t in the exception of the `wasmtime` package, which owns it from then on."""
    return wasmtime.Trap._from_ptr(ctypes.cast(trap, POINTER(bindings.wasm_trap_t)))


def define(
    linker: int, module: str, name: str, numbers: tuple[tuple[str, ...], tuple[str, ...]], callback: Any
) -> None:
    """Define a host function with those params and results in a linker; the callback must outlive it."""
    kinds = {"i32": wasmtime.ValType.i32, "i64": wasmtime.ValType.i64}
    params, results = ([kinds[number]() for number in side] for side in numbers)
    signature = wasmtime.FuncType(params, results)
    module_name, function_name = module.encode(), name.encode()
    definer = _define_async if isinstance(callback, AsyncCallback) else _define_unchecked
    error = definer(
        linker,
        module_name,
        len(module_name),
        function_name,
        len(function_name),
        address(signature.ptr()),
        callback,
        None,
        None,
    )
    check(error)
