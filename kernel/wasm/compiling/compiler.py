"""Compiles untrusted code in bounded time and memory, and owns Wasmtime's configuration.

Theory of operation. How long Cranelift takes is not bounded by a module's size: nested loops that all set their own
locals cost the fourth power of their number, so that 3 KB take 4 seconds and 5 KB take 20. It cannot be interrupted
either. Code that is small and has hardly any loops is therefore compiled in this process; all else in a child process
of a lower priority, which the operating system stops at the limits. A child costs a tenth of a second, once for each
program: the compiled code is kept (`engine`).

Quick code takes less than half of the time to compile, runs at half the speed and needs several times the stack, so its
guests get more. It is for the first start of a large program, until there is optimised code (`optimiser`).

Run as a program it is that child: mode and limits are its arguments, the code its input, the compiled code its output.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import OrderedDict
from typing import Literal, TypeAlias

import wasmtime

from kernel.contract import limits
from kernel.contract.errors import BadModule
from kernel.wasm.binary.blocks import with_blocks_untrusted
from kernel.wasm.compiling import capi

Mode: TypeAlias = Literal["epoch", "fuel", "fuel blocks", "epoch mapped", "fuel mapped", "epoch mapped quick"]
"""Pre-empted by the clock or, for replayable runs, by fuel; whether its basic blocks are noted (`binary/blocks`);
whether guests share the memory that they begin with, until they change it; and whether it is compiled quickly."""
MODES: tuple[Mode, ...] = ("epoch", "fuel", "fuel blocks", "epoch mapped", "fuel mapped", "epoch mapped quick")

_QUICK_STACK = 16
"""How much larger the stack of quick code is: a call in it takes 3 to 13 times as much, the more variables its function
has. What recurses as deep as the optimised code allows must not fail at its first start alone."""
_ASYNC_STACK_BYTES = 2 << 20
"""A guest's stack and what host functions that it calls need; Wasmtime's default. Only what is touched is memory."""

_CHEAP_BYTES = 16 * 1024
_CHEAP_LOOPS = 100
"""Bounds on code that is compiled in this process; the worst of it, found by trying, takes a third of a second."""
_LOOP = b"\x03"
"""The opcode; counting this byte counts every loop, and much else."""

_CHILDREN = 2
"""Children at a time: a flood of hostile programs takes no more of the machine than that."""
_NICE = 10
_PATIENCE = 10
"""The elapsed time that a child may take, as a multiple of its processor time: on a busy machine it hardly gets
to run."""
_MAX_REFUSED = 1024
"""Programs that are remembered as too expensive."""
_NOT_VALID = 3
"""The child's exit code."""
_MAX_REASON = 500
_CAUSE = re.compile(r"^\d+: ")
"""Wasmtime numbers causes."""


def configuration(mode: Mode) -> wasmtime.Config:
    """Return Wasmtime's configuration; compiled code runs only with the same one."""
    config = wasmtime.Config()
    is_quick = mode.endswith("quick")
    config.max_wasm_stack = limits.MAX_WASM_STACK_BYTES * (_QUICK_STACK if is_quick else 1)
    if is_quick:
        more = limits.MAX_WASM_STACK_BYTES * (_QUICK_STACK - 1)
        capi.async_stack_size(capi.address(config.ptr()), _ASYNC_STACK_BYTES + more)
        config.cranelift_opt_level = "none"
        capi.regalloc_algorithm(capi.address(config.ptr()), capi.SINGLE_PASS)
    # Off: features that would need bounds or care and give guests nothing, and those on which two runs could disagree.
    config.wasm_threads = False
    config.wasm_memory64 = False
    config.wasm_multi_memory = mode.endswith("blocks")  # the second one is ours
    config.wasm_relaxed_simd = False
    config.wasm_gc = False
    # The host keeps a view of each memory: it must stay where it is. 4 GiB of address space are reserved for each.
    config.memory_may_move = False
    # For most off: an image mapped into each memory costs two of the 65,530 mappings that Linux gives a process, and
    # without it ten thousand guests fit. Each start then costs a copy of the data segments; an interpreter begins with
    # ten megabytes of them, and hardly changes any.
    config.memory_init_cow = "mapped" in mode
    # It belongs to Wasmtime's own components; without it, a store is made in half the time.
    capi.concurrency_support(capi.address(config.ptr()), False)
    by_fuel = mode.startswith("fuel")
    config.cranelift_nan_canonicalization = by_fuel
    config.consume_fuel = by_fuel
    config.epoch_interruption = not by_fuel
    return config


