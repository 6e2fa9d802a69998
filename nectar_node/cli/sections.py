"""`nectar --help` lists the commands by what they are about, in the order in which a newcomer needs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typer.core import TyperGroup

SECTIONS = {
    "Write a package": ("new", "build", "dev"),
    "Packages": ("start", "install", "upgrade", "rollback", "uninstall", "list", "info", "search", "publish", "api"),
    "Processes": ("message", "run", "ps", "top", "kill", "trace", "errors", "logs", "state"),
    "Files": ("send", "inbox", "df"),
    "Nodes": ("boot", "open", "config", "keys", "sessions", "backup", "restore"),
    "Network": ("net", "peers", "directory"),
    "Lab": ("testnet", "sim", "replay"),
}
"""The commands by title."""
OTHERS = "From other packages"
"""The title of those in no section."""


def sections(names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return the sections that have any of these commands, each of which is in one."""
    found = [(title, [each for each in listed if each in names]) for title, listed in SECTIONS.items()]
    known = {each for listed in SECTIONS.values() for each in listed}
    found.append((OTHERS, [each for each in names if each not in known]))
    return [(title, listed) for title, listed in found if listed]


class SectionedGroup(TyperGroup):
    """Commands that are listed by section."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands in the order of their sections."""
        return [name for _, listed in sections(super().list_commands(ctx)) for name in listed]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a list for each section, all of them in the same columns."""
        names = self.list_commands(ctx)
        width = max(map(len, names))
        limit = formatter.width - width - 6  # as in other lists of commands: their indent, and the gap between columns
        for title, listed in sections(names):
            commands = ((name, self.get_command(ctx, name)) for name in listed)
            rows = [(name.ljust(width), each.get_short_help_str(limit)) for name, each in commands if each is not None]
            with formatter.section(title):
                formatter.write_dl(rows)
