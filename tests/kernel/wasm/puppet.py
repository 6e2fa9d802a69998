"""A guest that does what a message tells it: raw calls of any import, with any numbers, over any memory.

The body of each request that it receives is a script (`Script`): memory to write, functions to call, answers to give.
So one guest speaks every version of the interface, honestly (with arguments laid out by `reference`) or not.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from typing import NamedTuple

import wasmtime

from kernel.wasm.canonical.abi import signature
from kernel.wasm.canonical.wit import INTERFACES, Function, Interface
from tests.kernel.wasm import reference

RECEIVED = 1024
"""Where the guest receives its scripts."""
SLOTS = 4096
"""Where a script's calls put their results, SLOT bytes each."""
SLOT = 512
FLAT_RESULT = 2048
"""Where the last result that is a number lies."""
ARGUMENTS = 65536
"""Where a script lays out what its arguments point to."""
HEAP = 1 << 20
"""Where cabi_realloc starts anew with every script."""
DUMP = HEAP + (256 << 10)
"""Bytes of memory in a dump."""
PAGES = 64

MAX_ARGUMENTS = 17
"""Sixteen flat parameters and the return pointer."""
_REQUEST_BODY = 72
"""From the start of a received request to its body's pointer: result, source, message, inherit, expects-response."""


class Import(NamedTuple):
    """A function that a puppet imports; core params and results."""

    module: str
    name: str
    params: tuple[str, ...]
    results: tuple[str, ...]


class Realloc(enum.IntEnum):
    """What cabi_realloc does from now on."""

    HONEST = 0
    CONSTANT = 1
    TRAP = 2
    SPIN = 3
    GROW = 4
    CALL = 5
    """Calls the import of that number, with zeros."""
    RECURSE = 6


class Op(enum.IntEnum):
    """What a script consists of."""

    END = 0
    CALL = 1
    WRITE = 2
    REALLOC = 3
    GROW = 4
    SPIN = 5
    TRAP = 6
    RECURSE = 7
    RETURN = 8


def imports_of(interface: Interface) -> list[Import]:
    """Every function of a version."""
    cores = [(function.name, signature(function)) for function in interface.functions]
    return [Import(interface.module, name, core.params, core.results) for name, core in cores]


def puppet(imports: Sequence[Import]) -> bytes:
    """The core module of a puppet with these imports, among them `receive`."""
    return bytes(wasmtime.wat2wasm(puppet_wat(imports)))


def puppet_wat(imports: Sequence[Import]) -> str:
    """The same as text."""
    declared = "\n".join(
        f'  (import "{each.module}" "{each.name}" (func $f{i} {_types("param", each.params)}'
        f" {_types('result', each.results)}))"
        for i, each in enumerate(imports)
    )
    receive = next(i for i, each in enumerate(imports) if each.name == "receive")
    return _WAT.format(imports=declared, call=_call(imports), receive=receive)


def _types(word: str, numbers: tuple[str, ...]) -> str:
    return f"({word} {' '.join(numbers)})" if numbers else ""


def _call(imports: Sequence[Import]) -> str:
    """Cases of a br_table over the import's number: load its arguments, call it, store its result."""
    text = f"(br_table {' '.join(map(str, range(len(imports))))} {len(imports)} (local.get $index))"
    for i, each in enumerate(imports):
        arguments = " ".join(
            f"({number}.load align=1 (i32.add (local.get $at) (i32.const {8 * k})))"
            for k, number in enumerate(each.params)
        )
        call = f"(call $f{i} {arguments})"
        if each.results:
            call = f"({each.results[0]}.store (i32.const {FLAT_RESULT}) {call})"
        text = f"(block {text})\n    {call} (return)"
    return f"(block {text})"


