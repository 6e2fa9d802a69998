"""The Wasm between a guest and the host: it asks the guest's cabi_realloc for memory on the host's behalf.

A guest imports, for instance, `receive: func(ret: i32)`. One small module for each version of the interface, written
here as text, exports that. It calls the host's function of the same name, which may suspend the guest and comes back
with how many pieces of memory the result needs and the code of each (`lower`); gets a place for each from cabi_realloc;
and hands the addresses to the host's `place`, which copies the pieces and says whether more are needed. That is two
calls out of Wasm for each result, none into it, and the guest may be pre-empted at any point.

Functions that only leave effects pass through it as well: the host's side of them is then a plain function, which
costs a quarter of one that may suspend (0.16 against 0.63 microseconds), and says in its result whether the guest has
emitted its share. If it has, the adapter calls the host's `pause`, which suspends until the kernel has taken it all.

The guest's functions are called through a private table, because the adapter exists before the guest: `run` fills the
table and then runs the guest's life: `_initialize`, then `init` with the text of its address.

WASI's fd_write passes through it too. What goes to stdout and stderr is the host's; writing to a file is Wasmtime's
WASI. (That has a hook for standard streams, but calls it on a thread of its own at some later time: a panic's message
could come after the guest's end, or never.) What opens and closes files passes through it as well, and is counted: each
open one takes a file descriptor of the whole node, and Wasmtime sets no bound.

Owns the adapter's text. The few functions that are of neither kind do not pass through here: guests import the host's.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import wasmtime

from kernel.wasm.canonical.abi import signature
from kernel.wasm.canonical.lower import ALIGNMENT_BITS, BATCH
from kernel.wasm.canonical.wit import Function, Interface, Kind

NAME = "nectar_adapter"
"""The adapter's own name, in traces."""

HOST = "host"
"""The module name under which the adapter imports the host's functions."""

PLACE = "place"
"""The host function that takes the addresses: (0, BATCH addresses) to (how many more, BATCH codes). The first
parameter lies in the first result's slot, so that a host that needs no more has nothing to write."""

PAUSE = "pause"
"""The host function that suspends a guest that has emitted its share."""

RUN = "run"
"""The export that runs the guest: (cabi_realloc, init, _initialize or null, FILE_FUNCTIONS or nulls, code of the text,
how many files it may have open)."""

WASI = "wasi_snapshot_preview1"
"""The module name of WASI preview 1."""

FD_WRITE = "fd_write"
"""WASI's function of that name, as the adapter exports it and as it imports it from the host for stdout and stderr."""

FD_WRITE_NUMBERS = ("i32",) * 4, ("i32",)
"""The core params and results of FD_WRITE."""

PATH_OPEN, FD_CLOSE = "path_open", "fd_close"
FILE_FUNCTIONS = {
    FD_WRITE: "i32 i32 i32 i32",
    PATH_OPEN: "i32 i32 i32 i32 i32 i64 i64 i32 i32",
    FD_CLOSE: "i32",
}
"""WASI's functions that pass through the adapter if there is a drive, and their core params; the result is i32. Without
fd_renumber: it does not tell whether it has closed a file, so one that it has closed counts on."""

_FIRST_FILE_SLOT = 3
"""The first slot of FILE_FUNCTIONS in the private table; the functions follow in their order."""

FIRST_REALLOC_SLOT = _FIRST_FILE_SLOT + len(FILE_FUNCTIONS)
"""The first slot of a component's several functions of the kind of cabi_realloc."""

TABLE = "table"
"""The export of the private table, in a component's adapter."""


def _arguments(name: str) -> str:
    return " ".join(f"(local.get {index})" for index in range(len(FILE_FUNCTIONS[name].split())))


def _slot(name: str) -> int:
    return _FIRST_FILE_SLOT + list(FILE_FUNCTIONS).index(name)


def _files_wat() -> str:
    imports = "\n".join(
        f'  (import "{WASI}" "{name}" (func ${name} (param {params}) (result i32)))'
        for name, params in FILE_FUNCTIONS.items()
    )
    exports = "\n".join(
        f'  (func (export "{name}") (param {params}) (result i32) (call ${name} {_arguments(name)}))'
        for name, params in FILE_FUNCTIONS.items()
    )
    return f"""(module $nectar_files
  (import "guest" "memory" (memory 0))
{imports}
  (export "memory" (memory 0))
{exports})"""


FILES_WAT = _files_wat()
"""The text of the module for files, for guests with a drive: WASI looks for the memory in its caller's exports."""

