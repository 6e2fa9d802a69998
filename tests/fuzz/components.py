"""Fuzzes components that run: sections dropped, doubled, exchanged and changed, in whole components and their core
modules, and what the outcome does once it is linked.

    python -m tests.fuzz.components --seconds 600
    python -m tests.fuzz.components --batch SEED COUNT

A component may be refused, and its guest may end, be pre-empted, wait or sleep. Nothing else may happen, and a guest
that was there before goes on.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from functools import lru_cache

from kernel.contract.errors import BadModule
from kernel.contract.guest import GuestConfig, Poll
from kernel.wasm.binary.module import sections_untrusted
from kernel.wasm.engine import Engine
from kernel.wasm.fiber import Fiber
from tests.fuzz.batches import Batches
from tests.kernel.wasm.component_texts import HEADER, TWO_MEMORIES, assembled, guest_component, wat
from tests.kernel.wasm.guests import OUR
from tests.kernel.wasm.modules import HEADER as CORE_HEADER
from tests.kernel.wasm.modules import section
from tests.kernel.wasm.test_component_bounds import reallocating
from tests.kernel.wasm.test_hostile_components import BLOCK, DROP, IO, LATER, POLL, RANDOM, STDIN

COMPONENTS = 500
"""Of one batch."""
BATCH_SECONDS = 300
_POLLS = 8
_MEMORY = 1 << 24
_BYTES = (0, 1, 2, 3, 4, 5, 0x10, 0x11, 0x12, 0x40, 0x60, 0x7F, 0x80, 0xFF)
"""Those that mean something in the format."""

BUSY = """(call $random (i64.const 40) (i32.const 16))
  (i32.store (i32.const 8) (call $later (i64.const 50)))
  (call $poll (i32.const 8) (i32.const 1) (i32.const 16)) (call $drop (i32.const 1))
  (drop (call $stdin)) (call $block (call $later (i64.const 5)))"""
_HTTP = """(import "wasi:http/types@0.2.10" (instance $types
    (export "[constructor]fields" (func)) (export "[static]fields.from-list" (func))
    (export "[constructor]outgoing-request" (func)) (export "[method]outgoing-request.set-authority" (func))
    (export "[method]outgoing-request.body" (func)) (export "[method]outgoing-body.write" (func))
    (export "[static]outgoing-body.finish" (func)) (export "[method]future-incoming-response.get" (func))))
  (import "wasi:http/outgoing-handler@0.2.10" (instance $out (export "handle" (func))))"""
_IN_MEMORY = "(memory $mem) (realloc $realloc)"
_HTTP_CALLS = (
    ("fields (result i32)", '(core func $fields (canon lower (func $types "[constructor]fields")))'),
    (
        "from-list (param i32 i32 i32)",
        f'(core func $from-list (canon lower (func $types "[static]fields.from-list") {_IN_MEMORY}))',
    ),
    (
        "request (param i32) (result i32)",
        '(core func $request (canon lower (func $types "[constructor]outgoing-request")))',
    ),
    (
        "authority (param i32 i32 i32 i32) (result i32)",
        f'(core func $authority (canon lower (func $types "[method]outgoing-request.set-authority") {_IN_MEMORY}))',
    ),
    (
        "body (param i32 i32)",
        f'(core func $body (canon lower (func $types "[method]outgoing-request.body") {_IN_MEMORY}))',
    ),
    (
        "write (param i32 i32)",
        f'(core func $write (canon lower (func $types "[method]outgoing-body.write") {_IN_MEMORY}))',
    ),
    (
        "finish (param i32 i32 i32 i32)",
        f'(core func $finish (canon lower (func $types "[static]outgoing-body.finish") {_IN_MEMORY}))',
    ),
    ("handle (param i32 i32 i32 i32)", f'(core func $handle (canon lower (func $out "handle") {_IN_MEMORY}))'),
    (
        "get (param i32 i32)",
        f'(core func $get (canon lower (func $types "[method]future-incoming-response.get") {_IN_MEMORY}))',
    ),
)
ASKS = """(local $request i32)
  (call $from-list (i32.const 0) (i32.const 3) (i32.const 128))
  (local.set $request (call $request (call $fields)))
  (drop (call $authority (local.get $request) (i32.const 1) (i32.const 900) (i32.const 4)))
  (call $body (local.get $request) (i32.const 192))
  (call $handle (local.get $request) (i32.const 0) (i32.const 0) (i32.const 256))
  (call $write (i32.load (i32.const 196)) (i32.const 320))
  (call $finish (i32.load (i32.const 196)) (i32.const 0) (i32.const 0) (i32.const 384))
  (call $get (i32.load (i32.const 264)) (i32.const 512))"""
"""What libraries do that ask a server, in their order."""
Sections = list[tuple[int, bytes]]


@lru_cache(None)
def _bases() -> list[bytes]:
    every = (BLOCK, POLL, STDIN, LATER, DROP, RANDOM)
    return [
        guest_component(IO, every, BUSY),
        guest_component(IO, every, "", f"(func $first {BUSY}) (start $first)"),
        reallocating("(drop (memory.grow (i32.const 1)))"),
        wat(TWO_MEMORIES),
        guest_component(_HTTP, _HTTP_CALLS, ASKS, '(data (i32.const 900) "x.yz")'),
    ]


def _sections(wasm: bytes) -> Sections:
    return [(number, wasm[start:end]) for number, start, end in sections_untrusted(wasm)]


def _change(chance: random.Random, data: bytes) -> bytes:
    """Change, add or remove a few bytes."""
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(changed) + 1)
        new = chance.choice((*_BYTES, chance.randrange(256)))
        match chance.randrange(6):
            case 0:
                changed[at:at] = bytes([new])
            case 1:
                del changed[at : at + 1]
            case _:
                changed[at : at + 1] = bytes([new])
    return bytes(changed)


def _change_code(chance: random.Random, core: bytes) -> bytes:
    """Change one byte of what a core module's functions do, or of what they begin with."""
    try:
        sections = sections_untrusted(core)
    except BadModule:  # an earlier change has broken it
        return core
    places = [at for number, start, end in sections if number in (3, 6, 9, 10, 11) for at in range(start + 1, end)]
    if not places:
        return core
    at = chance.choice(places)
    return core[:at] + bytes([chance.choice((*_BYTES, core[at] ^ 1 << chance.randrange(8)))]) + core[at + 1 :]


