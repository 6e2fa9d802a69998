"""What __NAME__ promises, in a network that fails: `nectar build`, then `pytest`."""

import json
from pathlib import Path

from testnet.faults import Partition
from testnet.model.where import Where

PACKAGE = Path(__file__).parent.parent
PAGE = "/__NAME__:__NAME__:local"
ONE, TWO = "one.nec", "two.nec"


def becomes(socket, state):
    """The next line of the page that is in this state."""
    while True:
        news = json.loads(socket.receive())
        if news.get("Line", {}).get("state") == state:
            return news["Line"]


def test_a_browser_gets_the_page(sim):
    sim.boot(ONE, packages=[PACKAGE])
    sim.rest(1)
    assert b"<title>" in sim.get(ONE, f"{PAGE}/").body


def test_a_line_that_was_typed_while_the_network_was_cut_is_heard(sim):
    sim.boot(ONE, TWO, packages=[PACKAGE])
    sim.rest(1)
    here, there = sim.websocket(ONE, f"{PAGE}/lines"), sim.websocket(TWO, f"{PAGE}/lines")
    with sim.apply(Partition(Where(ONE, TWO))):
        here.send(json.dumps({"Say": {"to": TWO, "text": "Hi"}}))
        assert becomes(here, "Sent")["text"] == "Hi"
        sim.rest(5)
    assert becomes(here, "Heard")["text"] == "Hi"
    assert becomes(there, "Heard")["node"] == ONE
