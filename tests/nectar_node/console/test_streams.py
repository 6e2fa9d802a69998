"""Programs whose standard streams are closed, or have an encoding that lacks what is to be written."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nectar_node.base.folder import NodeFolder
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet
from tests.waiting import until

REGISTRAR = "registrar.nec"


@pytest.fixture
def talkative(tmp_path: Path) -> Path:
    """A package of which its node logs a word beyond ASCII before it is ready."""
    folder = tmp_path / "talkative"
    folder.mkdir()
    entry = {"process_name": "x", "process_wasm_path": "/none.wasm", "schlüssel": 1}
    (folder / "manifest.json").write_text(json.dumps([entry]))
    return folder


def closed(words: list[str]) -> list[str]:
    """A command that starts with all its standard streams closed."""
    return ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words]


def test_a_node_outlives_what_the_encoding_of_its_log_lacks(
    tmp_path: Path, talkative: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    with LocalTestnet(tmp_path / "net", BootOptions(packages=(talkative,))) as nodes:
        nodes.start()
        assert nodes.status(REGISTRAR)["name"] == REGISTRAR
        assert "'schl?ssel'" in nodes.log(REGISTRAR)


def test_a_node_in_the_foreground_needs_none_of_its_streams(tmp_path: Path, talkative: Path) -> None:
    words = ["boot", REGISTRAR, "--dir", str(tmp_path / "net"), "--package", str(talkative)]
    with subprocess.Popen(closed([sys.executable, "-P", "-m", "nectar_node", *words])) as node:
        until(lambda: node.poll() is not None or NodeFolder(tmp_path / "net/nodes" / REGISTRAR).control.exists())
        node.send_signal(signal.SIGTERM)
        assert node.wait() == 0


def test_a_command_needs_none_of_its_streams(tmp_path: Path) -> None:
    with LocalTestnet(tmp_path, BootOptions(packages=())) as nodes:
        nodes.start()
        words = ["testnet", "status", "--dir", str(tmp_path)]
        assert subprocess.run(closed([sys.executable, "-P", "-m", "nectar_node", *words]), check=False).returncode == 0


def test_what_is_opened_gets_no_descriptor_of_a_closed_stream(tmp_path: Path) -> None:
    code = """
import os, sys
from nectar_node.console import streams
streams.make_usable()
opened = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
print("not into the file")
print("nor this", file=sys.stderr)
os.write(opened, b"%d, and %r" % (opened > 2, sys.stdin.read().encode()))
"""
    subprocess.run(closed([sys.executable, "-c", code, str(tmp_path / "file")]), cwd=Path.cwd(), check=True)
    assert (tmp_path / "file").read_bytes() == b"1, and b''"


def test_a_child_without_an_input_says_that_it_was_told_nothing(tmp_path: Path) -> None:
    words = [
        sys.executable,
        "-P",
        "-m",
        "nectar_node.base.program",
        "nectar_node.launcher.child",
        "a.nec",
        str(tmp_path),
    ]
    ended = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *words], stderr=subprocess.PIPE, text=True, check=False
    )
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)
    assert ended.stderr.startswith("The boot options cannot be read (")
