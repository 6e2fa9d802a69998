"""Components that need WASI 0.2 itself, each on a thread of its own: the same promises as on a fiber."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wasmtime

from kernel.contract import limits
from kernel.contract.errors import BadModule
from kernel.contract.events import Kill
from kernel.contract.guest import End, GuestConfig, GuestStatistics, Poll, Print, SendResponse
from kernel.wasm.engine import Engine
from kernel.wasm.threaded import ThreadedGuest
from kernel.wasm.wit import INTERFACES, Kind
from tests.kernel.wasm.guests import NECTAR, OUR, arrival, loaded
from tests.kernel.wasm.native import BLOCK, ENVIRONMENT, EXIT, RANDOM, SLEEP, STDOUT, WRITE, native_component, number_of
from tests.kernel.wasm.node import Node, pid
from tests.kernel.wasm.puppet import ALL_TYPES, ARGUMENTS, FLAT_RESULT, HEAP, VERSIONS, Import, Op, Script, dumped
from tests.kernel.wasm.shapes import ANSWER, answers, expected_effects, honest, look_up, shapes_of_params

MEMORY = 64 << 20
PATIENCE = 60
"""Seconds that a thread may take to notice something on a loaded machine."""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(None, replayable=False)
    yield engine
    engine.close()


@pytest.fixture
def node(engine: Engine) -> Iterator[Node]:
    node = Node()
    node.start("native", loaded(engine, native_component(NECTAR.module)))
    yield node
    node.close()


def native_call(script: Script, wanted: Import, *numbers: int) -> Script:
    return script.raw(number_of(NECTAR.module, wanted), numbers)


def started(engine: Engine, module: str = NECTAR.module) -> ThreadedGuest:
    guest = loaded(engine, native_component(module)).start(GuestConfig(OUR, MEMORY))
    assert isinstance(guest, ThreadedGuest)
    assert settled(guest) is Poll.RECEIVE, guest.end
    return guest


def settled(guest: ThreadedGuest) -> Poll:
    """Poll until it waits or has ended, keeping its effects."""
    while (state := guest.poll()) is Poll.PREEMPTED:
        pass
    return state


def until(condition: Callable[[], bool]) -> bool:
    """Whether something comes true on another thread."""
    end = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < end:
        threading.Event().wait(0.001)
    return condition()


def threads() -> int:
    return sum(thread.name.startswith("component ") for thread in threading.enumerate())


def test_a_component_that_calls_wasi_directly_runs(node: Node) -> None:
    script = Script(NECTAR)
    native_call(script, RANDOM).dump()
    first = node.ask("native", script.body()).message.body
    second = node.ask("native", script.body()).message.body
    number = slice(FLAT_RESULT, FLAT_RESULT + 8)
    assert first[number] != second[number]


def test_g28_it_sees_no_environment(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "secret")
    script = Script(NECTAR)
    native_call(script, ENVIRONMENT, Script.slot(0)).dump()
    memory = node.ask("native", script.body()).message.body
    assert memory[Script.slot(0) + 4 : Script.slot(0) + 8] == bytes(4)


def test_what_it_writes_to_its_output_is_printed_line_by_line(engine: Engine) -> None:
    guest = started(engine)
    script = Script(NECTAR).write(70_000, b"one\ntwo\nrest")
    native_call(script, STDOUT)
    native_call(script, WRITE, 1, 70_000, 12, Script.slot(0)).do(Op.RETURN)
    guest.resume(arrival(script.body()))
    assert settled(guest) is Poll.ENDED
    assert guest.effects == [Print(1, "one"), Print(1, "two"), Print(1, "rest")]


@pytest.mark.parametrize(("status", "trap"), [(0, None), (1, "exited with code 1")])
def test_an_exit_ends_it_as_a_return_or_a_trap(engine: Engine, status: int, trap: str | None) -> None:
    guest = started(engine)
    script = Script(NECTAR)
    guest.resume(arrival(native_call(script, EXIT, status).body()))
    assert settled(guest) is Poll.ENDED
    assert guest.end == End(trap)


@pytest.mark.parametrize(
    ("op", "reason"), [(Op.TRAP, "unreachable"), (Op.RECURSE, "call stack exhausted"), (Op.RETURN, None)]
)
def test_g23_a_trap_is_its_own(engine: Engine, op: Op, reason: str | None) -> None:
    guest = started(engine)
    guest.resume(arrival(Script(NECTAR).do(op).body()))
    assert settled(guest) is Poll.ENDED
    assert guest.end is not None
    assert guest.end.trap is reason or str(reason) in str(guest.end.trap)
    assert guest.poll() is Poll.ENDED


def test_g23_a_spinning_one_is_preempted_and_killed(node: Node) -> None:
    before = threads()
    node.tell("native", Script(NECTAR).do(Op.SPIN).body())
    node.settle(polls=50)
    assert node.machine.can_run
    node.machine.handle(Kill(pid("native")), node.now)
    node.settle()
    assert not node.runs("native")
    assert until(lambda: threads() < before)


def test_the_time_of_one_that_spins_is_known_while_it_does(engine: Engine) -> None:
    guest = started(engine)
    guest.resume(arrival(Script(NECTAR).do(Op.SPIN).body()))
    assert guest.poll() is Poll.PREEMPTED
    before = guest.statistics().cpu_seconds
    assert before is not None
    assert until(lambda: (guest.statistics().cpu_seconds or 0) > before)
    guest.close()
    assert guest._thread is not None
    guest._thread.join(PATIENCE)
    at_its_end = guest.statistics()
    assert (at_its_end.cpu_seconds or 0) > before
    assert guest.statistics() == at_its_end


def test_g23_a_waiting_one_is_killed(engine: Engine) -> None:
    before = threads()
    guest = started(engine)
    assert threads() == before + 1
    guest.close()
    assert guest.end == End("killed")
    assert until(lambda: threads() == before)


def test_g23_one_that_sleeps_gives_the_poll_back(engine: Engine) -> None:
    guest = started(engine)
    script = Script(NECTAR)
    native_call(script, SLEEP, 10**9 * 3600)
    native_call(script, BLOCK, 1)
    guest.resume(arrival(script.body()))
    assert [guest.poll() for _ in range(3)] == [Poll.PREEMPTED] * 3
    guest.close()
    assert guest.poll() is Poll.ENDED


def test_one_that_was_never_polled_can_be_closed(engine: Engine) -> None:
    program = loaded(engine, native_component(NECTAR.module))
    for _ in range(limits.MAX_THREADED_GUESTS + 1):
        guest = program.start(GuestConfig(OUR, MEMORY))
        guest.close()
        guest.close()
        assert guest.end == End("killed")


def test_g23_there_are_no_more_of_them_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_THREADED_GUESTS", 2)
    program = Engine(None, replayable=False).load(native_component(NECTAR.module))
    guests = [program.start(GuestConfig(OUR, MEMORY)) for _ in range(2)]
    with pytest.raises(BadModule, match="2 components that need threads of their own run already"):
        program.start(GuestConfig(OUR, MEMORY))
    for guest in guests:
        guest.close()
    program.start(GuestConfig(OUR, MEMORY)).close()


@pytest.mark.parametrize(("pages", "trap"), [(448, None), (449, "out of bounds memory access")])
def test_g23_memory_is_bounded(engine: Engine, pages: int, trap: str | None) -> None:
    guest = started(engine)
    # The puppet begins with 64 pages, and one memory may have half of the 64 MiB: 512 pages.
    guest.resume(arrival(Script(NECTAR).do(Op.GROW, pages).write((32 << 20) - 4, b"last").do(Op.RETURN).body()))
    assert settled(guest) is Poll.ENDED
    assert guest.end is not None
    assert guest.end.trap is trap or str(trap) in str(guest.end.trap)


def test_a_flood_of_effects_is_handed_over_in_shares(engine: Engine) -> None:
    guest = started(engine)
    script = Script(NECTAR)
    for _ in range(2500):
        script.call("print-to-terminal", 1, "line")
    guest.resume(arrival(script.body()))
    taken = []
    while guest.poll() is Poll.PREEMPTED:
        taken.append(len(guest.effects))
        guest.effects.clear()
    assert max(taken) <= limits.MAX_EFFECTS
    assert sum(taken) + len(guest.effects) == 2500


def test_what_lies_beyond_a_limit_ends_it(engine: Engine) -> None:
    guest = started(engine)
    script = Script(NECTAR)
    index = [function.name for function in NECTAR.functions].index("spawn")
    # wasm-path, the parameters 3 and 4, is a name.
    script.raw(index, [0, 0, 0, 0, limits.MAX_NAME_BYTES + 1, *[0] * 8, Script.slot(0)])
    guest.resume(arrival(script.body()))
    assert settled(guest) is Poll.ENDED
    assert guest.end is not None
    assert f"{limits.MAX_NAME_BYTES + 1} exceeds the limit of {limits.MAX_NAME_BYTES}" in str(guest.end.trap)
    assert guest.effects == []


def test_it_is_refused_where_runs_are_repeatable(replayable: Engine) -> None:
    with pytest.raises(BadModule, match=r"'wasi:.*only programs that need no more than WASI preview 1"):
        replayable.load(native_component(NECTAR.module))


def test_statistics_count_its_time_and_what_it_loaded(engine: Engine) -> None:
    guest = started(engine)
    used = guest.statistics()
    assert isinstance(used, GuestStatistics)
    assert used.memory_bytes == MEMORY
    assert used.cpu_seconds is not None
    assert used.cpu_seconds > 0
    guest.close()


def test_g28_a_drive_that_is_no_folder_ends_it_at_its_start(engine: Engine, tmp_path: Path) -> None:
    program = loaded(engine, native_component(NECTAR.module))
    guest = program.start(GuestConfig(OUR, MEMORY, drive=str(tmp_path / "missing")))
    assert isinstance(guest, ThreadedGuest)
    assert settled(guest) is Poll.ENDED
    assert guest.end is not None
    assert str(guest.end.trap).endswith("is not a folder")


@pytest.mark.parametrize(
    "module", [pytest.param(each, marks=() if each in ALL_TYPES else pytest.mark.long) for each in VERSIONS]
)
def test_every_shape_of_parameters_arrives_exactly(engine: Engine, module: str) -> None:
    interface = INTERFACES[module]
    guest = started(engine, module)
    for function in (each for each in interface.functions if each.params):
        for values in (honest(function, shape) for shape in shapes_of_params(function)):
            guest.resume(arrival(Script(interface).call(function.name, *values).body()))
            state = settled(guest)
            assert guest.effects == expected_effects(function, values), function.name
            guest.effects.clear()
            if function.kind is Kind.CALL:
                assert state is Poll.CALL, guest.end
                guest.resume(answers(function)[0][0])
                state = settled(guest)
            assert state is Poll.RECEIVE, (function.name, guest.end)
    guest.close()


@pytest.mark.parametrize("module", ALL_TYPES)
def test_every_shape_of_result_arrives_exactly(engine: Engine, module: str) -> None:
    interface = INTERFACES[module]
    guest = started(engine, module)
    for name in ANSWER:
        _, function = look_up(module, name)
        script = Script(interface).call(name, *honest(function, shapes_of_params(function)[-1]))
        body = show(show(script, 0, ARGUMENTS), HEAP, USED).body()
        for answer, seen in answers(function):
            guest.resume(arrival(body))
            assert settled(guest) is (Poll.RECEIVE if name == "receive" else Poll.CALL), guest.end
            guest.resume(answer)
            assert settled(guest) is Poll.RECEIVE, guest.end
            assert dumped(shown(guest), function) == seen
            guest.effects.clear()
    guest.close()


USED = 320 << 10
"""Bytes of a puppet's heap that the largest result takes."""


