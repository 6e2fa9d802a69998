"""One run: copies to several remotes at the same time, of one state of the node."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from nectar_node.backup.format.errors import BackupError
from nectar_node.backup.run import Report
from nectar_node.backup.source import BackupSource, SourceEntry
from nectar_node.backup.stores.live_node import LiveNodeSource, RunningNode, live_snapshot
from nectar_node.backup.stores.node_folder import NodeSource
from nectar_node.base.errors import AlreadyRunning, NodeError
from nectar_node.base.folder import NodeFolder

Result = Report | NodeError
Results = Iterator[tuple[str, Result]]


AT_ONCE = 4
"""Remotes that are copied to at the same time; each takes some 45 MiB of memory."""
NICE = 19
"""How far the threads that copy a running node stand behind others: they take what it leaves of the processors."""


@dataclass(frozen=True, slots=True)
class CopiedState:
    """The node's files, as they are or were at one instant."""

    runs: bool
    """Whether the node works meanwhile."""
    bytes: int | None
    """The sizes of all files, if they are known."""
    entries: Callable[[], Iterable[SourceEntry]]
    source: Callable[[], BackupSource]
    """Makes what one remote reads."""
    check: Callable[[], None]
    """Raises BackupError if what was read is not of that instant."""
    unsettled: Callable[[BackupSource], int]
    """Returns how many files were not read as they were at the instant, though no operation of the node says so."""


@contextmanager
def node_state(place: NodeFolder, network: Path, connect: Callable[[], RunningNode] | None) -> Iterator[CopiedState]:
    """Return the state of a node: if it does not run, it does not start meanwhile.

    `connect` returns a connection to the control socket of one that runs. Raises NodeError.
    """
    with ExitStack() as stack:
        try:
            stack.callback(os.close, place.acquire())
        except AlreadyRunning:
            if connect is None:
                raise
            snapshot = stack.enter_context(live_snapshot(connect(), place.path, network))
            yield CopiedState(
                True,
                snapshot.rows.bytes,
                lambda: snapshot.rows,
                lambda: LiveNodeSource(snapshot),
                snapshot.ask,
                _unsettled,
            )
        else:
            source = NodeSource(place.path, network)
            yield CopiedState(False, None, source.entries, lambda: source, lambda: None, lambda _: 0)


def _unsettled(source: BackupSource) -> int:
    assert isinstance(source, LiveNodeSource)
    return source.unsettled


def all_at_once(names: Sequence[str], copy: Callable[[str], Report], *, nice: bool) -> Results:
    """Copy to each remote on a thread of its own, and yield what became of each, the first to end first.

    `nice` threads, and those that they start, leave the processors to others.
    """
    ended: queue.SimpleQueue[tuple[str, Result | Exception]] = queue.SimpleQueue()

    def run(name: str) -> None:
        try:
            if nice:
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)  # of this thread, on Linux
            ended.put((name, copy(name)))
        except OSError as error:
            what = error.filename if isinstance(error.filename, str) else os.fsdecode(error.filename or b"A file")
            ended.put((name, BackupError(f"{what} cannot be read or written: {error.strerror or error}.")))
        except Exception as error:
            ended.put((name, error))

    waiting = iter(names)

    def begin() -> None:
        for name in islice(waiting, 1):
            threading.Thread(target=run, args=(name,), name=f"backup {name}", daemon=True).start()

    for _ in range(AT_ONCE):
        begin()
    for _ in names:
        name, result = ended.get()
        begin()
        if not isinstance(result, Report | NodeError):
            raise result
        yield name, result
