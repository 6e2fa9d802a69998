"""Carries out `StartBackup` and `StopBackup`: each run is a process of its own, the very command that a person types.

So a copy delays the node's messages by no more than another program on the machine would: it shares neither the
interpreter nor any descriptor with the node, and yields to it. It tells what becomes of each remote in a line of JSON
(`nectar backup run --for-node`), and ends with its standard input, in whatever way the node has ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from pathlib import Path

import trio

from nectar_node.base.folder import NodeFolder
from nectar_node.contract.actions import StartBackup, StopBackup

RUN_SECONDS = 24 * 3600.0
"""Seconds that a run may take; it goes on in the next one where it stopped."""
END_SECONDS = 1.0
"""Seconds that a run has to end in after SIGTERM; then it is killed."""
KILLED_SECONDS = 0.5
"""Seconds that a killed one is waited for: it may hang in the operating system."""
MAX_LINE_BYTES = 1 << 16
"""Bytes of a line that a run writes."""
NICENESS = 10
"""How much a run yields to the node and to other programs."""

Outcomes = Mapping[str, int | str | None]


class BackupRuns:
    """The processes that make copies of one node."""

    def __init__(
        self,
        place: NodeFolder,
        network: Path,
        ended: Callable[[Outcomes], None],
        note: Callable[[str, Exception], None],
    ) -> None:
        """`place` is the node's folder, `network` that of its network; `ended` gets outcomes as they come; `note` logs
        a failure of our own code.
        """
        self._place = place
        self._network = network
        self._ended = ended
        self._note = note
        self._nursery: trio.Nursery | None = None
        self._stopped = trio.Event()
        self._latest = trio.CancelScope()
        """Around the process of the run that was begun last."""

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled or stopped; then end all runs."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._nursery = None
            self._stopped.set()

    async def stop(self) -> None:
        """End all runs, and begin none any more."""
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()
            await self._stopped.wait()

    def start(self, action: StartBackup) -> None:
        """Begin a run."""
        if self._nursery is not None:
            self._nursery.start_soon(self._run, action.remotes)

    def cut_short(self, _: StopBackup) -> None:
        """End the run that was begun last."""
        self._latest.cancel()

    async def _run(self, remotes: tuple[str, ...]) -> None:
        left = dict.fromkeys(remotes)
        last: str | None = None
        try:
            self._latest = trio.CancelScope()
            with self._latest:
                last = await self._tell_each(left)
        except OSError as error:
            last = f"The process that makes copies cannot be started: {error.strerror}."
        except Exception as error:
            self._note("a backup", error)
            last = "The node could not do that: its log says why."
        if left:
            self._ended(dict.fromkeys(left, last))

    async def _tell_each(self, left: dict[str, None]) -> str:
        """Run the process, tell what becomes of the remotes `left`, and return what to say of those that stay."""
        where = ("--node", self._place.path.name, "--dir", str(self._network.absolute()))
        process = await trio.lowlevel.open_process(
            # -P: a `net` or a `kernel` in the current folder must not be taken for a part of this program.
            [sys.executable, "-P", "-m", "nectar_node", "backup", "run", *left, "--for-node", *where],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        last = ""
        try:
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
            with trio.move_on_after(RUN_SECONDS) as scope:
                async for line in _lines(process):
                    if (outcome := _outcome_untrusted(line)) is None:
                        last = line.decode(errors="replace").strip() or last
                    elif outcome[0] in left:
                        del left[outcome[0]]
                        self._ended(dict([outcome]))
                code = await process.wait()
            if scope.cancelled_caught:
                return f"It was not ready after {RUN_SECONDS / 3600:.0f} hours, and goes on from there."
        finally:
            with trio.CancelScope(shield=True):
                await _end(process)
        if code > 0 and last.endswith("."):
            return last  # a sentence for people, of a command that could not begin
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return f"The process that makes copies has ended {how}{f' ({last})' if last else ''}."


async def _lines(process: trio.Process) -> AsyncIterator[bytes]:
    """Yield the lines that a process writes, until it ends or one is too long."""
    assert process.stdout is not None
    pending = b""
    while len(pending) <= MAX_LINE_BYTES and (data := await process.stdout.receive_some(MAX_LINE_BYTES)):
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            yield line
    yield pending[:MAX_LINE_BYTES]
    if len(pending) > MAX_LINE_BYTES:
        process.kill()


def _outcome_untrusted(line: bytes) -> tuple[str, int | str] | None:
    """Return a remote and what has become of its copy; None: the line says something else."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    match value:
        case {"name": str(name), "failure": str(sentence)}:
            return name, sentence
        case {"name": str(name), "copy": int(number)}:
            return name, number
    return None


async def _end(process: trio.Process) -> None:
    """See that a process is gone."""
    for end, seconds in ((process.terminate, END_SECONDS), (process.kill, KILLED_SECONDS)):
        if process.poll() is None:
            end()
            with trio.move_on_after(seconds):
                await process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            await trio.aclose_forcefully(pipe)
