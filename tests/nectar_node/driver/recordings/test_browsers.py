"""WebSockets, bodies that take long, and upgrades of packages while a node is recorded are done again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nectar_node.contract.config import LOOPBACK
from nectar_node.driver.recordings.replaying import PURPOSE
from nectar_node.launcher.boot_options import BootOptions
from net.names import keyfile
from testnet.real.local import LocalTestnet
from tests.commands import nectar
from tests.end_to_end.test_http import Browser
from tests.nectar_node.cli.published import package
from tests.nectar_node.driver.recordings.recorded import Recording
from tests.waiting import until
from tests.web_site import write_guests, write_site
from tests.web_sockets import web_socket

NODE = "recorded-f.nec"
SOCKETS = Path(__file__).resolve().parents[3] / "guests" / "sockets.wasm"
PIECE = bytes(range(256)) * 4096
PIECES = 12


@pytest.fixture
def recorded(network: LocalTestnet, tmp_path: Path) -> Recording:
    """A node that serves two packages and is recorded."""
    talk = write_guests(tmp_path / "talk", SOCKETS.read_bytes(), ["talk"], ["http-server:distro:sys"], "talk")
    record = tmp_path / "recordings"
    record.mkdir(mode=0o700)
    packages = (write_site(tmp_path / "site"), talk)
    network.add(NODE, BootOptions(packages=packages, http=(LOOPBACK, 0), record=record))
    key = keyfile.unlock_key_file(network.place(NODE).key, None).identity.derive(PURPOSE)
    return Recording(record, {NODE: key}, network.folder)


async def test_they_are_done_again(network: LocalTestnet, recorded: Recording, tmp_path: Path) -> None:
    browser = Browser(network, NODE)
    until(lambda: browser.bind("/take", body_to="/site:local/data/sent") == {"Ok": None})
    until(lambda: browser.bind("/hold") == {"Ok": None})
    port = int(str(network.status(NODE)["http"]).rpartition(":")[2])
    async with web_socket(port, "/talk:talk:local/rooms/1") as client:
        sent: list[str | bytes] = ["a line", b"bytes" * 20_000, "the end"]
        for each in sent:
            await client.send(each)
        assert [await client.receive() for _ in sent] == sent
    async with web_socket(port, "/talk:talk:local/rooms/2") as cut_off:
        await cut_off.send("and gone")
    connection = browser.connect()
    for path, pieces in (("take", PIECES), ("hold", 1)):
        length = {"Content-Length": str(pieces * len(PIECE))}
        connection.request("POST", f"/web:site:local/{path}", (PIECE for _ in range(pieces)), length)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()
    broken_off = browser.connect()
    broken_off.putrequest("POST", "/web:site:local/take")
    broken_off.putheader("Content-Length", str(2 * len(PIECE)))
    broken_off.endheaders(PIECE)
    broken_off.close()
    for version, more in (("1.0.0", ()), ("1.1.0", ("--replace",))):
        folder = package(tmp_path / version, "again:local", version)
        done = nectar("install", folder, "--node", NODE, *more, folder=network.folder)
        assert done.code == 0, done.err
        assert network.message(NODE, "our@echo:again:local", version)["body"] == version
    done = nectar("rollback", "again:local", "--node", NODE, folder=network.folder)
    assert done.code == 0, done.err
    assert network.message(NODE, "our@echo:again:local", json.dumps("back"))["body"] == json.dumps("back")
    network.kill(NODE)
    player, difference = recorded.replay(NODE)
    assert difference is None
    assert player.steps > 100
