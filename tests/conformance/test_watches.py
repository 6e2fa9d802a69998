"""A process is told when a path of a drive changes, as often as it can take."""

from __future__ import annotations

import json

import pytest

from nectar_node.system.vfs_watches import ANSWER_SECONDS, PAUSE_SECONDS
from tests.conformance.lab import OUR, SimLab, SimProbe
from tests.conformance.steps import Step, receive_until, respond, wait_for

VFS = f"{OUR}@vfs:distro:sys"
DRIVE = "/probes:sys/drive"


def do(path: str, action: object, **more: object) -> Step:
    """One request to the vfs, awaited."""
    return wait_for(VFS, json.dumps({"path": path, "action": action}), expects=20, **more)


def watcher_and_writer(lab: SimLab) -> tuple[SimProbe, SimProbe]:
    a, b = (lab.probe(name, capabilities=("vfs:distro:sys",)) for name in "ab")
    a.tell(do(DRIVE, "CreateDrive"), do(DRIVE, "Watch"))
    return a, b


def told(probe: SimProbe) -> list[tuple[list[str], float]]:
    """What a probe was told of changes, and when."""
    bodies = [(json.loads(each.body or "null"), each.at) for each in probe.seen("request") if each.source == VFS]
    assert all(value["Changed"]["path"] == DRIVE and not value["Changed"]["more"] for value, _ in bodies)
    return [(value["Changed"]["changes"], at or 0.0) for value, at in bodies]


def test_g23_a_watcher_that_does_not_answer_is_told_once_a_minute_of_all_that_has_changed(lab: SimLab) -> None:
    a, b = watcher_and_writer(lab)
    b.tell(*(do(f"{DRIVE}/{number % 3}", {"OpenFile": {"create": True}}) for number in range(30)))
    ((first, at),) = told(a)
    assert first == [f"{DRIVE}/0"]
    lab.until(at + ANSWER_SECONDS + 1)
    (_, (second, later)) = told(a)
    assert sorted(second) == [f"{DRIVE}/{number}" for number in range(3)]
    assert later - at == pytest.approx(ANSWER_SECONDS)


def test_a_watcher_that_answers_is_told_again_after_a_pause(lab: SimLab) -> None:
    a, b = watcher_and_writer(lab)
    body = json.dumps({"Changed": {"path": DRIVE, "changes": [f"{DRIVE}/0"], "more": False}}, separators=(",", ":"))
    a.begin(receive_until(body), respond("seen"))
    b.tell(*(do(f"{DRIVE}/{number}", {"OpenFile": {"create": True}}) for number in range(2)))
    ((_, at), (second, later)) = told(a)
    assert second == [f"{DRIVE}/1"]
    assert later - at == pytest.approx(PAUSE_SECONDS)


def test_a_watch_ends_with_its_process_also_if_that_begins_anew(lab: SimLab) -> None:
    a, b = watcher_and_writer(lab)
    lab.kill(a)
    assert not lab.our.core.vfs._watches._by_number
    again = lab.probe("a", capabilities=("vfs:distro:sys",))
    b.tell(do(f"{DRIVE}/f", {"OpenFile": {"create": True}}))
    assert told(again) == []
