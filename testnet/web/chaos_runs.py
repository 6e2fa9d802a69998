"""Chaos that the page has started: one run at a time, in a thread, as `nectar testnet chaos` does; and results."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from nectar_node.base.errors import AlreadyRunning, BadInput, NodeError
from nectar_node.launcher.file_transfer import Interrupts
from nectar_node.launcher.local_network import LocalNetwork
from testnet.chaos.nodes import running_testnet
from testnet.chaos.plan import check_minutes, draw_rounds
from testnet.chaos.report import ChaosReport, words
from testnet.chaos.run import run_chaos

MAX_RESULTS = 20
"""Results that are kept, the newest ones."""


@dataclass(frozen=True, slots=True)
class ChaosResult:
    """What has come of one run."""

    number: int
    seed: int
    text: str
    """The report, for people."""
    value: dict[str, Any]
    """The report, as JSON values."""
    promises: list[dict[str, Any]]


@dataclass(slots=True)
class ChaosUnderWay:
    """A run, as its thread tells of it; the progress that `run_chaos` shows."""

    seed: int
    seconds: int
    wanted: Interrupts = field(default_factory=Interrupts)
    done: int = 0
    words: str = "is being prepared"
    report: ChaosReport | None = None
    """As far as it is."""

    def show(self, done: int, total: int, text: str) -> None:
        """Take the progress."""
        self.done, self.seconds, self.words = done, total, text

    def begun(self, report: ChaosReport) -> None:
        """Take the report, which grows."""
        self.report = report

    def value(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        told = [] if self.report is None else promises(self.report, over=False)
        state = {"seed": self.seed, "seconds": self.seconds, "done": self.done, "words": self.words}
        return {**state, "ends": self.wanted.count > 0, "promises": told}


class ChaosRuns:
    """The runs on one testnet."""

    def __init__(self, network: LocalNetwork) -> None:
        self._network = network
        self._lock = threading.Lock()
        self._running: ChaosUnderWay | None = None
        self._thread: threading.Thread | None = None
        self._results: list[ChaosResult] = []
        self._failure = ""
        """Why the last run could not begin."""

    @property
    def runs(self) -> bool:
        """Whether a run is under way."""
        return self._running is not None

    def begin(self, minutes: float, seed: int) -> None:
        """Begin a run; raises BadInput and AlreadyRunning."""
        check_minutes(minutes)
        with self._lock:
            if self._running is not None:
                raise AlreadyRunning("Chaos is under way already: wait for its end, or end it.")
            self._running, self._failure = ChaosUnderWay(seed, round(60 * minutes)), ""
            self._thread = threading.Thread(
                target=self._run, args=(self._running, 60 * minutes), name="chaos", daemon=True
            )
        self._thread.start()

    def end(self) -> None:
        """Let the run end early; a second time, do not wait for its last outcomes."""
        if self._running is not None:
            self._running.wanted.count += 1

    def wait(self, seconds: float) -> bool:
        """Wait for the end of the run, at most so long; return whether there is none any more."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self._running is None

    def value(self) -> dict[str, Any]:
        """Return the state of the run that is under way, and the results, the newest first, as JSON values."""
        running = self._running
        results = [
            {
                "number": each.number,
                "seed": each.seed,
                "seconds": each.value["seconds"],
                "violations": each.value["violations"],
                "ended_early": each.value["ended_early"],
                "promises": each.promises,
                "page": f"/report/chaos/{each.number}",
            }
            for each in reversed(self._results)
        ]
        return {"running": None if running is None else running.value(), "failure": self._failure, "results": results}

    def last(self) -> str:
        """Return the report of the last run, or why it could not begin, for people."""
        return self._failure or (self._results[-1].text if self._results else "")

    def report(self, number: str) -> ChaosResult:
        """Return the result with that number; raises BadInput."""
        found = [each for each in self._results if str(each.number) == number]
        if not found:
            raise BadInput("There is no such run of chaos any more.")
        return found[0]

    def _run(self, running: ChaosUnderWay, seconds: float) -> None:
        try:
            LocalNetwork.find(self._network.folder)  # a page of a testnet makes no other one in its place
            with running_testnet(self._network.folder, lambda _: None) as place:
                schedule = draw_rounds(place.nodes, seconds, running.seed)
                report = run_chaos(place, running.seed, seconds, schedule, running, running.wanted, running.begun)
                place.keep = bool(report.violations())
            self._keep(report)
        except NodeError as error:
            self._failure = str(error)
        except Exception as error:  # of our own: the page says so, and goes on
            self._failure = f"The run has failed: {type(error).__name__}: {error}."
        finally:
            self._running = None

    def _keep(self, report: ChaosReport) -> None:
        number = self._results[-1].number + 1 if self._results else 1
        text = words(report, lambda node: self._network.command("logs", "--node", node))
        self._results.append(ChaosResult(number, report.seed, text, report.value(), promises(report, over=True)))
        del self._results[:-MAX_RESULTS]


def promises(report: ChaosReport, *, over: bool) -> list[dict[str, Any]]:
    """Return the promises of a run as JSON values: the words, the state, "open" (until it is over), "held", "broken"
    or "unwatched", and more words, if there are any. Pure."""
    rows = [
        {"words": each.words, "state": "broken", "more": f"{each.broken}: {each.count}"}
        if each.count
        else {"words": each.words, "state": "held" if over else "open", "more": ""}
        for each in report.promises()
    ]
    steps = {"words": "Every step of every message is right (G2 to G5, G24)"}
    if report.unwatched:
        rows.append({**steps, "state": "unwatched", "more": report.unwatched})
    else:
        more = f"{report.steps} steps" if over else ""
        rows.append({**steps, "state": "held" if over else "open", "more": more})
    rows += [{"words": "The run goes as planned", "state": "broken", "more": each} for each in report.problems]
    return rows
