"""Faults: a rule with a verdict on what two nodes send each other, or an action on a node.

Pure, and the same at every level: the simulator's fabric and the proxies between real nodes ask `judge` about each dial
and each piece of a stream, and carry out the verdict. Streams are TCP's: nothing overtakes, and a network that loses
packets makes bytes late, not wrong. So a broken network answers `RESEND` until some time after it is mended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum, auto
from random import Random
from typing import NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

from testnet.model.backups import RemoteTrouble


class Link(NamedTuple):
    """One direction between two nodes, by their names."""

    source: str
    target: str

    @property
    def back(self) -> Link:
        """The other direction."""
        return Link(self.target, self.source)


class Dialing(NamedTuple):
    """`link.source` dials `link.target`."""

    link: Link
    now: float
    """Seconds since the network began; virtual ones in a simulation."""


class Answering(NamedTuple):
    """The host of `link.source` tells `link.target` that it is connected: the way back of a dial."""

    link: Link
    now: float


class Passing(NamedTuple):
    """Bytes leave, in the order of their stream."""

    link: Link
    connection: int
    """A number that is unique for each connection."""
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


class PlainVerdict(Enum):
    """Verdicts without parameters."""

    PASS = auto()
    """Pass as if there were no fault."""
    HOLD = auto()
    """Wait, with all that comes after, until the faults change; then judge again. Nobody is told."""
    RESEND = auto()
    """Lose it, with all that comes after. It is sent again as TCP does (`resending`), and judged again then. Nobody is
    told."""
    LOSE = auto()
    """Lose it for good, with all that comes after on this connection. Nobody is told."""
    REFUSE = auto()
    """A dial is refused; anything else is reset."""
    NO_ROUTE = auto()
    """A dial finds no way; anything else waits, as with HOLD."""


PASS, HOLD, RESEND, LOSE, REFUSE, NO_ROUTE = PlainVerdict


@dataclass(frozen=True, slots=True)
class Delay:
    """A verdict: arrive so many seconds later, or when the fault ends if that is sooner; nothing overtakes."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Alter:
    """A verdict: other bytes arrive instead. Only for `Passing`."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Reset:
    """A verdict: break the connection for both ends once so many of these bytes have arrived; refuse a dial."""

    after: int = 0


@dataclass(frozen=True, slots=True)
class Redirect:
    """A verdict: the dial reaches this host instead of its target. Only for `Dialing`."""

    host: str


Verdict: TypeAlias = PlainVerdict | Delay | Alter | Reset | Redirect


class Fault(Protocol):
    """A fault: a dataclass whose fields are its parameters, JSON values or a `Where`.

    What it remembers while it holds is in fields that are not parameters (`init=False`); `fresh` makes a copy without
    it.
    """

    def words(self) -> str:
        """Describe the fault for people: "partition send.nec from recv.nec"."""


@runtime_checkable
class LinkFault(Fault, Protocol):
    """A fault of links."""

    def judge(self, event: Event, chance: Random) -> Verdict:
        """Return what becomes of `event`, on any link. `chance` is this fault's own, from the seed."""


class Attack(NamedTuple):
    """The order for a hostile peer."""

    node: str
    """The node that is attacked."""
    behaviour: str
    process: str
    """A public process on that node, which is asked."""
    seed: int


class Nodes(Protocol):
    """The actions on the nodes of a network, at any level; raises NotAtThisLevel where one is impossible.

    A node's host has the node's name.
    """

    def crash(self, host: str) -> object:
        """End the node as kill -9 does, if it runs; its host lives."""

    def start(self, host: str) -> object:
        """Boot the node again, if it does not run, with its key, its disk and its packages."""

    def pause(self, host: str) -> object:
        """Stop the node as SIGSTOP does; its host accepts connections."""

    def resume(self, host: str) -> object:
        """Let a paused node go on."""

    def cut_power(self, host: str) -> object:
        """Cut the power of the node's machine: nobody is told, and at its next boot the disk has what was synced."""

    def step_clock(self, host: str, seconds: float) -> object:
        """Let the machine's wall clock jump by `seconds` from where it is, for good."""

    def fill_disk(self, host: str) -> object:
        """Let the node's disk take no more bytes."""

    def free_disk(self, host: str) -> object:
        """Give the node's disk its usual capacity again."""

    def break_disk(self, host: str) -> object:
        """Let whatever would change the node's disk fail with an input/output error."""

    def mend_disk(self, host: str) -> object:
        """Let the node's disk do its work again."""

    def slow_guests(self, host: str, seconds: float) -> object:
        """Let each time that one of the node's processes goes on cost `seconds`; 0: none."""

    def drift_clock(self, host: str, rate: float) -> object:
        """Let all clocks of the machine run at `rate`, from what they show."""

    def limit_memory(self, host: str, limited: bool) -> object:
        """Let the node's processes have no more memory than they have, or as much as usual again."""

    def refuse_spawns(self, host: str, refused: bool) -> object:
        """Let what the node's processes spawn not start, or start again."""

    def trouble_remote(self, host: str, remote: str, how: RemoteTrouble) -> object:
        """Let something be wrong with a remote that keeps the node's backups."""

    def mend_remote(self, host: str, remote: str, how: RemoteTrouble) -> object:
        """Let the remote do as it should again; what it has damaged stays so."""

    def impersonate(self, host: str, by: str) -> object:
        """Boot a node at the host `by` with the name and the packages of `host`, and another key."""

    def dismiss(self, host: str) -> object:
        """End the node that `impersonate` has booted at `host`, for good."""

    def attack(self, attack: Attack, by: str) -> object:
        """Start a hostile peer named `by`."""

    def call_off(self, by: str) -> object:
        """Let the hostile peer leave, with all of its connections."""


