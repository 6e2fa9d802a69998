"""The log: one line an entry, nothing that could be taken for another, and never worth a node's life."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nectar_node.base.log import (
    MAX_FILE_BYTES,
    MAX_LINE,
    MAX_RECENT_CHARACTERS,
    MAX_RECENT_LINES,
    RecentLines,
    older,
    without_colours,
    write_line,
)

ROOT = Path(__file__).resolve().parents[3]
WRITE = """
import sys
from pathlib import Path
from nectar_node.base import log
log.rotate(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    log.write_line("net", f"{number:06}" + "x" * 994)
sys.stderr.write("last words\\n")
"""
"""A node's log and nothing else of a node."""


def test_what_is_left_without_colours_or_with_line_ends_and_control_characters_stays_one_harmless_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_line("net", "one\ntwo \x1b[31m")
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith(" net: one\\ntwo \\x1b[31m")
    write_line("net", without_colours("\x1b\x1b[0m[2J"))
    assert capsys.readouterr().out.endswith(" net: \\x1b[2J\n")


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("\x1b[32mINFO\x1b[0m started", "INFO started"),
        ("\x1b[1;38;5;208mwarn\x1b[m", "warn"),
        ("\x1b[38:2::255:0:0mred\x9b0m", "red"),
        ("\x1b[2Jgone", "\x1b[2Jgone"),
        ("\x1b]0;title\x07", "\x1b]0;title\x07"),
        ("\x1b[32", "\x1b[32"),
        ("\x1b[?25l", "\x1b[?25l"),
        ("no colours", "no colours"),
    ],
)
def test_colours_are_left_out_of_a_text_and_nothing_else_is(printed: str, shown: str) -> None:
    assert without_colours(printed) == shown


def test_a_long_text_is_cut_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    write_line("net", "x" * 10 * MAX_LINE)
    out = capsys.readouterr().out
    assert len(out) < MAX_LINE + 100
    assert out.endswith("x…\n")
    write_line("net", "x" * MAX_LINE)
    assert capsys.readouterr().out.endswith("x\n")


class Full:
    """A stream on a full disk."""

    def write(self, _: str) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_full_disk_or_a_closed_pipe_loses_a_line_and_no_node(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", Full())
        write_line("net", "lost")
    write_line("net", "kept")
    assert capsys.readouterr().out.endswith(" net: kept\n")


# --- rotating -------------------------------------------------------------------------------------------------------


def write(log: Path, lines: int) -> None:
    """Have a process whose output is the file `log` write so many lines of about a kilobyte."""
    words = [sys.executable, "-c", WRITE, str(log), str(lines)]
    with log.open("ab") as file:
        subprocess.run(
            words, stdout=file, stderr=file, check=True, timeout=60, env=os.environ | {"PYTHONPATH": str(ROOT)}
        )


def test_a_log_never_takes_more_than_two_files_and_the_latest_lines_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write(log, 50_000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1"]
    sizes = [log.stat().st_size, older(log).stat().st_size]
    assert max(sizes) < MAX_FILE_BYTES + 2000
    lines = (older(log).read_text() + log.read_text()).splitlines()
    numbers = [int(line.split("net: ")[1][:6]) for line in lines[:-1]]
    assert numbers == list(range(50_000 - len(numbers), 50_000))
    assert lines[-1] == "last words"  # what goes to standard error goes to the new file too


def test_a_log_that_an_earlier_run_has_filled_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * MAX_FILE_BYTES)
    write(log, 1)
    assert older(log).read_bytes() == b"x" * MAX_FILE_BYTES
    assert len(log.read_text().splitlines()) == 2


def test_a_log_that_cannot_be_put_aside_does_not_grow(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * MAX_FILE_BYTES)
    older(log).mkdir()  # nothing can be put in its place
    write(log, 100)
    assert log.stat().st_size == MAX_FILE_BYTES + len("last words\n")


def test_what_is_no_log_file_is_not_touched(tmp_path: Path) -> None:
    elsewhere, log = tmp_path / "terminal", tmp_path / "log"
    log.write_text("kept")
    with elsewhere.open("ab") as file:
        file.write(b"x" * MAX_FILE_BYTES)
        file.flush()
        words = [sys.executable, "-c", WRITE, str(log), "10"]
        subprocess.run(
            words, stdout=file, stderr=file, check=True, timeout=60, env=os.environ | {"PYTHONPATH": str(ROOT)}
        )
    assert log.read_text() == "kept"
    assert elsewhere.stat().st_size > MAX_FILE_BYTES + 10_000


def test_the_latest_lines_are_remembered_within_bounds_and_who_asks_is_told_what_is_lost() -> None:
    recent = RecentLines()
    for number in range(1, MAX_RECENT_LINES + 11):
        recent.add("12:00:00", "kernel", f"line {number}")
    lines, lost = recent.after(4)
    assert (lines[0].number, lines[-1].text, lost) == (11, f"line {MAX_RECENT_LINES + 10}", 6)
    assert len(lines) == MAX_RECENT_LINES
    assert recent.after(lines[-1].number) == ([], 0)
    for _ in range(MAX_RECENT_CHARACTERS // MAX_LINE + 5):
        recent.add("12:00:00", "kernel", "x" * MAX_LINE)
    lines, _ = recent.after(0)
    assert sum(len(line.text) for line in lines) <= MAX_RECENT_CHARACTERS
