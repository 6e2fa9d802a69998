"""Loads programs, and holds what all guests of one share.

Owns the programs in use and the linkers. `core_modules` compiles or finds what is compiled, `fiber` runs.
"""

from __future__ import annotations

import ctypes
import hashlib
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakValueDictionary

import wasmtime

from kernel.contract import limits
from kernel.contract.address import Address, ProcessId
from kernel.contract.errors import BadModule, KernelError
from kernel.contract.guest import Arrival, Effect, Generation, Guest, GuestConfig, Poll, Program
from kernel.contract.message import Request
from kernel.wasm.adapter import FILES_WAT, WASI, adapter_wasm, component_adapter_wasm
from kernel.wasm.binary.blocks import EXPORT as BLOCKS
from kernel.wasm.binary.component import plan_untrusted
from kernel.wasm.binary.module import core_module_untrusted, exports_untrusted, imports_untrusted, is_component
from kernel.wasm.canonical.wit import INTERFACES, Interface
from kernel.wasm.code import Code, Running
from kernel.wasm.compiling import capi
from kernel.wasm.compiling.compiler import Compiler, Mode
from kernel.wasm.compiling.core_modules import Core, CoreModules
from kernel.wasm.compiling.optimiser import Optimiser
from kernel.wasm.fiber import Fiber
from kernel.wasm.host import HostFunction, define_all, host_functions
from kernel.wasm.preview1 import shadows, standard_streams
from kernel.wasm.ticker import Ticker
from kernel.wasm.wasi.files import WRITING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_DEFAULT_INTERFACE = INTERFACES["nectar:process/standard@0.7.0"]
"""For programs that call no host function; they still have an `init`."""

_PATHS = "path_"
"""The prefix of WASI's functions that take a path: no other functions make or open a file."""

_EXPORTS = {
    "init": ((["i32", "i32"], []), True),
    "cabi_realloc": ((["i32", "i32", "i32", "i32"], ["i32"]), True),
    "_initialize": (([], []), False),
}
"""The functions that a program exports: core params and results, and whether it must export them."""


def _tell_nobody(_: str) -> None:
    pass


class FiberProgram:
    """Compiled core modules, ready to be started any number of times; a `kernel.contract.guest.Program`."""

    def __init__(
        self, code: Code, opens_files: bool, generation: Generation, unoptimised: list[bytes] | None = None
    ) -> None:
        """`unoptimised`: the core modules, if their code is quick and not optimised."""
        self._code = code
        self.unoptimised = unoptimised
        self.generation = generation
        self.opens_files = opens_files
        self.digest = ""

    def start(self, config: GuestConfig) -> Guest:
        """Return a new guest that has not run yet, not even a start function: that happens in its polls.

        Raises BadModule if it cannot be linked or its drive is not a folder.
        """
        return Fiber(self._code, config, self.digest)


class _Linked(NamedTuple):
    """What programs that import the same interface share."""

    linker: int
    """The linker for guests; the adapter's exports are missing."""
    check: int
    """A linker with stand-ins for these exports, so that every import can be checked before a guest exists."""
    adapter: int
    keep: tuple[object, ...]


class _LinkedModule:
    """A module that is linked but for its store; what it imports must outlive it."""

    def __init__(self, linker: int, module: wasmtime.Module) -> None:
        """Raises BadModule if an import is missing or has another type."""
        self.address: int = 0
        found = ctypes.c_void_p()
        capi.check(capi.linker_instantiate_pre(linker, capi.address(module.ptr()), ctypes.byref(found)))
        assert found.value
        self.address = found.value

    def __del__(self) -> None:
        if self.address:
            capi.instance_pre_delete(self.address)


