"""From the plan of a component and its compiled core modules to what each guest's store is given
(`component_instances.Linked`)."""

from __future__ import annotations

from collections import defaultdict

from kernel.wasm.adapter import FIRST_REALLOC_SLOT
from kernel.wasm.binary.component_plan import ComponentPlan, CoreExport, Source
from kernel.wasm.component_host import export_name
from kernel.wasm.component_instances import ADAPTER, Linked, LinkedInstance


def linked(plan: ComponentPlan, modules: list[int]) -> Linked:
    """Return how instances are made; `modules` are the addresses of the compiled ones."""
    memories, reallocs = (
        defaultdict[int, list[tuple[int, bytes]]](list),
        defaultdict[int, list[tuple[int, bytes]]](list),
    )
    for number, memory in enumerate(plan.memories):
        memories[memory.instance].append((number, memory.name.encode()))
    for number, realloc in enumerate(plan.reallocs):
        reallocs[realloc.instance].append((FIRST_REALLOC_SLOT + number, realloc.name.encode()))
    defined: dict[tuple[str, str], Source] = {}
    instances = []
    for number, instance in enumerate(plan.instances):
        imports = []
        for module, name, source in instance.imports:
            # One linker has the imports of all instances: what is defined already and means the same, stays.
            if defined.get((module, name)) != source:
                defined[module, name] = source
                imports.append((module.encode(), name.encode(), *_place(source)))
        instances.append(
            LinkedInstance(modules[instance.module], tuple(imports), tuple(memories[number]), tuple(reallocs[number]))
        )
    realloc = plan.reallocs[plan.init_realloc]
    return Linked(
        instances=tuple(instances),
        memories=len(plan.memories),
        tables=plan.tables,
        init=_place(plan.init),
        init_realloc=_place(realloc),
        init_memory=plan.init_memory,
    )


def _place(source: Source) -> tuple[int, bytes]:
    if isinstance(source, CoreExport):
        return source.instance, source.name.encode()
    return ADAPTER, export_name(source).encode()
