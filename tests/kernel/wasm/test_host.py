"""Every function of every version, through a real guest: what it asks for, and what it gets."""

from __future__ import annotations

from typing import Any

import pytest
import wasmtime
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernel.contract import limits
from kernel.contract.address import ProcessId
from kernel.contract.capability import Capability
from kernel.contract.guest import (
    Arrival,
    End,
    Failure,
    GetOnExit,
    GetState,
    OurCapabilities,
    Poll,
    Print,
    SendAndAwait,
    SendResponse,
    SpawnError,
)
from kernel.contract.message import (
    ON_EXIT_RESTART,
    LazyLoadBlob,
    OnExit,
    OnExitAction,
    OnExitRequest,
    Reason,
    Request,
    Response,
    SendError,
    SendErrorKind,
)
from kernel.wasm.engine import Engine
from kernel.wasm.fiber import Fiber
from kernel.wasm.wit import INTERFACES, Function, Kind
from tests.kernel.wasm import reference
from tests.kernel.wasm.guests import (
    NECTAR,
    OTHER,
    OUR,
    RECEIVED,
    RESULT,
    arrival,
    caller,
    make_call,
    pass_raw,
    poll,
    receiver,
    result,
    start,
    wat,
)

FUNCTIONS = {
    f"{module.split(':')[0]} {module[-5:]} {function.name}": (interface, function)
    for module, interface in INTERFACES.items()
    for function in interface.functions
}
DISTINCT = {function: name for name, (_, function) in FUNCTIONS.items()}
"""Versions share most functions."""
EMITTING = [name for function, name in DISTINCT.items() if function.kind in (Kind.EMIT, Kind.EMIT_ALL)]
CAPABILITIES = (Capability(OTHER, '"messaging"'), Capability(OUR, '{"a": 1}'))
SOURCE = ("other.nec", ("peer", "test", "sys"))
TWO_CAPABILITIES = ((SOURCE, '"messaging"'), (("our.nec", ("self", "test", "sys")), '{"a": 1}'))
REQUEST = Request(True, 7, b"body", '{"m": 1}', CAPABILITIES)
PLAIN_REQUEST = (True, 7, b"body", '{"m": 1}', TWO_CAPABILITIES)
RESPONSE = Response(False, b"answer", None, CAPABILITIES)
PLAIN_RESPONSE = (False, b"answer", None, TWO_CAPABILITIES)
BLOB = LazyLoadBlob("text/plain", b"blob")
BEYOND_MEMORY = (1, 1 << 30, 4)
"""Arguments of print-to-terminal for which the host looks whether the memory has grown."""


def of(name: str, interface: str = NECTAR.module) -> Function:
    function = INTERFACES[interface].function(name)
    assert function
    return function


def started(engine: Engine, name: str, interface: str = NECTAR.module) -> Fiber:
    guest = start(engine, caller(INTERFACES[interface], of(name, interface)))
    assert poll(guest) is Poll.RECEIVE, guest.end
    return guest


def answered(guest: Fiber, function: Function, answer: object) -> Any:
    """What a guest that waits in `function` gets for an answer."""
    guest.resume(answer)
    state = poll(guest)
    assert state is Poll.RECEIVE, (state, guest.end)
    return result(guest, function)


@pytest.mark.parametrize("name", EMITTING)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_call_leaves_its_effect_and_goes_on(engine: Engine, name: str, data: st.DataObject) -> None:
    interface, function = FUNCTIONS[name]
    values = data.draw(st.tuples(*(reference.plain(kind) for _, kind in function.params)))
    guest = start(engine, caller(interface, function))
    poll(guest)
    assert make_call(guest, function, values) is Poll.RECEIVE
    parts = [reference.built(kind, value) for (_, kind), value in zip(function.params, values, strict=True)]
    assert guest.effects == (list(parts[0]) if function.kind is Kind.EMIT_ALL else [function.make(*parts)])  # type: ignore[call-overload]
    guest.close()


