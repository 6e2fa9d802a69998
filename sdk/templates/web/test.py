"""What __NAME__ promises, in a network that fails: `nectar build`, then `pytest`."""

import json
from pathlib import Path

from testnet.faults import Partition
from testnet.model.where import Where

PACKAGE = Path(__file__).parent.parent
PROCESS = "__NAME__:__NAME__:local"
PAGE = f"/{PROCESS}"
ONE, TWO = "one.nec", "two.nec"


def becomes(socket, state):
    """The next line of the page that is in this state."""
    while True:
        news = json.loads(socket.receive())
        if news.get("Line", {}).get("state") == state:
            return news["Line"]


def look(sim, node):
    """The page of somebody who has signed in there: what it and its node tell each other."""
    return sim.websocket(node, f"{PAGE}/lines", sim.lab.sign_in(node, PROCESS))


def test_a_browser_gets_the_page(sim):
    sim.boot(ONE, packages=[PACKAGE])
    sim.rest(1)
    page = sim.get(ONE, f"{PAGE}/", sim.lab.sign_in(ONE, PROCESS))
    assert b"<title>Chat" in bytes(page.body)


def test_a_line_that_was_typed_while_the_network_was_cut_is_heard(sim):
    sim.boot(ONE, TWO, packages=[PACKAGE])
    sim.rest(1)
    here, there = look(sim, ONE), look(sim, TWO)
    with sim.apply(Partition(Where(ONE, TWO))):
        here.send(json.dumps({"Say": {"to": TWO, "text": "Hi"}}))
        assert becomes(here, "Sent")["text"] == "Hi"
        sim.rest(2)
    assert becomes(here, "Heard")["text"] == "Hi"
    assert becomes(there, "Heard")["node"] == ONE
