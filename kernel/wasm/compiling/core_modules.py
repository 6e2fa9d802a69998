"""Finds or makes what the core modules of programs compile to: from the cache, from what was compiled for another
program of the same language, or anew."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import wasmtime

from kernel.contract.message import Buffer
from kernel.wasm.binary.memory_image import SplitModule, split_untrusted
from kernel.wasm.compiling.code_cache import CodeCache
from kernel.wasm.compiling.compiler import CompileBudget, Compiler

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

    def compiled(
        self,
        compiler: Compiler,
        codes: list[bytes],
        tell: Callable[[str], None],
        budget: CompileBudget | None = None,
    ) -> list[wasmtime.Module]:
        """Return the core modules of one program, compiled. `tell` is told how far it is, if it takes long.

        Raises BadModule.
        """
        budget, modules = budget or CompileBudget(), list[wasmtime.Module]()
        total, done = sum(map(len, codes)), 0
        for number, code in enumerate(codes, 1):
            key = self._cache.key(compiler, code)
            module = self._cache.load(compiler, key)
            if module is None:
                share = done * 100 // total
                text = f"compiles core module {number} of {len(codes)}, {share} % of {total:,} bytes are done"
                begin = partial(tell, text) if len(code) >= _WORTH_TELLING else _tell_nobody
                compiled = self._made(compiler, code, key, budget, begin)
                mapped = self._cache.load(compiler, key) if sum(map(len, compiled)) >= _WORTH_MAPPING else None
                module = mapped or compiler.load(b"".join(compiled))
            modules.append(module)
            done += len(code)
        return modules

    def quick_pays(self, compiler: Compiler, codes: list[bytes]) -> bool:
        """Return whether `compiled` would take so long that a program starts earlier with quick code: it is kept until
        there is optimised code."""
        large = [code for code in codes if len(code) >= _WORTH_TELLING] if self._cache.keeps else []
        return any(
            not self._cache.has(self._cache.key(compiler, code)) and self._is_new(compiler, code) for code in large
        )

    def _is_new(self, compiler: Compiler, code: bytes) -> bool:
        """Return whether no other program that shares all but its memory has been compiled."""
        split = split_untrusted(code)
        return split is None or not self._cache.has(self._shared_key(compiler, split))

    def optimise(self, quick: Compiler, compiler: Compiler, codes: list[bytes], budget: CompileBudget) -> None:
        """Keep optimised code in place of quick code. Raises BadModule if there can be none."""
        self.compiled(compiler, codes, lambda _: None, budget)
        if self.quick_pays(compiler, codes):
            return  # the disk has no room for it
        for code in codes:
            self._cache.discard(self._cache.key(quick, code))
            split = split_untrusted(code)
            if split is not None:
                self._cache.discard(self._shared_key(quick, split))

    def _shared_key(self, compiler: Compiler, split: SplitModule) -> str:
        return self._cache.key(compiler, _SHARED + split.digest)

    def _made(
        self, compiler: Compiler, code: bytes, key: str, budget: CompileBudget, begin: Callable[[], None]
    ) -> tuple[Buffer, ...]:
        """Return what a core module compiles to that the cache does not have, in pieces, and keep it; `begin` is called
        before it is compiled. Raises BadModule.
        """
        # If guests do not map what their memory begins with, one large segment would make them copy zeros, too.
        split = split_untrusted(code) if compiler.maps_memory and self._cache.keeps else None
        if split is not None:
            shared = self._shared_key(compiler, split)
            made = split.written_into(self._once(compiler, split.shared, shared, budget, begin))
            if made is not None:
                self._cache.keep(key, made)
                return made
        return (self._once(compiler, code, key, budget, begin),)

    def _once(
        self, compiler: Compiler, code: bytes, key: str, budget: CompileBudget, begin: Callable[[], None]
    ) -> bytes:
        """Return what is kept under a name, or else compile it and keep it; of all who want the same at once, whatever
        process they are in, one compiles. Raises BadModule.
        """
        with self._cache.alone(key, begin):
            compiled = self._cache.read(key)
            if compiled is None:
                begin()
                compiled = self._compile(compiler, code, budget)
                self._cache.keep(key, (compiled,))
        return compiled

    def _compile(self, compiler: Compiler, code: bytes, budget: CompileBudget) -> bytes:
        return compiler.compile_untrusted(code, budget)


def _tell_nobody() -> None:
    pass
