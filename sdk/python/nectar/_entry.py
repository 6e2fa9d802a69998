"""How a process starts: the module that componentize-py compiles takes its `WitWorld` from here.

The process's module is imported while it is built. `init` runs later, perhaps many times and on many nodes, from one
picture of the memory: so what is to be different in each is made there.
"""

from __future__ import annotations

import importlib
import os
import random
from types import ModuleType

import wit_world

from nectar import crashes, logs, node
from nectar.address import Address


def world(name: str) -> type[wit_world.WitWorld]:
    """Return what the compiler wants, for the process in the module of that name.

    Raises TypeError if that has nothing to run, and what importing it raises.
    """
    module = importlib.import_module(name)
    has_init = callable(getattr(module, "init", None))
    if has_init == node.has_handlers():
        raise TypeError(
            f"{name}.py has an init and handlers: choose one"
            if has_init
            else f"{name}.py has nothing to run: write a function init(our), or mark one with @nectar.on_request"
        )

    class World(wit_world.WitWorld):
        """The process."""

        def init(self, our: str) -> None:
            try:
                _start(module, Address.parse(our))
            except Exception as error:
                crashes.tell(error)
                os._exit(1)  # a process that raises ends as one that traps does: its on-exit setting applies

    crashes.keep_sources()
    return World


def _start(module: ModuleType, our: Address) -> None:
    random.seed()  # the picture has the state of the machine that has built it
    logs.install()
    node.adopt(our)
    if node.has_handlers():
        node.run(our)
    else:
        module.init(our)
