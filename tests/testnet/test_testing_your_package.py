"""What docs/testing-your-package.md tells an author to do, done: its files, its commands, its bug, its fix."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from packages.build import ROOT
from tests.commands import nectar

DOCUMENT = (ROOT / "docs" / "testing-your-package.md").read_text()
SPLIT = "/// Vote at another node"
"""Where the part of the first poll.zig begins that the fix leaves as it is."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)


def build(folder: Path, source: str) -> None:
    """Put the document's files there, and build it as the document says."""
    package = folder / "poll"
    package.mkdir(parents=True)
    (package / "poll.zig").write_text(source)
    (manifest,) = blocks("json")
    (package / "manifest.json").write_text(manifest)
    *poll, storms = blocks("python")
    (folder / "test_poll.py").write_text("\n\n".join(poll))
    (folder / "test_storms.py").write_text(storms)
    ended = nectar("build", package)
    assert ended.code == 0, ended.err


@pytest.fixture(scope="module")
def sources() -> tuple[str, str]:
    """The poll as it is first, and as it is after the fix."""
    first, fix = blocks("zig")
    return first, fix + "\n" + first[first.index(SPLIT) :]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, sources: tuple[str, str]) -> Path:
    pytest.importorskip("ziglang")
    folder = tmp_path_factory.mktemp("broken")
    build(folder, sources[0])
    return folder


@pytest.fixture(scope="module")
def mended(tmp_path_factory: pytest.TempPathFactory, sources: tuple[str, str]) -> Path:
    pytest.importorskip("ziglang")
    folder = tmp_path_factory.mktemp("mended")
    build(folder, sources[1])
    return folder


def run(folder: Path, *arguments: str) -> str:
    """What pytest prints."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


def repeats() -> list[str]:
    """The commands with which the document repeats a run."""
    return list(dict.fromkeys(re.findall(r"pytest (test_poll\.py\S+ --nectar-seed \d+)$", DOCUMENT, re.MULTILINE)))


def shown_of_the_run() -> list[str]:
    """What the document shows of that run and must be the same everywhere: its error, its time, its messages."""
    part, _ = DOCUMENT.split("\n## 5. The fix\n")
    return re.findall(r"^E +Assertion.*|^time +\d.*|^  \d+\.\d{9} .*", part, re.MULTILINE)


@pytest.fixture(scope="module")
def found(broken: Path) -> str:
    """What its first tests say of the poll as it is first, and what the one says that is for each level."""
    those = "gone or sleeps or test_a_vote_counts and not hostile"
    return run(broken, "test_poll.py", "-v", "-k", those, "--nectar-level", "simulation")


def test_the_first_test_passes(found: str) -> None:
    assert re.search(r"^test_poll.py::test_a_vote_counts\S* PASSED", found, re.MULTILINE)


def test_some_of_the_twenty_seeds_find_the_bug_and_the_one_that_the_document_shows_is_among_them(found: str) -> None:
    failed, passed = (int(each) for each in re.findall(r"(\d+) failed, (\d+) passed", found)[-1])
    assert failed + passed == 20 + 2  # the first test passes, and a node that sleeps fails
    assert len(repeats()) == 1
    shown = [command for command in repeats() if f"&& pytest {command}" in found]
    assert shown == repeats(), f"put one of these into the document: {re.findall('^seed +([0-9]+)', found, re.M)}"


def test_the_command_that_the_document_shows_repeats_the_failure(broken: Path) -> None:
    for command in repeats():
        before = run(broken, *command.split())
        assert [line for line in shown_of_the_run() if line not in before] == []


def test_a_node_that_sleeps_shows_the_bug_every_time(found: str) -> None:
    assert re.search(r"^test_poll.py::\S*sleeps\S*simulation\S* FAILED", found, re.MULTILINE)
    assert "AssertionError: assert {'Votes': 2} == {'Votes': 1}" in found


def test_after_the_fix_a_node_that_sleeps_changes_no_vote(mended: Path) -> None:
    shown = run(mended, "test_poll.py", "-v", "-k", "sleeps", "--nectar-level", "simulation")
    assert re.search(r"^=+ 1 passed, ", shown, re.MULTILINE), shown


@pytest.mark.long
def test_after_the_fix_all_seeds_pass_and_hostile_peers_change_no_vote(mended: Path) -> None:
    """The twenty seeds, the first test, three hostile peers, and the node that sleeps."""
    shown = run(mended, "test_poll.py", "-v", "-k", "a_vote", "--nectar-level", "simulation")
    assert re.search(r"^=+ 25 passed, 2 deselected", shown, re.MULTILINE), shown


@pytest.mark.long
def test_after_the_fix_the_same_test_passes_on_real_nodes(mended: Path) -> None:
    shown = run(mended, "test_poll.py", "-v", "-k", "sleeps", "--nectar-level", "loopback")
    assert re.search(r"^test_poll.py::\S*sleeps\S*loopback\S* PASSED", shown, re.MULTILINE), shown


@pytest.mark.long
def test_hypothesis_shrinks_a_storm_to_the_crash_that_the_document_shows(mended: Path) -> None:
    pytest.importorskip("hypothesis")
    found = run(mended, "test_storms.py", "--hypothesis-seed", "1")
    _, part = DOCUMENT.split("\n## Faults from Hypothesis\n")
    shown = re.findall(r"^E +(AssertionError: .*|schedule=.*)", part, re.MULTILINE)
    assert len(shown) == 2
    assert [line for line in shown if line not in found] == []
