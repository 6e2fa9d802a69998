"""What a case is: something that a guest asks or a browser does, and what the existing nodes answer to it, as data.

Shapes differ by generation: `Each` has one value for each of those that know the request. An expected answer is JSON in
which `Any`, `Keep` and `OneOf` stand for what varies; objects may have more fields than are expected, as the guests'
parsers skip those that they do not know.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any as Json

GENERATIONS = ("A", "B", "C")
INTERFACES = {
    "nectar-0.7.0": "A",
    "kinode-0.7.0": "A",
    "kinode-0.8.0": "B",
    "kinode-1.0.0": "C",
    "hyperware-1.0.0": "C",
}
"""Each interface for which the guest `tester` is compiled, and its generation."""


class Each:
    """A value for each generation that has one."""

    def __init__(self, early: Json = None, late: Json = None, **named: Json) -> None:
        """`early` is that of A and B, `late` that of C; `named` are those of single ones."""
        self.of = {"A": early, "B": early, "C": late, **named}

    def __getitem__(self, generation: str) -> Json:
        return self.of[generation]


def by(generation: str, value: Json) -> Json:
    """The value of a generation, all through lists and objects."""
    if isinstance(value, Each):
        return by(generation, value[generation])
    if isinstance(value, Mapping):
        return {key: by(generation, each) for key, each in value.items()}
    return [by(generation, each) for each in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class Any:
    """Any value of a type."""

    type: type


@dataclass(frozen=True)
class Keep:
    """Any number, which later cases of the same process call by this name."""

    name: str


@dataclass(frozen=True)
class OneOf:
    """One of several."""

    of: Sequence[Json]


NOTHING = object()
"""Expected of a request for which the existing nodes have no answer."""


@dataclass(frozen=True)
class Ask:
    """A guest asks a process of its node, and gets an answer."""

    name: str
    """How the page calls it."""
    body: Json
    """JSON, or bytes as they are; None for a generation that does not know the request."""
    answer: Json
    """JSON, or a function that is given the bytes; NOTHING: the request is sent without expecting one."""
    to: Json = None
    """The process; None: that of the whole table."""
    blob: bytes | None = None
    mime: str | None = None
    gets: bytes | None = None
    """The blob of the answer; None: it does not matter."""
    full_disk: bool = False
    """Whether the node's disk is full meanwhile."""
    at_once: bool = False
    """Whether it counts only when it is answered within a second."""
    why: str = ""
    """Why this node does not do it, if it does not."""


@dataclass(frozen=True)
class Play:
    """Anything else: a function that is given the guest, and returns what is not as it should be, or None."""

    name: str
    run: Callable[[Json], str | None]
    generations: Sequence[str] = GENERATIONS
    why: str = ""
    last: bool = False
    """Whether the node does not run on after it: it is played when all others have been."""


Case = Ask | Play


class Lacking(Exception):
    """What a case needs is not there at all; the text says what."""


def differs(what: str, got: object, expected: object) -> str | None:
    """What is not as it should be, or None."""
    return None if got == expected else f"{what} {got!r}"


@dataclass(frozen=True)
class Table:
    """The cases of one system process, in the order in which they are played."""

    title: str
    to: Json
    """The process that is asked."""
    cases: Sequence[Case]
    note: str = ""
    """A sentence above the table."""


@dataclass
class Matching:
    """Compares answers with what is expected."""

    kept: dict[str, int] = field(default_factory=dict)

    def fits(self, expected: Json, got: Json) -> bool:
        """Whether an answer is what is expected."""
        match expected:
            case Any():
                return isinstance(got, expected.type)
            case Keep():
                self.kept[expected.name] = got
                return isinstance(got, int)
            case OneOf():
                return any(self.fits(each, got) for each in expected.of)
            case Mapping():
                known = isinstance(got, dict) and expected.keys() <= got.keys()
                return known and all(self.fits(each, got[key]) for key, each in expected.items())
            case list():
                same = isinstance(got, list) and len(got) == len(expected)
                return same and all(map(self.fits, expected, got))
        return bool(type(got) is type(expected) and got == expected)

    def fill(self, value: Json, names: Mapping[str, str]) -> bytes:
        """The bytes of a body, with what was kept in the places of `Keep` and the guest's names in those of theirs."""
        if isinstance(value, bytes):
            return value
        text = json.dumps(value, default=lambda each: self.kept.get(each.name, 0))
        for name, filled in names.items():
            text = text.replace(f"${name}", filled)
        return text.encode()
