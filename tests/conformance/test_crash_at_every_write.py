"""G26 and G27 under attack: a node crashes at every single write of its store, one after the other, with and without a
power cut that loses or tears what was not synced; and the disk fails for good at each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from kernel.wasm.engine import Engine
from tests.conformance.lab import OUR, PACKAGE, SimLab, SimProbe
from tests.conformance.steps import (
    RETURN,
    SAVE_RECEIVED,
    capability,
    drop,
    message,
    respond,
    save,
    send,
    set_on_exit,
    set_state,
    spawn,
)
from tests.seeds import seeds

PARTS = 3
"""The default run crashes at every third write, others with a power cut than without; `make soak` at all of them."""
LIFE, UPGRADE = "life", "upgrade"
"""What a run does: processes come and go, or they save states and issue capabilities, and then comes another version of
their package.
"""


class Row(NamedTuple):
    """What a node remembers of one process."""

    on_exit: object
    parent: object
    held: tuple[str, ...]
    state: bytes | None


Remembered = dict[str, Row | None]


class Run:
    """One run: a node does one thing after the other, each until it is on the disk, or until it cannot be."""

    def __init__(self, engine: Engine, folder: Path, what: str) -> None:
        folder.mkdir()
        self.lab = lab = SimLab(engine, folder, 1)
        self.a: SimProbe = lab.probe("a", capabilities=("timer:distro:sys",))
        self.b: SimProbe = lab.probe("b")
        self.steps = self._life() if what == LIFE else self._upgrade()

    def _life(self) -> list[Callable[[], object]]:
        lab = self.lab
        return [
            lambda: self.a.tell(spawn("child", public=True)),
            lambda: self.a.tell(set_on_exit(message(self.b, "bye"))),
            lambda: self.b.tell(save(capability(f"{OUR}@b:{PACKAGE}", '"mine"'))),
            lambda: self.a.tell(drop(capability("our@timer:distro:sys"))),
            lambda: lab.probe("c"),
            lambda: lab.kill(self.b),
            lambda: self.a.child(f"child:{PACKAGE}").tell(spawn("grandchild", public=True), RETURN),
            lambda: self.a.ask(respond()),
        ]

    def _upgrade(self) -> list[Callable[[], object]]:
        theirs = capability(self.b, '"theirs"')
        return [
            lambda: self.a.tell(set_state("old")),
            lambda: self.b.tell(send(self.a, "", SAVE_RECEIVED, capabilities=[theirs])),
            lambda: self.a.tell(set_state("new" * 1000)),
            lambda: self.lab.kill(self.b),
            lambda: self.lab.upgrade("a", "d", "e"),
        ]

    def remembered(self) -> Remembered:
        core = self.lab.our.core
        names = {str(id): id for id in core.kernel.processes}
        return {
            name: Row(
                core.kernel.processes[id].on_exit,
                core.kernel.processes[id].launch.parent,
                tuple(str(each) for each in core.kernel.grants.of(id)),
                SimProbe(self.lab, self.lab.our, str(id)).kept_state(),
            )
            for name, id in names.items()
        }

    def kept(self) -> bool:
        """Whether everything is on the disk, once the node has tried."""
        token, node = object(), self.lab.our
        node.core.ask_kept(token, self.lab.now)
        node.go_on()
        self.lab.wait(lambda: token in node.kept)
        return node.kept[token] is None


def before_and_after(engine: Engine, folder: Path, what: str) -> tuple[list[Remembered], int, int]:
    """What is remembered after each step, and the writes before the first and after the last one."""
    run = Run(engine, folder, what)
    assert run.kept()
    first = run.lab.our.disk.database_files.done
    states = [run.remembered()]
    for step in run.steps:
        step()
        assert run.kept()
        states.append(run.remembered())
    last = run.lab.our.disk.database_files.done
    run.lab.close()
    return states, first, last


@pytest.mark.parametrize("part", seeds(1, PARTS))
@pytest.mark.parametrize("power", [False, True], ids=["kill -9", "power cut"])
@pytest.mark.parametrize("what", [LIFE, UPGRADE])
def test_g26_whatever_was_kept_is_there_after_a_crash_at_any_write(
    engine: Engine, tmp_path: Path, what: str, power: bool, part: int
) -> None:
    states, first, last = before_and_after(engine, tmp_path / "whole", what)
    assert last - first > 20
    for left in range((part + power) % PARTS, last - first + 1, PARTS):
        run = Run(engine, tmp_path / f"{left}", what)
        assert run.kept()
        run.lab.our.disk.database_files.left = left
        done = 0
        for step in run.steps:
            step()
            if not run.kept():
                break
            done += 1
        run.lab.reboot(power=power)
        found = run.remembered()
        old, new = states[done], states[min(done + 1, len(states) - 1)]
        if what == UPGRADE:
            assert found in (old, new), (left, done)
        for name in {*old, *new, *found}:
            allowed = (old.get(name), new.get(name))
            row = found.get(name)
            halves = [each.held for each in allowed if each is not None]
            assert row in allowed or (row is not None and row.held in halves), (left, done, name, row, allowed)
        run.lab.close()
