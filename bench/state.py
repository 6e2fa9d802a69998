"""`state`: durable `set-state` calls of processes, alone and together, beside bare commits and bare syncs.

What many processes save gathers while one commit is under way, and the next commit takes all of it: so their number
costs a row each, and not a sync. All of it lies on a real disk, whose syncs decide what one process gets.

Bare SQLite begins with an empty database, as somebody would who measures it. Its log grows with each commit then, and
to sync a file that has grown takes some file systems twice as long. A node that has run for a minute writes over its
log, as SQLite does after 500 commits: that is the second reference.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from dataclasses import replace
from pathlib import Path

import apsw

from bench.guests import PACKAGE, saver
from bench.lab import folder
from bench.measure import Figure, Result, in_turns, ratio
from bench.rig import number
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet

DISK = Path("/var/tmp")
"""A folder that is on a disk: `/tmp` may be in memory."""
NODE = "send.nec"
BYTES = 1024
"""Bytes of a state."""
CALLS = 300
"""Calls of each process."""
SETTLED = 600
"""Commits after which SQLite writes over its log."""
PROCESSES = 100
GOAL = 0.7
"""Times the commits of bare SQLite, for one process."""
TOGETHER_GOAL = 10.0
"""Times as many calls of all processes as of one."""
_PUBLISHER = "local"
_PATIENCE = 120


def run() -> list[Result]:
    """Measure 1, 10 and 100 processes, and the references, in turns."""
    with folder(DISK) as place, LocalTestnet(place / "net") as net:
        net.boot({NODE: BootOptions(packages=(_package(place),))})
        one, ten, hundred, sqlite, settled, fsync = in_turns(
            lambda: _save(net, 1),
            lambda: _save(net, 10),
            lambda: _save(net, PROCESSES),
            lambda: _commit(place / "bare"),
            lambda: _commit(place / "bare", SETTLED),
            lambda: _sync(place / "synced"),
        )
    unit = "calls a second"
    alone = ratio("state", one, sqlite, ("bare SQLite commits of the same bytes", unit), GOAL)
    together = ratio("state_100", hundred, one, ("one process", unit), TOGETHER_GOAL)
    return [
        _with(alone, {f"bare SQLite over a log that is long already, {unit}": settled, f"bare fsyncs, {unit}": fsync}),
        _with(together, {f"10 processes, {unit}": ten}),
    ]


def _with(figure: Figure, detail: dict[str, list[float]]) -> Figure:
    medians: dict[str, float | str] = {label: round(statistics.median(values), 3) for label, values in detail.items()}
    return replace(figure, detail=figure.detail | medians)


def _package(place: Path) -> Path:
    """Return the folder of a package whose processes save states."""
    package = place / PACKAGE
    package.mkdir()
    (package / "saver.wasm").write_bytes(saver(CALLS, BYTES))
    (package / "metadata.json").write_text(json.dumps({"package": PACKAGE, "publisher": _PUBLISHER}))
    entries = [
        {"process_name": number(index), "process_wasm_path": "/saver.wasm", "public": True}
        for index in range(PROCESSES)
    ]
    (package / "manifest.json").write_text(json.dumps(entries))
    return package


def _save(net: LocalTestnet, count: int) -> float:
    """Return how many durable calls a second so many processes make together."""
    targets = [f"our@{number(index)}:{PACKAGE}:{_PUBLISHER}" for index in range(count)]
    with net.connect(NODE) as client:
        begin = time.perf_counter()
        for target in targets:
            client.request("message", target=target, body="save", timeout=None)
        for target in targets:  # each answers when it has saved all
            answer = client.request("message", patience=_PATIENCE, target=target, body="", timeout=_PATIENCE)
            assert answer["outcome"] == "response", answer
        return count * CALLS / (time.perf_counter() - begin)


def _commit(file: Path, before: int = 0) -> float:
    """Return how many states a second bare SQLite commits, one after the other, when it has committed some `before`."""
    file.unlink(missing_ok=True)
    connection = apsw.Connection(str(file))
    for setting in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
        list(connection.execute(f"PRAGMA {setting}"))
    list(connection.execute("CREATE TABLE states (key TEXT PRIMARY KEY, value BLOB)"))
    for commit in range(before + CALLS):
        if commit == before:
            begin = time.perf_counter()
        list(connection.execute("REPLACE INTO states VALUES (?, ?)", ("a", os.urandom(BYTES))))
    seconds = time.perf_counter() - begin
    connection.close()
    return CALLS / seconds


def _sync(file: Path) -> float:
    """Return how many pieces of a state's length a second are appended and synced."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        begin = time.perf_counter()
        for _ in range(CALLS):
            os.write(descriptor, os.urandom(BYTES))
            os.fsync(descriptor)
        return CALLS / (time.perf_counter() - begin)
    finally:
        os.close(descriptor)
