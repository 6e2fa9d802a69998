"""Copies of the sources, one of them with a promise broken, and what a hunt in one of them finds."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.hunt import HUNT_SECONDS, SEED_SECONDS
from tests.mutants.mutant import Mutant

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("kernel", "net", "nectar_node", "testnet", "packages")
_SDK = "sdk"
"""Is copied for a guest that has to be compiled."""
HUNT = Path(__file__).with_name("hunt.py")
_PATIENCE = 10
"""The elapsed time of a hunt, as a multiple of its processor time: on a busy machine it hardly gets to run."""
SHOWN = 200
"""Characters of what was violated."""


class HuntFailed(Exception):
    """A hunt could not be had; the message says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """How the last seed of a hunt went."""

    seed: int
    result: str
    """passed, violated, deadline, broken or hung."""
    text: str
    runs: int = 1
    """Which of the hunt it was, from 1."""
    seconds: float = 0.0
    """Processor time of the hunt."""

    @property
    def failed(self) -> bool:
        """Whether there is something wrong with the sources."""
        return self.result != "passed"

    def words(self) -> str:
        """For people: whether an invariant was violated, or the program itself broke down."""
        plain = {"broken": "(not an invariant: a node broke down) ", "hung": "(not an invariant) "}
        text = self.text if len(self.text) <= SHOWN else f"{self.text[:SHOWN]} …"
        return plain.get(self.result, "") + text


@contextmanager
def copied(mutant: Mutant | None = None) -> Iterator[Path]:
    """A folder with the sources in it, with that mutant's change, compiled if it is a guest's; raises PatternLost, and
    HuntFailed for one that does not compile."""
    with tempfile.TemporaryDirectory(prefix="nectar-mutant-") as name:
        folder = Path(name)
        for room in (*ROOMS, *(("tests",) if mutant is not None and mutant.is_for_test else ())):
            # What has been compiled of them goes along: it holds for as long as the sources have their times.
            shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns(".zig-cache"))
        if mutant is not None:
            file = folder / mutant.file
            file.write_text(mutant.apply(file.read_text()))
            if file.suffix == ".zig":
                shutil.copytree(ROOT / _SDK, folder / _SDK)
                _compile(folder, file.parent.name)
        yield folder


def run_test(folder: Path, test: str) -> Finding:
    """Run one test against the sources and tests in a folder; raises HuntFailed."""
    shutil.copy(ROOT / "pyproject.toml", folder)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=HUNT_SECONDS, env=_environment(folder), cwd=folder
        )
    except subprocess.TimeoutExpired as error:
        raise HuntFailed(f"{test}: not over within {HUNT_SECONDS} s") from error
    if done.returncode not in (0, 1):
        raise HuntFailed(f"{test}: {(done.stdout.strip() or 'it ended without a word').splitlines()[-1]}")
    wrong = [line.removeprefix("E ").strip() for line in done.stdout.splitlines() if line.startswith("E ")]
    return Finding(1, "violated" if done.returncode else "passed", wrong[0] if wrong else "")


def _compile(folder: Path, package: str) -> None:
    """The guests of a package, in a process that imports the copied sources; raises HuntFailed."""
    build = "import sys; from pathlib import Path; from packages.build import GUESTS, build; "
    build += "build(Path(sys.argv[1]), guests={sys.argv[2]: GUESTS[sys.argv[2]]})"
    command = [sys.executable, "-c", build, str(folder / ".zig-cache"), package]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment(folder), cwd=folder)
    if done.returncode != 0:
        raise HuntFailed(f"{package} does not compile: {(done.stderr.strip() or 'no word of why').splitlines()[0]}")


def _environment(folder: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(folder)}


def hunt(folder: Path, scenario: str, seeds: int, how: str = "random", first: int = 1) -> Finding:
    """Play seeds in a process of its own until one fails, or as many plans of a `guided` search; raises HuntFailed."""
    command = [sys.executable, str(HUNT), str(folder), scenario, str(seeds), how, str(first)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_PATIENCE * HUNT_SECONDS,
            env=_environment(folder),
            cwd=folder,
        )
    except subprocess.TimeoutExpired as error:
        raise HuntFailed(
            f"{scenario}: not all of {seeds} seeds were played within {_PATIENCE * HUNT_SECONDS} s"
        ) from error
    if done.returncode == -signal.SIGXCPU:
        raise HuntFailed(f"{scenario}: not all of {seeds} seeds were played in {HUNT_SECONDS} s of processor time")
    if done.returncode != 0:
        raise HuntFailed(f"{scenario}: {(done.stderr.strip() or 'it ended without a word').splitlines()[-1]}")
    return _last(done.stdout)


def _last(output: str) -> Finding:
    known: dict[str, object] = {}
    for line in output.splitlines():
        known |= json.loads(line)
    text = str(known["text"])
    runs, seconds = int(str(known["runs"])), float(str(known.get("seconds", 0.0)))
    return Finding(int(str(known["seed"])), str(known["result"]), text, runs, seconds)


assert HUNT_SECONDS > SEED_SECONDS
