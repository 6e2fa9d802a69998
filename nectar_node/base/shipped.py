"""The packages that come with the node: those in its own folder `packages`, and no others.

A package names its publisher itself, and anybody can write `sys` there. So the place of its folder decides.
"""

from __future__ import annotations

from pathlib import Path

import nectar_node

SHIPPED_FOLDER = Path(nectar_node.__file__).resolve().parent.parent / "packages"
"""The folder beside this package, in a clone as in an installation."""
OUR_PUBLISHER = "sys"
"""The publisher of the packages that come with the node, and of the system processes."""
LOCAL_PUBLISHER = "local"
"""The publisher of any other package that names none."""


def is_shipped(folder: Path) -> bool:
    """Whether the package in this folder, with all links resolved, came with the node."""
    return SHIPPED_FOLDER in folder.parents


def default_publisher(folder: Path) -> str:
    """Return the publisher of the package in this folder, with all links resolved, if it names none."""
    return OUR_PUBLISHER if is_shipped(folder) else LOCAL_PUBLISHER
