"""A counter in each language, in virtual time: what its first version has saved is migrated."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from testnet.sim.programs import Programs
from tests.languages.toolchain import Language
from tests.packages.lab import Lab
from tests.packages.test_counter import COUNTER, PROBE, install


class Kept:
    """A counter that finds what an earlier version has saved; the earlier one is a probe, which can look."""

    def __init__(self, engine: Programs, package: Path, folder: Path, saved: str) -> None:
        self._former = shutil.copytree(package, folder / "counter")
        shutil.copy(PROBE, self._former / "counter.wasm")
        self.lab = Lab(engine, (self._former,))
        assert self.lab.ask(COUNTER, [{"SetState": saved}, {"Respond": {"body": '"Saved"'}}]) == "Saved"
        install(self.lab, package)

    def saved(self) -> dict[str, int]:
        """What is saved now; the probe takes the counter's place."""
        install(self.lab, self._former)
        assert self.lab.ask(COUNTER, ["GetState", {"Respond": {"body": '"Looked"'}}]) == "Looked"
        (state,) = [each["body"] for each in self.lab.ask(COUNTER, "Report") if each["kind"] == "state"]
        found: dict[str, int] = json.loads(state)
        return found


@pytest.fixture
def keep(
    engine: Programs, language: Language, compiled: Callable[[Language, str], Path], tmp_path: Path
) -> Callable[[str], Kept]:
    return lambda saved: Kept(engine, compiled(language, "counter"), tmp_path, saved)


def test_g27_what_the_first_version_has_saved_is_migrated_and_kept(keep: Callable[[str], Kept]) -> None:
    kept = keep("\x07\x00\x00\x00\x00\x00\x00\x00")
    assert kept.lab.ask(COUNTER, {"Add": 5}) == {"Count": 12}
    assert kept.saved() == {"version": 2, "count": 12, "adds": 1}


def test_what_this_version_has_saved_is_loaded(keep: Callable[[str], Kept]) -> None:
    assert keep('{"version": 2, "count": 40, "adds": 2}').lab.ask(COUNTER, "Get") == {"Count": 40}


def test_a_state_of_a_later_version_is_left_as_it_is(keep: Callable[[str], Kept]) -> None:
    later = {"version": 3, "count": 40}
    kept = keep(json.dumps(later))
    kept.lab.begin(COUNTER, {"Add": 1})  # some load their state when it is first asked for
    kept.lab.simulation.rest(1.0)
    assert any("version 3" in line for line in kept.lab.node.log), kept.lab.node.log
    assert kept.saved() == later
