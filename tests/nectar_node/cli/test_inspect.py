"""What `nectar ps` and `nectar peers` print."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys
import termios
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nectar_node.cli import inspect
from tests.nectar_node.cli.served_node import make_network, serve_node, served

ROOT = Path(__file__).resolve().parents[3]
PROCESS = {
    "address": "a.nec@hello:hello:sys",
    "restarts": 2,
    "capabilities": ["network", "vfs:distro:sys"],
    "state": "waiting for a message",
    "inbox": 0,
    "messages": 3,
    "memory_bytes": 2097152,
    "cpu_seconds": 0.25,
    "public": True,
    "on_exit": "restart",
}
PEER = {
    "name": "b.nec",
    "state": "up",
    "router": None,
    "host": "127.0.0.1",
    "cipher": "AES-GCM",
    "round_trip_seconds": 0.0004,
    "bytes_sent": 2048,
    "bytes_received": 0,
    "queued_messages": 2,
    "queued_bytes": 9,
    "since": "2026-01-02T03:04:05.000+00:00",
    "last_error": "127.0.0.1:9876: refused",
    "last_error_time": "2026-01-02T03:04:00.000+00:00",
}


HOUR = datetime(2026, 1, 2, 3, 4, tzinfo=UTC).astimezone().strftime("%H:%M")
WAITING = {"address": "a.nec@x:y:sys", "restarts": 1, "capabilities": [], "state": "starts again in 2 s"}
"""A process that has not all that others have."""


@pytest.mark.parametrize(
    ("command", "answer", "row"),
    [
        ("ps", {"processes": [PROCESS]}, "hello:hello:sys\tidle\t3\t0\t2.0 MiB\t0.25 s\t2\t2\tyes\trestart"),
        ("ps", {"processes": [WAITING]}, "x:y:sys\tstarts again in 2 s\t-\t-\t-\t-\t1\t0\t-\t-"),
        (
            "peers",
            {"peers": [{**PEER, "memory_bytes": 1536}]},
            "b.nec\tup\tdirect\t400 µs\t127.0.0.1\tAES-GCM"
            "\t2.0 KiB\t0 B\t2, 9 B\t1.5 KiB\t{0}\t{0} 127.0.0.1:9876: refused",
        ),
    ],
)
def test_a_row_for_each(tmp_path: Path, command: str, answer: dict[str, object], row: str) -> None:
    ended, node = served(tmp_path, [{"ok": answer}], command)
    assert (ended.code, ended.out.splitlines()[1:]) == (0, [row.format("Jan 02 " + HOUR)])
    assert node.commands() == [command]
    assert served(tmp_path, [{"ok": answer}], command, "--json")[0].json == answer


def test_one_process_is_shown_in_full_with_its_capabilities_one_by_one(tmp_path: Path) -> None:
    ended, node = served(tmp_path, [{"ok": {"process": PROCESS}}], "ps", "hello:hello:sys")
    lines = ended.out.splitlines()
    assert lines[:2] == ["address       a.nec@hello:hello:sys", "restarts      2"]
    assert lines[2:4] == ["capabilities  network", "              vfs:distro:sys"]
    assert "memory        2.0 MiB" in lines
    assert node.requests[0] == {"command": "ps", "address": "hello:hello:sys"}
    assert served(tmp_path, [{"ok": {"process": PROCESS}}], "ps", "hello:hello:sys", "--json")[0].json == PROCESS


# --- on a terminal --------------------------------------------------------------------------------------------------

LONG = "heavy_computation:heavy_computation:sys"


def on_terminal(network: Path, answer: dict[str, object], command: str, width: int) -> list[str]:
    """The lines that a command shows on a terminal of that width."""
    make_network(network)
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, width))
    words = [sys.executable, "-P", "-m", "nectar_node", *command.split(), "--dir", str(network)]
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    with serve_node(network, "a.nec", lambda _: {"ok": answer}):
        subprocess.run(words, stdout=follower, check=True, timeout=30, env=environment | {"PYTHONPATH": str(ROOT)})
    os.close(follower)
    shown = b""
    with contextlib.suppress(OSError):  # what Linux says at the end of a terminal
        while data := os.read(leader, 1 << 16):
            shown += data
    os.close(leader)
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).splitlines()]


@pytest.mark.parametrize(
    ("width", "heading"), [(80, "PROCESS STATE MSGS INBOX MEMORY CPU RST CAPS"), (50, "PROCESS STATE MSGS MEMORY")]
)
def test_ps_shows_restarts_and_capabilities_on_80_columns_and_the_name_on_any(
    tmp_path: Path, width: int, heading: str
) -> None:
    row = {**PROCESS, "address": f"a.nec@{LONG}", "memory_bytes": 10 << 20}
    first, *lines = on_terminal(tmp_path, {"processes": [row]}, "ps --node a.nec", width)
    assert " ".join(first.split()) == heading
    assert "".join(line.split()[0] for line in lines if line) == LONG
    assert all(len(line) <= width for line in (first, *lines))


@pytest.mark.parametrize(
    ("width", "heading"),
    [(140, "NAME STATE ROUTE RTT HOST SENT RECEIVED QUEUE MEMORY SINCE LAST ERROR"), (40, "NAME STATE")],
)
def test_peers_shows_names_unbroken_on_a_narrow_terminal(tmp_path: Path, width: int, heading: str) -> None:
    peer = {**PEER, "name": "a-node-of-24-letters.nec", "bytes_received": 1 << 30, "queued_bytes": 1 << 29}
    first, line, *_ = on_terminal(tmp_path, {"peers": [peer]}, "peers --node a.nec", width)
    assert " ".join(first.split()) == heading
    assert line.startswith("a-node-of-24-letters.nec  up")


def test_peers_fits_80_columns_with_its_usual_names(tmp_path: Path) -> None:
    now = datetime.now(UTC).isoformat()
    usual = {**PEER, "name": "registrar.nec", "queued_messages": 0, "since": now, "last_error_time": now}
    first, *lines = on_terminal(tmp_path, {"peers": [usual]}, "peers --node a.nec", 80)
    assert " ".join(first.split()) == "NAME STATE ROUTE RTT QUEUE SINCE LAST ERROR"
    assert all(len(line) <= 80 for line in (first, *lines))


@pytest.mark.parametrize(
    ("row", "column", "cell"),
    [
        ({"state": "up", "router": "r.nec"}, "route", "via r.nec"),
        ({"state": "up", "router": None}, "route", "direct"),
        ({"state": "down", "router": None}, "route", "-"),
        ({"state": "up", "place": None}, "state", "up"),
        ({"state": "up", "place": "held"}, "state", "up, keeps a place"),
        ({"state": "up", "place": "refused"}, "state", "up, no place"),
        ({"queued_messages": 0, "queued_bytes": 0}, "queue", "0"),
        ({"round_trip_seconds": None}, "round_trip_seconds", "-"),
        ({"last_error": None, "last_error_time": None}, "last_error", "-"),
    ],
)
def test_what_there_is_to_say_of_a_peer(row: dict[str, object], column: str, cell: str) -> None:
    assert inspect._peer_cell(row, column) == cell


def test_the_status_of_a_testnet_shows_names_unbroken_on_50_columns(tmp_path: Path) -> None:
    peers = [{"name": f"{name}.nec", "state": "up"} for name in ("registrar", "send", "recv")]
    answer = {"name": "a.nec", "pid": 12345, "endpoint": ["127.0.0.1", 40000], "peers": peers, "processes": 8}
    first, *lines = on_terminal(tmp_path, answer, "testnet status", 50)
    assert first.split() == ["NODE", "STATE", "PEERS", "PROCESSES"]
    words = " ".join(lines).split()
    assert {"a.nec", "registrar.nec,", "send.nec,", "recv.nec"} <= set(words)
