"""Folders between nodes: each arrives as it was, or not at all, and what was broken off can be sent again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from nectar_node.packing.packed_folder import PackedKind
from testnet.faults import draw
from testnet.model.folder_tree import FolderTree, TreeItem
from testnet.model.lab import Lab, SentRequest
from testnet.scenarios.file_transfer import PATIENCE, PROCESS
from testnet.scenarios.scenario import Options, Outcomes, Plan, Scenario, Violation, everywhere, require
from testnet.scenarios.timing import ended, in_time

_COUNTS = (0, 1, 7, 40)
"""Files of a folder."""
_SIZES = (0, 1, 1000, 4096, 30_000, 200_000)
_MODES = (0o600, 0o644, 0o755, 0o640)
_CANCELLED, _CANCELLED_AFTER = 0.4, (0.02, 0.4)
"""Probability that whoever sends a folder does not wait for the end, and after how many seconds."""
_REBUILT = 0.5
"""Probability that a folder changes before it is sent again."""
_FROM = 1_000_000_000_000_000_000
"""Nanoseconds since 1970 of the oldest file."""


@dataclass(slots=True)
class _Sending:
    source: str
    target: str
    name: str
    tree: FolderTree
    former: FolderTree | None = None
    """What was in the folder when it was sent first, if that has changed since."""
    requests: list[SentRequest] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether the sender was told that it has arrived."""
        return any(_variant(each) == "Done" for each in self.requests)


def _last_done(sending: _Sending) -> bool:
    return bool(sending.requests) and _variant(sending.requests[-1]) == "Done"


def _variant(request: SentRequest) -> str:
    outcome = request.outcome
    if outcome is None or outcome.kind != "response":
        return "nothing" if outcome is None else outcome.kind
    return str(next(iter(outcome.body)))


@dataclass(slots=True)
class _Story:
    lab: Lab
    plan: Plan
    sendings: list[_Sending] = field(default_factory=list)

    def work(self) -> None:
        """Offer each folder at its time, and wait for all outcomes; then send once more what has not arrived."""
        for number, (source, target, count) in enumerate(in_time(self.lab, self.plan.options["folders"])):
            name = f"folder{number}"
            sending = _Sending(source, target, name, _tree(self.lab.chance("folder", name), count))
            self.sendings.append(sending)
            self._send(sending)
            self._cancel(sending)
        self._wait()
        for sending in self.sendings:
            if sending.requests and not sending.done:
                self._rebuild(sending)
                self._send(sending)
        self._wait()

    def _send(self, sending: _Sending) -> None:
        if not self.lab.ready(sending.source):
            return
        path = self.lab.share_folder(sending.source, sending.tree, sending.name)
        id = f"{sending.name} {len(sending.requests)}"
        order = {"id": id, "path": path, "name": sending.name, "to": sending.target, "folder": True}
        sending.requests.append(self.lab.begin(sending.source, PROCESS, {"Send": order}, PATIENCE))

    def _cancel(self, sending: _Sending) -> None:
        """Now and then, break it off in the midst of it."""
        chance = self.lab.chance("cancelled", sending.name)
        if sending.requests and chance.random() < _CANCELLED:
            self.lab.rest(chance.uniform(*_CANCELLED_AFTER))
            if self.lab.ready(sending.source):
                self.lab.begin(sending.source, PROCESS, {"Cancel": {"id": f"{sending.name} 0"}}, PATIENCE)

    def _rebuild(self, sending: _Sending) -> None:
        """Let a file have other bytes now and then, and be as long and as old as before: so do builds that give all
        that they make one time. What has arrived of the folder no longer goes with the rest.
        """
        chance = self.lab.chance("rebuilt", sending.name)
        files = [path for path, item in sending.tree.items() if item.kind is PackedKind.FILE and item.content]
        if files and chance.random() < _REBUILT:
            path = chance.choice(files)
            item = sending.tree[path]
            sending.former = sending.tree
            sending.tree = sending.tree | {path: item._replace(content=chance.randbytes(len(item.content)))}

    def _wait(self) -> None:
        requests = [request for each in self.sendings for request in each.requests]
        self.lab.wait(ended(requests), PATIENCE + 10.0, "the outcome of every transfer")

    def check(self) -> None:
        """Check that each folder that was reported as done is there, that each that is there is as it was, and that
        none came twice."""
        for each in self.sendings:
            received = self.lab.received_folder(each.target, each.name)
            require(
                received is not None or not each.done, f"{each.source} was told that {each.name} is there; it is not"
            )
            if received is not None and received != each.former:
                self._check_same(each, received)
            twice = self.lab.received_folder(each.target, f"{each.name} (2)")
            if twice is None or received is None or received != each.former:
                require(twice is None, f"{each.name} came to {each.target} twice")
                require(received != each.former or not _last_done(each), f"{each.name} is not what was sent last")
            else:  # the first had arrived, and nobody was told
                self._check_same(each, twice)

    def _check_same(self, sending: _Sending, received: FolderTree) -> None:
        for path in sorted({*sending.tree, *received}):
            was, now = sending.tree.get(path), received.get(path)
            where = f"{path or '.'} of {sending.name} on {sending.target}"
            if now is None:
                raise Violation(f"{where} is missing")
            if was is None:
                raise Violation(f"{where} was never sent")
            require((was.kind, was.content) == (now.kind, now.content), f"{where} differs from what was sent")
            require(was.mode == now.mode, f"{where} has the permissions {now.mode:o} instead of {was.mode:o}")
            require(was.modified == now.modified, f"{where} has another time")

    def outcomes(self) -> Outcomes:
        return {
            f"{each.name}, {len(each.tree)} entries, {each.source} to {each.target}": self._outcome(each)
            for each in self.sendings
        }

    def _outcome(self, sending: _Sending) -> str:
        told = ", then ".join(_variant(each) for each in sending.requests) or "not sent"
        there = self.lab.received_folder(sending.target, sending.name) is not None
        return f"{told}; {'the folder is there' if there else 'no folder is there'}"


