"""A package asks for all that a disk can be asked for, and another one beside it works as ever (G23).

The greedy one hashes and copies files that are nothing but holes, makes files longer than any disk, folders without
end, fills its quota, removes and writes again, and waits a second for each. The honest one copies a file step by step
and compares the hashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from testnet.model.lab import Json, Lab, Level, NodePlan, SentRequest
from testnet.scenarios.scenario import Options, Plan, Scenario, require
from testnet.scenarios.timing import ended, in_time

GREEDY, HONEST, VFS = "our@disk_user:disk_user:sys", "our@heavy_io:heavy_io:sys", "our@vfs:distro:sys"
DRIVE, FILES = "/disk_user:sys/d", "/heavy_io:sys/files"
PATIENCE = 60
"""Seconds in which everything has an outcome."""
AWHILE = 1
"""Seconds that the greedy one waits for anything."""
HOLES = 6
"""Files of its."""
HOLE_BYTES = 600 << 20
"""The bytes of each file; together they are less than the quota, and a simulated disk hashes one in a second."""
TOO_LONG = 1 << 39
"""Bytes: more than the quota, and less than a simulated disk."""
COPIED_BYTES = 3 << 20
MANY = 30
"""Requests in one go."""
KINDS = ("hash", "copy", "sparse", "folders", "fill", "remove", "list")


@dataclass(slots=True)
class _Story:
    lab: Lab
    plan: Plan
    runs: list[SentRequest] = field(default_factory=list)
    greedy: list[SentRequest] = field(default_factory=list)
    sparse: list[SentRequest] = field(default_factory=list)

    @property
    def _node(self) -> str:
        return self.plan.nodes[0]

    def work(self) -> None:
        """Do everything at its time, and wait for all outcomes."""
        for kind, count in in_time(self.lab, self.plan.options["events"]):
            if kind == "run":
                self._run(len(self.runs))
            else:
                for number in range(count):
                    self._beg(kind, number)
        self.lab.wait(ended(self.runs), PATIENCE, "the outcome of every copy")
        self.lab.wait(ended(self.greedy), PATIENCE, "an outcome of everything that was asked of the disk")

    def _run(self, number: int) -> None:
        body = {"Run": {"from": f"{FILES}/from", "to": f"{FILES}/to {number}"}}
        self.runs.append(self.lab.begin(self._node, HONEST, body, PATIENCE))

    def _beg(self, kind: str, number: int) -> None:
        hole = f"{DRIVE}/hole {number % HOLES}"
        requests: dict[str, tuple[str, Json]] = {
            "hash": (hole, "Hash"),
            "copy": (hole, {"CopyFile": {"new_path": f"{DRIVE}/copy {number}"}}),
            "sparse": (f"{DRIVE}/sparse", {"SetLen": TOO_LONG}),
            "folders": (f"{DRIVE}/folders/{number}", "CreateDirAll"),
            "fill": (f"{DRIVE}/filled", "Append"),
            "remove": (f"{DRIVE}/copy {number}", "RemoveFile"),
            "list": (DRIVE, "ReadDir"),
        }
        path, action = requests[kind]
        request = beg(self.lab, self._node, path, action, bytes=1 << 16 if kind == "fill" else 0)
        self.greedy.append(request)
        if kind == "sparse":
            self.sparse.append(request)

    def check(self) -> None:
        """Check that the honest package's copies were right and in time, that abandoned work is gone, and that the
        quota held."""
        for number, run in enumerate(self.runs):
            outcome = run.outcome
            right = outcome is not None and outcome.kind == "response" and "Ran" in outcome.body
            require(right, f"copy {number} of the honest package: {outcome}")
        for request in self.sparse:
            refused = request.outcome is not None and "Err" in request.outcome.body
            require(refused, f"a file was made {TOO_LONG} bytes long, whatever the quota: {request.outcome}")
        self._works_in_time()
        self._has_given_up()

    def _works_in_time(self) -> None:
        """Check that the honest package is nearly as fast as alone while the greedy one hashes without end."""
        for number in range(MANY):
            self._beg("hash", number)
        self._run(len(self.runs))
        began, run = self.lab.now, self.runs[-1]
        self.lab.wait(ended([run]), PATIENCE, "the outcome of a copy")
        took, limit = self.lab.now - began, soon(self.lab)
        require(took <= limit, f"the honest package's copy took {took:.1f} s beside hashes without end, not {limit} s")

    def _has_given_up(self) -> None:
        """Check that the greedy package has no hashes left once it has waited long enough, and that the next one is
        done."""
        self.lab.wait(ended(self.greedy), PATIENCE, "an outcome of every hash")
        began, limit = self.lab.now, soon(self.lab)
        outcome = beg(self.lab, self._node, f"{DRIVE}/small", "Hash", seconds=PATIENCE)
        self.lab.wait(ended([outcome]), 2 * PATIENCE, "a small file's hash")
        took = self.lab.now - began
        right = outcome.outcome is not None and "Hash" in outcome.outcome.body
        require(right, f"a small file's hash: {outcome.outcome}")
        require(
            took <= limit, f"a small file's hash took {took:.1f} s behind some that nobody waits for, not {limit} s"
        )


def beg(lab: Lab, node: str, path: str, action: Json, *, seconds: int = AWHILE, bytes: int = 0) -> SentRequest:
    """Have the greedy package ask vfs, and wait so long."""
    body = {"Ask": {"body": {"path": path, "action": action}, "seconds": seconds, "bytes": bytes}}
    return lab.begin(node, GREEDY, body, PATIENCE + seconds)


def soon(lab: Lab) -> float:
    """Return the seconds in which a small operation is done on a shared disk."""
    return 0.5 if lab.level is Level.SIMULATION else 15.0


def _topology(names: Sequence[str]) -> tuple[NodePlan, ...]:
    return tuple(NodePlan(name, ("disk_user", "heavy_io") if name == names[0] else ("hello",)) for name in names)


def _options(names: Sequence[str], chance: Random) -> Options:
    """Draw bursts of the greedy package, and copies of the honest one among them."""
    events: list[list[Any]] = [[round(chance.uniform(0.0, 1.5), 3), "run", 1] for _ in range(chance.randint(1, 4))]
    kinds = ["sparse", *(chance.choice(KINDS) for _ in range(chance.randint(2, 10)))]
    events += [[round(chance.uniform(0.0, 1.5), 3), kind, chance.randint(1, MANY)] for kind in kinds]
    return {"events": sorted(events)}


def _begin(lab: Lab, plan: Plan) -> _Story:
    node = plan.nodes[0]
    files = [
        f"{DRIVE}/{name}" for name in ("sparse", "filled", "small", *(f"hole {number}" for number in range(HOLES)))
    ]
    steps: list[tuple[str, Json]] = [(DRIVE, "CreateDrive"), *((file, "CreateFile") for file in files)]
    steps += [(file, {"SetLen": HOLE_BYTES}) for file in files[3:]]
    for path, action in steps:
        request = beg(lab, node, path, action, seconds=PATIENCE)
        lab.wait(ended([request]), PATIENCE, "the first files")
        require(request.outcome is not None and request.outcome.body == "Ok", f"{action} of {path}: {request.outcome}")
    source = f"{FILES}/from"
    for path, action in ((FILES, "CreateDrive"), (source, "CreateFile"), (source, {"SetLen": COPIED_BYTES})):
        outcome = lab.ask(node, VFS, {"path": path, "action": action}, PATIENCE)
        require(outcome.body == "Ok", f"{action} of {path}: {outcome}")
    return _Story(lab, plan)


CROWDED_DISK = Scenario(
    name="crowded_disk",
    about="a package asks for all that a disk can be asked for, and one beside it copies files in time",
    nodes=("crowded.nec", "other.nec"),
    topology=_topology,
    options=_options,
    begin=_begin,
    seconds=1.5,
)
