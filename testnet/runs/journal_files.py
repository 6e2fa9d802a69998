"""The files of journals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nectar_node.base import own_files
from nectar_node.base.errors import BadInput
from testnet.scenarios.scenario import Plan

DEFAULT_FOLDER = Path(".nectar") / "sim"
"""Unless the user says otherwise, below the current folder."""


def journal_file(plan: Plan, wanted: Path | None = None, ending: str = "") -> Path:
    """Return a writable file for a run's journal; its folder is made if necessary. Raises BadInput."""
    file = wanted or DEFAULT_FOLDER / f"{_stem(plan)}{ending}.journal"
    try:
        if wanted is None:
            own_files.make_folder(file.parent)
        with file.open("ab"):
            pass
    except OSError as error:
        advice = "" if wanted is None else " Name another file with -o."
        raise BadInput(f"{file} cannot be written: {error.strerror}.{advice}") from error
    return file


@contextmanager
def unless_empty(*files: Path) -> Iterator[None]:
    """Remove those of these files to which nothing has been written by the end of this."""
    try:
        yield
    finally:
        for file in files:
            with suppress(OSError):
                if file.is_file() and not file.stat().st_size:
                    file.unlink()


def _stem(plan: Plan) -> str:
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", plan.scenario.rpartition("/")[2])
    return f"{name}-{len(plan.nodes)}-nodes-seed-{plan.seed}"
