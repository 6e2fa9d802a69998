"""`nectar --help` lists the commands by what they are about, in the order in which a newcomer needs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typer.core import TyperGroup

SECTIONS = {
    "Write a package": {
        "new": "Make a package that builds and whose tests pass.",
        "build": "Compile the processes of a package whose sources have changed.",
        "dev": "Run a package on nodes of its own, always as it was saved last.",
    },
    "Packages": {
        "start": "Start processes on a node, which then run again at each boot.",
        "install": "Install a package on a node, which keeps its files.",
        "upgrade": "Install another version of a package that is installed already.",
        "rollback": "Let the version before of a package run again.",
        "uninstall": "End a package and its children, and forget it.",
        "list": "List the packages of a node.",
        "info": "Show who has published a package, and what it may do.",
        "search": "Find packages that nodes offer, by a word.",
        "publish": "Publish a new version of a package, signed by the node.",
        "api": "Show the messages that a package understands.",
    },
    "Processes": {
        "message": "Send a request from a node and print the response.",
        "run": "Run a script on a node until it answers; Ctrl-C ends it.",
        "ps": "List the processes of a node, or show one of them in full.",
        "top": "Show the processes of a node, the busiest first.",
        "kill": "End a process of a node at once.",
        "trace": "Show each message from or to ADDRESS, until Ctrl-C.",
        "errors": "List what went wrong on a node, the oldest first.",
        "logs": "Print the log of a node.",
        "state": "Show and remove the states that processes have saved.",
    },
    "Files": {
        "send": "Send files and folders from one node to others.",
        "inbox": "Decide whose files a node accepts.",
        "df": "Show the disk space that each package uses, and may use.",
    },
    "Nodes": {
        "boot": "Run the node NAME of the network in D until Ctrl-C or SIGTERM.",
        "open": "Open a node's pages in the browser, signed in.",
        "config": "Show and change the settings of a node.",
        "keys": "Make, show, move, protect and change the keys of nodes.",
        "sessions": "Show and end the sessions of browsers that have signed in.",
        "backup": "Keep encrypted copies of a node elsewhere.",
        "restore": "Restore a node from a copy.",
    },
    "Network": {
        "net": "See how other nodes are reached.",
        "peers": "List the nodes that a node knows, and how each is reached.",
        "directory": "Make the directory of a network that has no registrar.",
    },
    "Lab": {
        "testnet": "Start, show, break and stop a local testnet of nodes.",
        "sim": "Run scenarios in virtual time, replay and shrink what fails.",
        "replay": "Repeat what a node recorded; show the first difference.",
    },
}
"""The commands by title, each with its sentence. So that a list of them loads none, they stand here once more; a test
holds them against what each command says itself."""
SENTENCES = {name: sentence for listed in SECTIONS.values() for name, sentence in listed.items()}
OTHERS = "From other packages"
"""The title of those in no section."""


def sections(names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return the sections that have any of these commands, each of which is in one."""
    found = [(title, [each for each in listed if each in names]) for title, listed in SECTIONS.items()]
    found.append((OTHERS, [each for each in names if each not in SENTENCES]))
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
