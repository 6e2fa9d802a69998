"""Plays seeds of injections (`testnet.sim.injection`): one draws from all the calls that a run without any has made.

`INJECTION_SEED=SEED` in the environment plays that one alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from random import Random

from testnet.sim.injection import Injection, Reached, draw


def play_seeds(seeds: range, reached: Reached, play: Callable[[Injection], Iterable[str]]) -> None:
    """`play` tells what is wrong with a run; whatever it is, it comes with the seed and the place of the exception."""
    chosen = os.environ.get("INJECTION_SEED")
    for seed in seeds if chosen is None else [int(chosen)]:
        injection = draw(Random(seed), reached)
        try:
            wrong = list(play(injection))
        except Exception as error:
            error.add_note(f"injection seed {seed}: {injection}")
            raise
        assert not wrong, f"injection seed {seed}: {injection}\n" + "\n".join(wrong)
