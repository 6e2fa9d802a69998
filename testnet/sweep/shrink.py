"""Cuts a plan that fails down to what matters, by trying smaller ones (delta debugging).

Pure: `smaller` yields a plan and is sent whether that plan fails in the same way. It goes on from each plan that fails,
and ends when none of its changes makes the plan smaller. The same answers lead to the same plans. See Zeller and
Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (2002).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

from testnet.faults.schedule import Step, ordered
from testnet.scenarios.scenario import Options, Plan

T = TypeVar("T")
Path: TypeAlias = tuple[str | int, ...]
"""The keys and indices on the way to a value."""
Trial: TypeAlias = Generator[Plan, bool, Plan]
"""Yields plans to try, is sent whether they fail in the same way, returns the smallest."""

MAX_RUNS = 300
MAX_NUMBERS = 24
"""Numbers in the options that are made smaller."""
SHORTEST = 0.05
"""Seconds: a fault is not made shorter."""


def smaller(plan: Plan, least_nodes: int) -> Trial:
    """Drop what can be dropped, shorten faults, round times, make numbers smaller, and see whether that allows dropping
    more."""
    plan = yield from _drop(plan, least_nodes)
    plan = yield from _each_step(plan, _shorter)
    plan = yield from _each_step(plan, _rounder)
    plan = yield from _lessen(plan)
    return (yield from _drop(plan, least_nodes))


@dataclass(slots=True)
class Shrinking:
    """The state of a search."""

    best: Plan
    runs: int = 0
    complete: bool = False
    """Whether nothing more can be dropped; otherwise it was stopped."""


def shrink(
    shrinking: Shrinking, least_nodes: int, fails: Callable[[Plan], bool], max_runs: int, show: Callable[[], None]
) -> None:
    """Find the smallest plan that `fails` like the first one, in at most so many runs; `show` follows each of them."""
    trial = smaller(shrinking.best, least_nodes)
    known: dict[str, bool] = {}
    try:
        plan = next(trial)
        while True:
            key = json.dumps(plan.value())
            if key not in known:
                if shrinking.runs == max_runs:
                    return
                known[key] = fails(plan)
                shrinking.runs += 1
                if known[key]:
                    shrinking.best = replace(plan, schedule=ordered(plan.schedule))
                show()
            plan = trial.send(known[key])
    except StopIteration:
        shrinking.complete = True


def _drop(plan: Plan, least_nodes: int) -> Trial:
    """Drop faults, elements of options, and nodes, until none of them can be left out."""
    while True:
        best = yield from _drop_faults(plan)
        best = yield from _drop_options(best)
        best = yield from _drop_nodes(best, least_nodes)
        if best == plan:
            return best
        plan = best


def _drop_faults(plan: Plan) -> Trial:
    def with_steps(steps: Sequence[Step]) -> Plan:
        return replace(plan, schedule=tuple(steps))

    return with_steps((yield from _minimal(plan.schedule, with_steps)))


def _drop_options(plan: Plan) -> Trial:
    for path in list(_lists(plan.options, ())):
        plan = yield from _drop_elements(plan, path, _at(plan.options, path))
    return plan


def _lists(value: object, path: Path) -> Iterator[Path]:
    """Yield where lists are, in tables of any depth; a list within a list is one entry, such as a time and a node."""
    if isinstance(value, list):
        yield path
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _lists(each, (*path, key))


def _lessen(plan: Plan) -> Trial:
    """Make the numbers in the options smaller: counts, sizes, pauses."""
    for path in list(_numbers(plan.options, ()))[:MAX_NUMBERS]:
        smaller = True
        while smaller:
            smaller = False
            for number in _less(_at(plan.options, path)):
                other = replace(plan, options=_with_value(plan.options, path, number))
                smaller = yield other
                if smaller:
                    plan = other
                    break
    return plan


def _numbers(value: Any, path: Path) -> Iterator[Path]:
    """Yield where numbers are that can be smaller."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _numbers(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _numbers(each, (*path, index))
    elif not isinstance(value, bool) and isinstance(value, (int, float)) and value > 1:
        yield path


