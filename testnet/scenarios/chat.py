"""A chat of five nodes: every member hears each author's lines in order, none twice, and authors are told the truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from testnet.check import UNKNOWN, DidNotHappen, MonotonicWrites, NoLostUpdate, Operation, OperationHistory
from testnet.faults import draw
from testnet.faults.schedule import Schedule
from testnet.model.lab import Lab, Level, SentRequest
from testnet.scenarios.scenario import Options, Outcomes, Plan, Scenario, everywhere, require
from testnet.scenarios.timing import LATE_SECONDS, answered, ended, in_time, may_forget, since, told

PROCESS = "our@chat:chat:sys"
PATIENCE = 90
"""Seconds that the user waits for Said: chat itself gives a member 30."""
CALM = 30.0
"""Seconds after the network has healed in which a line reaches everybody."""
MOST_MEMBERS = 32
"""`max_members` in packages/chat/chat.zig."""
MAX_TIMES = 40
"""At which something is said."""
MAX_LOOKS = 10
"""Times at which somebody looks at what a node has heard."""

Lines = Sequence[dict[str, Any]]
"""A History."""


@dataclass(slots=True)
class Saying:
    """A line that a user had a node say."""

    author: str
    text: str
    at: float
    """When in the schedule."""
    request: SentRequest

    @property
    def said(self) -> dict[str, Any] | None:
        """Return what the author was told, or None."""
        found: dict[str, Any] | None = answered(self.request, "Said")
        return found

    def words(self) -> str:
        """Describe what the author was told."""
        if self.said is None:
            return f"nothing was told of it: {self.request.outcome and self.request.outcome.kind}"
        heard = ", ".join(sorted(self.said["heard"])) or "nobody"
        missed = ", ".join(sorted(f"{each['node']} ({each['kind']})" for each in self.said["missed"])) or "nobody"
        return f"heard by {heard}; missed by {missed}"


class _Story:
    def __init__(self, lab: Lab, plan: Plan) -> None:
        self.lab = lab
        self.plan = plan
        self.sayings: list[Saying] = []
        self.looks: list[SentRequest] = []
        self.history = promised(lab, plan.schedule)

    def work(self) -> None:
        """Say each line at its time, on a node that is there, look at nodes, and wait for all outcomes."""
        began, number = self.lab.now, -1
        for what, node in in_time(self.lab, _events(self.plan.options)):
            number += what == "say"
            if not self.lab.ready(node):
                continue
            if what == "say":
                text = f"line {number} of the run"
                request = self.lab.begin(node, PROCESS, {"Say": text}, PATIENCE)
                self.sayings.append(Saying(node, text, since(self.lab, began), request))
                follow_saying(self.history, node, self.plan.nodes, text, request)
            else:
                self.looks.append(self.lab.begin(node, PROCESS, "History", PATIENCE))
                self.history.follow(node, self.looks[-1], "read", node, result=_read)
        waiting = (*(each.request for each in self.sayings), *self.looks)
        self.lab.wait(ended(waiting), PATIENCE + 10.0, "the outcome of every line")

    def check(self) -> None:
        """Check that all histories agree with what was said and reported, and that now everyone hears everyone. That
        nothing is lost, and nothing there that nobody said, our history says."""
        for saying in self.sayings:
            check_outcome(saying, self.plan)
        for node in self.plan.nodes:
            call = self.history.call(node, "read", node)
            lines = told(self.lab, node, PROCESS, "History", "History")
            call.ok(said_in(lines))
            check_order(node, lines)
            check_numbers(node, lines, self.sayings)
        for node in self.plan.nodes:
            self._reaches_all(node)

    def outcomes(self) -> Outcomes:
        return {f"{each.text} by {each.author}": each.words() for each in self.sayings}

    def _reaches_all(self, node: str) -> None:
        limit = self.lab.now + CALM
        while missed := told(self.lab, node, PROCESS, {"Say": "is everybody there?"}, "Said")["missed"]:
            require(self.lab.now < limit, f"{CALM:g} s after the network has healed, lines of {node} miss {missed}")
            self.lab.rest(1.0)


def check_outcome(saying: Saying, plan: Plan) -> None:
    """Check that the author was told of each other member exactly once, or of none if its node may have ended."""
    author, said = saying.author, saying.said
    if said is None:
        forgot = may_forget(plan.schedule, author, saying.at)
        require(forgot, f"{author} never told what came of {saying.text!r}: {saying.request.outcome}")
        return
    named = [*said["heard"], *(missed["node"] for missed in said["missed"])]
    others = sorted(set(plan.nodes) - {author})
    require(sorted(named) == others, f"{author} was told of {sorted(named)} for {saying.text!r}, not of {others}")


def check_order(node: str, lines: Lines) -> None:
    """Check that each author's numbers only grow, and that chat itself has found no mistake."""
    latest: defaultdict[str, int] = defaultdict(int)
    for line in lines:
        author, number = line["author"], line["number"]
        require(line["wrong"] is None, f"{node} says that it heard line {number} of {author} {line['wrong']}")
        require(number > latest[author], f"{node} heard line {number} of {author} after line {latest[author]}")
        latest[author] = number


