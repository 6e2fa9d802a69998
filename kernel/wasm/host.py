"""The host functions of an interface: from a guest's call to an effect, and from an answer to its result.

There is one set of callbacks for each interface and engine, shared by all guests; the thread that polls a guest tells
which one calls. Which function does what is data (`wit.Kind`); this is the code behind each kind.

Functions that suspend the guest are asynchronous functions of the C API; one that leaves effects is plain, with the
adapter's help (`adapter`).

Nothing may escape from a callback into C: a guest's mistake traps it, and so does an error of our own.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import c_void_p
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from struct import error as struct_error
from typing import Any, TypeAlias

from kernel.contract.address import OUR_NODE
from kernel.contract.errors import GuestTrap
from kernel.contract.guest import Poll, SendAndAwait
from kernel.contract.limits import MAX_EFFECT_BYTES, MAX_EFFECTS
from kernel.contract.message import LazyLoadBlob
from kernel.wasm.adapter import (
    ALTERNATIVE_CODES,
    HOST,
    PAUSE,
    PLACE,
    emits,
    host_numbers,
    needs_adapter,
    returns_pieces,
)
from kernel.wasm.canonical.lift import Lift, compile_lift
from kernel.wasm.canonical.lower import BATCH, Lower, Plain, compile_lower
from kernel.wasm.canonical.wit import Function, Interface, Kind, Type
from kernel.wasm.code import Running
from kernel.wasm.compiling import capi
from kernel.wasm.compiling.capi import ADDRESS_SPACE
from kernel.wasm.fiber import Fiber, hand_over_codes

Act: TypeAlias = Callable[[Fiber, int, int], bytes]
"""Does what a call asks: (guest, where its arguments are, where results go) to the continuation. Raises only GuestTrap,
and that before it has touched anything."""

_leave = Struct(f"{len(capi.READY)}s").pack_into
_RAW = capi.RAW_VALUE_BYTES
_ADDRESSES = [Struct("<" + f"{_RAW}x" + f"I{_RAW - 4}x" * count).unpack_from for count in range(BATCH + 1)]
_RAW_CODES = [Struct("<" + f"I{_RAW - 4}x" * (count + 1)) for count in range(BATCH + 1)]
_TRUE = Struct("<I")
INSIDE_REALLOC = "called from inside cabi_realloc"
"""The canonical ABI forbids a call there: the result of another call is just being placed."""
_FLAT = Struct(f"<{capi.VALUE_OFFSET}xI")
"""Unpacks a call's one number, a parameter or result."""


@dataclass(frozen=True, slots=True)
class HostFunction:
    """A function ready to be defined in a linker."""

    module: str
    name: str
    numbers: tuple[tuple[str, ...], tuple[str, ...]]
    """Core params and results."""
    callback: Any


def host_functions(interface: Interface, running: Running) -> list[HostFunction]:
    """Return what guests of the interface import themselves, and, under the module HOST, what the adapter imports."""
    functions = []
    for function in interface.functions:
        module = HOST if needs_adapter(function) else interface.module
        callback = function_callback(function, running)
        functions.append(HostFunction(module, function.name, host_numbers(function), callback))
    return functions + pause_and_place(running)


def pause_and_place(running: Running) -> list[HostFunction]:
    """Return what every adapter imports."""
    place_params = ("i32",) * (BATCH + 1)
    return [
        HostFunction(HOST, PLACE, (place_params, ALTERNATIVE_CODES), _place(running)),
        HostFunction(HOST, PAUSE, ((), ()), asynchronous(PAUSE, _pause, running)),
    ]


def function_callback(function: Function, running: Running, memory: int | None = None) -> Any:
    """Return the callback, for C, of a function of the process interface; `memory` is the number of the guest's memory
    that it works on, if the guest has several."""
    if emits(function):
        return _emitting(function, running, memory)
    if function.kind is Kind.RECEIVE and memory is None:
        return _receiving(function, running)
    return asynchronous(function.name, selecting(_act(function), memory), running)


