"""`folders`: a folder of 10,000 files of 4 KiB, in a hundred folders, between two node processes over loopback.

Against `tar | ssh … tar` and against rsync over the same ssh, with the same cipher, in a tmpfs folder where there is
one. The target is empty for all three, and only the node makes what it has received durable before it says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.lab import RECEIVER, SENDER, folder, running
from bench.measure import Result, Skipped, in_turns, ratio
from bench.transfer import Sshd
from testnet.real.local import LocalTestnet

FOLDERS, FILES, SIZE = 100, 100, 4096
"""Folders, files in each, and bytes of each."""
TAR_GOAL, RSYNC_GOAL = 0.5, 0.5


def run() -> list[Result]:
    """Measure how many files a second arrive."""
    with folder() as place, running(SENDER, RECEIVER) as net:
        if not Sshd.available():
            return [Skipped("folders", "needs ssh and sshd: on Debian, apt-get install openssh-server")]
        source = _make(place / "many")
        sshd = Sshd(place)
        subjects: list[Callable[[], float]] = [
            lambda: _send(net, source),
            lambda: _timed(lambda: _tar(sshd, source, place / "tar")),
        ]
        if shutil.which("rsync"):
            subjects.append(lambda: _timed(lambda: _rsync(sshd, source, place / "rsync")))
        try:
            seconds = in_turns(*subjects)
        finally:
            sshd.stop()
    speeds = [[FOLDERS * FILES / each for each in values] for values in seconds]
    results: list[Result] = [ratio("folders", speeds[0], speeds[1], ("tar | ssh tar", "files/s"), TAR_GOAL)]
    if len(speeds) > 2:
        results.append(ratio("folders_rsync", speeds[0], speeds[2], ("rsync -a", "files/s"), RSYNC_GOAL))
    else:
        results.append(Skipped("folders_rsync", "needs rsync: on Debian, apt-get install rsync"))
    return results


def _make(root: Path) -> Path:
    for number in range(FOLDERS):
        inside = root / f"folder{number}"
        inside.mkdir(parents=True)
        for file in range(FILES):
            (inside / f"file{file}.bin").write_bytes(os.urandom(SIZE))
    return root


def _timed(copy: Callable[[], Path]) -> float:
    begin = time.perf_counter()
    target = copy()
    seconds = time.perf_counter() - begin
    assert sum(1 for _ in target.rglob("*.bin")) == FOLDERS * FILES
    shutil.rmtree(target)
    return seconds


def _send(net: LocalTestnet, source: Path) -> float:
    """Return the seconds of the whole command."""
    received = net.place(RECEIVER).drives / "file_transfer:sys" / "inbox" / source.name
    command = [sys.executable, "-m", "nectar_node", "send", str(source), "--from", SENDER, "--to", RECEIVER]

    def send() -> Path:
        subprocess.run([*command, "--dir", str(net.folder)], check=True, capture_output=True)
        return received

    return _timed(send)


def _tar(sshd: Sshd, source: Path, target: Path) -> Path:
    target.mkdir()
    packing = subprocess.Popen(["tar", "-C", str(source), "-cf", "-", "."], stdout=subprocess.PIPE)
    unpacking = [*sshd.command("ssh"), "root@127.0.0.1", f"tar -C {target} -xf -"]
    subprocess.run(unpacking, stdin=packing.stdout, check=True)
    assert packing.wait() == 0
    return target


def _rsync(sshd: Sshd, source: Path, target: Path) -> Path:
    shell = " ".join(sshd.command("ssh"))
    subprocess.run(["rsync", "-a", "-e", shell, f"{source}/", f"root@127.0.0.1:{target}/"], check=True)
    return target
