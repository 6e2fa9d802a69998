"""Every function of every version, through a real guest: what it asks for, and what it gets."""

from __future__ import annotations

import pytest
import wasmtime

from kernel.contract import limits
from kernel.contract.capability import Capability
from kernel.contract.guest import (
    Arrival,
    End,
    Failure,
    Poll,
    Print,
    SendResponse,
)
from kernel.contract.message import (
    LazyLoadBlob,
    Reason,
    Request,
    Response,
    SendError,
    SendErrorKind,
)
from kernel.wasm.canonical.wit import INTERFACES, Function
from kernel.wasm.engine import Engine
from kernel.wasm.fiber import Fiber
from tests.kernel.wasm.guests import (
    NECTAR,
    OTHER,
    OUR,
    RECEIVED,
    RESULT,
    arrival,
    caller,
    pass_raw,
    poll,
    receiver,
    result,
    start,
    wat,
)

CAPABILITIES = (Capability(OTHER, '"messaging"'), Capability(OUR, '{"a": 1}'))
REQUEST = Request(True, 7, b"body", '{"m": 1}', CAPABILITIES)
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


def test_the_blob_of_a_failure_counts_as_loaded(engine: Engine) -> None:
    guest = start(engine, receiver())
    poll(guest)
    guest.resume(Failure(SendError(SendErrorKind.TIMEOUT, OTHER, REQUEST, BLOB, Reason.EXPIRED), None))
    assert guest.statistics().blob_bytes_loaded == 4


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
