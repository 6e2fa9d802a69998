"""(trio) A lifeline: what tells a process that whoever has started it is gone, however that ended.

It is the reading end of a pipe into which nobody writes, and whose other end nobody has but the starter. The operating
system closes that one when the starter ends, also by kill -9, and then this one reads as ended.
"""

from __future__ import annotations

import os
import select
import stat

import trio

from nectar_node.base.errors import BadInput


def hold(descriptor: int) -> None:
    """Keep the lifeline from what this process starts itself; raises BadInput if it is no pipe."""
    try:
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            raise BadInput(f"Descriptor {descriptor} is no pipe, and so no lifeline.")
        os.set_inheritable(descriptor, False)
    except (OSError, OverflowError) as error:
        raise BadInput(f"Descriptor {descriptor} is not there, and so no lifeline.") from error


def has_ended(descriptor: int) -> bool:
    """Whether the starter is gone."""
    watched = select.poll()
    watched.register(descriptor, select.POLLIN)
    return bool(watched.poll(0))


async def ended(descriptor: int) -> None:
    """Wait until the starter is gone."""
    await trio.lowlevel.wait_readable(descriptor)
