"""The few functions of WASI preview 1 that are ours instead of Wasmtime's.

In every run this is `poll_oneoff`, the one function that sleeps: Wasmtime's would block the thread and with it every
other guest. With ours, a sleep is a timer of the kernel's, as in WASI 0.2; so the clocks are ours, too. It is also
`fd_write` to stdout and stderr, which become prints (`adapter` says why, and sorts out files). In replayable runs it is
also what differs from run to run: randomness comes from the guest's configuration, and so does its drive
(`preview1_files`).
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any

from kernel.contract import limits
from kernel.contract.drive import DriveError
from kernel.contract.errors import GuestTrap
from kernel.contract.guest import Poll, Sleep
from kernel.wasm.adapter import FD_WRITE, FD_WRITE_NUMBERS, HOST, WASI
from kernel.wasm.code import Running
from kernel.wasm.compiling import capi
from kernel.wasm.compiling.capi import ADDRESS_SPACE
from kernel.wasm.fiber import Fiber
from kernel.wasm.host import HostFunction, asynchronous
from kernel.wasm.preview1_files import FILE_CALLS, span_untrusted
from kernel.wasm.wasi.state import NANOSECONDS

_SUCCESS, _BAD_DESCRIPTOR, _INVALID = 0, 8, 28
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
_MAX_SUBSCRIPTIONS = 64
"""In one poll; they are looked at one by one."""
_SUBSCRIPTION = Struct("<QB7xI4xQ8xH6x")
"""What a guest waits for: its own mark, the kind, and of a clock its id, the time and flags (precision is left out)."""
_EVENT = Struct("<QHB21x")
_CLOCK, _FILES, _ABSOLUTE = 0, (1, 2), 1
_RESULT = Struct(f"<{capi.VALUE_OFFSET}xI")


def standard_streams(running: Running) -> HostFunction:
    """Return what the adapter imports for stdout and stderr."""
    return HostFunction(HOST, FD_WRITE, FD_WRITE_NUMBERS, asynchronous(FD_WRITE, _fd_write, running))


def shadows(running: Running, replayable: bool) -> list[HostFunction]:
    """Return what replaces Wasmtime's definitions."""
    rows: list[tuple[str, tuple[str, ...], Callable[..., int]]] = [
        ("clock_time_get", ("i32", "i64", "i32"), _clock_time_get),
        ("clock_res_get", ("i32", "i32"), _clock_res_get),
    ]
    if replayable:
        rows += [("random_get", ("i32", "i32"), _random_get), *FILE_CALLS]
    poll = HostFunction(
        WASI, "poll_oneoff", (("i32",) * 4, ("i32",)), asynchronous("poll_oneoff", _poll_oneoff, running)
    )
    return [
        poll,
        *(
            HostFunction(
                WASI, name, (params, ("i32",)), (_counted if replayable else _callback)(running, name, params, act)
            )
            for name, params, act in rows
        ),
    ]


def _fd_write(guest: Fiber, args: int, results: int) -> bytes:
    fd, vectors, count, written = _ARGUMENTS.unpack_from(ADDRESS_SPACE, args)
    if count > _MAX_VECTORS:
        _RESULT.pack_into(ADDRESS_SPACE, results, _INVALID)
        return capi.READY
    data = _gather_untrusted(guest, vectors, count)
    span_untrusted(guest, written, _I32.size)[:] = _I32.pack(len(data))
    _RESULT.pack_into(ADDRESS_SPACE, results, _SUCCESS)
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
            try:
                errno = act(guest, *unpack(ADDRESS_SPACE, args))
            except DriveError as refusal:
                errno = refusal.errno
            _I32.pack_into(ADDRESS_SPACE, args, errno)
        except BaseException as error:
            return guest.trap_for(name, error)
        return None

    return capi.UncheckedCallback(callback)


def _counted(running: Running, name: str, params: tuple[str, ...], act: Callable[..., int]) -> Any:
    """Return the same for a guest whose slices are counted in fuel: that does not count what is done for it here."""
    values = (f"{'Q' if each == 'i64' else 'I4x'}{capi.VALUE_BYTES - capi.VALUE_OFFSET - 8}x" for each in params)
    unpack = Struct("<" + "".join(f"{capi.VALUE_OFFSET}x{value}" for value in values)).unpack_from

    def do(guest: Fiber, args: int, results: int) -> bytes:
        try:
            errno = act(guest, *unpack(ADDRESS_SPACE, args))
        except DriveError as refusal:
            errno = refusal.errno
        _RESULT.pack_into(ADDRESS_SPACE, results, errno)
        guest.count_call()
        return guest.go_on()

    return asynchronous(name, do, running, inside_realloc=True)  # where libc may be initialised


def _poll_oneoff(guest: Fiber, args: int, results: int) -> bytes:
    """Wait for the earliest of some times; files are always ready. What has happened then is known and written now."""
    place, events, count, stored = _ARGUMENTS.unpack_from(ADDRESS_SPACE, args)
    waits = []
    if 0 < count <= _MAX_SUBSCRIPTIONS:
        asked = span_untrusted(guest, place, count * _SUBSCRIPTION.size)
        waits = [(_deadline(guest, each), each) for each in _SUBSCRIPTION.iter_unpack(asked)]
    if not waits or any(deadline is None for deadline, _ in waits):
        _RESULT.pack_into(ADDRESS_SPACE, results, _INVALID)
        return capi.READY
    first = max(guest.monotonic(), min(deadline for deadline, _ in waits if deadline is not None))
    ready = [each for deadline, each in waits if deadline is not None and deadline <= first]
    happened = span_untrusted(guest, events, len(ready) * _EVENT.size)
    span_untrusted(guest, stored, _I32.size)[:] = _I32.pack(len(ready))
    for number, (userdata, kind, *_) in enumerate(ready):
        _EVENT.pack_into(happened, number * _EVENT.size, userdata, _SUCCESS, kind)
    _RESULT.pack_into(ADDRESS_SPACE, results, _SUCCESS)
    if first <= guest.monotonic():
        return capi.READY
    guest.effects.append(Sleep(first / NANOSECONDS))
    guest.emitted_another(0)
    return guest.suspend(Poll.CALL, None, 0, results)


def _deadline(guest: Fiber, subscription: tuple[int, ...]) -> int | None:
    """Return when something subscribed is there, in nanoseconds of the monotonic clock; None: it is not valid."""
    _, kind, clock, when, flags = subscription
    now = guest.monotonic()
    if kind in _FILES:
        return now
    if kind != _CLOCK or clock not in (_REALTIME, _MONOTONIC):
        return None
    if not flags & _ABSOLUTE:
        return now + when
    return when if clock == _MONOTONIC else now + when - guest.clock()


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
    now = guest.monotonic() if kind == _MONOTONIC else guest.clock()
    span_untrusted(guest, pointer, _TIMESTAMP.size)[:] = _TIMESTAMP.pack(now)
    return _SUCCESS


def _clock_res_get(guest: Fiber, _clock: int, pointer: int) -> int:
    span_untrusted(guest, pointer, _TIMESTAMP.size)[:] = _TIMESTAMP.pack(_RESOLUTION_NANOSECONDS)
    return _SUCCESS
