"""Finds or makes what the core modules of programs compile to: from the cache, from what was compiled for another
program of the same language, or anew."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from weakref import WeakValueDictionary

import wasmtime

from kernel.contract.message import Buffer
from kernel.wasm.binary.memory_image import split_untrusted
from kernel.wasm.code_cache import CodeCache
from kernel.wasm.compiler import CompileBudget, Compiler

_WORTH_TELLING = 1 << 20
"""Bytes of a core module whose compiling is told of: it takes half a second or more."""

_WORTH_MAPPING = 1 << 20
"""Bytes of compiled code that is read again where it was kept, so that it takes no memory of this process's own."""

_SHARED = b"shared "
"""No module begins so."""


class CoreModules:
    """Those of the programs of one engine; thread-safe."""

    def __init__(self, cache_dir: Path | None) -> None:
        """`cache_dir` is where compiled code is kept, made if missing; None: nowhere."""
        self._cache = CodeCache(cache_dir)
        self._turns: WeakValueDictionary[bytes, threading.Lock] = WeakValueDictionary()
        self._lock = threading.Lock()

    def compiled(self, compiler: Compiler, codes: list[bytes], tell: Callable[[str], None]) -> list[wasmtime.Module]:
        """Return the core modules of one program, compiled. `tell` is told how far it is, if it takes long.

        Raises BadModule.
        """
        budget, modules = CompileBudget(), list[wasmtime.Module]()
        total, done = sum(map(len, codes)), 0
        for number, code in enumerate(codes, 1):
            key = self._cache.key(compiler, code)
            module = self._cache.load(compiler, key)
            if module is None:
                share = done * 100 // total
                text = f"compiles core module {number} of {len(codes)}, {share} % of {total:,} bytes are done"
                begin = partial(tell, text) if len(code) >= _WORTH_TELLING else _tell_nobody
                compiled = self._made(compiler, code, budget, begin)
                self._cache.keep(key, compiled)
                mapped = self._cache.load(compiler, key) if sum(map(len, compiled)) >= _WORTH_MAPPING else None
                module = mapped or compiler.load(b"".join(compiled))
            modules.append(module)
            done += len(code)
        return modules

    def _made(
        self, compiler: Compiler, code: bytes, budget: CompileBudget, begin: Callable[[], None]
    ) -> tuple[Buffer, ...]:
        """Return what a core module compiles to that the cache does not have, in pieces; `begin` is called before it is
        compiled. Raises BadModule.
        """
        compiled = self._from_shared(compiler, code, budget, begin)
        if compiled is None:
            begin()
            compiled = (self._compile(compiler, code, budget),)
        return compiled

    def _from_shared(
        self, compiler: Compiler, code: bytes, budget: CompileBudget, begin: Callable[[], None]
    ) -> tuple[Buffer, ...] | None:
        """Return what a core module compiles to, made of what all with the same functions share; None if it cannot be
        made so. Raises BadModule."""
        # If guests do not map what their memory begins with, one large segment would make them copy zeros, too.
        split = split_untrusted(code) if compiler.maps_memory and self._cache.keeps else None
        if split is None:
            return None
        with self._turn(split.digest):
            key = self._cache.key(compiler, _SHARED + split.digest)
            shared = self._cache.read(key)
            if shared is None:
                begin()
                shared = self._compile(compiler, split.shared, budget)
                self._cache.keep(key, (shared,))
        return split.written_into(shared)

    def _turn(self, shared: bytes) -> threading.Lock:
        """Return the lock of those who want the same, by its hash: the first compiles it, the others find it kept."""
        with self._lock:
            turn = self._turns.get(shared)
            if turn is None:
                turn = self._turns[shared] = threading.Lock()
            return turn

    def _compile(self, compiler: Compiler, code: bytes, budget: CompileBudget) -> bytes:
        return compiler.compile_untrusted(code, budget)


def _tell_nobody() -> None:
    pass