class CompileBudget:
    """What is left of the processor time that one program may take to compile, all its core modules together.

    Two of them may be compiled at a time, and each may take what was left when it began; a program that takes more
    than there is in all is refused all the same, when the second one is through. Thread-safe.
    """

    def __init__(self, idle: bool = False) -> None:
        """`idle`: nobody waits, so it takes only time that nothing else on the machine wants."""
        self.seconds: float = limits.MAX_COMPILE_SECONDS
        self.idle = idle
        self.is_cancelled = False
        self._children: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()

    def began(self, child: subprocess.Popen[bytes]) -> None:
        """Note a child that spends it."""
        with self._lock:
            self._children.append(child)
            if self.is_cancelled:
                child.kill()

    def cancel(self) -> None:
        """End the children, and each later one at once; may be called from any thread."""
        with self._lock:
            self.is_cancelled = True
            for child in self._children:
                child.kill()  # which does nothing to one that has ended

    def spend(self, seconds: float) -> None:
        """Take some of it. Raises BadModule if there is none left."""
        with self._lock:
            self.seconds -= seconds
            is_spent = self.seconds <= 0
        if is_spent:
            raise _too_slow()


class Compiler:
    """Compiles for one Wasmtime engine; thread-safe."""

    def __init__(self, mode: Mode) -> None:
        self.mode = mode
        self.engine = wasmtime.Engine(configuration(mode))
        self._children = threading.BoundedSemaphore(_CHILDREN)
        self._refused: OrderedDict[bytes, str] = OrderedDict()

    @property
    def maps_memory(self) -> bool:
        """Whether guests map what their memory begins with, and share it until they change it."""
        return "mapped" in self.mode

    def compile_untrusted(self, code: bytes, budget: CompileBudget | None = None) -> bytes:
        """Compile a core module, within what is left of a program's budget; return the compiled code, serialized.

        Raises BadModule if the code is not valid, or takes more than `limits` allow to compile.
        """
        budget = budget or CompileBudget()
        if self.mode.endswith("blocks"):
            code = with_blocks_untrusted(code)
        if not _is_cheap(code):
            return self._compile_apart(code, budget)
        began = time.thread_time()
        module = self._compile_here(code)
        budget.spend(time.thread_time() - began)
        return bytes(module.serialize())

    def load(self, compiled: bytes) -> wasmtime.Module:
        """Return code that `compile_untrusted` has compiled; it is trusted with this process.

        Raises BadModule if there is no room for it.
        """
        try:
            return wasmtime.Module.deserialize(self.engine, compiled)
        except wasmtime.WasmtimeError as error:
            raise BadModule(f"its compiled code cannot be loaded: {_last_line(str(error))}") from error

    def load_file(self, path: str) -> wasmtime.Module:
        """Return code as `load` does, mapped from a file: its pages are shared by all processes that have them.

        Raises WasmtimeError if it is of another version or configuration, or for another processor.
        """
        return wasmtime.Module.deserialize_file(self.engine, path)

    def _compile_here(self, code: bytes) -> wasmtime.Module:
        try:
            return wasmtime.Module(self.engine, code)
        except wasmtime.WasmtimeError as error:
            raise BadModule(_not_valid(str(error))) from error

    def _compile_apart(self, code: bytes, budget: CompileBudget) -> bytes:
        """Compile in a child; code that was too expensive before is refused again without trying. Raises BadModule."""
        whole = budget.seconds == limits.MAX_COMPILE_SECONDS
        digest = hashlib.sha256(code).digest()
        with self._children:
            known = self._refused.get(digest)
            if known is not None:
                raise BadModule(known)
            try:
                compiled, seconds = _run_child(code, self.mode, budget)
            except _TooExpensive as error:
                if not whole or budget.is_cancelled:
                    raise  # it is the program that is too expensive, and not this module
                self._refused[digest] = str(error)
                if len(self._refused) > _MAX_REFUSED:
                    self._refused.popitem(last=False)
                raise
        budget.spend(seconds)
        return compiled


