"""The packages that come with the node: those in its own folder `packages`, and no others.

A package says by itself who has published it, and anybody can say `sys`. Where it lies is what decides.
"""

from __future__ import annotations

from pathlib import Path

import nectar_node

SHIPPED_FOLDER = Path(nectar_node.__file__).resolve().parent.parent / "packages"
"""Beside this package, in a clone as where it is installed."""
OUR_PUBLISHER = "sys"
"""Of the packages that come with the node, and of the system processes."""
LOCAL_PUBLISHER = "local"
"""Of any other package that names none."""


def is_shipped(folder: Path) -> bool:
    """Whether the package in this folder, with all links resolved, came with the node."""
    return SHIPPED_FOLDER in folder.parents


def default_publisher(folder: Path) -> str:
    """Of the package in this folder, with all links resolved, if it names none."""
    return OUR_PUBLISHER if is_shipped(folder) else LOCAL_PUBLISHER
