"""A running component that needs WASI 0.2 itself (componentize-py's, for instance): a thread behind a poll.

Theory of operation. Such a component goes through Wasmtime's component API. That has asynchronous calls too, but with
them WASI 0.2 must run inside a Tokio runtime, which C cannot enter: a guest that sleeps would abort the whole process.
So each of these guests has a thread, on which it may block in WASI, and `poll` lets it run and waits for at most a
slice. Where `fiber` suspends, the thread stops at `_pause` until it is let go; what it leaves behind meanwhile lies in
`_left`, and `poll` hands it over. A thread costs more than a fiber and the API converts values one by one, so this is
for those components alone.

A kill is noticed at the next epoch: `close` advances it, and the store's callback ends the guest. One that sleeps in
WASI ends when it wakes; until then it keeps its place among MAX_THREADED_GUESTS.
"""

from __future__ import annotations

import ctypes
import threading
import time
from ctypes import POINTER, byref, c_size_t, c_ssize_t, c_ubyte, c_uint8, c_uint64, c_void_p, cast, string_at
from dataclasses import dataclass
from functools import partial
from typing import Any

import wasmtime
from wasmtime import _ffi
from wasmtime.component import Component, Linker

from kernel.contract import limits
from kernel.contract.errors import BadModule, GuestTrap
from kernel.contract.guest import Arrival, Effect, End, Failure, GuestConfig, GuestStatistics, Poll, Print
from kernel.contract.message import LazyLoadBlob
from kernel.wasm import capi
from kernel.wasm.traps import describe
from kernel.wasm.values import Value, write_text

SLICE_SECONDS = 0.005
"""How long one poll waits for a guest."""
_INSTANCES, _TABLES, _MEMORIES = 1000, 100, 2
"""Instances, tables and memories of one component; componentize-py's has dozens of instances. Each gets its share of
the bounds."""

_Context = POINTER(_ffi.wasmtime_context_t)
_EpochCallback = ctypes.CFUNCTYPE(c_size_t, _Context, c_void_p, POINTER(c_uint64), POINTER(c_uint8))
_OutputCallback = ctypes.CFUNCTYPE(c_ssize_t, c_void_p, POINTER(c_ubyte), c_size_t)
_NO_FINALIZER = ctypes.CFUNCTYPE(None, c_void_p)(0)
_WAITING = (Poll.RECEIVE, Poll.CALL)


class Current(threading.local):
    """The guest that the current thread belongs to."""

    guest: ThreadedGuest


@dataclass(frozen=True, slots=True)
class ThreadedCode:
    """What all guests of a component share."""

    engine: wasmtime.Engine
    linker: Linker
    component: Component
    current: Current
    places: threading.BoundedSemaphore
    """A place is taken by each guest for as long as its thread lives."""
    keep: tuple[object, ...]
    """Callbacks and types that C refers to."""


class _Killed(GuestTrap):
    """The guest was closed while it waited."""


