"""How this process's C library handles memory: told when a node starts, and when much has been freed.

By default glibc gives every large block pages of its own from the kernel and returns them when the block is freed. A
node frees a blob as soon as it has passed it on, so each chunk of a transfer paid for page faults on fresh pages: half
of all time in the kernel, a fifth of the transfer's speed.
"""

from __future__ import annotations

import ctypes
import gc
import os

from nectar_node.contract.memory_budget import DEFAULT_BYTES, LEAST_BYTES, MemoryBudget

_NEVER = 1 << 30
"""Collections of the middle generation before one of all."""
PACE = 200
"""Of the node's time, one part in so many may go into looking through all objects."""
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


def collect_by_pace() -> None:
    """Have the interpreter look through all objects only when it is told to (`Pace`)."""
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)


LOOK_SECONDS = 1.0
"""Pause between two looks at what waits in the node."""
TRIMMED_BYTES = 64 << 20
"""So much less waits than a short time ago: then what was freed is given back to the system."""
AFTERMATH_LOOKS = 45
"""Looks after that until it is done once more: what a flood has left behind in the tables of a node goes by and by."""
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
        self._aftermath = 0
        """Looks until it is due once more; 0: it is not."""

    def is_due(self) -> bool:
        """Whether it is time to give back; asked every LOOK_SECONDS."""
        used = self._budget.used
        self._aftermath = max(0, self._aftermath - 1)
        if self._aftermath == 1:
            return True
        if used >= self._peak:
            self._peak, self._calm = used, 0
            return False
        self._calm += 1
        if self._calm < CALM_LOOKS or self._peak - used < TRIMMED_BYTES:
            return False
        self._peak, self._calm = used, 0
        self._aftermath = AFTERMATH_LOOKS
        return True


class Pace:
    """Tells when to look through all objects for garbage that reference counts do not find.

    By default the interpreter does that whenever there are a quarter more objects than the last time. While a flood
    fills a node's inboxes that is every second, for a quarter of a second in which nobody has an answer (measured: the
    99th percentile of honest requests rose from 10 to 300 ms). Little of what a node makes is such garbage.
    """

    def __init__(self, now: float) -> None:
        self._next = now

    def is_due(self, now: float) -> bool:
        """Whether it is time to."""
        return now >= self._next

    def collected(self, seconds: float, now: float) -> None:
        """It has taken that long."""
        self._next = now + PACE * seconds


def give_back() -> None:
    """Give what was freed back to the system; does nothing where the C library is not glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
