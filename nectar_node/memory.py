"""How this process's C library handles memory: said once, when a node starts.

By default glibc gives every large block pages of its own from the kernel and returns them when the block is freed. A
node frees a blob as soon as it has passed it on, so each chunk of a transfer paid for page faults on fresh pages: half
of all time in the kernel, a fifth of the transfer's speed.
"""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
LARGEST_REUSED_BYTES = 32 << 20
"""Blocks up to this size come from memory that is kept; glibc allows no more."""
KEPT_BYTES = 64 << 20
"""Free memory at the heap's end that is not given back."""


def keep_freed_memory() -> None:
    """Use freed memory again instead of giving it back; does nothing where the C library is not glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGEST_REUSED_BYTES)
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