class Engine:
    """Loads programs. One for each process and mode; thread-safe."""

    def __init__(
        self, cache_dir: Path | None, replayable: bool, quick_first: bool = False, *, notes_blocks: bool = False
    ) -> None:
        """`cache_dir` is where compiled code is kept, made if missing; None: nowhere.

        `replayable`: slices are counted in fuel, and floats and clocks are the same in every run.

        `quick_first`: a large component starts with quick code if there is nothing better yet; optimised code is
        compiled while the machine has nothing else to do, for the starts after that. Neither in replayable runs, nor
        without a cache.

        `notes_blocks`: in replayable runs guests note which of their basic blocks they pass through, and tell
        `GuestConfig.blocks`. A component that is linked of several core modules notes none.
        """
        self.replayable = replayable
        self.keeps_code = cache_dir is not None
        """Whether what is compiled is kept for later."""
        self._quick_first = quick_first and not replayable
        self._notes_blocks = notes_blocks and replayable
        self._modules = CoreModules(cache_dir)
        self._compiler = Compiler(("fuel blocks" if notes_blocks else "fuel") if replayable else "epoch")
        self._engine = self._compiler.engine
        self._programs: WeakValueDictionary[bytes, FiberProgram] = WeakValueDictionary()
        self._mapped = dict[Mode, Compiler]()
        """For components; made when the first one is loaded."""
        self._optimiser: Optimiser | None = None
        self._files = wasmtime.Module(self._engine, bytes(wasmtime.wat2wasm(FILES_WAT)))
        self._running = Running()
        self._linked: dict[tuple[str, bool], _Linked] = {}
        self._lock = threading.Lock()
        self.ticker = None if replayable else Ticker(self._tick)

    def load(self, wasm: bytes, tell: Callable[[str], None] | None = None) -> Program:
        """Compile a core module or component, or find it among the programs in use or in the cache. The first time
        takes a second for each few megabytes; may be called from a worker thread. `tell` is told how far it is, if it
        takes that long.

        Raises BadModule if this node cannot run it as a program; the message is one sentence.
        """
        key = hashlib.sha256(wasm).digest()
        program = self._programs.get(key)
        if program is None:
            program = self._load(wasm, tell or _tell_nobody)
            program.digest = key.hex()
            self._programs[key] = program
            if program.unoptimised is not None:
                self._optimise(key, program.unoptimised)
                program.unoptimised = None
        return program

    def _load(self, wasm: bytes, tell: Callable[[str], None]) -> FiberProgram:
        core = core_module_untrusted(wasm)
        try:
            interface, wasi = _check_imports(core)
            _check_for_init(core)
        except BadModule:
            if not is_component(wasm):
                raise
            return self._load_component(wasm, tell)
        uses_wasi = bool(wasi)
        (module,) = self._modules.compiled(self._compiler, [Core(core)], tell)
        _check_exports(module)
        with self._lock:
            linked = self._linked_for(interface, uses_wasi)
        self._check_link(linked, module)
        return FiberProgram(
            Code(
                engine=capi.address(self._engine.ptr()),
                linker=linked.linker,
                adapter=linked.adapter,
                module=capi.address(module.ptr()),
                interface=interface.module.encode(),
                uses_wasi=uses_wasi,
                files=capi.address(self._files.ptr()),
                ticker=self.ticker,
                running=self._running,
                keep=(self._engine, module, self._files, linked.keep),
                blocks=_blocks_of(module) if self._notes_blocks else 0,
            ),
            any(name.startswith(_PATHS) for name in wasi),
            interface.generation,
        )

    def wait_for_optimised_code(self) -> None:
        """Return when there is optimised code for all programs that have been loaded, or there can be none."""
        if self._optimiser is not None:
            self._optimiser.wait()

    def close(self) -> None:
        """End the ticker's thread; no guest may be polled after this."""
        if self._optimiser is not None:
            self._optimiser.close()
        if self.ticker is not None:
            self.ticker.close()

    def _optimise(self, key: bytes, codes: list[bytes]) -> None:
        """Compile a program anew in the background: when that is done, the next one who loads it gets what came out."""
        with self._lock:
            if self._optimiser is None:
                quick, best = self._mapped["epoch mapped quick"], self._mapped["epoch mapped"]
                optimise = partial(self._modules.optimise, quick, best)
                self._optimiser = Optimiser(optimise, lambda key: self._programs.pop(key, None))
        self._optimiser.add(key, codes)

    def _component_compiler(self, mode: Mode) -> Compiler:
        with self._lock:
            if mode not in self._mapped:
                self._mapped[mode] = Compiler(mode)
            return self._mapped[mode]

    def _load_component(self, wasm: bytes, tell: Callable[[str], None]) -> FiberProgram:
        # Not at the top: few nodes ever need it.
        from kernel.wasm.component_host import check_imports, component_functions
        from kernel.wasm.linking import linked

        plan = plan_untrusted(wasm)
        interface = check_imports(plan)
        compiler = self._component_compiler("fuel mapped" if self.replayable else "epoch mapped")
        cores = [Core(code) for code in plan.modules]
        is_quick = self._quick_first and self._modules.quick_pays(compiler, cores)
        if is_quick:
            compiler = self._component_compiler("epoch mapped quick")
        adapted, functions = component_functions(plan, self._running)
        functions.append(standard_streams(self._running))
        adapter = self._compiled(compiler, component_adapter_wasm(adapted, len(plan.reallocs)))
        engine = capi.address(compiler.engine.ptr())
        host: int = capi.linker_new(engine)
        define_all(host, functions, lambda function: True)
        linked_adapter = _LinkedModule(host, adapter)
        capi.linker_delete(host)
        modules = self._modules.compiled(compiler, cores, tell)
        return FiberProgram(
            Code(
                engine=engine,
                linker=0,
                adapter=linked_adapter.address,
                module=0,
                interface=b"",
                uses_wasi=False,
                files=0,
                ticker=self.ticker,
                running=self._running,
                keep=(compiler.engine, modules, linked_adapter, functions),
                component=linked(plan, [capi.address(module.ptr()) for module in modules]),
            ),
            any(each.name in WRITING for each in plan.host),
            Generation.LATE if interface is None else interface.generation,
            plan.modules if is_quick else None,
        )

    def _compiled(self, compiler: Compiler, code: bytes) -> wasmtime.Module:
        """Return a compiled module of ours."""
        return self._modules.compiled(compiler, [Core(code)], _tell_nobody)[0]

    def _tick(self) -> None:
        self._engine.increment_epoch()
        for mapped in tuple(self._mapped.values()):
            mapped.engine.increment_epoch()

    def _linked_for(self, interface: Interface, uses_wasi: bool) -> _Linked:
        key = interface.module, uses_wasi
        if key not in self._linked:
            self._linked[key] = self._link(interface, uses_wasi)
        return self._linked[key]

    def _link(self, interface: Interface, uses_wasi: bool) -> _Linked:
        functions = [*host_functions(interface, self._running), standard_streams(self._running)]
        adapter = self._compiled(self._compiler, adapter_wasm(interface))
        host = self._new_linker()
        define_all(host, functions, lambda function: function.module != interface.module)
        linked_adapter = _LinkedModule(host, adapter)
        capi.linker_delete(host)
        wasi_functions: list[HostFunction] = []
        linker = self._new_linker()
        if uses_wasi:
            capi.check(capi.linker_define_wasi(linker))
            wasi_functions = shadows(self._running, self.replayable)
            define_all(linker, wasi_functions, lambda function: True)
        define_all(linker, functions, lambda function: function.module == interface.module)
        check = capi.linker_clone(linker)
        for export in adapter.exports:
            if isinstance(export.type, wasmtime.FuncType) and interface.function(export.name):
                numbers = _numbers(export.type)
                stand_in = functions[0].callback
                capi.define(check, interface.module, export.name, numbers, stand_in)
        return _Linked(linker, check, linked_adapter.address, (self._engine, linked_adapter, functions, wasi_functions))

    def _new_linker(self) -> int:
        linker: int = capi.linker_new(capi.address(self._engine.ptr()))
        capi.linker_allow_shadowing(linker, True)
        return linker

    def _check_link(self, linked: _Linked, module: wasmtime.Module) -> None:
        _LinkedModule(linked.check, module)


