"""The few functions of WASI preview 1 that are ours instead of Wasmtime's.

In every run `poll_oneoff`, the one function that sleeps: Wasmtime's would block the thread and with it every other
guest. It answers `notsup`; a process waits by asking the timer for a message. In replayable runs also what differs from
run to run: clocks and randomness come from the guest's configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any

from kernel.errors import GuestTrap
from kernel.wasm import capi
from kernel.wasm.fiber import Fiber, Running
from kernel.wasm.host import HostFunction

WASI = "wasi_snapshot_preview1"

_SUCCESS, _NOT_SUPPORTED = 0, 58
"""WASI errno."""
_TIMESTAMP = Struct("<Q")
_RESOLUTION_NANOSECONDS = 1000
_VALUE = capi.RAW_VALUE_BYTES
_I32 = Struct("<I")


def shadows(running: Running, replayable: bool) -> list[HostFunction]:
    """What replaces Wasmtime's definitions."""
    rows = [("poll_oneoff", ("i32", "i32", "i32", "i32"), _poll_oneoff)]
    if replayable:
        rows += [
            ("random_get", ("i32", "i32"), _random_get),
            ("clock_time_get", ("i32", "i64", "i32"), _clock_time_get),
            ("clock_res_get", ("i32", "i32"), _clock_res_get),
        ]
    return [
        HostFunction(WASI, name, (params, ("i32",)), _callback(running, name, params, act)) for name, params, act in rows
    ]


def _callback(running: Running, name: str, params: tuple[str, ...], act: Callable[..., int]) -> Any:
    unpack = Struct("<" + "".join(f"Q{_VALUE - 8}x" if p == "i64" else f"I{_VALUE - 4}x" for p in params)).unpack_from

    def callback(_env: int, _caller: int, args: int, _count: int) -> int | None:
        guest = running.guest
        try:
            window = capi.window(args)
            _I32.pack_into(window, 0, act(guest, *unpack(window)))
        except BaseException as error:
            return guest.trap_for(name, error)
        return None

    return capi.UncheckedCallback(callback)


def _poll_oneoff(_guest: Fiber, _subscriptions: int, _events: int, _count: int, _stored: int) -> int:
    return _NOT_SUPPORTED


def _random_get(guest: Fiber, pointer: int, length: int) -> int:
    entropy = guest.config.entropy
    assert entropy is not None, "a replayable guest is given its entropy"
    target = _span_untrusted(guest, pointer, length)
    target[:] = entropy(length)
    return _SUCCESS


def _clock_time_get(guest: Fiber, _clock: int, _precision: int, pointer: int) -> int:
    clock = guest.config.clock
    assert clock is not None, "a replayable guest is given its clock"
    _span_untrusted(guest, pointer, _TIMESTAMP.size)[:] = _TIMESTAMP.pack(clock())
    return _SUCCESS


def _clock_res_get(guest: Fiber, _clock: int, pointer: int) -> int:
    _span_untrusted(guest, pointer, _TIMESTAMP.size)[:] = _TIMESTAMP.pack(_RESOLUTION_NANOSECONDS)
    return _SUCCESS


def _span_untrusted(guest: Fiber, pointer: int, length: int) -> memoryview:
    """That part of the guest's memory; raises GuestTrap if it is none."""
    if pointer + length > len(guest.memory):
        guest.memory_grew()
    if pointer + length > len(guest.memory):
        raise GuestTrap("the buffer lies outside the memory")
    return guest.memory[pointer : pointer + length]
