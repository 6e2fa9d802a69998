"""What a component takes of the node before it runs, and while its instances are made, is bounded (G23, G25)."""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path

import pytest
import wasmtime

from kernel.contract.errors import BadModule
from kernel.contract.guest import GuestConfig, Poll
from kernel.contract.limits import MAX_SECTIONS
from kernel.wasm.binary import component
from kernel.wasm.binary.component import (
    MAX_INSTANCE_PARTS,
    MAX_INSTANCES,
    MAX_ITEMS,
    MAX_MEMORIES,
    MAX_MODULES,
    MAX_OPTIONS,
    MAX_REALLOCS,
    plan_untrusted,
)
from kernel.wasm.engine import Engine
from kernel.wasm.fiber import LEAST_SLICE_SECONDS, Fiber
from kernel.wasm.wasi.state import WasiState
from tests.kernel.wasm.component_texts import assembled, guest_component, number, started, trap_of, wat
from tests.kernel.wasm.guests import NECTAR, OUR, arrival, poll
from tests.kernel.wasm.modules import HEADER, leb, section
from tests.kernel.wasm.native import BLOCK as BLOCK_IMPORT
from tests.kernel.wasm.native import SLEEP, native_component
from tests.kernel.wasm.puppet import Op, Script
from tests.kernel.wasm.test_components import native_call
from tests.kernel.wasm.test_hostile_components import IO, LATER, POLL, RANDOM, STDIN
from tests.seeds import sample

FIRST = bytes(wasmtime.wat2wasm('(module (import "not" "offered" (func)))'))
MAIN = bytes(
    wasmtime.wat2wasm("""(module (memory (export "memory") 1) (func (export "init") (param i32 i32))
  (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))""")
)
STDIN_IMPORT = b"\1\0" + number(20) + b"wasi:cli/stdin@0.2.0" + b"\5\0"
GET_STDIN = b"\1\1\0\0" + number(9) + b"get-stdin"


def name(text: str) -> bytes:
    return number(len(text)) + text.encode()


def globals_module(count: int) -> bytes:
    """A core module of nothing but globals."""
    return HEADER + section(6, leb(count) + b"\x7f\0\x41\7\x0b" * count)


def instantiated(module: bytes, times: int) -> bytes:
    """A component that makes so many instances of a module, and then one that does nothing."""
    instances = number(times + 1) + b"\0\1\0" * times + b"\0\2\0"
    exports = b"".join(
        kind + b"\1" + number(times) + name(text)
        for kind, text in ((b"\0\2", "memory"), (b"\0\0", "init"), (b"\0\0", "realloc"))
    )
    return assembled(
        (1, FIRST),
        (1, module),
        (1, MAIN),
        (2, instances),
        (6, number(3) + exports),
        (7, b"\1\x40\1\3our\x73\1\0"),
        (8, b"\1\0\0\0\2\3\0\4\1\0"),
        (11, b"\1\0" + name("init") + b"\1\0\0"),
    )


def refusal(wasm: bytes) -> str:
    with pytest.raises(BadModule) as caught:
        plan_untrusted(wasm)
    return str(caught.value)


# --- plans ------------------------------------------------------------------------------------------------------------


