"""A node that is killed (SIGKILL) at random moments while it works: what was acknowledged must be there afterwards.

`make soak` runs it far longer than the tests do: `python -m tests.end_to_end.kills --kills 500`.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Set
from dataclasses import replace
from pathlib import Path

from nectar_node.base.errors import NodeError
from nectar_node.base.shipped import SHIPPED_FOLDER
from testnet.real.local import LocalTestnet
from tests.conformance.lab import OUR, THEIR, SocketLab
from tests.end_to_end.remembered import Children, Files, Node, Packages, States, Thing, Violation

LONGEST = 0.4
"""Seconds within which a kill comes, until there were as many as shall be; each one after that may come later, so that
what takes long ends before some kill on a busy machine, too."""


class Run:
    """One node, killed again and again; another one that lives on, and has tickets and files for it."""

    def __init__(self, nodes: LocalTestnet, folder: Path, seed: int) -> None:
        self._nodes = nodes
        self._chance = random.Random(seed)
        self._node = Node(nodes, self._chance, folder)
        self._files = Files(self._node)
        states, children, packages = States(self._node), Children(self._node), Packages(self._node)
        self._things: tuple[Thing, ...] = (states, children, packages, self._files)

    @property
    def acknowledged(self) -> Counter[str]:
        """How often each kind of thing was."""
        return self._node.acknowledged

    def kill_once(self, longest: float) -> None:
        """Let the node work, kill it within so many seconds, boot it again, and check what it remembers."""
        for thing in self._things:  # so that there is something of each kind to lose
            self._act(thing)
        delay = self._chance.uniform(0.0, longest)
        killer = threading.Timer(delay, lambda: self._nodes.kill(OUR))
        killer.start()
        until = time.monotonic() + delay + 5.0
        try:
            while time.monotonic() < until and not killer.finished.is_set():
                self._act(self._chance.choices(self._things, (4, 6, 2, 1))[0])
        except (NodeError, OSError):
            pass  # the node has been killed meanwhile: what was under way may have happened, or not
        killer.join()
        self._nodes.start([OUR])
        running = self._node.processes()
        for thing in self._things:
            thing.check(running)

    def _act(self, thing: Thing) -> None:
        if thing.act():
            for each in self._things:
                each.kept()

    def close(self) -> None:
        """Give up what is under way."""
        self._files.close()


def play(
    folder: Path,
    seed: int,
    kills: int,
    progress: Callable[[int], None] = lambda done: None,
    wanted: Set[str] = frozenset(),
    most: int = 0,
) -> Counter[str]:
    """Kill a node so many times, and on, but no more than `most` times, until all that is `wanted` was acknowledged;
    return how often what was. Raises Violation.
    """
    options = SocketLab.options(folder)
    options = replace(options, packages=(*(options.packages or ()), SHIPPED_FOLDER / "file_transfer" / "pkg"))
    with LocalTestnet(folder / "testnet", options) as nodes:
        nodes.start([OUR, THEIR])
        run = Run(nodes, folder, seed)
        try:
            for done in range(1, max(kills, most) + 1):
                if done > kills and set(+run.acknowledged) >= wanted:
                    break
                try:
                    run.kill_once(LONGEST * max(1, done - kills + 1))
                except Violation as violation:
                    raise Violation(f"seed {seed}, kill {done}: {violation}") from violation
                progress(done)
        finally:
            run.close()
        return run.acknowledged


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        kept = play(Path(folder), given.seed, given.kills, lambda done: print(f"\r{done} kills", end="", flush=True))
    counts = ", ".join(f"{count} {what}" for what, count in sorted(kept.items()))
    print(f"\r{given.kills} kills, nothing lost of what was acknowledged: {counts}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
