"""One chaos run: faults, files and requests at the same time, then calm, and a check of the results."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from nectar_node.base.errors import NodeError
from nectar_node.launcher.file_transfer import Interrupts
from testnet.chaos import senders
from testnet.chaos.askers import PROCESS, RUN_SECONDS, TIMEOUT, Author
from testnet.chaos.context import ChaosContext
from testnet.chaos.fault_player import FaultPlayer
from testnet.chaos.journal import chaos_lines
from testnet.chaos.leftovers import end_transfers
from testnet.chaos.nodes import RunningTestnet
from testnet.chaos.report import ChaosReport
from testnet.chaos.senders import Sender
from testnet.faults.schedule import Schedule
from testnet.real.trace_check import check_traces
from testnet.real.traces import TracePipes

MARGIN = 10.0
"""Seconds that an outcome may be late."""
PATIENCE = max(RUN_SECONDS + TIMEOUT, senders.TIMEOUT) + MARGIN
"""Seconds after the last fault in which everything under way must have had its outcome (G5)."""
_GLANCE = 0.2


class Shows(Protocol):
    """A display of the progress."""

    def show(self, done: int, total: int, text: str) -> None:
        """Show that `done` of `total` seconds are over; `text` says more."""


def run_chaos(
    place: RunningTestnet,
    seed: int,
    seconds: float,
    schedule: Schedule,
    display: Shows,
    wanted: Interrupts,
    begun: Callable[[ChaosReport], None] = lambda _: None,
) -> ChaosReport:
    """Inject the faults of `schedule` for so many seconds, or until the user interrupts, and return the report; `begun`
    is given it at the beginning, as far as it is."""
    report = ChaosReport(seed, place.nodes, seconds)
    begun(report)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="nectar-chaos-files-", dir=place.scratch) as scratch:
        context = ChaosContext(
            place.network,
            place.nodes,
            seed,
            Path(scratch),
            report,
            place.lifeline,
            place.traces,
            place.far,
        )
        partial = context.ground.partial(context.nodes)
        play = Play(context, schedule)
        try:
            play.perform(seconds, display, wanted)
        finally:
            play.tidy(partial)
    if report.violations():
        report.journal = chaos_lines(report, place.traces, began)
    return report


class Play:
    """All threads of a run."""

    def __init__(self, context: ChaosContext, schedule: Schedule) -> None:
        self._prefix = f"chaos-{secrets.token_hex(4)}-"
        self._context = context
        self._player = FaultPlayer(context, schedule)
        self._authors = [Author(context, name) for name in context.nodes]
        self._senders = [Sender(context, name, self._prefix) for name in context.nodes]
        self._threads: list[threading.Thread] = []

    def perform(self, seconds: float, display: Shows, wanted: Interrupts) -> None:
        """Run from the first fault to the last outcome. A second interrupt stops waiting for outcomes."""
        faults = self._start([self._player.run])
        work = self._start([*(each.run for each in self._authors), *(each.run for each in self._senders)])
        self._watch(lambda: self._is_over(seconds) or wanted.count > 0, seconds, display, "")
        self._context.report.seconds = min(seconds, self._context.now)
        self._context.finishing.set()
        if wanted.count:
            self._context.hurried.set()
        self._watch(lambda: not _alive(faults), seconds, display, "healing: ")
        self._context.be_patient(PATIENCE)
        self._watch(lambda: not _alive(work) or wanted.count > 1, seconds, display, "waiting for the last outcomes: ")
        self._context.abandoned = _alive(work) and wanted.count > 1
        for thread in work:
            thread.join()
        self._check()

    def _is_over(self, seconds: float) -> bool:
        return self._context.now >= seconds or self._context.gone

    def tidy(self, partial: set[tuple[str, str]]) -> None:
        """End all that was begun, check the received files, and remove all leftovers."""
        self._context.finishing.set()
        self._context.be_patient(0.0)
        for thread in self._threads:
            thread.join()
        self._player.clear()
        end_transfers(self._context, self._prefix)
        for sender in self._senders:
            sender.sweep()
        for author, name in zip(self._authors, self._context.nodes, strict=True):
            if author.installed:
                with contextlib.suppress(NodeError), self._context.network.connect(name) as client:
                    client.request("kill", address=PROCESS)
        ground = self._context.ground
        ground.drop_partial(ground.partial(self._context.nodes) - partial)

    def _check(self) -> None:
        for author in self._authors:
            author.check()
        if self._context.traces is not None:
            self._check_traces(self._context.traces)

    def _check_traces(self, traces: TracePipes) -> None:
        check = check_traces(
            traces, lambda name: self._context.network.place(name).owner() is not None, with_journal=False
        )
        report = self._context.report
        if check.problem:
            report.unwatched = check.problem
            return
        report.steps, report.unwatched = check.steps, ""
        if (violation := check.watch.found) is not None:
            report.problems.append(f"{violation} (the traces are in {traces.folder})")

    def _start(self, what: Sequence[Callable[[], None]]) -> list[threading.Thread]:
        threads = [threading.Thread(target=self._guarded, args=(each,), name="chaos", daemon=True) for each in what]
        for thread in threads:
            thread.start()
        self._threads += threads
        return threads

    def _guarded(self, what: Callable[[], None]) -> None:
        """Run `what`; an error of our own is a problem of the run, and ends no other thread."""
        try:
            what()
        except Exception as error:
            self._context.report.problems.append(f"a part of this run has failed: {error!r}")

    def _watch(self, done: Callable[[], bool], seconds: float, display: Shows, phase: str) -> None:
        while not done():
            display.show(min(round(self._context.now), round(seconds)), round(seconds), phase + self._words())
            time.sleep(_GLANCE)

    def _words(self) -> str:
        holding, report = self._player.words(), self._context.report
        requests = report.requests.started + sum(author.sent() for author in self._authors)
        faults = "no fault holds" if not holding else holding[0] if len(holding) == 1 else f"{len(holding)} faults hold"
        return f"{faults}; {report.transfers.completed} files, {requests} requests"


def _alive(threads: Sequence[threading.Thread]) -> bool:
    return any(thread.is_alive() for thread in threads)