def _less(number: float) -> list[float]:
    """Return smaller numbers, the smallest first; whole ones stay whole."""
    if number <= 1:
        return []
    half = number // 2 if isinstance(number, int) else round(number / 2, 3)
    return [1, half] if isinstance(number, int) and half > 1 else [half]


def _at(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


def _with_value(value: Any, path: Path, other: object) -> Any:
    """Return the value with another in place of what is at `path`."""
    if not path:
        return other
    key, *rest = path
    if isinstance(value, dict):
        return {**value, key: _with_value(value[key], tuple(rest), other)}
    return [_with_value(each, tuple(rest), other) if index == key else each for index, each in enumerate(value)]


def _drop_elements(plan: Plan, path: Path, elements: list[object]) -> Trial:
    def with_elements(some: Sequence[object]) -> Plan:
        options: Options = _with_value(plan.options, path, list(some))
        return replace(plan, options=options)

    return with_elements((yield from _minimal(elements, with_elements)))


def _minimal(items: Sequence[T], make: Callable[[Sequence[T]], Plan]) -> Generator[Plan, bool, Sequence[T]]:
    """Return a few of `items` of which none can be left out."""
    trial = minimal(items)
    try:
        some = next(trial)
        while True:
            some = trial.send((yield make(some)))
    except StopIteration as ended:
        fewest: Sequence[T] = ended.value
        return fewest


def minimal(items: Sequence[T]) -> Generator[Sequence[T], bool, Sequence[T]]:
    """Return a few of `items` of which none can be left out; larger pieces are tried first, the last ones before the
    first, since late things matter least. Yields items to try, is sent whether they are enough."""
    size = len(items)
    while size:
        end = len(items)
        while end > 0:
            fewer = [*items[: max(0, end - size)], *items[end:]]
            if (yield fewer):
                items = fewer
            end -= size
        size = min(size // 2, len(items))
    return items


def _drop_nodes(plan: Plan, least: int) -> Trial:
    """Drop nodes, the last ones first, with all that is about them."""
    for name in reversed(plan.nodes):
        about = json.dumps([plan.options, [step.value() for step in plan.schedule]])
        if len(plan.nodes) > least:
            nodes = tuple(each for each in plan.nodes if each != name)
            fewer = replace(plan, nodes=nodes) if name not in about else _without_all_of(plan, name, nodes)
            if fewer is not None and (yield fewer):
                plan = fewer
    return plan


def _without_all_of(plan: Plan, name: str, nodes: tuple[str, ...]) -> Plan | None:
    """Return the plan without a node, its faults, and the entries of the options that are about it; None: it is part of
    one that is no entry of a list."""
    schedule = tuple(step for step in plan.schedule if name not in json.dumps(step.value()))
    options = {
        key: [each for each in value if name not in json.dumps(each)] if isinstance(value, list) else value
        for key, value in plan.options.items()
    }
    if name in json.dumps(options):
        return None
    return replace(plan, nodes=nodes, options=options, schedule=schedule)


def _each_step(plan: Plan, change: Callable[[Step], Iterator[Step]]) -> Trial:
    """Try the changes of each fault until one of them still fails, and repeat that as long as it succeeds."""
    for number in range(len(plan.schedule)):
        changed = True
        while changed:
            changed = False
            for step in change(plan.schedule[number]):
                other = replace(plan, schedule=(*plan.schedule[:number], step, *plan.schedule[number + 1 :]))
                changed = yield other
                if changed:
                    plan = other
                    break
    return plan


def _shorter(step: Step) -> Iterator[Step]:
    """Yield the step at half its length: without its second half, or without its first one."""
    if step.event is None and step.until is not None and step.until - step.at >= 2 * SHORTEST:
        middle = round((step.at + step.until) / 2, 3)
        yield replace(step, until=middle)
        yield replace(step, at=middle)


def _rounder(step: Step) -> Iterator[Step]:
    """Yield the step with fewer digits, the fewest first; never shorter, so that it still holds when it matters."""
    for scale in (10, 100) if step.event is None else ():
        at = math.floor(step.at * scale) / scale
        until = None if step.until is None else math.ceil(step.until * scale) / scale
        if (at, until) == (step.at, step.until):
            return
        yield replace(step, at=at, until=until)
