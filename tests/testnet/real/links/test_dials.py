"""What becomes of dials, verdict by verdict, over real sockets."""

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
from testnet.model.rule import HOLD, LOSE, NO_ROUTE, REFUSE, Answering, Delay, Dialing, Fault, Redirect, Reset, Verdict
from testnet.model.where import EVERYWHERE, Where
from testnet.real.links import sockets
from testnet.real.nodes.addresses import LoopbackNetwork, NodePlace
from tests.testnet.real.links.rig import TO_B, A, B, Rig, Says, open_rig


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
        rig.links.add(B, NodePlace("127.0.0.1", 1, rig.b.front))
        await refused(rig)


async def test_a_node_that_was_added_again_is_reached_though_its_last_dial_found_nobody(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        rig.links.add(B, NodePlace("127.0.0.1", 1, rig.b.front))  # nobody listens there: the links close their door
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


async def test_a_delayed_dial_is_made_when_the_delay_is_gone(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        number = rig.links.apply(Says(Dialing, Delay(1000.0), TO_B))
        async with await rig.dial() as stream:
            await stream.send_all(b"1")
            await wait_all_tasks_blocked(0.01)
            assert not rig.accepted
            rig.links.remove(number)
            await rig.receive(1)


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
        down = NodePlace("127.0.0.1", 1, rig.b.front)  # nobody listens there: the links close their door
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


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
