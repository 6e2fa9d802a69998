"""Guests that note their basic blocks: which they tell, and that they do, see and cost nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st

from kernel.contract.errors import BadModule
from kernel.contract.guest import GuestConfig, Poll, Print
from kernel.wasm.binary.blocks import EXPORT, MAX_BLOCKS, with_blocks_untrusted
from kernel.wasm.binary.module import core_module_untrusted
from kernel.wasm.engine import Engine
from kernel.wasm.fiber import Fiber
from tests.kernel.wasm.guests import GUESTS, MEMORY, OUR, arrival, loaded, receiver, wat
from tests.kernel.wasm.test_hostile_modules import mutate

PRINT = "(call $print-to-terminal (i32.const 0) (local.get $our) (local.get $size))"
LONG = f"""(local $left i32)
  (local.set $left (i32.const 4000001))
  (loop $again
    (if (i32.eqz (i32.rem_u (local.get $left) (i32.const 1000000))) (then {PRINT}))
    (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))"""
"""Several slices of rounds, and a line in some of them."""


@pytest.fixture(scope="module")
def noting() -> Iterator[Engine]:
    engine = Engine(None, replayable=True, notes_blocks=True)
    yield engine
    engine.close()


def start(engine: Engine, wasm: bytes, told: list[bytes] | None = None) -> Fiber:
    blocks = None if told is None else told.append
    guest = loaded(engine, wasm).start(GuestConfig(OUR, MEMORY, blocks=blocks))
    assert isinstance(guest, Fiber)
    return guest


def life(guest: Fiber) -> list[object]:
    """Each poll of a guest, with what it did in it."""
    polls: list[object] = []
    while guest.end is None and len(polls) < 1000:
        polls.append((guest.poll(), tuple(guest.effects)))
        guest.effects.clear()
        if polls[-1] == (Poll.RECEIVE, ()):
            break
    return polls


def test_slices_end_where_they_end_without_it(replayable: Engine, noting: Engine) -> None:
    program, told = wat(LONG, "print-to-terminal"), list[bytes]()
    plain, noted = life(start(replayable, program)), life(start(noting, program, told))
    assert len(plain) > 5
    assert noted == plain
    assert len(told) == len(plain), "each poll passes through some"


def test_each_side_of_a_condition_is_told_in_the_poll_in_which_it_was_passed(noting: Engine) -> None:
    told = list[bytes]()
    guest = start(noting, receiver(), told)
    assert guest.poll() is Poll.RECEIVE
    guest.resume(arrival())
    assert guest.poll() is Poll.RECEIVE
    before, after = told
    assert len(before) == len(after)
    assert sum(before) > 0
    assert before != after
    guest.poll()
    assert len(told) == 2, "a guest that waits passes through none"


def test_the_last_blocks_of_a_guest_that_traps_are_told_and_the_trap_is_the_same(
    replayable: Engine, noting: Engine
) -> None:
    program, told = wat("(if (local.get $size) (then (unreachable)))"), list[bytes]()
    plain, noted = start(replayable, program), start(noting, program, told)
    assert life(noted) == life(plain)
    assert noted.end == plain.end
    assert len(told) == 1


def test_what_a_guest_has_of_its_memory_is_bounded_as_without_it(replayable: Engine, noting: Engine) -> None:
    grows = f"(loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) {PRINT}"
    program = wat(grows, "print-to-terminal")
    plain, noted = start(replayable, program), start(noting, program, [])
    assert life(noted) == life(plain)
    assert noted.statistics() == plain.statistics()


@pytest.mark.parametrize("path", sorted(GUESTS.glob("*.wasm")), ids=lambda path: path.stem)
def test_every_guest_of_the_tests_is_valid_with_it(path: Path) -> None:
    module = core_module_untrusted(path.read_bytes())
    noting = with_blocks_untrusted(module)
    assert noting != module
    wasmtime.Module.validate(_with_several_memories(), noting)


def _with_several_memories() -> wasmtime.Engine:
    configuration = wasmtime.Config()
    configuration.wasm_multi_memory = True
    return wasmtime.Engine(configuration)


def test_a_module_with_instructions_that_are_not_known_here_stays_as_it_is() -> None:
    throws = '(module (tag $t) (memory (export "memory") 1) (func (export "init") (throw $t)))'
    module = bytes(wasmtime.wat2wasm(throws))
    assert with_blocks_untrusted(module) == module


def test_a_module_with_more_blocks_than_are_counted_stays_as_it_is() -> None:
    def module(blocks: int) -> bytes:
        body = "(block)" * blocks
        return bytes(wasmtime.wat2wasm(f'(module (memory (export "memory") 1) (func (export "init") {body}))'))

    assert with_blocks_untrusted(module(MAX_BLOCKS - 1)) != module(MAX_BLOCKS - 1)
    assert with_blocks_untrusted(module(MAX_BLOCKS)) == module(MAX_BLOCKS)


def test_a_module_that_takes_the_name_is_refused() -> None:
    module = bytes(wasmtime.wat2wasm(f'(module (memory (export "{EXPORT}7") 1) (func (export "init")))'))
    with pytest.raises(BadModule, match="an export that begins with 'nectar blocks '"):
        with_blocks_untrusted(module)


@given(st.data())
def test_a_module_that_is_broken_anywhere_raises_bad_module_or_is_left_to_wasmtime(data: st.DataObject) -> None:
    wasm = bytearray(wat(LONG, "print-to-terminal"))
    mutate(data, wasm)
    with suppress(BadModule):
        with_blocks_untrusted(bytes(wasm))


def test_lines_are_those_of_the_program(noting: Engine) -> None:
    guest = start(noting, wat(PRINT, "print-to-terminal"), [])
    assert life(guest)[-1] == (Poll.ENDED, (Print(0, str(OUR)),))
