"""Components that need WASI 0.2 themselves: taken apart, and run on fibers like all guests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import wasmtime

from kernel.contract import limits
from kernel.contract.errors import BadModule
from kernel.contract.events import Kill
from kernel.contract.guest import End, GuestConfig, Poll, Print, SendResponse, Sleep
from kernel.wasm import fiber
from kernel.wasm.canonical.wit import INTERFACES, Kind
from kernel.wasm.engine import Engine
from kernel.wasm.fiber import Fiber
from tests.kernel.wasm.component_texts import assembled
from tests.kernel.wasm.guests import NECTAR, OUR, arrival, loaded, poll
from tests.kernel.wasm.native import BLOCK, ENVIRONMENT, EXIT, RANDOM, SLEEP, STDOUT, WRITE, native_component, number_of
from tests.kernel.wasm.node import Node, pid
from tests.kernel.wasm.puppet import ALL_TYPES, FLAT_RESULT, VERSIONS, Import, Op, Script, dumped
from tests.kernel.wasm.shapes import ANSWER, answers, expected_effects, honest, look_up, shapes_of_params

MEMORY = 64 << 20
NOW = 1_000_000_000
"""The time of the guests' clocks, in nanoseconds."""


@pytest.fixture
def node(engine: Engine) -> Iterator[Node]:
    node = Node()
    node.start("native", loaded(engine, native_component(NECTAR.module)))
    yield node
    node.close()


def native_call(script: Script, wanted: Import, *numbers: int) -> Script:
    return script.raw(number_of(NECTAR.module, wanted), numbers)


def started(engine: Engine, module: str = NECTAR.module) -> Fiber:
    config = GuestConfig(OUR, MEMORY, entropy=bytes, clock=lambda: NOW)
    guest = loaded(engine, native_component(module)).start(config)
    assert isinstance(guest, Fiber)
    assert poll(guest) is Poll.RECEIVE, guest.end
    return guest


def test_a_component_that_calls_wasi_directly_runs(node: Node) -> None:
    script = Script(NECTAR)
    native_call(script, RANDOM).dump()
    memory = node.ask("native", script.body()).message.body
    assert memory[FLAT_RESULT : FLAT_RESULT + 8] == bytes(8), "it is what this node's entropy gives"


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
    assert poll(guest) is Poll.ENDED
    assert guest.effects == [Print(1, "one"), Print(1, "two"), Print(1, "rest")]


@pytest.mark.parametrize(("status", "trap"), [(0, None), (1, "exited with code 1")])
def test_an_exit_ends_it_as_a_return_or_a_trap(engine: Engine, status: int, trap: str | None) -> None:
    guest = started(engine)
    script = Script(NECTAR)
    guest.resume(arrival(native_call(script, EXIT, status).body()))
    assert poll(guest) is Poll.ENDED
    assert guest.end == End(trap)


def test_g23_one_that_ends_with_little_memory_left_has_that_in_its_line(engine: Engine) -> None:
    guest = started(engine)
    guest.resume(arrival(Script(NECTAR).do(Op.GROW, 900).do(Op.TRAP).body()))
    assert poll(guest) is Poll.ENDED
    assert guest.end is not None
    assert str(guest.end.trap).endswith("; it has 60 MiB of memory, and 64 MiB is the most")


@pytest.mark.parametrize(
    ("op", "reason"), [(Op.TRAP, "unreachable"), (Op.RECURSE, "call stack exhausted"), (Op.RETURN, None)]
)
def test_g23_a_trap_is_its_own(engine: Engine, op: Op, reason: str | None) -> None:
    guest = started(engine)
    guest.resume(arrival(Script(NECTAR).do(op).body()))
    assert poll(guest) is Poll.ENDED
    assert guest.end is not None
    assert guest.end.trap is reason or str(reason) in str(guest.end.trap)
    assert guest.poll() is Poll.ENDED


def test_g23_a_spinning_one_is_preempted_and_killed(node: Node) -> None:
    node.tell("native", Script(NECTAR).do(Op.SPIN).body())
    node.settle(polls=50)
    assert node.machine.can_run
    node.machine.handle(Kill(pid("native")), node.now)
    node.settle()
    assert not node.runs("native")


def test_one_that_was_never_polled_can_be_closed(engine: Engine) -> None:
    program = loaded(engine, native_component(NECTAR.module))
    guest = program.start(GuestConfig(OUR, MEMORY))
    guest.close()
    guest.close()
    assert guest.end == End("killed")


@pytest.mark.parametrize(("pages", "trap"), [(960, None), (961, "out of bounds memory access")])
def test_g23_memory_is_bounded(engine: Engine, pages: int, trap: str | None) -> None:
    guest = started(engine)
    # The puppet begins with 64 pages, and may have 64 MiB: 1024 pages.
    guest.resume(arrival(Script(NECTAR).do(Op.GROW, pages).write((64 << 20) - 4, b"last").do(Op.RETURN).body()))
    assert poll(guest) is Poll.ENDED
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
    assert poll(guest) is Poll.ENDED
    assert guest.end is not None
    assert f"{limits.MAX_NAME_BYTES + 1} exceeds the limit of {limits.MAX_NAME_BYTES}" in str(guest.end.trap)
    assert guest.effects == []


