"""`languages`: processes in each language: round trips, memory, how long they compile, and how fast they are simulated.

All guests are the example `echo` of their SDK. A process in Zig asks them, so half of each trip is Zig's. With
`--before` the same node of commit BEFORE, from when guests like these had threads, takes its turns beside this one; its
clone and its environment lie in the user's cache, as does what compilers have made. The two are compared by processor
time: a node whose guests have threads gets more of a busy machine than one that has none. So is compilation measured.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench import first_start
from bench.before import BEFORE, home_before, python_of
from bench.lab import folder, program
from bench.measure import Figure, Result, absolute, in_turns, ratio
from kernel.wasm.engine import Engine
from nectar_node.contract.config import module_cache
from nectar_node.toolchains import python
from packages.build import ROOT
from testnet.scenarios.scenario import draw_plan, everywhere
from testnet.scenarios.store import STORE
from testnet.sim.programs import Programs
from testnet.sim.run import run as play
from tests.languages.toolchain import LANGUAGES, Language

SMALL_BYTES, LARGE_BYTES = 100, 1 << 20
COUNTS = {"zig": (5000, 200), "c": (5000, 200), "python": (2000, 200), "javascript": (2000, 100)}
"""Round trips of each turn, with small and with large bodies."""
BEFORE_COUNTS = {"zig": (5000, 200), "python": (2000, 3)}
"""The same at commit BEFORE, where a large body takes a process in Python half a second."""
GOALS = {"zig": (0.6, 1.0), "c": (0.6, 1.0), "python": (0.1, 0.5), "javascript": (0.1, 0.5)}
"""Times the speed of two trio tasks, which copy large bodies."""
BEFORE_GOALS = {"zig": (0.95, 0.95), "python": (3.0, 100.0)}
"""Times the speed of the same process before; one in Zig is to lose nothing that can be told from chance."""
IDLE, IDLE_GOAL = 10, 6.0
"""Idle processes of one node, and MiB for each beyond a node that has none of that language."""
IDLE_RUNS = 5
DIFFERENT = "different"
"""The name of those that are of as many programs in Python; all others are of one program."""
INTERPRETED = ("python", "javascript")
"""Those whose guests carry an interpreter, which takes seconds to compile."""
SEEDS, SEEDS_RUNS = 5, 5
SEEDS_GOAL = 30.0
"""A minute, in one process."""


def run(before: bool = False) -> list[Result]:
    """Measure all languages; `before`: beside commit BEFORE, too."""
    with folder(Path(tempfile.gettempdir())) as place:
        guests = {each.name: each.package("echo", place) / "echo.wasm" for each in LANGUAGES}
        for wasm in guests.values():  # else the nodes would begin with quick code
            _load_optimised(wasm)
        results = _trips(guests, place, before)
        results += _idle({name: [wasm] * IDLE for name, wasm in guests.items()} | {DIFFERENT: _different(place)}, place)
        for language in LANGUAGES:
            if language.name in INTERPRETED:
                second = language.package("hello", place) / "hello.wasm"
                results += first_start.run(language.name, guests[language.name], second)
        return results + [_seeds(language, place) for language in LANGUAGES]


class _Laps:
    """A node that runs packages, and measures."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.processor: dict[str, list[float]] = {}
        """The processor time of one trip, in seconds, of each turn of an order."""
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

    def trips(self, name: str, count: int, size: int) -> float:
        """Return the seconds of a trip to a guest and back."""
        order = _order(name, count, size)
        before = self.number("processor")
        seconds = self.number(order)
        self.processor.setdefault(order, []).append((self.number("processor") - before) / count)
        return seconds

    def speeds(self, name: str, count: int, size: int) -> list[float]:
        """Return the trips in a second of processor time, of each turn but the first, which is not counted."""
        return [1 / each for each in self.processor[_order(name, count, size)][1:]]


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


def _package(place: Path, name: str, wasms: list[Path]) -> Path:
    """Make a package of so many processes, the first of which is called `echo`."""
    made = place / f"{name}-{len(wasms)}"
    if made.exists():
        return made
    made.mkdir()
    (made / "metadata.json").write_text(json.dumps({"properties": {"package_name": name, "publisher": "local"}}))
    entries = []
    for each, wasm in zip(_names(len(wasms)), wasms, strict=True):
        code = made / f"{wasms.index(wasm)}.wasm"
        code.write_bytes(wasm.read_bytes())
        entries.append({"process_name": each, "process_wasm_path": f"/{code.name}", "public": True})
    (made / "manifest.json").write_text(json.dumps(entries))
    return made


def _names(count: int) -> list[str]:
    return ["echo", *(f"idle{number}" for number in range(1, count))]


