"""A browser reaches a process by WebSocket: real nodes as processes of their own, real guests, real sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from wsproto.events import CloseConnection

from nectar_node.contract.config import LOOPBACK
from nectar_node.http.extension_data import decode_untrusted, encode
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet
from tests.waiting import until
from tests.web_site import write_guests
from tests.web_sockets import Refused, web_socket

NODE = "talk.nec"
GUEST = Path(__file__).resolve().parents[1] / "guests" / "sockets.wasm"
BASE = "/talk:site:local"
MANY = 200
HOST = "talk--site--local.localhost"
MINE = {"Host": HOST, "Origin": f"http://{HOST}"}


def write_site(folder: Path) -> Path:
    asks = ["http-server:distro:sys", "timer:distro:sys"]
    return write_guests(folder, GUEST.read_bytes(), ["talk"], asks, on_exit="Restart")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTestnet]:
    folder = tmp_path_factory.mktemp("sockets")
    site = write_site(folder / "site")
    with LocalTestnet(folder / "testnet") as network:
        network.boot({NODE: BootOptions(packages=(site,), http=(LOOPBACK, 0))})
        yield network


@pytest.fixture
def port(network: LocalTestnet) -> int:
    return int(str(network.status(NODE)["http"]).rpartition(":")[2])


def seen(network: LocalTestnet) -> str:
    return str(network.message(NODE, "our@talk:site:local", '"Seen"')["body"])


def runs_again(network: LocalTestnet) -> bool:
    """Whether the process has bound its paths again."""
    unbind = json.dumps({"WebSocketUnbind": {"path": "/rooms/:id"}})
    tell = json.dumps({"Tell": {"to": f"{NODE}@http-server:distro:sys", "body": unbind}})
    return "Ok" in str(network.message(NODE, "our@talk:site:local", tell))


async def test_many_browsers_talk_to_a_process_and_each_gets_its_own_in_order(port: int) -> None:
    async def talk(number: int) -> None:
        async with web_socket(port, f"{BASE}/rooms/{number}", MINE) as client:
            sent: list[str | bytes] = [f"{number} {count}" for count in range(10)] + [b"%d" % number * 1000]
            for each in sent:
                await client.send(each)
            assert [await client.receive() for _ in sent] == sent

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for number in range(MANY):
                nursery.start_soon(talk, number)


async def test_a_page_of_another_site_gets_no_websocket(port: int) -> None:
    for path, status in (("/live", 403), ("/mine", 403), ("/none", 404)):
        with pytest.raises(Refused) as refused:
            async with web_socket(port, f"{BASE}{path}", {"Origin": "http://evil.example"}):
                pass
        assert refused.value.status == status


async def test_an_extension_answers_through_a_real_node(network: LocalTestnet, port: int) -> None:
    with trio.fail_after(60):
        async with web_socket(port, f"{BASE}/extension") as client:
            lines = await trio.to_thread.run_sync(seen, network)
            channel = int(lines.rpartition("open ")[2].split()[0])
            fields = {"channel_id": channel, "message_type": "Binary", "desired_reply_type": "Response"}
            push = json.dumps({"WebSocketExtPushOutgoing": fields})
            tell = json.dumps({"Tell": {"to": f"{NODE}@http-server:distro:sys", "body": push, "blob": "work"}})
            answers: list[object] = []

            async def ask() -> None:
                answers.append(await trio.to_thread.run_sync(network.message, NODE, "our@talk:site:local", tell))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                asked = decode_untrusted(await client.receive())  # type: ignore[arg-type]
                assert asked is not None
                assert asked.blob == b"work"
                await client.send(encode(asked._replace(blob=b"done")))
            assert "WebSocketPush" in str(answers)


async def test_a_process_that_ends_says_goodbye_to_its_browsers(network: LocalTestnet, port: int) -> None:
    with trio.fail_after(60):
        async with web_socket(port, f"{BASE}/live") as client, web_socket(port, f"{BASE}/live") as other:
            await client.send("!end")
            assert await client.end() == (1001, "the process has ended")
            assert await other.end() == (1001, "the process has ended")
        await trio.to_thread.run_sync(until, lambda: runs_again(network))
        async with web_socket(port, f"{BASE}/live") as client:
            await client.send("again")
            assert await client.receive() == "again"
            await client.do(CloseConnection(code=1000))
            assert (await client.end())[0] == 1000


async def test_a_node_that_goes_down_says_goodbye(network: LocalTestnet, port: int) -> None:
    with trio.fail_after(60):
        async with web_socket(port, f"{BASE}/live") as client:
            await trio.to_thread.run_sync(network.stop, NODE)
            assert await client.end() == (1001, "the node goes down")
