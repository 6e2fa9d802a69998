"""The seed of a test or a run; pure but for `chosen`."""

from __future__ import annotations

import hashlib
import random
import re

MAX_SEED = (1 << 63) - 1
BASE = 0
"""The number that seeds are derived from by default, so that runs repeat."""
_MAX_DERIVED = 1 << 32
"""Ten digits at most, which people can copy."""
_INDEX = re.compile(r"(?:(\[)|-)seed\d+\]$")


def parse_seed(text: str) -> int | None:
    """Return the number, or None for the word "random"; raises ValueError with one sentence."""
    if text == "random":
        return None
    if text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= MAX_SEED:
        return int(text)
    raise ValueError(f"{text!r} is not a seed: give a whole number from 0 to {MAX_SEED}, or random")


def chosen(seed: int | None) -> int:
    """Return the given seed, or draw one."""
    return random.SystemRandom().randrange(_MAX_DERIVED) if seed is None else seed


def derive(base: int, test: str, index: int) -> int:
    """Return the seed of a test, and of its run number `index` if it has several; it depends on nothing else."""
    digest = hashlib.blake2s(f"{base}\0{test}\0{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % _MAX_DERIVED


def without_index(test: str) -> str:
    """Return the node id of a test for all of its seeds: "t.py::test[a-seed3]" becomes "t.py::test[a]"."""
    match = _INDEX.search(test)
    if match is None:
        return test
    return test[: match.start()] + ("" if match[1] else "]")
