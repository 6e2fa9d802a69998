"""The host functions of an interface: from a guest's call to an effect, and from an answer to its result.

One set of callbacks for each interface and engine, shared by all guests; which guest calls is known by the thread that
polls it. Which function does what is data (`wit.Kind`); this is the code behind each kind.

All are asynchronous functions of the C API, also those that never wait: only such a one can suspend a guest that has
emitted more than its share. One that need not wait leaves a continuation that is ready.

Nothing may escape from a callback into C: what the guest did wrong traps it, and so does an error of our own.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import c_void_p
from dataclasses import dataclass
from struct import Struct
from typing import Any, TypeAlias

from kernel.address import OUR_NODE
from kernel.errors import GuestTrap
from kernel.guest import Poll, SendAndAwait
from kernel.message import LazyLoadBlob
from kernel.wasm import capi
from kernel.wasm.abi import signature
from kernel.wasm.adapter import ALTERNATIVE_CODES, HOST, PLACE, needs_adapter
from kernel.wasm.fiber import Fiber, Running, hand_over_codes
from kernel.wasm.lift import Lift, compile_lift
from kernel.wasm.lower import BATCH, Lowered, compile_lower
from kernel.wasm.wit import Function, Interface, Kind

Act: TypeAlias = Callable[[Fiber, memoryview, int], bytes]
"""What a call does: (guest, raw arguments, where results go) to the continuation. Raises only GuestTrap, and that
before it has touched anything."""

_CONTINUATION_BYTES = len(capi.READY)
_RAW = capi.RAW_VALUE_BYTES
_ADDRESSES = Struct("<" + f"{_RAW}x" + f"I{_RAW - 4}x" * BATCH)
_RAW_CODES = [Struct("<" + f"I{_RAW - 4}x" * (count + 1)) for count in range(BATCH + 1)]
_FLAT_RESULT = Struct(f"<{capi.VALUE_OFFSET}xI")


@dataclass(frozen=True, slots=True)
class HostFunction:
    """A function ready to be defined in a linker."""

    module: str
    name: str
    numbers: tuple[tuple[str, ...], tuple[str, ...]]
    """Core params and results."""
    callback: Any


def host_functions(interface: Interface, running: Running) -> list[HostFunction]:
    """What guests of the interface import themselves, and, under the module HOST, what the adapter imports."""
    functions = []
    for function in interface.functions:
        core = signature(function)
        results = ALTERNATIVE_CODES if needs_adapter(function) else core.results
        module = HOST if needs_adapter(function) else interface.module
        callback = asynchronous(function.name, _act(function), running)
        functions.append(HostFunction(module, function.name, (core.params, results), callback))
    place_params = ("i32",) * (BATCH + 1)
    functions.append(HostFunction(HOST, PLACE, (place_params, ALTERNATIVE_CODES), _place(running)))
    return functions


def asynchronous(name: str, act: Act, running: Running) -> Any:
    """The callback, for C, of a host function that may suspend the guest."""
    window = capi.window

    def callback(
        _env: int, _caller: int, args: int, _nargs: int, results: int, _nresults: int, trap: int, continuation: int
    ) -> None:
        guest = running.guest
        try:
            if guest.lowered is not None:
                # The canonical ABI forbids it: the result of another call is just being placed.
                raise GuestTrap("called from inside cabi_realloc")
            try:
                goes_on = act(guest, window(args), results)
            except GuestTrap:
                # Perhaps it points to memory that has grown since we last looked; nothing has happened yet.
                if not guest.memory_grew():
                    raise
                goes_on = act(guest, window(args), results)
        except BaseException as error:
            c_void_p.from_address(trap).value = guest.trap_for(name, error)
            goes_on = capi.READY
        window(continuation)[:_CONTINUATION_BYTES] = goes_on

    return capi.AsyncCallback(callback)


def _act(function: Function) -> Act:
    match function.kind:
        case Kind.EMIT:
            return _emit(function)
        case Kind.EMIT_ALL:
            return _emit_all(function)
        case Kind.CALL:
            return _call(function)
        case Kind.RECEIVE:
            return _receive(function)
        case Kind.LOCAL:
            return _local(function)


def _lift(function: Function) -> Lift:
    return compile_lift(function, capi.VALUE_BYTES, capi.VALUE_OFFSET)


def _lower(function: Function) -> Callable[[object], Lowered] | None:
    """From the kernel's answer to what is to be placed; None: no result in memory."""
    if function.result is None or not needs_adapter(function):
        return None
    return compile_lower(function.result, function.name, function.present)


