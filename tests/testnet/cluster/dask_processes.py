"""A scheduler of Dask and its workers, as processes on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.waiting import until


class DaskProcesses:
    """One scheduler and some workers, with files and logs in a folder; `words` are given to each."""

    def __init__(self, folder: Path, words: tuple[str, ...] = (), environment: Mapping[str, str] | None = None) -> None:
        self._folder, self._words = folder, words
        ours = {"XDG_CACHE_HOME": str(folder / "cache"), "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}
        self._environment = os.environ | ours | dict(environment or {})
        self._processes: list[subprocess.Popen[bytes]] = []
        self.scheduler, log = self._start("scheduler", "--host", "127.0.0.1", "--port", "0")
        until(lambda: b"Scheduler at:" in log.read_bytes())
        self.address = log.read_text().split("Scheduler at:")[1].split()[0]
        self.on = self.address.replace("tcp://", "dask://").replace("tls://", "dask+tls://")

    def add(self, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a worker of one thread, and wait until the scheduler has it."""
        local = str(self._folder / f"local-{len(self._processes)}")
        words = (self.address, "--nthreads", "1", "--no-nanny", "--local-directory", local)
        worker, log = self._start("worker", *words, environment=environment or {})
        until(lambda: b"Registered to:" in log.read_bytes())
        return worker

    def close(self) -> None:
        """End them all."""
        for process in self._processes:
            process.kill()
            process.wait()

    def _start(
        self, kind: str, *words: str, environment: Mapping[str, str] | None = None
    ) -> tuple[subprocess.Popen[bytes], Path]:
        log = self._folder / f"{len(self._processes)}-{kind}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                (sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard", *words, *self._words),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=self._environment | dict(environment or {}),
            )
        self._processes.append(process)
        return process, log
