"""Counts of files and requests. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Fate: TypeAlias = Literal["died", "abandoned", "lost"]
"""Why a request has no outcome: its node was killed, its user did not wait, or its time is over."""
MAX_SENTENCES = 50
"""The most sentences about mistakes that are kept."""
_OUTCOMES = ("answered", "returned", "offline", "timeout")
_ABOUT_NODES = ("must come from", "came another way", "'s, and came from")
_COUNTED = (" came twice", " came after ")
"""Mistakes that the rows of a report already count."""


@dataclass(slots=True)
class TransferCounts:
    """Counts of files."""

    started: int = 0
    completed: int = 0
    bytes: int = 0
    """Bytes of completed files."""
    failed: Counter[str] = field(default_factory=Counter)
    """Transfers that ended with an error that their sender was told, by its kind."""
    died: int = 0
    """Transfers whose sender's node was killed."""
    unended: int = 0
    """Transfers of which nobody was told how they ended."""
    abandoned: int = 0
    """Transfers whose end the user did not wait for."""
    wrong: list[str] = field(default_factory=list)
    """Files that are not there though their sender was told so, or differ from what was sent."""

    def value(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class RequestCounts:
    """Counts of requests between nodes."""

    started: int = 0
    answered: int = 0
    returned: int = 0
    """Requests answered by a node that could not pass them on."""
    offline: int = 0
    timeout: int = 0
    died: int = 0
    """Requests of a node that was killed."""
    abandoned: int = 0
    """Requests whose outcome the user did not wait for."""
    lost: int = 0
    """Requests without an outcome, though their node lives and their time is over."""
    doubled: int = 0
    """Requests that came, or whose outcome came, more than once."""
    disordered: int = 0
    """Requests that came after a later one."""
    wrong_node: int = 0
    """Requests that came, or whose answer came, from another node than they must."""
    other: int = 0
    """All other mistakes that witnesses report."""
    sentences: list[str] = field(default_factory=list)
    """Sentences about the mistakes."""

    def value(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}

    def say(self, sentence: str) -> None:
        """Keep the sentence, if it is one of the first."""
        if len(self.sentences) < MAX_SENTENCES:
            self.sentences.append(sentence)

    def add(self, author: str, report: Mapping[str, Any], missing: Fate) -> None:
        """Add the last report of a witness; `missing` is the fate of requests without an outcome."""
        for row in report["asked"]:
            self._add_run(author, row, missing)
        for row in report["noted"]:
            self.doubled += int(row["doubled"])
            self.disordered += int(row["disordered"])
        for sentence in report["wrong"]:
            self._add_wrong(author, str(sentence))
        self.other += int(report["wrong_left_out"])

    def _add_run(self, author: str, row: Mapping[str, Any], fate: Fate) -> None:
        missing = int(row["sent"]) - outcomes(row)
        self.started += int(row["sent"])
        for name in _OUTCOMES:
            setattr(self, name, getattr(self, name) + int(row[name]))
        setattr(self, fate, getattr(self, fate) + missing)
        if missing and fate == "lost":
            self.say(f"{missing} requests from {author} to {row['target']} in run {row['run']} have no outcome")

    def _add_wrong(self, author: str, sentence: str) -> None:
        self.say(f"{author}: {sentence}")
        match kind_of(sentence):
            case "doubled":
                self.doubled += 1
            case "wrong node":
                self.wrong_node += 1
            case "other":
                self.other += 1


def kind_of(sentence: str) -> str:
    """Return the kind of a witness's complaint: doubled, wrong node, other, or counted where its rows count it."""
    if any(words in sentence for words in _COUNTED):
        return "counted"
    if sentence.startswith("a second outcome"):
        return "doubled"
    return "wrong node" if any(words in sentence for words in _ABOUT_NODES) else "other"


def outcomes(row: Mapping[str, Any]) -> int:
    """Return how many requests of a run have had their outcome."""
    return sum(int(row[name]) for name in _OUTCOMES)