def show(script: Script, at: int, size: int) -> Script:
    """Answer with a part of the memory; all of it would take long to convert."""
    index = [function.name for function in NECTAR.functions].index("send-response")
    return script.raw(index, [0, at, size, *[0] * 11])


def shown(guest: ThreadedGuest) -> bytes:
    """The memory, as far as it was shown."""
    low, heap = [effect.response.body for effect in guest.effects if isinstance(effect, SendResponse)]
    return low.ljust(HEAP, b"\0") + heap


def test_g25_a_component_with_more_imports_than_any_needs_is_refused(engine: Engine) -> None:
    text = "\n".join(f'(import "i{i}" (func))' for i in range(5000))
    with pytest.raises(BadModule, match="5000 imports; 4096 is the limit"):
        engine.load(bytes(wasmtime.wat2wasm(f'(component {text} (core module (import "env" "f" (func))))')))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('(import "env:x/y@1.0.0" (instance))', "it imports 'env:x/y@1.0.0', which this node does not offer"),
        ('(import "wasi:http/types@0.2.0" (instance))', "it imports 'wasi:http/types@0.2.0'"),
        ('(import "nectar:process/standard@0.7.0" (instance (export "fly" (func))))', "the function 'fly'"),
        (
            '(import "nectar:process/standard@0.7.0" (instance (export "receive" (func))))',
            "it declares another type for receive",
        ),
        (
            '(import "nectar:process/standard@0.7.0" (instance (export "set-state" (func (param "bytes" string)))))',
            "it declares another type for set-state: bytes",
        ),
        ("", "the component embeds no core module"),
    ],
)
def test_what_a_component_may_not_import_or_export_is_named(engine: Engine, text: str, reason: str) -> None:
    # The first core module imports what no fiber is offered, so that the component is looked at as a whole.
    exported = """(core module (import "env" "f" (func)))
      (core module $m (memory (export "memory") 1) (func (export "init") (param i32 i32))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0)))
      (core instance $i (instantiate $m))
      (func $init (param "our" string)
        (canon lift (core func $i "init") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
      (export "init" (func $init))"""
    with pytest.raises(BadModule, match=reason):
        engine.load(bytes(wasmtime.wat2wasm(f"(component {text} {exported if text else ''})")))


def test_g8_awaiting_oneself_traps(engine: Engine) -> None:
    guest = started(engine)
    oneself = ("our", ("self", "test", "sys"))
    script = Script(NECTAR).call("send-and-await-response", oneself, (False, 5, b"", None, ()), None)
    guest.resume(arrival(script.body()))
    assert settled(guest) is Poll.ENDED
    assert guest.end is not None
    assert "a request to oneself cannot be answered" in str(guest.end.trap)
