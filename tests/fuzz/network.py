"""Fuzzes the network: every function that reads what a peer wrote, and the whole session machine under attack.

python -m tests.fuzz.network --seconds 60 [--seed S] [--again GROUP HEX]

Three groups get a share of the time each: `attack` (two honest nodes and somebody without keys in the middle), `siege`
(a peer with keys that keeps no rule), and `decoders` (all other targets in `targets`). Each runs in a process of its
own under atheris, which looks for inputs that reach new code, from the seeds in `targets`; where atheris is not
installed, inputs are drawn near the seeds instead. An input that fails is printed, with the command that runs it again.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SHARES = {"attack": 0.4, "siege": 0.3, "decoders": 0.3}
"""Of the time."""
GRACE_SECONDS = 60
"""For a process to begin and to end, beyond its time."""


def groups() -> dict[str, tuple[Callable[[bytes], None], tuple[bytes, ...]]]:
    """What runs together, and where it begins: of the decoders the first byte of an input says which."""
    from tests.fuzz.targets import TARGETS

    found = {name: (TARGETS[name].run, TARGETS[name].seeds) for name in ("attack", "siege")}
    decoders = [target for name, target in sorted(TARGETS.items()) if name not in found]

    def decode(data: bytes) -> None:
        if data:
            decoders[data[0] % len(decoders)].run(data[1:])

    seeds = (bytes([index]) + seed for index, target in enumerate(decoders) for seed in target.seeds)
    return {**found, "decoders": (decode, tuple(seeds))}


def runner(group: str) -> Callable[[bytes], None]:
    """What takes the inputs of a group."""
    return groups()[group][0]


def guided(group: str, seconds: int, seed: int) -> tuple[int, bytes | None, str]:
    """Under atheris; how many inputs, the one that failed if one did, and what was printed."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for index, each in enumerate(groups()[group][1]):
            (corpus / f"seed-{index}").write_bytes(each)
        command = [sys.executable, "-m", "tests.fuzz.guided", group, str(seconds), str(seed), folder]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + GRACE_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return 0, b"", f"it did not end within {seconds + GRACE_SECONDS} seconds"
        text = done.stdout + done.stderr
        found = next((path.read_bytes() for path in Path(folder).iterdir() if path.is_file()), None)
    count = re.search(r"number_of_executed_units: (\d+)", text)
    failed = found if found is not None else b"" if done.returncode else None
    return int(count[1]) if count else 0, failed, text[-6000:]


def drawn(group: str, seconds: int, seed: int) -> tuple[int, bytes | None, str]:
    """The same without atheris, in this process: inputs near the seeds. What one raises comes out of here."""
    from tests.fuzz.mutation import mutate

    run, seeds = groups()[group]
    chance = random.Random(seed)
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        data = chance.randbytes(400) if chance.random() < 0.3 else mutate(chance.choice(seeds), chance)
        kept = False
        try:
            run(data)
            kept = True
        finally:
            if not kept:
                print(_again(group, data))
        count += 1
    return count, None, ""


def _again(group: str, data: bytes) -> str:
    return f"{group} has failed; again: python -m tests.fuzz.network --again {group} '{data.hex()}'"


def main() -> int:
    """Fuzz for a while; returns the exit code."""
    parser = argparse.ArgumentParser(description="fuzz the network")
    parser.add_argument("--seconds", type=float, default=60, help="how long, all groups together")
    parser.add_argument("--seed", type=int, default=None, help="of the search")
    parser.add_argument("--again", nargs=2, metavar=("GROUP", "HEX"), help="run one input, in this process")
    options = parser.parse_args()
    if options.again:
        runner(options.again[0])(bytes.fromhex(options.again[1]))
        return 0
    seed = random.SystemRandom().randrange(1, 2**31) if options.seed is None else options.seed
    search = guided
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed here: inputs are drawn near the seeds, and no coverage guides them")
        search = drawn
    print(f"seed {seed}", flush=True)
    for group, share in SHARES.items():
        count, failed, text = search(group, max(1, round(options.seconds * share)), seed)
        if failed is not None:
            print(f"{text}\n{_again(group, failed)}")
            return 1
        print(f"{group}: {count} inputs, and every promise was kept", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