class ThreadedGuest:
    """A `kernel.contract.guest.Guest` on a thread. The size of its memory is unknown, and counts as all that it may
    have."""

    def __init__(self, code: ThreadedCode, config: GuestConfig) -> None:
        """Raises BadModule if as many of these guests run already as may."""
        if not code.places.acquire(blocking=False):
            raise BadModule(f"{limits.MAX_THREADED_GUESTS} components that need threads of their own run already")
        self.effects: list[Effect] = []
        self.end: End | None = None
        self.config = config
        self.blob: LazyLoadBlob | None = None
        """The blob of the message being handled (G11)."""
        self.last_blob: LazyLoadBlob | None = None
        self.blob_bytes_loaded = 0
        self.host_error: BaseException | None = None
        self._code = code
        self._pending: Poll | None = None
        self._polls = 0
        self._thread: threading.Thread | None = None
        self._held = False
        """Whether the thread stands at `_pause`."""
        self._paused, self._go = threading.Semaphore(0), threading.Semaphore(0)
        self._lock = threading.Lock()
        # From here on the thread's; shared state is guarded by the lock, or by the thread standing still.
        self._left: list[Effect] = []
        self._lines: dict[int, bytes] = {}
        self._emitted = 0
        self._reason = Poll.PREEMPTED
        self._answer: object = None
        self._killed = False
        self._outcome = End(None)
        self._seconds = 0.0
        self._clock: int | None = None
        """The thread's CPU clock, while it runs."""
        self._callbacks: list[object] = []

    # --- kernel.contract.guest.Guest ----------------------------------------------------------------------------------

    def poll(self) -> Poll:
        """Let the guest's thread run, and wait for it for at most SLICE_SECONDS (see
        `kernel.contract.guest.Guest.poll`)."""
        if self._pending is not None:
            return self._pending
        self._polls += 1
        if self._thread is None:
            self._start()
        elif self._held:
            self._held = False
            self._go.release()
        self._held = self._paused.acquire(timeout=SLICE_SECONDS)
        with self._lock:
            self.effects += self._left
            self._left.clear()
            self._emitted = 0
        if not self._held:
            return Poll.PREEMPTED
        if self._reason is Poll.PREEMPTED:
            return Poll.PREEMPTED
        self._pending = self._reason
        if self._reason is Poll.ENDED:
            self.end = self._outcome
            error, self.host_error = self.host_error, None
            if error is not None and not isinstance(error, Exception):
                raise error  # KeyboardInterrupt and its like hit us, not the guest
        return self._reason

    def resume(self, answer: object) -> None:
        """Set the answer that the guest waits for (see `kernel.contract.guest.Guest.resume`)."""
        assert self._pending in _WAITING, f"{self} waits for no answer"
        if type(answer) is Arrival:
            self._set_blob(answer.blob)
        elif type(answer) is Failure:
            self._set_blob(self.loaded(answer.error.blob))
        self._answer = answer
        self._pending = None

    def close(self) -> None:
        """Drop the guest without waiting for its thread (see `kernel.contract.guest.Guest.close`)."""
        if self.end is not None:
            return
        self.end = End("killed")
        self._pending = Poll.ENDED
        self._killed = True
        if self._thread is None:
            self._code.places.release()
        self._go.release()
        self._code.engine.increment_epoch()

    def statistics(self) -> GuestStatistics:
        """Return what the guest has used so far; CPU time is that of its thread, which may run outside of polls too."""
        with self._lock:
            seconds = self._seconds if self._clock is None else time.clock_gettime(self._clock)
        return GuestStatistics(self.config.memory_bytes, self.blob_bytes_loaded, self._polls, seconds)

    def __repr__(self) -> str:
        state = self.end or (self._pending.name if self._pending else "running")
        return f"<ThreadedGuest {self.config.our} {state}, {self._polls} polls, {len(self.effects)} effects>"

    # --- for host functions, on the guest's thread --------------------------------------------------------------------

    def emit(self, effects: list[Effect], size: int) -> None:
        """Leave effects; wait, if the guest has emitted its share, until they were handed over."""
        with self._lock:
            self._left += effects
            self._emitted += size
            full = len(self._left) >= limits.MAX_EFFECTS or self._emitted >= limits.MAX_EFFECT_BYTES
        if full:
            self._pause(Poll.PREEMPTED)

    def call(self, effect: Effect) -> object:
        """Leave an effect and wait for its answer."""
        with self._lock:
            self._left.append(effect)
        return self._pause(Poll.CALL)

    def receive(self) -> object:
        """Wait for a message."""
        return self._pause(Poll.RECEIVE)

    def loaded(self, blob: LazyLoadBlob | None) -> LazyLoadBlob | None:
        """Return the blob, counted as copied into the guest."""
        if blob is not None:
            self.blob_bytes_loaded += len(blob.bytes)
        return blob

    def error_for(self, name: str, error: BaseException) -> Any:
        """Return a new wasmtime_error_t for what went wrong in the host function `name`; note it if the guest is not at
        fault."""
        if isinstance(error, GuestTrap):
            return _ffi.wasmtime_error_new(f"{name}: {error}".encode())
        self.host_error = error
        return _ffi.wasmtime_error_new(f"{name}: the host failed: {error!r}".encode())

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=f"component {self.config.our}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._code.current.guest = self
        with self._lock:
            self._clock = time.pthread_getcpuclockid(threading.get_ident())
        try:
            self._outcome = End(self._live())
        finally:
            with self._lock:
                self._left += [_line(verbosity, rest) for verbosity, rest in self._lines.items() if rest]
                self._seconds, self._clock = time.thread_time(), None
            self._reason = Poll.ENDED
            self._code.places.release()
            self._paused.release()

    def _live(self) -> str | None:
        """Run the guest's whole life; return why it trapped, or None."""
        store = capi.store_new(capi.address(self._code.engine.ptr()), None, None)
        try:
            self._prepare(store)
            return self._call_init(cast(capi.store_context(store), _Context))
        except BadModule as refused:
            return str(refused)
        finally:
            capi.store_delete(store)

    def _prepare(self, store: int) -> None:
        """Set limits, the epoch's callback, and what the guest sees of WASI. Raises BadModule."""
        memory = min(self.config.memory_bytes, limits.MAX_MEMORY_BYTES) // _MEMORIES
        capi.store_limiter(store, memory, limits.MAX_TABLE_ELEMENTS // _TABLES, _INSTANCES, _TABLES, _MEMORIES)
        epoch = _EpochCallback(self._on_epoch)
        _ffi.wasmtime_store_epoch_deadline_callback(
            cast(store, POINTER(_ffi.wasmtime_store_t)), epoch, None, _NO_FINALIZER
        )
        context = capi.store_context(store)
        _ffi.wasmtime_context_set_epoch_deadline(cast(context, _Context), 1)
        wasi, drive = capi.wasi_config_new(), self.config.drive
        outputs = [_OutputCallback(partial(self._write, verbosity)) for verbosity in (1, 0)]
        self._callbacks += [epoch, *outputs]
        pointer = cast(wasi, POINTER(_ffi.wasi_config_t))
        _ffi.wasi_config_set_stdout_custom(pointer, outputs[0], None, _NO_FINALIZER)
        _ffi.wasi_config_set_stderr_custom(pointer, outputs[1], None, _NO_FINALIZER)
        if isinstance(drive, str) and not capi.wasi_config_preopen_dir(wasi, drive.encode(), b"/", True):
            capi.wasi_config_delete(wasi)
            raise BadModule(f"the drive {drive} is not a folder")
        capi.check(capi.set_wasi(context, wasi))

    def _call_init(self, context: Any) -> str | None:
        code = self._code
        instance, init = _ffi.wasmtime_component_instance_t(), _ffi.wasmtime_component_func_t()
        error = _ffi.wasmtime_component_linker_instantiate(
            code.linker.ptr(), context, code.component.ptr(), byref(instance)
        )
        if error:
            return _cause(error)
        index = _ffi.wasmtime_component_instance_get_export_index(byref(instance), context, None, b"init", 4)
        found = _ffi.wasmtime_component_instance_get_func(byref(instance), context, index, byref(init))
        _ffi.wasmtime_component_export_index_delete(index)
        assert found, "it was checked when the component was loaded"
        our = Value()
        write_text(our, str(self.config.our).encode())
        error = _ffi.wasmtime_component_func_call(byref(init), context, byref(our), 1, None, 0)
        _ffi.wasmtime_component_val_delete(byref(our))
        return _cause(error) if error else None

    def _on_epoch(self, _context: int, _data: int, delta: Any, kind: Any) -> int:
        """Return an error if this guest was killed; if another one was, go on until the next is."""
        if self._killed:
            error: int | None = cast(_ffi.wasmtime_error_new(b"killed"), c_void_p).value
            return error or 0
        delta[0], kind[0] = 1, 0
        return 0

    def _pause(self, reason: Poll) -> object:
        """Stop until the next poll or, if the guest waits for an answer, until that is there; return it."""
        self._reason = reason
        self._paused.release()
        self._go.acquire()
        if self._killed:
            raise _Killed("killed")
        answer, self._answer = self._answer, None
        return answer

    def _set_blob(self, blob: LazyLoadBlob | None) -> None:
        self.blob = blob
        if blob is not None:
            self.last_blob = blob

    def _write(self, verbosity: int, _data: int, text: Any, size: int) -> int:
        """Take what the guest wrote to a standard stream, on whatever thread: whole lines become prints. What a guest
        writes beyond its share before it is polled again is dropped."""
        with self._lock:
            *lines, rest = (self._lines.get(verbosity, b"") + string_at(text, size)).split(b"\n")
            self._lines[verbosity] = rest[: limits.MAX_PRINT_BYTES]
            room = limits.MAX_EFFECTS - len(self._left)
            self._left += [_line(verbosity, line) for line in lines[: max(0, room)]]
        return size


def _line(verbosity: int, line: bytes) -> Print:
    return Print(verbosity, line[: limits.MAX_PRINT_BYTES].decode(errors="replace"))


def _cause(error: Any) -> str | None:
    """Return why a call failed, from a wasmtime_error_t, which is consumed; None: it exited with 0."""
    found = wasmtime.WasmtimeError._from_ptr(error)
    if isinstance(found, wasmtime.ExitTrap):
        return f"exited with code {found.code}" if found.code else None
    return describe(str(found))
