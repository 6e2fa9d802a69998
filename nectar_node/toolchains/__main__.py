"""Compile a process: `python -m nectar_node.toolchains SOURCE OUTPUT`. The suffix of SOURCE says which language."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nectar_node.base.errors import BadInput, NodeError, exit_code
from nectar_node.toolchains import once
from nectar_node.toolchains.languages import COMPILERS


def main() -> int:
    """The command line; 2 for a source of no language, 1 if it does not compile."""
    parser = argparse.ArgumentParser(prog="python -m nectar_node.toolchains", description="Compile a process.")
    parser.add_argument("source", type=Path, help="its file")
    parser.add_argument("output", type=Path, help="the .wasm file to write")
    said = parser.parse_args()
    try:
        compiler = COMPILERS.get(said.source.suffix)
        if compiler is None:
            raise BadInput(f"{said.source} is no source that can be compiled: these end with {', '.join(COMPILERS)}.")
        with once.told(lambda sentence: print(sentence, file=sys.stderr, flush=True)):
            compiler(said.source, said.output)
    except NodeError as error:
        print(error, file=sys.stderr)
        return exit_code(error)
    except OSError as error:
        print(f"{error.filename or said.output}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