def check_numbers(node: str, lines: Lines, sayings: Sequence[Saying]) -> None:
    """Check that each line has the number that its author was told, if it was told one."""
    numbers = {(each.author, each.text): each.said["number"] for each in sayings if each.said is not None}
    for line in lines:
        number = numbers.get((line["author"], line["text"]), line["number"])
        what = f"{node} heard {line['text']!r} of {line['author']} as line {line['number']}"
        require(number == line["number"], f"{what}; it was told as line {number}")


# --- as a history ---------------------------------------------------------------------------------------------------


def promised(lab: Lab, schedule: Schedule) -> OperationHistory:
    """Return a history of what a chat promises, begun when the schedule is. A line is added to the lines of each member
    (`add(member, (author, text))` → its number); it is known to be there if the author was told that the member heard
    it, or is the author. `read(member)` → the lines of a member."""
    late = 0.0 if lab.level is Level.SIMULATION else LATE_SECONDS
    began = lab.now

    def excused(added: Operation, read: Operation) -> bool:
        return may_have_lost(schedule, added, read, began, late)

    return lab.history(
        NoLostUpdate(always=True, excused=excused), MonotonicWrites(writes=("add",), version=numbered), name="the chat"
    )


def may_have_lost(schedule: Schedule, added: Operation, read: Operation, began: float, late: float = 0.0) -> bool:
    """Whether a member may have lost its memory between a line and that look at it: by a fault that had begun by then.
    Faults may be `late` by so many seconds."""
    before = tuple(step for step in schedule if step.event is not None or step.at <= read.returned.time - began)
    return may_forget(before, str(added.arguments[0]), added.called.time - began - late)


def follow_saying(
    history: OperationHistory, author: str, members: Sequence[str], text: str, request: SentRequest
) -> None:
    """Record a line that is being said: it may come to each member."""
    for member in members:
        history.follow(author, request, "add", member, (author, text), result=partial(_heard, author, member))


def said_in(lines: Lines) -> tuple[tuple[str, str], ...]:
    """Return author and text of each line."""
    return tuple((line["author"], line["text"]) for line in lines)


def numbered(operation: Operation) -> int | None:
    """Return the number of a line, if its author was told."""
    return operation.result if isinstance(operation.result, int) else None


def _heard(author: str, member: str, body: Any) -> Any:
    if not isinstance(body, dict) or "Said" not in body:
        return UNKNOWN
    said = body["Said"]
    if member == author or member in said["heard"]:
        return said["number"]
    if {"node": member, "kind": "Refused"} in said["missed"]:
        raise DidNotHappen
    return UNKNOWN


def _read(body: Any) -> Any:
    return said_in(body["History"])


def _options(names: Sequence[str], chance: Random) -> Options:
    """Draw single lines, bursts of lines by one author, and looks at what a node has heard."""
    lines: list[list[Any]] = []
    for _ in range(chance.randint(1, MAX_TIMES)):
        at = round(chance.uniform(0.0, 15.0), 3)
        lines += [[at, chance.choice(list(names))]] * chance.choice((1, 1, 1, 2, 8))
    looks = [
        [round(chance.uniform(0.0, 18.0), 3), chance.choice(list(names))] for _ in range(chance.randint(0, MAX_LOOKS))
    ]
    return {"lines": sorted(lines), "looks": looks}


def _events(options: Options) -> list[list[Any]]:
    """Return what happens, by its time; plans of before there were looks have none."""
    lines = [[at, "say", author] for at, author in options["lines"]]
    return sorted(lines + [[at, "look", node] for at, node in options.get("looks", [])], key=lambda each: each[0])


def _begin(lab: Lab, plan: Plan) -> _Story:
    for node in plan.nodes:
        outcome = lab.ask(node, PROCESS, {"Join": {"members": list(plan.nodes)}}, 60)
        require(outcome.body == "Joined", f"{node} did not join: {outcome}")
    return _Story(lab, plan)


CHAT = Scenario(
    name="chat",
    about="every member of a chat hears each author's lines in order, none twice, and authors are told who heard them",
    nodes=("ann.nec", "bob.nec", "cleo.nec", "dan.nec", "eve.nec"),
    topology=everywhere("chat"),
    options=_options,
    begin=_begin,
    drawers=draw.ALL,
    most_nodes=MOST_MEMBERS,
)
