"""What a fault is: a rule with a verdict on what two nodes send each other, or something done to a node.

Pure, and the same at every level: the simulator's fabric and the proxies between real nodes ask `judge` about each dial
and each piece of a stream, and carry out what it says. Streams are TCP's: nothing overtakes, and a network that loses
packets makes bytes late, not wrong. So what a broken network does to a connection is `RESEND`, until some time after it
is mended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum, auto
from random import Random
from typing import NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable


class Link(NamedTuple):
    """One direction between two nodes, by their names."""

    source: str
    target: str

    @property
    def back(self) -> Link:
        """The other direction."""
        return Link(self.target, self.source)


class Dialing(NamedTuple):
    """`link.source` wants to connect to `link.target`."""

    link: Link
    now: float
    """Seconds since the network began; virtual ones in a simulation."""


class Answering(NamedTuple):
    """The host of `link.source` lets `link.target` know that it is connected: the way back of a dial."""

    link: Link
    now: float


class Passing(NamedTuple):
    """Bytes leave, in the order of their stream."""

    link: Link
    connection: int
    """Unique for each connection."""
    offset: int
    """How many bytes have left before these, in this direction of this connection."""
    data: bytes
    now: float


class Closing(NamedTuple):
    """The end of a connection leaves, after all of its bytes."""

    link: Link
    connection: int
    now: float


Event: TypeAlias = Dialing | Answering | Passing | Closing


class Plain(Enum):
    """Verdicts that need no more than a word."""

    PASS = auto()
    """As if there were no fault."""
    HOLD = auto()
    """It waits, and what comes after it too, and is judged again when the faults change. Nobody is told."""
    RESEND = auto()
    """It is lost on its way, and what comes after it too. It is sent again as TCP does (`resending`), and judged again
    then. Nobody is told."""
    LOSE = auto()
    """It never arrives, nor does anything after it on this connection. Nobody is told."""
    REFUSE = auto()
    """A dial is refused; anything else is reset."""
    NO_ROUTE = auto()
    """A dial finds no way; anything else waits, as with HOLD."""


PASS, HOLD, RESEND, LOSE, REFUSE, NO_ROUTE = Plain


@dataclass(frozen=True, slots=True)
class Delay:
    """It arrives so many seconds later, and nothing overtakes it; or when the fault ends, if that is sooner."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Alter:
    """Other bytes arrive instead. Only for `Passing`."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection breaks for both ends, once so many of these bytes have arrived. A dial is refused."""

    after: int = 0


@dataclass(frozen=True, slots=True)
class Redirect:
    """A dial reaches this host instead of its target. Only for `Dialing`."""

    host: str


Verdict: TypeAlias = Plain | Delay | Alter | Reset | Redirect


class Fault(Protocol):
    """Something that can go wrong: a dataclass whose fields are its parameters, JSON values or a `Where`.

    What it remembers while it holds is in fields that are not parameters (`init=False`), see `fresh`.
    """

    def words(self) -> str:
        """What it does, for people: "partition send.nec from recv.nec"."""


@runtime_checkable
class LinkFault(Fault, Protocol):
    """A fault of links."""

    def judge(self, event: Event, chance: Random) -> Verdict:
        """What becomes of `event`, on whatever link it is. `chance` is this fault's own, from the seed."""


class Attack(NamedTuple):
    """What a hostile peer does, see `testnet.faults.hostile_peer`."""

    node: str
    """It is attacked."""
    behaviour: str
    process: str
    """A public one there, which is asked."""
    seed: int


class Nodes(Protocol):
    """What can be done to the nodes of a network, at whatever level; raises NotAtThisLevel where it cannot.

    A node's host is called by the node's name.
    """

    def crash(self, host: str) -> object:
        """The node ends as by kill -9, if it runs; its host lives."""

    def start(self, host: str) -> object:
        """It boots again, if it does not run, with its key, its disk and its packages."""

    def pause(self, host: str) -> object:
        """It does not run for now, as under SIGSTOP; its host accepts connections."""

    def resume(self, host: str) -> object:
        """It goes on, if it is paused."""

    def cut_power(self, host: str) -> object:
        """Its machine ends without a word, and what was not synced is not on its disk when it boots again."""

    def step_clock(self, host: str, seconds: float) -> object:
        """Its machine's wall clock jumps by so much from where it is, for good."""

    def fill_disk(self, host: str) -> object:
        """Its disk takes no more bytes."""

    def free_disk(self, host: str) -> object:
        """Its disk has room again."""

    def impersonate(self, host: str, by: str) -> object:
        """At the host `by` boots a node with the name and the packages of that of `host`, and another key."""

    def dismiss(self, host: str) -> object:
        """The node that `impersonate` has booted at `host` ends for ever."""

    def attack(self, attack: Attack, by: str) -> object:
        """A hostile peer that is called `by` begins with that."""

    def call_off(self, by: str) -> object:
        """It leaves, with all of its connections."""


