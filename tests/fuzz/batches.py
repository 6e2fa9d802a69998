"""Fuzzing in batches: each follows from a seed, and runs in a process of its own, so that a crash is seen."""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Batches:
    """What a module fuzzes."""

    module: str
    """Its name, which is run as `python -m module --batch SEED COUNT`."""
    things: str
    """What it makes: "scripts"."""
    count: int
    """Of those in a batch."""
    seconds: float
    """After which a batch counts as hung."""
    run: Callable[[int, int], object]
    """Run a batch of a seed in this process; raises what it has found, returns what is worth printing, or None."""

    def run_apart(self, seed: int, count: int | None = None) -> str | None:
        """One batch in a process of its own; returns what went wrong, or None."""
        command = [sys.executable, "-X", "faulthandler", *self._again(seed, count)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=self.seconds, check=False)
        except subprocess.TimeoutExpired:
            return f"seed {seed}: it hung for {self.seconds} seconds"
        if done.returncode:
            return f"seed {seed}: it ended with code {done.returncode}\n{done.stderr[-4000:]}"
        return None

    def main(self) -> int:
        """Fuzz for a while, as the command line says; returns the exit code."""
        parser = argparse.ArgumentParser(prog=f"python -m {self.module}", description=f"fuzz with {self.things}")
        parser.add_argument("--seconds", type=float, default=60, help="how long")
        parser.add_argument("--seed", type=int, default=None, help="of the first batch; the others count up from it")
        parser.add_argument("--batch", type=int, nargs=2, metavar=("SEED", "COUNT"), help="one batch, in this process")
        options = parser.parse_args()
        if options.batch:
            found = self.run(*options.batch)
            if found is not None:
                print(found)
            return 0
        seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
        print(f"seeds from {seed}", flush=True)
        end, batches = time.monotonic() + options.seconds, 0
        while time.monotonic() < end:
            problem = self.run_apart(seed + batches)
            if problem is not None:
                print(f"{problem}\nagain: python {' '.join(self._again(seed + batches))}")
                return 1
            batches += 1
        print(f"{batches} batches of {self.count} {self.things}: only the guests that ran them were harmed")
        return 0

    def _again(self, seed: int, count: int | None = None) -> list[str]:
        return ["-m", self.module, "--batch", str(seed), str(count or self.count)]
