"""What components do that mean harm, or are broken: each ends alone and with a sentence, and no other guest notices."""

from __future__ import annotations

import contextlib
import random

import pytest
import wasmtime

from kernel.contract import limits
from kernel.contract.errors import BadModule
from kernel.contract.guest import GuestConfig, Poll, SendResponse
from kernel.wasm.binary.component import plan_untrusted
from kernel.wasm.compiling.core_modules import CoreModules
from kernel.wasm.engine import Engine
from kernel.wasm.wasi.state import MAX_HANDLES
from tests.kernel.wasm.component_texts import TWO_MEMORIES, assembled, guest_component, number, started, trap_of, wat
from tests.kernel.wasm.guests import NECTAR, OUR, arrival, loaded, poll
from tests.kernel.wasm.native import native_component
from tests.kernel.wasm.puppet import Script

IO = """(import "wasi:io/poll@0.2.3" (instance $poll (export "pollable" (type $p (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $p))))
    (export "poll" (func (param "in" (list (borrow $p))) (result (list u32))))))
  (import "wasi:cli/stdin@0.2.0" (instance $stdin (export "get-stdin" (func (result u32)))))
  (import "wasi:clocks/monotonic-clock@0.2.9" (instance $clock (export "now" (func (result u64)))
    (export "subscribe-duration" (func (param "when" u64) (result u32)))))
  (import "wasi:random/random@0.2.1" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
  (alias export $poll "pollable" (type $pollable))"""
BLOCK = (
    "block (param i32)",
    '(core func $block (canon lower (func $poll "[method]pollable.block")))',
)
POLL = (
    "poll (param i32 i32 i32)",
    '(core func $poll (canon lower (func $poll "poll") (memory $mem) (realloc $realloc)))',
)
STDIN = ("stdin (result i32)", '(core func $stdin (canon lower (func $stdin "get-stdin")))')
LATER = (
    "later (param i64) (result i32)",
    '(core func $later (canon lower (func $clock "subscribe-duration")))',
)
DROP = ("drop (param i32)", "(core func $drop (canon resource.drop $pollable))")
RANDOM = (
    "random (param i64 i32)",
    '(core func $random (canon lower (func $random "get-random-bytes") (memory $mem) (realloc $realloc)))',
)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("(call $block (call $stdin))", "1 is no handle of wasi:io/poll.pollable"),
        ("(call $drop (call $stdin))", "1 is no handle of wasi:io/poll.pollable"),
        ("(call $block (i32.const 7))", "7 is no handle of wasi:io/poll.pollable"),
        ("(call $drop (i32.const -1))", "4294967295 is no handle"),
        ("(call $drop (call $later (i64.const 0))) (call $block (i32.const 1))", "1 is no handle"),
        (
            "(i32.store (i32.const 8) (call $stdin)) (call $poll (i32.const 8) (i32.const 1) (i32.const 16))",
            "1 is no handle of wasi:io/poll.pollable",
        ),
    ],
)
def test_a_handle_of_another_kind_or_of_nothing_ends_it(engine: Engine, body: str, reason: str) -> None:
    trap = trap_of(engine, guest_component(IO, (BLOCK, POLL, STDIN, LATER, DROP), body))
    assert reason in str(trap)


def test_a_handle_of_another_guest_is_none(engine: Engine) -> None:
    wait = "(call $block (call $later (i64.const 3600000000000)))"
    other = started(engine, guest_component(IO, (BLOCK, LATER), wait))
    assert poll(other) is Poll.CALL
    assert "1 is no handle" in str(trap_of(engine, guest_component(IO, (BLOCK,), "(call $block (i32.const 1))")))
    other.resume(None)
    assert poll(other) is Poll.ENDED
    assert other.end is not None
    assert other.end.trap is None


def test_ten_thousand_handles_are_too_many(engine: Engine) -> None:
    body = "(loop $more (drop (call $stdin)) (br $more))"
    assert f"it has {MAX_HANDLES} resources, and that is the limit" in str(
        trap_of(engine, guest_component(IO, (STDIN,), body))
    )


