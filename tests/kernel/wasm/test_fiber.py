"""The life of a guest: polls, pre-emption, traps, limits, kills; with both ways to pre-empt."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from time import perf_counter

import pytest
import wasmtime

from kernel.contract import limits
from kernel.contract.guest import Arrival, End, Poll, Print, SendRequest, SendResponse
from kernel.contract.message import LazyLoadBlob, Request, Response
from kernel.wasm.engine import Engine
from kernel.wasm.fiber import LEAST_SLICE_SECONDS, MOST_SLICE_SECONDS, Fiber
from kernel.wasm.ticker import TICK_SECONDS, Ticker
from tests.kernel.wasm.guests import (
    GUESTS,
    MEMORY,
    NECTAR,
    OTHER,
    OUR,
    RECEIVED,
    RESULT,
    arrival,
    caller,
    poll,
    receiver,
    result,
    start,
    wat,
)

SPIN = "(loop $for_ever (br $for_ever))"


def trap_of(guest: Fiber) -> str:
    assert poll(guest) is Poll.ENDED
    assert guest.end is not None
    assert guest.end.trap is not None
    return guest.end.trap


def test_nothing_runs_before_the_first_poll(engine: Engine) -> None:
    guest = start(engine, wat("(unreachable)"))
    assert (guest.end, guest.effects, guest.statistics().polls) == (None, [], 0)


def test_a_guest_that_returns_ends_without_a_trap(engine: Engine) -> None:
    guest = start(engine, wat("(nop)"))
    assert poll(guest) is Poll.ENDED
    assert guest.end == End(None)
    assert guest.poll() is Poll.ENDED


def test_init_gets_the_text_of_the_address(engine: Engine) -> None:
    body = "(call $print-to-terminal (i32.const 0) (local.get $our) (local.get $size))"
    guest = start(engine, wat(body, "print-to-terminal"))
    poll(guest)
    assert guest.effects == [Print(0, "our.nec@self:test:sys")]


def test_initialize_runs_before_init(engine: Engine) -> None:
    extra = """(global $ready (mut i32) (i32.const 0))
      (func (export "_initialize") (global.set $ready (i32.const 1)))"""
    guest = start(engine, wat("(if (i32.eqz (global.get $ready)) (then (unreachable)))", extra=extra))
    assert poll(guest) is Poll.ENDED
    assert guest.end == End(None)


def test_a_waiting_guest_stays_as_it_is_however_often_it_is_polled(engine: Engine) -> None:
    guest = start(engine, receiver())
    assert poll(guest) is Poll.RECEIVE
    polls = guest.statistics().polls
    assert [guest.poll() for _ in range(3)] == [Poll.RECEIVE] * 3
    assert guest.statistics().polls == polls


def test_the_guest_does_not_run_in_resume(engine: Engine) -> None:
    guest = start(engine, wat("(call $receive (i32.const 2048)) (unreachable)", "receive"))
    poll(guest)
    guest.resume(arrival())
    assert guest.end is None
    assert "unreachable" in trap_of(guest)


ENDLESS_ALLOCATOR = f"""(module (memory (export "memory") 1) (func (export "init") (param i32 i32))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {SPIN} (unreachable)))"""


@pytest.mark.parametrize(
    "wasm",
    [
        wat(SPIN),
        wat("(nop)", extra=f"(func $start {SPIN}) (start $start)"),
        wat("(nop)", extra=f'(func (export "_initialize") {SPIN})'),
        bytes(wasmtime.wat2wasm(ENDLESS_ALLOCATOR)),
    ],
    ids=["init", "start", "_initialize", "cabi_realloc"],
)
def test_whatever_is_endless_gives_the_poll_back_each_time(engine: Engine, wasm: bytes) -> None:
    guest = start(engine, wasm)
    assert [guest.poll() for _ in range(3)] == [Poll.PREEMPTED] * 3
    guest.close()


def test_with_fuel_the_same_guest_takes_the_same_polls(replayable: Engine) -> None:
    body = """(local $i i32) (loop $more
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 5000000))))"""
    counts = []
    for _ in range(2):
        guest = start(replayable, wat(body))
        assert poll(guest) is Poll.ENDED
        counts.append(guest.statistics().polls)
    assert counts[0] == counts[1] > 2


@pytest.mark.parametrize("wasm", [wat(SPIN), receiver(), wat("(nop)", extra=f"(func $s {SPIN}) (start $s)")])
@pytest.mark.parametrize("polls", [0, 1])
def test_a_guest_can_be_closed_in_any_state_and_gives_its_statistics(engine: Engine, wasm: bytes, polls: int) -> None:
    guest = start(engine, wasm)
    for _ in range(polls):
        guest.poll()
    guest.close()
    guest.close()
    assert guest.poll() is Poll.ENDED
    assert guest.end == End("killed")
    assert guest.statistics().memory_bytes in (0, 4 * 65536)


def test_a_guest_can_be_closed_with_an_answer_under_way(engine: Engine) -> None:
    guest = start(engine, receiver())
    poll(guest)
    guest.resume(arrival(bytes(100_000)))
    guest.close()
    assert guest.poll() is Poll.ENDED


@pytest.mark.parametrize(
    ("wasm", "reason"),
    [
        (
            wat("(call $broken)", extra="(func $broken (unreachable))"),
            "wasm trap: wasm `unreachable` instruction executed in function broken",
        ),
        (wat("(nop)", extra="(func $s (unreachable)) (start $s)"), "unreachable"),
        (wat("(call $down)", extra="(func $down (call $down))"), "call stack exhausted"),
        (wat("(drop (i32.div_u (i32.const 1) (i32.const 0)))"), "divide by zero"),
    ],
    ids=["init", "start", "recursion", "division"],
)
def test_a_trap_ends_the_guest_and_says_what_and_where(engine: Engine, wasm: bytes, reason: str) -> None:
    assert reason in trap_of(start(engine, wasm))


def test_a_guest_that_starts_with_more_memory_than_it_may_have_ends_at_once(engine: Engine) -> None:
    assert "exceeds memory limits" in trap_of(start(engine, wat("(nop)"), memory=3 * 65536))


def grows(what: str, by: int, grown: int) -> str:
    """Traps unless growing by so much gives that."""
    return f"(if (i32.ne ({what} (i32.const {by})) (i32.const {grown})) (then (unreachable)))"


@pytest.mark.parametrize(
    ("body", "memory", "extra"),
    [
        (grows("memory.grow", 5, -1) + grows("memory.grow", 4, 4), 8 * 65536, ""),
        (grows("memory.grow", (limits.MAX_MEMORY_BYTES >> 16) - 3, -1), 1 << 40, ""),
        (grows("table.grow $t (ref.null func)", limits.MAX_TABLE_ELEMENTS, -1), MEMORY, "(table $t 1 funcref)"),
    ],
    ids=["memory", "memory that no configuration gives", "table"],
)
def test_what_goes_beyond_a_limit_is_refused_to_the_guest_and_no_trap(
    engine: Engine, body: str, memory: int, extra: str
) -> None:
    guest = start(engine, wat(body, extra=extra), memory=memory)
    assert poll(guest) is Poll.ENDED
    assert guest.end == End(None)
    assert guest.statistics().memory_bytes in (4 * 65536, 8 * 65536)


def test_a_guest_can_be_polled_from_another_thread_while_it_spins_and_waits(engine: Engine) -> None:
    guest = start(engine, wat(f"(call $receive (i32.const 2048)) {SPIN}", "receive"))
    states = [poll(guest)]
    guest.resume(arrival())
    thread = threading.Thread(target=lambda: states.append(guest.poll()))
    thread.start()
    thread.join()
    states.append(guest.poll())
    guest.close()
    assert states == [Poll.RECEIVE, Poll.PREEMPTED, Poll.PREEMPTED]


def test_two_threads_poll_two_guests_and_effects_stay_apart(engine: Engine) -> None:
    body = """(local $i i32) (loop $more
      (call $print-to-terminal (i32.const 0) (local.get $our) (i32.const 3))
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 900))))"""
    guests = [start(engine, wat(body, "print-to-terminal"), our=our) for our in (OUR, OTHER)]
    threads = [threading.Thread(target=poll, args=[guest]) for guest in guests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [set(guest.effects) for guest in guests] == [{Print(0, "our")}, {Print(0, "oth")}]
    assert [len(guest.effects) for guest in guests] == [900, 900]


def test_time_spent_in_polls_is_counted_where_there_is_a_clock(engine: Engine) -> None:
    guest = start(engine, wat(SPIN))
    guest.poll()
    seconds = guest.statistics().cpu_seconds
    assert seconds is None if engine.replayable else seconds and seconds > 0
    guest.close()


def test_an_answer_nobody_waits_for_is_a_bug_of_ours(engine: Engine) -> None:
    guest = start(engine, receiver())
    with pytest.raises(AssertionError, match="waits for no answer"):
        guest.resume(arrival())
    guest.close()


def test_its_repr_shows_who_and_what(engine: Engine) -> None:
    guest = start(engine, receiver())
    poll(guest)
    assert re.fullmatch(r"<Fiber our\.nec@self:test:sys RECEIVE, \d+ polls, 0 effects>", repr(guest))


@pytest.mark.parametrize("name", ["echo.wasm", "echo.component.wasm"])
def test_a_compiled_guest_answers_requests(engine: Engine, name: str) -> None:
    guest = start(engine, (GUESTS / name).read_bytes())
    assert poll(guest) is Poll.RECEIVE
    for body in (b"one", b"", bytes(5000)):
        guest.resume(arrival(body))
        assert poll(guest) is Poll.RECEIVE
        assert guest.effects == [SendResponse(Response(False, body), None)]
        guest.effects.clear()


@pytest.mark.parametrize(("limited", "grown"), [((), 4), ((True,), -1), ((True, False), 4)])
def test_a_guest_whose_memory_is_limited_gets_no_more_until_it_is_not(
    engine: Engine, limited: tuple[bool, ...], grown: int
) -> None:
    body = f"(call $receive (i32.const 2048)) {grows('memory.grow', 1, grown)}"
    guest = start(engine, wat(body, "receive"), memory=8 * 65536)
    assert poll(guest) is Poll.RECEIVE
    for each in limited:
        guest.limit_memory(each)
    guest.resume(arrival())
    assert poll(guest) is Poll.ENDED
    assert guest.end == End(None)


def test_two_compiled_guests_play_ping_pong_without_growing(engine: Engine) -> None:
    wasm = (GUESTS / "echo.component.wasm").read_bytes()
    echo = start(engine, wasm)
    ping = start(engine, wasm, our=OUR._replace(process=OUR.process._replace(process="ping")))
    poll(echo)
    poll(ping)
    sizes = []
    for _ in range(500):
        sizes.append(ping.statistics().memory_bytes)
        (request,) = ping.effects
        ping.effects.clear()
        assert isinstance(request, SendRequest)
        assert (request.target.node, request.request.expects_response, request.request.body) == ("our", 30, bytes(100))
        echo.resume(Arrival(ping.config.our, request.request, None, None))
        poll(echo)
        (response,) = echo.effects
        echo.effects.clear()
        assert isinstance(response, SendResponse)
        ping.resume(Arrival(echo.config.our, response.response, None, None))
        assert poll(ping) is Poll.RECEIVE
    # Its allocator takes its first pages in the first rounds.
    assert set(sizes[250:]) == {sizes[-1]}


def test_a_large_body_and_blob_reach_their_final_place(engine: Engine) -> None:
    content = bytes(range(256)) * 4096
    function = NECTAR.function("get-blob")
    receive = NECTAR.function("receive")
    assert function
    assert receive
    guest = start(engine, caller(NECTAR, function))
    poll(guest)
    guest.memory[512:520] = RESULT.to_bytes(8, "little")
    guest.resume(Arrival(OTHER, Request(False, None, content), None, LazyLoadBlob(None, memoryview(content))))
    assert poll(guest) is Poll.RECEIVE
    assert result(guest, function) == (None, content)
    assert result(guest, receive, RECEIVED)[1][1][1][2] == content
    assert guest.statistics().blob_bytes_loaded == len(content)


def test_g23_a_tick_that_falls_into_a_short_poll_does_not_end_its_slice() -> None:
    engine = Engine(None, replayable=False)
    guest = start(engine, wat(SPIN))
    for _ in range(20):
        used, now = guest.statistics().cpu_seconds, perf_counter()
        while perf_counter() < now + 0.8 * TICK_SECONDS:
            pass  # the last poll ended with a tick, and the next one is near
        assert guest.poll() is Poll.PREEMPTED
        after = guest.statistics().cpu_seconds
        assert used is not None
        assert after is not None
        assert after - used > LEAST_SLICE_SECONDS
    guest.close()
    engine.close()


@pytest.mark.parametrize(("used", "least"), [(lambda: 0.0, MOST_SLICE_SECONDS), (perf_counter, LEAST_SLICE_SECONDS)])
def test_g23_ticks_while_others_have_the_processor_end_no_slice_at_once(
    used: Callable[[], float], least: float
) -> None:
    """A slice is the guest's own time; but one that waits for a disk, and uses none, does not go on for ever."""
    engine = Engine(None, replayable=False)
    engine.ticker = Ticker(engine._tick, used)
    guest = start(engine, wat(SPIN))
    for _ in range(3):
        began = perf_counter()
        assert guest.poll() is Poll.PREEMPTED
        assert perf_counter() - began > least
    guest.close()
    engine.close()
