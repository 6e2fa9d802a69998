"""(trio) The faults of links that hold now, and waiting for changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

import trio

from nectar_node.base import log
from testnet.faults.refusal import Refusal
from testnet.faults.resending import DATA_SECONDS, DIAL_SECONDS, sent_again
from testnet.model.rule import (
    HOLD,
    NO_ROUTE,
    RESEND,
    Answering,
    Dialing,
    Event,
    FaultFailed,
    Judgement,
    Late,
    Link,
    LinkFault,
    Rule,
    judge,
    still_late,
)
from testnet.model.where import ANY, EVERYWHERE, Where

E = TypeVar("E", bound=Event)


class Rules:
    """Faults numbered in the order in which they began, which is the order in which they judge."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: seconds since the network began."""
        self._clock = clock
        self._rules: dict[int, Rule] = {}
        self._on: dict[Link, tuple[Rule, ...]] = {}
        """Rules by link, for the links that have been asked about."""
        self._changed = trio.Event()
        self.failed: dict[int, str] = {}
        """Why those say nothing any more that have failed; the network does not fail with them."""
        self.changes = 0
        """The number of changes so far."""

    def add(self, number: int, fault: LinkFault, chance: Random) -> None:
        """Begin `fault`, which has `chance` for itself."""
        self._rules[number] = Rule(fault, chance)
        self._change()

    def remove(self, number: int) -> None:
        """End the fault of that number, if it holds."""
        self.failed.pop(number, None)
        if self._rules.pop(number, None) is not None:
            self._change()

    def on(self, link: Link) -> tuple[Rule, ...]:
        """Return the rules that concern `link`."""
        rules = self._on.get(link)
        if rules is None:
            rules = self._on[link] = tuple(rule for rule in self._rules.values() if _where(rule.fault).covers(link))
        return rules

    def concern(self, target: str) -> bool:
        """Return whether any rule concerns a link to `target`."""
        return any(_leads_to(_where(rule.fault), target) for rule in self._rules.values())

    def refuse(self, target: str) -> bool:
        """Return whether all dials of `target` are refused at once: the first rule that concerns them says so."""
        about = (rule.fault for rule in self._rules.values() if _leads_to(_where(rule.fault), target))
        first = next(about, None)
        return isinstance(first, Refusal) and first.where.covers(Link(ANY, target))

    async def changed(self) -> None:
        """Wait until the rules change."""
        await self._changed.wait()

    async def decide(self, event: Event) -> Judgement:
        """Return the judgement of `event`, once it need not wait any more."""
        first = self._clock()
        while True:
            try:
                judgement = judge(self.on(event.link), event._replace(now=self._clock()))
            except FaultFailed as failure:
                self._drop(failure)
                continue
            if not _waits(judgement, event):
                return judgement
            await self._changed.wait()
            if judgement.verdict is RESEND:
                await self._until_sent_again(first, event)

    async def _until_sent_again(self, first: float, event: Event) -> None:
        """Wait until TCP sends `event` again: the network may work before, but its sender does not know."""
        pause = DIAL_SECONDS if isinstance(event, Dialing | Answering) else DATA_SECONDS
        now = self._clock()
        await trio.sleep(sent_again(first, now, pause) - now)

    async def late(self, link: Link, since: float, delays: Sequence[Late]) -> None:
        """Wait until what left at `since`, of trio's clock, arrives; a delay ends with the fault that wants it."""
        while (due := since + still_late(delays, self.on(link))) > trio.current_time():
            with trio.move_on_at(due):
                await self._changed.wait()

    def _drop(self, failure: FaultFailed) -> None:
        for number in [number for number, rule in self._rules.items() if rule.fault is failure.fault]:
            self.remove(number)
            self.failed[number] = str(failure)
            log.write_line("links", f"Number {number} holds no longer: {failure}")

    def _change(self) -> None:
        self._on.clear()
        self.changes += 1
        self._changed.set()
        self._changed = trio.Event()


def _waits(judgement: Judgement, event: Event) -> bool:
    if judgement.verdict is NO_ROUTE:
        return not isinstance(event, Dialing)
    return judgement.verdict in (HOLD, RESEND)


def _leads_to(where: Where, target: str) -> bool:
    """Whether some link to `target` is among them."""
    return where.target in (ANY, target) or (where.both and where.source in (ANY, target))


def _where(fault: LinkFault) -> Where:
    where = getattr(fault, "where", EVERYWHERE)
    return where if isinstance(where, Where) else EVERYWHERE
