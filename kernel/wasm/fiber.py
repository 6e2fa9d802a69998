"""One running guest: a suspended or running call into Wasm, which goes on when it is polled.

Theory of operation. Wasmtime runs a guest on a stack of its own (a fiber). The guest's whole life is at most two
calls: instantiation, and the adapter's `run`, which calls `_initialize` and `init`. Each is a future of the C API;
`poll` polls the one that is under way, and host functions (`host`) suspend it by leaving a continuation that is not
ready. So a guest needs no thread and no lock, and nothing runs but when it is polled, not even a start function.

A host function touches nothing but the guest's own record, this class: it appends effects, and the kernel applies them
after the poll. That makes a guest a pure state machine, and lets a busy one be polled on a worker thread. The record is
found through a thread-local, because callbacks are shared by all guests of an engine: own ones would cost kilobytes.

A poll ends without a result when the guest waits for an answer, when it has emitted as much as `limits` allow for one
poll, or when its time slice is over: by the epoch, which `ticker` advances, or by fuel in replayable runs, where the
same bytes and messages give the same polls. An idle guest's epoch deadline has usually passed when its next message
comes, so it yields at once; `poll` notices that no tick happened meanwhile, or only just now, and polls on.

What ends a guest ends that guest alone: traps, an exit, misuse of the interface, an error in our own host functions.
Everything that C points to lives in `Cells` and in `Code`; what refers to the store is dropped in order: future, store.
"""

from __future__ import annotations

from ctypes import addressof, byref
from os import urandom
from struct import Struct
from time import monotonic_ns, perf_counter, time_ns
from typing import TYPE_CHECKING

import wasmtime

from kernel.contract import limits
from kernel.contract.errors import BadModule, GuestTrap
from kernel.contract.guest import (
    Arrival,
    Effect,
    End,
    Failure,
    Frame,
    GuestConfig,
    GuestStatistics,
    Poll,
    SendAndHear,
    Sleep,
    StopHearing,
    Woken,
)
from kernel.wasm.adapter import FILE_FUNCTIONS, RUN
from kernel.wasm.binary.blocks import EXPORT as BLOCKS
from kernel.wasm.canonical.lower import BATCH, Lower, Lowered, Plain, lower_text
from kernel.wasm.compiling import capi
from kernel.wasm.compiling.capi import ADDRESS_SPACE
from kernel.wasm.component_instances import ComponentInstances
from kernel.wasm.module_instances import FIRST_FILE_FUNCTION, ModuleInstances, look_up, make_adapter
from kernel.wasm.noted_blocks import NotedBlocks
from kernel.wasm.output import OutputLines
from kernel.wasm.ticker import TICK_SECONDS
from kernel.wasm.traps import Trap, describe, last_words, read_debug_untrusted
from kernel.wasm.wasi.exchanges import Exchanges
from kernel.wasm.wasi.host_drive import HostDrive
from kernel.wasm.wasi.state import NANOSECONDS, GuestExit, WasiState, WasiWait

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kernel.contract.message import LazyLoadBlob
    from kernel.files.open_files import OpenFiles
    from kernel.wasm.code import Code
    from kernel.wasm.component_instances import Linked

FUEL = 1 << 62
"""The fuel that a guest starts with in a replayable run; at a billion a second it lasts a century."""
SLICE_FUEL = 5_000_000
"""Units of fuel of one slice in a replayable run; about as long as a tick."""

_NEARLY_FULL = 0.75
"""The share of its memory from which on a component may have ended for want of more: it may have asked for much."""
_SLICES_OF_A_SHARE = 10
"""What a poll in which a guest has emitted its share counts as: to apply it takes about as long as so many slices."""

LEAST_SLICE_SECONDS = TICK_SECONDS / 2
"""A guest that is pre-empted has run for longer than this, and for less than a tick more."""
MOST_SLICE_SECONDS = 4 * TICK_SECONDS
"""After this a slice is over even if the program has used no processor time: the guest may wait for a disk."""

