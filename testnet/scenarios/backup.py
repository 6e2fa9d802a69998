"""Nodes that are backed up while they work: what was called safe is restored bit for bit, and nothing silently wrong.

Each node copies itself to three remotes, and in some plans also to another node: each keeps the copies of the next one.
Remotes fail and damage what they hold, nodes crash and lose power, and disks
are lost for good: then a node comes back on an empty one, with its recovery phrase and one remote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, get_args

from testnet.faults import draw
from testnet.faults.remote_fails import RemoteFails
from testnet.faults.schedule import Schedule, Step, ordered
from testnet.model.backups import DAMAGING, BackupTask, LabBackups, RemoteTrouble, Restoring, SafeCopy
from testnet.model.lab import PACKAGES, Json, Lab, SentRequest
from testnet.scenarios import processes
from testnet.scenarios.scenario import Options, Plan, Scenario, everywhere, require
from testnet.scenarios.store import Versions, versions
from testnet.scenarios.timing import BACK_SECONDS, ended, in_time, told

STORE, VFS, HELLO = "our@store:store:sys", "our@vfs:distro:sys", "our@hello:hello:sys"
KEPT = "kept:store:sys"
"""A process that is none of a package's: only the table of processes knows of it."""
_CODE = PACKAGES / "crash_isolation" / "pkg" / "decoder.wasm"
_DIGITS, _DECODED = 1234, 2444
DRIVE = "/store:sys/files"
FIRST, *_ = REMOTES = ("one", "two", "three")
"""Those of the first node; others have the first one of these. It never damages anything, so there is always one to
restore from."""
NODE = "node://"
"""What a remote's name begins with that is a node."""
_QUOTA = 1 << 30
_CALMS = 15.0
"""Seconds after the last fault in which all nodes reach each other again."""
PATIENCE = 60
_ENDS = 800.0
"""Seconds in which everything that was begun with backups has ended: a request that a keeper has taken just before it
ended is given up after ten minutes."""
KEYS, FILES = "abc", "xyz"
SECONDS = 10.0
MAX_TIMES = 24
"""At which something is done."""
MOST_BYTES = 60_000
"""Of a file."""
_PATCH_BYTES = 100
_USES = ("put", "put", "look", "write", "write", "append", "patch", "patch", "remove")
_RETRY = 1.0
_WAITS = 2.0
"""Seconds that a command waits for the end of another one."""
_NODE_FAULTS = (draw.crash, draw.crash, draw.pause, draw.unsynced, draw.disk_full, draw.clock_step, draw.partition)
_TROUBLES: tuple[RemoteTrouble, ...] = get_args(RemoteTrouble)
_HARMLESS = tuple(how for how in _TROUBLES if how not in DAMAGING)


@dataclass(slots=True)
class StoreLook:
    """A Dump of a node's store: what it shows is durable."""

    request: SentRequest
    seen: float | None = None
    """When the answer was there, at the latest."""

    @property
    def shown(self) -> Versions:
        """The version of each key."""
        assert self.request.outcome is not None
        return versions(self.request.outcome.body["Dump"])


