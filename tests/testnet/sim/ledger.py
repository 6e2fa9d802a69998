"""A scenario with a guest that keeps its numbers by WASI: what it has acknowledged survives crashes, power cuts and a
full disk, in a file that grows and in one that is replaced."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from testnet.faults.draw import crash, disk_full, unsynced
from testnet.model.lab import Lab, NodePlan, SentRequest
from testnet.scenarios.scenario import Options, Plan, Scenario, require
from testnet.scenarios.timing import in_time

GUESTS = Path(__file__).resolve().parents[2] / "guests"
PROCESS = "our@ledger:ledger:some.nec"
NODE = "a.nec"
PATIENCE = 10
COPIES = 50
"""How often a number is in the file that is replaced."""


def lay_down(folder: Path, wasm: str, name: str, *, quits: bool = False) -> Path:
    """A package of one public process, which runs a guest of the tests."""
    folder.mkdir()
    shutil.copy(GUESTS / wasm, folder)
    on_exit = "None" if quits else "Restart"
    entry = {"process_name": name, "process_wasm_path": f"/{Path(wasm).name}", "on_exit": on_exit, "public": True}
    (folder / "manifest.json").write_text(json.dumps([entry]))
    properties = {"package_name": name, "publisher": "some.nec"}
    (folder / "metadata.json").write_text(json.dumps({"properties": properties}))
    return folder


@dataclass(slots=True)
class _Story:
    lab: Lab
    plan: Plan
    asked: list[tuple[int, SentRequest]] = field(default_factory=list)

    def work(self) -> None:
        """Add numbers at their times."""
        for number, _ in enumerate(in_time(self.lab, self.plan.options["times"]), 1):
            if self.lab.ready(NODE):
                self.asked.append((number, self.lab.begin(NODE, PROCESS, {"Add": number}, PATIENCE)))
        self.lab.rest(PATIENCE + 1.0)

    def check(self) -> None:
        """Check that all that was acknowledged is there, in order, and that nothing is half there."""
        added = [number for number, request in self.asked if _answer(request) == "Added"]
        found = self.lab.ask(NODE, PROCESS, "Read", PATIENCE)
        require(found.kind == "response" and "Numbers" in found.body, f"it does not say what it has: {found}")
        lines, latest = (found.body["Numbers"][each].splitlines() for each in ("all", "latest"))
        numbers = [int(line) for line in lines]
        require(numbers == sorted(set(numbers)), f"its numbers are in disorder: {numbers}")
        lost = set(added) - set(numbers)
        require(not lost, f"it has lost {sorted(lost)}, which it had acknowledged")
        require(len(latest) in (0, COPIES) and len(set(latest)) < 2, f"the file that is replaced is torn: {latest}")
        last = int(latest[0]) if latest else 0
        require(last >= max(added, default=0), f"it has gone back to {last}, after {max(added, default=0)}")

    def outcomes(self) -> dict[str, str]:
        """What became of each number."""
        return {str(number): json.dumps(_answer(request)) for number, request in self.asked}


def _answer(request: SentRequest) -> Any:
    outcome = request.outcome
    return None if outcome is None or outcome.kind != "response" else outcome.body


def _options(_: object, chance: Random) -> Options:
    return {"times": sorted([round(chance.uniform(0.0, 20.0), 3)] for _ in range(chance.randint(1, 40)))}


def ledger(package: Path) -> Scenario:
    """The scenario, with the package laid down there."""
    return Scenario(
        name="ledger",
        about="what a guest keeps by WASI survives what its machine does not",
        nodes=(NODE, "b.nec"),
        topology=lambda names: tuple(NodePlan(name, (package,) if name == NODE else ()) for name in names),
        options=_options,
        begin=_Story,
        drawers=(crash, unsynced, disk_full),
    )
