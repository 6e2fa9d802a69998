"""Processes that play plans for us (`worker`). A plan that breaks one of them breaks neither us nor the others."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from testnet.journal.journal import JournalEnd, write_journal
from testnet.scenarios.scenario import Plan
from testnet.sweep.verdict import DIED, RunVerdict

_END_SECONDS = 2.0
"""Seconds for a process to end by itself when it has nothing more to do."""
_TAIL_BYTES = 4096
_COMMAND = (sys.executable, "-P", "-m", "nectar_node.base.program", "testnet.sweep.worker")


class Worker:
    """One process, with at most one plan at a time."""

    def __init__(self, environment: Mapping[str, str] | None = None, folder: Path | None = None) -> None:
        """Start it; None: with our environment, and in our folder."""
        self.plan: Plan | None = None
        """The plan that it plays now, of those that `begin` began."""
        self._value: Mapping[str, Any] | None = None
        """The same as JSON values."""
        self._journal: Path | None = None
        self._ground: Sequence[Sequence[Any]] = ()
        self._errors = os.memfd_create("errors of a worker")
        # A process group of its own: Ctrl-C in a terminal reaches us alone, and we end it.
        self.process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            process_group=0,
            env=environment,
            cwd=folder,
        )

    def fileno(self) -> int:
        """Return a descriptor that is readable when there is a verdict, or when none will ever come."""
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def begin(
        self, plan: Plan, journal: Path | None = None, points: Path | None = None, *, ground: bool = False
    ) -> None:
        """Begin a plan, and write its journal to a file, or its events to `points`, or note the `ground` that its run
        reaches."""
        self.plan = plan
        self.begin_value(plan.value(), journal, points, ground=ground)

    def begin_value(
        self,
        plan: Mapping[str, Any],
        journal: Path | None = None,
        points: Path | None = None,
        *,
        ground: bool = False,
    ) -> None:
        """Begin a plan, given as JSON values."""
        self._value, self._journal = plan, journal
        order = {"plan": plan, "journal": None if journal is None else str(journal.resolve()), "ground": ground}
        order |= {} if points is None else {"points": str(points.resolve())}
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it has died, as `verdict` will tell
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
            self.process.stdin.flush()

    def verdict(self) -> RunVerdict:
        """Wait for the verdict on what `begin` began (`end`)."""
        assert self.plan is not None
        plan, self.plan = self.plan, None
        end = self.end()
        return RunVerdict(**asdict(end), plan=plan, ground=self._ground)

    def end(self) -> JournalEnd:
        """Wait for the result. A process that dies has the result DIED, and must be closed; its journal has no events,
        but the plan."""
        assert self.process.stdout is not None
        assert self._value is not None
        plan, self._value, self._ground = self._value, None, ()
        line = self.process.stdout.readline()
        if not line.endswith(b"\n"):
            end = JournalEnd("", 0, 0.0, DIED, self._last_words())
            if self._journal is not None:
                with suppress(OSError):  # it may have died of that
                    write_journal(self._journal, plan, (), end)
            return end
        value = json.loads(line)
        self._ground = value.pop("ground", ())
        return JournalEnd(**value)

    def _last_words(self) -> str:
        code = self.process.wait()
        end = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        tail = os.pread(self._errors, _TAIL_BYTES, max(0, os.fstat(self._errors).st_size - _TAIL_BYTES))
        lines = tail.decode(errors="replace").strip().splitlines()
        return f"the process that ran it ended with {end}" + (f": {lines[-1]}" if lines else "")

    def close(self) -> None:
        """End the process, even in the middle of a plan."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if self._value is not None:
            self.process.kill()
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        os.close(self._errors)


class Workers:
    """A few worker processes; leaving the context ends them all."""

    def __init__(self, count: int) -> None:
        self.count = count
        """The most plans that are played at the same time."""
        self._idle: list[Worker] = []
        self._busy: list[Worker] = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in (*self._busy, *self._idle):
            worker.close()

    @property
    def busy(self) -> int:
        """Return how many plans are being played."""
        return len(self._busy)

    @property
    def free(self) -> bool:
        """Return whether `begin` can be called."""
        return len(self._busy) < self.count

    def begin(
        self, plan: Plan, journal: Path | None = None, points: Path | None = None, *, ground: bool = False
    ) -> None:
        """Begin to play a plan, in a free worker; with `ground` its verdict says what ground it has reached."""
        assert self.free
        worker = self._idle.pop() if self._idle else Worker()
        self._busy.append(worker)
        worker.begin(plan, journal, points, ground=ground)

    def verdicts(self, patience: float | None) -> list[RunVerdict]:
        """Return the verdicts that have come, or come within `patience` seconds; None: wait for one."""
        with selectors.DefaultSelector() as selector:
            for worker in self._busy:
                selector.register(worker, selectors.EVENT_READ, worker)
            ready: list[Worker] = [key.data for key, _ in selector.select(patience)]
        return [self._finish(worker) for worker in ready]

    def play(self, plan: Plan, journal: Path | None = None, points: Path | None = None) -> RunVerdict:
        """Play a plan and wait for its verdict; nothing else may be in play."""
        assert not self._busy
        self.begin(plan, journal, points)
        return self.verdicts(None)[0]

    def _finish(self, worker: Worker) -> RunVerdict:
        verdict = worker.verdict()
        self._busy.remove(worker)
        if verdict.result == DIED:
            worker.close()
        else:
            self._idle.append(worker)
        return verdict
