"""The seed of a command: the one that it is given, or one that is drawn."""

from __future__ import annotations

import random
from typing import Annotated

import typer

from testnet.model.seeds import MAX_SEED

_MAX_DRAWN = 1 << 32
"""Ten digits at most, which people can copy."""

Seed = Annotated[
    int | None,
    typer.Option("--seed", metavar="S", min=0, max=MAX_SEED, help="Default: a random one, which is printed."),
]


def chosen(seed: int | None) -> int:
    """Return the given seed, or draw one."""
    return random.SystemRandom().randrange(_MAX_DRAWN) if seed is None else seed
