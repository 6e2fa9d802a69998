"""`python -m testnet.real.reaper`: waits until a lab is gone, and removes what is left of it (`testnet.real.lifeline`).

Nothing else is imported before that: most labs end by themselves, and end the reaper too.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection
from pathlib import Path


def reap(folder: Path, beginning: str, temporary: Collection[Path], nodes: Collection[str]) -> None:
    """Stop what runs in the testnet in `folder`, and remove the namespaces whose names begin so, and `temporary`.

    A folder that stays may be used by others by now: there, whatever does not hold the lab's lifeline is left alone,
    but for these `nodes`, and the links that no other node needs.
    """
    import shutil
    from contextlib import suppress

    from nectar_node.base.errors import NodeError
    from nectar_node.launcher import launch
    from nectar_node.launcher.local_network import LocalNetwork
    from testnet.real.links.claim import links_folder
    from testnet.real.links.client import LinksProcess
    from testnet.real.nodes import attackers, impostors, namespaces

    network, line = LocalNetwork(folder), Path(f"/dev/fd/{sys.stdin.fileno()}")
    places = [links_folder(folder), *(network.place(name) for name in network.names())]
    goes = any(folder.is_relative_to(path) for path in temporary)
    running = [(place, pid) for place in places if (pid := place.owner()) is not None]
    with suppress(NodeError):  # one that does not end must not keep the rest
        launch.stop(place for place, pid in running if goes or place.path.name in nodes or launch.has_open(pid, line))
    with suppress(NodeError, OSError):
        if not (links := LinksProcess(network)).left():
            links.stop()
            impostors.dismiss_all(network)
            attackers.call_off_all(network)
    with suppress(NodeError):
        namespaces.remove(beginning)
    for path in temporary:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.is_fifo():  # a file of that name is not ours
            path.unlink()


def main() -> int:
    """Wait for the end of standard input, and reap."""
    parser = argparse.ArgumentParser(
        prog="python -m testnet.real.reaper", description="Remove what a killed lab leaves."
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of the testnet")
    parser.add_argument(
        "--namespaces", required=True, metavar="NAME", help="what the names of its namespaces begin with"
    )
    parser.add_argument("--temporary", type=Path, nargs="*", default=(), metavar="PATH", help="to be removed")
    parser.add_argument("--nodes", nargs="*", default=(), metavar="NODE", help="to be stopped")
    arguments = parser.parse_args()
    while os.read(sys.stdin.fileno(), 1):
        pass
    reap(arguments.folder, arguments.namespaces, arguments.temporary, arguments.nodes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
