"""How many records of texts are kept for guests that name them again, and how large these may be."""

from __future__ import annotations

from functools import lru_cache

KEPT = 16_384
"""Records that are kept for each interned type and direction; the least recently used go first. More than the processes
of a large node: a round through more than that would find none of them."""
KEPT_BYTES = 256
"""Bytes of a record's texts that are kept, several times those of usual addresses: so hostile names, of up to 4 KiB, do
not fill memory."""

keeping = lru_cache(KEPT)
"""Caches a function from a record to a form of it, but what leaves it as LargeForm."""


class LargeForm(Exception):
    """The form of a record that is too large to be kept: what is raised is not cached."""

    def __init__(self, form: object) -> None:
        super().__init__()
        self.form = form
