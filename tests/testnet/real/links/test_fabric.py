"""What becomes of the bytes of a connection, verdict by verdict, over real sockets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from testnet.faults.partition import Partition
from testnet.model.rule import HOLD, LOSE, Alter, Closing, Delay, Event, Link, Passing, Reset, Verdict
from testnet.model.where import Where
from testnet.real.links.fabric import Links
from testnet.real.links.stream import BUFFER_BYTES
from tests.testnet.real.links.rig import TO_B, A, B, Says, open_rig, receive_all

LARGE = bytes(range(256)) * 16384


def counts(links: Links, source: str, target: str) -> dict[str, str | int]:
    return next(row for row in links.statistics() if (row["source"], row["target"]) == (source, target))


async def test_without_a_fault_bytes_pass_unchanged_and_are_counted_by_link(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig, await rig.dial() as stream, trio.open_nursery() as nursery:

        async def send() -> None:
            await stream.send_all(LARGE)
            await stream.send_eof()

        nursery.start_soon(send)
        assert await receive_all(stream) == LARGE
        for source, target, dialed in ((A, B, 1), (B, A, 0)):
            row = counts(rig.links, source, target)
            assert (row["bytes"], row["connections"], row["resets"], row["delayed"]) == (len(LARGE), dialed, 0, 0)


async def test_held_bytes_wait_and_the_sender_with_them(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig, await rig.dial() as stream:
        await stream.send_all(b"before")
        await rig.receive(6)
        number = rig.links.apply(Partition(TO_B))
        with trio.move_on_after(0.2) as scope:
            await stream.send_all(LARGE * 8)  # more than all buffers take
        assert scope.cancelled_caught
        assert bytes(rig.got) == b"before"
        rig.links.remove(number)
        await rig.receive(7)


async def test_what_one_rule_lets_go_another_may_still_hold(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig, await rig.dial() as stream:
        first, second = rig.links.apply(Partition(TO_B)), rig.links.apply(Partition(TO_B))
        await stream.send_all(b"x")
        rig.links.remove(first)
        await wait_all_tasks_blocked(0.01)
        assert not rig.got
        rig.links.remove(second)
        await rig.receive(1)


async def test_the_other_direction_goes_on_while_one_is_held(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig, await rig.dial() as stream:
        await stream.send_all(b"x")
        assert await stream.receive_some(1) == b"x"
        rig.links.apply(Partition(TO_B))
        await rig.accepted[0].send_all(b"still here")
        assert await stream.receive_some(10) == b"still here"


async def test_nobody_is_told_of_an_end_while_it_is_held(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig, await rig.dial() as stream:
        await stream.send_all(b"x")
        assert await stream.receive_some(1) == b"x"
        number = rig.links.apply(Partition())
        await stream.aclose()
        await wait_all_tasks_blocked(0.01)
        assert not rig.ended.is_set()
        rig.links.remove(number)
        await rig.ended.wait()


async def test_delayed_bytes_arrive_later_and_in_order(tmp_path: Path) -> None:
    def first_is_slow(event: Event) -> Verdict:
        assert isinstance(event, Passing)
        return Delay(0.1 if event.offset == 0 else 0.0)

    async with open_rig(tmp_path) as rig, await rig.dial() as stream:
        rig.links.apply(Says(Passing, first_is_slow, TO_B))
        began = trio.current_time()
        await stream.send_all(b"1")
        await wait_all_tasks_blocked(0.01)
        await stream.send_all(b"2")
        await rig.receive(2)
        assert trio.current_time() - began >= 0.1
        assert bytes(rig.got) == b"12"
        assert counts(rig.links, A, B)["delayed"] == 2


async def test_a_slow_link_is_full_of_bytes_and_not_slower_for_many(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig, await rig.dial() as stream, trio.open_nursery() as nursery:
        rig.links.apply(Says(Passing, Delay(0.1), TO_B))

        async def send() -> None:
            await stream.send_all(LARGE)
            await stream.send_eof()

        began = trio.current_time()
        nursery.start_soon(send)
        assert await receive_all(stream) == LARGE
        assert trio.current_time() - began < 0.1 * len(LARGE) / 65536


async def test_what_is_late_arrives_before_what_comes_when_the_delay_is_gone(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig, await rig.dial() as stream:
        number = rig.links.apply(Says(Passing, Delay(0.1), TO_B))
        await stream.send_all(b"1")
        await wait_all_tasks_blocked(0.01)
        rig.links.remove(number)
        await stream.send_all(b"2")
        await stream.send_eof()
        assert await receive_all(stream) == b"12"
    async with open_rig(tmp_path) as rig, await rig.dial() as stream:
        number = rig.links.apply(Says(Passing, Delay(10_000.0), TO_B))
        await stream.send_all(b"1")
        await wait_all_tasks_blocked(0.01)
        rig.links.remove(number)
        await stream.send_all(b"2")
        await stream.send_eof()
        assert await receive_all(stream) == b"12"


async def test_a_delay_goes_on_when_another_fault_ends(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig, await rig.dial() as stream:
        rig.links.apply(Says(Passing, Delay(0.2), TO_B))
        other = rig.links.apply(Says(Passing, Delay(1000.0), TO_B))
        began = trio.current_time()
        await stream.send_all(b"1")
        await wait_all_tasks_blocked(0.01)
        rig.links.remove(other)
        await rig.receive(1)
        assert trio.current_time() - began >= 0.2


async def test_lost_bytes_never_arrive_nor_does_what_follows_and_nobody_is_told(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig, await rig.dial() as stream:
        await stream.send_all(b"1")
        assert await stream.receive_some(1) == b"1"
        number = rig.links.apply(Says(Passing, LOSE, TO_B))
        await stream.send_all(b"2")
        await wait_all_tasks_blocked(0.01)
        rig.links.remove(number)
        await stream.send_all(b"3")
        await stream.send_eof()
        await rig.accepted[0].send_all(b"from b")
        assert await stream.receive_some(10) == b"from b"
        assert (bytes(rig.got), rig.ended.is_set()) == (b"1", False)


async def test_a_reset_falls_on_the_chosen_byte_and_reaches_both(tmp_path: Path) -> None:
    def at_100_000(event: Event) -> Verdict:
        assert isinstance(event, Passing)
        here = 100_000 - event.offset
        return Reset(here) if here <= len(event.data) else Delay(0.0)

    async with open_rig(tmp_path) as rig, await rig.dial() as stream:
        rig.links.apply(Says(Passing, at_100_000, TO_B))
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(LARGE * 8)
        await rig.ended.wait()
        assert rig.broken
        row = counts(rig.links, A, B)
        assert (row["bytes"], row["resets"]) == (100_000, 1)


async def test_altered_bytes_arrive_instead(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig, await rig.dial() as stream:
        rig.links.apply(Says(Passing, Alter(b"other"), TO_B))
        await stream.send_all(b"bytes")
        assert await stream.receive_some(10) == b"other"


async def test_an_end_can_be_turned_into_a_reset(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig, await rig.dial() as stream:
        rig.links.apply(Says(Closing, Reset(), TO_B))
        await stream.send_eof()
        await rig.ended.wait()
        assert rig.broken


async def test_faults_are_asked_with_the_link_the_connection_and_the_offset(tmp_path: Path) -> None:
    seen: list[tuple[Link, int, int, bytes]] = []

    def note(event: Event) -> Verdict:
        assert isinstance(event, Passing)
        seen.append((event.link, event.connection, event.offset, event.data))
        return Delay(0.0)

    async with open_rig(tmp_path) as rig, await rig.dial() as stream:
        await stream.send_all(b"unseen")
        assert await stream.receive_some(6) == b"unseen"
        rig.links.apply(Says(Passing, note))
        await stream.send_all(b"seen")
        assert await stream.receive_some(4) == b"seen"
    assert seen == [(Link(A, B), 1, 6, b"seen"), (Link(B, A), 1, 6, b"seen")]


async def test_all_connections_of_a_node_can_be_cut_at_once(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig, await rig.dial() as stream:
        await stream.send_all(b"x")
        assert await stream.receive_some(1) == b"x"
        assert rig.links.cut(Where("c.nec")) == 0
        assert rig.links.cut(Where(B)) == 1
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some(1)
        async with await rig.dial() as second:
            await second.send_all(b"again")
            assert await second.receive_some(5) == b"again"


async def test_a_connection_can_be_cut_while_its_bytes_are_held(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig, await rig.dial() as stream:
        rig.links.apply(Says(Passing, HOLD))
        await stream.send_all(b"x")
        while not rig.links.cut(Where(B)):
            await trio.lowlevel.checkpoint()
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some(1)
        assert not rig.got


async def test_a_side_that_breaks_resets_the_other_one(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig, await rig.dial() as stream:
        await stream.send_all(b"x")
        assert await stream.receive_some(1) == b"x"
        stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await stream.aclose()
        await rig.ended.wait()
        assert rig.broken


async def test_a_side_that_breaks_during_a_partition_tells_nobody_until_it_is_over(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig, await rig.dial() as stream:
        await stream.send_all(b"x")
        assert await stream.receive_some(1) == b"x"
        number = rig.links.apply(Partition())
        stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await stream.aclose()
        await rig.accepted[0].send_all(b"to nobody")
        await wait_all_tasks_blocked(0.01)
        assert not rig.ended.is_set()
        rig.links.remove(number)
        await rig.ended.wait()


async def test_a_fault_that_fails_says_nothing_any_more_and_the_links_go_on(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        number = rig.links.apply(Says(Passing, _fail))
        assert rig.links.failed(number) is None
        stream = await rig.dial()
        await stream.send_all(b"hello")
        await rig.receive(5)
        assert rig.links.failed(number) == "the fault Says has failed: KeyError: 'x'"


def _fail(event: Event) -> Verdict:
    raise KeyError("x")


async def test_connections_on_which_nothing_happens_cost_little_memory(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        before = _resident()
        streams = [await rig.dial() for _ in range(50)]
        while rig.links.open_connections < len(streams):
            await trio.lowlevel.checkpoint()
        await wait_all_tasks_blocked()
        assert _resident() - before < len(streams) * BUFFER_BYTES // 4


def _resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