def _change_core(chance: random.Random, core: bytes) -> bytes:
    try:
        sections = _sections(core)
    except BadModule:  # an earlier change has broken it
        return core
    if not sections:
        return core
    _change_sections(chance, sections, lambda _number, body: _change(chance, body))
    return CORE_HEADER + b"".join(section(number, body) for number, body in sections)


def _change_sections(chance: random.Random, sections: Sections, change: Callable[[int, bytes], bytes]) -> None:
    at = chance.randrange(len(sections))
    match chance.randrange(8):
        case 0:
            del sections[at]
        case 1:
            sections.insert(at, chance.choice(sections))
        case 2:
            other = chance.randrange(len(sections))
            sections[at], sections[other] = sections[other], sections[at]
        case _:
            number, body = sections[at]
            sections[at] = number, change(number, body)


def component(chance: random.Random) -> bytes:
    """A component that is nearly as it should be."""
    sections = _sections(chance.choice(_bases()))
    others = _sections(chance.choice(_bases()))

    def change(number: int, body: bytes) -> bytes:
        if number == 1 and chance.random() < 0.9:
            return _change_core(chance, body)
        return _change(chance, body)

    for _ in range(chance.randrange(1, 4)):
        if not sections:
            break
        if chance.random() < 0.6:
            cores = [at for at, (number, _) in enumerate(sections) if number == 1]
            at = chance.choice(cores or [0])
            sections[at] = sections[at][0], _change_code(chance, sections[at][1])
            continue
        if chance.random() < 0.1:
            sections.insert(chance.randrange(len(sections) + 1), chance.choice(others))
        _change_sections(chance, sections, change)
    wasm = assembled(*sections)
    assert wasm.startswith(HEADER)
    return wasm


def _run(engine: Engine, wasm: bytes) -> str:
    """Return how it went."""
    guest, refusal = None, ""
    try:
        guest = engine.load(wasm).start(GuestConfig(OUR, _MEMORY, entropy=bytes, clock=lambda: 1_000_000_000))
    except BadModule as error:
        refusal = str(error)
    if guest is None:
        assert refusal, "a refusal says why"
        assert "\n" not in refusal, refusal
        return "refused"
    assert isinstance(guest, Fiber)
    state = Poll.PREEMPTED
    for _ in range(_POLLS):
        state = guest.poll()
        guest.effects.clear()
        if state is Poll.ENDED:
            break
        if state is Poll.CALL:
            guest.resume(None)
    assert guest.host_error is None
    trap = None if guest.end is None else guest.end.trap
    assert "the host failed" not in str(trap), trap
    guest.close()
    return state.name


def run_batch(seed: int, count: int) -> dict[str, int]:
    """Run so many components; return how many went how."""
    chance, engine, found = random.Random(seed), Engine(None, replayable=True), dict[str, int]()
    canary = engine.load(_bases()[0]).start(GuestConfig(OUR, _MEMORY, entropy=bytes, clock=lambda: 1))
    assert canary.poll() is Poll.CALL
    for _ in range(count):
        outcome = _run(engine, component(chance))
        found[outcome] = found.get(outcome, 0) + 1
    canary.resume(None)
    assert canary.poll() is Poll.CALL
    canary.resume(None)
    assert canary.poll() is Poll.ENDED
    assert canary.end is not None
    assert canary.end.trap is None
    return found


BATCHES = Batches("tests.fuzz.components", "components", COMPONENTS, BATCH_SECONDS, run_batch)


if __name__ == "__main__":
    sys.exit(BATCHES.main())
