"""Compiles untrusted code in bounded time and memory, and owns Wasmtime's configuration.

Theory of operation. How long Cranelift takes is not bounded by a module's size: nested loops that all set their own
locals cost the fourth power of their number, so that 3 KB take 4 seconds and 5 KB take 20. It cannot be interrupted
either. Code that is small and has hardly any loops is therefore compiled in this process; all else in a child process
of a lower priority, which the operating system stops at the limits. A child costs a tenth of a second, once for each
program: the compiled code is kept (`engine`).

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
from kernel.wasm import capi

Mode: TypeAlias = Literal["epoch", "fuel", "epoch mapped", "fuel mapped"]
"""Pre-empted by the clock or, for replayable runs, by fuel; and whether guests share the memory that they begin with,
until they change it."""
MODES: tuple[Mode, ...] = ("epoch", "fuel", "epoch mapped", "fuel mapped")

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
    config.max_wasm_stack = limits.MAX_WASM_STACK_BYTES
    # Off: features that would need bounds or care and give guests nothing, and those on which two runs could disagree.
    config.wasm_threads = False
    config.wasm_memory64 = False
    config.wasm_multi_memory = False
    config.wasm_relaxed_simd = False
    config.wasm_gc = False
    # The host keeps a view of each memory: it must stay where it is. 4 GiB of address space are reserved for each.
    config.memory_may_move = False
    # For most off: an image mapped into each memory costs two of the 65,530 mappings that Linux gives a process, and
    # without it ten thousand guests fit. Each start then costs a copy of the data segments; an interpreter begins with
    # ten megabytes of them, and hardly changes any.
    config.memory_init_cow = mode.endswith("mapped")
    # It belongs to Wasmtime's own components; without it, a store is made in half the time.
    capi.concurrency_support(capi.address(config.ptr()), False)
    by_fuel = mode.startswith("fuel")
    config.cranelift_nan_canonicalization = by_fuel
    config.consume_fuel = by_fuel
    config.epoch_interruption = not by_fuel
    return config


class CompileBudget:
    """What is left of the processor time that one program may take to compile, all its core modules together."""

    def __init__(self) -> None:
        self.seconds: float = limits.MAX_COMPILE_SECONDS

    def spend(self, seconds: float) -> None:
        """Take some of it. Raises BadModule if there is none left."""
        self.seconds -= seconds
        if self.seconds <= 0:
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
        return self.mode.endswith("mapped")

    def compile_untrusted(self, code: bytes, budget: CompileBudget | None = None) -> bytes:
        """Compile a core module, within what is left of a program's budget; return the compiled code, serialized.

        Raises BadModule if the code is not valid, or takes more than `limits` allow to compile.
        """
        budget = budget or CompileBudget()
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
                compiled, seconds = _run_child(code, self.mode, math.ceil(budget.seconds))
            except _TooExpensive as error:
                if not whole:
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


def _run_child(code: bytes, mode: Mode, seconds: int) -> tuple[bytes, float]:
    """Return the code that the child has compiled, and the processor time that it has taken. Raises BadModule."""
    with tempfile.TemporaryFile() as output:
        bounds = seconds, limits.MAX_COMPILE_BYTES, limits.MAX_COMPILED_BYTES
        command = [sys.executable, "-S", "-m", __name__, mode, *map(str, bounds)]
        environment = {"PYTHONPATH": os.pathsep.join(_import_path()), "RAYON_NUM_THREADS": str(_threads())}
        try:
            child = subprocess.run(
                command,
                input=code,
                stdout=output,
                stderr=subprocess.PIPE,
                env=environment,
                timeout=seconds * _PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _too_slow() from error
        if child.returncode:
            raise _refusal(child.returncode, child.stderr.decode(errors="replace"))
        output.seek(0)
        return output.read(), float(child.stderr)


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


def _child(mode: Mode, seconds: int, memory: int, compiled_bytes: int) -> int:
    """Compile the code on standard input; return the exit code."""
    os.nice(_NICE)
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
