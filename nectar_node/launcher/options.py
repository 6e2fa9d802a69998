"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Directory = Annotated[Path, typer.Option("--dir", metavar="D", file_okay=False, help="The testnet's folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Node = Annotated[str, typer.Option("--node", metavar="NAME", help="The node to ask, such as send.nec.")]
