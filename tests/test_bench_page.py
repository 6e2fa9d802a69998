"""What `python -m bench --markdown` writes: figures with their machine, into docs/performance.md."""

from __future__ import annotations

import platform
from datetime import date
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench import markdown
from bench.markdown import Computer, replaced, section
from bench.measure import Result, Skipped, absolute, in_turns, ratio

MACHINE = Computer("Some CPU", 2, "Linux 6", "CPython 3.11.7")
TAKEN = date(2026, 11, 30)


def some_figures() -> list[Result]:
    """A quick measurement, taken as every figure is."""
    ours, theirs = in_turns(lambda: float(sum(range(50))), lambda: float(sum(range(100))))
    return [ratio("local", ours, theirs, ("summing", "units"), 2.0), Skipped("transfer", "needs scp")]


def test_each_figure_is_a_row_beside_its_reference_and_goal() -> None:
    slow = absolute("unheard_of", [1.0, 2.0, 3.0], "ms", 1.5)
    lines = section([*some_figures(), slow], MACHINE, TAKEN).splitlines()
    assert lines[2] == "Taken on 2026-11-30: Some CPU, 2 cores, Linux 6, CPython 3.11.7."
    assert lines[6:] == [
        "| request and response between two Wasm processes of a node | 0.247 times the reference (0.247 to 0.247) "
        "| summing: 4950 units | at least 2: **missed** |",
        "| 1 GiB from file to file between two nodes, whole command | not taken: needs scp | | |",
        "| unheard_of | 2 ms (1 to 3) |  | at most 1.5 ms: **missed** |",
    ]


def test_a_whole_run_writes_the_page_and_leaves_the_rest_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = markdown.PAGE.read_text()
    page = tmp_path / "performance.md"
    page.write_text(before)
    monkeypatch.setattr(markdown, "PAGE", page)
    monkeypatch.setattr(bench, "BENCHES", {"chaos": some_figures, "some": some_figures})
    monkeypatch.setattr("bench.chaos.run", lambda minutes: [])
    assert bench.main(["--markdown"]) == 0
    after = page.read_text()
    assert "summing: 4950 units" in after
    assert f"CPython {platform.python_version()}." in after
    assert after.partition(markdown.BEGIN)[0] == before.partition(markdown.BEGIN)[0]
    assert after.partition(markdown.END)[2] == before.partition(markdown.END)[2]


def test_a_run_of_some_figures_prints_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(markdown, "PAGE", tmp_path / "not-there.md")
    monkeypatch.setattr(bench, "BENCHES", {"some": some_figures})
    assert bench.main(["some", "--markdown"]) == 0
    assert "| summing: 4950 units |" in capsys.readouterr().out


def test_a_page_without_a_section_for_figures_is_refused() -> None:
    with pytest.raises(ValueError, match="has no section between"):
        replaced("# Performance\n", "x")
