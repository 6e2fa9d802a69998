"""Where the `nectar` command begins: Ctrl-C ends it without a word also while it is still loading."""

from __future__ import annotations

import signal


def main() -> int:
    """Load the command line and run it; returns the exit code."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # else whoever has started us wants it otherwise
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from nectar_node.base.program import load

    run = load("nectar_node.cli.main")
    signal.signal(signal.SIGINT, before)
    return run()