def _trips(guests: dict[str, Path], place: Path, before: bool) -> list[Result]:
    """Measure round trips with all guests of one node."""
    packages, sizes = {name: _package(place, name, [wasm]) for name, wasm in guests.items()}, (SMALL_BYTES, LARGE_BYTES)
    with ExitStack() as stack:
        laps = stack.enter_context(_laps(list(packages.values())))
        old = stack.enter_context(_before([packages[name] for name in BEFORE_COUNTS])) if before else None
        subjects: dict[tuple[str, int], Callable[[], float]] = {}
        for large, size in enumerate(sizes):
            reference = ("channels", "20000") if not large else ("channels_copying", "200", str(size))
            subjects["trio", large] = partial(program, *reference)
            for name in guests:
                subjects[name, large] = partial(laps.trips, name, COUNTS[name][large], size)
                if old is not None and name in BEFORE_COUNTS:
                    subjects[f"{name} before", large] = partial(old.trips, name, BEFORE_COUNTS[name][large], size)
        taken = in_turns(*subjects.values())
    speeds = {label: [1 / each for each in values] for label, values in zip(subjects, taken, strict=True)}
    results: list[Result] = []
    for large, what in enumerate(("", "_1mib")):
        trio = ("two trio tasks" if not large else "two trio tasks that copy 1 MiB four times", _UNIT)
        for name in guests:
            figure, mine = f"languages_{name}{what}", speeds[name, large]
            results.append(ratio(figure, mine, speeds["trio", large], trio, GOALS[name][large]))
            if old is not None and name in BEFORE_COUNTS:
                mine = laps.speeds(name, COUNTS[name][large], sizes[large])
                theirs = old.speeds(name, BEFORE_COUNTS[name][large], sizes[large])
                reference, goal = (f"commit {BEFORE}", f"{_UNIT} of processor time"), BEFORE_GOALS[name][large]
                results.append(ratio(f"{figure}_before", mine, theirs, reference, goal))
    return results


_UNIT = "round trips a second"


def _order(name: str, count: int, size: int) -> str:
    return f"trips our@echo:{name}:local {count} {size}"


@contextmanager
def _before(packages: list[Path]) -> Iterator[_Laps]:
    """Yield a node of commit BEFORE, cloned and installed in the user's cache."""
    home = home_before()
    with _laps(packages, home, python_of(home)) as laps:
        yield laps


def _different(place: Path) -> list[Path]:
    """Return processes in Python that differ in a number."""
    source = (ROOT / "sdk" / "python" / "examples" / "echo" / "echo.py").read_text()
    made = []
    for number in range(IDLE):
        written = place / f"different{number}" / "echo.py"
        written.parent.mkdir()
        written.write_text(f"{source}\n\nNUMBER = {number}\n")
        made.append(written.with_suffix(".wasm"))
        python.build(written, made[-1])
        _load_optimised(made[-1])
    return made


def _load_optimised(wasm: Path) -> None:
    """Keep the optimised code of a program where nodes look for it."""
    Engine(module_cache(), replayable=False).load(wasm.read_bytes())


def _idle(guests: dict[str, list[Path]], place: Path) -> list[Result]:
    """Measure processes that have all answered once, in nodes that have nothing else."""
    packages = {name: _package(place, f"{name}-idle", wasms) for name, wasms in guests.items()}
    values: dict[str, list[tuple[float, float]]] = {name: [] for name in guests}
    for _ in range(IDLE_RUNS):
        none = _memory(None)
        for name, package in packages.items():
            some = _memory(package)
            values[name].append(((some[0] - none[0]) / IDLE / 1024, (some[1] - none[1]) / IDLE / 1024))
    results: list[Result] = []
    for name, taken in values.items():
        alls, owns = zip(*taken, strict=True)
        if name == DIFFERENT:
            # Each has a file of its own with what is in its memory at first: pages that it only reads are the file's.
            figure = absolute("languages_python_different_idle", owns, "MiB of its own an idle process", IDLE_GOAL)
            figure.detail["MiB with pages of files"] = round(statistics.median(alls), 3)
        else:
            figure = absolute(f"languages_{name}_idle", alls, "MiB an idle process", IDLE_GOAL)
            figure.detail["MiB without pages of files"] = round(statistics.median(owns), 3)
        results.append(figure)
    return results


def _memory(package: Path | None) -> tuple[float, float]:
    """Return the KiB of a node whose processes have all answered, and those of them that are no pages of files."""
    name = "" if package is None else package.name.rpartition("-")[0]
    with _laps([] if package is None else [package]) as laps:
        for each in _names(IDLE) if name else []:
            laps.number(f"trips our@{each}:{name}:local 1 {SMALL_BYTES}")
        return laps.number("memory"), laps.number("anonymous")


def _seeds(language: Language, place: Path) -> Figure:
    """Measure runs of the scenario `store`, one after the other, with what is compiled kept."""
    mine = replace(STORE, topology=everywhere(str(language.package("store", place))))
    programs, values = Programs(), []
    play(draw_plan(mine, SEEDS), programs, mine)
    for _ in range(SEEDS_RUNS):
        begin = time.perf_counter()
        for seed in range(SEEDS):
            result = play(draw_plan(mine, seed), programs, mine)
            assert result.result == "passed", result.text
        values.append(60 * SEEDS / (time.perf_counter() - begin))
    return absolute(f"languages_{language.name}_seeds", values, "seeds a minute", SEEDS_GOAL, at_least=True)
