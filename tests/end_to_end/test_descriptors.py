"""A node that may have few file descriptors goes on answering, keeping and letting in, however many connect."""

from __future__ import annotations

import json
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from nectar_node.base.errors import CannotStart
from nectar_node.contract.config import REGISTRAR_NAME
from nectar_node.launcher.boot_options import DEFAULT_OPTIONS
from testnet.real.local import LocalTestnet
from tests.commands import nectar
from tests.waiting import until

PACKAGE = Path(__file__).resolve().parents[2] / "packages" / "heavy_io"
GREETED = "a.nec@hello:hello:sys"
CONNECTIONS = 400
"""Of the attacker at once: more than there are descriptors."""


def limited(most: int) -> tuple[str, ...]:
    """What goes before the command that starts a node with so many descriptors."""
    return ("sh", "-c", f'ulimit -n {most} && exec "$@"', "sh")


@contextmanager
def besieged(endpoint: tuple[str, int]) -> Iterator[None]:
    """Within this, connections that say nothing come again as soon as they are closed."""
    chosen, over = selectors.DefaultSelector(), threading.Event()

    def dial() -> None:
        connection = socket.socket()
        connection.setblocking(False)
        with suppress(BlockingIOError):
            connection.connect(endpoint)
        chosen.register(connection, selectors.EVENT_READ)

    def refill() -> None:
        while not over.wait(0.1):
            for key, _ in chosen.select(0):
                chosen.unregister(key.fileobj)
                key.fileobj.close()  # type: ignore[union-attr]
                dial()

    for _ in range(CONNECTIONS):
        dial()
    attacker = threading.Thread(target=refill)
    attacker.start()
    try:
        yield
    finally:
        over.set()
        attacker.join()
        for key in list(chosen.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        chosen.close()


def test_with_256_a_node_keeps_capabilities_answers_and_lets_in_while_hundreds_connect(fresh: Path) -> None:
    few = replace(DEFAULT_OPTIONS, prefix=limited(256))
    with LocalTestnet(fresh) as network:
        network.boot({"a.nec": few, "b.nec": DEFAULT_OPTIONS})
        with besieged(network.endpoint("a.nec")):
            started = nectar("start", PACKAGE, "--node", "a.nec", folder=fresh)
            assert started.code == 0, started.err
            network.kill("a.nec")
            network.start(["a.nec"])
            held = [row["capabilities"] for row in network.processes("a.nec") if "heavy_io" in str(row["address"])]
            assert held
            assert all(held)
            descriptors = network.status("a.nec")["descriptors"]
            assert descriptors["limit"] == 256
            assert descriptors["used"] < 160
            assert "Hello" in json.dumps(network.message("b.nec", GREETED, '{"Greet": "you"}'))
        network.restart("b.nec")
        assert "Hello" in json.dumps(network.message("b.nec", GREETED, '{"Greet": "you"}'))
        until(lambda: network.status("a.nec")["descriptors"]["used"] < 60)
        assert "open files" not in network.place("a.nec").log.read_text()


def test_with_64_it_says_what_it_needs(fresh: Path) -> None:
    few = {REGISTRAR_NAME: replace(DEFAULT_OPTIONS, prefix=limited(64))}
    with pytest.raises(CannotStart, match=r"A node needs \d+ file descriptors, and may have 64 here: raise the"):
        LocalTestnet(fresh).boot(few)
