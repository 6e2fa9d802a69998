"""Small journals, event by event."""

from __future__ import annotations

import json
from typing import Any

from testnet.journal.journal import Event, Header, Journal, JournalEnd

ASKER, ASKED = "a.nec@ask:hello:sys", "b.nec@greet:hello:sys"


def small(*events: tuple[float, str, str], **header: Any) -> Journal:
    """A journal of these: time, node, what happened."""
    planned: dict[str, Any] = {
        "scenario": "small",
        "seed": 7,
        "nodes": ("a.nec", "b.nec"),
        "options": {},
        "schedule": (),
    } | header
    lines = tuple(Event(line, *event) for line, event in enumerate(events, 2))
    return Journal(Header(**planned), lines, JournalEnd("00", len(lines), 9.0, "passed", ""))


def step(at: float, node: str, step: str, **more: Any) -> tuple[float, str, str]:
    """A step of a request from ASKER to ASKED, or, of one that is answered, of its response."""
    ends = (ASKED, ASKER) if step == "answered" else (ASKER, ASKED)
    id = more.get("id", 1)
    source, target = more.pop("source", ends[0]), more.pop("target", ends[1])
    value = {
        "step": step,
        "id": id,
        "parent": None,
        "root": id,
        "source": source,
        "target": target,
        "claimed": source.split("@")[0] != node,
        "expects": step != "answered",
        "inherits": False,
        "body": 2,
        "blob": None,
        "reason": None,
        "beginning": "{}",
    }
    return at, node, f"message {json.dumps(value | more)}"


MARKUP = "</script><script>alert(1)</script><!--<script><img src=x onerror=alert(2)>&amp;{{DATA}}"
HOSTILE = MARKUP + "\u202e\u2028\x00\x1b[2J\ud800"


def hostile() -> Journal:
    """One whose every text tries to become markup."""
    failed = step(1.0, "a.nec", "failed", reason=HOSTILE, source=HOSTILE, target=HOSTILE, beginning=HOSTILE)
    events = (failed, (1.0, "a.nec", f"log {HOSTILE}"), (2.0, "-", f"violation {HOSTILE}"), (3.0, HOSTILE, "boots"))
    plan = {"scenario": HOSTILE, "nodes": (HOSTILE,), "options": {HOSTILE: HOSTILE}}
    return small(*events, **plan, schedule=({"kind": HOSTILE, "at": HOSTILE},))