@dataclass(slots=True)
class _Story:
    lab: Lab
    plan: Plan
    looks: dict[str, list[StoreLook]] = field(default_factory=dict)
    requests: list[SentRequest] = field(default_factory=list)
    written: int = 0

    def work(self) -> None:
        """Do everything at its time, and wait until it is over."""
        self.looks = {node: [] for node in self.plan.nodes}
        for kind, node, *more in in_time(self.lab, self.plan.options["events"]):
            self._notice(node)
            if not self.lab.ready(node):
                continue
            match kind:
                case "lose":
                    self._lose(node, *more)
                case "run" | "prune" | "rotate" | "verify":
                    self._back_up(kind, node, *more)
                case _:
                    self._use(kind, node, *more)
        self.lab.wait(ended(self.requests), PATIENCE + 10.0, "every outcome")

    def _use(self, kind: str, node: str, *more: Any) -> None:
        match kind, more:
            case "put", (key,):
                self._begin(node, STORE, {"Put": {"key": key, "value": f"value {self.lab.now:.3f}"}})
            case "look", ():
                self.looks[node].append(StoreLook(self._begin(node, STORE, "Dump")))
            case "write" | "append", (name, size):
                self.written += 1
                action = {"write": "Write", "append": "Append"}[kind]
                content = _content(self.plan, self.written, size)
                self._begin(node, VFS, {"path": f"{DRIVE}/{name}", "action": action}, content)
            case "patch", (name, size):
                self.written += 1
                body = {"path": f"{DRIVE}/{name}", "action": {"WriteAt": {"offset": size}}}
                self._begin(node, VFS, body, _content(self.plan, self.written, _PATCH_BYTES))
            case "remove", (name,):
                self._begin(node, VFS, {"path": f"{DRIVE}/{name}", "action": "RemoveFile"})

    def _begin(self, node: str, target: str, body: Json, blob: bytes | None = None) -> SentRequest:
        request = self.lab.begin(node, target, body, PATIENCE, blob)
        self.requests.append(request)
        return request

    def _back_up(self, kind: str, node: str, *more: Any) -> None:
        backups = self.lab.backups(node)
        limit = self.lab.now + _WAITS
        while backups.busy and self.lab.now < limit:
            self.lab.rest(_WAITS / 10)
        if backups.busy or not self.lab.ready(node):
            return
        match kind, more:
            case "run", ():
                backups.run()
            case "prune", (remote, keep):
                backups.prune(remote, keep)
            case "rotate", ():
                backups.rotate()
            case "verify", (remote,):
                backups.verify(remote)

    def _notice(self, node: str) -> None:
        """Take note of the answers that are there."""
        for look in self.looks[node]:
            if look.seen is None and look.request.outcome is not None and look.request.outcome.kind == "response":
                look.seen = self.lab.now

    # --- a disk is lost ---------------------------------------------------------------------------------------------

    def _lose(self, node: str, remote: str) -> None:
        """Lose the node's disk for good, unless nothing would be left of it, and restore it."""
        backups = self.lab.backups(node)
        safe = backups.safe()
        if not any(backups.kept_promises(each) for each in safe):
            return
        backups.lose_disk()
        limit = self.lab.now + SECONDS + _ENDS
        places = [remote, *(each for each in backups.remotes if each != remote)]
        while backups.lost:
            require(self.lab.now < limit, f"{node} could not be restored from any of {', '.join(places)}")
            for place in places:
                restoring = backups.restore(place)
                self._await(restoring, f"the restore of {node} from {place}")
                if self._is_restored(backups, node, restoring, safe):
                    self._bring_back(backups, node, restoring)
                    break
            else:
                self.lab.rest(_RETRY)

    def _is_restored(
        self, backups: LabBackups, node: str, restoring: Restoring, safe: Mapping[str, SafeCopy], least: int = 0
    ) -> bool:
        """Check what came of a restore, and return whether there is a disk."""
        remote = restoring.remote
        if restoring.failure is not None:
            excused = not restoring.undisturbed or not _must_hold(backups, remote, safe)
            require(excused, f"{remote} has done nothing wrong, and {node} is not restored: {restoring.failure}")
            return False
        truth = backups.truth(remote, restoring.number)
        assert truth is not None, f"nobody has made copy {restoring.number} in {remote}"
        for path in sorted({*truth.files, *restoring.files}):
            same = truth.files.get(path) == restoring.files.get(path)
            require(same, f"copy {restoring.number} of {node} in {remote} has another {path.decode()} than {node} had")
        if least or (restoring.undisturbed and _must_hold(backups, remote, safe)):
            number = safe[remote].number
            older = f"copy {number} of {node} is safe in {remote}, and copy {restoring.number} was restored"
            require(restoring.number >= number, older)
        return True

    def _bring_back(self, backups: LabBackups, node: str, restoring: Restoring) -> None:
        """Start the node on its new disk: what it showed after that copy was made, it need not show any more."""
        truth = backups.truth(restoring.remote, restoring.number)
        assert truth is not None
        self.looks[node] = [look for look in self.looks[node] if look.seen is not None and look.seen <= truth.at]
        backups.bring_back(restoring)

    def _await(self, task: BackupTask, what: str) -> None:
        self.lab.wait(lambda: task.done, _ENDS, what)

    # --- what must hold ---------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Check that all is restored that was called safe, and that a node that comes back has what it had."""
        if _keepers(self.plan.nodes, self.plan.options):
            self.lab.rest(_CALMS)
        for node in self.plan.nodes:
            self._notice(node)
            self._has_what_it_showed(node)
            self._runs_once_more(node)
            for remote in self.lab.backups(node).remotes:
                self._is_whole(node, remote)
            self._ran_as_it_should(node)
        self._comes_back(*self.plan.options["last"])

    def _ran_as_it_should(self, node: str) -> None:
        """Check that no run has failed for nothing, and that none has gone on where it must not."""
        backups = self.lab.backups(node)
        for run in backups.runs:
            good = run.failure is None or not run.undisturbed or not backups.kept_promises(run.remote)
            require(good, f"{run.remote} has done nothing wrong, and takes no copy of {node}: {run.failure}")
            refused = not run.is_due_a_refusal or run.failure is not None
            require(refused, f"{run.remote} has gone back to an older state, and {node} has not noticed")

    def _has_what_it_showed(self, node: str) -> Versions:
        shown = versions(told(self.lab, node, STORE, "Dump", "Dump"))
        for look in self.looks[node]:
            for key, version in look.shown.items() if look.seen is not None else ():
                found = shown.get(key, 0)
                require(found >= version, f"{node} shows version {found} of {key!r} after version {version}")
        limit = self.lab.now + BACK_SECONDS
        while (answer := self.lab.ask(node, f"our@{KEPT}", _DIGITS, PATIENCE)).body != _DECODED:
            require(self.lab.now < limit, f"{KEPT} on {node} says {answer}")
            self.lab.rest(_RETRY)
        return shown

    def _runs_once_more(self, node: str) -> None:
        """Check that all remotes that have done nothing wrong take a copy when all is well."""
        backups = self.lab.backups(node)
        self.lab.wait(lambda: not backups.busy, _ENDS, f"the end of what {node} does with its backups")
        runs = backups.run()
        for run in runs:
            self._await(run, f"a copy of {node} to {run.remote}")
        lost = [run.remote for run in runs if _is_keeper(run.remote) and run.is_due_a_refusal]
        if not lost:
            return
        for remote in lost:
            gone = not backups.kept_promises(remote)
            require(gone, f"{remote} has lost what it kept for {node}, although it has not lost its disk")
            backups.add_again(remote)
        for run in backups.run():
            self._await(run, f"a copy of {node} to {run.remote}")
            stored = run.failure is None or not run.undisturbed or run.remote not in lost
            require(stored, f"{run.remote} was added again, and takes no copy of {node}: {run.failure}")

    def _is_whole(self, node: str, remote: str) -> None:
        """Check that a remote has what was called safe, or that what is damaged is named."""
        backups, safe = self.lab.backups(node), self.lab.backups(node).safe()
        twice = backups.stored_twice(remote)
        require(not twice, f"{len(twice)} chunks of {node} were stored in {remote}, and stored there again")
        verifying = backups.verify(remote)
        self._await(verifying, f"the verification of {remote}")
        clean = verifying.failure is None and not verifying.damages
        wrong = verifying.failure or "; ".join(verifying.damages[:3]) if not clean else ""
        excused = not backups.kept_promises(remote) or backups.was_stale(remote)
        require(clean or excused, f"{remote} of {node} has done nothing wrong: {wrong}")
        least = safe[remote].number if remote in safe else 0
        restoring = backups.restore(remote, least)
        self._await(restoring, f"a restore of {node} from {remote}")
        restored = self._is_restored(backups, node, restoring, safe, least)
        found = f"{remote} of {node} was found to be whole, and cannot be restored: {restoring.failure}"
        require(restored or not clean or remote not in safe, found)

    def _comes_back(self, node: str, remote: str) -> None:
        """Check that a node that has lost its disk is what it was."""
        backups = self.lab.backups(node)
        before = self._has_what_it_showed(node)
        number = max(safe.number for each, safe in backups.safe().items() if backups.kept_promises(each))
        self._lose(node, remote)
        self.lab.wait(lambda: self.lab.ready(node), PATIENCE, f"that {node} is back")
        after = self._has_what_it_showed(node)
        if backups.safe().get(remote, SafeCopy(0, 0)).number >= number:
            require(after == before, f"{node} had {before}, and has {after} when it is back")
        other = next(each for each in self.plan.nodes if each != node)
        greeting = {"Ask": {"node": node, "name": "Ada", "timeout": PATIENCE}}
        limit = self.lab.now + BACK_SECONDS
        while "Answered" not in ((answer := self.lab.ask(other, HELLO, greeting, PATIENCE)).body or ()):
            require(self.lab.now < limit, f"{node} is back, and {other} does not reach it: {answer}")
            self.lab.rest(_RETRY)


