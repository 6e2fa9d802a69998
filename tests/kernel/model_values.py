"""What the model of tests/kernel/model.py is made of: lives, questions and messages, as plain objects."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

from kernel.contract.guest import Poll
from kernel.contract.message import LazyLoadBlob

T = TypeVar("T")

PEER = "peer"
"""A process of another node."""
SYSTEM = "system"
"""A system process of this node; public."""
USER = "user"
"""The node's user."""
NOBODY = "nobody"
"""No such process."""


class Mode(Enum):
    """What a life does."""

    RUNNING = "runs"
    RECEIVING = "waits for a message"
    AWAITING = "awaits one answer"
    STALLED = "waits for room in another inbox"
    SLEEPING = "waits for a time, or until it is told an outcome"


@dataclass(eq=False)
class Question:
    """Somebody waits for the answer to this (G5)."""

    asker: Life | str
    target: str
    body: bytes
    context: bytes | None
    blob: LazyLoadBlob | None
    prompt: Question | None
    """The asker's when it asked (G9)."""
    deadline: float
    number: int
    open: bool = True
    owers: list[Life] = field(default_factory=list)
    """Lives here that owe the answer (G14)."""
    heard: int | None = None
    """The asker is told the outcome under this number, and is not handed it."""
    went_outside: bool = False
    """Somebody may give it whose end is never seen; so no end here makes it certain that nobody will."""


@dataclass(frozen=True, eq=False)
class Message:
    """A request on its way."""

    source: str
    target: str
    body: bytes
    blob: LazyLoadBlob | None
    expects: bool
    question: Question | None
    """Whose answer its receiver owes: the sender's own, or the one it inherited (G10)."""
    awaited: bool = False


@dataclass(frozen=True)
class Handed:
    """What a process is handed."""

    kind: str
    """request, response, timeout or offline."""
    other: str
    """Its source; of an error the target."""
    body: bytes
    context: bytes | None
    blob: LazyLoadBlob | None


class Fair(Generic[T]):
    """What is here and what is from the other node, each in its order; the two take turns (G24)."""

    def __init__(self) -> None:
        self.entries: list[tuple[bool, T]] = []
        """Whether it is from there, and it."""
        self.turns: list[bool] = []
        """Whose turn it is, of those who have something."""

    def append(self, item: T, *, from_peer: bool = False) -> None:
        self.entries.append((from_peer, item))
        if from_peer not in self.turns:
            self.turns.append(from_peer)

    def pop(self) -> T:
        turn = self.turns.pop(0)
        item = next(item for side, item in self.entries if side is turn)
        self.entries.remove((turn, item))
        if any(side is turn for side, _ in self.entries):
            self.turns.append(turn)
        return item

    def remove(self, item: T) -> None:
        """Of this node's."""
        self.entries.remove((False, item))
        if not any(side is False for side, _ in self.entries):
            self.turns.remove(False)

    def all(self) -> list[T]:
        """By whose turn it is, and empty from then on."""
        return [self.pop() for _ in self.entries[:]]

    def __iter__(self) -> Iterator[T]:
        return (item for _, item in self.entries)

    def __len__(self) -> int:
        return len(self.entries)


@dataclass(frozen=True, eq=False)
class Delivery:
    """The same in an inbox, with the prompt that it brings; `news`: nobody waits, the prompt stays (G9)."""

    handed: Handed
    prompt: Question | None
    news: bool = False


@dataclass(frozen=True, eq=False)
class Outgoing:
    """Something that left for another node or a system process."""

    source: Life | str
    target: str
    body: bytes
    blob: LazyLoadBlob | None
    question: Question | None
    """It asks for the answer to this, or answers it."""
    is_response: bool
    expects: bool = False
    context: bytes | None = None
    prompt: Question | None = None


@dataclass(frozen=True)
class Send:
    """send-request, or with `awaited` send-and-await-response."""

    target: str
    body: bytes
    expects: int | None = None
    inherit: bool = False
    context: bytes | None = None
    blob: LazyLoadBlob | None = None
    awaited: bool = False
    heard: int | None = None
    """SendAndHear, under this number."""


@dataclass(frozen=True)
class Forget:
    """StopHearing."""

    number: int


@dataclass(frozen=True)
class Nap:
    """Sleep; the last of its poll."""

    until: float


@dataclass(frozen=True)
class Respond:
    """send-response."""

    body: bytes
    inherit: bool = False
    blob: LazyLoadBlob | None = None


Step = Send | Respond | Forget | Nap


@dataclass(eq=False)
class Life:
    """One life of a process."""

    name: str
    restarts: bool
    last_words: tuple[Send, ...]
    """Its on-exit requests; they neither inherit nor expect anything."""
    began: float
    mode: Mode = Mode.RUNNING
    inbox: Fair[Delivery] = field(default_factory=Fair)
    prompt: Question | None = None
    blob: LazyLoadBlob | None = None
    awaited: Question | None = None
    was_told: bool = False
    """Since it slept last."""
    wakes: tuple[float, int] = (0, 0)
    """Until when it sleeps, and the number of its sleep."""
    steps: deque[Step] = field(default_factory=deque)
    """Of its poll, not done yet."""
    poll: Poll = Poll.RECEIVE
    """How its poll ended, once all steps are done."""
    stalled: tuple[Message, bytes | None] | None = None
    waiters: Fair[Life | Message] = field(default_factory=Fair)
    """Who waits for room here; a message is a peer's."""


@dataclass(frozen=True, eq=False)
class Freed:
    """A life whose inbox has room again for whoever waits (G24)."""

    life: Life


@dataclass(eq=False)
class Restart:
    """A process waits for its next life."""

    at: float
    life: Life
