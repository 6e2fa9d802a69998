"""A chat of five nodes: every member hears each author's lines in order, none twice, and authors are told the truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from testnet.faults import draw
from testnet.faults.schedule import Schedule
from testnet.model.lab import Lab, SentRequest
from testnet.scenarios.scenario import Options, Outcomes, Plan, Scenario, everywhere, require
from testnet.scenarios.timing import answered, ended, in_time, may_forget, since, told

PROCESS = "our@chat:chat:sys"
PATIENCE = 90
"""Seconds that the user waits for Said: chat itself gives a member 30."""
CALM = 30.0
"""Seconds after the network has healed in which a line reaches everybody."""
MOST_MEMBERS = 32
"""`max_members` in packages/chat/chat.zig."""
MAX_TIMES = 40
"""At which something is said."""

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


@dataclass(slots=True)
class _Story:
    lab: Lab
    plan: Plan
    sayings: list[Saying] = field(default_factory=list)

    def work(self) -> None:
        """Say each line at its time, on a node that is there, and wait for all outcomes."""
        began = self.lab.now
        for number, (author,) in enumerate(in_time(self.lab, self.plan.options["lines"])):
            if self.lab.ready(author):
                text = f"line {number} of the run"
                request = self.lab.begin(author, PROCESS, {"Say": text}, PATIENCE)
                self.sayings.append(Saying(author, text, since(self.lab, began), request))
        self.lab.wait(ended(each.request for each in self.sayings), PATIENCE + 10.0, "the outcome of every line")

    def check(self) -> None:
        """Check that all histories agree with what was said and reported, and that now everyone hears everyone."""
        for saying in self.sayings:
            check_outcome(saying, self.plan)
        histories = {node: told(self.lab, node, PROCESS, "History", "History") for node in self.plan.nodes}
        for node, lines in histories.items():
            check_order(node, lines)
            check_texts(node, lines, self.sayings)
            check_complete(node, lines, self.sayings, self.plan.schedule)
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


def check_texts(node: str, lines: Lines, sayings: Sequence[Saying]) -> None:
    """Check that each line was said by its author, and under that number if the author was told one."""
    numbers = {(each.author, each.text): each.said["number"] if each.said else None for each in sayings}
    for line in lines:
        what = f"{node} heard {line['text']!r} of {line['author']} as line {line['number']}"
        key = (line["author"], line["text"])
        require(key in numbers, f"{what}, who never said it")
        require(numbers[key] in (None, line["number"]), f"{what}; it was told as line {numbers[key]}")


def check_complete(node: str, lines: Lines, sayings: Sequence[Saying], schedule: Schedule) -> None:
    """Check that each line that the node itself said, or that its author was told it heard, is there, unless the node
    may have lost its memory since."""
    there = {(line["author"], line["number"]) for line in lines}
    for saying in sayings:
        said = saying.said
        if said is None or (node != saying.author and node not in said["heard"]):
            continue
        is_there = (saying.author, said["number"]) in there
        what = f"line {said['number']} of {saying.author} is not in the history of {node}, which heard it"
        require(is_there or may_forget(schedule, node, saying.at), what)


def _options(names: Sequence[str], chance: Random) -> Options:
    """Draw single lines, and bursts of lines by one author."""
    lines: list[list[Any]] = []
    for _ in range(chance.randint(1, MAX_TIMES)):
        at = round(chance.uniform(0.0, 15.0), 3)
        lines += [[at, chance.choice(list(names))]] * chance.choice((1, 1, 1, 2, 8))
    return {"lines": sorted(lines)}


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
