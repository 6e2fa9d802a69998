"""Whole folders, asked for by a real guest, on a node that crashes meanwhile."""

from __future__ import annotations

import json

import pytest

from nectar_node.storage.operations import ListFolder, Location
from tests.conformance.lab import OUR, PACKAGE, SimLab, SimProbe
from tests.conformance.steps import Step, send, wait_for

VFS = f"{OUR}@vfs:distro:sys"
DRIVE = f"/{PACKAGE}/drive"
MIB = 1 << 20
FILES = {("a",): b"a" * MIB, ("b", "c"): b"c" * MIB, ("b", "d"): b"", ("b", "e", "f"): b"f" * MIB}


def body(path: str, action: object) -> str:
    return json.dumps({"path": path, "action": action})


def do(path: str, action: object) -> Step:
    """One request to the vfs, awaited."""
    return wait_for(VFS, body(path, action), expects=20)


def place(lab: SimLab, *parts: str) -> Location:
    return Location(f"{lab.our.name}/vfs", (PACKAGE, "drive", *parts))


def found(lab: SimLab) -> list[str]:
    """The names in the drive."""
    listed = lab.our.disk.perform(ListFolder(place(lab)))
    assert isinstance(listed, list), listed
    return [name for name, _ in listed]


def answered(probe: SimProbe) -> str | None:
    """The latest answer of the vfs."""
    return probe.seen("response")[-1].body


@pytest.mark.parametrize("power", [False, True], ids=["kill -9", "power cut"])
def test_g27_a_node_that_crashes_while_it_copies_a_folder_has_all_of_it_or_nothing(lab: SimLab, power: bool) -> None:
    a = lab.probe("a", capabilities=("vfs:distro:sys",))
    a.tell(do(DRIVE, "CreateDrive"))
    for parts, content in FILES.items():
        lab.our.disk.put(place(lab, "from", *parts), content)
    seen = set[bool]()
    for milliseconds in range(0, 48, 4):
        name = f"to {milliseconds}"  # a removal is not synced: a power cut may bring back what was removed
        copy = {"CopyDirAll": {"new_path": f"{DRIVE}/{name}"}}
        a.begin(send(VFS, body(f"{DRIVE}/from", copy)))
        a.node.go_on()
        lab.until(lab.now + milliseconds / 1000)
        lab.reboot(power=power)
        seen.add(name in found(lab))
        if name not in found(lab):
            a.tell(do(f"{DRIVE}/from", copy))
            assert answered(a) == '"Ok"'
        for parts, content in FILES.items():
            assert lab.our.disk.get(place(lab, name, *parts)) == content
    assert seen == {True, False}
    assert set(found(lab)) == {"from", *(f"to {milliseconds}" for milliseconds in range(0, 48, 4))}


def test_a_guest_that_is_killed_while_its_folder_is_copied_leaves_nothing_of_it(lab: SimLab) -> None:
    a = lab.probe("a", capabilities=("vfs:distro:sys",))
    a.tell(do(DRIVE, "CreateDrive"))
    for number in range(40):
        lab.our.disk.put(place(lab, "from", f"{number}"), b"x" * MIB)
    a.begin(send(VFS, body(f"{DRIVE}/from", {"CopyDirAll": {"new_path": f"{DRIVE}/to"}}), expects=20))
    a.node.go_on()
    lab.until(lab.now + 0.02)
    lab.kill(a)
    assert found(lab) == ["from"]
    assert lab.our.core.vfs.next_deadline() is None
