"""What the links promise, verdict by verdict, over real sockets."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from testnet.faults.impostor import Impostor
from testnet.faults.partition import Partition
from testnet.faults.refusal import Refusal
from testnet.faults.registrar_down import RegistrarDown
from testnet.faults.rule import (
    HOLD,
    LOSE,
    NO_ROUTE,
    REFUSE,
    Alter,
    Answering,
    Closing,
    Delay,
    Dialing,
    Event,
    Fault,
    Link,
    Passing,
    Redirect,
    Reset,
    Verdict,
)
from testnet.faults.where import EVERYWHERE, Where
from testnet.links import sockets
from testnet.links.places import LoopbackNetwork, Place
from testnet.links.stream import BUFFER_BYTES
from tests.testnet.links.rig import TO_B, A, B, Rig, Says, open_rig, receive_all

LARGE = bytes(range(256)) * 16384


def counts(rig_links: object, source: str, target: str) -> dict[str, object]:
    rows = rig_links.statistics()  # type: ignore[attr-defined]
    return next(row for row in rows if (row["source"], row["target"]) == (source, target))


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


async def test_whoever_is_dialed_sees_the_address_of_who_dialed(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig, await rig.dial() as stream:
        await stream.send_all(b"x")
        await rig.receive(1)
        assert rig.accepted[0].socket.getpeername()[0] == rig.a.host


async def test_whoever_dials_a_node_that_is_down_is_refused_or_at_worst_reset_when_nobody_knew(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        async with await rig.dial(rig.a) as stream:
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some(1)
        for _ in range(3):
            with pytest.raises(ConnectionRefusedError):
                await rig.dial(rig.a)


async def test_a_node_that_was_down_is_reached_when_it_listens_again(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        async with await rig.dial(rig.a) as stream:
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some(1)
        with trio.socket.socket() as listener:
            await listener.bind(rig.a.endpoint)
            listener.listen()
            await rig.dial_until_it_is_there(rig.a)


async def test_a_dial_to_a_node_that_is_down_waits_like_any_other_behind_a_partition(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        async with await rig.dial(rig.a) as stream:
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some(1)
        number = rig.links.apply(Partition(Where(A)))
        await wait_all_tasks_blocked(0.01)
        async with await rig.dial(rig.a) as stream:
            await wait_all_tasks_blocked(0.01)
            rig.links.remove(number)
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some(1)


async def test_a_held_dial_reaches_its_target_when_the_fault_is_gone(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        number = rig.links.apply(Says(Dialing, HOLD, TO_B))
        async with await rig.dial() as stream:
            await stream.send_all(b"early")
            await wait_all_tasks_blocked(0.01)
            assert not rig.accepted
            rig.links.remove(number)
            assert await stream.receive_some(10) == b"early"


async def test_a_dial_that_was_given_up_while_it_was_held_reaches_nobody(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        number = rig.links.apply(Partition())
        async with await rig.dial() as stream:
            await stream.send_all(b"never")
        await wait_all_tasks_blocked(0.01)
        rig.links.remove(number)
        async with await rig.dial() as stream:
            await stream.send_all(b"now")
            await rig.receive(3)
        assert (bytes(rig.got), len(rig.accepted)) == (b"now", 1)


@pytest.mark.parametrize("verdict", [REFUSE, NO_ROUTE, Reset()])
async def test_a_refused_dial_is_reset(tmp_path: Path, verdict: Verdict) -> None:
    async with open_rig(tmp_path) as rig:
        rig.links.apply(Says(Dialing, verdict, TO_B))
        async with await rig.dial() as stream:
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some(1)
        assert not rig.accepted


@pytest.mark.parametrize("where", [EVERYWHERE, Where(B), Where(target=B, both=False)])
async def test_who_is_refused_by_everybody_is_so_by_the_operating_system_for_as_long_as_that_holds(
    tmp_path: Path, where: Where
) -> None:
    async with open_rig(tmp_path) as rig, await rig.dial() as stream:
        await stream.send_all(b"x")
        assert await stream.receive_some(1) == b"x"
        first, second = rig.links.apply(Refusal(where)), rig.links.apply(Refusal(where))
        with pytest.raises(ConnectionRefusedError):
            await rig.dial()
        rig.links.remove(first)
        with pytest.raises(ConnectionRefusedError):
            await rig.dial()
        rig.links.remove(second)
        await (await rig.dial()).aclose()
        await stream.send_all(b"the first one stays")
        assert await stream.receive_some(19) == b"the first one stays"


async def test_who_some_are_refused_by_others_reach(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        rig.links.apply(Refusal(TO_B))
        async with await rig.dial() as stream:
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some(1)
        elsewhere = await sockets.connect(rig.b.front, LoopbackNetwork.of(tmp_path).place(2).host)
        async with trio.SocketStream(trio.socket.from_stdlib_socket(elsewhere)) as stream:
            await stream.send_all(b"x")
            assert await stream.receive_some(1) == b"x"


async def test_a_dial_that_is_late_is_refused_late(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        number = rig.links.apply(Says(Dialing, Delay(1000.0)))
        rig.links.apply(Refusal())
        async with await rig.dial() as stream:
            await wait_all_tasks_blocked(0.01)
            rig.links.remove(number)
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some(1)


@pytest.mark.parametrize("fault", [RegistrarDown("crash"), RegistrarDown("crash", B), Impostor(A)], ids=repr)
async def test_where_nobody_listens_dials_are_refused_whatever_holds_elsewhere(tmp_path: Path, fault: Fault) -> None:
    async with open_rig(tmp_path) as rig:
        rig.links.apply(fault)
        rig.links.add(B, Place("127.0.0.1", 1, rig.b.front))
        await refused(rig)


async def test_a_node_that_was_added_again_is_reached_though_its_last_dial_found_nobody(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        rig.links.add(B, Place("127.0.0.1", 1, rig.b.front))  # nobody listens there: the links close their door
        await refused(rig)
        rig.links.add(B, rig.b)
        async with await rig.dial() as stream:
            await stream.send_all(b"x")
            assert await stream.receive_some(1) == b"x"


async def test_a_lost_dial_is_never_answered(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        number = rig.links.apply(Says(Dialing, LOSE))
        async with await rig.dial() as stream:
            await stream.send_all(b"x")
            await wait_all_tasks_blocked(0.01)
            rig.links.remove(number)
            with trio.move_on_after(0.05) as scope:
                await stream.receive_some(1)
            assert scope.cancelled_caught
        assert not rig.accepted


async def test_a_redirected_dial_reaches_another_node(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        rig.links.apply(Says(Dialing, Redirect(B)))
        async with await rig.dial(rig.a) as stream:
            await stream.send_all(b"for a")
            await rig.receive(5)
        assert bytes(rig.got) == b"for a"


async def test_a_dial_waits_for_its_answer_when_only_the_way_back_is_held(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        number = rig.links.apply(Says(Answering, HOLD))
        async with await rig.dial() as stream:
            await stream.send_all(b"x")
            await wait_all_tasks_blocked(0.01)
            assert (len(rig.accepted), bytes(rig.got)) == (1, b"")
            rig.links.remove(number)
            await rig.receive(1)


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


async def test_what_is_late_is_so_no_longer_than_its_fault_holds(tmp_path: Path) -> None:
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


async def test_a_delayed_dial_is_made_when_the_delay_is_gone(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        number = rig.links.apply(Says(Dialing, Delay(1000.0), TO_B))
        async with await rig.dial() as stream:
            await stream.send_all(b"1")
            await wait_all_tasks_blocked(0.01)
            assert not rig.accepted
            rig.links.remove(number)
            await rig.receive(1)


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


async def test_a_dial_that_was_given_up_costs_no_descriptor_while_it_is_held(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        rig.links.apply(Says(Dialing, HOLD))
        before = _descriptors()
        for _ in range(5):
            await (await rig.dial()).aclose()
        while _descriptors() > before:
            await trio.lowlevel.checkpoint()


async def test_a_node_is_listened_for_again_when_that_was_not_possible_for_a_moment(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        down = Place("127.0.0.1", 1, rig.b.front)  # nobody listens there: the links close their door
        rig.links.add(B, down)
        await refused(rig)
        with socket.create_server(rig.b.front):
            rig.links.add(B, rig.b)
        await rig.dial_until_it_is_there(rig.b)


async def refused(rig: Rig) -> None:
    """Dial until that is refused; who dials while the door closes is reset."""
    while True:
        try:
            await (await rig.dial()).aclose()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            pass
        await trio.lowlevel.checkpoint()


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


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
