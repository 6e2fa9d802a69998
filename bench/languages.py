"""`languages`: processes in each language: round trips, memory, how long they compile, and how fast they are simulated.

All guests are the example `echo` of their SDK; the one in C is a small one of the tests as long as there is no SDK for
C. A process in Zig asks them, so half of each trip is Zig's. With `--before` the same node of commit BEFORE, from when
guests like these had threads, takes its turns beside this one; its clone and its environment lie in the user's cache.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.lab import folder, program
from bench.measure import Figure, Result, absolute, in_turns, ratio
from kernel.contract.address import Address, ProcessId
from kernel.contract.guest import GuestConfig, Poll
from kernel.wasm.engine import Engine
from nectar_node.toolchains import once
from packages.build import ROOT
from testnet.scenarios.scenario import draw_plan, everywhere
from testnet.scenarios.store import STORE
from testnet.sim.programs import Programs
from testnet.sim.run import run as play
from tests.languages.toolchain import LANGUAGES, Language

BEFORE = "9825385"
"""The last commit before components ran on fibers whose processes in Python are measured beside these."""
SMALL_BYTES, LARGE_BYTES = 100, 1 << 20
COUNTS = {"zig": (5000, 200), "c": (5000, 200), "python": (2000, 50), "javascript": (2000, 50)}
"""Round trips of each turn, with small and with large bodies. What componentize-py builds frees no body that it sends:
400 large ones fill the memory of a process in Python."""
BEFORE_COUNTS = (500, 3)
GOALS = {"zig": (0.6, 1.0), "c": (0.6, 1.0), "python": (0.1, 0.5), "javascript": (0.1, 0.5)}
"""Times the speed of two trio tasks, which copy large bodies."""
BEFORE_GOALS = (3.0, 100.0)
"""Times the speed of a process in Python before, with small and with large bodies."""
IDLE, IDLE_GOAL = 10, 6.0
"""Idle guests of one program, and MiB for each."""
COMPILE_GOAL = 0.5
"""Seconds for a process in a language of which another one has been compiled."""
FIRST_GOAL = 10.0
"""Seconds for the first one."""
COMPILE_RUNS = 3
SEEDS = 10
SEEDS_GOAL = 30.0
"""A minute, in one process."""
_C = ROOT / "tests" / "guests" / "echo.wasm"
_MEMORY_BYTES = 512 << 20


def run(before: bool = False) -> list[Result]:
    """Measure all languages; `before`: beside commit BEFORE, too."""
    with folder(Path(tempfile.gettempdir())) as place:
        guests = {each.name: each.package("echo", place) / "echo.wasm" for each in LANGUAGES}
        guests.setdefault("c", _C)
        results = _trips(guests, place, before)
        results += [_idle(name, wasm, place) for name, wasm in guests.items()]
        for language in LANGUAGES:
            if language.build is not None:
                results += _compiling(language, guests[language.name], place)
        return results + [_seeds(language, place) for language in LANGUAGES]


class _Laps:
    """A node that runs packages, and measures."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._read()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a node that was to be measured has ended")
        return line

    def number(self, order: str) -> float:
        """Return what `bench.lap` answers."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        return float(self._read())


@contextmanager
def _laps(packages: list[Path], home: Path = ROOT, python: Path | str = sys.executable) -> Iterator[_Laps]:
    """Yield a node of the version of the project that lies in `home`."""
    environment = os.environ | {"PYTHONPATH": str(home)}
    command = [python, "-P", ROOT / "bench" / "lap.py", home / "packages" / "echo", *packages]
    with subprocess.Popen(
        command, cwd=home, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield _Laps(process)
        assert process.stdin is not None
        process.stdin.close()


def _package(place: Path, name: str, wasm: Path, count: int = 1) -> Path:
    """Make a package of so many processes, the first of which is called `echo`."""
    made = place / f"{name}-{count}"
    if made.exists():
        return made
    made.mkdir()
    (made / "echo.wasm").write_bytes(wasm.read_bytes())
    (made / "metadata.json").write_text(json.dumps({"properties": {"package_name": name, "publisher": "local"}}))
    names = ["echo", *(f"idle{number}" for number in range(1, count))]
    entries = [{"process_name": each, "process_wasm_path": "/echo.wasm", "public": True} for each in names]
    (made / "manifest.json").write_text(json.dumps(entries))
    return made


def _trips(guests: dict[str, Path], place: Path, before: bool) -> list[Result]:
    """Measure round trips with all guests of one node."""
    names = list(guests)
    packages = [_package(place, name, wasm) for name, wasm in guests.items()]
    with ExitStack() as stack:
        laps = stack.enter_context(_laps(packages))
        old = stack.enter_context(_before(_package(place, "python", guests["python"]))) if before else None
        subjects, labels = [], []
        for large, size in enumerate((SMALL_BYTES, LARGE_BYTES)):
            reference = ("channels", "20000") if not large else ("channels_copying", "200", str(size))
            subjects.append(partial(program, *reference))
            labels.append(("trio", large))
            for name in names:
                subjects.append(partial(laps.number, _order(name, COUNTS.get(name, COUNTS["python"])[large], size)))
                labels.append((name, large))
            if old is not None:
                subjects.append(partial(old.number, _order("python", BEFORE_COUNTS[large], size)))
                labels.append(("before", large))
        taken = in_turns(*subjects)
    speeds = {label: [1 / each for each in values] for label, values in zip(labels, taken, strict=True)}
    results: list[Result] = []
    for large, what in enumerate(("", "_1mib")):
        trio = ("two trio tasks" if not large else "two trio tasks that copy 1 MiB four times", _UNIT)
        for name in names:
            goal = GOALS.get(name, GOALS["python"])[large]
            results.append(ratio(f"languages_{name}{what}", speeds[name, large], speeds["trio", large], trio, goal))
        if before:
            theirs = (f"commit {BEFORE}", _UNIT)
            figure = f"languages_python{what}_before"
            results.append(ratio(figure, speeds["python", large], speeds["before", large], theirs, BEFORE_GOALS[large]))
    return results


_UNIT = "round trips a second"


def _order(name: str, count: int, size: int) -> str:
    return f"trips our@echo:{name}:local {count} {size}"


@contextmanager
def _before(package: Path) -> Iterator[_Laps]:
    """Yield a node of commit BEFORE, cloned and installed in the user's cache."""
    home = once.tools(f"bench-{BEFORE}", _install_before)
    with _laps([package], home, home / ".venv" / "bin" / "python") as laps:
        yield laps


