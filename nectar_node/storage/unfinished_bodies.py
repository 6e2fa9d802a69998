"""What browsers were sending to packages when the node went down (`operations.BODIES`)."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from nectar_node.storage.operations import BODIES


def remove_unfinished_bodies(drives: Path) -> None:
    """Remove what is left of it in the folder of all drives, before anything runs. No link is followed."""
    with suppress(OSError), os.scandir(drives) as packages:
        for package in packages:
            if package.is_dir(follow_symlinks=False):
                shutil.rmtree(os.path.join(package.path, BODIES), ignore_errors=True)
