"""`python -m tests.mutants.compared [NAME ...]`: after how many runs a mutant is noticed, by random seeds, and by one
run with a fault at each of its events (`nectar sim exhaust`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.mutants.__main__ import chosen
from tests.mutants.mutant import Mutant
from tests.mutants.workshop import HuntFailed, copied, hunt

STRIKE = Path(__file__).with_name("strike.py")
FAULTS: dict[str, tuple[str, ...]] = {
    "set-state-before-it-is-kept": ("power",),
    "revocations-die-at-reboot": ("crash",),
    "proofs-die-at-reboot": ("crash",),
    "sync-is-answered-at-once": ("power",),
    "forget-what-came-at-reconnect": ("cut",),
    "tail-from-the-beginning": ("cut",),
    "give-up-without-a-new-epoch": ("pause", "cut"),
    "copied-before-it-is-kept": ("power",),
    "copy-before-it-is-kept": ("power",),
    "kept-only-if-the-replica-has-the-rest": ("power",),
}
"""Mutants that a crash, a lost disk or a broken connection shows, and the fault that is tried at each event."""
ANY = ("crash", "power", "cut")
"""Those that are tried for any other."""
MOST_SEEDS, MOST_POINTS = 100, 60
SEEDS = (1, 2)
"""Of the runs whose events are taken."""


def compare(mutant: Mutant) -> str:
    """Return a line for a table: by random seeds, and by events."""
    with copied(mutant) as folder:
        try:
            finding = hunt(folder, mutant.scenario, MOST_SEEDS)
            random = f"seed {finding.seed}" if finding.failed else f"not in {MOST_SEEDS} seeds"
        except HuntFailed as error:
            random = str(error)
        found = [_struck(folder, mutant, seed) for seed in SEEDS]
    return f"| `{mutant.name}` | `{mutant.scenario}` | {random} | {' | '.join(found)} |"


def _struck(folder: Path, mutant: Mutant, seed: int) -> str:
    words = [mutant.scenario, str(seed), str(MOST_POINTS), *FAULTS.get(mutant.name, ANY)]
    command = [sys.executable, str(STRIKE), str(folder), *words]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)
    if done.returncode != 0:
        return (done.stderr.strip() or "ended without a word").splitlines()[-1]
    told = json.loads(done.stdout.splitlines()[-1])
    if told["result"] == "passed":
        return f"not in {told['runs']} of {told['points']}"
    return "without a fault" if told["points"] == 0 else f"run {told['runs']} of {told['points']}"


if __name__ == "__main__":
    try:
        wanted = chosen(sys.argv[1:] or list(FAULTS))
    except ValueError as error:
        sys.exit(str(error))
    for each in wanted:
        print(compare(each), flush=True)
