"""The node's log: one line per entry on standard output, nothing that could be taken for another line."""

from __future__ import annotations

import sys
import time

DEFAULT_VERBOSITY = 1
MAX_LINE = 4000
"""Characters of one line's text."""


def write_line(source: str, text: str) -> None:
    """Write `text` under the time of day and its source; control characters are shown, not sent to the terminal."""
    stamp = time.strftime("%H:%M:%S")
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[:MAX_LINE])
    try:
        sys.stdout.write(f"{stamp} {source}: {shown}\n")
        sys.stdout.flush()
    except OSError:
        return  # a full disk or a closed pipe: the node is worth more than its log
