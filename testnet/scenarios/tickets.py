"""What is known of who holds a ticket, as one deed follows the other: a model for histories of them."""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from kernel.contract.address import Address
from kernel.contract.capability import Capability, canonical
from testnet.check import UNKNOWN, WRONG, Model, Operation, fits

_DOOR_ID = Address.parse("our@door:handoff:sys").process


class Ticket(NamedTuple):
    """A ticket for the door of that number on a node."""

    node: str
    door: int

    def value(self) -> dict[str, Any]:
        """Return the ticket as the package writes it."""
        return {"node": self.node, "door": self.door}

    def capability(self) -> Capability:
        """Return the capability that the door issues."""
        return canonical(Capability(Address(self.node, _DOOR_ID), json.dumps({"door": self.door})))


class Has(Enum):
    """What is known of a guest and a ticket."""

    NO = "has never been given"
    REVOKED = "may have been given, before its door ended,"
    MAYBE = "may have been given"
    YES = "holds"

    @property
    def opens(self) -> bool:
        """Whether it may open the door."""
        return self in (Has.MAYBE, Has.YES)


_RANK = list(Has)
Holders = frozenset[tuple[str, Has]]
"""Each guest that may have been given the ticket: the state of a `TicketModel`."""


def has(holders: Holders, guest: str) -> Has:
    """Return what is known of a guest."""
    return dict(holders).get(guest, Has.NO)


def raised(holders: Holders, guest: str, known: Has) -> Holders:
    """Return the holders with a guest of which that is known, too; what is known of it never falls."""
    best = max(has(holders, guest), known, key=_RANK.index)
    return frozenset((dict(holders) | {guest: best}).items()) if best is not Has.NO else holders


def lowered(holders: Holders, guest: str, most: Has) -> Holders:
    """Return the holders with a guest of which no more than that is known."""
    if has(holders, guest) is Has.NO:
        return holders
    return frozenset((dict(holders) | {guest: min(has(holders, guest), most, key=_RANK.index)}).items())


@dataclass(frozen=True, slots=True)
class TicketModel(Model):
    """A ticket, of which its holders alone may open the door, and all that are known to hold it do.

    Each deed's first argument is its ticket, and deeds follow each other. Results are true or false, or null where
    nobody knows:

    - `fetch(ticket, guest)`: whether the guest has got it from the door;
    - `hand(ticket, guest, to)`: whether the other guest has taken it, and could keep it;
    - `open(ticket, guest)`: whether the door opened;
    - `break in(ticket, guest, how)`: whether it opened for one that has no ticket, with what it made up;
    - `counted(ticket, guest)`: the door says that it has opened for that guest;
    - `end(ticket)`: whether the door has surely ended, with all that it ever gave;
    - `crash(ticket, guest)`: the guest may have lost what it got just before.
    """

    forgetful: frozenset[str] = frozenset()
    """Guests from which a fault may take a ticket at any time."""
    initial = frozenset()

    def key(self, operation: Operation) -> Hashable:
        """Return the ticket."""
        return operation.arguments[0]

    def step(self, state: Holders, name: str, arguments: tuple[Any, ...], result: Any) -> Any:
        """Return what is known after a deed."""
        (node, _), *guests = arguments
        told = None if result is UNKNOWN else result
        match name, guests:
            case "fetch", [guest]:
                if told is False:
                    return WRONG
                return self._learn(state, guest, Has.YES if told else Has.MAYBE)
            case "hand", [guest, to]:
                return self._hand(state, node, guest, to, told)
            case "open", [guest]:
                known = has(state, guest)
                wrong = not known.opens if told else known is Has.YES
                return WRONG if told is not None and wrong else state
            case "break in", [_, _]:
                return WRONG if told else state
            case "counted", [guest]:
                return state if has(state, guest).opens else WRONG
            case "end", []:
                worth = Has.REVOKED if told else Has.MAYBE
                return frozenset((guest, worth) for guest, _ in state)
            case "crash", [guest]:
                return lowered(state, guest, Has.MAYBE)
        raise ValueError(f"nobody does {name!r} with a ticket")

    def _learn(self, state: Holders, guest: str, known: Has) -> Holders:
        return raised(state, guest, Has.MAYBE if known is Has.YES and guest in self.forgetful else known)

    def _hand(self, state: Holders, node: str, guest: str, to: str, told: bool | None) -> Any:
        had, is_issuer = has(state, guest), to == node
        if told is None:
            return self._learn(state, to, min(had, Has.MAYBE, key=_RANK.index))
        if not told:
            # Only the issuer's own node can do without the key of the issuer's node, which it may not get.
            return WRONG if had is Has.YES and is_issuer else state
        if had is Has.NO or (had is Has.REVOKED and is_issuer):
            return WRONG
        if had is Has.MAYBE and is_issuer:
            had = Has.YES  # others see its issuer, not whether it was revoked
        return self._learn(self._learn(state, guest, had), to, had)


class OpeningsModel(Model):
    """How often a door has opened for a guest: `open(ticket, guest)` → the number since the door's node booted,
    `count(ticket, guest)` → that number, and `boot(ticket, guest)` begins anew."""

    initial = 0
    reads = ("count",)

    def key(self, operation: Operation) -> Hashable:
        """Return ticket and guest."""
        return operation.arguments

    def step(self, state: int, name: str, arguments: tuple[Any, ...], result: Any) -> Any:
        """Return the number after it."""
        match name:
            case "open":
                return state + 1 if fits(result, state + 1) else WRONG
            case "count":
                return state if fits(result, state) else WRONG
            case "boot":
                return 0
        raise ValueError(f"nobody does {name!r} with a door")
