"""A node as a process that somebody else has started, and told how to boot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nectar_node.launcher.boot_options import DEFAULT_OPTIONS, encode_told
from tests.nectar_node.cli.child import LIMIT, boot_child


@pytest.mark.parametrize("told", [b"", b"{}", b"[", b"\xff", encode_told(DEFAULT_OPTIONS)[:-9]])
def test_who_tells_it_nothing_that_it_understands_gets_a_sentence(tmp_path: Path, told: bytes) -> None:
    ended = boot_child(["a.nec", str(tmp_path)], told)
    assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (2, b"", 1)
    assert ended.stderr.startswith(b"The boot options cannot be read (")
    assert list(tmp_path.iterdir()) == []


def test_where_there_is_no_testnet_it_says_so(tmp_path: Path) -> None:
    ended = boot_child(["a.nec", str(tmp_path)], encode_told(DEFAULT_OPTIONS))
    assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (1, b"", 1)
    assert b"There is no testnet" in ended.stderr


def test_it_loads_nothing_of_the_command_line() -> None:
    looks = "import sys, nectar_node.launcher.child; print(*sorted({'typer', 'rich', 'pydantic'} & sys.modules.keys()))"
    ended = subprocess.run([sys.executable, "-c", looks], capture_output=True, timeout=LIMIT, check=True)
    assert ended.stdout == b"\n"