class _TooExpensive(BadModule):
    """Compiling would take more than the limits allow."""


def _is_cheap(code: bytes) -> bool:
    return len(code) <= _CHEAP_BYTES and code.count(_LOOP) <= _CHEAP_LOOPS


def _not_valid(text: str) -> str:
    return f"the core module is not valid: {_last_line(text)}"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return _CAUSE.sub("", lines[-1])[:_MAX_REASON] if lines else "no reason is given"


def _run_child(code: bytes, mode: Mode, budget: CompileBudget) -> tuple[bytes, float]:
    """Return the code that the child has compiled, and the processor time that it has taken. Raises BadModule."""
    seconds = math.ceil(budget.seconds)
    with tempfile.TemporaryFile() as output:
        bounds = seconds, limits.MAX_COMPILE_BYTES, limits.MAX_COMPILED_BYTES
        command = [sys.executable, "-S", "-m", __name__, mode, *map(str, (*bounds, int(budget.idle)))]
        environment = {"PYTHONPATH": os.pathsep.join(_import_path()), "RAYON_NUM_THREADS": str(_threads())}
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.PIPE, env=environment
        ) as child:
            budget.began(child)
            try:
                _, said = child.communicate(code, None if budget.idle else seconds * _PATIENCE)
            except subprocess.TimeoutExpired as error:
                raise _too_slow() from error
            finally:
                child.kill()  # if it has not ended
        if child.returncode:
            raise _refusal(child.returncode, said.decode(errors="replace"))
        output.seek(0)
        return output.read(), float(said)


def _import_path() -> list[str]:
    """Return the import path for the child."""
    ours = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [ours, *(path for path in sys.path if path)]


def _threads() -> int:
    """Return the number of the child's threads; each costs address space, which is limited."""
    return min(4, os.cpu_count() or 1)


def _refusal(code: int, text: str) -> BadModule:
    if code == _NOT_VALID:
        return BadModule(_not_valid(text))
    if -code in (signal.SIGXCPU, signal.SIGKILL):
        return _too_slow()
    if -code == signal.SIGXFSZ:
        return _TooExpensive(f"its compiled code has more than {limits.MAX_COMPILED_BYTES} bytes")
    if -code in (signal.SIGABRT, signal.SIGSEGV) or "MemoryError" in text:
        return _TooExpensive(f"it needs more than {limits.MAX_COMPILE_BYTES} bytes of memory to compile")
    return BadModule(f"the compiler failed with code {code}: {_last_line(text)}")


def _too_slow() -> BadModule:
    return _TooExpensive(f"it takes more than {limits.MAX_COMPILE_SECONDS} seconds of processor time to compile")


_PR_SET_PDEATHSIG = 1


def _child(mode: Mode, seconds: int, memory: int, compiled_bytes: int, idle: int) -> int:
    """Compile the code on standard input; return the exit code."""
    os.nice(_NICE)
    if idle:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    # End with the thread that waits for it, and so with the node, however that ends.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (compiled_bytes, compiled_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    engine = wasmtime.Engine(configuration(mode))
    code = sys.stdin.buffer.read()
    try:
        compiled = wasmtime.Module(engine, code)
    except wasmtime.WasmtimeError as error:
        sys.stderr.write(str(error))
        return _NOT_VALID
    sys.stdout.buffer.write(compiled.serialize())
    sys.stdout.buffer.flush()
    sys.stderr.write(str(time.process_time()))
    return 0


if __name__ == "__main__":
    given, *numbers = sys.argv[1:]
    (chosen,) = [each for each in MODES if each == given]
    sys.exit(_child(chosen, *map(int, numbers)))