@pytest.mark.parametrize("module", INTERFACES)
@pytest.mark.parametrize(
    ("message", "context", "expected"),
    [
        (REQUEST, None, (0, PLAIN_REQUEST)),
        (Request(False, None, b""), None, (0, (False, None, b"", None, ()))),
        (RESPONSE, b"context", (1, (PLAIN_RESPONSE, b"context"))),
        (Response(True, b"x" * 100, "{}"), None, (1, ((True, b"x" * 100, "{}", ()), None))),
        (Response(True, b"", "{}"), b"", (1, ((True, b"", "{}", ()), b""))),
    ],
)
def test_a_message_arrives_as_it_was_sent(
    engine: Engine, module: str, message: Request | Response, context: bytes | None, expected: object
) -> None:
    guest = start(engine, receiver(INTERFACES[module]))
    assert poll(guest) is Poll.RECEIVE
    guest.resume(Arrival(OTHER, message, context, None))
    assert poll(guest) is Poll.RECEIVE
    assert result(guest, of("receive", module), RECEIVED) == (0, (SOURCE, expected))


@pytest.mark.parametrize("module", INTERFACES)
@pytest.mark.parametrize("kind", SendErrorKind)
def test_a_failure_arrives_with_its_message_blob_and_context(engine: Engine, module: str, kind: SendErrorKind) -> None:
    guest = start(engine, receiver(INTERFACES[module]))
    poll(guest)
    guest.resume(Failure(SendError(kind, OTHER, REQUEST, BLOB, Reason.UNREACHABLE), b"context"))
    poll(guest)
    target = (SOURCE,) if has_target(module) else ()
    error = (kind.value, *target, (0, PLAIN_REQUEST), ("text/plain", b"blob"))
    assert result(guest, of("receive", module), RECEIVED) == (1, (error, b"context"))


def has_target(module: str) -> bool:
    return module.endswith(("0.8.0", "1.0.0"))


def test_a_failed_response_arrives_without_context(engine: Engine) -> None:
    guest = start(engine, receiver())
    poll(guest)
    guest.resume(Failure(SendError(SendErrorKind.TIMEOUT, OTHER, RESPONSE, None, Reason.EXPIRED), None))
    poll(guest)
    assert result(guest, of("receive"), RECEIVED) == (1, ((1, (1, (PLAIN_RESPONSE, None)), None), None))


def test_the_blob_of_a_failure_counts_as_loaded(engine: Engine) -> None:
    guest = start(engine, receiver())
    poll(guest)
    guest.resume(Failure(SendError(SendErrorKind.TIMEOUT, OTHER, REQUEST, BLOB, Reason.EXPIRED), None))
    assert guest.statistics().blob_bytes_loaded == 4


def test_send_and_await_brings_the_response(engine: Engine) -> None:
    function, guest = of("send-and-await-response"), started(engine, "send-and-await-response")
    assert make_call(guest, function, (SOURCE, PLAIN_REQUEST, ("text/plain", b"blob"))) is Poll.CALL
    assert guest.effects == [SendAndAwait(OTHER, REQUEST, BLOB)]
    outcome = answered(guest, function, Arrival(OTHER, RESPONSE, None, None))
    assert outcome == (0, (SOURCE, (1, (PLAIN_RESPONSE, None))))


@pytest.mark.parametrize("module", INTERFACES)
def test_send_and_await_brings_the_failure(engine: Engine, module: str) -> None:
    function, guest = of("send-and-await-response", module), started(engine, "send-and-await-response", module)
    make_call(guest, function, (SOURCE, PLAIN_REQUEST, None))
    failure = Failure(SendError(SendErrorKind.OFFLINE, OTHER, REQUEST, None, Reason.UNREACHABLE), None)
    target = (SOURCE,) if has_target(module) else ()
    assert answered(guest, function, failure) == (1, (0, *target, (0, PLAIN_REQUEST), None))


@pytest.mark.parametrize("node", ["our", "our.nec"])
def test_g8_awaiting_oneself_traps(engine: Engine, node: str) -> None:
    function, guest = of("send-and-await-response"), started(engine, "send-and-await-response")
    oneself = (node, ("self", "test", "sys"))
    assert make_call(guest, function, (oneself, PLAIN_REQUEST, None)) is Poll.ENDED
    assert guest.end is not None
    assert "send-and-await-response: a request to oneself cannot be answered" in str(guest.end.trap)
    assert guest.effects == []