def _tree(chance: Random, count: int) -> FolderTree:
    """Return a folder with so many files, in folders in each other, some links, and an empty folder."""
    tree: FolderTree = {"": _folder(chance)}
    folders = [""]
    for number in range(count // 6 + 1):
        above = chance.choice(folders)
        path = f"{above}/d{number}" if above else f"d{number}"
        tree[path] = _folder(chance)
        folders.append(path)
    for number in range(count):
        above = chance.choice(folders)
        path = f"{above}/f{number}.bin" if above else f"f{number}.bin"
        content = chance.randbytes(chance.choice(_SIZES))
        tree[path] = TreeItem(PackedKind.FILE, chance.choice(_MODES), _time(chance), content)
    if count:
        tree["latest"] = TreeItem(PackedKind.LINK, 0, _time(chance), b"d0/somewhere")
    # Each folder before what is in it, as they are packed.
    return dict(sorted(tree.items(), key=lambda item: tuple(item[0].split("/")) if item[0] else ()))


def _folder(chance: Random) -> TreeItem:
    return TreeItem(PackedKind.FOLDER, chance.choice((0o700, 0o755)), _time(chance))


def _time(chance: Random) -> int:
    return _FROM + chance.randrange(_FROM // 2)


def _options(names: Sequence[str], chance: Random) -> Options:
    folders = []
    for at in sorted(round(chance.uniform(0.0, 10.0), 3) for _ in range(chance.randint(1, len(names) + 1))):
        source, target = chance.sample(list(names), 2)
        folders.append([at, source, target, chance.choice(_COUNTS)])
    return {"folders": folders}


FOLDERS = Scenario(
    name="folders",
    about="folders between nodes arrive with names, times and permissions as they were, or not at all",
    nodes=("send.nec", "recv.nec"),
    topology=everywhere("file_transfer"),
    options=_options,
    begin=_Story,
    drawers=draw.ALL,
)
