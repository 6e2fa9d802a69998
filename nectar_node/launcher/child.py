"""The node NAME of the network in FOLDER, as `launch` starts it.

The command is `python -m nectar_node.base.program nectar_node.launcher.child NAME FOLDER`. The boot options come
through standard input (`boot_options.encode_told`), where nobody else can read a password. It is a program of its own
because a node needs nothing of the command line: loading the commands, and the libraries that parse their words and
print their tables, takes a fifth as long as loading the node.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nectar_node.base.errors import BadInput, NodeError
from nectar_node.console import streams
from nectar_node.launcher.boot_options import MAX_TOLD_BYTES, BootOptions, decode_told_untrusted
from nectar_node.launcher.local_network import LocalNetwork
from nectar_node.launcher.node_config import make_config
from nectar_node.launcher.supervisor import run_once, run_supervised


def main() -> int:
    """Run the node; return its exit code, and print on standard error what went wrong."""
    streams.make_usable()
    parser = argparse.ArgumentParser(prog="a node of `nectar`", description="Run a node for `nectar`.")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--ready-descriptor", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--lifeline", type=int, help=argparse.SUPPRESS)
    words = parser.parse_args()
    try:
        options = _told()
        config = make_config(LocalNetwork(words.folder), words.name, options, words.ready_descriptor, words.lifeline)
    except NodeError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, BadInput) else 1
    return run_once(config) if options.once else run_supervised(config)


def _told() -> BootOptions:
    try:
        return decode_told_untrusted(sys.stdin.buffer.read(MAX_TOLD_BYTES))
    except ValueError as error:
        raise BadInput(
            f"The boot options cannot be read ({error}): this is for `nectar boot NAME` to start."
        ) from error