def _receiving(function: Function, running: Running) -> Any:
    """Return the same as `asynchronous` does of `_receive`, with two calls less: it is called for every message."""
    name, lower, state, target_of = function.name, compiled_lower(function), Poll.RECEIVE, _FLAT.unpack_from

    def receive(
        _env: int, _caller: int, args: int, _nargs: int, results: int, _nresults: int, trap: int, continuation: int
    ) -> None:
        guest: Fiber = running.guest
        try:
            if guest.lowered is not None:
                raise GuestTrap(INSIDE_REALLOC)
            (target,) = target_of(ADDRESS_SPACE, args)
            goes_on = guest.suspend(state, lower, target, results)
        except BaseException as error:
            c_void_p.from_address(trap).value = guest.trap_for(name, error)
            goes_on = capi.READY
        _leave(ADDRESS_SPACE, continuation, goes_on)

    return capi.AsyncCallback(receive)


def selecting(act: Act, memory: int | None) -> Act:
    """Return what lets a function work on one of several memories."""
    if memory is None:
        return act

    def select_and_act(guest: Fiber, args: int, results: int) -> bytes:
        guest.select_memory(memory)
        return act(guest, args, results)

    return select_and_act


def asynchronous(name: str, act: Act, running: Running, *, inside_realloc: bool = False) -> Any:
    """Return the callback, for C, of a host function that may suspend the guest."""

    def callback(
        _env: int, _caller: int, args: int, _nargs: int, results: int, _nresults: int, trap: int, continuation: int
    ) -> None:
        guest: Fiber = running.guest
        try:
            if guest.lowered is not None and not inside_realloc:
                raise GuestTrap(INSIDE_REALLOC)
            try:
                goes_on = act(guest, args, results)
            except GuestTrap:
                # Perhaps it points to memory that has grown since the last time; nothing has happened yet.
                if not guest.memory_grew():
                    raise
                goes_on = act(guest, args, results)
        except BaseException as error:
            c_void_p.from_address(trap).value = guest.trap_for(name, error)
            goes_on = capi.READY
        _leave(ADDRESS_SPACE, continuation, goes_on)

    return capi.AsyncCallback(callback)


def _act(function: Function) -> Act:
    match function.kind:
        case Kind.CALL:
            return _call(function)
        case Kind.RECEIVE:
            return _receive(function)
        case Kind.LOCAL:
            return _local(function)
    raise AssertionError(f"{function.kind} is not a kind of asynchronous function")


@lru_cache(None)
def compiled_lift(function: Function) -> Lift:
    """Return what lifts the parameters of an asynchronous function."""
    return compile_lift(function, capi.VALUE_BYTES, capi.VALUE_OFFSET)


@lru_cache(None)
def _lift_raw(function: Function) -> Lift:
    return compile_lift(function, _RAW, _RAW)


def compiled_lower(function: Function) -> Lower | None:
    """Return what lowers the kernel's answer, or None if no result is in memory."""
    if function.result is None or not returns_pieces(function):
        return None
    return _compiled_lower(function.result, function.name, function.present)


@lru_cache(None)
def _compiled_lower(kind: Type, title: str, present: Callable[[object], object] | None) -> Lower:
    """Components have host functions of their own each; the code is the same."""
    return compile_lower(kind, title, present)