@runtime_checkable
class NodeFault(Fault, Protocol):
    """A fault that is done to nodes and undone; it may be a LinkFault as well.

    Of equal ones that hold at the same time only the first is begun, and only the last is ended.
    """

    def begin(self, nodes: Nodes) -> None:
        """Do it."""

    def end(self, nodes: Nodes) -> None:
        """Undo it, whatever has happened to the nodes meanwhile."""


AnyFault = TypeVar("AnyFault", bound=Fault)


def fresh(fault: AnyFault) -> AnyFault:
    """The same fault without what it may remember of a network that it was in. Whoever lets a fault begin lets this
    one begin."""
    return replace(fault)  # type: ignore[type-var]  # a protocol cannot say that it is a dataclass's


class NotAtThisLevel(Exception):
    """A fault that this level cannot inject; the text says which, and where it can be."""


class FaultFailed(Exception):
    """A fault, of somebody's own as a rule, has raised something, or has said what is no verdict."""

    def __init__(self, fault: LinkFault, why: str) -> None:
        super().__init__(f"the fault {type(fault).__name__} has failed: {why}")
        self.fault = fault


class Rule(NamedTuple):
    """A fault of links that holds now."""

    fault: LinkFault
    chance: Random
    """Its own, so that no fault shifts another's."""


class Late(NamedTuple):
    """A delay, and the fault that wants it."""

    fault: LinkFault
    seconds: float


class Judgement(NamedTuple):
    """What all rules together say."""

    verdict: Plain | Reset = PASS
    delays: tuple[Late, ...] = ()
    data: bytes = b""
    """What arrives, of `Passing`."""
    host: str | None = None
    """Where a dial goes instead; None: to its target."""

    @property
    def delay(self) -> float:
        """Seconds, in all."""
        return sum(each.seconds for each in self.delays)


def still_late(delays: Sequence[Late], rules: Sequence[Rule]) -> float:
    """Seconds of these delays that are left when `rules` hold: a delay ends with the fault that wants it."""
    return sum(each.seconds for each in delays if any(rule.fault is each.fault for rule in rules))


def judge(rules: Sequence[Rule], event: Event) -> Judgement:
    """The verdicts of all rules on `event`, the earliest first: delays add up, each sees what the one before has
    altered, and the first one that keeps it from arriving decides. Raises FaultFailed."""
    host, data = None, event.data if isinstance(event, Passing) else b""
    delays: tuple[Late, ...] = ()
    for rule in rules:
        try:
            verdict = rule.fault.judge(event, rule.chance)
        except Exception as error:
            raise FaultFailed(rule.fault, f"{type(error).__name__}: {error}") from error
        match verdict:
            case Plain.PASS:
                pass
            case Delay(float() | int() as seconds) if seconds >= 0.0:
                delays = (*delays, Late(rule.fault, seconds))
            case Alter(bytes() as altered) if isinstance(event, Passing):
                data = altered
                event = event._replace(data=data)
            case Redirect(str() as other) if isinstance(event, Dialing):
                host = other
            case Plain() | Reset(int()):
                return Judgement(verdict, delays, data, host)
            case _:
                raise FaultFailed(rule.fault, f"{verdict} is no verdict on {type(event).__name__}")
    return Judgement(PASS, delays, data, host)


@contextmanager
def held(fault: Fault, begin: Callable[[Fault], int], end: Callable[[int], None]) -> Iterator[None]:
    """`fault` holds within this: `begin` says by which number `end` takes it away."""
    number = begin(fault)
    try:
        yield
    finally:
        end(number)
