"""Plays seeds of scenarios, one for each line of its standard input: "SCENARIO SEED" is answered with the milliseconds
of processor time, "scenarios" with their names. `bench.sim` runs it with this version of the project and with an
earlier one, so it uses only what both have.
"""

from __future__ import annotations

import inspect
import sys
import time
from functools import partial

from testnet.scenarios import SCENARIOS
from testnet.scenarios.scenario import draw_plan
from testnet.sim.programs import Programs
from testnet.sim.run import run


def main() -> None:
    """Play until the input ends."""
    programs = Programs()
    # As a sweep does; the earlier version has a journal of every run.
    play = partial(run, journal=False) if "journal" in inspect.signature(run).parameters else run
    for line in sys.stdin:
        if line.strip() == "scenarios":
            print(*SCENARIOS, flush=True)
            continue
        name, seed = line.split()
        plan = draw_plan(SCENARIOS[name], int(seed))
        begin = time.process_time()
        result = play(plan, programs)
        seconds = time.process_time() - begin
        assert result.result == "passed", (name, seed, result.text)
        print(1000 * seconds, flush=True)


if __name__ == "__main__":
    main()
