"""`install`: a package of 20 MB that a node fetches from another one, against `nectar send` of the same bytes; and what
a hundred installed packages add to a node's boot.

The first two are whole commands between the same two nodes, in turns, over loopback and in a tmpfs folder where there
is one.
The package has one process, so that its code is compiled within the time of the first run alone; each run publishes
and installs another version, with other bytes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from itertools import count
from pathlib import Path

from bench.lab import RECEIVER, SENDER, folder, running, send_file
from bench.measure import Figure, Reference, Result, absolute, in_turns, processor_seconds, ratio
from nectar_node.base.shipped import SHIPPED_FOLDER
from nectar_node.cli.starting.start import START_TIMEOUT
from testnet.real.local import LocalTestnet

SIZE = 20_000_000
GOAL = 0.7
"""Times the speed of `nectar send`."""
_FILES = 4
"""That the bytes are in."""
_PACKAGE = f"bench:{SENDER}"
PACKAGES = 100
"""That one node has installed, each with a process."""
BOOT_GOAL = 0.5
"""Seconds that they may add to its boot."""


def run() -> list[Result]:
    """Measure both in turns."""
    with folder() as place, running(SENDER, RECEIVER) as net:
        numbers = count(1)
        ours, theirs = in_turns(
            lambda: _install(net, place, next(numbers)), lambda: send_file(net, _file(place, next(numbers)), RECEIVER)
        )
    speeds = [[SIZE / 1e6 / each for each in values] for values in (ours, theirs)]
    figure = ratio("install", speeds[0], speeds[1], ("nectar send", "MB/s"), GOAL)
    return [replace(figure, detail=figure.detail | {"bytes": SIZE, "files": _FILES}), _boot()]


def _boot() -> Figure:
    """Boot a node with many installed packages and one without, in turns."""
    with folder() as place, running(SENDER, RECEIVER) as net:
        with net.network.connect(SENDER) as client:
            for number in range(PACKAGES):
                package = _make(place / f"many{number}", f"many{number}", "local", "1.0.0")
                (package / "data").write_text(str(number))  # so that no two have the same files
                client.ask("install", START_TIMEOUT, package=str(package), origin=str(package))
        many, none = in_turns(lambda: _come_back(net, SENDER), lambda: _come_back(net, RECEIVER))
        processor = processor_seconds(net.pid(SENDER) or 0) - processor_seconds(net.pid(RECEIVER) or 0)
        assert len(net.processes(SENDER)) - len(net.processes(RECEIVER)) == PACKAGES
    more = [ours - theirs for ours, theirs in zip(many, none, strict=True)]
    figure = absolute("install_boot", more, "s more", BOOT_GOAL, Reference.of("a node without any", none, "s"))
    return replace(figure, detail={"processor time more, s": round(processor, 3)})


def _come_back(net: LocalTestnet, name: str) -> float:
    """Return the seconds from the command until a node that was stopped is ready."""
    net.stop(name)
    begin = time.perf_counter()
    net.start([name])
    return time.perf_counter() - begin


def _file(place: Path, number: int) -> Path:
    path = place / f"file{number}.bin"
    path.write_bytes(os.urandom(SIZE))
    return path


def _install(net: LocalTestnet, place: Path, number: int) -> float:
    """Publish another version, and return the seconds of the command that installs it on the other node."""
    package = _make(place / f"bench{number}", "bench", SENDER, f"{number}.0.0")
    for each in range(_FILES):
        (package / f"data{each}").write_bytes(os.urandom(SIZE // _FILES))
    _nectar(net, "publish", str(package), "--node", SENDER)
    begin = time.perf_counter()
    _nectar(net, "install", f"{_PACKAGE}@{number}.0.0", "--node", RECEIVER)
    return time.perf_counter() - begin


def _make(package: Path, name: str, publisher: str, version: str) -> Path:
    """Make the folder of a package with one process, and return it."""
    shutil.copytree(SHIPPED_FOLDER / "echo" / "pkg", package)
    manifest = json.loads((package / "manifest.json").read_text())
    (package / "manifest.json").write_text(json.dumps([each for each in manifest if each["process_name"] == "echo"]))
    (package / "metadata.json").write_text(json.dumps({"package": name, "publisher": publisher, "version": version}))
    return package


def _nectar(net: LocalTestnet, *words: str) -> None:
    line = [sys.executable, "-P", "-m", "nectar_node", *words, "--dir", str(net.folder), "--json"]
    ended = subprocess.run(line, capture_output=True, text=True)
    if ended.returncode:
        raise RuntimeError(f"nectar {words[0]} failed: {ended.stderr}")
