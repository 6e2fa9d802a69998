"""Plans whose outcomes are clear: what decides them lies seconds apart, so that a slow machine comes to the same ones.

Every plan has nodes whose links break, or that end, in the midst of it; a wait that a fault shall outlast is shorter
than it by a second and more, and one that shall outlast a fault is longer by some seconds. After a partition TCP waits
before it sends again, up to as long again: what follows leaves time for that.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from testnet.journal.journal import Header
from testnet.runs.plans import plan_untrusted
from testnet.scenarios import SCENARIOS
from testnet.scenarios.scenario import Plan, Scenario

SEED = 1


@dataclass(frozen=True, slots=True)
class Levelled:
    """A plan for all levels."""

    plan: Plan
    seconds: float
    """How long there are faults: less than usual."""
    quick: bool = False
    """Whether a usual run of the tests plays it with real nodes."""
    shows: dict[str, str] = field(default_factory=dict)
    """Some of its outcomes: those that its faults are there for."""

    @property
    def name(self) -> str:
        """Of its scenario."""
        return self.plan.scenario

    @property
    def scenario(self) -> Scenario:
        """With that many seconds."""
        return replace(SCENARIOS[self.name], seconds=self.seconds)


def _plan(name: str, nodes: str, options: dict[str, Any], *faults: dict[str, Any]) -> Plan:
    return plan_untrusted(Header(name, SEED, tuple(nodes.split()), options, faults), f"the plan of {name}")


def _run(author: str, target: str, count: int, timeout: int, **more: Any) -> dict[str, Any]:
    return {"author": author, "targets": [target], "count": count, "gap_ms": 0, "timeout": timeout, **more}


CHAINS = Levelled(
    _plan(
        "chains",
        "a.nec b.nec c.nec",
        {
            "chains": [
                [0.2, _run("a.nec", "b.nec", 5, 20, path=["c.nec", "a.nec"], blob=1000)],
                [3.0, _run("a.nec", "b.nec", 5, 2, path=["c.nec"], blob=0)],
                [3.0, _run("c.nec", "a.nec", 5, 20, path=["c.nec"], blob=0)],
                [9.5, _run("a.nec", "c.nec", 5, 20, path=["b.nec"], blob=1000)],
            ],
            "under_way": 5.0,
        },
        {"kind": "partition", "node": "b.nec", "at": 2.0, "until": 8.0},
        {"kind": "refusal", "between": ["a.nec", "c.nec"], "at": 9.0, "until": 18.0},
        {"kind": "reset", "between": ["a.nec", "c.nec"], "at": 9.0, "until": 18.0},
    ),
    18.0,
    shows={
        "chain 0: a.nec to b.nec": "5 sent, 5 answered, 0 returned, 0 offline, 0 timeout",
        "chain 1: a.nec to b.nec": "5 sent, 0 answered, 0 returned, 0 offline, 5 timeout",
        "chain 3: a.nec to c.nec": "5 sent, 0 answered, 0 returned, 5 offline, 0 timeout",
    },
)
"""A node cut off for longer than its requests wait; then a connection broken that cannot be made again."""

CHAT = Levelled(
    _plan(
        "chat",
        "ann.nec bob.nec cleo.nec",
        {"lines": [[0.2, "ann.nec"], [0.2, "bob.nec"], [2.0, "ann.nec"], [2.0, "cleo.nec"], [6.5, "ann.nec"]]},
        {"kind": "partition", "node": "bob.nec", "at": 1.5, "until": 3.0},
        {"kind": "crash", "node": "cleo.nec", "at": 6.0, "until": 14.0},
    ),
    14.0,
    shows={
        "line 2 of the run by ann.nec": "heard by bob.nec, cleo.nec; missed by nobody",
        "line 4 of the run by ann.nec": "heard by bob.nec; missed by cleo.nec (Offline)",
    },
)
"""A member cut off hears the lines later; one that has crashed misses them."""

CHURN = Levelled(
    _plan(
        "churn",
        "a.nec b.nec c.nec",
        {
            "events": [
                {"at": 0.2, "do": "talk", "run": {"name": "first", **_run("a.nec", "b.nec", 5, 20, blob=100_000)}},
                {"at": 2.0, "do": "leave", "node": "c.nec"},
                {"at": 2.5, "do": "talk", "run": {"name": "to who left", **_run("a.nec", "c.nec", 5, 20)}},
                {"at": 2.5, "do": "join", "node": "join1.nec"},
                {"at": 3.0, "do": "talk", "run": {"name": "from who joined", **_run("join1.nec", "b.nec", 5, 20)}},
                {"at": 3.5, "do": "talk", "run": {"name": "to who joined", **_run("a.nec", "join1.nec", 5, 20)}},
                {"at": 6.0, "do": "crash", "node": "b.nec"},
                {"at": 6.5, "do": "talk", "run": {"name": "to who crashed", **_run("a.nec", "b.nec", 5, 20)}},
                {"at": 13.0, "do": "leave", "node": "join1.nec"},
                {"at": 13.5, "do": "start", "node": "c.nec"},
            ]
        },
    ),
    15.0,
    shows={
        "to who left: a.nec to c.nec": "5 sent, 0 answered, 0 returned, 5 offline, 0 timeout",
        "to who joined: a.nec to join1.nec": "5 sent, 5 answered, 0 returned, 0 offline, 0 timeout",
        "to who crashed: a.nec to b.nec": "5 sent, 0 answered, 0 returned, 5 offline, 0 timeout",
    },
)
"""Whoever has left or crashed is Offline; whoever joins is found."""

FILE_TRANSFER = Levelled(
    _plan(
        "file_transfer",
        "send.nec recv.nec",
        {
            "files": [
                [0.2, "send.nec", "recv.nec", 300_000],
                [2.0, "recv.nec", "send.nec", 1000],
                [4.0, "send.nec", "recv.nec", 2_000_000],
                [7.0, "send.nec", "recv.nec", 65_536],
            ]
        },
        {"kind": "partition", "between": ["send.nec", "recv.nec"], "at": 1.5, "until": 3.0},
        {"kind": "reset", "between": ["send.nec", "recv.nec"], "byte": 500_000, "at": 3.5, "until": 5.5},
        {"kind": "crash", "node": "recv.nec", "at": 6.5, "until": 14.0},
    ),
    14.0,
    shows={
        "file1.bin, 1000 bytes, recv.nec to send.nec": "Done; the file is there",
        "file2.bin, 2000000 bytes, send.nec to recv.nec": "Done; the file is there",
        "file3.bin, 65536 bytes, send.nec to recv.nec": "Failed Offline; no file is there",
    },
)
"""A file waits for the end of a partition, one goes on after a reset at a byte, one has nobody to go to."""

FLOOD = Levelled(
    _plan(
        "flood",
        "slow.nec eager.nec",
        {"batches": 4, "waits": 1.0},
    ),
    3.0,
    shows={
        "batch 3 of eager.nec: eager.nec to slow.nec": "512 sent, 512 answered, 0 returned, 0 offline, 0 timeout",
    },
)
"""2048 requests wait for a process that does not run yet."""

HANDOFF = Levelled(
    _plan(
        "handoff",
        "a.nec b.nec c.nec",
        {
            "steps": [
                {"at": 0.2, "do": "fetch", "guest": "b.nec", "node": "a.nec", "door": 1},
                {"at": 0.4, "do": "open", "guest": "b.nec", "node": "a.nec", "door": 1},
                {"at": 0.6, "do": "break in", "guest": "c.nec", "node": "a.nec", "door": 1, "how": "MadeUp"},
                {"at": 0.8, "do": "pass", "guest": "b.nec", "node": "a.nec", "door": 1, "to": "c.nec"},
                {"at": 1.0, "do": "open", "guest": "c.nec", "node": "a.nec", "door": 1},
                {"at": 3.0, "do": "open", "guest": "b.nec", "node": "a.nec", "door": 1},
                {"at": 3.2, "do": "open", "guest": "c.nec", "node": "a.nec", "door": 1},
                {"at": 12.0, "do": "break in", "guest": "b.nec", "node": "a.nec", "door": 2, "how": "NoTicket"},
                {"at": 12.2, "do": "kill", "guest": "a.nec", "node": "a.nec", "door": 1},
            ]
        },
        {"kind": "partition", "between": ["a.nec", "b.nec"], "at": 2.0, "until": 5.5},
    ),
    14.0,
    shows={
        "deed 2, c.nec: break in": "the door says Refused",
        "deed 4, c.nec: open": "the door says Opened",
        "deed 5, b.nec: open": "the door says Opened",
    },
)
"""Two guests open a door, one of them after a partition; then all tickets are worthless."""

IMPOSTOR = Levelled(
    _plan(
        "impostor",
        "victim.nec a.nec b.nec",
        {"gone": True, "known": True, "pause": 1.0, "count": 3, "gap_ms": 0, "blob": 1000},
    ),
    5.0,
    quick=True,
    shows={
        "to whoever has the name, a.nec: a.nec to victim.nec": "3 sent, 0 answered, 0 returned, 3 offline, 0 timeout",
    },
)
"""The real node has crashed, and only an impostor is there."""

INDIRECT = Levelled(
    _plan(
        "indirect",
        "router1.nec router2.nec hidden.nec a.nec",
        {
            "runs": [
                {"author": author, "targets": [target], "count": 16, "gap_ms": 500, "timeout": 120, "blob": blob}
                for author, target, blob in (("hidden.nec", "a.nec", 0), ("a.nec", "hidden.nec", 1000))
            ],
            "lost": ["hidden", "others"],
        },
        {"kind": "crash", "node": "router1.nec", "at": 2.0, "until": 8.0},
    ),
    8.0,
    shows={
        "run 1: a.nec to hidden.nec": "16 sent, 16 answered, 0 returned, 0 offline, 0 timeout",
    },
)
"""One of two routers crashes, and nobody notices."""

REGISTRAR_OUTAGE = Levelled(
    _plan(
        "registrar_outage",
        "a.nec b.nec new.nec late.nec",
        {"how": "unreachable", "pause": 0.5, "lasts": 5.0, "event": "cut", "late": 0.1, "count": 5, "gap_ms": 10},
    ),
    8.0,
    shows={
        "during from a.nec: a.nec to b.nec": "5 sent, 5 answered, 0 returned, 0 offline, 0 timeout",
        "a.nec to strangers: a.nec to new.nec": "5 sent, 0 answered, 0 returned, 5 offline, 0 timeout",
    },
)
"""Who knows each other talks on, also after their connections have broken; strangers do not find each other."""

STORE = Levelled(
    _plan(
        "store",
        "main.nec copy.nec",
        {
            "events": [
                [0.2, "put", "a"],
                [0.4, "look", "copy.nec"],
                [2.0, "put", "b"],
                [2.0, "put", "a"],
                [5.5, "put", "c"],
                [11.5, "look", "main.nec"],
            ]
        },
        {"kind": "partition", "node": "main.nec", "at": 1.5, "until": 3.0},
        {"kind": "crash", "node": "copy.nec", "at": 5.0, "until": 12.5},
    ),
    12.5,
    quick=True,
    shows={
        "value 2 as b": "replicated",
        "value 4 as c": "acknowledged, not replicated",
    },
)
"""A Put waits for the end of a partition, and does not for a replica that has crashed."""


def _jobs(jobs: int, *workers: str, rest: int = 0, trap: tuple[int, ...] = ()) -> dict[str, Any]:
    pace = {"timeout": 20, "attempts": 1000, "rest": rest, "trap": list(trap)}
    return {"jobs": jobs, "below": 200, "workers": list(workers), **pace}


WORKERS = Levelled(
    _plan(
        "workers",
        "boss.nec worker1.nec worker2.nec",
        {
            "events": [
                [0.2, "run", _jobs(8, "worker1.nec", "worker2.nec")],
                [2.0, "run", _jobs(8, "worker1.nec", "worker2.nec", rest=2000, trap=(3,))],
                [2.5, "run", _jobs(1, "worker1.nec")],
            ]
        },
        {"kind": "crash", "node": "worker1.nec", "at": 3.0, "until": 12.0},
    ),
    12.0,
    shows={
        "run 1 of 8 jobs": "done, some given out again",
        "run 2 of 1 jobs": "refused",
    },
)
"""A worker crashes in the midst of its jobs, and another one does them."""

_ALL = (
    *(CHAINS, CHAT, CHURN, FILE_TRANSFER, FLOOD, HANDOFF),
    *(IMPOSTOR, INDIRECT, REGISTRAR_OUTAGE, STORE, WORKERS),
)
PLANS = {each.name: each for each in _ALL}
"""By the name of the scenario."""
