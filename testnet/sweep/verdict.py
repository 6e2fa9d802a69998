"""The short result of a run, and whether another run failed in the same way."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from testnet.journal.journal import JournalEnd
from testnet.runs.result import BROKEN
from testnet.scenarios.scenario import Plan

Kind: TypeAlias = tuple[str, str]
"""The kind of a failure: its result, and its text without particulars."""

DIED = "died"
"""A result: the process that ran the plan ended unexpectedly."""

_IN_FILE = re.compile(r"\w+ in ([^,/]+), line \d+: ")
_CODE = re.compile(r"(G\d+): ")
_PARTICULARS = re.compile(r"[0-9a-f]{8,}|\d+(\.\d+)?")
_FIRST = re.compile(r"(: |\. |, )")


@dataclass(frozen=True, slots=True)
class RunVerdict(JournalEnd):
    """The result of a plan; it may also be DIED."""

    plan: Plan
    ground: Sequence[Sequence[Any]] = ()
    """The places that the run has reached, and when (`testnet.journal.ground`), if that was asked for."""

    @property
    def passed(self) -> bool:
        """Whether all is well."""
        return self.result == "passed"

    @property
    def kind(self) -> Kind:
        """The kind of a failure; equal kinds are likely to have one cause."""
        return self.result, kind_of_text(self.text, self.plan.nodes)


def of_own_python(end: JournalEnd, scenario: str) -> bool:
    """Whether a run ended by a mistake in the Python file of its scenario, `path/to/file.py:NAME`."""
    match = _IN_FILE.match(end.text) if end.result == BROKEN else None
    return match is not None and match[1] == Path(scenario.rpartition(":")[0]).name


def kind_of_text(text: str, nodes: Sequence[str]) -> str:
    """Return a promise's number such as G5, or the first clause without numbers and names of nodes."""
    code = _CODE.match(text)
    if code is not None:
        return code[1]
    for name in sorted(nodes, key=len, reverse=True):
        text = text.replace(name, "NODE")
    return _PARTICULARS.sub("N", _FIRST.split(text, maxsplit=1)[0])
