"""`sim`: how fast networks are played in virtual time, and how large they can be.

A simulation has all of a node but its event loop and its sockets: the same kernel, the same guests, all of the
encryption. So what takes time is what takes it in a node, and virtual time in which nothing happens takes none.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from random import Random

from bench.before import BEFORE, home_before, python_of
from bench.lab import SENDER, printed, running
from bench.measure import Reference, Result, absolute, in_turns, ratio, resident_kib
from packages.build import ROOT
from testnet.model.lab import NodePlan
from testnet.runs.plans import expand
from testnet.runs.play import HELLO
from testnet.scenarios import SCENARIOS
from testnet.scenarios.scenario import Plan
from testnet.sim.programs import Programs
from testnet.sim.run import run as play
from testnet.sim.simulation import Simulation
from testnet.sweep.players import Players
from testnet.sweep.sweep import SweepTally, sweep
from testnet.sweep.workers import Workers

SPEED_GOAL = 100.0
"""Virtual seconds in one of a processor: a simulation waits for nothing, so on a machine that does nothing else, in a
real one."""
SPEED_NODES, SPEED_SEEDS = 5, 6
SEEDS_GOAL = 300.0
"""Seeds a minute, on two cores."""
SMALL = (
    "chains",
    "file_transfer",
    "handoff",
    "impostor",
    "registrar_outage",
    "restarts",
    "store",
    "workers",
)
"""Scenarios of up to four nodes whose runs take a quarter of a second or less."""
SEEDS_EACH = 4
SWEEPS = 5
BEFORE_SEEDS, BEFORE_GOAL = 5, 2.5
"""Seeds of each scenario, and times the seeds a minute of the commit before."""
CROWD, GREETS = 100, 5
"""Nodes, and how many others each of them greets."""
MEMORY_GOAL, GREETED_GOAL = 512.0, 1024.0
"""KiB for a node that has booted, and for one that has greeted and been greeted."""
BOOT_GOAL, GREET_GOAL = 50.0, 50.0
"""Milliseconds for a node, and for a greeting between two that do not know each other yet."""
CROWD_RUNS = 5


def run(before: bool = False) -> list[Result]:
    """Measure the speed of one network, of many, and what a large one takes; `before`: beside commit BEFORE, too."""
    return [_speed(), _seeds(), *([_before()] if before else []), *_crowd()]


def _speed() -> Result:
    """Measure the scenario file_transfer between five nodes, with the faults of each seed, and between two."""
    programs = Programs()
    five, two = in_turns(lambda: _virtual(programs, SPEED_NODES), lambda: _virtual(programs, 2))
    unit = "virtual seconds a second of CPU time"
    reference = Reference.of("the same between two nodes", two, unit, 1)
    return absolute("sim_speed", five, unit, SPEED_GOAL, reference, at_least=True)


def _virtual(programs: Programs, nodes: int) -> float:
    begin, virtual = time.process_time(), 0.0
    for seed in range(SPEED_SEEDS):
        virtual += play(expand(SCENARIOS["file_transfer"], seed, nodes), programs, journal=False).seconds
    return virtual / (time.process_time() - begin)


def _seeds() -> Result:
    """Measure runs of all small scenarios in turn, in two processes and in one."""
    with Workers(2) as both, Workers(1) as alone:
        two, one = in_turns(lambda: per_minute(both), lambda: per_minute(alone), runs=SWEEPS)
    unit = "seeds a minute"
    reference = Reference.of("the same in one process", one, unit, 1)
    figure = absolute("sim_seeds", two, unit, SEEDS_GOAL, reference, at_least=True)
    figure.detail["scenarios"] = ", ".join(SMALL)
    return figure


def per_minute(players: Players) -> float:
    """Sweep all small scenarios and return seeds a minute."""
    plans = list(_plans())
    tally, begin = SweepTally(len(plans)), time.perf_counter()
    sweep(players, iter(plans), tally, True, lambda: None)
    assert not tally.failures, tally.failures[0]
    return 60 * len(plans) / (time.perf_counter() - begin)


def _plans() -> Iterator[Plan]:
    for seed, name in product(range(SEEDS_EACH), SMALL):
        yield expand(SCENARIOS[name], seed)


def _before() -> Result:
    """Measure seeds of every scenario that commit BEFORE has, too, in turns, by processor time: its median ratio."""
    home = home_before()
    with _player(ROOT, sys.executable) as ours, _player(home, python_of(home)) as theirs:
        known = _told(theirs, "scenarios").split()
        names = [name for name in _told(ours, "scenarios").split() if name in known]
        mine: list[float] = []
        others: list[float] = []
        for name in names:
            taken = [[float(_told(of, f"{name} {seed}")) for of in (ours, theirs)] for seed in range(BEFORE_SEEDS + 1)]
            for speeds, (_, *milliseconds) in zip((mine, others), zip(*taken, strict=True), strict=True):
                speeds.append(60_000 * BEFORE_SEEDS / sum(milliseconds))  # without the first: programs are compiled
    reference = (f"commit {BEFORE}", "seeds a minute of processor time")
    figure = ratio("sim_before", mine, others, reference, BEFORE_GOAL)
    figure.detail.update({name: round(one / other, 2) for name, one, other in zip(names, mine, others, strict=True)})
    return figure


@contextmanager
def _player(home: Path, python: Path | str) -> Iterator[subprocess.Popen[str]]:
    """Yield `bench.seeds`, with the version of the project that lies in `home`."""
    environment = os.environ | {"PYTHONPATH": str(home)}
    command = [python, "-P", ROOT / "bench" / "seeds.py"]
    with subprocess.Popen(
        command, cwd=home, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def _told(process: subprocess.Popen[str], order: str) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{order}\n")
    process.stdin.flush()
    if not (line := process.stdout.readline()):
        raise RuntimeError("a process that was to be measured has ended")
    return line


def _crowd() -> list[Result]:
    """Measure a hundred nodes in a process of its own each time, beside a node that is a process."""
    ours, theirs = [], []
    for _ in range(CROWD_RUNS):
        ours.append(json.loads(printed("bench.sim")))
        theirs.append(_real_node())
    figures = (
        ("memory", "KiB", MEMORY_GOAL),
        ("memory_greeted", "KiB", GREETED_GOAL),
        ("boot", "ms", BOOT_GOAL),
        ("greet", "ms", GREET_GOAL),
    )
    return [_crowd_figure(key, unit, goal, ours, theirs) for key, unit, goal in figures]


def _crowd_figure(
    key: str, unit: str, goal: float, ours: Sequence[dict[str, float]], theirs: Sequence[dict[str, float]]
) -> Result:
    reference = Reference.of("a node that is a process", [each[key] for each in theirs], unit, 1)
    each = "a greeting" if key == "greet" else "a node"
    return absolute(f"sim_crowd_{key}", [value[key] for value in ours], f"{unit} {each}", goal, reference)


def _simulated() -> dict[str, float]:
    """Return what each of CROWD nodes takes; its program has been compiled before."""
    chance, lab = Random(0), Simulation(0, Programs())
    lab.boot(NodePlan("first.nec", ("hello",)))
    names = [f"n{number}.nec" for number in range(CROWD)]
    memory, begin = resident_kib(), time.perf_counter()
    lab.boot(*(NodePlan(name, ("hello",)) for name in names))
    booted, after = time.perf_counter(), resident_kib()
    pairs = [
        (name, other) for name in names for other in chance.sample([each for each in names if each != name], GREETS)
    ]
    asked = [lab.begin(source, HELLO, _ask(target), 60) for source, target in pairs]
    lab.wait(lambda: all(each.outcome for each in asked), 60.0)
    greeted = time.perf_counter()
    answers = [each.outcome.body for each in asked if each.outcome is not None]
    assert all("Answered" in body for body in answers), answers
    return {
        "memory": (after - memory) / CROWD,
        "boot": 1e3 * (booted - begin) / CROWD,
        "greet": 1e3 * (greeted - booted) / len(pairs),
        "memory_greeted": (resident_kib() - memory) / CROWD,
    }


def _real_node() -> dict[str, float]:
    """Return what a node that is a process takes, once it has booted."""
    with running() as net:
        begin = time.perf_counter()
        net.add(SENDER)
        booted = time.perf_counter()
        net.add("other.nec")
        memory = resident_kib(net.pid(SENDER))
        asked = time.perf_counter()
        answer = net.message(SENDER, HELLO, json.dumps(_ask("other.nec")))
        greeted = time.perf_counter()
        assert "Answered" in str(answer["body"]), answer
        return {
            "memory": memory,
            "memory_greeted": resident_kib(net.pid(SENDER)),
            "boot": 1e3 * (booted - begin),
            "greet": 1e3 * (greeted - asked),
        }


def _ask(target: str) -> dict[str, object]:
    return {"Ask": {"node": target, "name": "bench", "timeout": 30}}


if __name__ == "__main__":
    print(json.dumps(_simulated()))
