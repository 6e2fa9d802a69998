"""Commands, and groups of them, that other packages add to `nectar`: their entry points in the group "nectar.commands".

Looking for them takes milliseconds, so it is only done for a command that is not one of our own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from types import FunctionType
from typing import Any

import typer

from nectar_node.console import output

ENTRY_POINTS = "nectar.commands"
"""The group of entry points; each is a name, and a `typer.Typer` or the function of one command."""


Added = typer.Typer | Callable[..., Any]
"""A group, or a command."""


_OURS = "nectar-node"
"""The distribution whose groups are told of without loading them."""


def names() -> set[str]:
    """Return the names of all."""
    return set(_points())


def _points() -> dict[str, EntryPoint]:
    return _points_on(*sys.path)


@lru_cache(1)
def _points_on(*_path: str) -> dict[str, EntryPoint]:
    """The entry points by name, which a command asks for twice."""
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def find_others() -> Iterator[tuple[str, Added]]:
    """Return those that do not come with the node."""
    for point in sorted(_points().values(), key=lambda each: each.name):
        if (point.dist is None or point.dist.name != _OURS) and (group := _load(point)) is not None:
            yield point.name, group


def find(first: str | None) -> Iterator[tuple[str, Added]]:
    """Return what has the command line's first word for a name; if there is none, all of them."""
    points = _points()
    for name in [first] if first in points else sorted(points):
        group = _load(points[name])
        if group is not None:
            yield name, group


def _load(point: EntryPoint) -> Added | None:
    try:
        group = point.load()
    except Exception as error:  # whatever is wrong with another package, the other commands work
        output.complain(f"The commands `nectar {point.name}` of {point.value} cannot be loaded: {error!r}.")
        return None
    if not isinstance(group, (typer.Typer, FunctionType)):
        what = "neither a typer.Typer nor a function"
        output.complain(f"The commands `nectar {point.name}` cannot be loaded: {point.value} is {what}.")
        return None
    return group
