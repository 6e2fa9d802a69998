"""Peers that keep a node busy take turns: the turn is that of the flow with the most tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio.testing

from net.io.turns import LEAST_SECONDS, MOST_SECONDS, PIECE_SECONDS, SAVED_SECONDS, Flow, Turns


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _use(turns: Turns, flow: Flow, seconds: float) -> None:
    """That takes so long, right after what was done before."""
    clock = turns._clock
    assert isinstance(clock, _Clock)
    clock.now += seconds
    turns.used(flow, clock.now - seconds)


@asynccontextmanager
async def _given(turns: Turns) -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(turns.run)
        await trio.testing.wait_all_tasks_blocked()
        yield nursery
        nursery.cancel_scope.cancel()


async def _take_at_once(turns: Turns, flow: Flow) -> bool:
    """Whether nothing in there waits."""
    with trio.CancelScope() as scope:
        scope.cancel()
        await turns.take(flow)
    return not scope.cancelled_caught


async def test_a_flow_that_alone_keeps_the_node_busy_waits_for_nobody() -> None:
    turns = Turns(_Clock())
    flow = turns.flow("alone.nec")
    async with _given(turns):
        for _ in range(5):
            assert await _take_at_once(turns, flow)
            _use(turns, flow, 10 * PIECE_SECONDS)


async def test_flows_that_have_little_to_do_wait_for_nobody() -> None:
    turns = Turns(_Clock())
    flows = [turns.flow(f"{number}.nec") for number in range(5)]
    async with _given(turns):
        for flow in flows:
            assert await _take_at_once(turns, flow)
            _use(turns, flow, PIECE_SECONDS / 10)


async def test_when_one_has_just_kept_the_node_busy_the_next_one_waits_for_a_round_of_the_scheduler() -> None:
    turns = Turns(_Clock())
    busy, other = turns.flow("busy.nec"), turns.flow("other.nec")
    async with _given(turns):
        _use(turns, busy, PIECE_SECONDS)
        assert not await _take_at_once(turns, other)
        await trio.testing.wait_all_tasks_blocked()
        assert await _take_at_once(turns, other)


async def test_a_flow_that_has_saved_up_waits_for_nobody() -> None:
    turns = Turns(_Clock())
    flow = turns.flow("moderate.nec")
    waiting = await _with_one_waiting(turns, turns.flow("floods.nec"))
    flow.tokens = SAVED_SECONDS
    assert await _take_at_once(turns, flow)
    flow.tokens = SAVED_SECONDS / 2
    assert not await _take_at_once(turns, flow)
    waiting.cancel()


async def _order(turns: Turns, flows: dict[str, Flow]) -> list[str]:
    """In which they have their turns, when all of them want one at once."""
    order: list[str] = []

    async def take(name: str) -> None:
        await turns.take(flows[name])
        order.append(name)

    _use(turns, turns.flow("before.nec"), PIECE_SECONDS)
    async with trio.open_nursery() as giver:
        async with trio.open_nursery() as nursery:
            for name in flows:
                nursery.start_soon(take, name)
            await trio.testing.wait_all_tasks_blocked()
            giver.start_soon(turns.run)
        giver.cancel_scope.cancel()
    return order


async def test_of_those_who_wait_the_one_with_the_most_tokens_goes_first() -> None:
    turns = Turns(_Clock())
    flows = {name: turns.flow(name) for name in ("least.nec", "most.nec", "more.nec")}
    for name, tokens in (("least.nec", 0.01), ("most.nec", 0.03), ("more.nec", 0.02)):
        flows[name].tokens = tokens
    assert await _order(turns, flows) == ["most.nec", "more.nec", "least.nec"]


async def test_a_new_name_is_no_better_than_one_that_was_there_before() -> None:
    clock = _Clock()
    turns = Turns(clock)
    old = turns.flow("old.nec")
    clock.now += SAVED_SECONDS / 2
    flows = {f"{number}.nec": turns.flow(f"{number}.nec") for number in range(3)} | {"old.nec": old}
    assert (await _order(turns, flows))[0] == "old.nec"


async def test_between_two_turns_everything_else_has_gone_on() -> None:
    turns = Turns(_Clock())
    flows = [turns.flow(f"{number}.nec") for number in range(10)]
    rounds = 0
    had: list[int] = []

    async def go_round() -> None:
        nonlocal rounds
        while True:
            await trio.lowlevel.checkpoint()
            rounds += 1

    async def take(flow: Flow) -> None:
        await turns.take(flow)
        had.append(rounds)

    _use(turns, turns.flow("before.nec"), PIECE_SECONDS)
    async with trio.open_nursery() as others:
        async with trio.open_nursery() as nursery:
            for flow in flows:
                nursery.start_soon(take, flow)
            await trio.testing.wait_all_tasks_blocked()
            others.start_soon(go_round)
            others.start_soon(turns.run)
        others.cancel_scope.cancel()
    assert had[-1] - had[0] >= len(had) - 2  # whether a round is counted before or after its turn is chance
    assert max(map(had.count, had)) <= 2


async def _with_one_waiting(turns: Turns, flow: Flow) -> trio.CancelScope:
    _use(turns, turns.flow("before.nec"), PIECE_SECONDS)
    scope = trio.CancelScope()

    async def wait() -> None:
        with scope:
            await turns.take(flow)

    trio.lowlevel.spawn_system_task(wait)
    await trio.testing.wait_all_tasks_blocked()
    return scope


async def test_tokens_come_in_at_the_fair_share_and_use_costs_them_while_others_wait() -> None:
    clock = _Clock()
    turns = Turns(clock)
    flow = turns.flow("one.nec")
    _use(turns, flow, 1.0)
    assert turns.tokens(flow) == 1.0  # it came in meanwhile, and nobody minds
    waiting = await _with_one_waiting(turns, turns.flow("other.nec"))
    flow.tokens, flow.at = 1.0, clock.now
    _use(turns, flow, 0.5)
    assert turns.tokens(flow) == 1.0 + 0.25 - 0.5  # two share the node
    _use(turns, flow, 60.0)
    assert turns.tokens(flow) == LEAST_SECONDS
    waiting.cancel()
    await trio.testing.wait_all_tasks_blocked()
    assert not turns.crowded
    clock.now += 3600.0
    assert turns.tokens(flow) == MOST_SECONDS


async def test_who_goes_away_while_it_waits_leaves_no_turn_behind() -> None:
    turns = Turns(_Clock())
    flow = turns.flow("gone.nec")
    waiting = await _with_one_waiting(turns, flow)
    again = await _with_one_waiting(turns, flow)
    waiting.cancel()
    await trio.testing.wait_all_tasks_blocked()
    assert turns.crowded
    again.cancel()
    await trio.testing.wait_all_tasks_blocked()
    assert not turns.crowded


def test_a_flow_is_forgotten_with_its_last_connection() -> None:
    turns = Turns(_Clock())
    flow = turns.flow("one.nec")
    assert turns.flow("one.nec") is flow
    flow.tokens = 1.0
    del flow
    assert turns.flow("one.nec").tokens == 0.0