def test_g8_awaiting_without_expecting_a_response_traps(engine: Engine) -> None:
    function, guest = of("send-and-await-response"), started(engine, "send-and-await-response")
    assert make_call(guest, function, (SOURCE, (False, None, b"", None, ()), None)) is Poll.ENDED
    assert guest.end is not None
    assert "the request expects no response" in str(guest.end.trap)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (ProcessId("child", "test", "sys"), (0, ("child", "test", "sys"))),
        (SpawnError.NAME_TAKEN, (1, 0)),
        (SpawnError.NO_FILE_AT_PATH, (1, 1)),
    ],
)
@pytest.mark.parametrize("module", INTERFACES)
def test_spawn_brings_its_outcome(engine: Engine, module: str, answer: object, expected: object) -> None:
    function, guest = of("spawn", module), started(engine, "spawn", module)
    grants = ((("a", "b", "c"), '"x"'),) if module.endswith("1.0.0") else (("a", "b", "c"),)
    values = ("child", "/child.wasm", (2, ((SOURCE, PLAIN_REQUEST, None),)), TWO_CAPABILITIES, grants, True)
    assert make_call(guest, function, values) is Poll.CALL
    (effect,) = guest.effects
    on_exit = OnExit(OnExitAction.REQUESTS, (OnExitRequest(OTHER, REQUEST, None),))
    params = '"x"' if module.endswith("1.0.0") else '"messaging"'
    granted = ((ProcessId("a", "b", "c"), params),)
    assert effect == ("child", "/child.wasm", on_exit, CAPABILITIES, granted, True)
    assert answered(guest, function, answer) == expected


@pytest.mark.parametrize("state", [None, b"", b"state", bytes(300_000)])
def test_get_state_brings_the_state(engine: Engine, state: bytes | None) -> None:
    function, guest = of("get-state"), started(engine, "get-state")
    assert make_call(guest, function, ()) is Poll.CALL
    assert guest.effects == [GetState()]
    assert answered(guest, function, state) == state


@pytest.mark.parametrize(("name", "values"), [("set-state", (b"state",)), ("clear-state", ())])
def test_a_call_without_result_goes_on_when_it_is_answered(
    engine: Engine, name: str, values: tuple[bytes, ...]
) -> None:
    function, guest = of(name), started(engine, name)
    assert make_call(guest, function, values) is Poll.CALL
    assert guest.poll() is Poll.CALL
    guest.resume(None)
    assert poll(guest) is Poll.RECEIVE
    assert guest.effects == [function.make(*values) if values else ()]


