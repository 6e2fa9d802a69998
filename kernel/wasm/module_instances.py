"""The instances of one guest that is a core module: the adapter's, its own, and that of the module that gives it files.

A guest that is a component has `kernel.wasm.component_instances` in place of the last two.
"""

from __future__ import annotations

from ctypes import byref
from typing import TYPE_CHECKING

from kernel.contract.errors import BadModule
from kernel.wasm.adapter import FD_WRITE, FILE_FUNCTIONS, WASI
from kernel.wasm.compiling import capi

if TYPE_CHECKING:
    from kernel.contract.guest import GuestConfig
    from kernel.wasm.code import Code

_FUNCTIONS = ("cabi_realloc", "init", "_initialize")
"""What the adapter's `run` calls, in the order of its parameters."""
FIRST_FILE_FUNCTION = len(_FUNCTIONS)
"""The parameter of `run` that is the first of `FILE_FUNCTIONS`."""


def make_adapter(code: Code, context: int, cells: capi.Cells) -> None:
    """Make the adapter's instance in a guest's store."""
    _finish(
        capi.instance_pre_instantiate_async(
            code.adapter, context, byref(cells, capi.ADAPTER), byref(cells, capi.TRAP), byref(cells, capi.ERROR)
        ),
        cells,
    )


def look_up(context: int, cells: capi.Cells, instance: int, name: str, into: int = capi.EXPORT) -> bool:
    """Look up an export; return whether there is one. `instance` and `into` are offsets in `Cells`."""
    found: bool = capi.instance_export_get(
        context, byref(cells, instance), name.encode(), len(name), byref(cells, into)
    )
    return found


class ModuleInstances:
    """Those of one guest while they are made; they outlive it in the guest's store."""

    __slots__ = ("_cells", "_code", "_context", "_has_drive", "_linker", "all_made")

    def __init__(self, code: Code, config: GuestConfig, context: int, cells: capi.Cells) -> None:
        """`cells` has the adapter's instance. Raises BadModule if the guest's drive is not a folder."""
        self._code = code
        self._context = context
        self._cells = cells
        self._has_drive = code.uses_wasi and config.drive is not None
        self.all_made = False
        """Whether the guest's own instance is made, or being made."""
        if code.uses_wasi:
            wasi, drive = capi.wasi_config_new(), config.drive
            if isinstance(drive, str) and not capi.wasi_config_preopen_dir(wasi, drive.encode(), b"/", True):
                capi.wasi_config_delete(wasi)
                raise BadModule(f"the drive {drive} is not a folder")
            capi.check(capi.set_wasi(context, wasi))
        self._linker: int = capi.linker_clone(code.linker)

    def make_next(self) -> int:
        """Begin to make the guest's own instance; return the future."""
        code, cells, name = self._code, self._cells, self._code.interface
        adapter = byref(cells, capi.ADAPTER)
        capi.check(capi.linker_define_instance(self._linker, self._context, name, len(name), adapter))
        if code.uses_wasi:
            for each in FILE_FUNCTIONS if self._has_drive else (FD_WRITE,):
                look_up(self._context, cells, capi.ADAPTER, each)
                self._define(WASI, each, capi.EXPORT)
        self.all_made = True
        return self._instantiate(code.module, capi.INSTANCE)

    def look_at_made(self) -> None:
        """Take what the host needs of the guest's own instance: its memory."""
        look_up(self._context, self._cells, capi.INSTANCE, "memory", capi.MEMORY)

    def pass_functions(self) -> None:
        """Pass the guest's functions, and those of its files, to the adapter's `run`; one that there is not is null."""
        for slot, name in enumerate(_FUNCTIONS):
            self._pass(slot, capi.INSTANCE, name)
        if self._has_drive:
            self._make_files()
            for slot, name in enumerate(FILE_FUNCTIONS, FIRST_FILE_FUNCTION):
                self._pass(slot, capi.FILES, name)

    def _make_files(self) -> None:
        # In the guest's linker, its functions are the adapter's; a fresh one has Wasmtime's.
        self.release()
        self._linker = capi.linker_clone(self._code.linker)
        self._define("guest", "memory", capi.MEMORY)
        _finish(self._instantiate(self._code.files, capi.FILES), self._cells)

    def release(self) -> None:
        """Give up what only the making needs."""
        capi.linker_delete(self._linker)

    def _instantiate(self, module: int, into: int) -> int:
        cells = self._cells
        trap, error = byref(cells, capi.TRAP), byref(cells, capi.ERROR)
        future: int = capi.instantiate_async(self._linker, self._context, module, byref(cells, into), trap, error)
        return future

    def _define(self, module: str, name: str, export: int) -> None:
        """Define an export that was looked up under a name in the guest's linker."""
        names = module.encode(), len(module), name.encode(), len(name)
        capi.check(capi.linker_define(self._linker, self._context, *names, byref(self._cells, export)))

    def _pass(self, slot: int, instance: int, name: str) -> None:
        if look_up(self._context, self._cells, instance, name):
            self._cells.args[slot].of.funcref = self._cells.export.of.func


def _finish(future: int, cells: capi.Cells) -> None:
    """Make an instance of a module of ours, which has no start function."""
    done = capi.poll(future)
    capi.future_delete(future)
    assert done, "it has a start function"
    assert not cells.trap
    capi.check(cells.error)
