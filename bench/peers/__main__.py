"""`make bench-peers`: messages and bytes between two nodes, in turns with the same over other libraries' bare streams.

A node's message goes from one Wasm process to another and is acknowledged; a stream's bytes do no more than arrive.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from functools import partial
from importlib import resources

from bench.lab import RECEIVER, SENDER, ping, running
from bench.measure import Result, in_turns, ratio, show

LIBRARIES = {"libp2p": "py-libp2p", "iroh": "iroh"}
COUNT = 1_000
SIZE = 16 << 20
BLOBS = 4
LIMIT = 600.0
"""Seconds after which a program hangs."""


def program(python: str, *words: str) -> float:
    """Return what `programs` prints, in the environment of that interpreter."""
    with resources.as_file(resources.files("bench.peers") / "programs.py") as path:
        command = [python, str(path), *words]
        return float(subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT).stdout)


def run(python: str) -> list[Result]:
    """Compare with each library: an echo one at a time, and large blobs from memory to memory."""
    target, blobs = f"{RECEIVER}@echo:echo:sys", f"{RECEIVER}@ping:echo:sys"
    with running(SENDER, RECEIVER) as net:
        echoes = in_turns(
            lambda: ping(net, target, COUNT),
            *(partial(program, python, name, "echo", str(COUNT)) for name in LIBRARIES),
        )
        streams = in_turns(
            lambda: ping(net, blobs, BLOBS, size=0, blob=SIZE),
            *(partial(program, python, name, "bytes", str(SIZE), str(BLOBS)) for name in LIBRARIES),
        )
    results: list[Result] = []
    for (name, title), theirs in zip(LIBRARIES.items(), echoes[1:], strict=True):
        micro = [1e6 * each for each in echoes[0]], [1e6 * each for each in theirs]
        results.append(ratio(f"{name}_echo", *micro, (title, "microseconds a round trip"), 1.0, at_most=True))
    for (name, title), theirs in zip(LIBRARIES.items(), streams[1:], strict=True):
        speeds = [SIZE / 1e6 / each for each in streams[0]], [SIZE / 1e6 / each for each in theirs]
        results.append(ratio(f"{name}_bytes", *speeds, (title, "MB/s"), 1.0))
    return results


def main() -> int:
    """Take the figures."""
    parser = argparse.ArgumentParser(prog="bench.peers", description="Measure nodes beside other libraries.")
    parser.add_argument("python", help="the interpreter of an environment that has the libraries")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    results = run(chosen.python)
    if chosen.json:
        print(json.dumps({result.name: asdict(result) for result in results}, indent=2))
    for result in [] if chosen.json else results:
        show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
