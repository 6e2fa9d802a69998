"""The few functions of WASI preview 1 that are ours instead of Wasmtime's.

In every run this is `poll_oneoff`, the one function that sleeps: Wasmtime's would block the thread and with it every
other guest. Ours answers `notsup`; a process waits by asking the timer for a message. It is also `fd_write` to stdout
and stderr, which become prints (`adapter` says why, and sorts out files). In replayable runs it is also what differs
from run to run: clocks and randomness come from the guest's configuration, and so does its drive (`wasi_files`).
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any

from kernel.contract import limits
from kernel.contract.drive import DriveError
from kernel.contract.errors import GuestTrap
from kernel.wasm import capi
from kernel.wasm.adapter import FD_WRITE, FD_WRITE_NUMBERS, HOST, WASI
from kernel.wasm.code import Running
from kernel.wasm.fiber import Fiber
from kernel.wasm.host import HostFunction, asynchronous
from kernel.wasm.preview1_files import FILE_CALLS, span_untrusted

_SUCCESS, _BAD_DESCRIPTOR, _INVALID, _NOT_SUPPORTED = 0, 8, 28, 58
"""WASI error numbers."""
_REALTIME, _MONOTONIC = 0, 1
_CPU_TIMES = (2, 3)
"""WASI clock ids of the CPU time of the process and the thread, which Wasmtime does not offer."""
_STDOUT, _STDERR = 1, 2
_VERBOSITY = {_STDOUT: 1, _STDERR: 0}
_MAX_VECTORS = 1024
"""Buffers in one write, as in POSIX."""
_ENTROPY_BYTES = 65536
"""Bytes of randomness asked for at a time."""
_TIMESTAMP = Struct("<Q")
_RESOLUTION_NANOSECONDS = 1000
_VALUE = capi.RAW_VALUE_BYTES
_I32 = Struct("<I")
_VECTOR = Struct("<II")
_ARGUMENTS = Struct("<" + f"{capi.VALUE_OFFSET}xI{capi.VALUE_BYTES - capi.VALUE_OFFSET - 4}x" * 4)
_RESULT = Struct(f"<{capi.VALUE_OFFSET}xI")


def standard_streams(running: Running) -> HostFunction:
    """Return what the adapter imports for stdout and stderr."""
    return HostFunction(HOST, FD_WRITE, FD_WRITE_NUMBERS, asynchronous(FD_WRITE, _fd_write, running))


def shadows(running: Running, replayable: bool) -> list[HostFunction]:
    """Return what replaces Wasmtime's definitions."""
    rows: list[tuple[str, tuple[str, ...], Callable[..., int]]] = [
        ("poll_oneoff", ("i32", "i32", "i32", "i32"), _poll_oneoff)
    ]
    if replayable:
        rows += [
            ("random_get", ("i32", "i32"), _random_get),
            ("clock_time_get", ("i32", "i64", "i32"), _clock_time_get),
            ("clock_res_get", ("i32", "i32"), _clock_res_get),
            *FILE_CALLS,
        ]
    return [
        HostFunction(WASI, name, (params, ("i32",)), _callback(running, name, params, act))
        for name, params, act in rows
    ]


def _fd_write(guest: Fiber, raw: memoryview, results: int) -> bytes:
    fd, vectors, count, written = _ARGUMENTS.unpack_from(raw)
    if count > _MAX_VECTORS:
        _RESULT.pack_into(capi.window(results), 0, _INVALID)
        return capi.READY
    data = _gather_untrusted(guest, vectors, count)
    span_untrusted(guest, written, _I32.size)[:] = _I32.pack(len(data))
    _RESULT.pack_into(capi.window(results), 0, _SUCCESS)
    return guest.write(_VERBOSITY[fd], data)


def _gather_untrusted(guest: Fiber, vectors: int, count: int) -> bytes:
    """Return the first MAX_PRINT_BYTES of what the vectors point to; a write may be partial. Raises GuestTrap."""
    parts, room = [], limits.MAX_PRINT_BYTES
    for pointer, length in _VECTOR.iter_unpack(span_untrusted(guest, vectors, count * _VECTOR.size)):
        part = span_untrusted(guest, pointer, length)[:room].tobytes()
        parts.append(part)
        room -= len(part)
    return b"".join(parts)


def _callback(running: Running, name: str, params: tuple[str, ...], act: Callable[..., int]) -> Any:
    unpack = Struct("<" + "".join(f"Q{_VALUE - 8}x" if p == "i64" else f"I{_VALUE - 4}x" for p in params)).unpack_from

    def callback(_env: int, _caller: int, args: int, _count: int) -> int | None:
        guest: Fiber = running.guest
        try:
            window = capi.window(args)
            try:
                errno = act(guest, *unpack(window))
            except DriveError as refusal:
                errno = refusal.errno
            _I32.pack_into(window, 0, errno)
        except BaseException as error:
            return guest.trap_for(name, error)
        return None

    return capi.UncheckedCallback(callback)


def _poll_oneoff(_guest: Fiber, _subscriptions: int, _events: int, _count: int, _stored: int) -> int:
    return _NOT_SUPPORTED


def _random_get(guest: Fiber, pointer: int, length: int) -> int:
    entropy = guest.config.entropy
    assert entropy is not None, "a replayable guest is given its entropy"
    target = span_untrusted(guest, pointer, length)
    for start in range(0, length, _ENTROPY_BYTES):
        part = target[start : start + _ENTROPY_BYTES]
        part[:] = entropy(len(part))
    return _SUCCESS


def _clock_time_get(guest: Fiber, kind: int, _precision: int, pointer: int) -> int:
    if kind in _CPU_TIMES:
        return _BAD_DESCRIPTOR
    if kind not in (_REALTIME, _MONOTONIC):
        raise GuestTrap("there is no such clock")
    config = guest.config
    clock = config.monotonic if kind == _MONOTONIC and config.monotonic is not None else config.clock
    assert clock is not None, "a replayable guest is given its clock"
    span_untrusted(guest, pointer, _TIMESTAMP.size)[:] = _TIMESTAMP.pack(clock())
    return _SUCCESS


def _clock_res_get(guest: Fiber, _clock: int, pointer: int) -> int:
    span_untrusted(guest, pointer, _TIMESTAMP.size)[:] = _TIMESTAMP.pack(_RESOLUTION_NANOSECONDS)
    return _SUCCESS