def test_dropped_handles_do_not_count(engine: Engine) -> None:
    body = """(local $i i32) (loop $more (call $drop (call $later (i64.const 5)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $i) (i32.const 10000))))"""
    assert trap_of(engine, guest_component(IO, (LATER, DROP), body)) is None


@pytest.mark.parametrize(
    ("pointer", "count", "reason"),
    [
        (131072 - 4, 2, "in lies outside the memory"),
        (131072, 1, "in lies outside the memory"),
        (2, 1, "in is not aligned"),
        (0, 5000, "elements of in: 5000 exceeds the limit"),
        (-4, 1, "in lies outside the memory"),
        (0, 0, "it polls nothing"),
    ],
)
def test_a_list_at_the_end_of_memory_is_not_read_beyond_it(
    engine: Engine, pointer: int, count: int, reason: str
) -> None:
    body = f"(call $poll (i32.const {pointer}) (i32.const {count}) (i32.const 16))"
    assert reason in str(trap_of(engine, guest_component(IO, (POLL,), body)))


@pytest.mark.parametrize("target", [131072 - 4, -8, 3])
def test_a_result_at_the_end_of_memory_is_not_written_beyond_it(engine: Engine, target: int) -> None:
    body = f"(call $random (i64.const 16) (i32.const {target}))"
    trap = trap_of(engine, guest_component(IO, (RANDOM,), body))
    assert "the place for a result" in str(trap)


def test_more_randomness_than_anybody_needs_is_refused(engine: Engine) -> None:
    body = "(call $random (i64.const -1) (i32.const 16))"
    assert "bytes of randomness at once" in str(trap_of(engine, guest_component(IO, (RANDOM,), body)))


# --- start functions --------------------------------------------------------------------------------------------------


def test_a_start_function_runs_and_may_call_the_host(engine: Engine) -> None:
    main = "(func $first (call $random (i64.const 3) (i32.const 16))) (start $first)"
    body = "(if (i32.ne (i32.load (i32.const 20)) (i32.const 3)) (then unreachable))"
    assert trap_of(engine, guest_component(IO, (RANDOM,), body, main)) is None


def test_g23_an_endless_loop_in_a_start_function_is_preempted_and_killed(engine: Engine) -> None:
    guest = started(engine, guest_component("", (), "", "(func $first (loop $l (br $l))) (start $first)"))
    assert [guest.poll() for _ in range(3)] == [Poll.PREEMPTED] * 3
    guest.close()
    assert guest.poll() is Poll.ENDED


def test_a_start_function_can_sleep(engine: Engine) -> None:
    main = "(func $first (call $block (call $later (i64.const 5)))) (start $first)"
    guest = started(engine, guest_component(IO, (BLOCK, LATER), "", main))
    assert poll(guest) is Poll.CALL
    guest.resume(None)
    assert poll(guest) is Poll.ENDED
    assert guest.end is not None
    assert guest.end.trap is None


def test_a_start_function_that_traps_ends_it(engine: Engine) -> None:
    assert "unreachable" in str(trap_of(engine, guest_component("", (), "", "(func $f unreachable) (start $f)")))


# --- memory -----------------------------------------------------------------------------------------------------------


def test_running_out_of_memory_while_reporting_that_ends_it(engine: Engine) -> None:
    body = """(loop $grow (br_if $grow (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
      (loop $more (call $random (i64.const 65536) (i32.const 16)) (br $more))"""
    trap = trap_of(engine, guest_component(IO, (RANDOM,), body))
    assert "one from cabi_realloc, lies outside the memory" in str(trap)


def test_of_several_memories_each_function_uses_its_own_and_all_count(engine: Engine) -> None:
    guest = started(engine, wat(TWO_MEMORIES))
    assert poll(guest) is Poll.ENDED
    assert guest.end is not None
    assert guest.end.trap is None
    assert guest.statistics().memory_bytes == 2 << 16


