"""`transfer`: a file of 1 GiB from file to file between two node processes, over loopback.

Against scp with its default cipher and with AES-GCM, and against bare trio TCP. In a tmpfs folder where there is one: a
shared disk's noise hides everything else; the disk's figure is printed too.

Where the time goes, in a run of 2.4 seconds whose steps were timed before bytes were hashed on the way: 0.2 until the
command had started, 1.8 while chunks flowed, 0.35 for the receiver's hash of the finished file. While chunks flow both
cores are nearly 90 percent busy. A profile had 15 to 18 percent of each node in ChaCha20-Poly1305, about as much in
copies, 8 in the sender's hash, and the largest part in Python.

Now each side hashes a chunk when it has read or written it, on the thread of the disk, and reads no file a second time
(`nectar_node.base.running_hashes`): 18 percent less processor time on either side. The command begins without Typer,
Pydantic and Rich (`nectar_node.cli.entry`): 0.09 seconds of processor time instead of 0.3. See docs/performance.md.

Keeping freed memory (`nectar_node.driver.allocator`) raised 320 to 360 MB/s to 420. Chunks of 4 instead of 2 MiB, with
as many bytes in flight, took 13 percent of either side's processor time away; twice as many in flight, TCP's own
buffer sizes, and smaller reads and writes gave nothing that stood out of the noise. BLAKE3 on several threads was
dropped: its idle threads yield in a loop, and the sender has no core to spare.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.lab import RECEIVER, SENDER, TMPFS, folder, make_file, program, running, send_file
from bench.measure import Figure, Reference, Result, Skipped, in_turns, ratio
from testnet.real.local import LocalTestnet

SIZE = 1 << 30
SCP_GOAL, AES_GOAL, TCP_GOAL = 1.5, 1.0, 0.3
MEMORY_GOAL = 64.0
"""MiB that a node's resident memory may grow by."""
CIPHER = "chacha20-poly1305@openssh.com"
"""What scp uses unless told otherwise."""
AES_CIPHER = "aes128-gcm@openssh.com"
"""The fastest that it has where the processor helps with it."""


def run() -> list[Result]:
    """Measure all figures of a transfer."""
    with folder() as place, running(SENDER, RECEIVER) as net:
        file = place / "file.bin"
        make_file(file, SIZE)
        before = _resident(net)
        sshd = Sshd(place) if Sshd.available() else None
        subjects: list[Callable[[], float]] = [
            lambda: send_file(net, file, RECEIVER),
            lambda: program("tcp_file", str(file), str(place / "tcp.bin")),
        ]
        if sshd is not None:
            subjects += [partial(sshd.copy, file, place / "scp.bin", cipher) for cipher in (CIPHER, AES_CIPHER)]
        try:
            seconds = in_turns(*subjects)
        finally:
            if sshd is not None:
                sshd.stop()
        speeds = [[SIZE / 1e6 / each for each in values] for values in seconds]
        results: list[Result] = [ratio("transfer_tcp", speeds[0], speeds[1], ("bare trio TCP", "MB/s"), TCP_GOAL)]
        if sshd is not None:
            scp, aes = ((f"scp -c {cipher}", "MB/s") for cipher in (CIPHER, AES_CIPHER))
            results.insert(0, ratio("transfer", speeds[0], speeds[2], scp, SCP_GOAL))
            results.insert(1, ratio("transfer_aes", speeds[0], speeds[3], aes, AES_GOAL))
        else:
            results.insert(0, Skipped("transfer", "needs scp and sshd: on Debian, apt-get install openssh-server"))
        return [*results, *_memory(net, before), *_on_disk(file, speeds[1])]


def _resident(net: LocalTestnet) -> dict[str, float]:
    """Return the MiB of each node now."""
    return {name: _status_mib(net, name, "VmRSS") for name in (SENDER, RECEIVER)}


