"""Modules that are loaded when something in them is asked for, by commands that may end without them."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Later:
    """Stands for a module. Types need the module itself, for which a reader of types imports it under the same name."""

    __slots__ = ("_module",)

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._module), name)
