"""The standard streams of our programs, whatever whoever starts one has made of them.

A node logs what its peers and guests are called and say: a character that the user's encoding has not must not end it,
nor must it end at its first line because its standard output is closed.
"""

from __future__ import annotations

import io
import os
import sys

_STREAMS = {"stdin": "r", "stdout": "w", "stderr": "w"}
"""In the order of their descriptors."""


def make_usable() -> None:
    """What can be done before anything is opened: a closed stream leads nowhere from now on, and no file of ours gets
    its descriptor; what an encoding has no place for is written as `?`."""
    for name, mode in _STREAMS.items():
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)  # the lowest that is free, and so the one that is missing
            os.set_inheritable(descriptor, True)
            setattr(sys, name, os.fdopen(descriptor, mode))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
