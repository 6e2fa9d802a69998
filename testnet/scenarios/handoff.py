"""Tickets that are handed on between nodes open their door for their holders, and for nobody else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any

from kernel.contract.address import Address
from kernel.contract.capability import NETWORK
from nectar_node.base.shipped import SHIPPED_FOLDER
from testnet.check import WRONG, Linearizable, RecordedCall
from testnet.faults import draw
from testnet.hostile.forgery import Forgery, forged
from testnet.model.lab import Json, Lab, Outcome
from testnet.scenarios.scenario import Options, Outcomes, Plan, Scenario, Violation, everywhere, require
from testnet.scenarios.tickets import Has, Holders, OpeningsModel, Ticket, TicketModel, has
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


class _Story:
    def __init__(self, lab: Lab, plan: Plan) -> None:
        self._lab = lab
        self._plan = plan
        self._unsteady = {name for name in plan.nodes if may_forget(plan.schedule, name, 0.0)}
        self._model = TicketModel(frozenset(self._unsteady))
        self._deeds = lab.history(Linearizable(self._model), name="the tickets")
        self._openings = lab.history(Linearizable(OpeningsModel()), name="the openings")
        self._known: dict[Ticket, Holders] = {}
        """What is known of each ticket's holders by now, as our model has it: it decides what is done next."""
        self._since: dict[tuple[Ticket, str], float] = {}
        """The time from which on a guest has a ticket."""
        self._killed: set[str] = set()
        """Nodes whose door was killed."""
        self._openers: set[tuple[str, Ticket]] = set()
        """Guests and the doors that they have tried."""
        self._opened: dict[tuple[str, Ticket], int] = {}
        """The number of times that a guest was told that it opened a door since the door's node booted; of those that
        do not forget it."""
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

    # --- what is known ------------------------------------------------------------------------------------------------

    def _has(self, guest: str, ticket: Ticket) -> Has:
        return has(self._known.get(ticket, Holders()), guest)

    def _begin(self, deed: str, ticket: Ticket, *guests: str) -> RecordedCall:
        """Record a deed that begins now; see `TicketModel`."""
        return self._deeds.call(guests[0] if guests else ticket.node, deed, ticket, *guests)

    def _done(self, deed: RecordedCall, result: bool | None = None) -> None:
        """Record what came of a deed; null: nobody knows. One that the model cannot explain ends the run."""
        deed.ok(result)
        place: Any = deed.arguments[0]
        ticket, guests = Ticket(*place), [str(guest) for guest in deed.arguments[1:]]
        before = self._known.get(ticket, Holders())
        after = self._model.step(before, deed.name, deed.arguments, result)
        if after is WRONG:
            raise Violation(self._lab.histories.judge() or f"nothing explains {deed.name} {deed.arguments}")
        self._known[ticket] = after
        for guest in guests:
            if has(after, guest) is not has(before, guest) and deed.name != "crash":
                self._since[ticket, guest] = self._lab.now

    # --- actions ------------------------------------------------------------------------------------------------------

    def _fetch(self, guest: str, ticket: Ticket) -> bool:
        deed = self._begin("fetch", ticket, guest)
        answer = self._tell(guest, {"Fetch": ticket.value() | {"timeout": _PATIENCE}})
        if answer is None or "Failed" in answer:
            self._done(deed)
            return False
        self._done(deed, answer.get("Fetched") == [ticket.value()])
        return True

    def _pass(self, guest: str, ticket: Ticket, to: str) -> bool:
        had = self._has(guest, ticket)
        deed = self._begin("hand", ticket, guest, to)
        answer = self._tell(guest, {"Pass": ticket.value() | {"to": to, "timeout": _PATIENCE}})
        if answer is None or "Failed" in answer:
            self._done(deed)
            return False
        took = answer["Took"]
        require(took in ([], [ticket.value()]), f"{guest} gave {to} a ticket for {ticket}, and it took {took}")
        self._done(deed, bool(took))
        return bool(took) and had is not Has.REVOKED

    def _open(self, guest: str, ticket: Ticket) -> bool:
        deed = self._begin("open", ticket, guest)
        opens = self._try(guest, ticket, {"Open": ticket.value() | {"timeout": _PATIENCE}})
        self._done(deed, opens)
        return opens is True

    def _break_in(self, guest: str, ticket: Ticket, how: Json) -> None:
        if how != "NoTicket" and self._has(guest, ticket).opens:
            return  # what it makes up would be what it was given
        deed = self._begin("break in", ticket, guest, str(how))
        opens = self._try(guest, ticket, {"BreakIn": ticket.value() | {"how": how, "timeout": _PATIENCE}})
        self._done(deed, opens)

    def _try(self, guest: str, ticket: Ticket, body: Json) -> bool | None:
        """Whether the door opened; null: nobody knows."""
        steady = ticket.node not in self._unsteady
        call = self._openings.call(guest, "open", ticket, guest) if steady else None
        self._openers.add((guest, ticket))
        answer = self._tell(guest, body)
        if answer is None or "Failed" in answer:
            return None
        says = answer["Door"]
        if call is not None and "Opened" in says:
            self._opened[guest, ticket] = self._opened.get((guest, ticket), 0) + 1
            call.ok(says["Opened"]["times"])
        elif call is not None:
            call.failed()
        return "Opened" in says

    def _restart(self, node: str, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Crash and boot: tickets are kept, and the door counts anew."""
        for ticket in list(self._known):
            if self._lab.now - self._since.get((ticket, node), -_UNSAVED_SECONDS) < _UNSAVED_SECONDS:
                self._done(self._begin("crash", ticket, node))
        self._opened = {key: times for key, times in self._opened.items() if key[1].node != node}
        anew = [
            self._openings.call(node, "boot", ticket, guest)
            for guest, ticket in sorted(self._openers)
            if ticket.node == node
        ]
        self._lab.crash(node)
        meanwhile()
        self._lab.start(node)
        for call in anew:
            call.ok()

    def _forge(self, guest: str, ticket: Ticket, how: Forgery) -> None:
        """Write a ticket into what the kernel of a guest's node has kept, as the owner of the node can: this kernel
        believes it, and no other does (G20)."""
        if guest == ticket.node:
            return  # that door it may open
        if not self._prepared(guest, ticket, how) or self._has(guest, ticket).opens:
            return  # it was given one, or may have been
        store = partial(forged, holder=_GUEST_ID, capability=ticket.capability(), how=how)
        self._restart(guest, lambda: self._lab.tamper(guest, store))
        self._await(guest)
        self._await(ticket.node)
        deed = self._begin("break in", ticket, guest, how.value)
        self._done(deed, self._try(guest, ticket, {"Open": ticket.value() | {"timeout": _PATIENCE}}))
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
        ending = [self._begin("end", ticket) for ticket in self._known if ticket.node == node]
        outcome = self._lab.ask(node, _KERNEL, {"KillProcess": str(_DOOR_ID)}, _PATIENCE)
        self._lab.rest(_UNSAVED_SECONDS)
        sure = outcome.kind == "response" and node not in self._unsteady
        self._killed.add(node)
        self._make_door(node)
        self._restart(node)
        for deed in ending:
            self._done(deed, sure)
        self._since = {key: since for key, since in self._since.items() if key[0].node != node}

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
        for guest in self._plan.nodes:
            for ticket in list(self._known):
                if self._has(guest, ticket) is Has.YES:
                    require(self._open(guest, ticket), f"{guest} does not reach the door {ticket} after all faults")
        self._hand_on()
        for guest in self._plan.nodes:
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
            self._done(self._begin("counted", ticket, guest), True)
            counted[guest, ticket] = int(row["times"])
        if node in self._unsteady:
            return  # the door may have counted anew at any time
        for guest, ticket in sorted({*counted, *(each for each in self._openers if each[1].node == node)}):
            times = counted.get((guest, ticket), 0)
            self._openings.call(node, "count", ticket, guest).ok(times)


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
