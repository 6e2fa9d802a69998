"""Guests for tests, as text: a frame with an allocator around the body of `init`, and what drives them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import wasmtime

from kernel.contract.address import Address
from kernel.contract.guest import Arrival, Effect, GuestConfig, Poll, Program
from kernel.contract.message import Request
from kernel.wasm.canonical.abi import signature
from kernel.wasm.canonical.wit import INTERFACES, Function, Interface
from kernel.wasm.engine import Engine
from kernel.wasm.fiber import Fiber
from tests.kernel.wasm import reference

GUESTS = Path(__file__).parents[2] / "guests"
NECTAR = INTERFACES["nectar:process/standard@0.7.0"]
OUR = Address.parse("our.nec@self:test:sys")
OTHER = Address.parse("other.nec@peer:test:sys")
RESULT = 1024
"""Where guests of `caller` want the result of their call."""
SLOTS = 512
"""Where they take their arguments from, eight bytes each."""
RECEIVED = 2048
"""Where they receive."""
ARGUMENTS = 8192
"""Where a test lays out what their arguments point to."""
MEMORY = 1 << 24

FRAME = """(module
{imports}
  (memory (export "memory") 4)
  (global $heap (mut i32) (i32.const 65536))
  (func (export "cabi_realloc") (param i32 i32 $alignment i32) (param $size i32) (result i32)
    (global.set $heap (i32.and
      (i32.add (global.get $heap) (i32.sub (local.get 2) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get 2))))
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get $size)))
    (block $fits (loop $more
      (br_if $fits (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
      (br_if $fits (i32.eq (memory.grow (i32.const 1)) (i32.const -1)))
      (br $more))))
{extra}
  (func (export "init") (param $our i32) (param $size i32)
{body}))"""
FRAME = FRAME.replace("(param i32 i32 $alignment i32)", "(param i32 i32 i32)")


@lru_cache(None)
def loaded(engine: Engine, wasm: bytes) -> Program:
    """The program, compiled once: an engine forgets what nothing runs, and many tests start the same."""
    return engine.load(wasm)


def importing(interface: Interface, *names: str) -> str:
    """The imports of some functions, each callable as $name."""
    lines = []
    for name in names:
        function = interface.function(name)
        assert function
        core = signature(function)
        results = f" (result {' '.join(core.results)})" if core.results else ""
        params = f" (param {' '.join(core.params)})" if core.params else ""
        lines.append(f'  (import "{interface.module}" "{name}" (func ${name}{params}{results}))')
    return "\n".join(lines)


def wat(body: str, *names: str, interface: Interface = NECTAR, imports: str = "", extra: str = "") -> bytes:
    """A guest whose `init` is `body`."""
    text = FRAME.format(imports=importing(interface, *names) + imports, body=body, extra=extra)
    return bytes(wasmtime.wat2wasm(text))


def caller(interface: Interface, function: Function) -> bytes:
    """A guest that receives, and then calls `function` with the arguments that lie in its memory; for ever."""
    core = signature(function)
    slots = " ".join(f"({number}.load (i32.const {SLOTS + 8 * i}))" for i, number in enumerate(core.params))
    call = f"(call ${function.name} {slots})"
    if core.results:
        call = f"(i32.store (i32.const {RESULT}) {call})"
    names = {"receive", function.name}
    body = f"(loop $again (call $receive (i32.const {RECEIVED})) {call} (br $again))"
    return wat(body, *sorted(names), interface=interface)


def receiver(interface: Interface = NECTAR) -> bytes:
    """A guest that only receives, for ever."""
    return wat(f"(loop $again (call $receive (i32.const {RECEIVED})) (br $again))", "receive", interface=interface)


def start(engine: Engine, wasm: bytes, memory: int = MEMORY, our: Address = OUR) -> Fiber:
    guest = loaded(engine, wasm).start(GuestConfig(our, memory))
    assert isinstance(guest, Fiber)
    return guest


def poll(guest: Fiber) -> Poll:
    """Poll until the guest waits or has ended, as if every effect were applied at once."""
    applied: list[Effect] = []
    while (state := guest.poll()) is Poll.PREEMPTED:
        applied += guest.effects
        guest.effects.clear()
    guest.effects[:0] = applied
    return state


def arrival(body: bytes = b"") -> Arrival:
    return Arrival(OTHER, Request(False, None, body), None, None)


def pass_raw(guest: Fiber, numbers: Sequence[int], message: Arrival | None = None) -> None:
    """Give a guest of `caller` a message, on which it calls its function with these core numbers at its next poll."""
    for i, number in enumerate(numbers):
        struct.pack_into("<Q", guest.memory, SLOTS + 8 * i, number)
    guest.resume(message or arrival())


def result(guest: Fiber, function: Function, at: int = RESULT) -> reference.Plain:
    """What the last call gave a guest."""
    assert function.result
    # The memory may have grown since the fiber last looked.
    guest.memory_grew()
    return reference.load(reference.Memory(guest.memory, 0), function.result, at)
