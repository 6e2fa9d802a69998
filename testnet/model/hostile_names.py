"""The names of hostile peers, at every level."""

from __future__ import annotations

SUFFIX = ".evil"
"""The ending of every hostile peer's name; no promise is made about what such a peer says."""


def is_hostile(node: str) -> bool:
    """Return whether a node of that name is a hostile peer."""
    return node.endswith(SUFFIX)