_BAD_FILE, _TOO_MANY_FILES = 8, 33
"""WASI error numbers."""

ALTERNATIVE_CODES = ("i32",) * (BATCH + 1)
"""What the host's functions give the adapter instead of a result in memory: the number of pieces, and their codes."""


def returns_pieces(function: Function) -> bool:
    """Return whether the function's result is written to guest memory."""
    return signature(function).returns_through_pointer


def emits(function: Function) -> bool:
    """Return whether the function leaves effects and goes on."""
    return function.kind in (Kind.EMIT, Kind.EMIT_ALL)


def needs_adapter(function: Function) -> bool:
    """Return whether guests import the adapter's function of this name, and not the host's."""
    return returns_pieces(function) or emits(function)


def host_numbers(function: Function) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return core params and results of the host's side of a function.

    An emitting function has the result first among its parameters, as zero: it lies in the same slot, so that a host
    with nothing to say has nothing to write.
    """
    core = signature(function)
    if emits(function):
        return ("i32", *core.params), ("i32",)
    return core.params, ALTERNATIVE_CODES if returns_pieces(function) else core.results


class Adapted(NamedTuple):
    """A function as the adapter offers it to a guest."""

    name: str
    """The adapter's import and its export."""
    function: Function
    slot: int = 0
    """The place in the private table of the cabi_realloc that gives memory for its result."""


@lru_cache(None)
def adapter_wasm(interface: Interface) -> bytes:
    """Return the adapter for one version of the interface, assembled once."""
    return bytes(wasmtime.wat2wasm(adapter_wat(interface)))


def adapter_wat(interface: Interface) -> str:
    """Return the text of the adapter for one version of the interface."""
    return _adapter_wat(
        [Adapted(function.name, function) for function in interface.functions if needs_adapter(function)], 0
    )


def component_adapter_wasm(functions: list[Adapted], reallocs: int) -> bytes:
    """Return the adapter for one component; what it needs nothing of the adapter for is exported as it is imported. Its
    table, TABLE, has places for `reallocs` functions from FIRST_REALLOC_SLOT on: the host fills them while it makes the
    component's instances."""
    return bytes(wasmtime.wat2wasm(_adapter_wat(functions, reallocs)))


def _adapter_wat(functions: list[Adapted], reallocs: int) -> str:
    codes = " ".join(ALTERNATIVE_CODES)
    addresses = " ".join(["i32"] * BATCH)
    imports = "\n".join(_import(function) for function in functions)
    exports = "\n".join(_export(function) for function in functions)
    slots = sorted({0, *(each.slot for each in functions)})
    settles = "\n".join(map(_settle, slots))
    if reallocs:
        exports += f'\n  (export "{TABLE}" (table $guest))'
    return f"""(module ${NAME}
{imports}
  (import "{HOST}" "{PLACE}" (func $place (param i32 {addresses}) (result {codes})))
  (import "{HOST}" "{PAUSE}" (func $pause))
  (import "{HOST}" "{FD_WRITE}" (func $output (param i32 i32 i32 i32) (result i32)))
  (type $realloc (func (param i32 i32 i32 i32) (result i32)))
  (type $init (func (param i32 i32)))
  (type $initialize (func))
  (type $path_open (func (param {FILE_FUNCTIONS[PATH_OPEN]}) (result i32)))
  (type $fd_close (func (param {FILE_FUNCTIONS[FD_CLOSE]}) (result i32)))
  (table $guest {FIRST_REALLOC_SLOT + reallocs} funcref)
  (global $open (mut i32) (i32.const 0))
  (global $most (mut i32) (i32.const 0))
{exports}
{settles}
{_WRITE}
{_OPEN}
{_CLOSE}
{_RUN})
"""


def _import(adapted: Adapted) -> str:
    name, function, _ = adapted
    params, results = (" ".join(side) for side in host_numbers(function))
    return f'  (import "{HOST}" "{name}" (func ${name} (param {params}) (result {results})))'


def _export(adapted: Adapted) -> str:
    name, function, slot = adapted
    if not needs_adapter(function):
        return f'  (export "{name}" (func ${name}))'
    params = signature(function).params
    arguments = " ".join(f"(local.get {i})" for i in range(len(params)))
    if emits(function):
        call = f"(if (call ${name} (i32.const 0) {arguments}) (then (call $pause)))"
    else:
        call = f"(call $settle{slot} (call ${name} {arguments}))"
    return f'  (func (export "{name}") (param {" ".join(params)})\n    {call})'


