"""A store and its replica: what was acknowledged survives every crash, and the two are equal when they can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from testnet.check import UNKNOWN, Converges, MonotonicReads, Operation, OperationHistory, ReadYourWrites
from testnet.faults import draw
from testnet.model.lab import Lab, SentRequest
from testnet.scenarios.scenario import Options, Outcomes, Plan, Scenario, everywhere, require
from testnet.scenarios.timing import answered, ended, in_time, may_forget, since, told

PROCESS = "our@store:store:sys"
PATIENCE = 90
"""Seconds that the user waits: store itself gives its replica 30, and 30 more if that lacks something."""
CATCH_UP = 60.0
"""Seconds after the network has healed in which the replica has everything."""
KEYS = "abcde"
Versions = Mapping[str, int]
"""Versions by key."""
MAX_TIMES = 40
"""At which something is put, or looked at."""


@dataclass(slots=True)
class Put:
    """A value that a user put."""

    key: str
    value: str
    at: float
    """When in the schedule."""
    request: SentRequest

    @property
    def acknowledged(self) -> dict[str, Any] | None:
        """Return what the user was told, or None for nothing."""
        found: dict[str, Any] | None = answered(self.request, "Put")
        return found

    def words(self) -> str:
        """Describe what the user was told."""
        if self.acknowledged is None:
            return f"not acknowledged: {self.request.outcome and self.request.outcome.kind}"
        return "replicated" if self.acknowledged["replicated"] else "acknowledged, not replicated"


@dataclass(slots=True)
class _Story:
    lab: Lab
    plan: Plan
    history: OperationHistory
    puts: list[Put] = field(default_factory=list)
    looks: list[SentRequest] = field(default_factory=list)

    @property
    def _nodes(self) -> tuple[str, str]:
        """The primary and its replica."""
        return self.plan.nodes[0], self.plan.nodes[1]

    def work(self) -> None:
        """Put values and look at both nodes, at their times, until all outcomes have come."""
        began = self.lab.now
        for number, (kind, what) in enumerate(in_time(self.lab, self.plan.options["events"])):
            if kind == "look":
                self._look(what)
            elif self.lab.ready(self._nodes[0]):
                self._put(what, f"value {number}", since(self.lab, began))
        request = [put.request for put in self.puts] + self.looks
        self.lab.wait(ended(request), PATIENCE + 10.0, "every outcome")

    def _put(self, key: str, value: str, at: float) -> None:
        primary, replica = self._nodes
        body = {"Put": {"key": key, "value": value}}
        request = self.lab.begin(primary, PROCESS, body, PATIENCE)
        self.puts.append(Put(key, value, at, request))
        self.history.follow(primary, request, "put", key, value, result=version_put)
        # What is acknowledged as replicated is as good as written at the replica.
        self.history.follow(replica, request, "put", key, value, result=version_replicated)

    def _look(self, node: str) -> None:
        if self.lab.ready(node):
            request = self.lab.begin(node, PROCESS, "Dump", PATIENCE)
            self.looks.append(request)
            follow_look(self.history, node, request)

    def check(self) -> None:
        """Check that nothing acknowledged was lost, and that both nodes have the same now. That nothing ever went back,
        the history says."""
        primary, replica = self._nodes
        for put in self.puts:
            ended_well = put.acknowledged is not None or may_forget(self.plan.schedule, primary, put.at)
            require(ended_well, f"{primary} never told what came of {put.value!r}: {put.request.outcome}")
        dumps = [self._dump(node) for node in self._nodes]
        check_kept(replica, dumps[1], [put for put in self.puts if (put.acknowledged or {}).get("replicated")])
        check_kept(primary, dumps[0], self.puts)
        self._become_equal()

    def outcomes(self) -> Outcomes:
        """Return the outcome of each Put, and the entries at the end."""
        entries = {entry["key"]: entry["value"] for entry in self._dump(self._nodes[0])["entries"]}
        there = {f"in the end, {key}": repr(value) for key, value in sorted(entries.items())}
        return {f"{put.value} as {put.key}": put.words() for put in self.puts} | there

    def _dump(self, node: str) -> dict[str, Any]:
        found: dict[str, Any] = told(self.lab, node, PROCESS, "Dump", "Dump")
        return found

    def _become_equal(self) -> None:
        """Look at both nodes until they are equal, or should have been: the history says which."""
        self.history.calm()
        limit = self.lab.now + CATCH_UP
        while True:
            late = self.lab.now > limit
            dumps = [self._looked_at(node) for node in self._nodes]
            if dumps[0] == dumps[1] or late:
                return
            self.lab.rest(1.0)

    def _looked_at(self, node: str) -> dict[str, Any]:
        calls = {key: self.history.call(node, "get", key) for key in KEYS}
        dump = self._dump(node)
        for key, call in calls.items():
            call.ok(entry_of(dump, key))
        return dump


def versions(dump: dict[str, Any]) -> Versions:
    """Return the version of each key in a Dump."""
    return {entry["key"]: entry["version"] for entry in dump["entries"]}


def entry_of(dump: dict[str, Any], key: str) -> tuple[int, str | None]:
    """Return the version and the value of a key in a Dump: 0 and None if there is none."""
    entries = {entry["key"]: (entry["version"], entry["value"]) for entry in dump["entries"]}
    return entries.get(key, (0, None))


def version_put(body: Any) -> Any:
    """Return the version and value that a Put was told to have made; unknown if it was told something else."""
    return (body["Put"]["version"], None) if "Put" in body else UNKNOWN


def version_replicated(body: Any) -> Any:
    """Return the same if it was told that the replica has it; unknown otherwise."""
    return version_put(body) if "Put" in body and body["Put"]["replicated"] else UNKNOWN


def seen_version(operation: Operation) -> int | None:
    """Return the version that an operation of the history has made or seen."""
    result = operation.result
    return result[0] if isinstance(result, tuple) and isinstance(result[0], int) else None


def _read(key: str, body: Any) -> tuple[int, str | None]:
    return entry_of(body["Dump"], key)


def follow_look(history: OperationHistory, node: str, request: SentRequest) -> None:
    """Record a Dump that a user asked a node for: each key is read."""
    for key in KEYS:
        history.follow(node, request, "get", key, result=partial(_read, key))


def promised(lab: Lab) -> OperationHistory:
    """Return a history of what a store promises to whoever looks at one of its nodes."""
    return lab.history(
        MonotonicReads(version=seen_version),
        ReadYourWrites(version=seen_version),
        Converges(CATCH_UP),
        name="the store",
    )


def check_kept(node: str, dump: dict[str, Any], puts: Sequence[Put]) -> None:
    """Check that each value that was acknowledged is there, or a later one of its key, and that what is there was
    put."""
    entries = {entry["key"]: entry for entry in dump["entries"]}
    for put in puts:
        known = put.acknowledged
        if known is None:
            continue
        entry = entries.get(put.key, {"version": 0, "value": None})
        what = f"{node} has {entry['value']!r} as version {entry['version']} of {put.key!r}"
        least = known["version"]
        require(entry["version"] >= least, f"{what}; {put.value!r} was acknowledged as version {least}")
        same = (entry["version"] == least) == (entry["value"] == put.value)
        require(same, f"{what}; as version {least} {put.value!r} was acknowledged")


def _options(names: Sequence[str], chance: Random) -> Options:
    """Draw puts, single and in bursts, and looks at both nodes between them."""
    events: list[list[Any]] = []
    for _ in range(chance.randint(1, MAX_TIMES)):
        at = round(chance.uniform(0.0, 18.0), 3)
        if chance.random() < 0.3:
            events.append([at, "look", chance.choice(list(names[:2]))])
        else:
            events += [[at, "put", chance.choice(KEYS)] for _ in range(chance.choice((1, 1, 1, 3, 10)))]
    return {"events": sorted(events)}


def _begin(lab: Lab, plan: Plan) -> _Story:
    primary, replica = plan.nodes[0], plan.nodes[1]
    roles = ((primary, {"Lead": {"replica": replica}}), (replica, {"Follow": {"primary": primary}}))
    for node, role in roles:
        outcome = lab.ask(node, PROCESS, role, 60)
        require(outcome.body == "Ok", f"{node} did not take its role: {outcome}")
    return _Story(lab, plan, promised(lab))


STORE = Scenario(
    name="store",
    about="what a store acknowledges survives crashes of its nodes, and its replica equals it when the network is well",
    nodes=("main.nec", "copy.nec"),
    topology=everywhere("store"),
    options=_options,
    begin=_begin,
    drawers=draw.ALL,
)
