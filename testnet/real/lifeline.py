"""What a lab starts in the foreground ends with it, also where the lab is killed and can end nothing any more.

The lab holds the writing end of a pipe, all that it starts has the reading end (`nectar_node.base.lifeline`), and so
nodes end in order. What cannot end by itself, such as a paused node or a namespace, `testnet.real.reaper` removes, in
one more process with the reading end.
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
    """Within this, a descriptor that reads as ended when this process is gone, for whatever it starts.

    If it is killed, what holds the descriptor in the testnet in `folder` is stopped, and so are these `nodes` and the
    links that no other node needs; the namespaces of this process are removed, and so are the folders and pipes
    `temporary`, whatever runs there.
    """
    reading, writing = os.pipe()
    try:
        # A session of its own: what a terminal sends to all that it has started, it sends to us, and we end the reaper.
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
