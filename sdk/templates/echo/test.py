"""What __NAME__ promises, in a network that fails: `nectar build`, then `pytest`."""

from pathlib import Path

from testnet.faults import Partition
from testnet.model.where import Where

PACKAGE = Path(__file__).parent.parent
NAME = "our@__NAME__:__NAME__:local"
ONE, TWO = "one.nec", "two.nec"


def test_a_request_comes_back_as_it_was(sim):
    sim.boot(ONE, TWO, packages=[PACKAGE])
    assert sim.ask(ONE, NAME.replace("our", TWO), {"any": "thing"}).body == {"any": "thing"}


def test_a_request_outlives_a_partition(sim):
    sim.boot(ONE, TWO, packages=[PACKAGE])
    with sim.apply(Partition(Where(ONE, TWO))):
        asked = sim.begin(ONE, NAME.replace("our", TWO), "Are you there?", timeout=60)
        sim.rest(2)
        assert asked.outcome is None
    sim.wait(lambda: asked.outcome is not None)
    assert asked.outcome.body == "Are you there?"


def test_a_node_that_has_left_is_offline(sim):
    sim.boot(ONE, TWO, packages=[PACKAGE])
    sim.leave(TWO)
    assert sim.ask(ONE, NAME.replace("our", TWO), "Are you there?").kind == "offline"
