"""Threads that keep each node's witness asking the others, and read its reports.

A witness remembers its runs as long as its node lives. So each look at its report may be the last one, and requests
after that look are lost to the count when the node is killed.
"""

from __future__ import annotations

import json
import time
from random import Random
from typing import Any

from nectar_node.base.errors import NodeError
from nectar_node.launcher.client import ControlClient, NodeGone
from testnet.chaos.context import ChaosContext
from testnet.chaos.tally import Fate, outcomes
from testnet.model.lab import PACKAGES

PROCESS = "witness:witness:sys"
PACKAGE = PACKAGES / "witness" / "pkg"
RUN_SECONDS = 5.0
"""Seconds for which a run sends requests."""
GAP_MS = 50
"""Milliseconds between two requests of a node."""
TIMEOUT = 6
"""Seconds that a request may take."""
MAX_RUNS = 20
"""Runs after which a witness is told to forget them."""
_START_PATIENCE = 60.0
_ANSWER_SECONDS = 30
"""Seconds for a witness to answer its user."""


class OutOfPatience(Exception):
    """The time for outcomes is over."""


class Author:
    """The requests of one node."""

    def __init__(self, context: ChaosContext, name: str) -> None:
        self._context = context
        self._name = name
        self._chance = Random(f"{context.seed}/requests/{name}")
        self._number = 0
        self._wanted: dict[str, int] = {}
        """Runs of this life that have begun, and how many requests each has."""
        self._last: dict[str, Any] | None = None
        """Report of this life."""
        self._failure = "its witness never answered"
        self.installed = False
        """The witness there is ours: it is to end with the run."""

    def run(self) -> None:
        """Ask until the run is finishing, at least one run was asked, and all outcomes are there."""
        while not self._context.has_no_patience():
            pid = self._context.network.place(self._name).owner()
            try:
                with self._context.network.connect(self._name) as client:
                    self._prepare(client)
                    self._live(client)
                return
            except NodeGone:
                self._fold("died" if self._context.has_ended(self._name, pid) else "lost")
            except OutOfPatience:
                break
            except NodeError as error:
                self._failure = str(error)
            if not self._may_begin() and not self._wanted:
                return
            time.sleep(0.1)
        self._fold("abandoned" if self._context.abandoned else "lost")

    def check(self) -> None:
        """Check that the node has asked anything, if there was time for it."""
        if not self._number and not self._context.hurried.is_set() and not self._context.gone:
            self._context.report.problems.append(f"{self._name} has asked nobody: {self._failure}")

    def sent(self) -> int:
        """Return the requests of this life, as far as they are known."""
        return sum(int(row["sent"]) for row in self._rows())

    def _prepare(self, client: ControlClient) -> None:
        """Check that a witness runs, and that it knows of nothing before this life."""
        if self._wanted:
            return  # the connection was lost, and not the node
        rows = client.request("ps").get("processes", ())
        if not any(str(row["address"]).endswith(f"@{PROCESS}") for row in rows):
            self.installed = True  # before it is asked: a node that is killed meanwhile may run it when it is back
            client.request("start", patience=_START_PATIENCE, package=str(PACKAGE), deny=[])
        self._ask(client, "Forget")

    def _live(self, client: ControlClient) -> None:
        while not self._context.has_no_patience():
            self._look(client)
            complete = self._complete()
            if complete and (not self._may_begin() or len(self._wanted) >= MAX_RUNS):
                self._fold("lost")
                if not self._may_begin():
                    return
                self._ask(client, "Forget")
            if self._may_begin() and self._all_sent() and len(self._wanted) < MAX_RUNS:
                self._begin(client)
            time.sleep(0.3)
        raise OutOfPatience

    def _may_begin(self) -> bool:
        """Whether there is to be one more run: at the end too, on a node so slow that it has asked nobody yet."""
        return not self._context.finishing.is_set() or not (self._number or self._context.hurried.is_set())

    def _begin(self, client: ControlClient) -> None:
        run = f"{self._context.seed}-{self._name}-{self._number}"
        self._number += 1
        targets, path = self._context.others(self._name), list[str]()
        if len(targets) > 1 and self._chance.random() < 0.3:
            path = [self._chance.choice(targets)]
            targets = [each for each in targets if each not in path]
        count = max(1, round(RUN_SECONDS * 1000 / GAP_MS / len(targets)))
        blob = self._chance.choice((0, 0, 2000))
        wanted = {"run": run, "targets": targets, "count": count, "gap_ms": GAP_MS, "timeout": TIMEOUT}
        begun = self._ask(client, {"Begin": {**wanted, "path": path, "blob": blob}})
        if begun == "Begun":
            self._wanted[run] = count * len(targets)
        elif begun is not None:
            with self._context.lock:
                self._context.report.problems.append(f"the witness on {self._name} refused a run: {begun}")

    def _look(self, client: ControlClient) -> None:
        answer = self._ask(client, "Report")
        if not isinstance(answer, dict):
            return
        report = answer["Report"]
        if self._wanted.keys() - {row["run"] for row in report["asked"]}:
            with self._context.lock:
                self._context.report.problems.append(f"the witness on {self._name} has ended while its node ran")
            self._fold("lost")
        self._last = report

    def _complete(self) -> bool:
        rows = self._rows()
        return self._all_sent() and all(row["sent"] == outcomes(row) for row in rows)

    def _all_sent(self) -> bool:
        return self.sent() >= sum(self._wanted.values())

    def _rows(self) -> list[dict[str, Any]]:
        return [] if self._last is None else list(self._last["asked"])

    def _fold(self, missing: Fate) -> None:
        """Add up the counts of this life, or of what its witness is about to forget."""
        if missing == "lost" and self._context.gone:
            missing = "died"  # the testnet was stopped from outside, and its nodes with all that they waited for
        with self._context.lock:
            if self._last is not None:
                self._context.report.requests.add(self._name, self._last, missing)
            if missing == "lost" and not self._all_sent():
                self._context.report.problems.append(f"the witness on {self._name} has not sent all its requests")
        self._last = None
        self._wanted.clear()

    def _ask(self, client: ControlClient, body: object) -> Any:
        """Return the witness's answer, or None if there was none, as when the node was paused for long. Raises
        NodeGone."""
        arguments = {"target": f"our@{PROCESS}", "timeout": _ANSWER_SECONDS, "blob": None, "mime": None}
        client.send("message", body=json.dumps(body), **arguments)
        while not client.has_answer(0.2):
            if self._context.has_no_patience():
                raise OutOfPatience
        answer = client.receive()
        return json.loads(answer["body"]) if answer.get("outcome") == "response" else None
