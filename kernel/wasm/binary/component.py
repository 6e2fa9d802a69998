"""Reads a component into a plan: which core modules it has, how they are linked, and what they call of the host.

Owns sections 1 to 11 of the Component Model's binary format (Binary.md), as far as they say how to run the one export
`init`. A component is a program for linking: each section defines core modules, instances and functions by what was
defined before them. All of it is resolved here, so that a plan has nothing left but core modules, their instances in
order, and for each import where it comes from: an export of an earlier instance, or a function of the host.

What types the component declares is skipped. The host has its own types for all that it offers (`wit`, `wasi`): a
component that declares others fits ours as core functions, or it cannot be linked. Components within components are
skipped as well: what comes out of one may not be used by what runs.

Pure. Every byte is untrusted, and only BadModule leaves; whatever is kept is counted first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from kernel.contract import limits
from kernel.contract.errors import BadModule
from kernel.wasm.binary.component_plan import (
    DROP,
    ComponentPlan,
    CoreExport,
    CoreInstance,
    LoweredFunction,
    Source,
)
from kernel.wasm.binary.module import BinaryReader, Import, read_module_untrusted, sections_untrusted

MAX_MODULES = 256
"""Core modules of one component; componentize-py's has fourteen."""
MAX_INSTANCES = 256
"""Core instances of one component; each is made anew for every guest."""
MAX_LINKS = 8192
"""Imports of all core instances of one component: each is looked up at the start of every guest, in a few microseconds.
componentize-py's component has 2,300."""
MAX_ITEMS = 65536
"""Functions, types, aliases and others of one kind; componentize-py's component has a few hundred of each."""
MAX_DEFINITIONS = 1 << 18
"""All that is read one by one, in the component and in the names of its core modules; that takes half a second.
componentize-py's component has twelve thousand."""
MAX_INSTANCE_PARTS = 1 << 18
"""`module.Contents.parts` of all core instances of one component, a few dozen bytes each that a guest's bound on memory
does not count; componentize-py's and componentize-js's components have thirty thousand."""
MAX_MEMORIES = 4
"""Memories of one component: each takes 4 GiB of the node's address space in every guest."""
MAX_REALLOCS = 64
"""Functions of one component that give memory; componentize-py's has three."""
MAX_OPTIONS = 16
"""Options of one canonical function; there are seven kinds."""
MAX_HOST_FUNCTIONS = 1024
"""Functions of the host that one component calls, or the same ones with other options."""

_FUNCTION, _TABLE, _MEMORY, _GLOBAL = "function", "table", "memory", "global"
_CORE_SORTS = {
    0: _FUNCTION,
    1: _TABLE,
    2: _MEMORY,
    3: _GLOBAL,
    4: "tag",
    0x10: "type",
    0x11: "module",
    0x12: "instance",
}
_SORTS = {1: "function", 2: "value", 3: "type", 4: "component", 5: "instance"}
_UTF8, _MEMORY_OPTION, _REALLOC, _POST_RETURN = 0, 3, 4, 5
_OTHER_TEXTS = {1: "UTF-16", 2: "Latin-1 or UTF-16"}


class _Core(NamedTuple):
    """A core module as far as linking needs it."""

    imports: list[Import]
    exports: dict[str, str]
    """Their kinds."""
    memory: str | None
    """Under which name its own memory is exported."""
    tables: int
    parts: int


class _Lift(NamedTuple):
    function: Source
    memory: int | None
    realloc: int | None


class _Options(NamedTuple):
    memory: int | None
    realloc: int | None


def plan_untrusted(wasm: bytes) -> ComponentPlan:
    """Return the plan of a component. Raises BadModule."""
    return _Planner(wasm).plan()


