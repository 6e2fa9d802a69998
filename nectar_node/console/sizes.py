"""Sizes as people type them: `512MiB`, `4 GiB`, `1.5g`, `1000`."""

from __future__ import annotations

import re

from nectar_node.base.errors import BadInput

_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE | re.ASCII)
_FACTORS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def parse_size(text: str) -> int:
    """Return the number of bytes in `text`, whose units are powers of 1024 however they are spelled; raises
    BadInput.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise BadInput(f"{text!r} is not a size: expected bytes, or a number with a unit, such as 512MiB or 4GiB.")
    return int(float(match[1]) * _FACTORS[match[2].lower()])
