"""What is counted of files and requests. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Fate: TypeAlias = Literal["died", "abandoned", "lost"]
"""Of requests without an outcome: their node was killed, their user did not wait, or they had all the time there is."""
MAX_SENTENCES = 50
"""Of what is wrong, that are kept."""
_OUTCOMES = ("answered", "returned", "offline", "timeout")
_ABOUT_NODES = ("must come from", "came another way", "'s, and came from")
_COUNTED = (" came twice", " came after ")
"""What the rows of a report count already."""


@dataclass(slots=True)
class Transfers:
    """Of files."""

    started: int = 0
    completed: int = 0
    bytes: int = 0
    """Of those that were completed."""
    failed: Counter[str] = field(default_factory=Counter)
    """Ended with an error that its sender was told, by its kind."""
    died: int = 0
    """Their sender's node was killed."""
    unended: int = 0
    """Nobody was told how they ended."""
    abandoned: int = 0
    """The user did not wait for their end."""
    wrong: list[str] = field(default_factory=list)
    """Files that are not there though their sender was told so, or differ from what was sent."""

    def value(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "started": self.started,
            "completed": self.completed,
            "bytes": self.bytes,
            "failed": dict(self.failed),
            "died": self.died,
            "unended": self.unended,
            "abandoned": self.abandoned,
            "wrong": self.wrong,
        }


@dataclass(slots=True)
class Requests:
    """From node to node."""

    started: int = 0
    answered: int = 0
    returned: int = 0
    """Answered by a node that could not pass them on."""
    offline: int = 0
    timeout: int = 0
    died: int = 0
    """Of a node that was killed."""
    abandoned: int = 0
    """The user did not wait for their outcome."""
    lost: int = 0
    """Without an outcome though their node lives and their time is over."""
    doubled: int = 0
    """That came, or whose outcome came, more than once."""
    disordered: int = 0
    """That came after a later one."""
    wrong_node: int = 0
    """That came, or whose answer came, from another node than it must."""
    other: int = 0
    """Everything else that witnesses find wrong."""
    sentences: list[str] = field(default_factory=list)
    """What was wrong."""

    def value(self) -> dict[str, Any]:
        """As JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}

    def say(self, sentence: str) -> None:
        """Keep it, if it is one of the first."""
        if len(self.sentences) < MAX_SENTENCES:
            self.sentences.append(sentence)

    def add(self, author: str, report: Mapping[str, Any], missing: Fate) -> None:
        """The last report of a witness, and what has become of requests that have no outcome there."""
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
    """What a witness complains of: doubled, wrong node, other, or counted where its rows count it."""
    if any(words in sentence for words in _COUNTED):
        return "counted"
    if sentence.startswith("a second outcome"):
        return "doubled"
    return "wrong node" if any(words in sentence for words in _ABOUT_NODES) else "other"


def outcomes(row: Mapping[str, Any]) -> int:
    """How many requests of a run have had theirs."""
    return sum(int(row[name]) for name in _OUTCOMES)
