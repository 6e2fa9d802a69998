"""The core instances of one guest's component: made in its store one after the other, each given exports of earlier
ones and of the adapter.
"""

from __future__ import annotations

from ctypes import addressof, byref
from dataclasses import dataclass
from typing import Any, NamedTuple

from kernel.contract.errors import BadModule
from kernel.wasm.adapter import TABLE
from kernel.wasm.compiling import capi

ADAPTER = -1
"""The adapter, where a core instance is meant by its number."""


class LinkedInstance(NamedTuple):
    """A core instance of a component, ready to be made in a store."""

    module: int
    imports: tuple[tuple[bytes, bytes, int, bytes], ...]
    """What is defined for it that was not before: names, and the instance (or ADAPTER) and its export."""
    memories: tuple[tuple[int, bytes], ...]
    """Numbers and names of the memories that it exports."""
    reallocs: tuple[tuple[int, bytes], ...]
    """Slots of the adapter's table and names of the functions for them that it exports."""


@dataclass(frozen=True, slots=True)
class Linked:
    """How the core modules of a component are linked in each guest's store."""

    instances: tuple[LinkedInstance, ...]
    memories: int
    tables: int
    init: tuple[int, bytes]
    init_realloc: tuple[int, bytes]
    init_memory: int


class ComponentInstances:
    """Those of one guest, which must outlive the futures that make them."""

    __slots__ = ("_cells", "_component", "_context", "_instances", "_linker", "_made", "memories")

    def __init__(self, component: Linked, engine: int, context: int, cells: capi.Cells) -> None:
        """`cells` has the adapter's instance."""
        self._component = component
        self._context = context
        self._cells = cells
        self._linker: int = capi.linker_new(engine)
        capi.linker_allow_shadowing(self._linker, True)
        self._made = 0
        """Those that are made, or being made."""
        self._instances = (capi.Instance * len(component.instances))()
        self.memories: Any = (capi.Extern * component.memories)()
        """By their numbers; one that is not made yet is zeros."""

    @property
    def all_made(self) -> bool:
        """Whether there is none left to be made."""
        return self._made == len(self._component.instances)

    def make_next(self) -> int:
        """Begin to make the next one; return the future."""
        instance, cells = self._component.instances[self._made], self._cells
        for module, name, source, export in instance.imports:
            self.export_of(source, export, byref(cells, capi.EXPORT))
            names = module, len(module), name, len(name)
            capi.check(capi.linker_define(self._linker, self._context, *names, byref(cells, capi.EXPORT)))
        into = addressof(self._instances) + self._made * capi.INSTANCE_BYTES
        self._made += 1
        future: int = capi.instantiate_async(
            self._linker, self._context, instance.module, into, byref(cells, capi.TRAP), byref(cells, capi.ERROR)
        )
        return future

    def look_at_made(self) -> None:
        """Take what the host needs of the one that was made last."""
        number = self._made - 1
        instance = self._component.instances[number]
        for memory, name in instance.memories:
            self.export_of(number, name, addressof(self.memories) + memory * capi.EXTERN_BYTES)
        if not instance.reallocs:
            return
        table: Any = capi.Extern()
        value: Any = capi.Value()
        self.export_of(ADAPTER, TABLE.encode(), byref(table))
        value.kind = capi.FUNCREF
        for slot, name in instance.reallocs:
            self.export_of(number, name, byref(self._cells, capi.EXPORT))
            value.of.funcref = self._cells.export.of.func
            capi.check(capi.table_set(self._context, byref(table, capi.EXTERN_OFFSET), slot, byref(value)))

    def pass_functions(self) -> None:
        """Pass the guest's functions to the adapter's `run`; it has no `_initialize`."""
        component, cells = self._component, self._cells
        for slot, (number, export) in enumerate((component.init_realloc, component.init)):
            self.export_of(number, export, byref(cells, capi.EXPORT))
            cells.args[slot].of.funcref = cells.export.of.func

    def release(self) -> None:
        """Give up what only the making needs."""
        capi.linker_delete(self._linker)

    def export_of(self, number: int, name: bytes, into: Any) -> None:
        """Look up an export of an instance. Raises BadModule if there is none."""
        if number == ADAPTER:
            place = addressof(self._cells) + capi.ADAPTER
        else:
            place = addressof(self._instances) + number * capi.INSTANCE_BYTES
        if not capi.instance_export_get(self._context, place, name, len(name), into):
            raise BadModule(f"a core module exports no {name.decode()!r}")
