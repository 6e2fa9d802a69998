"""Command groups that other packages add to `nectar`: their entry points in the group "nectar.commands".

Looking for them takes milliseconds, so it is only done for a command that is not one of our own.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points

import typer

from nectar_node.console import output

ENTRY_POINTS = "nectar.commands"
"""The group of entry points; each is a name and a `typer.Typer`."""


def find(first: str | None) -> Iterator[tuple[str, typer.Typer]]:
    """Return the group whose name is the command line's first word; if there is none, all of them."""
    points = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    for name in [first] if first in points else sorted(points):
        group = _load(points[name])
        if group is not None:
            yield name, group


def _load(point: EntryPoint) -> typer.Typer | None:
    try:
        group = point.load()
    except Exception as error:  # whatever is wrong with another package, the other commands work
        output.complain(f"The commands `nectar {point.name}` of {point.value} cannot be loaded: {error!r}.")
        return None
    if not isinstance(group, typer.Typer):
        output.complain(f"The commands `nectar {point.name}` cannot be loaded: {point.value} is not a typer.Typer.")
        return None
    return group
