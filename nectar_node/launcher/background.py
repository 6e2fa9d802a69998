"""What the programs share that run beside nodes in the background: they report to their starter and end with it.

`launch.spawn` starts them. Each has a pipe for one line of JSON, and perhaps a lifeline.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable

from nectar_node.base import lifeline
from nectar_node.base.errors import NodeError, first

READY: dict[str, object] = {"endpoint": ["none", 0], "warning": None}
"""The report of a program that listens nowhere."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `launch.spawn` passes: `--ready-descriptor` and `--lifeline`."""
    parser.add_argument("--ready-descriptor", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--lifeline", type=int, help=argparse.SUPPRESS)


def is_orphan(line: int | None) -> bool:
    """Hold the lifeline `line`, if there is one; return whether its other end is gone already."""
    if line is None:
        return False
    lifeline.hold(line)
    return lifeline.has_ended(line)


async def ended(line: int | None) -> bool:
    """Wait for the end of the lifeline; return False at once if there is none."""
    if line is None:
        return False
    await lifeline.ended(line)
    return True


def report(ready: int | None, value: dict[str, object]) -> None:
    """Write a line to the pipe of the starter, if there is one, and close it."""
    if ready is not None:
        with open(ready, "w") as pipe:
            pipe.write(json.dumps(value) + "\n")


def run_reported(ready: int | None, run: Callable[[], None]) -> int:
    """Run a program and return its exit code: 0, 130 after Ctrl-C, 1 after a NodeError.

    The error is printed as one sentence, and reported.
    """
    error: NodeError | None = None
    interrupted = False
    try:
        run()
    except* NodeError as group:
        error = first(group)
    except* KeyboardInterrupt:
        interrupted = True
    if error is not None:
        print(error, file=sys.stderr)
        report(ready, {"error": str(error)})
        return 1
    return 130 if interrupted else 0