@pytest.mark.parametrize(
    "module", [pytest.param(each, marks=() if each in ALL_TYPES else pytest.mark.long) for each in VERSIONS]
)
def test_every_shape_of_parameters_arrives_exactly(real: Engine, module: str) -> None:
    interface = INTERFACES[module]
    guest = started(real, module)
    for function in (each for each in interface.functions if each.params):
        for values in (honest(function, shape) for shape in shapes_of_params(function)):
            guest.resume(arrival(Script(interface).call(function.name, *values).body()))
            state = poll(guest)
            assert guest.effects == expected_effects(function, values), function.name
            guest.effects.clear()
            if function.kind is Kind.CALL:
                assert state is Poll.CALL, guest.end
                guest.resume(answers(function)[0][0])
                state = poll(guest)
            assert state is Poll.RECEIVE, (function.name, guest.end)
    guest.close()


@pytest.mark.parametrize("module", ALL_TYPES)
def test_every_shape_of_result_arrives_exactly(real: Engine, module: str) -> None:
    interface = INTERFACES[module]
    guest = started(real, module)
    for name in ANSWER:
        _, function = look_up(module, name)
        script = Script(interface).call(name, *honest(function, shapes_of_params(function)[-1]))
        body = script.dump().body()
        for answer, seen in answers(function):
            guest.resume(arrival(body))
            assert poll(guest) is (Poll.RECEIVE if name == "receive" else Poll.CALL), guest.end
            guest.resume(answer)
            assert poll(guest) is Poll.RECEIVE, guest.end
            assert dumped(answered(guest), function) == seen
            guest.effects.clear()
    guest.close()


def answered(guest: Fiber) -> bytes:
    """The body of its last answer."""
    return [effect.response.body for effect in guest.effects if isinstance(effect, SendResponse)][-1]


def test_g23_one_that_sleeps_waits_for_the_kernel_and_goes_on_when_its_time_has_come(node: Node) -> None:
    script = Script(NECTAR)
    native_call(script, SLEEP, 90 * NOW)
    native_call(script, BLOCK, 1)
    token = node.tell("native", script.answer(b"awake").body(), timeout=1000)
    node.settle()
    node.pass_time(89.9)
    assert token not in node.answers
    node.pass_time(0.1)
    assert token in node.answers
    assert node.now == 90.0


def test_a_sleep_of_a_century_holds_up_nothing_and_can_be_killed(engine: Engine) -> None:
    guest = started(engine)
    script = Script(NECTAR)
    native_call(script, SLEEP, 100 * 365 * 86400 * NOW)
    native_call(script, BLOCK, 1)
    guest.resume(arrival(script.body()))
    assert poll(guest) is Poll.CALL
    assert guest.effects == [Sleep(1.0 + 100 * 365 * 86400)]
    assert guest.poll() is Poll.CALL
    guest.close()
    assert guest.poll() is Poll.ENDED


def test_one_that_computes_and_sleeps_in_turns_may_do_so_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fiber, "SLICE_FUEL", 100)  # a slice of a few steps
    now, times = NOW, 40
    program = loaded(Engine(None, replayable=True), native_component(NECTAR.module))
    guest = program.start(GuestConfig(OUR, MEMORY, entropy=bytes, clock=lambda: now, slices=4 * times))
    assert isinstance(guest, Fiber)
    assert poll(guest) is Poll.RECEIVE, guest.end
    script = Script(NECTAR)
    for handle in range(1, times + 1):
        for _ in range(10):
            native_call(script, RANDOM)
        native_call(script, SLEEP, NOW)
        native_call(script, BLOCK, handle)
    guest.resume(arrival(script.body()))
    for _ in range(times):
        assert poll(guest) is Poll.CALL, guest.end
        guest.effects.clear()
        now += NOW
        guest.resume(None)
    assert poll(guest) is Poll.RECEIVE, guest.end


def test_statistics_say_what_its_memories_really_take(engine: Engine) -> None:
    guest = started(engine)
    before = guest.statistics().memory_bytes
    guest.resume(arrival(Script(NECTAR).do(Op.GROW, 3).body()))
    assert poll(guest) is Poll.RECEIVE
    assert (before, guest.statistics().memory_bytes) == (64 << 16, 67 << 16)


def test_g28_a_drive_that_is_no_folder_keeps_it_from_starting(real: Engine, tmp_path: Path) -> None:
    program = loaded(real, native_component(NECTAR.module))
    with pytest.raises(BadModule, match="is not a folder"):
        program.start(GuestConfig(OUR, MEMORY, drive=str(tmp_path / "missing")))


def test_g25_a_component_with_more_imports_than_any_needs_is_refused(engine: Engine) -> None:
    core = bytes(wasmtime.wat2wasm('(module (import "env" "f" (func)))'))
    many = b"\x81\x80\x04"  # 65537
    imports = many + b"\0\1x\5\0" * 65537
    with pytest.raises(BadModule, match="65537 definitions in a section of the component; 65536 is the limit"):
        engine.load(assembled((1, core), (10, imports)))


def test_g8_awaiting_oneself_traps(engine: Engine) -> None:
    guest = started(engine)
    oneself = ("our", ("self", "test", "sys"))
    script = Script(NECTAR).call("send-and-await-response", oneself, (False, 5, b"", None, ()), None)
    guest.resume(arrival(script.body()))
    assert poll(guest) is Poll.ENDED
    assert guest.end is not None
    assert "a request to oneself cannot be answered" in str(guest.end.trap)