_WAT = f"""(module
{{imports}}
  (memory (export "memory") {PAGES})
  (global $heap (mut i32) (i32.const {HEAP}))
  (global $mode (mut i32) (i32.const 0))
  (global $value (mut i32) (i32.const 0))
  (func $honest (param $alignment i32) (param $size i32) (result i32)
    (global.set $heap (i32.and
      (i32.add (global.get $heap) (i32.sub (local.get $alignment) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $alignment))))
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get $size)))
    (block $fits (loop $more
      (br_if $fits (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
      (br_if $fits (i32.eq (memory.grow (i32.const 1)) (i32.const -1)))
      (br $more))))
  (func $recurse (param $depth i64) (result i64)
    (i64.add (i64.const 1) (call $recurse (i64.add (local.get $depth) (i64.const 1)))))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (if (i32.eq (global.get $mode) (i32.const {Realloc.CONSTANT})) (then (return (global.get $value))))
    (if (i32.eq (global.get $mode) (i32.const {Realloc.TRAP})) (then (unreachable)))
    (if (i32.eq (global.get $mode) (i32.const {Realloc.SPIN})) (then (loop $for_ever (br $for_ever))))
    (if (i32.eq (global.get $mode) (i32.const {Realloc.GROW})) (then (drop (memory.grow (global.get $value)))))
    (if (i32.eq (global.get $mode) (i32.const {Realloc.CALL})) (then
      (call $call (global.get $value) (i32.const 0))))
    (if (i32.eq (global.get $mode) (i32.const {Realloc.RECURSE})) (then (drop (call $recurse (i64.const 0)))))
    (call $honest (local.get 2) (local.get 3)))
  (func $call (param $index i32) (param $at i32)
    {{call}})
  (func $run (param $pc i32) (param $end i32) (result i32)
    (local $op i32) (local $a i32) (local $b i32)
    (loop $next
      (if (i32.gt_u (i32.add (local.get $pc) (i32.const 4)) (local.get $end)) (then (return (i32.const 0))))
      (local.set $op (i32.load (local.get $pc)))
      (local.set $a (i32.load offset=4 (local.get $pc)))
      (local.set $b (i32.load offset=8 (local.get $pc)))
      (if (i32.eq (local.get $op) (i32.const {Op.CALL})) (then
        (call $call (local.get $a) (i32.add (local.get $pc) (i32.const 8)))
        (local.set $pc (i32.add (local.get $pc) (i32.const {8 + 8 * MAX_ARGUMENTS})))
        (br $next)))
      (if (i32.eq (local.get $op) (i32.const {Op.WRITE})) (then
        (memory.copy (local.get $a) (i32.add (local.get $pc) (i32.const 12)) (local.get $b))
        (local.set $pc (i32.add (local.get $pc)
          (i32.add (i32.const 12) (i32.and (i32.add (local.get $b) (i32.const 3)) (i32.const -4)))))
        (br $next)))
      (if (i32.eq (local.get $op) (i32.const {Op.REALLOC})) (then
        (global.set $mode (local.get $a)) (global.set $value (local.get $b))
        (local.set $pc (i32.add (local.get $pc) (i32.const 12)))
        (br $next)))
      (if (i32.eq (local.get $op) (i32.const {Op.GROW})) (then
        (drop (memory.grow (local.get $a)))
        (local.set $pc (i32.add (local.get $pc) (i32.const 8)))
        (br $next)))
      (if (i32.eq (local.get $op) (i32.const {Op.SPIN})) (then (loop $for_ever (br $for_ever))))
      (if (i32.eq (local.get $op) (i32.const {Op.TRAP})) (then (unreachable)))
      (if (i32.eq (local.get $op) (i32.const {Op.RECURSE})) (then (drop (call $recurse (i64.const 0)))))
      (if (i32.eq (local.get $op) (i32.const {Op.RETURN})) (then (return (i32.const 1)))))
    (i32.const 0))
  (func (export "init") (param $our i32) (param $size i32)
    (loop $again
      (global.set $heap (i32.const {HEAP}))
      (call $f{{receive}} (i32.const {RECEIVED}))
      (if (i32.or (i32.load8_u (i32.const {RECEIVED})) (i32.load8_u (i32.const {RECEIVED + 40}))) (then (br $again)))
      (br_if $again (i32.eqz (call $run
        (i32.load (i32.const {RECEIVED + _REQUEST_BODY}))
        (i32.add (i32.load (i32.const {RECEIVED + _REQUEST_BODY}))
          (i32.load (i32.const {RECEIVED + _REQUEST_BODY + 4}))))))))
)"""


