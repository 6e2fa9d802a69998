"""Files between nodes: each arrives byte for byte, or its sender is told that it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from testnet.faults import draw
from testnet.model.lab import Lab, SentRequest
from testnet.scenarios.scenario import Options, Outcomes, Plan, Scenario, everywhere, require
from testnet.scenarios.timing import ended, in_time

PROCESS = "our@file_transfer:file_transfer:sys"
PATIENCE = 300
"""Seconds that a transfer may take until its sender hears how it ended."""
_SIZES = (0, 1, 1000, 65_536, 300_000, 2_000_000)


@dataclass(slots=True)
class _Transfer:
    source: str
    target: str
    name: str
    data: bytes
    request: SentRequest


@dataclass(slots=True)
class _Story:
    lab: Lab
    plan: Plan
    transfers: list[_Transfer] = field(default_factory=list)

    def work(self) -> None:
        """Offer each file at its time, and wait for all outcomes."""
        for number, (source, target, size) in enumerate(in_time(self.lab, self.plan.options["files"])):
            if self.lab.ready(source):
                self._offer(source, target, f"file{number}.bin", size)
        self.lab.wait(ended(each.request for each in self.transfers), PATIENCE + 10.0, "the outcome of every transfer")

    def _offer(self, source: str, target: str, name: str, size: int) -> None:
        data = self.lab.chance("file", name).randbytes(size)
        path = self.lab.share(source, data, name)
        order = {"Send": {"id": name, "path": path, "name": name, "to": target}}
        request = self.lab.begin(source, PROCESS, order, PATIENCE)
        self.transfers.append(_Transfer(source, target, name, data, request))

    def check(self) -> None:
        """Check that each file that was reported as done is there, whole, and that no other file has a final name."""
        for each in self.transfers:
            outcome = each.request.outcome
            done = outcome is not None and outcome.kind == "response" and "Done" in outcome.body
            received = self.lab.received(each.target, each.name)
            require(received is not None or not done, f"{each.source} was told that {each.name} is there; it is not")
            require(received in (None, each.data), f"{each.name} on {each.target} differs from what {each.source} sent")

    def outcomes(self) -> Outcomes:
        return {
            f"{each.name}, {len(each.data)} bytes, {each.source} to {each.target}": self._outcome(each)
            for each in self.transfers
        }

    def _outcome(self, transfer: _Transfer) -> str:
        outcome = transfer.request.outcome
        there = self.lab.received(transfer.target, transfer.name) is not None
        place = "the file is there" if there else "no file is there"
        if outcome is None or outcome.kind != "response":
            return f"{'nothing' if outcome is None else outcome.kind}; {place}"
        (variant, body), *_ = outcome.body.items()
        return f"{variant} {body.get('kind', '')}".rstrip() + f"; {place}"


def _options(names: Sequence[str], chance: Random) -> Options:
    count = chance.randint(1, 2 * len(names))
    files = []
    for at in sorted(round(chance.uniform(0.0, 10.0), 3) for _ in range(count)):
        source, target = chance.sample(list(names), 2)
        files.append([at, source, target, chance.choice(_SIZES)])
    return {"files": files}


FILE_TRANSFER = Scenario(
    name="file_transfer",
    about="files between nodes arrive byte for byte, or their senders are told that they do not",
    nodes=("send.nec", "recv.nec"),
    topology=everywhere("file_transfer"),
    options=_options,
    begin=_Story,
    drawers=draw.ALL,
)

CUT_FILES = replace(
    FILE_TRANSFER,
    name="cut_files",
    about="files whose connections break in the midst of them go on where they stopped",
    drawers=(draw.late_reset,),
)
"""Among all other faults that hardly ever happens."""
