"""Nodes that a lab starts in the foreground end with it, even if the lab is killed and can end nothing itself.

The lab holds the writing end of a pipe, all that it starts has the reading end (`nectar_node.base.lifeline`), and so
nodes end in order. `testnet.real.reaper`, one more process with the reading end, removes what cannot end by itself,
such as a paused node or a namespace.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from testnet.real.nodes import namespaces


@contextmanager
def hold_lifeline(folder: Path, temporary: Collection[Path] = (), nodes: Collection[str] = ()) -> Iterator[int]:
    """Yield a descriptor that reads as ended when this process is gone, for all that it starts.

    If it is killed, all that holds the descriptor in the testnet in `folder` is stopped, and so are these `nodes` and
    the links that no other node needs. The namespaces of this process are removed, and so are the folders and pipes
    `temporary`, whatever runs there.
    """
    reading, writing = os.pipe()
    try:
        # A session of its own: signals of the terminal reach us alone, and we end the reaper.
        with subprocess.Popen(
            _command(folder, temporary, nodes),
            stdin=reading,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as reaper:
            try:
                yield reading
                reaper.kill()  # all has been removed
            finally:
                os.close(writing)
    finally:
        os.close(reading)


def _command(folder: Path, temporary: Collection[Path], nodes: Collection[str]) -> list[str]:
    command = [sys.executable, "-P", "-m", "testnet.real.reaper", str(folder.absolute())]
    command += ["--namespaces", namespaces.beginning_of(os.getpid())]
    return [*command, "--temporary", *(str(path.absolute()) for path in temporary), "--nodes", *nodes]
