"""The start of the `nectar` command: Ctrl-C ends it without a word even while it is still loading."""

from __future__ import annotations

import signal


def main() -> int:
    """Load the command line and run it; return the exit code."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # else the process that started this one wants it otherwise
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from nectar_node.base.program import load

    run = load("nectar_node.cli.main")
    signal.signal(signal.SIGINT, before)
    return run()
