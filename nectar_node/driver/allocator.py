"""How this process's C library and interpreter manage memory.

By default glibc gives every large block pages of its own from the kernel and returns them when the block is freed. A
node frees a blob as soon as it has passed it on, so each chunk of a transfer paid for page faults on fresh pages: half
of all time in the kernel, a fifth of the transfer's speed.
"""

from __future__ import annotations

import ctypes
import gc
import os

import trio

from nectar_node.contract.memory_budget import DEFAULT_BYTES, LEAST_BYTES, MemoryBudget

_NEVER = 1 << 30
"""Collections of the middle generation before one of all objects."""
PACE = 200
"""The share of the node's time that collections of all objects may take: one part in so many."""
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
LARGEST_REUSED_BYTES = 32 << 20
"""Blocks up to this size, in bytes, come from memory that is kept; glibc allows no more. With 4 MiB a peer that floods
with the largest blobs delays others less (99th percentile 5 instead of 12 ms), since growing blocks are moved and not
copied, but streams of 32 MiB blobs lose a quarter of their speed."""
KEPT_BYTES = 64 << 20
"""Bytes of free memory at the heap's end that are not given back."""

_LOOKED_AT_BYTES = 1 << 17
"""A block whose end makes glibc look at the end of its heap; from 64 KiB on (FASTBIN_CONSOLIDATION_THRESHOLD)."""


def keep_freed_memory() -> None:
    """Reuse freed memory instead of returning it; does nothing where the C library is not glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGEST_REUSED_BYTES)
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)


def collect_by_pace() -> None:
    """Have the interpreter collect all objects only when it is told to (`Pace`)."""
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)


LOOK_SECONDS = 1.0
"""Seconds between two looks at how much waits in the node."""
TRIMMED_BYTES = 64 << 20
"""The fall in waiting bytes, within a short time, after which freed memory is given back."""
AFTERMATH_LOOKS = 45
"""Looks after that until memory is given back once more: what a flood leaves in a node's tables goes bit by bit."""
CALM_LOOKS = 4
"""Looks without a new peak before that: memory that is needed again at once is better kept."""


def default_budget() -> int:
    """Return the memory budget of a node that is told none: a quarter of the machine's, at most DEFAULT_BYTES."""
    try:
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return DEFAULT_BYTES
    return max(LEAST_BYTES, min(machine // 4, DEFAULT_BYTES))


class Ebb:
    """Detects that much less waits in a node than did, so that it is time to give freed memory back.

    The C library keeps what a flood has filled, also beyond `KEPT_BYTES`: one block in use at the end of its heap is
    enough. Giving it back takes a few milliseconds for each hundred MiB.
    """

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._peak = 0
        """The most bytes that waited since the last time."""
        self._calm = 0
        self._aftermath = 0
        """Looks until memory is given back once more; 0: it is not."""

    def is_due(self) -> bool:
        """Whether it is time to give memory back; called every LOOK_SECONDS."""
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
    """Decides when to look through all objects for garbage that reference counts do not find.

    By default the interpreter does that whenever there are a quarter more objects than the last time. While a flood
    fills a node's inboxes that is every second, for a quarter of a second in which nobody has an answer (measured: the
    99th percentile of honest requests rose from 10 to 300 ms). Little of what a node makes is such garbage.
    """

    def __init__(self, now: float) -> None:
        self._next = now

    def is_due(self, now: float) -> bool:
        """Whether it is time to collect."""
        return now >= self._next

    def collected(self, seconds: float, now: float) -> None:
        """Learn that a collection has taken `seconds`."""
        self._next = now + PACE * seconds


def give_back() -> None:
    """Return freed memory to the system; does nothing where the C library is not glibc."""
    library = ctypes.CDLL(None)
    trim = getattr(library, "malloc_trim", None)
    if trim is None:
        return
    trim(0)
    # That leaves the free end of a heap of other threads than the first one. glibc looks at the end of the one that
    # this thread has when it frees a block there.
    library.malloc.restype = ctypes.c_void_p
    library.mallopt(_M_TRIM_THRESHOLD, 0)
    library.free(ctypes.c_void_p(library.malloc(ctypes.c_size_t(_LOOKED_AT_BYTES))))
    library.mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)


async def watch_memory(memory: MemoryBudget) -> None:
    """Collect garbage at a pace, and give back what a flood has filled when it is over, until cancelled."""
    ebb, pace = Ebb(memory), Pace(trio.current_time())
    while True:
        await trio.sleep(LOOK_SECONDS)
        is_over, began = ebb.is_due(), trio.current_time()
        if is_over or pace.is_due(began):
            gc.collect()
            pace.collected(trio.current_time() - began, trio.current_time())
        if is_over:
            await trio.to_thread.run_sync(give_back, abandon_on_cancel=True)
