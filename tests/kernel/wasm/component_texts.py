"""Components for tests, as text: one core module with a memory and an allocator around the body of `init`, and what it
imports, lowered with options of the test's choice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import wasmtime

from kernel.contract.guest import GuestConfig, Poll
from kernel.wasm.engine import Engine
from kernel.wasm.fiber import Fiber
from tests.kernel.wasm.guests import OUR, poll

HEADER = b"\0asm\x0d\0\x01\0"
NOW = 1_000_000_000
"""The time of the guests' clocks, in nanoseconds."""

MEMORY = """(core module $memory (memory (export "memory") 2)
    (global $heap (mut i32) (i32.const 65536))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $heap (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -8)))
      (global.get $heap)
      (global.set $heap (i32.add (global.get $heap) (local.get 3)))))
  (core instance $m (instantiate $memory))
  (alias core export $m "memory" (core memory $mem))
  (alias core export $m "realloc" (core func $realloc))"""
"""A module of its own for memory and allocator, so that functions can be lowered before the main module is there."""

INIT = """(func $init (param "our" string)
    (canon lift (core func $main "init") (memory $mem) (realloc $realloc)))
  (export "init" (func $init))"""


def number(value: int) -> bytes:
    """LEB128."""
    low = value & 127
    return bytes([low]) if value < 128 else bytes([low | 128]) + number(value >> 7)


def assembled(*sections: tuple[int, bytes]) -> bytes:
    """A component of sections, by their numbers."""
    return HEADER + b"".join(bytes([kind]) + number(len(body)) + body for kind, body in sections)


def wat(text: str) -> bytes:
    """The component of a text; nobody has validated it."""
    return bytes(wasmtime.wat2wasm(f"(component {text})"))


@lru_cache(None)
def guest_component(imports: str, lowered: Sequence[tuple[str, str]], body: str, main: str = "") -> bytes:
    """A component whose `init` does `body`. `imports` is text that comes first; `lowered` are names and texts of core
    functions, which `body` calls by those names, with their core types: `name (param …) (result …)`.
    """
    functions = "\n  ".join(definition for _, definition in lowered)
    names = [name.split(maxsplit=1) for name, _ in lowered]
    given = " ".join(f'(export "{name}" (func ${name}))' for name, _ in names)
    declared = "\n    ".join(f'(import "host" "{name}" (func ${name} {numbers}))' for name, numbers in names)
    return wat(f"""(core module $first (import "not" "offered" (func)))
  {imports}
  {MEMORY}
  {functions}
  (core module $code
    (import "m" "memory" (memory 2))
    {declared}
    {main}
    (func (export "init") (param i32 i32) {body}))
  (core instance $host {given})
  (core instance $main (instantiate $code (with "host" (instance $host)) (with "m" (instance $m))))
  {INIT}""")


def started(engine: Engine, wasm: bytes, memory: int = 1 << 24) -> Fiber:
    """A guest that has not been polled."""
    guest = engine.load(wasm).start(GuestConfig(OUR, memory, entropy=bytes, clock=lambda: NOW))
    assert isinstance(guest, Fiber)
    return guest


def trap_of(engine: Engine, wasm: bytes) -> str | None:
    """Why a guest ends."""
    guest = started(engine, wasm)
    assert poll(guest) is Poll.ENDED
    assert guest.end is not None
    return guest.end.trap
