"""The log: one line an entry, nothing that could be taken for another, and never worth a node's life."""

from __future__ import annotations

import pytest

from nectar_node.log import MAX_LINE, write_line


def test_a_text_with_line_ends_and_control_characters_stays_one_harmless_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_line("net", "one\ntwo \x1b[31m")
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith(" net: one\\ntwo \\x1b[31m")


def test_a_long_text_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    write_line("net", "x" * 10 * MAX_LINE)
    assert len(capsys.readouterr().out) < MAX_LINE + 100


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