@runtime_checkable
class NodeFault(Fault, Protocol):
    """A fault that is done to nodes and undone; it may be a LinkFault as well.

    Of equal faults that hold at the same time, only the first is begun and only the last is ended.
    """

    def begin(self, nodes: Nodes) -> None:
        """Do to the nodes what the fault does."""

    def end(self, nodes: Nodes) -> None:
        """Undo it, whatever has happened to the nodes meanwhile."""


AnyFault = TypeVar("AnyFault", bound=Fault)


def fresh(fault: AnyFault) -> AnyFault:
    """Return the same fault without anything that it remembers of an earlier network. Every run begins with this
    copy."""
    return replace(fault)  # type: ignore[type-var]  # a protocol cannot say that it is a dataclass's


class NotAtThisLevel(Exception):
    """A fault cannot be injected at this level; the text says which, and where it can be."""


class FaultFailed(Exception):
    """A fault, usually a user's own, has raised an error or returned no valid verdict."""

    def __init__(self, fault: LinkFault, why: str) -> None:
        super().__init__(f"the fault {type(fault).__name__} has failed: {why}")
        self.fault = fault


class Rule(NamedTuple):
    """A fault of links that holds now."""

    fault: LinkFault
    chance: Random
    """Its own source of randomness, so that no fault shifts another's."""


class Late(NamedTuple):
    """A delay, and the fault that causes it."""

    fault: LinkFault
    seconds: float


class Judgement(NamedTuple):
    """The combined verdict of all rules."""

    verdict: PlainVerdict | Reset = PASS
    delays: tuple[Late, ...] = ()
    data: bytes = b""
    """The bytes that arrive, for `Passing`."""
    host: str | None = None
    """The host that a dial reaches instead of its target, or None."""

    @property
    def delay(self) -> float:
        """The whole delay in seconds."""
        return sum(each.seconds for each in self.delays)


def still_late(delays: Sequence[Late], rules: Sequence[Rule]) -> float:
    """Return the seconds of these delays that are left under `rules`: a delay ends with the fault that causes it."""
    return sum(each.seconds for each in delays if any(rule.fault is each.fault for rule in rules))


def most_at_once(rules: Sequence[Rule], link: Link, most: int) -> int:
    """Return the most bytes that are judged at once on `link`: `most`, or less where a fault has a method of this name
    that says so."""
    for rule in rules:
        asked = getattr(rule.fault, "most_at_once", None)
        if asked is not None and (less := asked(link)) is not None:
            most = min(most, less)
    return most


def judge(rules: Sequence[Rule], event: Event) -> Judgement:
    """Combine the verdicts of all rules on `event`, the earliest first: delays add up, each rule sees what the one
    before has altered, and the first one that keeps the event from arriving decides. Raises FaultFailed."""
    host, data = None, event.data if isinstance(event, Passing) else b""
    delays: tuple[Late, ...] = ()
    for rule in rules:
        try:
            verdict = rule.fault.judge(event, rule.chance)
        except Exception as error:
            raise FaultFailed(rule.fault, f"{type(error).__name__}: {error}") from error
        match verdict:
            case PlainVerdict.PASS:
                pass
            case Delay(float() | int() as seconds) if seconds >= 0.0:
                delays = (*delays, Late(rule.fault, seconds))
            case Alter(bytes() as altered) if isinstance(event, Passing):
                data = altered
                event = event._replace(data=data)
            case Redirect(str() as other) if isinstance(event, Dialing):
                host = other
            case PlainVerdict() | Reset(int()):
                return Judgement(verdict, delays, data, host)
            case _:
                raise FaultFailed(rule.fault, f"{verdict} is not a verdict on {type(event).__name__}")
    return Judgement(PASS, delays, data, host)


@contextmanager
def held(fault: Fault, begin: Callable[[Fault], int], end: Callable[[int], None]) -> Iterator[None]:
    """Hold `fault` within a `with` block: `begin` returns the number with which `end` ends it."""
    number = begin(fault)
    try:
        yield
    finally:
        end(number)
