"""The plan of a component: its core modules, their instances in order, and for each import where it comes from.

`component` makes it of bytes, `component_host` looks whether the host has what it wants, and `linking` makes of it what
each guest's store is given.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

DROP = "[resource-drop]"
"""The prefix of the name of the function that drops a resource."""


class CoreExport(NamedTuple):
    """What a core instance exports."""

    instance: int
    name: str


NOTHING = CoreExport(0, "")
"""What is not known yet."""


class LoweredFunction(NamedTuple):
    """A function of the host, with the options under which the component calls it."""

    interface: str
    """The name under which the component imports it, with its version."""
    name: str
    memory: int | None
    """The number in `ComponentPlan.memories` of the memory for strings, lists and results."""
    realloc: int | None
    """The number in `ComponentPlan.reallocs` of what gives memory for results."""


Source: TypeAlias = CoreExport | int
"""Where an import comes from; a number is one of `ComponentPlan.host`."""


class CoreInstance(NamedTuple):
    """A core module with its imports."""

    module: int
    imports: tuple[tuple[str, str, Source], ...]
    """Module name, name and source of each."""


@dataclass(slots=True)
class ComponentPlan:
    """How a component is run."""

    modules: list[bytes] = field(default_factory=list)
    instances: list[CoreInstance] = field(default_factory=list)
    """In the order in which they are made."""
    host: list[LoweredFunction] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)
    """The names of the interfaces that it imports."""
    memories: list[CoreExport] = field(default_factory=list)
    """All memories of all instances."""
    reallocs: list[CoreExport] = field(default_factory=list)
    tables: int = 0
    """Tables of all instances."""
    init: CoreExport = NOTHING
    init_memory: int = 0
    """The number of the memory for the argument of `init`."""
    init_realloc: int = 0
