"""`make scale`: measure how cost grows, print it, and draw it into docs/performance.md (`--print` draws nothing).

Every point is measured in a process of its own, up to RUNS times, and its costs are the medians. One that takes longer
than its limit is left out with all larger ones, and the page says so.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from bench.growth import page
from bench.growth.curves import LINEAR, Growth, exponent
from bench.growth.subjects import SUBJECTS
from bench.markdown import this_machine, today

RUNS = 3
AGAIN_SECONDS = 20.0
"""A point is measured again only while all of its runs have taken less than that."""
LIMIT_SECONDS = 600.0
"""How long one run of a point may take."""
GRACE_SECONDS = 30.0
"""How long a point may stop its nodes and remove its files, once it has been interrupted."""


class NotMeasured(Exception):
    """Why a point could not be measured."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the subjects that are named, or all."""
    parser = argparse.ArgumentParser(prog="bench.growth", description="Measure how cost grows with size.")
    parser.add_argument("subject", nargs="*", help=f"which: {', '.join(SUBJECTS)}; all if none is named")
    parser.add_argument("--most", type=float, metavar="N", help="leave larger sizes out")
    parser.add_argument("--limit", type=float, default=LIMIT_SECONDS, metavar="S", help="seconds for one point")
    parser.add_argument("--print", action="store_true", help="leave docs/performance.md and its pictures as they are")
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.subject if name not in SUBJECTS]
    if unknown:
        parser.error(f"there is no subject {unknown[0]!r}; there are {', '.join(SUBJECTS)}")
    for name in chosen.subject or SUBJECTS:
        growth = measure(name, chosen.limit, chosen.most)
        _show(name, growth)
        if not chosen.print and growth.costs:
            page.write(page.load() | {name: growth})
    return 0


def measure(name: str, limit: float, most: float | None) -> Growth:
    """Return what a subject costs at each of its sizes, up to `most`; each run has `limit` seconds."""
    growth = Growth(today().isoformat(), str(this_machine()))
    for size in SUBJECTS[name].sizes:
        if most is not None and size > most:
            growth.left_out[size] = "larger than was asked for"
        elif any(why.startswith("it took") for why in growth.left_out.values()):
            growth.left_out[size] = "a smaller one took too long"
        else:
            try:
                growth.costs[size] = _point(name, size, limit)
            except NotMeasured as error:
                growth.left_out[size] = str(error)
        print(f"{name} {size:,}: {growth.costs.get(size) or growth.left_out[size]}", file=sys.stderr, flush=True)
    return growth


def _point(name: str, size: int, limit: float) -> dict[str, float]:
    """Return the medians of the costs. Raises NotMeasured."""
    runs: list[dict[str, float]] = []
    begin = time.monotonic()
    while len(runs) < RUNS and (not runs or time.monotonic() - begin < AGAIN_SECONDS):
        runs.append(_run(name, size, limit))
    return {cost: float(f"{statistics.median(run[cost] for run in runs):.4g}") for cost in runs[0]}


def _run(name: str, size: int, limit: float) -> dict[str, float]:
    with subprocess.Popen(_command(name, size), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            output, errors = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            _interrupt(process)
            raise NotMeasured(f"it took more than {limit:g} s") from None
        except BaseException:
            _interrupt(process)
            raise
    if process.returncode:
        raise NotMeasured((errors.strip().splitlines() or ["it ended without a word"])[-1])
    found: dict[str, float] = json.loads(output)
    return found


def _command(name: str, size: int) -> list[str]:
    return [sys.executable, "-m", "bench.growth.measures", name, str(size)]


def _interrupt(process: subprocess.Popen[str]) -> None:
    """End a point in order, so that its nodes stop and its files are removed; or end it."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _show(name: str, growth: Growth) -> None:
    for cost in (*SUBJECTS[name].seconds, *SUBJECTS[name].mebibytes):
        power = exponent(growth.curve(cost))
        if power is not None:
            print(f"{name:<10} {cost:<24} n^{power:.2f}{'  more than linear' if power > LINEAR else ''}")
    for size, why in growth.left_out.items():
        print(f"{name:<10} {size:,} left out: {why}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