def test_instances_of_many_globals_are_refused_before_they_are_compiled() -> None:
    wasm = instantiated(globals_module(2000), 1 + MAX_INSTANCE_PARTS // 2000)
    assert refusal(wasm) == f"the core instances of the component have more than {MAX_INSTANCE_PARTS} parts"


def test_g23_making_instances_is_preempted_between_them(real: Engine) -> None:
    program = real.load(instantiated(globals_module(2500), 100))
    guest = program.start(GuestConfig(OUR, 1 << 24, entropy=bytes, clock=lambda: 1))
    slices = 0
    began = time.thread_time()
    while guest.poll() is Poll.PREEMPTED:
        slices += 1
    taken = time.thread_time() - began
    assert guest.end is not None
    assert guest.end.trap is None
    assert slices or taken < 4 * LEAST_SLICE_SECONDS, "it took longer than a slice, and was not interrupted"


@pytest.fixture
def few_definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(component, "MAX_DEFINITIONS", 4000)


@pytest.mark.usefixtures("few_definitions")
def test_what_is_read_one_by_one_is_bounded_over_all_sections() -> None:
    types = (10, number(1000) + b"\0\1x\3\1" * 1000)
    assert refusal(assembled((1, FIRST), *[types] * 5)) == "the component has more than 4000 definitions"


@pytest.mark.parametrize(
    "one", [b"\0\0" + number(1000) + b"\1x\3\0" * 1000, b"\1" + number(1000) + b"\0\1x\3\0" * 1000]
)
@pytest.mark.usefixtures("few_definitions")
def test_arguments_and_exports_of_instances_count_as_well(one: bytes) -> None:
    types = (10, b"\1\0\1x\3\1")
    reason = refusal(assembled((1, FIRST), types, *[(5, b"\1" + one)] * 5))
    assert reason == "the component has more than 4000 definitions"


def test_options_are_few() -> None:
    lower = b"\1\1\0\0" + number(MAX_OPTIONS + 1) + b"\0" * (MAX_OPTIONS + 1)
    wasm = assembled((1, FIRST), (10, STDIN_IMPORT), (6, GET_STDIN), (8, lower))
    assert refusal(wasm) == f"{MAX_OPTIONS + 1} options; {MAX_OPTIONS} is the limit"


@pytest.mark.parametrize("option", [b"\0", b"\3\0"])
def test_an_option_that_is_given_twice_is_refused(option: bytes) -> None:
    memory = bytes(wasmtime.wat2wasm('(module (memory (export "m") 1))'))
    made = ((1, memory), (2, b"\1\0\1\0"), (6, b"\1\0\2\1\0" + name("m")))
    lower = b"\1\1\0\0\2" + option * 2
    wasm = assembled((1, FIRST), *made, (10, STDIN_IMPORT), (6, GET_STDIN), (8, lower))
    assert refusal(wasm) == f"the component gives the canonical option {option[0]:#x} twice"


def test_functions_that_give_memory_are_few() -> None:
    count = MAX_REALLOCS + 1
    exports = "".join(f'(export "{i}" (func 0))' for i in range(count))
    module = bytes(wasmtime.wat2wasm(f"(module (func) {exports})"))
    aliases = number(count) + b"".join(b"\0\0\1\0" + name(str(i)) for i in range(count))
    lowers = number(count) + b"".join(b"\1\0\0\1\4" + number(i) for i in range(count))
    wasm = assembled(
        (1, FIRST), (1, module), (2, b"\1\0\1\0"), (10, STDIN_IMPORT), (6, GET_STDIN), (6, aliases), (8, lowers)
    )
    assert refusal(wasm) == f"the component has more than {MAX_REALLOCS} functions that give memory"


def test_memories_are_few_since_each_takes_address_space() -> None:
    memory = bytes(wasmtime.wat2wasm('(module (memory (export "m") 0))'))
    count = MAX_MEMORIES + 1
    wasm = assembled((1, FIRST), (1, memory), (2, number(count) + b"\0\1\0" * count))
    assert refusal(wasm) == f"the component has more than {MAX_MEMORIES} memories"


def test_a_memory_that_instances_hand_on_is_found_at_once() -> None:
    hands_on = '(module (import "x" "m" (memory 1)) (export "m" (memory 0)))'
    modules = [(1, bytes(wasmtime.wat2wasm(text))) for text in ('(module (memory (export "m") 1))', hands_on)]
    chain = b"\0\1\0" + b"".join(b"\0\2\1\1x\x12" + number(i) for i in range(250))
    lowers = number(20_000) + b"\1\0\0\1\3\0" * 20_000
    wasm = assembled(
        (1, FIRST),
        *modules,
        (2, number(251) + chain),
        (6, b"\1\0\2\1" + number(250) + name("m")),
        (10, STDIN_IMPORT),
        (6, GET_STDIN),
        (8, lowers),
    )
    began = time.thread_time()
    assert refusal(wasm) == "it exports no function of the name 'init'"
    assert time.thread_time() - began < 2


def test_a_core_module_with_a_section_twice_is_refused() -> None:
    twice = HEADER + section(7, leb(0)) * 2
    assert refusal(assembled((1, FIRST), (1, twice))) == "a core module has section 7 twice"


@pytest.mark.parametrize(
    ("lowered", "missing"),
    [
        (("poll (param i32 i32 i32)", '(core func $poll (canon lower (func $poll "poll")))'), "a memory"),
        (
            ("poll (param i32 i32 i32)", '(core func $poll (canon lower (func $poll "poll") (memory $mem)))'),
            "a function that gives memory",
        ),
    ],
)
def test_a_function_that_lacks_an_option_it_needs_is_refused(
    engine: Engine, lowered: tuple[str, str], missing: str
) -> None:
    with pytest.raises(BadModule) as caught:
        engine.load(guest_component(IO, (lowered,), ""))
    assert str(caught.value) == f"it calls 'poll' of 'wasi:io/poll@0.2.3' without {missing}, which that needs"


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ([(1, HEADER)] * (MAX_MODULES + 1), f"the component has more than {MAX_MODULES} core modules"),
        (
            [(1, HEADER), (2, number(MAX_INSTANCES + 1) + b"\0\1\0" * (MAX_INSTANCES + 1))],
            f"the component has more than {MAX_INSTANCES} core instances",
        ),
        ([(4, b"")] * (MAX_ITEMS - 1), f"the file has more than {MAX_SECTIONS} sections"),
        ([(3, number(MAX_ITEMS + 1))], f"the component has more than {MAX_ITEMS} core types"),
        ([(0, bytes(9))] * 10, "it exports no function of the name 'init'"),
    ],
)
def test_ten_thousand_of_anything_are_refused(sections: list[tuple[int, bytes]], reason: str) -> None:
    assert refusal(assembled((1, FIRST), (1, HEADER), *sections)) == reason


