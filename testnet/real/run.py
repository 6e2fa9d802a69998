"""Plays a plan on real nodes of this machine, and writes its journal; afterwards nothing of them is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from nectar_node.base.errors import NodeError
from nectar_node.contract.config import REGISTRAR_NAME
from testnet.journal.journal import NOBODY, digest, time_of
from testnet.model.lab import Level
from testnet.real.socket_lab import SocketLab, open_socket_lab
from testnet.real.trace_check import TraceCheck, check_traces
from testnet.runs.play import play, what_went_wrong
from testnet.runs.result import BROKEN, DEADLINE, INTERRUPTED, PASSED, VIOLATED, Result
from testnet.scenarios.scenario import Outcomes, Plan, Scenario

FOLDER_PREFIX = "nectar-play-"
"""The prefix of the folders that exist while something is played."""

Listener = Callable[[str], None]
"""Is given each line of the journal when it is written, in whatever thread."""


def run_real(
    plan: Plan,
    scenario: Scenario,
    level: Level,
    listener: Listener | None = None,
    on_interrupt: Callable[[], None] = lambda: None,
) -> Result:
    """Play a plan; what goes wrong is in the result. `on_interrupt` is called after Ctrl-C, before the nodes are
    stopped. Raises NoNamespaces and CannotListen: there are no such hosts or links here."""
    with _open_lab(plan, level) as lab:
        lab.listener = listener
        result, text, outcomes = _play(lab, scenario, plan)
        if result == INTERRUPTED:
            on_interrupt()
        seconds = lab.now
        logs = tuple(_logs(lab, plan, seconds))
        lab.close()
        check = check_traces(lab.traces)
    last = (f"{seconds:.9f} {NOBODY} violation {text}",) if text else ()
    # Threads write their lines in any order.
    journal = tuple(sorted((*lab.journal, *logs, *last, *check.journal), key=time_of))
    return _judged(Result(plan, journal, digest(journal), seconds, result, text, outcomes, level), check)


def _judged(seen: Result, check: TraceCheck) -> Result:
    """Return the result of the scenario, or that of the traces, which goes first: it happened before anybody
    noticed."""
    if (violation := check.watch.found) is not None:
        return replace(seen, result=VIOLATED, text=str(violation), outcomes={})
    if seen.result == PASSED and check.problem:
        return replace(seen, result=BROKEN, text=check.problem, outcomes={})
    if seen.result == DEADLINE:
        return replace(seen, text=check.watch.with_outstanding(seen.text))
    return seen


@contextmanager
def _open_lab(plan: Plan, level: Level) -> Iterator[SocketLab]:
    with (
        TemporaryDirectory(prefix=FOLDER_PREFIX) as folder,
        open_socket_lab(Path(folder) / "testnet", plan.seed, level, Path(folder)) as lab,
    ):
        yield lab


def _play(lab: SocketLab, scenario: Scenario, plan: Plan) -> tuple[str, str, Outcomes]:
    try:
        return PASSED, "", play(lab, scenario, plan)
    except KeyboardInterrupt:  # the journal has what happened until then
        return INTERRUPTED, "", {}
    except NodeError as error:
        return BROKEN, str(error), {}
    except Exception as error:  # any error is reported with the plan that leads to it
        return *what_went_wrong(error), {}


def _logs(lab: SocketLab, plan: Plan, now: float) -> Iterator[str]:
    """Yield what the nodes have logged, after all else: their folders are removed, and their clocks show whole
    seconds."""
    for node in (REGISTRAR_NAME, *plan.nodes):
        for line in lab.log(node):
            if line:
                yield f"{now:.9f} {node} log {line}"
