"""`nectar build`: compile the processes of a package."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from nectar_node.console import output
from nectar_node.launcher import options


def build(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The package's folder; default: this one.", show_default=False)
    ] = Path(),
    as_json: options.AsJson = False,
) -> int:
    """Compile the processes of a package whose sources have changed.

    src/NAME.zig, .c, .rs, .py, .ts or .js becomes pkg/NAME.wasm, if the manifest or another source names that.
    Compilers come from PyPI and npm, in fixed versions, and are kept in your cache; Rust is compiled by the cargo that
    is here. What is fetched is said, with --json on standard error. If something does not compile, what was built
    before stays.
    """
    from nectar_node.authoring import build as building  # with all compilers
    from nectar_node.toolchains import once

    began = time.monotonic()
    tell = (lambda file: None) if as_json else (lambda file: output.say(f"Compiling {file} …"))
    with once.told(output.complain if as_json else output.say):
        built = building.build(folder, tell)
    seconds = time.monotonic() - began
    if as_json:
        said = {"package": str(built.package.id), "folder": str(built.package.folder), "digest": built.package.digest}
        lists = {"compiled": built.compiled, "unchanged": built.unchanged, "removed": built.removed}
        output.print_json({**said, **lists, "seconds": round(seconds, 3)})
        return 0
    for file in built.compiled:
        output.say(f"{file}: {output.size((built.package.folder / file).stat().st_size)}")
    for file in built.removed:
        output.say(f"{file} is removed: it has no source any more.")
    if not built.compiled:
        output.say(f"Nothing has changed in {built.package.id}.")
    return 0