def test_g23_one_that_only_calls_the_host_gives_the_poll_back_by_fuel_too(engine: Engine) -> None:
    calls = 0

    def clock() -> int:
        nonlocal calls
        calls += 1
        return 1

    now = ("now (result i64)", '(core func $now (canon lower (func $clock "now")))')
    program = engine.load(guest_component(IO, (now,), "(loop $more (drop (call $now)) (br $more))"))
    guest = program.start(GuestConfig(OUR, 1 << 24, entropy=bytes, clock=clock))
    for _ in range(3):
        calls = 0
        assert guest.poll() is Poll.PREEMPTED
        assert calls <= 4096
    guest.close()


# --- what stays of a guest and of a program ---------------------------------------------------------------------------


def mappings() -> int:
    return len(Path("/proc/self/maps").read_text().splitlines())


def test_of_a_component_that_is_no_longer_in_use_nothing_stays_mapped() -> None:
    engine = Engine(None, replayable=True)

    def load(count: int) -> int:
        for i in range(count):
            assert trap_of(engine, wat(str(i).join(NOTHING))) is None
        gc.collect()
        return mappings()

    before = load(3)
    assert load(20) - before < 10


@pytest.mark.parametrize("killed", sample(["spinning", "receiving", "new", "asleep", "awaiting"], 2))
def test_g23_of_a_guest_that_is_killed_nothing_stays(real: Engine, tmp_path: Path, killed: str) -> None:
    program = real.load(native_component(NECTAR.module))
    script = {
        "asleep": native_call(native_call(Script(NECTAR), SLEEP, 10**12), BLOCK_IMPORT, 1),
        "awaiting": Script(NECTAR).call("send-and-await-response", OTHER, (False, 5, b"", None, ()), None),
        "spinning": Script(NECTAR).do(Op.SPIN),
    }

    def kill() -> None:
        guest = program.start(GuestConfig(OUR, 1 << 24, drive=str(tmp_path)))
        assert isinstance(guest, Fiber)
        if killed != "new":
            assert poll(guest) is Poll.RECEIVE
        if killed in script:
            guest.resume(arrival(script[killed].body()))
            if killed == "spinning":
                assert guest.poll() is Poll.PREEMPTED
            else:
                assert poll(guest) is Poll.CALL
        guest.close()

    def kept() -> tuple[int, int, int]:
        """The node's descriptors, mappings and guests."""
        gc.collect()
        living = sum(isinstance(each, Fiber | WasiState) for each in gc.get_objects())
        return len(os.listdir("/proc/self/fd")), mappings(), living

    for _ in range(2):
        kill()
    before = kept()
    for _ in range(20):
        kill()
    after = kept()
    assert after[0] <= before[0]  # fewer: what tests before this one had left was collected meanwhile
    assert after[1] < before[1] + 10
    assert after[2] <= before[2]


