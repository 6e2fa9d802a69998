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


TWO_MEMORIES = """(core module $first (import "not" "offered" (func)))
  (import "wasi:random/random@0.2.1" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
  (core module $memory (memory (export "memory") 1) (func (export "realloc") (param i32 i32 i32 i32) (result i32)
    (i32.const 4096)))
  (core instance $one (instantiate $memory))
  (core instance $two (instantiate $memory))
  (core func $in-one (canon lower (func $random "get-random-bytes")
    (memory (core memory $one "memory")) (realloc (core func $one "realloc"))))
  (core func $in-two (canon lower (func $random "get-random-bytes")
    (memory (core memory $two "memory")) (realloc (core func $two "realloc"))))
  (core module $code
    (import "host" "in-one" (func $in-one (param i64 i32)))
    (import "host" "in-two" (func $in-two (param i64 i32)))
    (import "one" "memory" (memory 1))
    (func (export "init") (param i32 i32)
      (call $in-one (i64.const 3) (i32.const 16))
      (call $in-two (i64.const 5) (i32.const 32))
      (call $in-one (i64.const 7) (i32.const 48))
      (if (i32.ne (i32.load (i32.const 20)) (i32.const 3)) (then unreachable))
      (if (i32.ne (i32.load (i32.const 36)) (i32.const 0)) (then unreachable))
      (if (i32.ne (i32.load (i32.const 52)) (i32.const 7)) (then unreachable))))
  (core instance $host (export "in-one" (func $in-one)) (export "in-two" (func $in-two)))
  (core instance $main (instantiate $code (with "host" (instance $host)) (with "one" (instance $one))))
  (func $init (param "our" string)
    (canon lift (core func $main "init") (memory (core memory $one "memory")) (realloc (core func $one "realloc"))))
  (export "init" (func $init))"""
"""A component of which two functions use a memory each."""


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
