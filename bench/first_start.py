"""First starts, a part of `languages`: nothing is compiled, until a process in Python or JavaScript has answered.

Beside it, in turns: Wasmtime alone compiles the same core modules, optimised, in a process of its own. Figures by the
clock mean something on a quiet machine only; those of processor time do on any. The longest path is computed from them:
all processor time, but of what the compiler's threads share, which the bare compiler tells, each core takes a part. In
the end small messages pass while the optimised code is compiled in the background.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import trio
import wasmtime

from bench.lab import printed
from bench.latency import round_trips
from bench.measure import Reference, Result, absolute, p99, ratio
from kernel.contract.address import Address, ProcessId
from kernel.contract.guest import Arrival, Guest, GuestConfig, Poll, SendResponse
from kernel.contract.message import Request
from kernel.wasm.binary.component import plan_untrusted
from kernel.wasm.compiling.compiler import MODES, Mode, configuration
from kernel.wasm.engine import Engine

RUNS = 5
PROCESSOR_GOAL = 7.5
"""Seconds of processor time until the first one answers, with quick code."""
PATH_GOAL = 4.0
"""Seconds of that on the longest path, on two cores that have nothing else to do."""
FURTHER_GOAL = 0.5
"""Seconds until another program of the language answers, and the same one again."""
BARE_GOAL = 0.6
"""Times what Wasmtime alone takes to compile it optimised."""
LATENCY_GOAL = 10.0
"""Milliseconds that the 99th percentile may be higher while optimised code is compiled."""
_CORES = 2
_MEMORY_BYTES = 512 << 20
_ASKER = Address("our.nec", ProcessId("asker", "bench", "local"))


class _Taken(NamedTuple):
    """How long something took, in seconds."""

    clock: float
    processor: float
    """Of all threads, and of the children that have ended."""
    shared: float = 0.0
    """Of that, what threads did that share the work."""

    @property
    def path(self) -> float:
        """The longest path on two cores, or less: that two modules are compiled at a time is not taken into account."""
        return self.processor - self.shared * (1 - 1 / _CORES)


def run(language: str, first: Path, second: Path) -> list[Result]:
    """Measure the start of a process with nothing in the cache, of another one before and after there is optimised code
    for the first, and of the first again."""
    firsts, early, again, later, bare = [list[_Taken]() for _ in range(5)]
    shared = _bare(first, "epoch mapped quick").shared
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as cache:
            engine = Engine(Path(cache), replayable=False, quick_first=True)
            firsts.append(_until_it_answers(engine, first)._replace(shared=shared))
            early.append(_until_it_answers(engine, second))
            engine.close()
            engine = Engine(Path(cache), replayable=False, quick_first=True)
            again.append(_until_it_answers(engine, first))
            engine.wait_for_optimised_code()
            engine.close()
            engine = Engine(Path(cache), replayable=False, quick_first=True)
            later.append(_until_it_answers(engine, second))
            engine.close()
        bare.append(_bare(first, "epoch mapped"))
    name, unit = f"languages_{language}", "s of processor time until"
    clock = Reference.of("by the clock", [each.clock for each in firsts], "s")
    alone = ("Wasmtime alone, optimised", "s of processor time")
    return [
        absolute(f"{name}_first_start", _all(firsts), f"{unit} it answers", PROCESSOR_GOAL, clock),
        absolute(f"{name}_first_start_path", [each.path for each in firsts], "s on the longest path", PATH_GOAL, clock),
        ratio(f"{name}_first_start_bare", _all(firsts), _all(bare), alone, BARE_GOAL, at_most=True),
        absolute(f"{name}_early_start", _all(early), f"{unit} another one answers before that", FURTHER_GOAL),
        absolute(f"{name}_second_start", _all(later), f"{unit} another one answers", FURTHER_GOAL),
        absolute(f"{name}_start_again", _all(again), f"{unit} it answers again", FURTHER_GOAL),
        _latency(name, first),
    ]


def _all(taken: list[_Taken]) -> list[float]:
    return [each.processor for each in taken]


def _until_it_answers(engine: Engine, wasm: Path) -> _Taken:
    began, used = time.perf_counter(), _processor_seconds()
    guest = engine.load(wasm.read_bytes()).start(
        GuestConfig(Address("our.nec", ProcessId("echo", "bench", "local")), _MEMORY_BYTES)
    )
    assert _polled(guest) is Poll.RECEIVE, guest.end
    guest.effects.clear()
    guest.resume(Arrival(_ASKER, Request(False, 5, b"first"), None, None))
    assert _polled(guest) is Poll.RECEIVE, guest.end
    assert any(isinstance(effect, SendResponse) for effect in guest.effects), guest.effects
    taken = _Taken(time.perf_counter() - began, _processor_seconds() - used)
    guest.close()
    return taken


def _polled(guest: Guest) -> Poll:
    while (poll := guest.poll()) is Poll.PREEMPTED:
        pass
    return poll


def _processor_seconds() -> float:
    """Return what this process and its children that have ended have had."""
    return sum(os.times()[:4])


def _bare(wasm: Path, mode: Mode) -> _Taken:
    """Have Wasmtime compile the core modules of a component in a process of its own, and nothing else."""
    return _Taken(*map(float, printed(__name__, str(wasm), mode).split()))


def _compile(path: str, mode: Mode) -> None:
    """Compile, and print how long it took, by the clock, by all threads, and by those that share the work."""
    engine, modules = wasmtime.Engine(configuration(mode)), plan_untrusted(Path(path).read_bytes()).modules
    began, used, own = time.perf_counter(), time.process_time(), time.thread_time()
    for module in modules:
        wasmtime.Module(engine, module).serialize()
    every = time.process_time() - used
    print(time.perf_counter() - began, every, every - (time.thread_time() - own))


def _latency(name: str, wasm: Path) -> Result:
    """Measure small messages while optimised code is compiled in the background, and without."""
    more, quiet = [], []
    for _ in range(RUNS):
        quiet.append(p99(trio.run(round_trips, 0)))
        with tempfile.TemporaryDirectory() as cache:
            engine = Engine(Path(cache), replayable=False, quick_first=True)
            program = engine.load(wasm.read_bytes())
            more.append(p99(trio.run(round_trips, 0)) - quiet[-1])
            engine.close()  # which ends the compiler
            del program
    return absolute(
        f"{name}_compile_latency",
        more,
        "ms more while optimised code is compiled",
        LATENCY_GOAL,
        Reference.of("the 99th percentile without that", quiet, "ms"),
    )


if __name__ == "__main__":
    (chosen,) = [each for each in MODES if each == sys.argv[2]]
    _compile(sys.argv[1], chosen)
