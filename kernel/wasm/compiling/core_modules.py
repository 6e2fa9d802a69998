"""Finds or makes what the core modules of programs compile to: from the cache, from what was compiled for another
program of the same language, or anew."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
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


@dataclass(frozen=True)
class Core:
    """A core module, which is taken apart once, whoever asks for that."""

    code: bytes

    @cached_property
    def split(self) -> SplitModule | None:
        """Its two parts; None if it has none."""
        return split_untrusted(self.code)


class CoreModules:
    """Those of the programs of one engine; thread-safe."""

    def __init__(self, cache_dir: Path | None) -> None:
        """`cache_dir` is where compiled code is kept, made if missing; None: nowhere."""
        self._cache = CodeCache(cache_dir)

    def compiled(
        self,
        compiler: Compiler,
        cores: Sequence[Core],
        tell: Callable[[str], None],
        budget: CompileBudget | None = None,
    ) -> list[wasmtime.Module]:
        """Return the core modules of one program, compiled. `tell` is told how far it is, if it takes long; by another
        thread than this one, too, but not at once by both.

        Raises BadModule.
        """
        keys = [self._cache.key(compiler, core.code) for core in cores]
        modules = [self._cache.load(compiler, key) for key in keys]
        missing = [number for number, module in enumerate(modules) if module is None]
        sizes = [len(core.code) for core in cores]
        progress = _Progress(sizes, missing, tell)
        spent = budget or CompileBudget()

        def make(number: int) -> None:
            begin = partial(progress.begin, number)
            modules[number] = self._made(compiler, cores[number], keys[number], spent, begin)
            progress.done(number)

        _in_two_lanes(make, sorted(missing, key=lambda number: -sizes[number]))
        return [module for module in modules if module is not None]

    def quick_pays(self, compiler: Compiler, cores: Sequence[Core]) -> bool:
        """Return whether `compiled` would take so long that a program starts earlier with quick code: it is kept until
        there is optimised code."""
        large = [core for core in cores if len(core.code) >= _WORTH_TELLING] if self._cache.keeps else []
        return any(
            not self._cache.has(self._cache.key(compiler, core.code)) and self._is_new(compiler, core) for core in large
        )

    def _is_new(self, compiler: Compiler, core: Core) -> bool:
        """Return whether no other program that shares all but its memory has been compiled."""
        return core.split is None or not self._cache.has(self._shared_key(compiler, core.split))

    def optimise(self, quick: Compiler, compiler: Compiler, codes: list[bytes], budget: CompileBudget) -> None:
        """Keep optimised code in place of quick code. Raises BadModule if there can be none."""
        cores = [Core(code) for code in codes]
        self.compiled(compiler, cores, lambda _: None, budget)
        if self.quick_pays(compiler, cores):
            return  # the disk has no room for it
        for core in cores:
            self._cache.discard(self._cache.key(quick, core.code))
            if core.split is not None:
                self._cache.discard(self._shared_key(quick, core.split))

    def _shared_key(self, compiler: Compiler, split: SplitModule) -> str:
        return self._cache.key(compiler, _SHARED + split.digest)

    def _made(
        self, compiler: Compiler, core: Core, key: str, budget: CompileBudget, begin: Callable[[], None]
    ) -> wasmtime.Module:
        """Return a core module, compiled, that the cache does not have, and keep it; `begin` is called before it is
        compiled. Raises BadModule.
        """
        # If guests do not map what their memory begins with, one large segment would make them copy zeros, too.
        split = core.split if compiler.maps_memory and self._cache.keeps else None
        if split is not None:
            shared = self._shared_key(compiler, split)
            made = split.written_into(self._once(compiler, split.shared, shared, budget, begin))
            if made is not None:
                return self._kept(compiler, key, made) or compiler.load(b"".join(made))
        compiled = self._once(compiler, core.code, key, budget, begin)
        mapped = self._cache.load(compiler, key) if len(compiled) >= _WORTH_MAPPING else None
        return mapped or compiler.load(compiled)

    def _kept(self, compiler: Compiler, key: str, made: tuple[Buffer, ...]) -> wasmtime.Module | None:
        """Keep compiled code; return it as it is mapped there, if that is worth it and there was room."""
        return self._cache.keep(key, made, compiler if sum(map(len, made)) >= _WORTH_MAPPING else None)

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


class _Progress:
    """How far the core modules of one program are, told in sentences; thread-safe."""

    def __init__(self, sizes: list[int], missing: list[int], tell: Callable[[str], None]) -> None:
        """`missing`: the numbers of those that are to be compiled, of those with these sizes in bytes."""
        self._sizes = sizes
        self._total = sum(sizes)
        self._done = self._total - sum(sizes[number] for number in missing)
        self._tell = tell
        self._lock = threading.Lock()

    def begin(self, number: int) -> None:
        """Tell that one is begun, if it takes long."""
        if self._sizes[number] >= _WORTH_TELLING:
            which = f"compiles core module {number + 1} of {len(self._sizes)}"
            with self._lock:
                share = self._done * 100 // self._total
                self._tell(f"{which}, {share} % of {self._total:,} bytes are done")

    def done(self, number: int) -> None:
        """Note that one is compiled."""
        with self._lock:
            self._done += self._sizes[number]


def _in_two_lanes(make: Callable[[int], None], numbers: list[int]) -> None:
    """Call `make` with each number, two at a time: while a child hands over what it has compiled, or begins, the cores
    have the other one. If some raise, no more are begun, and what the first of them has raised is raised here: it was
    begun before the others that have, so it is the same one each time.
    """
    waiting, raised = deque(numbers), dict[int, BaseException]()

    def run() -> None:
        while waiting and not raised:
            try:
                number = waiting.popleft()
            except IndexError:
                return
            try:
                make(number)
            except BaseException as error:
                raised[number] = error

    # Nobody waits for the thread if the process ends: a load is abandoned then.
    other = threading.Thread(target=run, name="wasm compiling", daemon=True)
    if len(numbers) > 1:
        other.start()
    run()
    if len(numbers) > 1:
        other.join()
    if raised:
        raise raised[min(raised, key=numbers.index)]
