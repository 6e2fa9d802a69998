"""What hostile peers are called, wherever they play."""

from __future__ import annotations

SUFFIX = ".evil"
"""Of all their names: what these say, nobody has promised anything of."""


def is_hostile(node: str) -> bool:
    """Whether a node of that name is a hostile peer."""
    return node.endswith(SUFFIX)