def test_several_memories_share_the_bound(engine: Engine) -> None:
    grows = TWO_MEMORIES.replace(
        "(call $in-one (i64.const 3)", "(drop (memory.grow (i32.const 128))) (call $in-one (i64.const 3)"
    )
    guest = started(engine, wat(grows), memory=1 << 24)
    assert poll(guest) is Poll.ENDED
    assert guest.statistics().memory_bytes == 2 << 16, "it may not have more than half of the bytes in one of them"


# --- bodies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [limits.MAX_BODY_BYTES, limits.MAX_BODY_BYTES + 1])
def test_a_body_at_the_limit_is_sent_and_one_byte_beyond_ends_it(engine: Engine, size: int) -> None:
    guest = started(engine, sender(size), memory=64 << 20)
    assert poll(guest) is Poll.ENDED
    assert guest.end is not None
    if size == limits.MAX_BODY_BYTES:
        (sent,) = guest.effects
        assert isinstance(sent, SendResponse)
        assert (len(sent.response.body), guest.end.trap) == (size, None)
    else:
        assert guest.effects == []
        assert f"{size} exceeds the limit of {limits.MAX_BODY_BYTES}" in str(guest.end.trap)


def sender(size: int) -> bytes:
    """A component that answers with so many bytes."""
    function = NECTAR.function("send-response")
    assert function is not None
    standard = """(import "nectar:process/standard@0.7.0" (instance $standard (export "send-response" (func))))"""
    send = (
        "send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)",
        '(core func $send (canon lower (func $standard "send-response") (memory $mem) (realloc $realloc)))',
    )
    numbers = " ".join(f"(i32.const {each})" for each in [0, 0, size, *[0] * 11])
    return guest_component(standard, (send,), f"(drop (memory.grow (i32.const 200))) (call $send {numbers})")


# --- what is refused before it is compiled ----------------------------------------------------------------------------

FIRST = '(core module $first (import "not" "offered" (func)))'
LIES = [
    (f'{FIRST} (import "env:x/y@1.0.0" (instance))', "it imports 'env:x/y@1.0.0', which this node does not offer"),
    (f'{FIRST} (import "wasi:io/poll@0.3.0" (instance))', "it imports 'wasi:io/poll@0.3.0', which this node"),
    (f'{FIRST} (import "wasi:io/fly@0.2.0" (instance))', "it imports 'wasi:io/fly@0.2.0', which this node"),
    (f'{FIRST} (import "fly" (func))', "it imports the function 'fly', which this node does not offer"),
    (f'{FIRST} (import "m" (core module))', "it imports the core module 'm', which this node does not offer"),
    (
        f"""{FIRST} (import "nectar:process/standard@0.7.0" (instance))
        (import "kinode:process/standard@0.8.0" (instance))""",
        "it imports two versions of one interface",
    ),
    (FIRST, "it exports no function of the name 'init'"),
    ("", "the component embeds no core module"),
    (f"{FIRST} (core instance (instantiate 0))", "imports 'not', which it is not given"),
    (f"{FIRST} (core instance (instantiate 3))", "refers to core module 3, and has 1 so far"),
    (
        f'{FIRST} (core module $m) (core instance $i (instantiate $m)) (alias core export $i "f" (core func))',
        "exports no function 'f'",
    ),
    (f'{FIRST} (alias export 4 "f" (func))', "refers to instance 4, and has 0 so far"),
    (f"{FIRST} (core func (canon resource.drop 9))", "refers to type 9, and has 0 so far"),
    (f"{FIRST} (type (resource (rep i32))) (core func (canon resource.new 0))", "the canonical function 0x2, which"),
    (
        f"{FIRST} (type (resource (rep i32))) (core func (canon resource.drop 0))",
        "drops a resource that is not imported",
    ),
    (f"{FIRST} (core module (memory 1)) ", "has a memory that it does not export"),
]


