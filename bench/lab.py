"""Testnets and reference programs for the figures."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from nectar_node.launcher.client import ControlClient
from testnet.real.local import LocalTestnet

SENDER, RECEIVER = "send.nec", "recv.nec"
TMPFS = Path("/dev/shm")
PAUSE_SECONDS = 0.002
"""Seconds between two requests, so that they meet all phases of what goes on beside them."""


@contextlib.contextmanager
def running(*names: str, where: Path | None = None, cipher: str | None = None) -> Iterator[LocalTestnet]:
    """Yield a fresh testnet in a temporary folder below `where` (default: a tmpfs where there is one), whose nodes use
    `cipher` (default: what is faster here)."""
    with folder(where) as place, LocalTestnet(place / "net") as net:
        net.boot({name: replace(net.options, cipher=cipher) for name in names})
        yield net


@contextlib.contextmanager
def folder(where: Path | None = None) -> Iterator[Path]:
    """Yield a temporary folder, on a tmpfs where there is one."""
    if where is None and os.access(TMPFS, os.W_OK):
        where = TMPFS
    with tempfile.TemporaryDirectory(prefix="nectar-bench-", dir=where) as place:
        yield Path(place)


def make_file(path: Path, size: int) -> Path:
    """Write a file of `size` bytes, a multiple of 16 MiB, that do not compress."""
    with path.open("wb") as file:
        for _ in range(size >> 24):
            file.write(os.urandom(1 << 24))
    return path


def send_file(net: LocalTestnet, file: Path, receiver: str) -> float:
    """Return the seconds of the whole command that sends `file` from send.nec to `receiver`."""
    inbox = net.place(receiver).drives / "file_transfer:sys" / "inbox"
    shutil.rmtree(inbox, ignore_errors=True)
    begin = time.perf_counter()
    command = [sys.executable, "-m", "nectar_node", "send", str(file), "--from", SENDER, "--to", receiver]
    subprocess.run([*command, "--dir", str(net.folder)], check=True, capture_output=True)
    seconds = time.perf_counter() - begin
    assert (inbox / file.name).stat().st_size == file.stat().st_size
    return seconds


def ping(net: LocalTestnet, target: str, count: int, size: int = 100, **more: int) -> float:
    """Return the seconds of one request and its response, from the Wasm process ping on send.nec to `target`; see
    ping.zig."""
    run = {"Run": {"target": target, "count": count, "size": size, **more}}
    begin = time.perf_counter()
    answer = net.message(SENDER, "our@ping:echo:sys", json.dumps(run), timeout=600)
    seconds = time.perf_counter() - begin
    assert json.loads(str(answer["body"]))["Ran"] == {"count": count, "failed": 0}, answer
    return seconds / count


def timed_request(client: ControlClient, target: str) -> float:
    """Return the seconds of a small request that a node is given for `target`, and its response."""
    time.sleep(PAUSE_SECONDS)
    begin = time.perf_counter()
    answer = client.request("message", patience=60.0, target=target, body="x" * 100, timeout=50, blob=None, mime=None)
    assert answer["outcome"] == "response", answer
    return time.perf_counter() - begin


def program(name: str, *arguments: str) -> float:
    """Return the number that the reference program `bench.reference NAME` prints."""
    return float(printed("bench.reference", name, *arguments))


def printed(module: str, *arguments: str) -> str:
    """Return what a module prints that runs as a program."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