def _emit(function: Function) -> Act:
    lift = _lift(function)

    def act(guest: Fiber, raw: memoryview, _results: int) -> bytes:
        effect, size, _ = lift(guest.memory, raw)
        guest.effects.append(effect)
        return guest.emitted_another(size)

    return act


def _emit_all(function: Function) -> Act:
    lift = _lift(function)

    def act(guest: Fiber, raw: memoryview, _results: int) -> bytes:
        (effects,), size, _ = lift(guest.memory, raw)
        guest.effects.extend(effects)
        return guest.emitted_another(size)

    return act


def _call(function: Function) -> Act:
    lift, lower = _lift(function), _lower(function)

    def act(guest: Fiber, raw: memoryview, results: int) -> bytes:
        effect, size, target = lift(guest.memory, raw)
        if type(effect) is SendAndAwait:
            _check_await(guest, effect)
        guest.effects.append(effect)
        guest.emitted_another(size)
        return guest.suspend(Poll.CALL, lower, target, results)

    return act


def _check_await(guest: Fiber, effect: SendAndAwait) -> None:
    """Raises GuestTrap if the answer could never come (G8)."""
    our = guest.config.our
    if effect.request.expects_response is None:
        raise GuestTrap("the request expects no response, so awaiting it would never end")
    if effect.target.process == our.process and effect.target.node in (our.node, OUR_NODE):
        raise GuestTrap("a request to oneself cannot be answered while one awaits it")


def _receive(function: Function) -> Act:
    lift, lower = _lift(function), _lower(function)

    def act(guest: Fiber, raw: memoryview, results: int) -> bytes:
        _, _, target = lift(guest.memory, raw)
        return guest.suspend(Poll.RECEIVE, lower, target, results)

    return act


def _local(function: Function) -> Act:
    lift, lower = _lift(function), _lower(function)
    look_up = _LOCAL[function.name]

    def act(guest: Fiber, raw: memoryview, results: int) -> bytes:
        _, _, target = lift(guest.memory, raw)
        value = look_up(guest)
        if lower is None:
            _FLAT_RESULT.pack_into(capi.window(results), 0, value)
        else:
            guest.lowered = lowered = lower(value).to(target)
            hand_over_codes(lowered, results)
        return capi.READY

    return act


def _loaded(guest: Fiber, blob: LazyLoadBlob | None) -> LazyLoadBlob | None:
    if blob is not None:
        guest.blob_bytes_loaded += len(blob.bytes)
    return blob


_LOCAL: dict[str, Callable[[Fiber], Any]] = {
    "our": lambda guest: guest.config.our,
    "has-blob": lambda guest: guest.blob is not None,
    "get-blob": lambda guest: _loaded(guest, guest.blob),
    "get-payload": lambda guest: _loaded(guest, guest.blob),
    "last-blob": lambda guest: _loaded(guest, guest.last_blob),
}
"""Functions that are answered from the guest's own record."""


def _place(running: Running) -> Any:
    """The adapter's way to hand over the addresses of pieces."""

    unpack, window = _ADDRESSES.unpack_from, capi.window

    def place(_env: int, _caller: int, args: int, _count: int) -> int | None:
        guest = running.guest
        try:
            lowered = guest.lowered
            assert lowered is not None, "the adapter calls this only after a result was lowered"
            addresses = unpack(window(args))
            try:
                done = lowered.place_untrusted(guest.memory, addresses)
            except GuestTrap:
                # Perhaps cabi_realloc has just grown the memory.
                if not guest.memory_grew():
                    raise
                done = lowered.place_untrusted(guest.memory, addresses)
            if done:
                # The first parameter was zero and is the first result: no more pieces.
                guest.lowered = None
            else:
                codes = lowered.codes()
                _RAW_CODES[codes[0]].pack_into(window(args), 0, *codes)
        except BaseException as error:
            return guest.trap_for("cabi_realloc", error)
        return None

    return capi.UncheckedCallback(place)


def define_all(linker: int, functions: list[HostFunction], wanted: Callable[[HostFunction], bool]) -> None:
    """Define those functions that are wanted."""
    for function in filter(wanted, functions):
        capi.define(linker, function.module, function.name, function.numbers, function.callback)