OTHER = ("our", ("other", "test", "sys"))
NOTHING = (
    """(core module $first (import "not" "offered" (func)))
  (core module $l (memory (export "memory") 1) (func (export "init") (param i32 i32) (drop (i32.const """,
    """)))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
  (core instance $l (instantiate $l))
  (func $init (param "our" string)
    (canon lift (core func $l "init") (memory (core memory $l "memory")) (realloc (core func $l "realloc"))))
  (export "init" (func $init))""",
)


# --- inside a function that gives memory ------------------------------------------------------------------------------


def reallocating(body: str, main: str = "") -> bytes:
    """A component whose `init` asks for randomness, for which its own `realloc` does `body` the second time."""
    return wat(f"""(core module $first (import "not" "offered" (func)))
  {IO}
  (core module $shim (table (export "t") 1 funcref) (memory (export "memory") 2)
    (type $realloc (func (param i32 i32 i32 i32) (result i32)))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (call_indirect (type $realloc)
        (local.get 0) (local.get 1) (local.get 2) (local.get 3) (i32.const 0))))
  (core instance $s (instantiate $shim))
  (alias core export $s "memory" (core memory $mem))
  (alias core export $s "realloc" (core func $realloc))
  {STDIN[1]} {LATER[1]} {RANDOM[1]} {POLL[1]}
  (core func $drop (canon resource.drop $pollable))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core module $code
    (import "s" "memory" (memory 2)) (import "s" "t" (table 1 funcref))
    (import "host" "stdin" (func $stdin (result i32)))
    (import "host" "later" (func $later (param i64) (result i32)))
    (import "host" "random" (func $random (param i64 i32)))
    (import "host" "drop" (func $drop (param i32)))
    (import "host" "block" (func $block (param i32)))
    (global $wild (mut i32) (i32.const 0))
    {main}
    (func $mine (param i32 i32 i32 i32) (result i32)
      (if (global.get $wild) (then {body})) (i32.const 1024))
    (elem (i32.const 0) func $mine)
    (func (export "init") (param i32 i32)
      (global.set $wild (i32.const 1))
      (call $random (i64.const 16) (i32.const 16))
      (if (i32.ne (i32.load (i32.const 20)) (i32.const 16)) (then unreachable))))
  (core instance $host (export "stdin" (func $stdin)) (export "later" (func $later)) (export "random" (func $random))
    (export "drop" (func $drop)) (export "block" (func $block)))
  (core instance $main (instantiate $code (with "host" (instance $host)) (with "s" (instance $s))))
  (func $init (param "our" string)
    (canon lift (core func $main "init") (memory $mem) (realloc $realloc)))
  (export "init" (func $init))""")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("(drop (call $stdin))", "called from inside cabi_realloc"),
        ("(call $block (call $later (i64.const 1000)))", "called from inside cabi_realloc"),
        ("(call $random (i64.const 16) (i32.const 16))", "called from inside cabi_realloc"),
        ("(call $drop (i32.const 1))", "called from inside cabi_realloc"),
        ("(return (i32.const -1))", "lies outside the memory"),
        ("(return (i32.const 131064))", "lies outside the memory"),
        ("unreachable", "unreachable"),
        ("(drop (call $mine (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))", "call stack exhausted"),
        ("(drop (memory.grow (i32.const 1))) (return (i32.const 131072))", None),
        ("(return (i32.const 131056))", None),
        ("(return (i32.const 131055))", None),
    ],
)
def test_whatever_a_function_that_gives_memory_does_only_its_guest_is_harmed(
    engine: Engine, body: str, reason: str | None
) -> None:
    trap = trap_of(engine, reallocating(body))
    assert trap is reason or str(reason) in str(trap)


def test_g23_one_that_spins_there_is_preempted_and_killed(engine: Engine) -> None:
    guest = started(engine, reallocating("(loop $for_ever (br $for_ever))"))
    assert [guest.poll() for _ in range(5)] == [Poll.PREEMPTED] * 5
    guest.close()
    assert guest.poll() is Poll.ENDED
