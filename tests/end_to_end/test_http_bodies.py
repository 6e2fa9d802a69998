"""A browser sends a large file: a real node as a process of its own, a real guest, real sockets, a real disk."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from nectar_node.contract.config import LOOPBACK
from nectar_node.launcher.boot_options import BootOptions
from nectar_node.storage.ledger import Quotas
from nectar_node.storage.operations import BODIES
from testnet.real.local import LocalTestnet
from tests.end_to_end.test_http import NODE, Browser
from tests.waiting import until
from tests.web_site import write_site

PIECE = bytes(range(256)) * 4096
PIECES = 128
FOLDER = "/site:local/data/sent"
HELD_KIB = 48 << 10
"""More memory than the node may take for a body of 128 MiB."""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTestnet]:
    folder = tmp_path_factory.mktemp("bodies")
    site = write_site(folder / "site")
    with LocalTestnet(folder / "testnet") as network:
        quotas = Quotas(bytes=(PIECES + 8) * len(PIECE))
        network.boot({NODE: BootOptions(packages=(site,), http=(LOOPBACK, 0), quotas=quotas)})
        yield network


@pytest.fixture
def browser(network: LocalTestnet) -> Browser:
    found = Browser(network, NODE)
    until(lambda: found.bind("/take", body_to=FOLDER) == {"Ok": None})
    return found


def package(network: LocalTestnet) -> Path:
    return network.place(NODE).drives / "site:local"


def sent(network: LocalTestnet) -> list[Path]:
    """The files that have come."""
    folder = package(network) / "data" / "sent"
    return list(folder.iterdir()) if folder.exists() else []


def coming(network: LocalTestnet) -> int:
    """Bytes of what is on its way; 0: nothing is."""
    folder = package(network) / BODIES
    return sum(each.stat().st_size for each in folder.iterdir()) if folder.exists() else 0


def most_resident(network: LocalTestnet) -> int:
    """The most KiB that the node has had in memory."""
    lines = Path(f"/proc/{network.pid(NODE)}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def begin(browser: Browser) -> http.client.HTTPConnection:
    """Send a head, and half of the body."""
    connection = browser.connect()
    connection.putrequest("POST", "/web:site:local/take")
    connection.putheader("Content-Length", str(2 * len(PIECE)))
    connection.endheaders()
    connection.send(PIECE)
    return connection


def test_a_file_of_128_mib_goes_to_the_disk_and_not_through_memory(browser: Browser, network: LocalTestnet) -> None:
    connection = browser.connect()
    connection.request("POST", "/web:site:local/take", PIECE, {})
    connection.getresponse().read()
    before = most_resident(network)
    length = {"Content-Length": str(PIECES * len(PIECE))}
    connection.request("POST", "/web:site:local/take", (PIECE for _ in range(PIECES - 2)), length)
    for _ in range(2):
        connection.send(PIECE)
    answer = connection.getresponse()
    told = json.loads(answer.read().partition(b" ")[2])["body_file"]
    hash = blake3()
    for _ in range(PIECES):
        hash.update(PIECE)
    assert (told["length"], told["hash"]) == (PIECES * len(PIECE), hash.hexdigest())
    path = package(network).parent / told["path"].lstrip("/")
    assert path.stat().st_size == told["length"]
    assert blake3(path.read_bytes()).hexdigest() == told["hash"]
    assert most_resident(network) - before < HELD_KIB
    connection.request("POST", "/web:site:local/take", PIECE * 8, {})
    assert connection.getresponse().status == 507, "the quota holds"


def test_a_browser_that_breaks_off_leaves_nothing(browser: Browser, network: LocalTestnet) -> None:
    there, connection = sent(network), begin(browser)
    until(lambda: coming(network) > 0)
    connection.close()
    until(lambda: not (package(network) / BODIES).exists())
    assert sent(network) == there


def test_a_node_that_is_killed_leaves_nothing_after_the_next_boot(browser: Browser, network: LocalTestnet) -> None:
    there, connection = sent(network), begin(browser)
    until(lambda: coming(network) > 0)
    network.kill(NODE)
    assert coming(network) == 2 * len(PIECE)
    network.restart(NODE)
    assert not (package(network) / BODIES).exists()
    assert sent(network) == there
    until(lambda: browser.bind("/take", body_to=FOLDER) == {"Ok": None})
    assert browser.ask("POST", "/take", PIECE)[0] == 200
    connection.close()
