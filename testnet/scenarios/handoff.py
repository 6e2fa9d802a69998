"""Tickets that are handed on between nodes open their door for their holders, and for nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from random import Random
from typing import Any, NamedTuple

from kernel.contract.address import Address
from kernel.contract.capability import NETWORK, Capability, canonical
from nectar_node.base.shipped import SHIPPED_FOLDER
from testnet.faults import draw
from testnet.hostile.forgery import Forgery, forged
from testnet.model.lab import Json, Lab, Outcome
from testnet.scenarios.scenario import Options, Outcomes, Plan, Scenario, everywhere, require
from testnet.scenarios.timing import may_forget

_GUEST, _DOOR, _KERNEL = "our@guest:handoff:sys", "our@door:handoff:sys", "our@kernel:distro:sys"
_GUEST_ID, _DOOR_ID = Address.parse(_GUEST).process, Address.parse(_DOOR).process
_PATIENCE = 10
"""Seconds that a guest waits for a door or another guest."""
_OTHER_DOOR = 10
_ATTEMPTS = 5
"""How often a door is made that is not there afterwards."""
_DOOR_CODE = SHIPPED_FOLDER / "handoff" / "pkg" / "door.wasm"
_UNSAVED_SECONDS = 2.0
"""A crash may lose what a guest got this shortly before: the disk may take as long to write it."""


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


@dataclass(slots=True)
class _Guest:
    """What is known of the guest of one node."""

    forgets: bool
    """Whether a fault may take a ticket from it."""
    tickets: dict[Ticket, tuple[Has, float]] = field(default_factory=dict)
    """What the guest has, and the time from which on it has it."""

    def has(self, ticket: Ticket) -> Has:
        return self.tickets.get(ticket, (Has.NO, 0.0))[0]

    def learn(self, ticket: Ticket, has: Has, now: float) -> None:
        """Raise what is known of a ticket; it never falls."""
        has = Has.MAYBE if has is Has.YES and self.forgets else has
        if _RANK.index(has) > _RANK.index(self.has(ticket)):
            self.tickets[ticket] = (has, now)

    def crash(self, now: float) -> None:
        for ticket, (_, since) in self.tickets.items():
            if now - since < _UNSAVED_SECONDS:
                self.tickets[ticket] = (min(Has.MAYBE, self.has(ticket), key=_RANK.index), since)

    def revoke(self, node: str, has: Has) -> None:
        """Note that the tickets of a node's door are, or may be, worthless from now on."""
        for ticket in self.tickets:
            if ticket.node == node:
                self.tickets[ticket] = (has, 0.0)


