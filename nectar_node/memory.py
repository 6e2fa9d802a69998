"""How this process's C library handles memory: told when a node starts, and when much has been freed.

By default glibc gives every large block pages of its own from the kernel and returns them when the block is freed. A
node frees a blob as soon as it has passed it on, so each chunk of a transfer paid for page faults on fresh pages: half
of all time in the kernel, a fifth of the transfer's speed.
"""

from __future__ import annotations

import ctypes
import os

from nectar_node.memory_budget import DEFAULT_BYTES, LEAST_BYTES, MemoryBudget

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


LOOK_SECONDS = 1.0
"""Pause between two looks at what waits in the node."""
TRIMMED_BYTES = 64 << 20
"""So much less waits than a short time ago: then what was freed is given back to the system."""
CALM_LOOKS = 4
"""Looks without a new peak before that: memory that is needed again at once is better kept."""


def default_budget() -> int:
    """The budget of memory of a node that is told none: a quarter of the machine's, at most DEFAULT_BYTES."""
    try:
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return DEFAULT_BYTES
    return max(LEAST_BYTES, min(machine // 4, DEFAULT_BYTES))


class Ebb:
    """Tells when much less waits in a node than did: then it is time to give back what was freed.

    The C library keeps what a flood has filled, also beyond `KEPT_BYTES`: one block in use at the end of its heap is
    enough. Giving it back takes a few milliseconds for each hundred MiB.
    """

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._peak = 0
        """Bytes that waited at most since the last time."""
        self._calm = 0

    def is_due(self) -> bool:
        """Whether it is time to give back; asked every LOOK_SECONDS."""
        used = self._budget.used
        if used >= self._peak:
            self._peak, self._calm = used, 0
            return False
        self._calm += 1
        if self._calm < CALM_LOOKS or self._peak - used < TRIMMED_BYTES:
            return False
        self._peak, self._calm = used, 0
        return True


def give_back() -> None:
    """Give what was freed back to the system; does nothing where the C library is not glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
