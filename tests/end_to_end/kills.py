"""A node that is killed (SIGKILL) at random moments while it works: what was acknowledged must be there afterwards.

`make soak` runs it far longer than the tests do: `python -m tests.end_to_end.kills --kills 500`.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nectar_node.base.errors import NodeError
from testnet.real.local import LocalTestnet
from tests.conformance.lab import OUR, PACKAGE, PATIENCE, SocketLab, SocketProbe
from tests.conformance.steps import GET_STATE, respond, set_state, spawn

LONGEST = 0.4
"""Seconds within which a kill comes."""
PROBES = "abcd"


@dataclass(slots=True)
class Known:
    """What must be true of one node."""

    states: dict[str, set[str | None]] = field(default_factory=lambda: {name: {None} for name in PROBES})
    """The numbers of the states that each process may have saved last: one, unless a kill came before the answer."""
    running: set[str] = field(default_factory=set)
    """Children that run for sure."""
    maybe: set[str] = field(default_factory=set)
    """Children that may run: nothing has been acknowledged since they were spawned, or killed, that they depend on."""
    gone: set[str] = field(default_factory=set)
    """Children that were killed for sure."""


class Violation(AssertionError):
    """Something that was acknowledged is not there."""


class Run:
    """One node, killed again and again."""

    def __init__(self, nodes: LocalTestnet, seed: int) -> None:
        self._nodes = nodes
        self._chance = random.Random(seed)
        self._known = Known()
        self._number = 0
        self.acknowledged = 0

    def kill_once(self) -> None:
        """Let the node work, kill it at a random moment, boot it again, and check what it remembers."""
        delay = self._chance.uniform(0.0, LONGEST)
        killer = threading.Timer(delay, lambda: self._nodes.kill(OUR))
        killer.start()
        until = time.monotonic() + delay + 5.0
        try:
            while time.monotonic() < until and not killer.finished.is_set():
                self._chance.choice((self._set_state, self._set_state, self._spawn, self._kill_child))()
        except (NodeError, OSError):
            pass  # the node has been killed meanwhile: what was under way may have happened, or not
        killer.join()
        self._nodes.start([OUR])
        self._check()

    def _probe(self) -> SocketProbe:
        return SocketProbe(self._nodes, OUR, self._chance.choice(PROBES))

    def _set_state(self) -> None:
        name = self._chance.choice(PROBES)
        self._number += 1
        number = str(self._number)
        text = f"{number} " + "x" * self._chance.choice((0, 100, 20_000))
        self._known.states[name].add(number)
        if SocketProbe(self._nodes, OUR, name).ask(set_state(text), respond("saved")).body == "saved":
            self._known.states[name] = {number}
            self.acknowledged += 1

    def _spawn(self) -> None:
        self._number += 1
        name = f"child{self._number}"
        self._known.maybe.add(name)
        self._probe().ask(spawn(name, public=True), respond("spawned"))

    def _kill_child(self) -> None:
        """Kill a child: the answer says that it is durable, and all that came before it."""
        children = sorted(self._known.running | self._known.maybe)
        if not children:
            return
        chosen = self._chance.choice(children)
        self._known.running.discard(chosen)
        self._known.maybe.add(chosen)
        before = set(self._known.maybe)
        with self._nodes.connect(OUR) as client:
            client.request("kill", address=f"{chosen}:{PACKAGE}", tree=False)
        self.acknowledged += 1
        self._known.running |= before - {chosen}
        self._known.maybe -= before
        self._known.gone.add(chosen)

    def _check(self) -> None:
        known = self._known
        rows = {str(row["address"]).partition("@")[2].partition(":")[0] for row in self._nodes.processes(OUR)}
        for name in PROBES:
            probe = SocketProbe(self._nodes, OUR, name)
            probe.ask(GET_STATE, respond(), timeout=PATIENCE)
            body = probe.seen("state")[-1].body
            state = None if body is None else body.partition(" ")[0]
            if state not in known.states[name]:
                raise Violation(f"{name} has the state {state}, and not one of {known.states[name]}")
            known.states[name] = {state}
        if lost := known.running - rows:
            raise Violation(f"{sorted(lost)} ran, and do not run again")
        if risen := known.gone & rows:
            raise Violation(f"{sorted(risen)} were killed, and run again")
        known.running |= known.maybe & rows
        known.gone |= known.maybe - rows
        known.maybe.clear()


def play(folder: Path, seed: int, kills: int, progress: Callable[[int, int], None] = lambda done, kept: None) -> int:
    """Kill a node so many times; return how often something was acknowledged. Raises Violation."""
    with LocalTestnet(folder / "testnet", SocketLab.options(folder)) as nodes:
        nodes.start([OUR])
        run = Run(nodes, seed)
        for done in range(1, kills + 1):
            try:
                run.kill_once()
            except Violation as violation:
                raise Violation(f"seed {seed}, kill {done}: {violation}") from violation
            progress(done, run.acknowledged)
        return run.acknowledged


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        kept = play(Path(folder), given.seed, given.kills, lambda done, _: print(f"\r{done} kills", end="", flush=True))
    print(f"\r{given.kills} kills, {kept} times something was acknowledged, nothing lost")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
