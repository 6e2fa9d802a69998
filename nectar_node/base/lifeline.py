"""(trio) A lifeline: tells a process that the one that started it is gone, in whatever way that ended.

It is the reading end of a pipe into which nobody writes, and whose other end only the starter has. The operating system
closes that end when the starter ends, also by kill -9, and this end then reads as ended.
"""

from __future__ import annotations

import os
import select
import stat

import trio

from nectar_node.base.errors import BadInput


def hold(descriptor: int) -> None:
    """Keep the lifeline from the processes that this one starts; raises BadInput if it is not a pipe."""
    try:
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            raise BadInput(f"Descriptor {descriptor} is not a pipe, so it cannot be a lifeline.")
        os.set_inheritable(descriptor, False)
    except (OSError, OverflowError) as error:
        raise BadInput(f"Descriptor {descriptor} is not open, so it cannot be a lifeline.") from error


def has_ended(descriptor: int) -> bool:
    """Whether the starter is gone."""
    watched = select.poll()
    watched.register(descriptor, select.POLLIN)
    return bool(watched.poll(0))


async def ended(descriptor: int) -> None:
    """Wait until the starter is gone."""
    await trio.lowlevel.wait_readable(descriptor)