class Script:
    """What a puppet is to do, written step by step; its bytes are the body of a request."""

    def __init__(self, interface: Interface) -> None:
        self._interface = interface
        self._names = [function.name for function in interface.functions]
        self._steps: list[bytes] = []
        self._memory = reference.Memory(bytearray(HEAP), ARGUMENTS)

    def call(self, name: str, *values: reference.Plain, slot: int = 0) -> Script:
        """Call a function with plain values (see `reference`); its result, if in memory, goes to that slot."""
        return self.raw(self._names.index(name), self.numbers(self.function(name), values, slot))

    def numbers(self, function: Function, values: Sequence[reference.Plain], slot: int = 0) -> list[int]:
        """The core numbers of an honest call, whose arguments are laid out here."""
        numbers = reference.arguments(self._memory, function, tuple(values))
        if signature(function).returns_through_pointer:
            numbers.append(self.slot(slot))
        return numbers

    def laid_out(self) -> tuple[int, bytes]:
        """Where what the arguments point to begins, and its bytes."""
        return ARGUMENTS, bytes(self._memory.data[ARGUMENTS : self._memory.heap])

    def raw(self, index: int, numbers: Sequence[int]) -> Script:
        """Call the import of that number with core numbers."""
        padded = [*numbers, *[0] * (MAX_ARGUMENTS - len(numbers))]
        self._steps.append(struct.pack(f"<II{MAX_ARGUMENTS}Q", Op.CALL, index, *(n % 2**64 for n in padded)))
        return self

    def write(self, address: int, data: bytes) -> Script:
        """Put bytes somewhere."""
        padding = bytes(-len(data) % 4)
        self._steps.append(struct.pack("<III", Op.WRITE, address, len(data)) + data + padding)
        return self

    def do(self, op: Op, a: int = 0, b: int = 0) -> Script:
        """REALLOC, GROW, SPIN, TRAP, RECURSE or RETURN."""
        count = {Op.REALLOC: 3, Op.GROW: 2}.get(op, 1)
        self._steps.append(struct.pack("<III", op, a, b)[: 4 * count])
        return self

    def answer(self, body: bytes) -> Script:
        """Answer the prompt."""
        return self.call("send-response", (False, body, None, ()), None)

    def dump(self) -> Script:
        """Answer the prompt with the memory itself."""
        index = self._names.index("send-response")
        return self.raw(index, [0, 0, DUMP, *[0] * 11])

    def function(self, name: str) -> Function:
        """A function of the puppet's version."""
        function = self._interface.function(name)
        assert function, name
        return function

    @staticmethod
    def slot(slot: int) -> int:
        """The address of a slot."""
        assert slot < (ARGUMENTS - SLOTS) // SLOT
        return SLOTS + slot * SLOT

    def body(self) -> bytes:
        """The script: first what the arguments point to, then the steps."""
        return b"".join([*Script(self._interface).write(*self.laid_out())._steps, *self._steps])


def dumped(memory: bytes, function: Function, slot: int = 0) -> reference.Plain:
    """What a call of a script put into a slot, out of a dump."""
    assert function.result
    return reference.load(reference.Memory(memoryview(memory), 0), function.result, Script.slot(slot))


VERSIONS = list(INTERFACES)
"""Names of all versions."""
ALL_TYPES = ("nectar:process/standard@0.7.0", "hyperware:process/standard@1.0.0")
"""Versions whose functions have all types that there are: where the others play on a fiber, these are enough."""