def _settle(slot: int) -> str:
    """Return the functions that ask one cabi_realloc for memory."""
    allocate = "\n".join(
        f"      (if (i32.gt_u (local.get $count) (i32.const {i}))"
        f" (then (local.set $p{i} (call $allocate{slot} (local.get $code{i})))))"
        for i in range(BATCH)
    )
    return f"""
  (func $allocate{slot} (param $code i32) (result i32)
    (call_indirect $guest (type $realloc)
      (i32.const 0) (i32.const 0)
      (i32.shl (i32.const 1) (i32.and (local.get $code) (i32.const {(1 << ALIGNMENT_BITS) - 1})))
      (i32.shr_u (local.get $code) (i32.const {ALIGNMENT_BITS}))
      (i32.const {slot})))
  (func $settle{slot} (param $count i32) {" ".join(f"(param $code{i} i32)" for i in range(BATCH))}
    {" ".join(f"(local $p{i} i32)" for i in range(BATCH))}
    (loop $again
{allocate}
      (call $place (i32.const 0) {" ".join(f"(local.get $p{i})" for i in range(BATCH))})
      {" ".join(f"(local.set $code{i})" for i in reversed(range(BATCH)))}
      (local.tee $count)
      (br_if $again)))"""


_WRITE = f"""  (func (export "{FD_WRITE}")
    (param $fd i32) (param $from i32) (param $count i32) (param $written i32) (result i32)
    (if (i32.lt_u (i32.sub (local.get $fd) (i32.const 1)) (i32.const 2)) (then
      (return (call $output (local.get $fd) (local.get $from) (local.get $count) (local.get $written)))))
    (if (ref.is_null (table.get $guest (i32.const {_slot(FD_WRITE)}))) (then (return (i32.const {_BAD_FILE}))))
    (call_indirect $guest (type $realloc)
      (local.get $fd) (local.get $from) (local.get $count) (local.get $written) (i32.const {_slot(FD_WRITE)})))"""

_OPEN = f"""  (func (export "{PATH_OPEN}") (param {FILE_FUNCTIONS[PATH_OPEN]}) (result i32)
    (local $errno i32)
    (if (ref.is_null (table.get $guest (i32.const {_slot(PATH_OPEN)}))) (then (return (i32.const {_BAD_FILE}))))
    (if (i32.ge_s (global.get $open) (global.get $most)) (then (return (i32.const {_TOO_MANY_FILES}))))
    (local.set $errno
      (call_indirect $guest (type $path_open) {_arguments(PATH_OPEN)} (i32.const {_slot(PATH_OPEN)})))
    (if (i32.eqz (local.get $errno)) (then (global.set $open (i32.add (global.get $open) (i32.const 1)))))
    (local.get $errno))"""


_CLOSE = f"""  (func (export "{FD_CLOSE}") (param {FILE_FUNCTIONS[FD_CLOSE]}) (result i32)
    (local $errno i32)
    (if (ref.is_null (table.get $guest (i32.const {_slot(FD_CLOSE)}))) (then (return (i32.const {_BAD_FILE}))))
    (local.set $errno
      (call_indirect $guest (type $fd_close) {_arguments(FD_CLOSE)} (i32.const {_slot(FD_CLOSE)})))
    (if (i32.eqz (local.get $errno)) (then (global.set $open (i32.sub (global.get $open) (i32.const 1)))))
    (local.get $errno))"""


_RUN = f"""  (func (export "{RUN}")
    (param $realloc funcref) (param $init funcref) (param $initialize funcref)
    {" ".join(f"(param $file_{name} funcref)" for name in FILE_FUNCTIONS)}
    (param $code i32) (param $files i32)
    (local $text i32)
    (table.set $guest (i32.const 0) (local.get $realloc))
    (table.set $guest (i32.const 1) (local.get $init))
    {" ".join(f"(table.set $guest (i32.const {_slot(name)}) (local.get $file_{name}))" for name in FILE_FUNCTIONS)}
    (global.set $most (local.get $files))
    (if (i32.eqz (ref.is_null (local.get $initialize))) (then
      (table.set $guest (i32.const 2) (local.get $initialize))
      (call_indirect $guest (type $initialize) (i32.const 2))))
    (local.set $text (call $allocate0 (local.get $code)))
    (call $place (i32.const 0) (local.get $text) {" ".join(["(i32.const 0)"] * (BATCH - 1))})
    {"(drop) " * (BATCH + 1)}
    (call_indirect $guest (type $init)
      (local.get $text) (i32.shr_u (local.get $code) (i32.const {ALIGNMENT_BITS})) (i32.const 1)))"""