def _emitting(function: Function, running: Running, memory: int | None) -> Any:
    """Return the callback, for C, of a function that leaves effects and goes on: (0, its parameters) to whether to
    pause."""
    name, is_list = function.name, function.kind is Kind.EMIT_ALL
    lift = _lift_raw(function)

    def emit(_env: int, _caller: int, args: int, _count: int) -> int | None:
        guest: Fiber = running.guest
        try:
            if guest.lowered is not None:
                raise GuestTrap(INSIDE_REALLOC)
            if memory is not None:
                guest.select_memory(memory)
            try:
                effect, size, _ = lift(guest.lifted_from, ADDRESS_SPACE, args)
            except GuestTrap:
                # Perhaps it points to memory that has grown since the last time.
                if not guest.memory_grew():
                    raise
                effect, size, _ = lift(guest.lifted_from, ADDRESS_SPACE, args)
            if is_list:
                guest.effects.extend(effect[0])
            else:
                guest.effects.append(effect)
            guest.emitted += size
            if len(guest.effects) >= MAX_EFFECTS or guest.emitted >= MAX_EFFECT_BYTES:
                guest.throttle()
                _TRUE.pack_into(ADDRESS_SPACE, args, 1)
        except BaseException as error:
            return guest.trap_for(name, error)
        return None

    return capi.UncheckedCallback(emit)


def _pause(guest: Fiber, _args: int, _results: int) -> bytes:
    return guest.goes_on_when_ready


def _call(function: Function) -> Act:
    lift, lower, state = compiled_lift(function), compiled_lower(function), Poll.CALL

    def act(guest: Fiber, args: int, results: int) -> bytes:
        effect, size, target = lift(guest.lifted_from, ADDRESS_SPACE, args)
        if type(effect) is SendAndAwait:
            _check_await(guest, effect)
        guest.effects.append(effect)
        guest.emitted_another(size)
        return guest.suspend(state, lower, target, results)

    return act


def _check_await(guest: Fiber, effect: SendAndAwait) -> None:
    """Raise GuestTrap if the answer could never come (G8)."""
    our = guest.config.our
    if effect.request.expects_response is None:
        raise GuestTrap("the request expects no response, so awaiting it would never end")
    if effect.target.process == our.process and effect.target.node in (our.node, OUR_NODE):
        raise GuestTrap("a request to oneself cannot be answered while one awaits it")


def _receive(function: Function) -> Act:
    lower, state = compiled_lower(function), Poll.RECEIVE
    target_of = _FLAT.unpack_from

    def act(guest: Fiber, args: int, results: int) -> bytes:
        (target,) = target_of(ADDRESS_SPACE, args)  # its one argument
        return guest.suspend(state, lower, target, results)

    return act


def _local(function: Function) -> Act:
    lift, lower = compiled_lift(function), compiled_lower(function)
    look_up = _LOCAL[function.name]

    def act(guest: Fiber, args: int, results: int) -> bytes:
        _, _, target = lift(guest.lifted_from, ADDRESS_SPACE, args)
        value = look_up(guest)
        if lower is None:
            _FLAT.pack_into(ADDRESS_SPACE, results, value)
        else:
            guest.lowered = lowered = lower(value, target)
            hand_over_codes(lowered.codes, results)
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
    """Return the callback by which the adapter hands over the addresses of pieces."""

    def place(_env: int, _caller: int, args: int, _count: int) -> int | None:
        guest: Fiber = running.guest
        try:
            lowered = guest.lowered
            if type(lowered) is Plain:
                codes, put, target, parts = lowered
                addresses = _ADDRESSES[len(codes)](ADDRESS_SPACE, args)
                try:
                    put(guest.memory, target, addresses, parts)
                except (ValueError, struct_error):
                    guest.memory_grew()
                    lowered.place_untrusted(guest.memory, addresses)
                guest.lowered = None
                return None
            assert lowered is not None, "the adapter calls this only after a result was lowered"
            addresses = _ADDRESSES[len(lowered.codes)](ADDRESS_SPACE, args)
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
                count = len(lowered.codes)
                _RAW_CODES[count].pack_into(ADDRESS_SPACE, args, count, *lowered.codes)
        except BaseException as error:
            return guest.trap_for("cabi_realloc", error)
        return None

    return capi.UncheckedCallback(place)


def define_all(linker: int, functions: list[HostFunction], wanted: Callable[[HostFunction], bool]) -> None:
    """Define those functions that are wanted."""
    for function in filter(wanted, functions):
        capi.define(linker, function.module, function.name, function.numbers, function.callback)
