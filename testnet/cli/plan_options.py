"""Options that make a plan, the same in a simulation and with real nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from testnet.model.seeds import MAX_SEED

Seed = Annotated[
    int | None,
    typer.Option("--seed", metavar="S", min=0, max=MAX_SEED, help="Default: a random one, which is printed."),
]
Nodes = Annotated[int | None, typer.Option("--nodes", metavar="N", help="How many nodes.", show_default=False)]
Faults = Annotated[
    Path | None,
    typer.Option("--faults", metavar="FILE", help="A schedule of faults (TOML), instead of the seed's own."),
]
Output = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write the journal.")]
