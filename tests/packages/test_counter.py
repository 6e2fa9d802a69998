"""A counter: its state has a version, and what the first version has saved is migrated."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from packages.build import PACKAGES, ROOT
from testnet.sim.programs import Programs
from tests.packages.lab import Lab

COUNTER = "our@counter:counter:sys"
PROBE = ROOT / "tests" / "guests" / "probe.wasm"
WRONG = ("Add", {"Add": -1}, {"Add": 10**9 + 1}, {"Add": "5"}, {"Add": True}, {"Add": 1.5}, 7, None, {"Sub": 1})


def test_it_adds_and_says_what_it_has(lab: Lab) -> None:
    assert lab.ask(COUNTER, "Get") == {"Count": 0}
    assert lab.ask(COUNTER, {"Add": 5}) == {"Count": 5}
    assert lab.ask(COUNTER, {"Add": 10**9}) == lab.ask(COUNTER, "Get") == {"Count": 10**9 + 5}


@pytest.mark.parametrize("body", WRONG, ids=json.dumps)
def test_what_it_does_not_know_it_says(lab: Lab, body: object) -> None:
    assert lab.ask(COUNTER, body) == {"Err": 'expected {"Add": NUMBER} or "Get"'}
    assert lab.ask(COUNTER, "Get") == {"Count": 0}


def test_g27_it_goes_on_counting_after_a_crash(lab: Lab) -> None:
    lab.ask(COUNTER, {"Add": 5})
    lab.simulation.restart("one.nec")
    lab.simulation.settle()
    assert lab.ask(COUNTER, {"Add": 1}) == {"Count": 6}


def install(lab: Lab, package: Path) -> None:
    """Put another version of the package there, and wait until that runs."""
    lab.node.install(package)
    lab.simulation.rest(1.0)


def after_saving(engine: Programs, folder: Path, saved: str) -> Lab:
    """A node whose counter has saved this before it was the counter of now."""
    former = folder / "counter"
    former.mkdir()
    shutil.copy(PACKAGES / "counter" / "pkg" / "manifest.json", former)
    shutil.copy(PROBE, former / "counter.wasm")
    (former / "metadata.json").write_text('{"package": "counter", "publisher": "sys"}')
    lab = Lab(engine, (former,))
    assert lab.ask(COUNTER, [{"SetState": saved}, {"Respond": {"body": '"Saved"'}}]) == "Saved"
    install(lab, PACKAGES / "counter")
    return lab


def what_is_saved(lab: Lab, folder: Path) -> str:
    install(lab, folder / "counter")
    assert lab.ask(COUNTER, ["GetState", {"Respond": {"body": '"Looked"'}}]) == "Looked"
    return json.dumps(lab.ask(COUNTER, "Report"))


def test_g27_what_the_first_version_has_saved_is_migrated_and_kept(engine: Programs, tmp_path: Path) -> None:
    lab = after_saving(engine, tmp_path, "\x07\x00\x00\x00\x00\x00\x00\x00")
    assert lab.ask(COUNTER, "Get") == {"Count": 7}
    assert json.dumps('{"version":2,"count":7,"adds":0}') in what_is_saved(lab, tmp_path)


def test_what_this_version_has_saved_is_loaded(engine: Programs, tmp_path: Path) -> None:
    lab = after_saving(engine, tmp_path, '{"version": 2, "count": 40, "adds": 2}')
    assert lab.ask(COUNTER, "Get") == {"Count": 40}


@pytest.mark.parametrize("saved", ['{"version": 3, "count": 40}', '{"version": 2, "count": "x"}', "four"])
def test_a_state_that_cannot_be_read_is_left_as_it_is(engine: Programs, tmp_path: Path, saved: str) -> None:
    lab = after_saving(engine, tmp_path, saved)
    assert any("BadState" in line for line in lab.node.log)
    assert json.dumps(saved) in what_is_saved(lab, tmp_path)