def _status_mib(net: LocalTestnet, name: str, field: str) -> float:
    for line in Path(f"/proc/{net.pid(name)}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"no {field} in /proc")


def _memory(net: LocalTestnet, before: dict[str, float]) -> list[Result]:
    """Return the highest memory of each node, over all transfers."""
    results: list[Result] = []
    for name, resident in before.items():
        grown = round(_status_mib(net, name, "VmHWM") - resident, 1)
        reference = Reference("its memory before the first transfer", round(resident, 1), "MiB")
        goal = f"at most {MEMORY_GOAL:g} MiB"
        results.append(
            Figure(f"transfer_memory_{name}", grown, grown, grown, "MiB more", reference, goal, grown <= MEMORY_GOAL)
        )
    return results


def _on_disk(file: Path, tcp_speeds: list[float]) -> list[Result]:
    """Measure the same from and to the disk of the current folder; without a goal."""
    if TMPFS not in file.parents:
        return []
    with folder(Path.cwd()) as place, running(SENDER, RECEIVER, where=Path.cwd()) as net:
        copy = place / file.name
        shutil.copy(file, copy)
        ours, theirs = in_turns(
            lambda: send_file(net, copy, RECEIVER),
            lambda: program("tcp_file", str(copy), str(place / "tcp.bin")),
        )
    speeds = [[SIZE / 1e6 / each for each in values] for values in (ours, theirs)]
    figure = ratio("transfer_disk", speeds[0], speeds[1], ("bare trio TCP on disk", "MB/s"), 0.0)
    lost = round(statistics.median(theirs) / (SIZE / 1e6 / statistics.median(tcp_speeds)), 2)
    return [replace(figure, goal="none", detail={**figure.detail, "the disk makes bare TCP slower by": lost})]


class Sshd:
    """A private sshd on loopback, with keys of its own."""

    def __init__(self, place: Path, host: str = "127.0.0.1", port: int | None = None) -> None:
        """`host` and `port` are where it listens (default: some port of loopback)."""
        self._source: str | None = None
        self._key = place / "key"
        host_key = place / "host_key"
        for key in (self._key, host_key):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        with socket.create_server((host, port or 0)) as probe:
            self._front: tuple[str, int] = probe.getsockname()
        config = place / "sshd_config"
        config.write_text(
            f"Port {self._front[1]}\nListenAddress {host}\nHostKey {host_key}\nPidFile none\nStrictModes no\n"
            f"AuthorizedKeysFile {self._key}.pub\nPermitRootLogin prohibit-password\nUsePAM no\n"
            "Subsystem sftp internal-sftp\n"
        )
        Path("/run/sshd").mkdir(exist_ok=True)
        command = [self._program(), "-D", "-e", "-f", str(config)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        while "listening" not in self._process.stderr.readline():
            assert self._process.poll() is None, "sshd did not start"

    @staticmethod
    def _program() -> str:
        return shutil.which("sshd") or "/usr/sbin/sshd"

    @classmethod
    def available(cls) -> bool:
        """Whether this machine has scp and sshd, and lets us run the latter."""
        return shutil.which("scp") is not None and os.access(cls._program(), os.X_OK) and os.geteuid() == 0

    @property
    def front(self) -> tuple[str, int]:
        """Where it is reached."""
        return self._front

    def behind(self, front: tuple[str, int], source: str | None = None) -> None:
        """Reach it at another address from now on, and from the address `source`, if that is not None."""
        self._front, self._source = front, source

    def command(self, program: str, cipher: str = CIPHER) -> list[str]:
        """Return how ssh or scp is called."""
        options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
        options += [] if self._source is None else ["-o", f"BindAddress={self._source}"]
        port = "-P" if program == "scp" else "-p"
        return [program, "-q", "-c", cipher, port, str(self._front[1]), "-i", str(self._key), *options]

    def copy(self, source: Path, target: Path, cipher: str = CIPHER) -> float:
        """Return the seconds of the whole scp command."""
        begin = time.perf_counter()
        subprocess.run([*self.command("scp", cipher), str(source), f"root@{self._front[0]}:{target}"], check=True)
        return time.perf_counter() - begin

    def synchronize(self, source: Path, target: Path, cipher: str = CIPHER) -> float:
        """Return the seconds of the whole rsync command, of a file that is not there yet."""
        target.unlink(missing_ok=True)
        begin = time.perf_counter()
        shell = shlex.join(self.command("ssh", cipher))
        subprocess.run(["rsync", "-q", "-e", shell, str(source), f"root@{self._front[0]}:{target}"], check=True)
        return time.perf_counter() - begin

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()