@pytest.mark.parametrize(("text", "reason"), LIES)
def test_what_a_component_may_not_be_is_named_before_it_is_compiled(
    engine: Engine, text: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[object] = []
    monkeypatch.setattr(CoreModules, "_compile", lambda *arguments: compiled.append(arguments))
    wasm = wat(text + (LIFTED if "init" not in reason and "no core module" not in reason else ""))
    with pytest.raises(BadModule) as caught:
        engine.load(wasm)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert compiled == []


LIFTED = """ (core module $l (memory (export "memory") 1) (func (export "init") (param i32 i32))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $l (instantiate $l))
  (func $init (param "our" string)
    (canon lift (core func $l "init") (memory (core memory $l "memory")) (realloc (core func $l "realloc"))))
  (export "init" (func $init))"""


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        (b"\1", "its texts in UTF-16"),
        (b"\2", "its texts in Latin-1 or UTF-16"),
        (b"\6", "a canonical option, 0x6, which"),
        (b"\x63", "a canonical option, 0x63, which"),
        (b"\3\0", "refers to core memory 0, and has 0 so far"),
        (b"\4\0", "refers to core function 0, and has 0 so far"),
        (b"\3\xff\xff\xff\xff\x7f", "has more than 32 bits"),
    ],
)
def test_an_unknown_canonical_option_is_refused(engine: Engine, option: bytes, reason: str) -> None:
    core = bytes(wasmtime.wat2wasm('(module (import "not" "offered" (func)))'))
    name = b"wasi:cli/stdin@0.2.0"
    imported = b"\1\0" + number(len(name)) + name + b"\5\0"
    alias = b"\1\1\0\0" + number(9) + b"get-stdin"
    lower = b"\1\1\0\0\1" + option
    with pytest.raises(BadModule) as caught:
        engine.load(assembled((1, core), (10, imported), (6, alias), (8, lower)))
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("section", "body", "reason"),
    [
        (9, b"\0\0\0", "a start function of its own"),
        (12, b"", "a section of an unknown kind, 12"),
        (2, b"\1\7", "a core instance of an unknown form"),
        (5, b"\1\7", "an instance of an unknown form"),
        (6, b"\1\1\7", "an alias of an unknown form"),
        (6, b"\1\x50", "of an unknown sort, 0x50"),
        (8, b"\1\x40", "the canonical function 0x40"),
        (10, b"\1\0\1x\x50", "of an unknown sort, 0x50"),
        (10, b"\xff\xff\xff\xff\x0f", "4294967295 definitions"),
        (10, b"\0\0", "is longer than what it defines"),
        (7, b"\xff\xff\xff\xff\x0f", "more types than its file has bytes"),
        (6, b"\1\3\2\1\0", "refers to what is around it"),
    ],
)
def test_a_component_that_lies_in_a_section_is_refused(engine: Engine, section: int, body: bytes, reason: str) -> None:
    core = bytes(wasmtime.wat2wasm('(module (import "not" "offered" (func)))'))
    with pytest.raises(BadModule) as caught:
        engine.load(assembled((1, core), (section, body)))
    assert reason in str(caught.value)


def test_a_core_module_that_is_given_a_function_of_another_type_ends_at_its_start(engine: Engine) -> None:
    wrong = ("stdin (param i64)", STDIN[1])
    trap = trap_of(engine, guest_component(IO, (wrong,), "(call $stdin (i64.const 1))"))
    assert "types incompatible: expected type" in str(trap)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_changed_in_a_component_nothing_but_a_refusal_comes_out(seed: int) -> None:
    chance, whole = random.Random(seed), guest_component(IO, (BLOCK, POLL, STDIN, LATER, DROP, RANDOM), "(nop)")
    for _ in range(300):
        wasm = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            wasm[chance.randrange(8, len(wasm))] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))
        with contextlib.suppress(BadModule):
            plan_untrusted(bytes(wasm))


def test_others_go_on_while_a_hostile_one_ends(engine: Engine) -> None:
    honest = loaded(engine, native_component(NECTAR.module))
    guest = honest.start(GuestConfig(OUR, 1 << 24, entropy=bytes, clock=lambda: 1))
    while guest.poll() is Poll.PREEMPTED:
        pass
    trap_of(engine, guest_component(IO, (BLOCK,), "(call $block (i32.const 1))"))
    guest.resume(arrival(Script(NECTAR).answer(b"alive").body()))
    while (state := guest.poll()) is Poll.PREEMPTED:
        pass
    assert state is Poll.RECEIVE
    assert guest.effects
