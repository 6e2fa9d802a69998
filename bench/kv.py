"""`kv`: sets, which are durable, and gets of one process through messages to kv:distro:sys, beside bare SQLite.

Each waits for the answer to the one before, as bare SQLite does. All of it lies on a real disk, whose syncs decide what
a set takes; a get is in SQLite's cache, so its messages are what is measured.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import apsw

from bench.guests import PACKAGE, asker_of_kv
from bench.lab import folder
from bench.measure import Result, in_turns, ratio
from bench.state import DISK
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet

NODE = "send.nec"
BYTES = 1024
"""Bytes of a value."""
CALLS = 500
GOAL = 0.5
"""Times what bare SQLite does."""
_PUBLISHER = "local"
_PATIENCE = 120


def run() -> list[Result]:
    """Measure sets and gets, and the references, in turns."""
    with folder(DISK) as place, LocalTestnet(place / "net") as net:
        net.boot({NODE: BootOptions(packages=(_package(place),))})
        _ask(net, "o")
        sets, bare_sets, gets, bare_gets = in_turns(
            lambda: _ask(net, "s"),
            lambda: _bare(place / "bare", durable=True),
            lambda: _ask(net, "g"),
            lambda: _bare(place / "bare", durable=False),
        )
    unit = "a second"
    return [
        ratio("kv_set", sets, bare_sets, ("bare SQLite commits of the same bytes", unit), GOAL),
        ratio("kv_get", gets, bare_gets, ("bare SQLite queries of the same bytes", unit), GOAL),
    ]


def _package(place: Path) -> Path:
    package = place / PACKAGE
    package.mkdir()
    (package / "kv.wasm").write_bytes(asker_of_kv(CALLS, BYTES))
    (package / "metadata.json").write_text(json.dumps({"package": PACKAGE, "publisher": _PUBLISHER}))
    entry = {"process_name": "kv", "process_wasm_path": "/kv.wasm", "request_capabilities": ["kv:distro:sys"]}
    (package / "manifest.json").write_text(json.dumps([entry]))
    return package


def _ask(net: LocalTestnet, letter: str) -> float:
    """Return how many requests a second the guest has answered."""
    with net.connect(NODE) as client:
        target = f"our@kv:{PACKAGE}:{_PUBLISHER}"
        begin = time.perf_counter()
        answer = client.request("message", patience=_PATIENCE, target=target, body=letter, timeout=_PATIENCE)
        seconds = time.perf_counter() - begin
    assert answer["outcome"] == "response", answer
    assert "Err" not in str(answer["body"]), answer
    return CALLS / seconds


def _bare(file: Path, *, durable: bool) -> float:
    connection = apsw.Connection(str(file))
    for setting in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
        list(connection.execute(f"PRAGMA {setting}"))
    list(connection.execute("CREATE TABLE IF NOT EXISTS pairs (key BLOB PRIMARY KEY, value BLOB)"))
    begin = time.perf_counter()
    for _ in range(CALLS):
        if durable:
            list(connection.execute("REPLACE INTO pairs VALUES (?, ?)", (b"k", os.urandom(BYTES))))
        else:
            list(connection.execute("SELECT value FROM pairs WHERE key = ?", (b"k",)))
    seconds = time.perf_counter() - begin
    connection.close()
    return CALLS / seconds
