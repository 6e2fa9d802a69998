"""`python -m nectar_node.base.program MODULE WORDS…`: the program in MODULE, whose modules are loaded as a program's
are.

Modules, classes and functions stay for as long as a program runs, and no garbage is among them. Nevertheless the
collector walks through all of them several times while they are loaded, again in each of its full collections, and once
more at the program's end. Without that, to load a node's modules and to end takes a quarter less time.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import cast


def load(module: str) -> Callable[[], int]:
    """The `main` of that module; what has been loaded by then is never again looked through for garbage.

    Raises what the module raises.
    """
    return cast(Callable[[], int], load_module(module).main)


def load_module(module: str) -> ModuleType:
    """The same for a module; raises what that raises."""
    gc.disable()
    try:
        return import_module(module)
    finally:
        gc.freeze()
        gc.enable()


if __name__ == "__main__":
    del sys.argv[0]
    sys.exit(load(sys.argv[0])())
