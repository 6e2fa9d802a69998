"""The standard streams of our programs, made usable whatever state they were started with.

A node logs the names and texts of its peers and guests: a character that is not in the user's encoding must not end it,
nor must it end at its first line because its standard output is closed.
"""

from __future__ import annotations

import io
import os
import sys

_STREAMS = {"stdin": "r", "stdout": "w", "stderr": "w"}
"""The standard streams, in the order of their descriptors."""


def make_usable() -> None:
    """Open closed streams, and make all of them accept any text; called before anything else is opened.

    A closed stream leads nowhere from then on, so no file of ours gets its descriptor. A character that an encoding
    lacks is written as `?`.
    """
    for name, mode in _STREAMS.items():
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)  # the lowest that is free, and so the one that is missing
            os.set_inheritable(descriptor, True)
            setattr(sys, name, os.fdopen(descriptor, mode))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
