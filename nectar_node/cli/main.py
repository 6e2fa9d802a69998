"""The entry point: the commands in one table, and every error as one sentence with an exit code.

Exit codes: 0 done or response, 1 it went wrong, 2 bad usage, 3 Offline, 4 Timeout, 130 ended by Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from copy import copy
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nectar_node.base.shipped import SDK_FOLDER
from nectar_node.cli.completing import bash_words
from nectar_node.cli.entry import say_version
from nectar_node.cli.sections import SENTENCES, SectionedGroup
from nectar_node.console import output, streams
from nectar_node.console.outcome import INTERRUPTED, carry_out

if TYPE_CHECKING:
    from nectar_node.cli.groups import Added

_HERE = "nectar_node.cli"
_GROUPS = {
    "net": "net",
    "keys": "keys",
    "directory": "directory",
    "inbox": "inbox",
    "config": "starting.config",
    "state": "df",
    "backup": "backups.backup",
    "sessions": "web.sessions",
}
"""The commands' modules, each with an `app`."""
_COMMANDS = {
    "new": "authoring.new",
    "build": "authoring.build",
    "boot": "starting.boot",
    "send": "send",
    "message": "message",
    "start": "starting.start",
    "kill": "starting.start",
    "install": "packages.install",
    "upgrade": "packages.install",
    "rollback": "packages.install",
    "uninstall": "packages.install",
    "list": "packages.listing",
    "info": "packages.listing",
    "publish": "packages.publish",
    "run": "run",
    "ps": "inspect",
    "top": "top",
    "peers": "inspect",
    "df": "df",
    "errors": "errors",
    "trace": "trace",
    "replay": "starting.replay",
    "logs": "logs",
    "restore": "backups.restore",
    "open": "web.open",
    "search": "packages.search",
    "api": "packages.api",
}
"""The modules whose commands are functions of these names, or of these with an underscore if Python has the name."""
# A script's arguments may look like options: those that are not ours are the script's.
_SETTINGS: dict[str, dict[str, Any]] = {"run": {"ignore_unknown_options": True}}


def build(first: str | None = None, rest: Sequence[str] = ()) -> typer.Typer:
    """Return the command line, with every command in it that may be meant if its `first` word is this.

    Only those are loaded: all of them together take as long to load as most of them take to run. Of a group there is
    only the command that the `rest` of the words begins with, if it has one of that name: typer takes milliseconds to
    make each.
    """
    app = _empty()
    ours = [*_GROUPS, *_COMMANDS]
    meant = [first] if first in ours else ours
    if first not in ours:
        from nectar_node.cli import groups  # which looks through all that is installed

        for name, group in groups.find(first):
            _add_other(app, name, group, rest)
            if name == first:
                meant = []
    for name in meant:
        _add(app, name, rest)
    return app


def build_list() -> typer.Typer:
    """Return the command line for words that name no command: it lists all commands, and none of ours is loaded."""
    from nectar_node.cli import groups

    app, names = _empty(), groups.names()
    others = dict(groups.find_others())
    for name, sentence in SENTENCES.items():
        if name not in others and (name in _GROUPS or name in _COMMANDS or name in names):
            app.command(name, help=sentence)(_listed)
    for name, group in others.items():
        _add_other(app, name, group)
    return app


def _listed() -> None:
    """Stand for a command in a list."""


def _add_other(app: typer.Typer, name: str, group: Added, rest: Sequence[str] = ()) -> None:
    if isinstance(group, typer.Typer):
        app.add_typer(_with_one(group, rest), name=name)
    else:
        app.command(name)(group)


def _with_one(group: typer.Typer, words: Sequence[str]) -> typer.Typer:
    """Return the group with the only one of its commands that these words can mean, else the group itself."""
    named = [each for each in group.registered_commands if words and (each.name or _name_of(each.callback)) == words[0]]
    if len(named) != 1 or group.registered_groups:
        return group
    narrow = copy(group)
    narrow.registered_commands = named
    return narrow


def _name_of(function: Callable[..., Any] | None) -> str:
    """Return what typer calls a command without a name of its own."""
    return "" if function is None else function.__name__.lower().replace("_", "-")


def _empty() -> typer.Typer:
    app = typer.Typer(
        name="nectar",
        cls=SectionedGroup,
        help="Run WebAssembly processes on nodes, and pass messages and files between nodes over Noise.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_options)
    return app


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=lambda wanted: _say_version(wanted=wanted),
            help="Show the version and exit.",
        ),
    ] = False,
    sdk: Annotated[
        bool,
        typer.Option(
            "--sdk",
            is_eager=True,
            callback=lambda wanted: _say_sdk(wanted=wanted),
            help="Print the folder of the SDK: zig/ for processes in Zig, zig/wit/ for those in other languages.",
        ),
    ] = False,
) -> None:
    pass


def _say_version(*, wanted: bool) -> None:
    if wanted:
        say_version()
        raise typer.Exit


def _say_sdk(*, wanted: bool) -> None:
    if wanted:
        # As it is: somebody's `$(nectar --sdk)` takes it.
        print(SDK_FOLDER)
        raise typer.Exit


def _names_none(words: Sequence[str]) -> bool:
    """Whether no word is a command."""
    from nectar_node.cli import groups

    return not any(word in _GROUPS or word in _COMMANDS for word in words) and groups.names().isdisjoint(words)


def _first(words: Sequence[str]) -> str | None:
    """Return the command that is meant, or that a shell completes."""
    if words:
        return words[0]
    typed = (os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or "").split()
    return typed[1] if len(typed) > 2 else None


def _add(app: typer.Typer, name: str, rest: Sequence[str]) -> None:
    module = import_module(f"{_HERE}.{_GROUPS.get(name) or _COMMANDS[name]}")
    if name in _GROUPS:
        app.add_typer(_with_one(module.app, rest), name=name)
    else:
        function = getattr(module, name, None) or getattr(module, f"{name}_")
        app.command(name, context_settings=_SETTINGS.get(name))(function)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command (`arguments` default to the process's) and return its exit code."""
    streams.make_usable()
    words = sys.argv[1:] if arguments is None else list(arguments)
    return carry_out(lambda: _run(words))


def _run(words: list[str]) -> object:
    try:
        with bash_words():
            first = _first(words)
            app = build_list() if _names_none(words or [first or ""]) else build(first, words[1:])
            return app(args=words, prog_name="nectar", standalone_mode=False)
    except typer.TyperException as error:
        output.complain(_with_help(error))
        return error.exit_code
    except typer.Abort:
        return INTERRUPTED


def _with_help(error: typer.TyperException) -> str:
    """Return what is wrong with a command, and how to see what it takes."""
    sentence = error.format_message().replace("Value error, ", "")  # which a library says of a choice
    context = getattr(error, "ctx", None)
    if context is None or "--help" in sentence:
        return sentence
    ended = sentence if sentence.endswith("?") else output.sentence(sentence)
    return f"{ended} `{context.command_path} --help` shows what it takes."