def _blocks_of(module: wasmtime.Module) -> int:
    """Return how many blocks it notes."""
    names = (export.name for export in module.exports)
    return next((int(name.removeprefix(BLOCKS)) for name in names if name.startswith(BLOCKS)), 0)


def _check_imports(core: bytes) -> tuple[Interface, list[str]]:
    """Return which interface a core module imports, and what of WASI. Raises BadModule for anything else."""
    interface, wasi = None, list[str]()
    for module, name, kind in imports_untrusted(core):
        if module == WASI:
            wasi.append(name)
            continue
        known = INTERFACES.get(module)
        if known is None or kind != "function" or not known.function(name):
            raise BadModule(f"it imports the {kind} {name!r} of {module!r}, which this node does not offer")
        if interface not in (None, known):
            raise BadModule(f"it imports two versions of one interface: {interface.module} and {module}")
        interface = known
    return interface or _DEFAULT_INTERFACE, wasi


def _check_for_init(core: bytes) -> None:
    """Check the exports before it is compiled: the first core module of a component need not be the one to run."""
    if "init" not in exports_untrusted(core):
        raise BadModule("it exports no function of the name 'init'")


def _check_exports(module: wasmtime.Module) -> None:
    exports = {export.name: export.type for export in module.exports}
    if not isinstance(exports.get("memory"), wasmtime.MemoryType):
        raise BadModule("it exports no memory of the name 'memory'")
    for name, (numbers, required) in _EXPORTS.items():
        found = exports.get(name)
        if found is None and not required:
            continue
        if not isinstance(found, wasmtime.FuncType):
            raise BadModule(f"it exports no function of the name {name!r}")
        if _numbers(found) != (tuple(numbers[0]), tuple(numbers[1])):
            raise BadModule(f"its export {name!r} has the wrong type")


