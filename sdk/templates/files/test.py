"""What __NAME__ promises, in a network that fails: `nectar build`, then `pytest`."""

from pathlib import Path

from testnet.faults import Partition
from testnet.model.where import Where

PACKAGE = Path(__file__).parent.parent
NAME = "our@__NAME__:__NAME__:local"
ONE, TWO = "one.nec", "two.nec"


def test_a_note_that_was_written_outlives_a_crash(sim):
    sim.boot(ONE, packages=[PACKAGE])
    assert sim.ask(ONE, NAME, {"Write": {"name": "a", "text": "x"}}).body == "Written"
    sim.crash(ONE)
    sim.start(ONE)
    assert sim.ask(ONE, NAME, {"Read": "a"}).body == {"Text": "x"}
    assert sim.ask(ONE, NAME, {"Read": "b"}).body == "Missing"


def test_another_node_reads_a_note_when_the_network_is_back(sim):
    sim.boot(ONE, TWO, packages=[PACKAGE])
    sim.ask(ONE, NAME, {"Write": {"name": "a", "text": "x"}})
    with sim.apply(Partition(Where(ONE, TWO))):
        read = sim.begin(TWO, NAME.replace("our", ONE), {"Read": "a"}, timeout=60)
        sim.rest(2)
    sim.wait(lambda: read.outcome is not None)
    assert read.outcome.body == {"Text": "x"}


def test_another_node_writes_nothing_and_reads_only_notes(sim):
    sim.boot(ONE, TWO, packages=[PACKAGE])
    assert "Err" in sim.ask(TWO, NAME.replace("our", ONE), {"Write": {"name": "a", "text": "x"}}).body
    assert "Err" in sim.ask(TWO, NAME.replace("our", ONE), {"Read": "../a"}).body