_CALLS = 4096
"""Calls of WASI in one poll: fuel counts what a guest does, and not what is done for it."""
_CALL_BYTES = limits.MAX_EFFECT_BYTES // _CALLS
"""What each of them counts as in the guest's share."""
_TABLES = 4
"""A guest's tables and the adapter's one. LLVM's output has one table; each gets its share of MAX_TABLE_ELEMENTS."""

_PACK_CODES = [
    Struct("<" + f"{capi.VALUE_OFFSET}xI{capi.VALUE_BYTES - capi.VALUE_OFFSET - 4}x" * (count + 1)).pack_into
    for count in range(BATCH + 1)
]
"""Packs the number of pieces and the code of each, as results of an asynchronous host function (their kind, i32,
is 0)."""

_FLAT = Struct(f"<B{capi.VALUE_OFFSET - 1}xI")
"""How the one result of an asynchronous function is written: its kind, and its number."""
_WAITING = (Poll.RECEIVE, Poll.CALL)
_PREEMPTED = Poll.PREEMPTED
"""A module-level name: looking up a member of an enumeration takes 70 nanoseconds, this takes 5."""
_poll = capi.poll
_NO_MEMORY = memoryview(bytearray())
"""Writable, so that writing fails as it does beyond the end of any other."""
_NOTHING = capi.array_of(_NO_MEMORY)