def _numbers(signature: wasmtime.FuncType) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(map(str, signature.params)), tuple(map(str, signature.results))


_CHECK_GUEST = """(module
  (import "nectar:process/standard@0.7.0" "receive" (func $receive (param i32)))
  (import "nectar:process/standard@0.7.0" "print-to-terminal" (func $print (param i32 i32 i32)))
  (memory (export "memory") 2)
  (global $heap (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $heap (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -8)))
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get 3))))
  (func (export "init") (param i32 i32)
    (call $print (i32.const 0) (i32.const 0) (i32.const 0))
    (call $receive (i32.const 1024))
    (loop $for_ever (br $for_ever))))"""
_CHECK_OUR = Address("self.check", ProcessId("check", "check", "sys"))


def self_check(cache_dir: Path | None = None, modes: Iterable[bool] = (False, True)) -> None:
    """Suspend, resume, pre-empt and kill a guest, by clock and by fuel, and recurse in one of its host functions, on
    the thread that calls this; takes a twentieth of a second for each of the `modes` (of engines: `replayable`), and
    far less where `cache_dir` has what this compiles.

    Raises KernelError if the installed Wasmtime does not do that as the declarations in `capi` expect.
    """
    for replayable in modes:
        engine = Engine(cache_dir, replayable)
        guest = engine.load(bytes(wasmtime.wat2wasm(_CHECK_GUEST))).start(GuestConfig(_CHECK_OUR, limits.MIB))
        steps = [_poll_to_receive(guest)]
        if steps == [Poll.RECEIVE]:
            guest.resume(Arrival(_CHECK_OUR, Request(False, None, b"check"), None, None))
            steps += [guest.poll(), guest.poll()]
        guest.close()
        check_recursion(engine)
        engine.close()
        if steps != [Poll.RECEIVE, Poll.PREEMPTED, Poll.PREEMPTED]:
            raise KernelError(f"the installed Wasmtime does not run guests as expected: {steps}, {guest.end}")


def check_recursion(engine: Engine) -> None:
    """Let Python run into its recursion limit in a host function, on a guest's stack, on the thread that calls this;
    takes some milliseconds. Interpreters look at the stack pointer, too, and know nothing of guests' stacks.

    Raises KernelError if no RecursionError comes out, or the guest does not go on after it.
    """
    program = engine.load(bytes(wasmtime.wat2wasm(_CHECK_GUEST)))
    for recurse in (_recurse, _recurse_through_c):
        guest = program.start(GuestConfig(_CHECK_OUR, limits.MIB))
        guest.effects = effects = _Recursing(recurse)
        step = _poll_to_receive(guest)
        guest.close()
        # A step through C may count twice, and whoever calls this has taken a part.
        if step is not Poll.RECEIVE or len(effects) != 1 or effects.depth < sys.getrecursionlimit() // 4:
            reached = f"{step}, at depth {effects.depth} of {sys.getrecursionlimit()}, {guest.end}"
            raise KernelError(f"this Python does not recurse as expected on a guest's stack: {reached}")


class _Recursing(list[Effect]):
    """Effects that are appended after as deep a recursion as Python allows."""

    def __init__(self, recurse: Callable[[_Recursing], object]) -> None:
        super().__init__()
        self.depth = 0
        self._recurse = recurse

    def append(self, effect: Effect) -> None:
        try:
            self._recurse(self)
        except RecursionError:
            super().append(effect)


def _recurse(effects: _Recursing) -> object:
    effects.depth += 1
    return _recurse(effects)


def _recurse_through_c(effects: _Recursing) -> object:
    """Each step takes stack of the guest's: Python calls C, which calls Python."""
    effects.depth += 1
    return list(map(_recurse_through_c, (effects,)))


def _poll_to_receive(guest: Guest) -> Poll:
    """Poll a guest until it waits for a message; returns how the last poll ended."""
    state = Poll.PREEMPTED
    for _ in range(_CHECK_POLLS):
        state = guest.poll()
        if state is not Poll.PREEMPTED:
            break
    return state


_CHECK_POLLS = 1000
"""Polls within which the guest must have come to its receive; on a loaded machine slices may end on the way."""
