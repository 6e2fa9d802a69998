"""`backup`: a copy of a node in a folder, the next one after 1 percent has changed, and the way back; and what messages
lose while a node that runs is copied.

Beside them, restic and borg do the same with the same files, as far as they are installed. All files are on one disk,
so the page cache and the disk are the same for all.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from random import Random

from bench.lab import SENDER, folder, running, timed_request
from bench.measure import Figure, Reference, Result, Skipped, absolute, in_turns, p99, ratio
from testnet.real.local import LocalTestnet

MIB = 1 << 20
SIZE_MIB = int(os.environ.get("NECTAR_BENCH_BACKUP_MIB", "256"))
"""MiB of files; the goals are for 2,048."""
_RUNS = 5
_ECHO = "our@echo:echo:sys"
_QUIET_REQUESTS = 500
_NODE = "bench.nec"
_SMALL_BYTES = 8 * 1024
_PIECE_BYTES = 128 * 1024
FIRST_GOAL, SECOND_GOAL, RESTORE_GOAL, STORED_GOAL, MEMORY_GOAL = 1.2, 1.0, 1.2, 1.05, 256.0
"""Times the better one of restic and borg; memory in MiB."""
LATENCY_GOAL = 5.0
"""Milliseconds."""


@dataclass(slots=True)
class Taken:
    """What one tool took, a value a run."""

    first: list[float] = field(default_factory=list)
    second: list[float] = field(default_factory=list)
    back: list[float] = field(default_factory=list)
    """Seconds."""
    stored: list[float] = field(default_factory=list)
    """MiB in the remote after both."""
    memory: list[float] = field(default_factory=list)
    """The most MiB that the process had."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that makes backups."""

    name: str
    prepare: Callable[[Path, Path], list[list[str]]]
    save: Callable[[Path, Path], list[str]]
    load: Callable[[Path, Path], list[str]]
    """Command lines, for the folder of files (a network's) and the place of the tool's own."""


def run() -> list[Result]:
    """Let the tools take turns."""
    others = [tool for tool in (_RESTIC, _BORG) if shutil.which(tool.name)]
    taken: dict[str, Taken] = {tool.name: Taken() for tool in (_OURS, *others)}
    for number in range(_RUNS):
        for tool in (_OURS, *others):
            with folder() as place:
                _one_run(tool, place, number, taken[tool.name])
    if not others:
        return [Skipped("backup", "neither restic nor borg is installed")]
    ours = taken[_OURS.name]
    theirs = [taken[tool.name] for tool in others]
    names = " or ".join(tool.name for tool in others)
    return [
        _against("backup_first", ours.first, [each.first for each in theirs], names, "seconds", FIRST_GOAL),
        _against("backup_second", ours.second, [each.second for each in theirs], names, "seconds", SECOND_GOAL),
        _against("backup_restore", ours.back, [each.back for each in theirs], names, "seconds", RESTORE_GOAL),
        _against("backup_stored", ours.stored, [each.stored for each in theirs], names, "MiB", STORED_GOAL),
        _latency(),
        absolute(
            "backup_memory",
            ours.memory,
            "MiB",
            MEMORY_GOAL,
            Reference(names, round(min(statistics.median(each.memory) for each in theirs), 1), "MiB"),
        ),
    ]


def _latency() -> Figure:
    """Return by how much the 99th percentile of a request grows beside a copy of a node that runs.

    Each copy goes to a place of its own, so that it is a first one.
    """
    with folder() as place, running(SENDER) as net:
        _make_files(net.place(SENDER).drives / "app:bench.nec" / "drive", Random(0))
        places = count()
        beside, alone = in_turns(lambda: _beside_copy(net, place / str(next(places))), lambda: p99(_quiet(net)))
    more = [with_it - without for with_it, without in zip(beside, alone, strict=True)]
    reference = Reference.of("the 99th percentile without the copy", alone, "ms")
    return absolute("backup_latency", more, "ms more", LATENCY_GOAL, reference)


def _quiet(net: LocalTestnet) -> list[float]:
    with net.connect(SENDER) as client:
        return [timed_request(client, _ECHO) for _ in range(_QUIET_REQUESTS)]


def _beside_copy(net: LocalTestnet, remote: Path) -> float:
    where = ("--node", SENDER, "--dir", net.folder)
    _timed(_nectar("backup", "add", f"disk{remote.name}", remote, *where, "--json"))
    with subprocess.Popen(_nectar("backup", "run", f"disk{remote.name}", *where), stdout=subprocess.DEVNULL) as copy:
        seconds = []
        with net.connect(SENDER) as client:
            while copy.poll() is None:
                seconds.append(timed_request(client, _ECHO))
    if copy.returncode:
        raise RuntimeError(f"the copy of a node that runs ended with {copy.returncode}")
    return p99(seconds)


def _against(
    name: str, ours: Sequence[float], theirs: Sequence[Sequence[float]], names: str, unit: str, goal: float
) -> Figure:
    """Return our median against that of the better one of the others."""
    best = min(theirs, key=statistics.median)
    figure = ratio(name, ours, best, (f"the better one of {names}", unit), goal, at_most=True)
    return replace(figure, detail=figure.detail | {"files": f"{SIZE_MIB} MiB"})