def _must_hold(backups: LabBackups, remote: str, safe: Mapping[str, SafeCopy]) -> bool:
    """Return whether what was called safe in a remote must be there."""
    truth = backups.truth(remote, safe[remote].number) if remote in safe else None
    return truth is not None and backups.kept_promises(remote, truth.at)


def _is_keeper(remote: str) -> bool:
    return remote.startswith(NODE)


def _keepers(nodes: Sequence[str], options: Mapping[str, Any]) -> dict[str, str]:
    """Return the keeper of each node: the one before it, and the last one of the first."""
    return dict(zip(nodes, (nodes[-1], *nodes), strict=False)) if "keepers" in options else {}


def _content(plan: Plan, number: int, size: int) -> bytes:
    """Return what a file gets: bytes that compress, and some that do not."""
    noise = Random(f"{plan.seed}/file {number}").randbytes(size // 2)
    return noise + bytes(size - len(noise))


def _options(names: Sequence[str], chance: Random) -> Options:
    """Draw what is used, copied and lost, when."""
    events: list[list[Any]] = [[0.0, "run", names[0]]]
    kinds = (*_USES, *4 * ("run",), "prune", "rotate", "verify")
    for _ in range(chance.randint(4, MAX_TIMES)):
        at, node = round(chance.uniform(0.0, SECONDS - 1.0), 3), _mostly_first(names, chance)
        events.append([at, *_event(chance.choice(kinds), node, _remote_of(node, names, chance), chance)])
    if chance.random() < 0.4:
        events.append([round(chance.uniform(2.0, SECONDS - 2.0), 3), "lose", names[0], chance.choice(REMOTES)])
    if chance.random() < 0.5:
        events.append([round(chance.uniform(0.6 * SECONDS, SECONDS), 3), "prune", names[0], FIRST, 2])
    plans = {remote: chance.choice((None, None, None, 1, 3)) for remote in REMOTES}
    options: Options = {"plans": plans, "events": events, "last": [names[0], chance.choice(REMOTES)]}
    if chance.random() < 0.4:
        options["keepers"] = chance.choice((None, None, 1, 3))
        _use_keepers(names, options, chance)
    events.sort()
    return options


def _use_keepers(names: Sequence[str], options: Options, chance: Random) -> None:
    """Draw what is done to keepers, and restored from them."""
    keeper = NODE + _keepers(names, options)[names[0]]
    for event in options["events"]:
        if event[1] in ("lose", "verify", "prune") and event[2] == names[0] and chance.random() < 0.5:
            event[3] = keeper
    if chance.random() < 0.3:
        lost = chance.choice(list(names[1:]))
        options["events"].append([round(chance.uniform(2.0, SECONDS - 2.0), 3), "lose", lost, FIRST])
    if chance.random() < 0.5:
        options["last"][1] = keeper


def _mostly_first(names: Sequence[str], chance: Random) -> str:
    """Draw a node: the first one makes many copies, so that they can be pruned, and the others are there too."""
    return names[0] if chance.random() < 0.8 else chance.choice(list(names[1:]))


def _remote_of(node: str, names: Sequence[str], chance: Random) -> str:
    return chance.choice(REMOTES) if node == names[0] else FIRST


def _event(kind: str, node: str, remote: str, chance: Random) -> list[Any]:
    match kind:
        case "put":
            return [kind, node, chance.choice(KEYS)]
        case "write" | "append" | "patch":
            return [kind, node, chance.choice(FILES), round(MOST_BYTES * chance.random() ** 3)]
        case "remove":
            return [kind, node, chance.choice(FILES)]
        case "prune":
            return [kind, node, remote, chance.choice((1, 2, 2, 3))]
        case "verify":
            return [kind, node, remote]
    return [kind, node]


def remote_fails(nodes: Sequence[str], chance: Random) -> RemoteFails:
    """Draw a fault of this kind."""
    node = _mostly_first(nodes, chance)
    remote = _remote_of(node, nodes, chance)
    how = chance.choice((*_HARMLESS, "flaky", "flaky", *(_TROUBLES if remote != FIRST else ())))
    return RemoteFails(node, remote, how)


def _draw(names: Sequence[str], seconds: float, chance: Random) -> Schedule:
    drawn = [*draw.draw_schedule(_NODE_FAULTS, names, seconds, chance)]
    for _ in range(chance.choice((0, 1, 2, 4, 8))):
        at = round(chance.uniform(0.0, seconds * 0.9), 3)
        drawn.append(Step(at, round(min(seconds, at + chance.expovariate(0.5)), 3), remote_fails(names, chance)))
    return ordered(drawn)


def _begin(lab: Lab, plan: Plan) -> _Story:
    keepers = _keepers(plan.nodes, plan.options)
    for node, keeper in keepers.items():
        lab.backups(keeper).accept(node, _QUOTA)
    for node, other in zip(plan.nodes, (*plan.nodes[1:], plan.nodes[0]), strict=True):
        plans = plan.options["plans"]
        kept = {NODE + keepers[node]: plan.options["keepers"]} if keepers else {}
        lab.backups(node).add((plans if node == plan.nodes[0] else {FIRST: plans[FIRST]}) | kept)
        outcome = lab.ask(node, STORE, {"Lead": {"replica": other}}, PATIENCE)
        require(outcome.body == "Ok", f"{node} did not take its role: {outcome}")
        outcome = lab.ask(node, VFS, {"path": DRIVE, "action": "CreateDrive"}, PATIENCE)
        require(outcome.body == "Ok", f"{node} makes no drive: {outcome}")
        processes.make(lab, node, KEPT, _CODE, "Restart")
        processes.run(lab, node, KEPT)
    lab.rest(1.0)  # the table of processes is written a moment after the answer
    return _Story(lab, plan)


BACKUP = Scenario(
    name="backup",
    about="nodes lose their disks for good, and come back from remotes that fail: what was called safe is restored",
    nodes=("a.nec", "b.nec"),
    topology=everywhere("store"),
    options=_options,
    begin=_begin,
    draw=_draw,
    seconds=SECONDS,
    most_nodes=8,
    deadline=3600.0,
)