class Fiber:
    """A `kernel.contract.guest.Guest`; made by `engine.Engine.load(…).start(…)`."""

    __slots__ = (
        "_asleep",
        "_blocks",
        "_cells",
        "_code",
        "_context",
        "_digest",
        "_exit_code",
        "_future",
        "_instances",
        "_lines",
        "_lower",
        "_making",
        "_memory_bytes",
        "_pending",
        "_polls",
        "_ready",
        "_results",
        "_seconds",
        "_selected",
        "_slices",
        "_store",
        "_target",
        "_throttled",
        "_views",
        "blob",
        "blob_bytes_loaded",
        "config",
        "effects",
        "emitted",
        "end",
        "files",
        "goes_on_when_ready",
        "host_error",
        "last_blob",
        "lifted_from",
        "lowered",
        "memory",
        "wasi",
    )

    def __init__(self, code: Code, config: GuestConfig, digest: str = "") -> None:
        """`digest` is the SHA-256 of the program, in hex.

        Raises BadModule if the program cannot be linked or its drive is not a folder.
        """
        if config.drive is not None and isinstance(config.drive, str) is (code.ticker is None):
            raise ValueError("a drive is a folder of the host, and in a replayable run a tree of files that is none")
        self.effects: list[Effect] = []
        self.end: End | None = None
        self.config = config
        self.emitted = 0
        """Bytes emitted since the kernel last emptied `effects`."""
        self.memory = _NO_MEMORY
        """The guest's memory as it was last seen; it may have grown since."""
        self.lifted_from = _NOTHING
        """The same memory, as an array: its slices are bytes, and take half the time."""
        self.lowered: Lowered | Plain | None = None
        """The result that is being placed in guest memory."""
        self.blob: LazyLoadBlob | None = None
        """The blob of the message being handled (G11)."""
        self.last_blob: LazyLoadBlob | None = None
        """The last blob that came with a message."""
        self.blob_bytes_loaded = 0
        self.host_error: BaseException | None = None
        """What went wrong in a host function that is not the guest's fault."""
        self.files: OpenFiles | None = None
        """What it has open in a replayable run; None: it has made no call on files yet."""
        self.wasi: WasiState | None = None
        """What it has of WASI 0.2, if it is a component, until its end."""
        self._asleep: tuple[WasiWait, int] | None = None
        """What it waits for, and the time that it has asked the kernel for."""
        self._blocks: NotedBlocks | None = None
        """What it notes; None: nothing, or nobody wants to know."""
        self._lines = OutputLines()
        self._pending: Poll | None = None
        self._lower: Lower | None = None
        self._target = 0
        self._results = 0
        self._throttled = False
        self._polls = 0
        self._slices = 0
        """Slices used up since it waited last, in a replayable run."""
        self._seconds = 0.0
        self._memory_bytes = 0
        self._code = code
        self._digest = digest
        self._cells = capi.Cells()
        self._ready = memoryview(self._cells).cast("B")[capi.READY_FLAG :]
        """The flag in `_cells`: an item of a view is set in half the time of a field."""
        self.goes_on_when_ready = capi.Continuation.on(addressof(self._cells) + capi.READY_FLAG)
        """The bytes of a continuation that goes on when this guest is ready to."""
        self._store: int = capi.store_new(code.engine, None, None)
        self._context: int = capi.store_context(self._store)
        self._future: int | None = None
        self._making: ModuleInstances | ComponentInstances | None = None
        """What makes its instances, until all are made."""
        self._exit_code: int | None = None
        """With what it has ended itself."""
        self._instances: ComponentInstances | None = None
        self._selected = 0
        """The number of the memory that `memory` is."""
        try:
            make_adapter(code, self._context, self._cells)
            self._set_limits()
            if code.component is None:
                self._making = ModuleInstances(code, config, self._context, self._cells)
            else:
                self._making = self._instances = self._component_instances(code.component)
            self._future = self._making.make_next()
        except BadModule:
            self._drop()
            raise

    # --- kernel.contract.guest.Guest ----------------------------------------------------------------------------------

    def poll(self) -> Poll:
        """Run the guest (see `kernel.contract.guest.Guest.poll`); gives up the GIL meanwhile. From any thread, one at a
        time."""
        if self._pending is not None:
            return self._pending
        if self.effects:
            if self._throttled:
                return _PREEMPTED
        else:
            self.emitted = 0
            if self._throttled:
                self._throttled = False
                self._ready[0] = 1
        self._polls += 1
        code = self._code
        code.running.guest = self
        ticker = code.ticker
        if ticker is None:
            while _poll(self._future) and not self._call_ended():
                pass
            blocks = self._blocks
            if blocks is not None:
                while self._pending is None and not self._throttled and not blocks.slice_is_over():
                    while _poll(self._future) and not self._call_ended():
                        pass
                if self._store:
                    blocks.tell()
            return self._pending or self._slice_ended()
        started = perf_counter()
        polls = ticker.polls
        polls.append(None)
        if ticker.asleep:
            ticker.wake()
        used = ticker.used
        try:
            ticks = ticker.ticks
            while True:
                if _poll(self._future):
                    if self._call_ended():
                        break
                elif self._pending is not None or self._throttled:
                    break
                if (
                    ticks != ticker.ticks
                    and (passed := perf_counter() - started) > LEAST_SLICE_SECONDS
                    and (ticker.used - used > LEAST_SLICE_SECONDS or passed > MOST_SLICE_SECONDS)
                ):
                    # The slice is over. If nothing ticked, the deadline had passed before this poll; if the poll has
                    # just begun, a tick happened to fall into it; if the program has used little since the tick before,
                    # others had the processor meanwhile: poll on.
                    break
        finally:
            polls.pop()
            self._seconds += perf_counter() - started
        return self._pending or _PREEMPTED

    def resume(self, answer: object) -> None:
        """Lower the answer now, and copy it into the guest in its next poll (see
        `kernel.contract.guest.Guest.resume`)."""
        assert self._pending in _WAITING, f"{self} waits for no answer"
        if type(answer) is Arrival:
            self.blob = blob = answer.blob
            if blob is not None:
                self.last_blob = blob
        elif type(answer) is Failure:
            self.blob = blob = answer.error.blob
            if blob is not None:
                self.last_blob = blob
                self.blob_bytes_loaded += len(blob.bytes)
        elif self._asleep is not None:
            wait = self._woken(early=type(answer) is Woken)
            if wait is None:
                return
            assert self.wasi is not None
            self._answer(wait.answer(wait.ready(self.wasi)), wait)
            self._go_on_running()
            return
        if self._lower is not None:
            self.lowered = lowered = self._lower(answer, self._target)
            codes = lowered.codes
            _PACK_CODES[len(codes)](ADDRESS_SPACE, self._results, len(codes), *codes)
        self._go_on_running()

    def hear(self, number: int, outcome: Arrival | Failure) -> None:
        """Note the outcome of a `SendAndHear` (see `kernel.contract.guest.Guest.hear`)."""
        wasi = self.wasi
        if wasi is not None:
            wasi.exchanges.hear(number, outcome)

    def limit_memory(self, limited: bool) -> None:
        """Refuse memory (see `kernel.contract.guest.Guest.limit_memory`)."""
        if self._store:
            self._look_at_memory()
            self._limit_store((self._memory_bytes or None) if limited else None)

    def close(self) -> None:
        """Drop the guest (see `kernel.contract.guest.Guest.close`); must not be called while another thread polls."""
        if self.end is None:
            self.end = End("killed")
            self._pending = Poll.ENDED
        self._drop()

    def end_here(self, debug: Callable[[str], bytes | None] | None) -> tuple[Frame, ...]:
        """End a guest of a replayable run that waits, or has used up a slice, and return the functions that it is in,
        the innermost first: it has no fuel any more, so it traps before it calls another function or goes round a loop.
        `debug` is as in `GuestConfig`.
        """
        if self.end is None and self._future:
            capi.check(capi.set_fuel(self._context, 0))
            self.config = self.config._replace(debug=debug)
            self._lower, self.lowered = None, None
            self._throttled = False
            self._go_on_running()
            while self.poll() is _PREEMPTED:
                pass
        return () if self.end is None else self.end.frames

    def statistics(self) -> GuestStatistics:
        """Return what the guest has used so far."""
        if self._store:
            self._look_at_memory()
        seconds = None if self._code.ticker is None else self._seconds
        return GuestStatistics(self._memory_bytes, self.blob_bytes_loaded, self._polls, seconds)

    def __repr__(self) -> str:
        state = self.end or (self._pending.name if self._pending else "ready")
        return f"<Fiber {self.config.our} {state}, {self._polls} polls, {len(self.effects)} effects>"

    # --- for host functions, which run within a poll ------------------------------------------------------------------

    def emitted_another(self, size: int) -> bytes:
        """Count effects of `size` bytes that were just appended. Returns the continuation: the guest goes on at once,
        or, if it has emitted its share, when the kernel has emptied `effects`."""
        self.emitted += size
        if len(self.effects) < limits.MAX_EFFECTS and self.emitted < limits.MAX_EFFECT_BYTES:
            return capi.READY
        self.throttle()
        return self.goes_on_when_ready

    def count_call(self) -> None:
        """Count a call of WASI in the guest's share."""
        self.emitted += _CALL_BYTES
        if self.emitted >= limits.MAX_EFFECT_BYTES:
            self.throttle()

    def throttle(self) -> None:
        """Make the guest not ready until the kernel has emptied `effects`, since it has emitted its share."""
        self._throttled = True
        self._ready[0] = 0

    def suspend(self, poll: Poll, lower: Lower | None, target: int, results: int) -> bytes:
        """Let the guest wait until `resume` brings the answer; return the continuation.

        `lower` is None if there is nothing to lower: the answer is None. `target` is the return pointer. `results` is
        where the function's core results are to be written, valid until it returns.
        """
        self._pending = poll
        self._lower = lower
        self._target = target
        self._results = results
        self._throttled = False
        self._ready[0] = 0
        return self.goes_on_when_ready

    def go_on(self) -> bytes:
        """Return the continuation of a call that is answered already: the guest goes on, unless it has emitted its
        share."""
        return self.goes_on_when_ready if self._throttled else capi.READY

    def wait(self, wait: WasiWait, lower: Lower | None, target: int, results: int) -> bytes:
        """Let the guest wait until one of some pollables is ready; the other parameters are those of `suspend`."""
        assert self.wasi is not None
        ready = wait.ready(self.wasi)
        if not ready:
            deadlines = [each.deadline for each in wait.pollables if each.deadline is not None]
            until = min(deadlines)
            self.effects.append(Sleep(until / NANOSECONDS))
            self.emitted_another(0)
            self._asleep = wait, until
            return self.suspend(Poll.CALL, lower, target, results)
        self._lower, self._target, self._results = lower, target, results
        self._answer(wait.answer(ready), wait)
        return self.go_on()

    def _answer(self, answer: object, wait: WasiWait | None) -> None:
        """Place the answer of the call that is under way; `wait` if it is one of WASI's."""
        if self._lower is not None:
            self.lowered = lowered = self._lower(answer, self._target)
            hand_over_codes(lowered.codes, self._results)
        elif wait is not None and wait.is_flat:
            _FLAT.pack_into(ADDRESS_SPACE, self._results, capi.I32, answer)

    def _go_on_running(self) -> None:
        """Let the next poll run the guest, which has what it waited for."""
        self._pending = None
        self._ready[0] = 1
        self._slices = 0

    def _woken(self, *, early: bool) -> WasiWait | None:
        """Return what the guest has slept for. If it was woken early and none is ready, it sleeps on, and does not run:
        None."""
        assert self._asleep is not None
        assert self.wasi is not None
        wait, until = self._asleep
        if not early:
            self.wasi.slept(until)
        if wait.ready(self.wasi):
            self._asleep = None
            return wait
        self.effects.append(Sleep(until / NANOSECONDS))
        return None

    def ask(self, effect: SendAndHear | StopHearing) -> None:
        """Send a request of WASI's, or say that nobody wants its outcome any more."""
        self.effects.append(effect)
        size = 0
        if isinstance(effect, SendAndHear):
            size = len(effect.request.body) + (0 if effect.blob is None else len(effect.blob.bytes))
        self.emitted_another(size)

    def clock(self) -> int:
        """Return WASI's wall clock, in nanoseconds."""
        return (self.config.clock or time_ns)()

    def monotonic(self) -> int:
        """Return WASI's monotonic clock, in nanoseconds: the kernel's time."""
        return (self.config.monotonic or self.config.clock or monotonic_ns)()

    def select_memory(self, number: int) -> None:
        """Let `memory` be one of several."""
        if number != self._selected:
            self._views[self._selected] = self.memory
            self._selected, self.memory = number, self._views[number]
            self.lifted_from = capi.array_of(self.memory)
            assert self._instances is not None
            self._cells.memory = self._instances.memories[number]

    def memory_grew(self) -> bool:
        """Look at the guest's memory again; return whether it has grown since the last time."""
        return self._look_at_memory()

    def trap_for(self, name: str, error: BaseException) -> int:
        """Return a new wasm_trap_t for what went wrong in the host function `name`; note it if the guest is not at
        fault."""
        if isinstance(error, GuestTrap):
            if isinstance(error, GuestExit):
                self._exit_code = error.code
            text = f"{name}: {error}".encode()
        else:
            self.host_error = error
            text = f"{name}: the host failed: {error!r}".encode()
        trap: int = capi.trap_new(text, len(text))
        return trap

    def write(self, verbosity: int, data: bytes) -> bytes:
        """Take what the guest wrote to a standard stream: whole lines become prints, and an overlong one several.
        Return the continuation."""
        self.effects.extend(self._lines.take(verbosity, data))
        return self.emitted_another(len(data))

    # --- inside -------------------------------------------------------------------------------------------------------

    def _limit_store(self, most: int | None = None) -> None:
        """Bound what the guest may have; `most` bytes are the most of one memory."""
        memory = min(self.config.memory_bytes, limits.MAX_MEMORY_BYTES)
        component = self._code.component
        if component is not None:
            tables = component.tables + 1
            memories, instances = component.memories or 1, len(component.instances) + 1
            memory = memory // memories if most is None else most
            capi.store_limiter(self._store, memory, limits.MAX_TABLE_ELEMENTS // tables, instances, tables, memories)
            return
        # Three instances: adapter, guest, file writer. One memory, so that the bound on it is the bound on all of them;
        # what blocks are noted in does not grow.
        memory, memories = memory if most is None else most, 2 if self._code.blocks else 1
        capi.store_limiter(self._store, memory, limits.MAX_TABLE_ELEMENTS // _TABLES, 3, _TABLES, memories)

    def _set_limits(self) -> None:
        self._limit_store()
        if self._code.ticker is None:
            capi.check(capi.set_fuel(self._context, FUEL))
            capi.check(capi.fuel_yield_interval(self._context, SLICE_FUEL))
        else:
            capi.epoch_yield(self._context, 1)

    # --- its life -----------------------------------------------------------------------------------------------------

    def _component_instances(self, component: Linked) -> ComponentInstances:
        config = self.config
        drive = config.drive if not isinstance(config.drive, str) else HostDrive(config.drive)
        entropy = config.entropy or urandom
        exchanges = Exchanges(config.http, self.ask)
        self.wasi = WasiState(self.write, entropy, self.clock, self.monotonic, drive, config.files, exchanges)
        self._views = [_NO_MEMORY] * component.memories
        return ComponentInstances(component, self._code.engine, self._context, self._cells)

    def _begin_run(self, made: ModuleInstances | ComponentInstances) -> None:
        """Let the adapter run the guest, whose instances are made."""
        cells, code = self._cells, self._code
        args, component = cells.args, code.component
        if component is not None:
            self.select_memory(component.init_memory)
        elif code.blocks and self.config.blocks is not None:
            self._note_blocks(code.blocks, self.config.blocks)
        self._look_at_memory()
        for slot in range(FIRST_FILE_FUNCTION + len(FILE_FUNCTIONS)):
            args[slot].kind = capi.FUNCREF
        made.pass_functions()
        self.lowered = lower_text(str(self.config.our).encode())
        numbers = self.lowered.codes[0], self.config.files
        for slot, number in enumerate(numbers, FIRST_FILE_FUNCTION + len(FILE_FUNCTIONS)):
            args[slot].kind = capi.I32
            args[slot].of.i32 = number
        found = look_up(self._context, cells, capi.ADAPTER, RUN)
        assert found, "the adapter exports it"
        self._future = capi.call_async(
            self._context,
            byref(cells, capi.EXPORT + capi.EXTERN_OFFSET),
            byref(args),
            len(args),
            None,
            0,
            byref(cells, capi.TRAP),
            byref(cells, capi.ERROR),
        )

    def _note_blocks(self, count: int, tell: Callable[[bytes], None]) -> None:
        look_up(self._context, self._cells, capi.INSTANCE, f"{BLOCKS}{count}")
        memory = byref(self._cells, capi.EXPORT + capi.EXTERN_OFFSET)
        size = capi.memory_data_size(self._context, memory)
        view = capi.memory_view(capi.memory_data(self._context, memory), size, capi.WRITABLE)
        self._blocks = NotedBlocks(self._context, view, count, FUEL, SLICE_FUEL, tell)

    def _call_ended(self) -> bool:
        """Begin the next call after the end of one, or note the guest's end and return true."""
        capi.future_delete(self._future)
        self._future = None
        cells = self._cells
        making = self._making
        if making is not None and not cells.trap and not cells.error:
            making.look_at_made()
            if self._instances is not None:
                cells.memory = self._instances.memories[self._selected]
            if making.all_made:
                self._begin_run(making)
                making.release()
                self._making = None
            else:
                self._future = making.make_next()
            return False
        self._finish()
        return True

    def _slice_ended(self) -> Poll:
        """Count a slice of a replayable run; end the guest if it has used up all that it may."""
        self._slices += _SLICES_OF_A_SHARE if self._throttled else 1
        most = self.config.slices
        if most is None or self._slices <= most:
            return _PREEMPTED
        self.end = End(
            f"it has used up {most:,} slices without waiting for anything: an endless loop, or more computing than a "
            "simulation allows"
        )
        self._pending = Poll.ENDED
        self._drop()
        return Poll.ENDED

    def _finish(self) -> None:
        cells = self._cells
        trap: str | None = None
        frames: tuple[Frame, ...] = ()
        if self._exit_code is not None:
            trap = f"exited with code {self._exit_code}" if self._exit_code else None
        elif cells.trap:
            trap, frames = self._describe(str(capi.as_trap(cells.trap)))
        elif cells.error:
            error = capi.as_error(cells.error)
            if isinstance(error, wasmtime.ExitTrap):
                trap = f"exited with code {error.code}" if error.code else None
            else:
                trap, frames = self._describe(str(error))
        cells.trap = cells.error = None
        self.effects.extend(self._lines.end())
        if trap and self._instances is not None:
            trap += self._memory_words()
        self.end = End(trap) if trap is None else End(trap, frames, last_words(self.effects))
        self._pending = Poll.ENDED
        self._drop()
        error_of_ours, self.host_error = self.host_error, None
        if error_of_ours is not None and not isinstance(error_of_ours, Exception):
            # KeyboardInterrupt and its like hit us, not the guest: the caller of `poll` is to know.
            raise error_of_ours

    def _describe(self, message: str) -> Trap:
        return describe(message, read_debug_untrusted(self.config.debug, self._digest))

    def _memory_words(self) -> str:
        """Return what to add to the reason why a component has ended: an interpreter without memory seldom gets to say
        so."""
        self._look_at_memory()
        most = min(self.config.memory_bytes, limits.MAX_MEMORY_BYTES)
        if self._memory_bytes < most * _NEARLY_FULL:
            return ""
        return f"; it has {self._memory_bytes >> 20} MiB of memory, and {most >> 20} MiB is the most"

    def _drop(self) -> None:
        """Release everything; the record itself stays readable."""
        if not self._store:
            return
        self._look_at_memory()
        if self._future:
            capi.future_delete(self._future)
        if self._making is not None:
            self._making.release()
        if self._blocks is not None:
            self._blocks.tell()
            self._blocks = None
        # Not released, only dropped: a traceback may still hold a slice of it, which nobody reads.
        self.memory, self.lifted_from = _NO_MEMORY, _NOTHING
        capi.store_delete(self._store)
        self._store = self._context = 0
        self._future = self._making = None
        self.lowered = self.blob = self.last_blob = self.files = self.wasi = self._asleep = None
        running = self._code.running
        if running.guest is self:
            running.guest = None  # through its configuration it would keep a whole node in memory

    def _look_at_memory(self) -> bool:
        memory = byref(self._cells, capi.MEMORY + capi.EXTERN_OFFSET)
        if not self._cells.memory.of.memory._anon_1.store_id:
            return False
        size = capi.memory_data_size(self._context, memory)
        if size <= len(self.memory):
            return False
        self._memory_bytes += size - len(self.memory)
        self.memory = capi.memory_view(capi.memory_data(self._context, memory), size, capi.WRITABLE)
        self.lifted_from = capi.array_of(self.memory)
        return True


def hand_over_codes(codes: Sequence[int], results: int) -> None:
    """Write the codes of pieces to where an asynchronous host function's results go."""
    count = len(codes)
    _PACK_CODES[count](ADDRESS_SPACE, results, count, *codes)
