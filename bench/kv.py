"""`kv`: sets, which are durable, and gets of one process through messages to kv:distro:sys, beside SQLite.

All of it lies on a real disk, whose syncs decide what a set takes. Each set waits for the answer to the one before, as
bare SQLite does.

A get is in memory on both sides. Bare SQLite takes two microseconds for it, within one call of a function, in which
the whole program stands still. A request and its answer between two processes take ten times that, whoever answers: so
`kv_get` cannot reach its goal. `kv_get_floor` is what it would be if kv took no time at all: another guest answers the
same request with the same bytes. `kv_get_echo` is the get beside that: what kv itself costs.

A program that does other things meanwhile, as a node does, cannot call SQLite so: a page that is not in memory would
stop all of it. It asks in another thread. `kv_get_thread` is the get beside a trio task that does, one after the
other, and `kv_get_window` has 64 gets under way, beside as many tasks. `kv_window_echo` is the latter beside the echo.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from pathlib import Path

import apsw
import trio

from bench.guests import PACKAGE, asker_of_kv, echo
from bench.lab import folder
from bench.measure import Result, in_turns, processor_seconds, ratio
from bench.state import DISK
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet

NODE = "send.nec"
BYTES = 1024
"""Bytes of a value."""
SETS, GETS = 500, 10_000
THREAD_GETS = 2_000
"""Gets in another thread, which take longer."""
WINDOW = 64
"""Gets that are under way at a time."""
GOAL = 0.5
"""Times what bare SQLite does."""
_PUBLISHER = "local"
_PATIENCE = 120


def run() -> list[Result]:
    """Measure sets and gets, and the references, in turns."""
    with folder(DISK) as place, LocalTestnet(place / "net") as net:
        net.boot({NODE: BootOptions(packages=(_package(place),))})
        _ask(net, "o", 1)
        used: dict[str, list[float]] = {}
        """Processor time of a get in microseconds, of each turn."""

        def gets_of(letter: str) -> float:
            pid = net.pid(NODE)
            assert pid is not None
            before = processor_seconds(pid)
            rate = _ask(net, letter, GETS)
            used.setdefault(letter, []).append(1e6 * (processor_seconds(pid) - before) / GETS)
            return rate

        def threads_of(tasks: int) -> float:
            before = time.process_time()
            rate = trio.run(_in_thread, place / "bare", tasks)
            used.setdefault(str(tasks), []).append(1e6 * (time.process_time() - before) / THREAD_GETS)
            return rate

        sets, bare_sets, gets, bare_gets, echoes, threads, many, many_echoes, many_threads = in_turns(
            lambda: _ask(net, "s", SETS),
            lambda: _bare(place / "bare", SETS, durable=True),
            lambda: gets_of("g"),
            lambda: _bare(place / "bare", GETS, durable=False),
            lambda: _ask(net, "e", GETS),
            lambda: threads_of(1),
            lambda: gets_of("w"),
            lambda: _ask(net, "v", GETS),
            lambda: threads_of(WINDOW),
        )
    unit = "a second"
    thread = ratio(
        "kv_get_thread", gets, threads, ("queries of the same bytes in a thread of a trio program", unit), GOAL
    )
    window = ratio("kv_get_window", many, many_threads, (f"the same of {WINDOW} tasks at a time", unit), GOAL)
    for result, ours, theirs in ((thread, "g", "1"), (window, "w", str(WINDOW))):
        result.detail["processor time of each, µs"] = round(statistics.median(used[ours]), 1)
        result.detail["that of the reference, µs"] = round(statistics.median(used[theirs]), 1)
    queries = ("bare SQLite queries of the same bytes", unit)
    return [
        ratio("kv_set", sets, bare_sets, ("bare SQLite commits of the same bytes", unit), GOAL),
        ratio("kv_get", gets, bare_gets, queries, GOAL),
        ratio("kv_get_floor", echoes, bare_gets, queries, GOAL),
        ratio("kv_get_echo", gets, echoes, ("answers of a guest that echoes", unit), GOAL),
        thread,
        window,
        ratio("kv_window_echo", many, many_echoes, (f"{WINDOW} answers of the echo at a time", unit), GOAL),
    ]


def _package(place: Path) -> Path:
    package = place / PACKAGE
    package.mkdir()
    (package / "kv.wasm").write_bytes(asker_of_kv(SETS, GETS, BYTES, WINDOW))
    (package / "echo.wasm").write_bytes(echo())
    (package / "metadata.json").write_text(json.dumps({"package": PACKAGE, "publisher": _PUBLISHER}))
    asked = {"kv": ["kv:distro:sys"], "echo": []}
    entries = [
        {
            "process_name": name,
            "process_wasm_path": f"/{name}.wasm",
            "request_capabilities": capabilities,
            "public": True,
        }
        for name, capabilities in asked.items()
    ]
    (package / "manifest.json").write_text(json.dumps(entries))
    return package


def _ask(net: LocalTestnet, letter: str, count: int) -> float:
    """Return how many of so many requests are answered in a second."""
    with net.connect(NODE) as client:
        target = f"our@kv:{PACKAGE}:{_PUBLISHER}"
        begin = time.perf_counter()
        answer = client.request("message", patience=_PATIENCE, target=target, body=letter, timeout=_PATIENCE)
        seconds = time.perf_counter() - begin
    assert answer["outcome"] == "response", answer
    assert "Err" not in str(answer["body"]), answer
    return count / seconds


def _opened(file: Path) -> apsw.Connection:
    connection = apsw.Connection(str(file))
    for setting in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
        list(connection.execute(f"PRAGMA {setting}"))
    list(connection.execute("CREATE TABLE IF NOT EXISTS pairs (key BLOB PRIMARY KEY, value BLOB)"))
    return connection


def _get(connection: apsw.Connection) -> object:
    return list(connection.execute("SELECT value FROM pairs WHERE key = ?", (b"k",)))


async def _in_thread(file: Path, tasks: int) -> float:
    """Return how many gets a second some tasks have that ask SQLite in a thread."""
    connection, one = _opened(file), trio.CapacityLimiter(1)  # a connection is for one thread at a time

    async def task() -> None:
        for _ in range(THREAD_GETS // tasks):
            await trio.to_thread.run_sync(_get, connection, limiter=one)

    begin = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(tasks):
            nursery.start_soon(task)
    seconds = time.perf_counter() - begin
    connection.close()
    return THREAD_GETS // tasks * tasks / seconds


def _bare(file: Path, count: int, *, durable: bool) -> float:
    connection = _opened(file)
    begin = time.perf_counter()
    for _ in range(count):
        if durable:
            list(connection.execute("REPLACE INTO pairs VALUES (?, ?)", (b"k", os.urandom(BYTES))))
        else:
            _get(connection)
    seconds = time.perf_counter() - begin
    connection.close()
    return count / seconds
