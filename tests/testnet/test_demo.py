"""The demonstration holds, and would fail if something did not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from testnet.demo import DemoFailed, check_equal, write_random_file

MIB = 1024 * 1024


def run_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "testnet.demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_the_whole_demonstration_holds_with_small_files() -> None:
    ended = run_demo("--size", str(24 * MIB))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    table = ended.stdout.partition("What happened\n")[2].splitlines()
    steps = ["testnet", "transfer", "BLAKE3", "cut", "sent twice", "Offline", "stopped"]
    assert [line.strip().startswith(step) for line, step in zip(table, steps, strict=True)] == [True] * len(steps)


def test_a_file_that_does_not_exist_is_bad_usage(tmp_path: Path) -> None:
    ended = run_demo(str(tmp_path / "missing"))
    assert ended.returncode == 2
    assert "there is no file" in ended.stderr


def test_files_are_compared(tmp_path: Path) -> None:
    one, same, other = (
        write_random_file(tmp_path / name, 5 * MIB, seed).read_bytes() for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert len(one) == 5 * MIB
    assert one == same
    assert one != other
    for name in ("sent", "received"):
        write_random_file(tmp_path / name, 5 * MIB, seed=1)
    check_equal(tmp_path / "sent", tmp_path / "received")


@pytest.mark.parametrize("received", [b"abd", b"ab", b"abcd", b""])
def test_a_file_that_arrived_differently_is_noticed(tmp_path: Path, received: bytes) -> None:
    (tmp_path / "sent").write_bytes(b"abc")
    (tmp_path / "received").write_bytes(received)
    with pytest.raises(DemoFailed, match="differs from"):
        check_equal(tmp_path / "sent", tmp_path / "received")
