"""A process that crashes says where, in every language: the functions and lines of its author."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from random import Random

import pytest

from kernel.wasm.binary.debug_file import DebugFile
from nectar_node.base.errors import NoTools
from nectar_node.toolchains import c, debug
from nectar_node.toolchains.languages import COMPILERS
from nectar_node.toolchains.once import debug_path
from testnet.sim.programs import Programs
from tests.languages import debian_cargo
from tests.packages.lab import Lab

pytestmark = pytest.mark.languages

SOURCES = Path(__file__).parents[1] / "guests" / "crashing"
SAID = {
    ".zig": ["  at element (src/crash.zig:26)", "  at lookUp (src/crash.zig:22)", "  at handle (src/crash.zig:16)"],
    ".rs": [
        "  at process::element (src/crash.rs:31)",
        "  at process::look_up (src/crash.rs:26)",
        "  at process::handle (src/crash.rs:16)",
    ],
    ".py": [
        '  File "crash.py", line 12, in look_up',
        '  File "crash.py", line 16, in element',
        "IndexError: index out of range",
    ],
    ".ts": ["  at element (crash.ts:19)", "  at lookUp (crash.ts:15)"],
}
"""What the log of a node has when a process has been asked for "bounds"."""


def made(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with the process that crashes."""
    if suffix == ".rs":
        try:
            monkeypatch.setenv("PATH", f"{debian_cargo.folder()}:{os.environ['PATH']}")
        except NoTools as error:
            pytest.skip(str(error))
    source, app = tmp_path / "src", tmp_path / "app"
    source.mkdir()
    app.mkdir()
    shutil.copy(SOURCES / f"crash{suffix}", source)
    COMPILERS[suffix](source / f"crash{suffix}", app / "crash.wasm")
    entry = {"process_name": "crash", "process_wasm_path": "/crash.wasm", "on_exit": "None", "public": True}
    manifest = [{**entry, "request_networking": False, "request_capabilities": []}]
    (app / "manifest.json").write_text(json.dumps(manifest))
    (app / "metadata.json").write_text('{"package": "app", "publisher": "sys"}')
    return app


@pytest.mark.parametrize("suffix", SAID)
def test_the_log_says_where_in_the_authors_lines(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(Programs(), (made(tmp_path, suffix, monkeypatch),))
    body = '"bounds"' if suffix == ".ts" else "bounds"
    lab.node.begin_to_ask("our@crash:app:sys", body.encode(), 20)
    lab.simulation.rest(3.0)
    log = [part for line in lab.node.log for part in line.removeprefix("crash:app:sys: ").splitlines()]
    assert [line for line in SAID[suffix] if line not in log] == [], log
    ended = [line for line in log if line.startswith("ended: ")]
    assert len(ended) == 1
    assert (ended == ["ended: exited with code 1"]) is (suffix in (".py", ".ts")), log


def test_damaged_debug_information_costs_the_debug_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split, whole = debug.split, tmp_path / "whole.wasm"
    monkeypatch.setattr(debug, "split", lambda built, places: None)
    c.compile_guest(SOURCES / "crash.c", whole)
    good, begin = whole.read_bytes(), whole.read_bytes().index(b".debug_")
    split(whole, {})
    small = whole.read_bytes()
    DebugFile(debug_path(whole).read_bytes(), hashlib.sha256(small).hexdigest())
    chance = Random(7)
    for _ in range(15):
        data = bytearray(good)
        for _ in range(chance.choice((1, 5, 50))):
            data[chance.randrange(begin + 12, len(data))] = chance.choice((0, 1, 0x7F, 0xFF, chance.randrange(256)))
        whole.write_bytes(data)
        split(whole, {})
        assert whole.read_bytes() in (small, bytes(data)), "seed 7"