def _one_run(tool: Tool, place: Path, number: int, taken: Taken) -> None:
    network, own = place / "net", place / "own"
    own.mkdir()
    random = Random(number)
    node = network / "nodes" / _NODE
    node.mkdir(mode=0o700, parents=True)
    for path in (network, network / "nodes"):
        path.chmod(0o700)
    _make_files(node / "vfs" / "app:bench.nec" / "drive", random)
    for command in tool.prepare(network, own):
        _timed(command)
    seconds, memory = _timed(tool.save(network, own))
    taken.first.append(seconds)
    _change_files(network, random)
    again, more = _timed(tool.save(network, own))
    taken.second.append(again)
    stored = sum(path.stat().st_size for path in (own / "remote").rglob("*") if path.is_file())
    taken.stored.append(stored / MIB)
    back, most = _timed(tool.load(network, own))
    taken.back.append(back)
    taken.memory.append(max(memory, more, most))


def _timed(command: Sequence[str]) -> tuple[float, float]:
    """Run a command; return seconds, and the most MiB that it had."""
    os.sync()
    environment = os.environ | {
        "RESTIC_PASSWORD": "bench",
        "BORG_PASSPHRASE": "bench",
        "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
    }
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - begin
    if process.returncode:
        raise RuntimeError(f"{command[0]} failed: {said.decode(errors='replace')}")
    return seconds, usage.ru_maxrss / 1024


def _make_files(vfs: Path, random: Random) -> None:
    """Make the files of a drive: 6 parts of 10 do not compress, 3 do, and 1 is in small files.

    A MiB at a time: what this process has counts as the memory of those that it starts, until they have more.
    """
    vfs.mkdir(mode=0o700, parents=True)
    for number in range(6):
        with (vfs / f"random{number}").open("wb") as file:
            for _ in range(SIZE_MIB // 10):
                file.write(random.randbytes(MIB))
    words = [random.randbytes(3).hex() for _ in range(4000)]
    for number in range(3):
        with (vfs / f"text{number}").open("w") as text:
            for _ in range(SIZE_MIB // 10):
                text.write(" ".join(random.choices(words, k=MIB // 7)))
    for number in range(SIZE_MIB * MIB // 10 // _SMALL_BYTES):
        small = vfs / f"folder{number % 50}" / f"small{number}"
        small.parent.mkdir(exist_ok=True)
        small.write_bytes(random.randbytes(_SMALL_BYTES))


def _change_files(network: Path, random: Random) -> None:
    """Change 1 percent: pieces anywhere in large files, and small files as a whole."""
    vfs = network / "nodes" / _NODE / "vfs" / "app:bench.nec" / "drive"
    large = sorted(path for path in vfs.iterdir() if path.is_file())
    for _ in range(SIZE_MIB * MIB * 9 // 1000 // _PIECE_BYTES):
        with random.choice(large).open("r+b") as file:
            file.seek(random.randrange(os.fstat(file.fileno()).st_size - _PIECE_BYTES))
            file.write(random.randbytes(_PIECE_BYTES))
    small = sorted(vfs.glob("*/small*"))
    for path in random.sample(small, max(1, len(small) // 100)):
        path.write_bytes(random.randbytes(_SMALL_BYTES))


def _nectar(*words: str | Path) -> list[str]:
    return [sys.executable, "-P", "-m", "nectar_node", *map(str, words)]


def _ours_prepared(network: Path, own: Path) -> list[list[str]]:
    where = ("--node", _NODE, "--dir", network)
    # The phrase goes where the restore finds it, and not onto the terminal.
    script = (
        "import json, subprocess, sys; told = subprocess.run(sys.argv[2:], check=True, capture_output=True).stdout; "
        "open(sys.argv[1], 'w').write(json.loads(told)['phrase'])"
    )
    add = _nectar("backup", "add", "disk", own / "remote", *where, "--json")
    return [[sys.executable, "-c", script, str(own / "phrase"), *add]]


_OURS = Tool(
    "nectar",
    _ours_prepared,
    lambda network, own: _nectar("backup", "run", "--node", _NODE, "--dir", network),
    lambda network, own: _nectar(
        "restore", own / "remote", "--into", own / "back", "--phrase-file", own / "phrase", "--json"
    ),
)


def _restic(own: Path, *words: str) -> list[str]:
    return ["restic", "--cache-dir", str(own / "cache"), "--repo", str(own / "remote"), *words]


_RESTIC = Tool(
    "restic",
    lambda network, own: [_restic(own, "init")],
    lambda network, own: _restic(own, "backup", str(network)),
    lambda network, own: _restic(own, "restore", "latest", "--target", str(own / "back")),
)
_BORG = Tool(
    "borg",
    lambda network, own: [["borg", "init", "--encryption", "repokey-blake2", str(own / "remote")]],
    lambda network, own: [
        "borg",
        "create",
        "--compression",
        "zstd,3",
        f"{own / 'remote'}::{{now:%Y%m%d%H%M%S%f}}",
        str(network),
    ],
    lambda network, own: [
        "sh",
        "-c",
        'mkdir "$2" && cd "$2" && borg extract "$1::$(borg list --last 1 --short "$1")"',
        "borg",
        str(own / "remote"),
        str(own / "back"),
    ],
)
