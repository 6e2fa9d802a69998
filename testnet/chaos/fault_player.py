"""Lets the faults of a schedule come and go, sees that all are gone, and how long the network takes to heal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

from nectar_node.base.errors import BadInput, NodeError
from nectar_node.contract.config import REGISTRAR_NAME
from testnet.chaos.context import ChaosContext
from testnet.chaos.report import Held
from testnet.faults.catalogue import kind_of, parameters
from testnet.faults.schedule import Schedule, Step

ECHO = "echo:echo:sys"
"""A process of every node that answers all requests."""
HEALS_WITHIN = 60.0
"""Seconds after the last fault."""
_ECHO_SECONDS = 5
_GLANCE = 0.2
_AT_ONCE = 32
"""Pairs of nodes that are tried."""
_BACK_WITHIN = 120.0
"""Seconds in which a node boots again."""


class FaultPlayer:
    """The faults of one run. They end by themselves if this does not live to end them."""

    def __init__(self, context: ChaosContext, schedule: Schedule) -> None:
        self._context = context
        self._schedule = schedule
        self._ground = context.ground
        self._holding: dict[int, Held] = {}
        self.calm = threading.Event()
        """Set when no fault holds, and none will come."""

    def run(self) -> None:
        """Play all faults in turn, or as many as there is time for; then let the network heal."""
        try:
            for step in self._schedule:
                self._pass_time(lambda at=step.at: self._context.now >= at)  # type: ignore[misc]
                if self._context.finishing.is_set():
                    break
                self._come(step)
            self._pass_time(lambda: not self._holding)
        except NodeError as error:
            self._failed(error)
        finally:
            self.clear()
        if not self._context.gone:
            self._heal()

    def words(self) -> list[str]:
        """Describe the faults that hold now."""
        return [held.step.fault.words() for held in list(self._holding.values())]

    def clear(self) -> None:
        """End all faults of this run, and let every node run."""
        for number, held in list(self._holding.items()):
            try:
                self._ground.remove(number)
            except BadInput:
                pass  # it has ended by itself
            except NodeError as error:
                self._failed(error)
            held.ended = self._context.now
        self._holding.clear()
        if not self._context.gone and (why := self._ground.why_no_links()) is not None:
            self._context.gone = True
            self._problem(why)
        for name in self._context.network.names():
            if name in (REGISTRAR_NAME, *self._context.nodes):
                self._bring_back(name)
        self.calm.set()

    def _come(self, step: Step) -> None:
        assert step.until is not None
        try:
            number = self._ground.apply(kind_of(step.fault), parameters(step.fault), step.until - step.at)
        except NodeError as error:
            if self._ground.why_no_links() is not None:
                raise
            self._context.report.faults.append(Held(step, self._context.now, refused=str(error)))
            return
        held = Held(step, self._context.now)
        self._context.report.faults.append(held)
        self._holding[number] = held

    def _pass_time(self, done: Callable[[], bool]) -> None:
        while not done() and not self._context.finishing.wait(_GLANCE):
            self._notice_ends()

    def _notice_ends(self) -> None:
        rows = self._ground.faults()
        there = {int(row["number"]) for row in rows}
        for number in [each for each in self._holding if each not in there]:
            self._holding.pop(number).ended = self._context.now

    def _bring_back(self, name: str) -> None:
        """Wait until the links have booted a node that they crashed, and boot it here if they do not."""
        limit = time.monotonic() + _BACK_WITHIN
        failure = "it does not start"
        while time.monotonic() < limit:
            pid = self._context.network.place(name).owner()
            if self._context.runs(name):
                return
            try:
                if pid is not None:
                    self._ground.resume(name)
                elif self._context.gone:
                    return  # the testnet was stopped on purpose
                else:
                    self._ground.start(name)
            except NodeError as error:
                failure = str(error)
                time.sleep(0.2)
        self._problem(f"{name} has not come back: {failure}")

    def _failed(self, error: NodeError) -> None:
        if self._ground.why_no_links() is None:  # otherwise `clear` gives the reason
            self._problem(str(error))

    def _problem(self, sentence: str) -> None:
        problems = self._context.report.problems
        if sentence not in problems:
            problems.append(sentence)

    def _heal(self) -> None:
        began = time.monotonic()
        pairs = list(permutations(self._context.nodes, 2))
        with ThreadPoolExecutor(_AT_ONCE, "heal") as pool:
            apart = [
                each
                for each in pool.map(lambda pair: self._reach(pair[0], pair[1], began + HEALS_WITHIN), pairs)
                if each
            ]
        self._context.report.apart = apart
        if not apart:
            self._context.report.healed = time.monotonic() - began

    def _reach(self, source: str, target: str, limit: float) -> str | None:
        """Return None once `source` reaches `target`, or a sentence."""
        arguments = {"target": f"{target}@{ECHO}", "body": '"chaos"', "timeout": _ECHO_SECONDS}
        why = ""
        while time.monotonic() < limit:
            try:
                with self._context.network.connect(source) as client:
                    answer = client.request("message", patience=2.0 * _ECHO_SECONDS, blob=None, mime=None, **arguments)
                if answer.get("outcome") == "response":
                    return None
                why = str(answer.get("reason"))
            except NodeError as error:
                why = str(error)
            time.sleep(0.1)
        return f"{source} does not reach {target}: {why}"