class _Planner:
    """The index spaces of one component, while they fill."""

    def __init__(self, wasm: bytes) -> None:
        self._wasm = wasm
        self._plan = ComponentPlan()
        self._modules: list[_Core] = []
        self._core: dict[str, list[Any]] = {sort: [] for sort in (_FUNCTION, _TABLE, _MEMORY, _GLOBAL, "tag")}
        """Sources, by sort; those that are no functions are CoreExports."""
        self._core_types = 0
        self._memory_of: list[int | None] = []
        """The number of the one memory that each instance of the plan has, or was given."""
        self._parts = 0
        self._definitions = 0
        self._core_instances: list[int | dict[tuple[str, str], Source]] = []
        """The number of one in the plan, or sources by kind and name."""
        self._functions: list[tuple[str, str] | _Lift | None] = []
        """Interface and name of an imported one; None: one that nothing may use."""
        self._types = _Sparse()
        self._instances: list[str | dict[tuple[str, str], Any] | None] = []
        """The interface that is imported, or what one has, by sort and name; None: nobody knows."""
        self._components = 0
        self._exports: dict[str, Any] = {}
        self._serves = False
        self._links = 0
        self._numbers: dict[LoweredFunction, int] = {}

    def plan(self) -> ComponentPlan:
        """Read everything."""
        read: dict[int, Callable[[BinaryReader], None]] = {
            2: self._core_instance,
            5: self._instance,
            6: self._alias,
            8: self._canon,
            10: self._import,
            11: self._export,
        }
        for number, start, end in sections_untrusted(self._wasm):
            reader = BinaryReader(self._wasm, start, end)
            if number == 1:
                self._module(start, end)
            elif number == 3:
                self._core_types = self._more(self._core_types + reader.u32(), "core types")
            elif number == 4:
                self._components = self._more(self._components + 1, "components")
            elif number == 7:
                self._types.grow(reader.u32())
            elif number == 9:
                raise BadModule("the component has a start function of its own, which this node does not offer")
            elif number in read:
                for _ in range(self._count(reader, MAX_ITEMS, "definitions in a section of the component")):
                    read[number](reader)
                if reader.at != end:
                    raise BadModule(f"section {number} of the component is longer than what it defines")
            elif number:
                raise BadModule(f"the component has a section of an unknown kind, {number}")
        return self._finished()

    def _finished(self) -> ComponentPlan:
        plan, init = self._plan, self._exports.get("init")
        if not isinstance(init, _Lift):
            why = "; nothing calls its wasi:http/incoming-handler" if self._serves else ""
            raise BadModule(f"it exports no function of the name 'init'{why}")
        if not isinstance(init.function, CoreExport) or init.memory is None or init.realloc is None:
            raise BadModule("its export 'init' has the wrong type")
        plan.init, plan.init_memory, plan.init_realloc = init.function, init.memory, init.realloc
        return plan

    @staticmethod
    def _more(count: int, what: str) -> int:
        if count > MAX_ITEMS:
            raise BadModule(f"the component has more than {MAX_ITEMS} {what}")
        return count

    def _count(self, reader: BinaryReader, limit: int, what: str) -> int:
        """Return how many of something follow, and count them among all that the component defines."""
        count = reader.count(limit, what)
        self._check_definitions(count)
        return count

    def _check_definitions(self, more: int) -> None:
        self._definitions += more
        if self._definitions > MAX_DEFINITIONS:
            raise BadModule(f"the component has more than {MAX_DEFINITIONS} definitions")

    def _add(self, space: list[Any], item: Any, what: str) -> None:
        self._more(len(space) + 1, what)
        space.append(item)

    @staticmethod
    def _at(space: Any, index: int, what: str) -> Any:
        if index >= len(space):
            raise BadModule(f"the component refers to {what} {index}, and has {len(space)} so far")
        return space[index]

    # --- core modules and instances -----------------------------------------------------------------------------------

    def _module(self, start: int, end: int) -> None:
        if len(self._modules) == MAX_MODULES:
            raise BadModule(f"the component has more than {MAX_MODULES} core modules")
        code = self._wasm[start:end]
        found = read_module_untrusted(code)
        self._check_definitions(len(found.imports) + len(found.exports))
        exports = {export.name: export.kind for export in found.exports}
        own = sum(each.kind == _MEMORY for each in found.imports)
        if own + found.memories > 1:
            raise BadModule("a core module of the component has several memories")
        memory = next((each.name for each in found.exports if each.kind == _MEMORY), None)
        if found.memories and memory is None:
            raise BadModule("a core module of the component has a memory that it does not export")
        self._plan.modules.append(code)
        memory = memory if found.memories else None
        self._modules.append(_Core(found.imports, exports, memory, found.tables, found.parts))

    def _core_instance(self, reader: BinaryReader) -> None:
        match reader.byte():
            case 0:
                module = reader.u32()
                args = {}
                for _ in range(self._count(reader, MAX_ITEMS, "arguments")):
                    name = reader.name()
                    if reader.byte() != 0x12:
                        raise BadModule("an argument of a core module is no instance")
                    args[name] = self._at(self._core_instances, reader.u32(), "core instance")
                self._add(self._core_instances, self._instantiated(module, args), "core instances")
            case 1:
                items: dict[tuple[str, str], Source] = {}
                for _ in range(self._count(reader, MAX_ITEMS, "exports")):
                    name, sort = reader.name(), self._core_sort(reader)
                    items[sort, name] = self._at(self._core_space(sort), reader.u32(), f"core {sort}")
                self._links += len(items)
                self._check_links()
                self._add(self._core_instances, items, "core instances")
            case other:
                raise BadModule(f"a core instance of an unknown form, {other:#x}")

    def _instantiated(self, number: int, args: dict[str, Any]) -> int:
        plan = self._plan
        module: _Core = self._at(self._modules, number, "core module")
        if len(plan.instances) == MAX_INSTANCES:
            raise BadModule(f"the component has more than {MAX_INSTANCES} core instances")
        self._links += len(module.imports)
        self._check_links()
        imports = []
        for name, field_name, kind in module.imports:
            if name not in args:
                raise BadModule(f"a core module of the component imports {name!r}, which it is not given")
            imports.append((name, field_name, self._core_export(args[name], kind, field_name)))
        made = len(plan.instances)
        plan.instances.append(CoreInstance(number, tuple(imports)))
        self._memory_of.append(self._memory_for(made, module, imports))
        plan.tables += module.tables
        self._parts += module.parts
        if self._parts > MAX_INSTANCE_PARTS:
            raise BadModule(f"the core instances of the component have more than {MAX_INSTANCE_PARTS} parts")
        return made

    def _memory_for(self, made: int, module: _Core, imports: list[tuple[str, str, Source]]) -> int | None:
        """Return the number of the memory that an instance has: its own, or the one that it is given."""
        memories = self._plan.memories
        if module.memory is not None:
            if len(memories) == MAX_MEMORIES:
                raise BadModule(f"the component has more than {MAX_MEMORIES} memories")
            memories.append(CoreExport(made, module.memory))
            return len(memories) - 1
        for (_, _, source), each in zip(imports, module.imports, strict=True):
            if each.kind == _MEMORY and isinstance(source, CoreExport):
                return self._memory_of[source.instance]
        return None

    def _check_links(self) -> None:
        if self._links > MAX_LINKS:
            raise BadModule(f"the core modules of the component have more than {MAX_LINKS} imports")

    def _core_export(self, instance: int | dict[tuple[str, str], Source], kind: str, name: str) -> Source:
        """Return what an instance exports."""
        if isinstance(instance, dict):
            found = instance.get((kind, name))
            if found is None:
                raise BadModule(f"a core instance of the component has no {kind} {name!r}")
            return found
        core = self._modules[self._plan.instances[instance].module]
        if core.exports.get(name) != kind:
            raise BadModule(f"a core module of the component exports no {kind} {name!r}")
        return CoreExport(instance, name)

    def _core_sort(self, reader: BinaryReader) -> str:
        sort = _CORE_SORTS.get(number := reader.byte())
        if sort is None:
            raise BadModule(f"the component has something of an unknown core sort, {number:#x}")
        return sort

    def _core_space(self, sort: str) -> list[Any]:
        space = self._core.get(sort)
        if space is None:
            raise BadModule(f"the component uses a core {sort} in a way that this node does not offer")
        return space

    # --- instances, aliases, imports, exports -------------------------------------------------------------------------

    def _sort(self, reader: BinaryReader) -> str:
        number = reader.byte()
        if number == 0:
            return "core " + self._core_sort(reader)
        sort = _SORTS.get(number)
        if sort is None:
            raise BadModule(f"the component has something of an unknown sort, {number:#x}")
        return sort

    def _item(self, sort: str, index: int) -> Any:
        """Return what is at an index; None where nothing is known of such things."""
        match sort:
            case "function":
                return self._at(self._functions, index, "function")
            case "type":
                return self._types.at(index)
            case "instance":
                return self._at(self._instances, index, "instance")
        return None

    def _define(self, sort: str, item: Any) -> None:
        """Add an item to its index space."""
        match sort:
            case "function":
                self._add(self._functions, item, "functions")
            case "type":
                self._types.add(item)
            case "instance":
                self._add(self._instances, item, "instances")
            case "component":
                self._components = self._more(self._components + 1, "components")
            case _:
                raise BadModule(f"the component defines a {sort} in a way that this node does not offer")

    def _instance(self, reader: BinaryReader) -> None:
        match reader.byte():
            case 0:
                reader.u32()
                for _ in range(self._count(reader, MAX_ITEMS, "arguments")):
                    reader.name()
                    self._sort(reader)
                    reader.u32()
                self._define("instance", None)
            case 1:
                items = {}
                for _ in range(self._count(reader, MAX_ITEMS, "exports")):
                    name, sort = self._name(reader), self._sort(reader)
                    items[sort, name] = self._item(sort, reader.u32())
                self._links += len(items)
                self._check_links()
                self._define("instance", items)
            case other:
                raise BadModule(f"an instance of an unknown form, {other:#x}")

    def _alias(self, reader: BinaryReader) -> None:
        sort = self._sort(reader)
        match reader.byte():
            case 0:
                instance = self._at(self._instances, reader.u32(), "instance")
                self._define(sort, self._export_of(instance, sort, reader.name()))
            case 1:
                core = self._at(self._core_instances, reader.u32(), "core instance")
                kind = sort.removeprefix("core ")
                if kind == sort:
                    raise BadModule(f"the component takes a {sort} from a core instance")
                item = self._core_export(core, kind, reader.name())
                self._add(self._core_space(kind), item, f"core {kind}s")
            case 2:
                above, index = reader.u32(), reader.u32()
                if above or sort not in ("type", "component"):
                    raise BadModule("the component refers to what is around it, and nothing is")
                self._define(sort, self._item(sort, index))
            case other:
                raise BadModule(f"an alias of an unknown form, {other:#x}")

    @staticmethod
    def _export_of(instance: Any, sort: str, name: str) -> Any:
        if isinstance(instance, str):
            return (instance, name) if sort in ("function", "type") else None
        return instance.get((sort, name)) if isinstance(instance, dict) else None

    def _name(self, reader: BinaryReader) -> str:
        form = reader.byte()
        if form > 1:
            raise BadModule(f"a name of an unknown form, {form:#x}")
        return reader.name()

    def _import(self, reader: BinaryReader) -> None:
        name = self._name(reader)
        sort = self._skip_description(reader)
        if sort == "instance":
            self._define(sort, name)
            self._plan.imports.append(name)
        elif sort == "type":
            self._define(sort, None)
        else:
            raise BadModule(f"it imports the {sort} {name!r}, which this node does not offer")

    def _skip_description(self, reader: BinaryReader) -> str:
        """Skip an `externdesc`; return the sort."""
        match number := reader.byte():
            case 0:
                reader.byte()
                reader.u32()
                return "core module"
            case 1 | 4 | 5:
                reader.u32()
                return _SORTS[number]
            case 3:
                if reader.byte() == 0:
                    reader.u32()
                return "type"
        raise BadModule(f"the component imports or exports something of an unknown sort, {number:#x}")

    def _export(self, reader: BinaryReader) -> None:
        name, sort = self._name(reader), self._sort(reader)
        item = self._item(sort, reader.u32())
        if reader.byte():
            self._skip_description(reader)
        if not sort.startswith("core "):
            self._define(sort, item)
        if sort == "function":
            self._exports[name] = item
        self._serves |= name.startswith("wasi:http/incoming-handler@")

    # --- canonical functions ------------------------------------------------------------------------------------------

    def _canon(self, reader: BinaryReader) -> None:
        functions = self._core[_FUNCTION]
        match form := reader.byte():
            case 0:
                self._check_zero(reader, form)
                function = self._at(functions, reader.u32(), "core function")
                options = self._options(reader)
                reader.u32()
                self._define("function", _Lift(function, *options))
            case 1:
                self._check_zero(reader, form)
                target = self._at(self._functions, reader.u32(), "function")
                options = self._options(reader)
                if target is None or isinstance(target, _Lift):
                    raise BadModule("the component lowers a function that is not imported")
                self._add(functions, self._host(LoweredFunction(target[0], target[1], *options)), "core functions")
            case 3:
                resource = self._types.at(reader.u32())
                if resource is None:
                    raise BadModule("the component drops a resource that is not imported")
                interface, name = resource
                self._add(functions, self._host(LoweredFunction(interface, DROP + name, None, None)), "core functions")
            case _:
                raise BadModule(f"the component uses the canonical function {form:#x}, which this node does not offer")

    @staticmethod
    def _check_zero(reader: BinaryReader, form: int) -> None:
        if reader.byte():
            raise BadModule(f"the component uses the canonical function {form:#x} in an unknown form")

    def _host(self, function: LoweredFunction) -> int:
        """Return the number of a host function."""
        number = self._numbers.get(function)
        if number is None:
            number = self._numbers[function] = len(self._plan.host)
            if number == MAX_HOST_FUNCTIONS:
                raise BadModule(f"the component calls more than {MAX_HOST_FUNCTIONS} functions of the host")
            self._plan.host.append(function)
        return number

    def _options(self, reader: BinaryReader) -> _Options:
        found = dict[int, int]()
        for _ in range(self._count(reader, MAX_OPTIONS, "options")):
            option = reader.byte()
            if option in found:
                raise BadModule(f"the component gives the canonical option {option:#x} twice")
            found[option] = self._option(option, reader)
        return _Options(found.get(_MEMORY_OPTION), found.get(_REALLOC))

    def _option(self, option: int, reader: BinaryReader) -> int:
        """Read the value of an option; return the number in the plan that it stands for, or 0."""
        if option in _OTHER_TEXTS:
            raise BadModule(f"the component has its texts in {_OTHER_TEXTS[option]}, and this node gives UTF-8")
        if option == _MEMORY_OPTION:
            return self._memory(self._at(self._core[_MEMORY], reader.u32(), "core memory"))
        if option == _REALLOC:
            return self._realloc(self._at(self._core[_FUNCTION], reader.u32(), "core function"))
        if option == _POST_RETURN:
            self._at(self._core[_FUNCTION], reader.u32(), "core function")
        elif option != _UTF8:
            raise BadModule(f"the component has a canonical option, {option:#x}, which this node does not offer")
        return 0

    def _memory(self, memory: CoreExport) -> int:
        """Return the number of a memory; instances hand theirs on under names of their own."""
        number = self._memory_of[memory.instance]
        if number is None:
            raise BadModule("the component refers to a memory that nothing has")
        return number

    def _realloc(self, function: Source) -> int:
        if not isinstance(function, CoreExport):
            raise BadModule("the component has memory given by a function of the host")
        reallocs = self._plan.reallocs
        if function not in reallocs:
            if len(reallocs) == MAX_REALLOCS:
                raise BadModule(f"the component has more than {MAX_REALLOCS} functions that give memory")
            reallocs.append(function)
        return reallocs.index(function)


class _Sparse:
    """An index space of types, of which few are resources: those alone are kept, with interface and name."""

    def __init__(self) -> None:
        self._count = 0
        self._resources: dict[int, tuple[str, str]] = {}

    def grow(self, count: int) -> None:
        """Add types that are no imported resources."""
        self._count += count
        if self._count > limits.MAX_MODULE_BYTES:
            raise BadModule("the component has more types than its file has bytes")

    def add(self, item: tuple[str, str] | None) -> None:
        """Add one type."""
        if item is not None:
            if len(self._resources) == MAX_ITEMS:
                raise BadModule(f"the component has more than {MAX_ITEMS} imported types")
            self._resources[self._count] = item
        self.grow(1)

    def at(self, index: int) -> tuple[str, str] | None:
        """Return interface and name of an imported type, or None for another. Raises BadModule."""
        if index >= self._count:
            raise BadModule(f"the component refers to type {index}, and has {self._count} so far")
        return self._resources.get(index)
