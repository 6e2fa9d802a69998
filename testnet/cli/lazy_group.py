"""A group of commands of which only the one that is meant is loaded: each of them needs much that the others do not."""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup
from typer.main import get_group


class LazyGroup(TyperGroup):
    """Commands that are there from the start, and others that are loaded when they, or all of them, are asked for."""

    modules: ClassVar[dict[str, str]] = {}
    """The modules of the others by name, as `nectar --help` lists them; each has an `app` or a function of that name.
    """

    settings: ClassVar[dict[str, dict[str, Any]]] = {}
    """What the parser is told of those that it would not read as it does the others."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, those that were there from the start first."""
        return [*(name for name in self.commands if name not in self.modules), *self.modules]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return that command; None: there is no such one, and all are loaded, so that a similar one can be named."""
        for name in [cmd_name] if cmd_name in self.list_commands(ctx) else self.modules:
            if name not in self.commands:
                self.commands[name] = self._load(name)
        return self.commands.get(cmd_name)

    def _load(self, name: str) -> Any:
        module = import_module(self.modules[name])
        one = typer.Typer(rich_markup_mode=self.rich_markup_mode)
        if app := getattr(module, "app", None):
            one.add_typer(app, name=name)
        else:
            one.command(name, context_settings=self.settings.get(name))(getattr(module, name))
        return get_group(one).commands[name]