@pytest.mark.parametrize("held", [(), CAPABILITIES, CAPABILITIES * 50])
def test_our_capabilities_brings_all_of_them(engine: Engine, held: tuple[Capability, ...]) -> None:
    function, guest = of("our-capabilities"), started(engine, "our-capabilities")
    assert make_call(guest, function, ()) is Poll.CALL
    assert guest.effects == [OurCapabilities()]
    assert answered(guest, function, held) == TWO_CAPABILITIES * (len(held) // 2)


@pytest.mark.parametrize(
    ("on_exit", "expected"),
    [
        (ON_EXIT_RESTART, (1, None)),
        (
            OnExit(OnExitAction.REQUESTS, (OnExitRequest(OTHER, REQUEST, BLOB), OnExitRequest(OUR, REQUEST, None))),
            (
                2,
                (
                    (SOURCE, PLAIN_REQUEST, ("text/plain", b"blob")),
                    (("our.nec", ("self", "test", "sys")), PLAIN_REQUEST, None),
                ),
            ),
        ),
    ],
)
def test_get_on_exit_brings_the_setting(engine: Engine, on_exit: OnExit, expected: object) -> None:
    function, guest = of("get-on-exit"), started(engine, "get-on-exit")
    assert make_call(guest, function, ()) is Poll.CALL
    assert guest.effects == [GetOnExit()]
    assert answered(guest, function, on_exit) == expected


def test_g11_get_blob_gives_the_current_blob_as_often_as_asked(engine: Engine) -> None:
    function, guest = of("get-blob"), started(engine, "get-blob")
    for _ in range(2):
        pass_raw(guest, [RESULT], Arrival(OTHER, REQUEST, None, BLOB))
        assert poll(guest) is Poll.RECEIVE
        assert result(guest, function) == ("text/plain", b"blob")
    assert guest.statistics().blob_bytes_loaded == 8
    assert guest.effects == []


def test_g11_a_message_without_blob_leaves_none(engine: Engine) -> None:
    function, guest = of("get-blob"), started(engine, "get-blob")
    for blob, expected in ((BLOB, ("text/plain", b"blob")), (None, None)):
        pass_raw(guest, [RESULT], Arrival(OTHER, REQUEST, None, blob))
        assert poll(guest) is Poll.RECEIVE
        assert result(guest, function) == expected


def test_g11_inheriting_a_blob_loads_nothing(engine: Engine) -> None:
    guest = start(engine, receiver())
    poll(guest)
    guest.resume(Arrival(OTHER, REQUEST, None, LazyLoadBlob(None, bytes(1 << 20))))
    poll(guest)
    assert guest.statistics().blob_bytes_loaded == 0


def test_last_blob_outlives_a_message_without_one(engine: Engine) -> None:
    module = "hyperware:process/standard@1.0.0"
    function, guest = of("last-blob", module), started(engine, "last-blob", module)
    for blob in (BLOB, None):
        pass_raw(guest, [RESULT], Arrival(OTHER, REQUEST, None, blob))
        assert poll(guest) is Poll.RECEIVE
        assert result(guest, function) == ("text/plain", b"blob")


def test_has_blob_says_whether_the_message_has_one(engine: Engine) -> None:
    module = "kinode:process/standard@1.0.0"
    function, guest = of("has-blob", module), started(engine, "has-blob", module)
    for blob in (BLOB, None):
        guest.resume(Arrival(OTHER, REQUEST, None, blob))
        poll(guest)
        assert result(guest, function) is (blob is not None)


def test_our_gives_the_address(engine: Engine) -> None:
    module = "kinode:process/standard@1.0.0"
    function, guest = of("our", module), started(engine, "our", module)
    make_call(guest, function, ())
    assert result(guest, function) == ("our.nec", ("self", "test", "sys"))


def test_effects_keep_the_order_of_the_calls(engine: Engine) -> None:
    body = """(i32.store8 (i32.const 64) (i32.const 97)) (i32.store8 (i32.const 65) (i32.const 98))
      (call $print-to-terminal (i32.const 1) (i32.const 64) (i32.const 1))
      (call $send-response (i32.const 0) (i32.const 65) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
      (call $print-to-terminal (i32.const 2) (i32.const 65) (i32.const 1))"""
    guest = start(engine, wat(body, "print-to-terminal", "send-response"))
    assert poll(guest) is Poll.ENDED
    assert guest.effects == [Print(1, "a"), SendResponse(Response(False, b"b"), None), Print(2, "b")]


def test_after_a_trap_in_a_host_function_the_earlier_effects_remain(engine: Engine) -> None:
    body = """(call $print-to-terminal (i32.const 1) (i32.const 64) (i32.const 1))
      (call $print-to-terminal (i32.const 1) (i32.const -1) (i32.const 1))"""
    guest = start(engine, wat(body, "print-to-terminal"))
    assert poll(guest) is Poll.ENDED
    assert guest.effects == [Print(1, "\0")]
    assert guest.end is not None
    assert str(guest.end.trap).startswith("print-to-terminal: message lies outside the memory")


def test_memory_that_grew_since_the_last_look_can_be_passed(engine: Engine) -> None:
    body = """(drop (memory.grow (i32.const 4)))
      (i32.store8 (i32.const 500000) (i32.const 97))
      (call $print-to-terminal (i32.const 1) (i32.const 500000) (i32.const 1))"""
    guest = start(engine, wat(body, "print-to-terminal"))
    assert poll(guest) is Poll.ENDED
    assert (guest.effects, guest.end) == ([Print(1, "a")], End(None))


def test_cabi_realloc_may_grow_the_memory(engine: Engine) -> None:
    guest = start(engine, receiver(), memory=8 << 20)
    poll(guest)
    guest.resume(arrival(bytes(range(256)) * 8192))
    assert poll(guest) is Poll.RECEIVE
    _, (_, (_, request)) = result(guest, of("receive"), RECEIVED)
    assert request[2] == bytes(range(256)) * 8192


@pytest.mark.parametrize(
    ("place", "reason"),
    [("(i32.const -1)", "outside the memory"), ("(i32.const 1048576)", "outside the memory")],
)
def test_a_cabi_realloc_that_lies_ends_its_guest(engine: Engine, place: str, reason: str) -> None:
    text = f"""(module (memory (export "memory") 1)
      (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {place})
      (func (export "init") (param i32 i32)))"""
    guest = start(engine, assembled(text))
    assert poll(guest) is Poll.ENDED
    assert guest.end is not None
    assert reason in str(guest.end.trap)


def test_a_cabi_realloc_that_calls_the_host_ends_its_guest(engine: Engine) -> None:
    text = f"""(module
      (import "{NECTAR.module}" "print-to-terminal" (func $print (param i32 i32 i32)))
      (memory (export "memory") 1)
      (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
        (call $print (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 0))
      (func (export "init") (param i32 i32)))"""
    guest = start(engine, assembled(text))
    assert poll(guest) is Poll.ENDED
    assert guest.end is not None
    assert "called from inside cabi_realloc" in str(guest.end.trap)
    assert guest.effects == []


def assembled(text: str) -> bytes:
    return bytes(wasmtime.wat2wasm(text))


@pytest.mark.parametrize("target", [-4 & 0xFFFFFFFF, 1 << 30])
def test_a_return_pointer_outside_the_memory_ends_the_guest(engine: Engine, target: int) -> None:
    guest = started(engine, "get-state")
    pass_raw(guest, [target])
    assert poll(guest) is Poll.CALL
    guest.resume(b"state")
    assert poll(guest) is Poll.ENDED
    assert guest.end is not None
    assert "outside the memory" in str(guest.end.trap)


def test_an_error_of_our_own_ends_only_the_guest_and_says_so(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    guest = started(engine, "print-to-terminal")

    def broken(self: Fiber) -> bool:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(Fiber, "memory_grew", broken)
    pass_raw(guest, BEYOND_MEMORY)
    assert poll(guest) is Poll.ENDED
    assert guest.end is not None
    assert "the host failed: RuntimeError('a bug of ours')" in str(guest.end.trap)


def test_an_interrupt_within_a_host_function_reaches_whoever_polls(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = started(engine, "print-to-terminal")

    def interrupted(self: Fiber) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(Fiber, "memory_grew", interrupted)
    pass_raw(guest, BEYOND_MEMORY)
    with pytest.raises(KeyboardInterrupt):
        poll(guest)
    assert guest.poll() is Poll.ENDED


def test_a_guest_that_has_emitted_its_share_waits_until_it_is_applied(engine: Engine) -> None:
    body = """(local $i i32) (loop $more
      (call $print-to-terminal (i32.const 1) (i32.const 64) (i32.const 1))
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 2500))))"""
    guest = start(engine, wat(body, "print-to-terminal"))
    counts = []
    for _ in range(2):
        while len(guest.effects) < limits.MAX_EFFECTS:
            assert guest.poll() is Poll.PREEMPTED
        assert guest.poll() is Poll.PREEMPTED
        counts.append(len(guest.effects))
        guest.effects.clear()
    assert poll(guest) is Poll.ENDED
    assert [*counts, len(guest.effects)] == [limits.MAX_EFFECTS, limits.MAX_EFFECTS, 2500 - 2 * limits.MAX_EFFECTS]


def test_a_guest_that_has_emitted_its_bytes_waits_until_they_are_applied(engine: Engine) -> None:
    zeros = " ".join(["(i32.const 0)"] * 11)
    body = f"""(drop (memory.grow (i32.const {limits.MAX_BODY_BYTES >> 16})))
      (loop $more (call $send-response (i32.const 0) (i32.const 0) (i32.const {limits.MAX_BODY_BYTES}) {zeros})
        (global.set $sent (i32.add (global.get $sent) (i32.const 1)))
        (br_if $more (i32.lt_u (global.get $sent) (i32.const 8))))"""
    guest = start(engine, wat(body, "send-response", extra="(global $sent (mut i32) (i32.const 0))"))
    while len(guest.effects) < 7:
        assert guest.poll() is Poll.PREEMPTED
    assert guest.poll() is Poll.PREEMPTED
    assert len(guest.effects) == 7
    guest.effects.clear()
    assert poll(guest) is Poll.ENDED
    assert len(guest.effects) == 1
