"""The page of all commands gets what the command line's own help says, when the site is built."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mkdocs.structure.pages import Page
from typer.main import get_command

from nectar_node.cli.main import build

PAGE = "commands.md"


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Add a section for each command."""
    if page.file.src_uri != PAGE:
        return markdown
    command = get_command(build())
    return "\n".join([markdown, *_commands(command, command.context_class(command, info_name="nectar"))])


def _commands(command: Any, context: Any) -> Iterator[str]:
    """A section for each command that does something; of a group, for each of its own."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield _section(command, context)
        return
    for name, each in inner.items():
        yield from _commands(each, each.context_class(each, info_name=name, parent=context))


def _section(command: Any, context: Any) -> str:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    records = [record for each in command.params if (record := each.get_help_record(context)) is not None]
    rows = [f"| `{_cell(names)}` | {_escaped(_cell(text))} |" for names, text in records]
    table = ["| | |", "|---|---|", *rows] if rows else []
    paragraphs = (command.help or "").replace("\f", "\n\n").replace("\b", "").split("\n\n")
    text = "\n\n".join(_escaped(" ".join(each.split())) for each in paragraphs)
    return "\n".join([f"## {context.command_path}", "", "```text", usage, "```", "", text, "", *table, ""])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("[", "&#91;")