def _install_before(place: Path) -> None:
    python = place / ".venv" / "bin" / "python"
    subprocess.run(["git", "clone", "--quiet", ROOT, place], check=True)
    subprocess.run(["git", "checkout", "--quiet", BEFORE], cwd=place, check=True)
    subprocess.run([sys.executable, "-m", "venv", place / ".venv"], check=True)
    # Not itself: its folder moves once it is whole.
    needed = tomllib.loads((place / "pyproject.toml").read_text())["project"]["dependencies"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *needed], check=True)


def _idle(name: str, wasm: Path, place: Path) -> Result:
    """Measure IDLE processes beyond the first IDLE, once all have answered. What the first ones cost beyond that is
    what the allocator keeps of loading them; the detail says how much."""
    values, kept = [], []
    for _ in range(COMPILE_RUNS):
        one, some, more = (_memory(_package(place, name, wasm, count), name, count) for count in _COUNTS_IDLE)
        values.append((more - some) / IDLE / 1024)
        kept.append((some - one) / IDLE / 1024)
    figure = absolute(f"languages_{name}_idle", values, "MiB an idle process", IDLE_GOAL)
    figure.detail["MiB for each of the first ten"] = round(statistics.median(kept), 3)
    return figure


_COUNTS_IDLE = (1, 1 + IDLE, 1 + 2 * IDLE)


def _memory(package: Path, name: str, count: int) -> float:
    """Return the KiB of a node whose processes have all answered."""
    with _laps([package]) as laps:
        for each in ("echo", *(f"idle{number}" for number in range(1, count))):
            laps.number(f"trips our@{each}:{name}:local 1 {SMALL_BYTES}")
        return laps.number("memory")


def _compiling(language: Language, first: Path, place: Path) -> list[Result]:
    """Measure the compilation of a process with nothing in the cache, and of another one after that."""
    second = language.package("hello", place) / "hello.wasm"
    firsts, seconds = [], []
    for _ in range(COMPILE_RUNS):
        with tempfile.TemporaryDirectory() as cache:
            engine = Engine(Path(cache), replayable=False)
            firsts.append(_until_it_waits(engine, first))
            seconds.append(_until_it_waits(engine, second))
            engine.close()
    name = f"languages_{language.name}"
    return [
        absolute(f"{name}_first_start", firsts, "s until it waits for a message", FIRST_GOAL),
        absolute(f"{name}_second_start", seconds, "s until another one waits for a message", COMPILE_GOAL),
    ]


def _until_it_waits(engine: Engine, wasm: Path) -> float:
    begin = time.perf_counter()
    program = engine.load(wasm.read_bytes())
    guest = program.start(GuestConfig(Address("our.nec", ProcessId("echo", "bench", "local")), _MEMORY_BYTES))
    while (poll := guest.poll()) is Poll.PREEMPTED:
        pass
    seconds = time.perf_counter() - begin
    assert poll is Poll.RECEIVE, guest.end
    guest.close()
    return seconds


def _seeds(language: Language, place: Path) -> Figure:
    """Measure runs of the scenario `store`, one after the other, with what is compiled kept."""
    mine = replace(STORE, topology=everywhere(str(language.package("store", place))))
    programs, values = Programs(), []
    play(draw_plan(mine, SEEDS), programs, mine)
    for _ in range(COMPILE_RUNS):
        begin = time.perf_counter()
        for seed in range(SEEDS):
            result = play(draw_plan(mine, seed), programs, mine)
            assert result.result == "passed", result.text
        values.append(60 * SEEDS / (time.perf_counter() - begin))
    return absolute(f"languages_{language.name}_seeds", values, "seeds a minute", SEEDS_GOAL, at_least=True)