class _Story:
    def __init__(self, lab: Lab, plan: Plan) -> None:
        self._lab = lab
        self._plan = plan
        self._unsteady = {name for name in plan.nodes if may_forget(plan.schedule, name, 0.0)}
        self._guests = {name: _Guest(name in self._unsteady) for name in plan.nodes}
        self._killed: set[str] = set()
        """Nodes whose door was killed."""
        self._opened: dict[tuple[str, Ticket], int] = {}
        """The number of times that a guest was told that it opened a door since the door's node booted."""
        self._answers: list[Json] = []
        """The answers of guests to their users; null without an answer."""
        self._outcomes: Outcomes = {}
        self._actions: dict[str, Callable[[dict[str, Any]], object]] = {
            "fetch": lambda step: self._fetch(step["guest"], _ticket(step)),
            "pass": lambda step: self._pass(step["guest"], _ticket(step), step["to"]),
            "open": lambda step: self._open(step["guest"], _ticket(step)),
            "break in": lambda step: self._break_in(step["guest"], _ticket(step), step["how"]),
            "restart": lambda step: self._restart(step["guest"]),
            "forge": lambda step: self._forge(step["guest"], _ticket(step), Forgery(step["how"])),
            "kill": lambda step: self._kill(step["node"]),
        }

    def work(self) -> None:
        """Take one action after another, whatever the network does meanwhile."""
        began = self._lab.now
        for number, step in enumerate(self._plan.options["steps"]):
            self._lab.rest(max(0.0, began + step["at"] - self._lab.now))
            before = len(self._answers)
            self._actions[step["do"]](step)
            words = ", ".join(map(_words, self._answers[before:])) or "nobody was asked"
            self._outcomes[f"deed {number}, {step['guest']}: {step['do']}"] = words

    def outcomes(self) -> Outcomes:
        """Return the outcome of each action, and which doors each guest has opened since they booted."""
        opened = {
            f"{guest} at {ticket.node}, door {ticket.door}": times for (guest, ticket), times in self._opened.items()
        }
        return self._outcomes | {f"openings of {who}": str(times) for who, times in opened.items()}

    def _tell(self, guest: str, body: Json) -> Json:
        """Return a guest's answer to its user, or null."""
        outcome: Outcome = self._lab.ask(guest, _GUEST, body, 3 * _PATIENCE)
        self._answers.append(outcome.body if outcome.kind == "response" else None)
        return self._answers[-1]

    # --- actions ------------------------------------------------------------------------------------------------------

    def _fetch(self, guest: str, ticket: Ticket) -> bool:
        answer = self._tell(guest, {"Fetch": ticket.value() | {"timeout": _PATIENCE}})
        if answer is None or "Failed" in answer:
            self._guests[guest].learn(ticket, Has.MAYBE, self._lab.now)
            return False
        kept = answer.get("Fetched")
        require(kept == [ticket.value()], f"{guest} fetched a ticket for {ticket} and could keep {kept}")
        self._guests[guest].learn(ticket, Has.YES, self._lab.now)
        return True

    def _pass(self, guest: str, ticket: Ticket, to: str) -> bool:
        had = self._guests[guest].has(ticket)
        answer = self._tell(guest, {"Pass": ticket.value() | {"to": to, "timeout": _PATIENCE}})
        if answer is None or "Failed" in answer:
            self._guests[to].learn(ticket, min(had, Has.MAYBE, key=_RANK.index), self._lab.now)
            return False
        took = answer["Took"]
        if not took:
            # Only the issuer's own node can do without the key of the issuer's node, which it may not get.
            require(had is not Has.YES or to != ticket.node, f"{to} did not know its own ticket {ticket} from {guest}")
            return False
        worthless = had is Has.NO or (had is Has.REVOKED and to == ticket.node)
        require(not worthless, f"{guest}, which {had.value} a ticket for {ticket}, gave one to {to}")
        require(took == [ticket.value()], f"{guest} gave {to} a ticket for {ticket}, and it took {took}")
        if had is Has.MAYBE and to == ticket.node:
            had = Has.YES  # others see its issuer, not whether it was revoked
        self._guests[guest].learn(ticket, had, self._lab.now)
        self._guests[to].learn(ticket, had, self._lab.now)
        return had is not Has.REVOKED

    def _open(self, guest: str, ticket: Ticket) -> bool:
        had = self._guests[guest].has(ticket)
        opens = self._try(guest, ticket, {"Open": ticket.value() | {"timeout": _PATIENCE}})
        words = f"{guest}, which {had.value} a ticket for {ticket},"
        require(opens is not True or had.opens, f"{words} has opened that door")
        require(opens is not False or had is not Has.YES, f"{words} was turned away")
        return opens is True

    def _break_in(self, guest: str, ticket: Ticket, how: Json) -> None:
        if how != "NoTicket" and self._guests[guest].has(ticket).opens:
            return  # what it makes up would be what it was given
        body = {"BreakIn": ticket.value() | {"how": how, "timeout": _PATIENCE}}
        opens = self._try(guest, ticket, body)
        require(opens is not True, f"{guest} has broken in at {ticket} with {how}")

    def _try(self, guest: str, ticket: Ticket, body: Json) -> bool | None:
        """Whether the door opened; null: nobody knows."""
        answer = self._tell(guest, body)
        if answer is None or "Failed" in answer:
            return None
        if "Opened" in answer["Door"] and ticket.node not in self._unsteady:
            self._opened[guest, ticket] = self._opened.get((guest, ticket), 0) + 1
        return "Opened" in answer["Door"]

    def _restart(self, node: str, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Crash and boot: tickets are kept, and the door counts anew."""
        self._guests[node].crash(self._lab.now)
        self._opened = {key: times for key, times in self._opened.items() if key[1].node != node}
        self._lab.crash(node)
        meanwhile()
        self._lab.start(node)

    def _forge(self, guest: str, ticket: Ticket, how: Forgery) -> None:
        """Write a ticket into what the kernel of a guest's node has kept, as the owner of the node can: this kernel
        believes it, and no other does (G20)."""
        if guest == ticket.node:
            return  # that door it may open
        if not self._prepared(guest, ticket, how) or self._guests[guest].has(ticket).opens:
            return  # it was given one, or may have been
        store = partial(forged, holder=_GUEST_ID, capability=ticket.capability(), how=how)
        self._restart(guest, lambda: self._lab.tamper(guest, store))
        self._await(guest)
        self._await(ticket.node)
        opens = self._try(guest, ticket, {"Open": ticket.value() | {"timeout": _PATIENCE}})
        require(opens is not True, f"{guest} has opened the door {ticket} with a ticket that it forged ({how.value})")
        for to in self._plan.nodes:
            if to != guest:
                self._pass(guest, ticket, to)

    def _prepared(self, guest: str, ticket: Ticket, how: Forgery) -> bool:
        """Get what the forgery begins with; whether it is there."""
        fetched = True
        if how is Forgery.OF_ANOTHER:
            self._fetch(guest, ticket._replace(door=_OTHER_DOOR))
        elif how is Forgery.RENEWED:
            # What is made of a number that was made up itself may be newer than what is issued next.
            fetched = self._fetch(guest, ticket) and guest not in self._unsteady
        self._lab.rest(_UNSAVED_SECONDS)
        if how is Forgery.RENEWED:
            self._kill(ticket.node)
        return fetched

    def _await(self, node: str) -> None:
        """Wait until the node is back, or until faults have kept it away for long enough."""
        limit = self._lab.now + _PATIENCE
        while not self._lab.ready(node) and self._lab.now < limit:
            self._lab.rest(0.1)

    def _kill(self, node: str) -> None:
        """Kill the door of a node, make another one, and boot the node again: all tickets of the first are worthless
        (G21)."""
        outcome = self._lab.ask(node, _KERNEL, {"KillProcess": str(_DOOR_ID)}, _PATIENCE)
        self._lab.rest(_UNSAVED_SECONDS)
        sure = outcome.kind == "response" and node not in self._unsteady
        self._killed.add(node)
        self._make_door(node)
        self._restart(node)
        for guest in self._guests.values():
            guest.revoke(node, Has.REVOKED if sure else Has.MAYBE)

    def _make_door(self, node: str) -> None:
        """Have the user make a door, since one that was killed stays so (G26); faults may come between."""
        rights = [{"issuer": _KERNEL, "params": NETWORK}]
        wanted = {"id": str(_DOOR_ID), "on_exit": "None", "initial_capabilities": rights, "public": True}
        for _ in range(_ATTEMPTS):
            self._await(node)
            if self._lab.ask(node, _DOOR, "Openings", 1).kind == "response":
                break
            self._lab.ask(node, _KERNEL, {"InitializeProcess": wanted}, _PATIENCE, _DOOR_CODE.read_bytes())
            self._lab.ask(node, _KERNEL, {"RunProcess": str(_DOOR_ID)}, _PATIENCE)
        self._lab.rest(_UNSAVED_SECONDS)

    # --- at the end -------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Check that holders of a ticket open its door, those too to whom they give one, that nobody else does, and
        that doors count right."""
        for node in sorted(self._killed):
            self._make_door(node)  # a fault may have kept the user from it
        for guest, known in self._guests.items():
            for ticket in list(known.tickets):
                if known.has(ticket) is Has.YES:
                    require(self._open(guest, ticket), f"{guest} does not reach the door {ticket} after all faults")
        self._hand_on()
        for guest in self._guests:
            for how in ("NoTicket", "MadeUp", "OfOurOwn"):
                self._break_in(guest, Ticket(self._plan.nodes[0], 99), how)
        for node in self._plan.nodes:
            self._check_count(node)

    def _hand_on(self) -> None:
        """Hand a ticket on from node to node, and back to the door's own."""
        first, *others = self._plan.nodes
        ticket = Ticket(first, 7)
        require(self._fetch(others[0], ticket), f"{others[0]} can fetch no ticket from {first} after all faults")
        for giver, taker in zip(others, [*others[1:], first], strict=True):
            given = self._pass(giver, ticket, taker)
            require(given, f"{taker} could not take a ticket for {ticket} from {giver} after all faults")
            require(self._open(taker, ticket), f"{taker} does not reach the door {ticket} after all faults")

    def _check_count(self, node: str) -> None:
        outcome = self._lab.ask(node, _DOOR, "Openings", _PATIENCE)
        require(outcome.kind == "response", f"the door on {node} does not answer its user: {outcome.reason}")
        counted: dict[tuple[str, Ticket], int] = {}
        for row in outcome.body["Openings"]["opened"]:
            guest = str(row["holder"]).partition("@")[0]
            ticket = Ticket(node, int(row["door"]))
            known = self._guests[guest].has(ticket)
            require(known.opens, f"{guest}, which {known.value} a ticket for {ticket}, has opened it")
            counted[guest, ticket] = int(row["times"])
        for (guest, ticket), times in self._opened.items():
            there = counted.get((guest, ticket), 0)
            words = f"{guest} was told {times} times that it opened {ticket}, and the door counted {there}"
            require(ticket.node != node or there >= times, words)


def _words(answer: Json) -> str:
    """Describe an answer of a guest, without numbers that depend on timing."""
    match answer:
        case {"Door": {**says}}:
            return f"the door says {next(iter(says))}"
        case {"Failed": {"kind": str(kind)}}:
            return f"failed: {kind}"
        case {"Fetched": [*tickets]} | {"Took": [*tickets]}:
            return f"{next(iter(answer))} {len(tickets)}"
    return "no answer" if answer is None else "something else"


def _ticket(step: dict[str, Any]) -> Ticket:
    return Ticket(step["node"], step["door"])


def _options(names: Sequence[str], chance: Random) -> Options:
    """Draw the actions; doors are few, so that tickets go round."""
    doors = [Ticket(chance.choice(list(names)), door) for door in (1, 2)]
    times = sorted(round(chance.uniform(0.0, 15.0), 3) for _ in range(chance.randint(4, 20)))
    return {"steps": [{"at": at} | _step(names, doors, chance) for at in times]}


def _step(names: Sequence[str], doors: Sequence[Ticket], chance: Random) -> dict[str, Any]:
    ticket = chance.choice(list(doors))
    guest, to = chance.sample(list(names), 2)
    deed = chance.choice(
        (
            *("fetch", "fetch", "pass", "pass", "pass", "open", "open"),
            *("break in", "break in", "forge", "restart", "kill"),
        )
    )
    step = {"do": deed, "guest": guest} | ticket.value()
    if deed == "pass":
        step["to"] = to
    if deed == "break in":
        step["how"] = chance.choice(("NoTicket", "MadeUp", "OfOurOwn", {"OtherDoor": 3 - ticket.door}))
    if deed == "forge":
        step["how"] = chance.choice(list(Forgery)).value
    return step


HANDOFF = Scenario(
    name="handoff",
    about="tickets handed on between nodes open their door for their holders, and for nobody else",
    nodes=("a.nec", "b.nec", "c.nec"),
    topology=everywhere("handoff"),
    options=_options,
    begin=_Story,
    drawers=draw.ALL,
)
