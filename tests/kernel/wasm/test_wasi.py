from __future__ import annotations

import itertools
import struct
from collections.abc import Callable

import pytest

from kernel.contract import limits
from kernel.contract.address import Address, ProcessId
from kernel.contract.guest import End, GuestConfig, Poll, Print, Sleep
from kernel.wasm.engine import Engine
from kernel.wasm.fiber import Fiber
from tests.kernel.wasm.guests import GUESTS, MEMORY, OUR, loaded, poll, wat
from tests.kernel.wasm.guests import start as start_plain

WASM = (GUESTS / "output.wasm").read_bytes()
WRITE = '(import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))'


def entropy(count: int) -> bytes:
    return b"\x2a" * count


def clock() -> int:
    return 7_000_000_000


def started(engine: Engine, name: str, drive: str | None = None) -> Fiber:
    ours: tuple[Callable[[int], bytes] | None, Callable[[], int] | None] = (None, None)
    if engine.replayable:
        ours = entropy, clock
    our = Address("our.nec", ProcessId(name, "test", "sys"))
    guest = loaded(engine, WASM).start(GuestConfig(our, MEMORY, *ours, drive))
    assert isinstance(guest, Fiber)
    return guest


def ended(engine: Engine, name: str, drive: str | None = None) -> Fiber:
    guest = started(engine, name, drive)
    assert poll(guest) is Poll.ENDED
    return guest


def test_what_a_guest_says_before_it_aborts_is_not_lost(engine: Engine) -> None:
    guest = ended(engine, "abort")
    assert guest.effects == [Print(0, "panicked")]
    assert guest.end is not None
    assert "unreachable" in str(guest.end.trap)


def test_any_other_exit_is_a_trap_that_gives_the_code(engine: Engine) -> None:
    assert ended(engine, "exit3").end == End("exited with code 3")


def test_a_flood_of_lines_is_throttled_and_none_is_lost(engine: Engine) -> None:
    guest = started(engine, "flood")
    while len(guest.effects) < limits.MAX_EFFECTS:
        assert guest.poll() is Poll.PREEMPTED
    assert guest.poll() is Poll.PREEMPTED
    assert len(guest.effects) == limits.MAX_EFFECTS
    poll(guest)
    assert guest.effects == [Print(1, "line")] * 3000


def test_sleeping_does_not_block_whoever_polls(engine: Engine) -> None:
    guest = started(engine, "sleep")
    assert poll(guest) is Poll.CALL
    (sleep,) = guest.effects
    assert isinstance(sleep, Sleep)
    guest.effects.clear()
    guest.resume(None)
    assert poll(guest) is Poll.ENDED
    assert guest.effects == [Print(0, "slept")]


def test_in_replayable_runs_clock_and_randomness_are_given(replayable: Engine) -> None:
    assert ended(replayable, "random").effects == [Print(0, "2a" * 8), Print(0, "0700000000000000")]


CLOCKS = WRITE + '(import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))'


def clock_answers(engine: Engine, kind: int) -> tuple[int, bytes]:
    """The error and the time that a guest gets for a clock."""
    body = f"{_ASK_CLOCK.format(kind=kind)} (call $receive (i32.const 2048))"
    guest = loaded(engine, wat(body, "receive", imports=CLOCKS)).start(
        GuestConfig(OUR, MEMORY, entropy, clock, monotonic=lambda: 5)
    )
    assert isinstance(guest, Fiber)
    assert poll(guest) is Poll.RECEIVE
    guest.memory_grew()
    return guest.memory[200], bytes(guest.memory[128:136])


_ASK_CLOCK = "(i32.store8 (i32.const 200) (call $clock (i32.const {kind}) (i64.const 1) (i32.const 128)))"


def test_in_replayable_runs_the_wall_clock_and_the_monotonic_one_are_two(replayable: Engine) -> None:
    assert clock_answers(replayable, 0) == (0, struct.pack("<q", clock()))
    assert clock_answers(replayable, 1) == (0, struct.pack("<q", 5))


def test_g23_calls_count_in_a_slice_of_fuel_so_that_one_ends_soon(replayable: Engine) -> None:
    calls = itertools.count()
    body = "(loop $again (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 128))) (br $again))"
    config = GuestConfig(OUR, MEMORY, entropy, clock, monotonic=lambda: next(calls))
    guest = loaded(replayable, wat(body, imports=CLOCKS)).start(config)
    for _ in range(3):
        assert guest.poll() is Poll.PREEMPTED
    guest.close()
    assert next(calls) <= 3 * 4096


@pytest.mark.parametrize("kind", [2, 3])
def test_there_is_no_clock_of_processor_time(engine: Engine, kind: int) -> None:
    assert clock_answers(engine, kind)[0] == 8


@pytest.mark.parametrize(
    ("vectors", "count", "written"),
    [(-8, 1, 0), (0, 1, -2), (65536 * 4, 1, 0), (64, 1, 0)],
)
def test_hostile_pointers_to_fd_write_end_the_guest(engine: Engine, vectors: int, count: int, written: int) -> None:
    # At 64 lies a vector that points outside the memory.
    body = f"""(i32.store (i32.const 64) (i32.const -4)) (i32.store (i32.const 68) (i32.const 8))
      (drop (call $fd_write (i32.const 1) (i32.const {vectors}) (i32.const {count}) (i32.const {written})))"""
    guest = start_plain(engine, wat(body, imports=WRITE))
    assert poll(guest) is Poll.ENDED
    assert guest.end is not None
    assert str(guest.end.trap).startswith("fd_write: the buffer lies outside the memory")


def test_too_many_vectors_are_an_error_for_the_guest(engine: Engine) -> None:
    body = """(if (i32.ne (call $fd_write (i32.const 1) (i32.const 0) (i32.const 5000) (i32.const 0)) (i32.const 28))
      (then (unreachable)))"""
    guest = start_plain(engine, wat(body, imports=WRITE))
    assert poll(guest) is Poll.ENDED
    assert guest.end == End(None)


def test_one_write_takes_no_more_than_a_print_may_have(engine: Engine) -> None:
    body = f"""(i32.store (i32.const 64) (i32.const 70000)) (i32.store (i32.const 68) (i32.const 180000))
      (if (i32.ne (call $fd_write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 80)) (i32.const 0))
        (then (unreachable)))
      (if (i32.ne (i32.load (i32.const 80)) (i32.const {limits.MAX_PRINT_BYTES})) (then (unreachable)))"""
    guest = start_plain(engine, wat(body, imports=WRITE))
    assert poll(guest) is Poll.ENDED
    assert guest.end == End(None)
    assert guest.effects == [Print(1, "\0" * limits.MAX_PRINT_BYTES)]
