"""The two clocks of a node: trio's, which its core is told, and that of the operating system."""

from __future__ import annotations

import time

import trio


def wall_clock_offset() -> float:
    """Return the seconds to add to trio's times to get Unix time; the offset changes when somebody sets the clock."""
    return time.time() - trio.current_time()
