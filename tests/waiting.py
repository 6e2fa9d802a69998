"""Waiting for what other processes do, of which nobody tells."""

from __future__ import annotations

import time
from collections.abc import Callable

LIMIT = 60.0
"""Seconds after which something is taken never to come; no test waits for it to pass."""
_GLANCE = 0.02
"""Between two looks; without a pause they would take a core from those who are waited for."""


def until(done: Callable[[], bool]) -> None:
    """Look again and again."""
    limit = time.monotonic() + LIMIT
    while not done():
        assert time.monotonic() < limit, "it did not come to pass"
        time.sleep(_GLANCE)
