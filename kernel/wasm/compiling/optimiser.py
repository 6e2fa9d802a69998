"""Compiles programs that run quick code anew, optimised, one after the other, while the machine has nothing else to do.

The thread is there only while there is work; the child that compiles (`compiler`) ends with it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from kernel.contract.errors import BadModule
from kernel.wasm.compiling.compiler import CompileBudget

MAX_WAITING_BYTES = 64 << 20
"""Code that waits; three programs with an interpreter in them. Others keep quick code until they are loaded again."""


class Optimiser:
    """The programs of one engine that wait; thread-safe."""

    def __init__(self, optimise: Callable[[list[bytes], CompileBudget], None], done: Callable[[bytes], object]) -> None:
        """`optimise` compiles core modules and keeps what comes out, within a budget, or raises BadModule; `done` is
        called with the name of each program, after that. Both are called on the thread."""
        self._compile = optimise
        self._done = done
        self._waiting = dict[bytes, list[bytes]]()
        self._budget: CompileBudget | None = None
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._lock = threading.Lock()

    def add(self, name: bytes, codes: list[bytes]) -> None:
        """Have a program's core modules compiled, if there is room for them; `name` is its own."""
        with self._lock:
            waiting = sum(len(code) for each in self._waiting.values() for code in each)
            if self._is_closed or waiting + sum(map(len, codes)) > MAX_WAITING_BYTES:
                return
            self._waiting.setdefault(name, codes)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="wasm optimiser", daemon=True)
                self._thread.start()

    def wait(self) -> None:
        """Return when none waits any more."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def close(self) -> None:
        """End the thread; what is not compiled yet is compiled after another start."""
        with self._lock:
            self._is_closed = True
            if self._budget is not None:
                self._budget.cancel()
        self.wait()

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._is_closed or not self._waiting:
                    self._thread = None
                    return
                name, codes = next(iter(self._waiting.items()))
                self._budget = CompileBudget(idle=True)
            with contextlib.suppress(BadModule, OSError):  # then it runs quick code, as it does now
                self._compile(codes, self._budget)
                self._done(name)
            with self._lock:
                self._budget = None
                del self._waiting[name]
